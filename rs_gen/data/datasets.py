"""Chips as items: both sides of a pair, or two sides that never met.

An item is a function of (seed, epoch, position, chips) alone; see :mod:`rs_gen.data.draws`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..chips.index import halves, read_chip
from ..errors import ChipError, SettingError
from .cache import ChipCache
from .draws import Order, dice
from .loader import Draw
from .side import Side
from .transforms import Augment, averaged, crop, dihedral

FLAT_SHARE = 0.95  # of a chip's pixels near its median colour make it a one-colour chip
FLAT_NEAR = 0.04  # encoded units, five levels of 8 bits: what JPEG does to one colour


class Files:
    """Chips on disk as stored values, checked against what the others of their side are.

    Args:
        paths: Of the chips.
        count: Bands that a chip must have, after the choice of ``bands``.
        dtype: That a chip must have.
        bands: Indices from 0 in the file, in the order wanted; None for all.
        half: 0 for the left and 1 for the right half of every image; None for all of it.
        last: A list that the two halves of one image share, so that it is decoded once.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        count: int,
        dtype: str,
        *,
        bands: Sequence[int] | None = None,
        half: int | None = None,
        last: list | None = None,
    ):
        self.paths, self.count, self.dtype = tuple(paths), count, dtype
        self.bands = None if bands is None else tuple(bands)
        self.half, self._last = half, last if last is not None else []
        self.cache: ChipCache | None = None

    def __len__(self) -> int:
        return len(self.paths)

    def read(self, index: int) -> np.ma.MaskedArray:
        """(C, H, W) stored values, masked where nothing was measured. Not to be written to.

        Raises:
            ChipError: The chip is missing or broken, or has other bands or another dtype than
                the rest of its side.
        """
        held = self.cache.get(index) if self.cache is not None else None
        if held is not None:
            return held
        chip = self._decode(self.paths[index])
        mask = np.ma.getmask(chip)
        if mask is not np.ma.nomask and not mask.any():
            chip = np.ma.MaskedArray(chip.data)  # no mask is quicker than an empty one
        self._check(self.paths[index], chip)
        if self.cache is not None:
            self.cache.put(index, chip)
        return chip

    def _decode(self, path: Path) -> np.ma.MaskedArray:
        if self.half is None:
            return self._read(path)
        if not self._last or self._last[0] != path:
            self._last[:] = [path, read_chip(path)]
        side = halves(self._last[1])[self.half]
        return side if self.bands is None else side[list(self.bands)]

    def _read(self, path: Path) -> np.ma.MaskedArray:
        try:
            return read_chip(path, self.bands)
        except SettingError as error:
            raise ChipError(f"chip {path}: {error}") from error

    def _check(self, path: Path, chip: np.ma.MaskedArray) -> None:
        if len(chip) != self.count:
            raise ChipError(
                f"chip {path} has {len(chip)} bands where the others of its side have "
                f"{self.count}; remove it, or choose bands that all chips have with bands="
            )
        if chip.dtype != self.dtype:
            raise ChipError(
                f"chip {path} is {chip.dtype} where the others of its side are {self.dtype}; "
                "export the chips again with one dtype"
            )

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_last": []}


