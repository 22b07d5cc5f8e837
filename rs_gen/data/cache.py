"""Decoded chips held in memory, shared by this process and the workers forked from it.

Decoding the same thousand JPEGs every epoch is work that a small machine feels. Memory is taken
as chips come in, not before.
"""

from __future__ import annotations

import mmap
import os
from typing import Any

import numpy as np

from ..errors import SettingError

LIMIT = 2 * 1024**3  # bytes, for all sides of a dataset
_EMPTY, _WHOLE, _MASKED = 0, 1, 2


class ChipCache:
    """Room for ``count`` chips of one shape and dtype.

    Args:
        count: Chips.
        shape: (C, H, W) of each.
        dtype: Of the stored values.
    """

    def __init__(self, count: int, shape: tuple[int, int, int], dtype: str):
        self.count, self.shape, self.dtype = count, tuple(shape), np.dtype(dtype)
        self._open()

    @property
    def nbytes(self) -> int:
        """Bytes when every chip is in, without masks."""
        return nbytes(self.count, self.shape, self.dtype)

    def get(self, index: int) -> np.ma.MaskedArray | None:
        """A chip put in before, or None. It is the cache's own memory: not to be written to."""
        state = self._states[index]
        if state == _EMPTY:
            return None
        mask = self._masks[index] if state == _MASKED else np.ma.nomask
        return np.ma.MaskedArray(self._chips[index], mask=mask)

    def put(self, index: int, chip: np.ma.MaskedArray) -> None:
        """Keep a chip, if it has the shape and dtype that there is room for."""
        if chip.shape != self.shape or chip.dtype != self.dtype:
            return
        mask = np.ma.getmaskarray(chip)
        self._chips[index] = np.ma.getdata(chip)
        if mask.any():
            self._masks[index] = mask
        self._states[index] = _MASKED if mask.any() else _WHOLE  # last: others may be looking

    def __len__(self) -> int:
        """Chips held now."""
        return int(np.count_nonzero(self._states))

    def __getstate__(self) -> dict[str, Any]:
        # A spawned worker starts with an empty cache of its own.
        return {"count": self.count, "shape": self.shape, "dtype": self.dtype}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._open()

    def _open(self) -> None:
        # Anonymous maps are shared with forked children and take no memory until written to.
        shape = (self.count, *self.shape)
        self._chips = _shared(shape, self.dtype)
        self._masks = _shared(shape, np.dtype(bool))
        self._states = _shared((self.count,), np.dtype("uint8"))


def nbytes(count: int, shape: tuple[int, ...], dtype: Any) -> int:
    """Bytes that ``count`` chips take."""
    return count * int(np.prod(shape, dtype="int64")) * np.dtype(dtype).itemsize


def budget(cache: object) -> int:
    """Bytes that may be used.

    Args:
        cache: "auto" for 2 GiB but at most a quarter of the machine's memory; True for any
            amount; False or None for nothing; a number for so many GiB.

    Raises:
        SettingError: It is something else.
    """
    if cache is True:
        return 2**62
    if cache is None or cache is False:
        return 0
    if cache == "auto":
        return min(LIMIT, _memory() // 4)
    if isinstance(cache, int | float) and cache >= 0:
        return int(cache * 1024**3)
    raise SettingError(f"cache={cache!r} is neither 'auto', True, False nor a number of GiB")


def _memory() -> int:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # Windows has no sysconf
        return 4 * LIMIT


def _shared(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    held = mmap.mmap(-1, max(1, nbytes(1, shape, dtype)))
    return np.frombuffer(held, dtype, count=int(np.prod(shape, dtype="int64"))).reshape(shape)
