"""Whether a raster is the one it was: a digest of what it is and of some of its pixels."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from rasterio.windows import Window

if TYPE_CHECKING:
    from .reader import Reader

_BLOCKS = 16  # along each side are spread over a raster, at most
_SIDE = 64  # pixels of such a block


def digest_of(reader: Reader) -> str:
    """Sixteen hexadecimal digits that change with a raster's grid, bands, dtype or pixels.

    Pixels are those of 16 x 16 blocks of 64 px spread evenly, so the time does not grow with the
    raster; a raster of up to 1024 px is read throughout. Another copy of the same pixels, under
    another name or compression, has the same digest.
    """
    grid = reader.grid
    crs = grid.crs.to_wkt() if grid.crs else ""
    head = (grid.shape, tuple(grid.transform)[:6], crs, reader.count, reader.dtype, reader.names)
    sha = hashlib.sha256(repr(head).encode())
    for window in _spread(grid.shape):
        pixels = reader.read(window)
        mask = np.ma.getmaskarray(pixels)
        sha.update(np.packbits(mask).tobytes())
        sha.update(np.where(mask, 0, pixels.data).astype(pixels.dtype).tobytes())
    return sha.hexdigest()[:16]


def _spread(shape: tuple[int, int]) -> Iterator[Window]:
    """Blocks over a raster; they touch where it is small."""
    (tops, rows), (lefts, cols) = (_stops(n) for n in shape)
    for top in tops:
        for left in lefts:
            yield Window(left, top, min(cols, shape[1] - left), min(rows, shape[0] - top))


def _stops(size: int) -> tuple[list[int], int]:
    """Where blocks begin along a side, and how long they are."""
    if size <= _BLOCKS * _SIDE:
        return list(range(0, size, _SIDE)), _SIDE
    return [round(i * (size - _SIDE) / (_BLOCKS - 1)) for i in range(_BLOCKS)], _SIDE
