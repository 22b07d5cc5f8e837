"""Presets of the few-shot systems: one for a CPU, one with the published sizes and rates."""

from __future__ import annotations

from typing import Any

from .preset import Preset

_CPU: dict[str, Any] = {
    "lr": 4e-4, "betas": (0.5, 0.9), "mixed_precision": False, "ema_halflife": 200.0,
}  # fmt: skip
_PAPER: dict[str, Any] = {"lr": 1e-4, "betas": (0.0, 0.9), "ema_halflife": 700.0}
# A narrow critic with spectral norm learns nothing in minutes; see docs/few_shot.md.
_STEADY: dict[str, Any] = {"spectral": False, "r1_weight": 1.0}
# The critic's weights are not averaged, and an adaptation needs a pair that belongs together.
_META: dict[str, Any] = {"ema_halflife": 0.0, "mixed_precision": False}


def _pair(
    small: dict[str, Any], small_recipe: dict[str, Any], published: dict[str, Any],
    published_recipe: dict[str, Any], batch: tuple[int, int],
) -> dict[str, Preset]:  # fmt: skip
    return {
        "small": Preset(small, small_recipe, batch[0], about="Narrow, for minutes on a CPU."),
        "published": Preset(
            published, published_recipe, batch[1], about="As the paper trains it; for a GPU."
        ),
    }


FEW_SHOT: dict[str, dict[str, Preset]] = {
    "f2gan": _pair(
        {"width": 16, "matching_weight": 1.0, "details": True, "l1_weight": 5.0, **_STEADY}, _CPU,
        {"width": 64, "corner": 0.0, "one": 0.0, "warmup": 0.0}, _PAPER, (8, 20),
    ),
    "matchinggan": _pair(
        {"width": 16, "l1_weight": 5.0, **_STEADY}, _CPU,
        {"width": 64, "l1_weight": 0.1, "mode_weight": 0.0, "one": 0.0, "warmup": 0.0}, _PAPER,
        (8, 20),
    ),
    "dagan": _pair(
        {"width": 16, "adversarial": "hinge", "r1_weight": 1.0, "mode_weight": 0.5,
         "mismatched": True, "l1_weight": 2.0, "warmup": 0.2},
        _CPU,
        {"width": 64, "dropout": 0.5}, _PAPER, (8, 32),
    ),
    "gmn": _pair(
        {"width": 16}, {**_CPU, "lr": 1e-3, "clip": 10.0, "betas": (0.9, 0.99)},
        {"width": 32, "latent": 50, "hidden": 200, "hops": 4},
        {"lr": 1e-3, "betas": (0.9, 0.99), "mixed_precision": False}, (8, 20),
    ),
    "figr": _pair(
        {"width": 16}, {**_META, "lr": 1e-3, "betas": (0.0, 0.9)},
        {"width": 64}, {**_META, "lr": 1e-4, "betas": (0.0, 0.9)}, (1, 1),
    ),
    "dawson": _pair(
        {"width": 16}, {**_META, "lr": 1e-3, "betas": (0.0, 0.9)},
        {"width": 64}, {**_META, "lr": 1e-3, "betas": (0.0, 0.9)}, (4, 1),
    ),
}  # fmt: skip
