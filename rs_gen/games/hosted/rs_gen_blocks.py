"""Blocks of a raster, on the raster: what a network has to read to answer for each pixel.

Part of a saved model, beside ``RSGenImageTranslation.py``; needs numpy alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


class Look(NamedTuple):
    """How a network looks at a raster, in pixels.

    Attributes:
        phase: Its images begin and end at multiples of this.
        halo: It looks so far around a pixel, a multiple of the phase.
        least: Side of the smallest image that it takes, a multiple of the phase.
        tile: Side of what is computed at once, a multiple of the phase.
    """

    phase: int
    halo: int
    least: int
    tile: int

    @property
    def padding(self) -> int:
        """What a block needs around it: it may begin off the phase, on a raster of any size."""
        return up(max(self.halo, self.least), self.phase) + self.phase


class Grid:
    """Size of a raster in pixels, and where its corner lies."""

    def __init__(
        self, height: int, width: int, corner: tuple[float, float] = (0.0, 0.0),
        cell: tuple[float, float] = (1.0, 1.0),
    ):  # fmt: skip
        self.height, self.width, self.corner, self.cell = height, width, corner, cell

    @classmethod
    def of(cls, info: Mapping[str, Any]) -> Grid | None:
        """From a raster's info or an output's properties; None where they do not tell."""
        extent, cell = info.get("extent"), info.get("cellSize")
        if extent is None or cell is None or not (cell[0] and cell[1]):
            return None
        left, bottom, right, top = (float(v) for v in extent)
        x, y = abs(float(cell[0])), abs(float(cell[1]))
        return cls(round((top - bottom) / y), round((right - left) / x), (left, top), (x, y))

    def offset(self, part: Grid) -> tuple[int, int]:
        """(rows, columns) from this grid's corner to a part's."""
        return (round((self.corner[1] - part.corner[1]) / self.cell[1]),
                round((part.corner[0] - self.corner[0]) / self.cell[0]))  # fmt: skip

    def alike(self, part: Grid) -> bool:
        """Whether a part has the same pixels."""
        same = all(abs(a / b - 1) < 1e-6 for a, b in zip(self.cell, part.cell, strict=True))
        apart = ((self.corner[1] - part.corner[1]) / self.cell[1],
                 (part.corner[0] - self.corner[0]) / self.cell[0])  # fmt: skip
        return same and all(abs(n - round(n)) < 1e-3 for n in apart)


class Tile(NamedTuple):
    """What is computed at once.

    Attributes:
        rows: First row that the network reads and the one behind the last, on the raster padded
            to the phase.
        cols: Likewise.
        place: Rows and columns of the block that it answers for.
        keep: The same within what the network gives.
    """

    rows: tuple[int, int]
    cols: tuple[int, int]
    place: tuple[slice, slice]
    keep: tuple[slice, slice]


class Block:
    """A block with its padding, on the raster.

    Args:
        pixels: (C, H, W), encoded.
        valid: (H, W), True where every band was measured.
        origin: (row, col) of the output block on the raster.
        grid: Of the raster.
        look: Of the network.
    """

    def __init__(
        self, pixels: Array, valid: Array, origin: tuple[int, int], grid: Grid, look: Look
    ):
        self.pixels, self.valid, self.origin, self.grid = pixels, valid, origin, grid
        self.look = look

    def inner(self, rows: int, cols: int) -> Array:
        """(rows, cols), True where a pixel of the output was measured."""
        padding = self.look.padding
        return self.valid[padding : padding + rows, padding : padding + cols]

    def tiles(self, rows: int, cols: int) -> Iterator[Tile]:
        """The block in squares on multiples of the tile's side, where anything was measured."""
        valid = self.inner(rows, cols)
        for top, bottom in _cuts(self.origin[0], rows, self.look.tile, self.grid.height):
            for left, right in _cuts(self.origin[1], cols, self.look.tile, self.grid.width):
                place = (slice(top - self.origin[0], bottom - self.origin[0]),
                         slice(left - self.origin[1], right - self.origin[1]))  # fmt: skip
                if not valid[place].any():
                    continue
                down = _reads(top, bottom, self.grid.height, self.look)
                along = _reads(left, right, self.grid.width, self.look)
                keep = (slice(top - down[0], bottom - down[0]),
                        slice(left - along[0], right - along[0]))  # fmt: skip
                yield Tile(down, along, place, keep)

    def read(self, tile: Tile) -> Array:
        """(C, H, W) that the network reads, mirrored at the raster's right and lower edge."""
        padding = self.look.padding
        rows = self._indices(tile.rows, self.grid.height, self.origin[0] - padding)
        cols = self._indices(tile.cols, self.grid.width, self.origin[1] - padding)
        return np.ascontiguousarray(self.pixels[:, rows][:, :, cols])

    def _indices(self, span: tuple[int, int], size: int, start: int) -> Array:
        at = np.arange(*span)
        period = max(2 * (size - 1), 1)
        folded = at % period
        found: Array = np.where(folded >= size, period - folded, folded) - start
        return found


def _cuts(start: int, count: int, size: int, end: int) -> Iterator[tuple[int, int]]:
    """A line of pixels, cut at multiples of ``size``; nothing of it lies outside of the raster."""
    at, stop = max(start, 0), min(start + count, end)
    while at < stop:
        after = min((at // size + 1) * size, stop)
        yield at, after
        at = after


def _reads(first: int, after: int, size: int, look: Look) -> tuple[int, int]:
    """Which pixels the network reads to answer for some, on the phase and on the padded raster."""
    phase, halo = look.phase, look.halo
    padded = up(max(size, look.least), phase)
    low = max((first - halo) // phase * phase, 0)
    high = min(up(after + halo, phase), padded)
    if high - low < look.least:
        high = min(low + look.least, padded)
        low = max(high - look.least, 0)
    return low, high


def up(n: int, step: int) -> int:
    """The smallest multiple of ``step`` that is not below ``n``."""
    return -(-n // step) * step
