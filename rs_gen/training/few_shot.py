"""Parts of the loop that few-shot games ask for: how far it is, whose turn, and pictures."""
# ruff: noqa: D102 - fastai's events say what they are

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from fastai.callback.core import CancelBackwardException
from torch import Tensor

from ..data.show import grid_figure
from .callbacks import Part

DRAWN = 5  # images of each class in a preview


class Share(Part):
    """Tell the game how much of its training is over: its warm-up ends at a share of it."""

    order, run_valid = -8, False

    def before_batch(self) -> None:
        self.model.share = self.learn.progress()

    def close(self) -> None:
        self.model.share = 1.0


class Turns(Part):
    """Let the generators learn from every n-th batch only; the discriminators learn from all.

    Args:
        every: n; 5 for a Wasserstein game with a gradient penalty.
    """

    order, run_valid = 1, False

    def __init__(self, every: int):
        self.every = every

    def before_backward(self) -> None:
        if (self.step + 1) % self.every:
            raise CancelBackwardException


class Progressing(Part):
    """Write ``step_000100.png``: support images of some classes, and what is drawn from them.

    Args:
        folder: Where to.
        supports: (N, K, C, H, W) of N classes.
        side: Of the data, for colours.
        share: Of the training between two pictures.
    """

    order, run_valid = 95, False

    def __init__(self, folder: Path, supports: Tensor, side: Any, share: float = 0.1):
        self.folder, self.supports, self.side, self.share = folder, supports, side, share
        self._next = share

    def after_batch(self) -> None:
        if self.learn.progress() >= self._next:
            self._next = self.learn.progress() + self.share
            figure = drawn_figure(self.model, self.supports, self.side, seed=0)
            self.folder.mkdir(parents=True, exist_ok=True)
            figure.savefig(self.folder / f"step_{self.step:06d}.png", dpi=80)


def drawn_figure(
    game: Any, supports: Tensor, side: Any, *, seed: int = 0, drawn: int = DRAWN, **options: Any
) -> Any:
    """A figure with a row a class: its support images, then images drawn from them.

    Args:
        game: A few-shot game.
        supports: (N, K, C, H, W) in [-1, 1].
        side: What they hold, for colours.
        seed: Of the codes.
        drawn: Images of each class.
        **options: As ``data.show.grid_figure`` takes them.
    """
    device = next(game.parameters()).device
    dice = torch.Generator().manual_seed(seed)
    rows = []
    for images in supports:
        state = game.learn(images.to(device), dice)
        rows.append(game.show(state, game.draw(state, drawn, generator=dice)).cpu())
    made = torch.stack(rows)
    columns = {f"support {k + 1}": supports[:, k] for k in range(supports.shape[1])}
    columns |= {f"drawn {i + 1}": made[:, i] for i in range(drawn)}
    return grid_figure(columns, sides=dict.fromkeys(columns, side), **{"width": 1.2, **options})