class Chips:
    """One side of a dataset, ready to be cut and encoded.

    Args:
        files: The chips as they are stored.
        side: What they are, with their stretch.
        size: Side of what a network reads, in pixels.
        shrink: Pixels averaged into one, down and across, before a chip is cut.
    """

    def __init__(self, files: Files, side: Side, size: int, *, shrink: int = 1):
        self.files, self.side, self.size, self.shrink = files, side, size, shrink

    def __len__(self) -> int:
        return len(self.files)

    def stored(self, index: int) -> np.ma.MaskedArray:
        """(C, H, W) stored values of a whole chip, after ``shrink``.

        Raises:
            ChipError: It can't be used; see ``Files.read``, and: it is smaller than ``size``.
        """
        chip = averaged(self.files.read(index), self.shrink)
        height, width = chip.shape[1:]
        if min(height, width) < self.size:
            raise ChipError(
                f"chip {self.files.paths[index]} is {width} x {height} px, smaller than "
                f"chip_size={self.size}; pass chip_size={min(height, width)} or less, or leave "
                f"small chips out with min_size={self.size}"
            )
        return chip

    def encoded(
        self,
        stored: np.ma.MaskedArray,
        turn: int = 0,
        at: tuple[float, float] = (0.5, 0.5),
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """(C, size, size) float32 in [-1, 1] cut from a whole chip, and its mask or None."""
        pixels = self._place(np.ma.getdata(stored), turn, at)
        mask = np.ma.getmask(stored)
        if mask is np.ma.nomask:
            return self.side.stretch.encode(pixels), None
        mask = self._place(mask, turn, at)
        return self.side.stretch.encode(np.ma.MaskedArray(pixels, mask)), mask

    def _place(self, pixels: np.ndarray, turn: int, at: tuple[float, float]) -> np.ndarray:
        return np.ascontiguousarray(dihedral(crop(pixels, self.size, at), turn))


class ChipSet(ABC):
    """What the two kinds of dataset share. ``len`` is the items of an epoch.

    Args:
        a: Side A, the source.
        b: Side B, the target.
        seed: Of order and augmentation.
        augment: What is drawn anew in each epoch; None for nothing (validation).
        rare: For each side a (chips,) bool of chips to show less often, or None.
        share: Of those in one epoch, 0 to 1.
    """

    paired: bool

    def __init__(
        self,
        a: Chips,
        b: Chips,
        seed: int,
        augment: Augment | None = None,
        *,
        rare: tuple[np.ndarray | None, np.ndarray | None] = (None, None),
        share: float = 1.0,
    ):
        self.a, self.b, self.seed = a, b, seed
        self.training, self.augment = augment is not None, augment or Augment.none()
        self._orders = tuple(
            Order(len(side), seed, name, rare=few, share=share)
            for side, name, few in zip((a, b), "ab", rare, strict=True)
        )

    @abstractmethod
    def order(self, epoch: int) -> np.ndarray:
        """(items, 2): which chips make the items of an epoch, in order."""

    def draw(self, draw: Draw) -> tuple[Tensor, Tensor]:
        """(a, b), each (C, size, size) float32 in [-1, 1]; not measured is 0."""
        rng = dice(self.seed, "item", draw.epoch, draw.position)
        place = self.augment.place(rng)
        stored = [side.stored(i) for side, i in zip((self.a, self.b), draw.chips, strict=True)]
        if self.paired:
            self._check_sizes(draw, *stored)
        other = place if self.paired else self.augment.place(rng)
        a, hidden = self.a.encoded(stored[0], *place)
        b, _ = self.b.encoded(stored[1], *other)
        if self.augment.jitter is not None:
            a = self.augment.jitter(a, rng)
            if hidden is not None:
                a[hidden] = 0
        return self._custom(torch.from_numpy(a), torch.from_numpy(b), rng)

    def __getitem__(self, position: int) -> tuple[Tensor, Tensor]:
        """An item of epoch 0."""
        if not -len(self) <= position < len(self):
            raise IndexError(f"no item {position} of {len(self)}")
        position %= len(self)
        chips = tuple(int(chip) for chip in self.order(0)[position])
        return self.draw(Draw(0, position, chips))

    @abstractmethod
    def __len__(self) -> int: ...

    def names(self, draw: Draw) -> tuple[Path, ...]:
        """The files that an item is made of."""
        return tuple(
            side.files.paths[i] for side, i in zip((self.a, self.b), draw.chips, strict=True)
        )

    def _custom(self, a: Tensor, b: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        if self.augment.custom is None:
            return a, b
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        made = self.augment.custom(a, b, generator)
        if not (isinstance(made, tuple) and len(made) == 2):
            raise SettingError(
                f"transforms gave {type(made).__name__} where a tuple (a, b) of two tensors is due"
            )
        return made

    def _check_sizes(self, draw: Draw, a: np.ndarray, b: np.ndarray) -> None:
        if a.shape[1:] != b.shape[1:]:
            first, second = self.names(draw)
            raise ChipError(unequal(first, a.shape[:0:-1], second, b.shape[:0:-1]))


class Paired(ChipSet):
    """Pairs: chip i of A shows what chip i of B shows, and both are turned and cut alike."""

    paired = True

    def __len__(self) -> int:
        return len(self._orders[0]) if self.training else len(self.a)

    def order(self, epoch: int) -> np.ndarray:
        """(items, 2): the same chip on both sides."""
        chips = self._orders[0].epoch(epoch) if self.training else np.arange(len(self.a))
        return np.stack([chips, chips], axis=1)


class Unpaired(ChipSet):
    """Two sides that show different places, each in an order of its own.

    An epoch is as long as the larger side, and the smaller one goes round in full permutations:
    every chip of both sides is seen in every epoch. Without augmentation, for validation, what
    meets what is fixed by the seed, or chip i meets chip i if they are ``twins``.

    Attributes:
        twins: The sides are pairs after all. Training takes no notice; validation pairs are real.
    """

    paired = False
    twins = False

    def __len__(self) -> int:
        if self.training:
            return max(len(order) for order in self._orders)
        return max(len(self.a), len(self.b))

    def order(self, epoch: int) -> np.ndarray:
        """(items, 2): an order for each side."""
        if self.training:
            sides = [order.fill(epoch, len(self)) for order in self._orders]
        elif self.twins:
            sides = [np.arange(len(self))] * 2
        else:
            a = np.resize(np.arange(len(self.a)), len(self))
            sides = [a, self._orders[1].fill(0, len(self))]
        return np.stack(sides, axis=1)


def one_colour(chips: Chips) -> np.ndarray:
    """(chips,) bool: True where more than 95 % of a chip are near its median colour.

    Near is within 0.04 in encoded units in every band. Looks at every chip, so it takes a while.
    """
    flat = np.zeros(len(chips), bool)
    for index in range(len(chips)):
        stored = chips.stored(index)[:, ::2, ::2]
        encoded = chips.side.stretch.encode(stored).reshape(len(stored), -1)
        middle = np.median(encoded, axis=1, keepdims=True)
        flat[index] = (np.abs(encoded - middle).max(axis=0) <= FLAT_NEAR).mean() > FLAT_SHARE
    return flat


def unequal(a: Path, size_a: tuple, b: Path, size_b: tuple) -> str:
    """What to say of a pair whose two chips have different (width, height)."""
    (w, h), (w_b, h_b) = size_a, size_b
    return (
        f"{a} is {w} x {h} px but its partner {b} is {w_b} x {h_b} px; both sides of a pair need "
        "one size: export them again from rasters of one resolution"
    )
