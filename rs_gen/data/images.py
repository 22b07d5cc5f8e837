"""Chips one by one, each with its class: what generators, classifiers and metrics read.

An item is a function of (seed, epoch, position, chip) alone; see :mod:`rs_gen.data.draws`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import SettingError
from .datasets import Chips
from .draws import Order, dice
from .loader import Draw
from .transforms import Augment

Custom = Callable[[Tensor, torch.Generator], Tensor]


class Images:
    """Chips with a label each. ``len`` is the items of an epoch.

    Args:
        chips: The chips, ready to be cut and encoded.
        labels: Class of each chip, as an index; 0 where there are no classes.
        seed: Of order and augmentation.
        augment: What is drawn anew in each epoch; None for nothing (validation, in file order).
        custom: Run last on an encoded (C, size, size) tensor, ``custom(image, generator)``; its
            random numbers must come from ``generator``. None for none.
        length: Items in a training epoch; None for one of each chip. More goes round in whole
            permutations, so no chip is shown twice more often than another.
    """

    paired = False

    def __init__(
        self,
        chips: Chips,
        labels: Sequence[int],
        seed: int,
        augment: Augment | None = None,
        *,
        custom: Custom | None = None,
        length: int | None = None,
    ):
        self.chips, self.labels = chips, np.asarray(labels, "int64")
        if len(self.labels) != len(chips):
            raise SettingError(f"{len(self.labels)} labels for {len(chips)} chips")
        self.seed, self.custom = seed, custom
        self.training, self.augment = augment is not None, augment or Augment.none()
        self.length = len(chips) if length is None or not self.training else length
        self._order = Order(len(chips), seed, "images")

    def __len__(self) -> int:
        return self.length

    def order(self, epoch: int) -> np.ndarray:
        """(items, 1): which chip makes each item of an epoch."""
        if not self.training:
            return np.arange(len(self))[:, None]
        return self._order.fill(epoch, len(self))[:, None]

    def draw(self, draw: Draw) -> tuple[Tensor, Tensor]:
        """(image, label): (C, size, size) float32 in [-1, 1], not measured is 0; () int64."""
        rng = dice(self.seed, "item", draw.epoch, draw.position)
        (index,) = draw.chips
        image = self.image(index, *self.augment.place(rng))
        if self.custom is not None:
            image = self._custom(image, rng)
        return image, torch.tensor(self.labels[index])

    def image(self, index: int, turn: int = 0, at: tuple[float, float] = (0.5, 0.5)) -> Tensor:
        """(C, size, size) float32 in [-1, 1] of one chip.

        Args:
            index: Of the chip.
            turn: One of the eight flips and quarter turns; 0 changes nothing.
            at: Where a larger chip is cut, down and across, 0 to 1; the middle if not said.

        Raises:
            ChipError: The chip can't be used.
        """
        return torch.from_numpy(self.chips.encoded(self.chips.stored(index), turn, at)[0])

    def stack(self, indices: Sequence[int] | np.ndarray | None = None) -> tuple[Tensor, Tensor]:
        """(N, C, size, size) images as they are, cut in the middle, and their (N,) labels.

        Args:
            indices: Which chips; None for all, in order.
        """
        chosen = np.arange(len(self.labels)) if indices is None else np.asarray(indices, "int64")
        if not len(chosen):
            raise SettingError("there are no chips to stack")
        images = torch.stack([self.image(int(i)) for i in chosen])
        return images, torch.from_numpy(self.labels[chosen])

    def __getitem__(self, position: int) -> tuple[Tensor, Tensor]:
        """An item of epoch 0."""
        if not -len(self) <= position < len(self):
            raise IndexError(f"no item {position} of {len(self)}")
        position %= len(self)
        return self.draw(Draw(0, position, (int(self.order(0)[position, 0]),)))

    def names(self, draw: Draw) -> tuple[Path, ...]:
        """The file that an item is made of."""
        return (self.chips.files.paths[draw.chips[0]],)

    def _custom(self, image: Tensor, rng: np.random.Generator) -> Tensor:
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        made = self.custom(image, generator)  # type: ignore[misc]
        if not isinstance(made, Tensor) or made.dim() != 3:
            raise SettingError(
                f"transforms gave {type(made).__name__} where one (C, H, W) tensor is due"
            )
        return made
