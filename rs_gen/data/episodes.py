"""Episodes: some images of one class to learn from, and others of it to be held against.

An episode is a function of (seed, epoch, position) alone; see :mod:`rs_gen.data.draws`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import SettingError
from .datasets import Chips
from .draws import Order, dice
from .loader import Draw


class Episodes:
    """Episodes of some classes. ``len`` is the episodes of an epoch.

    Args:
        chips: The chips, ready to be cut and encoded.
        labels: Class of each chip, as an index from 0.
        seed: Of the order of classes, the choice of chips and how they are turned.
        shots: Support images of an episode.
        targets: Further images of it, none of them a support image.
        turns: Turn and flip every image by chance. Only where that keeps the class.
        length: Episodes in an epoch; None for as many as have room for every chip once.

    Raises:
        SettingError: A class has fewer chips than an episode.
    """

    paired = False

    def __init__(
        self,
        chips: Chips,
        labels: Sequence[int],
        seed: int,
        *,
        shots: int,
        targets: int,
        turns: bool,
        length: int | None = None,
    ):
        self.chips, self.labels, self.seed = chips, np.asarray(labels, "int64"), seed
        self.shots, self.targets, self.turns = shots, targets, turns
        self.by_class = [np.flatnonzero(self.labels == c) for c in range(self.labels.max() + 1)]
        each = shots + targets
        if (least := min(map(len, self.by_class))) < each:
            raise SettingError(f"an episode has {each} chips of a class and one class has {least}")
        self.length = length or max(1, len(self.labels) // each)
        self._order = Order(len(self.by_class), seed, "episodes")

    def __len__(self) -> int:
        return self.length

    def order(self, epoch: int) -> np.ndarray:
        """(episodes, 1): the class of each. None comes twice before all came once."""
        return self._order.fill(epoch, self.length)[:, None]

    def draw(self, draw: Draw) -> tuple[Tensor, Tensor, Tensor]:
        """(supports, targets, label): (shots, C, H, W), (targets, C, H, W) in [-1, 1], () int64."""
        (label,) = draw.chips
        rng = dice(self.seed, "episode", draw.epoch, draw.position)
        chosen = self._chosen(label, rng)
        turns = rng.integers(0, 8, len(chosen)) if self.turns else np.zeros(len(chosen), int)
        images = [self.image(int(i), int(turn)) for i, turn in zip(chosen, turns, strict=True)]
        supports, targets = images[: self.shots], images[self.shots :]
        empty = images[0].new_zeros((0, *images[0].shape))
        return (
            torch.stack(supports),
            torch.stack(targets) if targets else empty,
            torch.tensor(int(label)),
        )

    def __getitem__(self, position: int) -> tuple[Tensor, Tensor, Tensor]:
        """An episode of epoch 0."""
        if not -len(self) <= position < len(self):
            raise IndexError(f"no episode {position} of {len(self)}")
        position %= len(self)
        return self.draw(Draw(0, position, (int(self.order(0)[position, 0]),)))

    def names(self, draw: Draw) -> tuple[Path, ...]:
        """The files that an episode is made of, support images first."""
        rng = dice(self.seed, "episode", draw.epoch, draw.position)
        return tuple(self.chips.files.paths[i] for i in self._chosen(draw.chips[0], rng))

    def image(self, index: int, turn: int = 0) -> Tensor:
        """(C, size, size) float32 in [-1, 1] of one chip, cut in the middle."""
        return torch.from_numpy(self.chips.encoded(self.chips.stored(index), turn)[0])

    def images_of(self, label: int, n: int | None = None) -> Tensor:
        """(N, C, size, size): the first ``n`` chips of a class as they are; None for all."""
        return torch.stack([self.image(int(i)) for i in self.by_class[label][:n]])

    def _chosen(self, label: int, rng: np.random.Generator) -> np.ndarray:
        return rng.permutation(self.by_class[label])[: self.shots + self.targets]
