"""Which weights to keep: the best by an image metric, never by an adversarial loss."""
# ruff: noqa: D102 - fastai's events say what they are

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from torch import Tensor

from ..errors import UnknownNameError
from .callbacks import Kept, Part
from .resume import read_tensors, write_tensors

HIGHER_IS_BETTER = frozenset({"psnr", "ssim", "precision", "recall", "density", "coverage"})
BEST = "best.safetensors"


class Best(Part):
    """Keep the generators of the best epoch, as they were validated: the running average.

    Args:
        monitor: Name of the metric to go by.
        folder: Gets ``best.safetensors``, and ``epoch_0001.safetensors`` and so on with ``all``;
            None keeps nothing but counts.
        keep_all: Whether every validated epoch is kept too.
        patience: Validations without improvement after which training ends; None for never.
        min_delta: Least improvement, as a share of the best value.
    """

    order = 50

    def __init__(
        self, monitor: str, folder: Path | None, *, keep_all: bool = False,
        patience: int | None = None, min_delta: float = 0.001,
    ):  # fmt: skip
        self.monitor, self.folder, self.keep_all = monitor, folder, keep_all
        self.patience, self.min_delta = patience, min_delta
        self.value: float | None = None
        self.at_epoch, self.stale = 0, 0

    def after_validate(self) -> None:
        if self.monitor not in self.learn.scores:
            raise UnknownNameError("metric to monitor", self.monitor, metrics(self.learn.scores))
        value = float(self.learn.scores[self.monitor])
        if self.keep_all:
            self._write(f"epoch_{self.epoch + 1:04d}.safetensors", value)
        self.stale = 0 if self._gains(value, self.min_delta) else self.stale + 1
        if self._gains(value, 0.0):
            self.value, self.at_epoch = value, self.epoch + 1
            self._write(BEST, value)
        if self.patience is not None and self.stale >= self.patience:
            self.learn.stopping = (
                f"{self.monitor} has not improved on {self.value:.4g} (epoch {self.at_epoch}) in "
                f"{self.stale} validations"
            )

    def settle(self) -> None:
        """Leave the best generators in the game."""
        if self.folder is not None and self.value is not None:
            tensors, _ = read_tensors(self.folder / BEST)
            self.model.generators.load_state_dict(tensors)

    def _gains(self, value: float, least: float) -> bool:
        if math.isnan(value) or self.value is None:
            return not math.isnan(value)
        gain = value - self.value
        gain = gain if self.monitor in HIGHER_IS_BETTER else -gain
        return gain > least * abs(self.value)

    def _write(self, name: str, value: float) -> None:
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        header = {"rs_gen": 1, "epoch": self.epoch + 1, "step": self.step, self.monitor: value}
        write_tensors(self.folder / name, dict(self.model.generators.state_dict()), header)

    def keep(self) -> Kept:
        return {}, {"value": self.value, "at_epoch": self.at_epoch, "stale": self.stale}

    def restore(self, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        self.value, self.at_epoch, self.stale = (
            facts["value"], facts["at_epoch"], facts["stale"],
        )  # fmt: skip


def metrics(scores: dict[str, Any]) -> list[str]:
    """Names in ``scores`` that one can go by."""
    return [name for name in scores if name != "n" and not name.startswith("n_")]
