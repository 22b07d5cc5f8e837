"""How a RegularizedGAN is played and trained, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .preset import Preset

# The loss, the weights and the features of the code that Su et al. 2024 released.
PAPER: Mapping[str, Any] = {
    "loss": "nonsaturating", "r1_weight": 1.0, "uniformity_weight": 0.2, "uniformity_t": 2.0,
    "uniformity_chunks": 2, "entropy_weight": 0.5, "entropy_mode": "code",
    "entropy_cap": "none", "feature_site": "flatten",
}  # fmt: skip

# What the pairs without norms are trained by; Huang et al. 2024, arXiv:2501.05441.
_RELATIVISTIC: Mapping[str, Any] = {
    "lr": 2e-4, "betas": (0.0, 0.99), "schedule": "warmup_flat_linear", "mixed_precision": False,
}  # fmt: skip

REGULARIZED: dict[str, Preset] = {
    "fast": Preset(
        {
            "base": "dcgan",
            "scale": "toy",
            "r1_weight": 2.0,
            "penalty_interval": 8,
            "uniformity_chunks": 1,
        },
        {**_RELATIVISTIC, "lr": 1e-3, "ema_halflife": 300.0},
        16,
        about="Plain convolutions for 32 px: a result within minutes on one core.",
    ),
    "small": Preset(
        {"base": "r3gan", "scale": "cpu"},
        {**_RELATIVISTIC, "lr": 5e-4},
        32,
        about="The relativistic pair without norms, small enough for hours on a CPU at 64 px.",
    ),
    "gpu": Preset(
        {"base": "r3gan", "scale": "gpu", "stage_blocks": 2},
        {**_RELATIVISTIC, "ema_halflife": 2000.0},
        64,
        about="Two blocks a stage and 5 M weights a player at 64 px, for a GPU.",
    ),
    "published": Preset(
        {**PAPER, "base": "r3gan", "scale": "gpu", "stage_blocks": 2},
        {**_RELATIVISTIC, "lr": 2.5e-3},
        64,
        about="The released weights, loss and places of Su et al. 2024, on our base; for a GPU.",
    ),
}
