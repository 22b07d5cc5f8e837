"""Where chips are cut: a lattice of windows, its rows as strips, and what lies inside an area."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from rasterio.windows import Window

from ..errors import SettingError

if TYPE_CHECKING:
    from ..raster.grid import Grid
    from ..raster.pixels import Array, Mask

_NEARLY = 1e-6  # of a chip's area: an edge that misses by rounding only does not count


@dataclass(frozen=True)
class Lattice:
    """Windows of ``size`` px every ``stride`` px, from a raster's upper-left corner.

    Every window lies wholly inside the raster. Cells are numbered from that corner also where
    only a part is cut, so a chip keeps its number when the area of interest changes.

    Attributes:
        rows: Rows of cells.
        cols: Columns of cells.
        size: Side of a window in pixels.
        stride: Step between windows in pixels; below ``size`` they overlap.
        columns: Columns of cells in the whole raster.
    """

    rows: range
    cols: range
    size: int
    stride: int
    columns: int

    @classmethod
    def over(
        cls, shape: tuple[int, int], size: int, stride: int, within: Window | None = None
    ) -> Lattice:
        """The lattice of a raster of this (height, width).

        Args:
            shape: Of the raster, in pixels.
            size: Side of a window.
            stride: Step between windows.
            within: Only cells that meet this window; None is the whole raster.
        """
        counts = [max(0, (length - size) // stride + 1) for length in shape]
        rows, cols = (range(count) for count in counts)
        if within is not None:
            rows = _meeting(rows, within.row_off, within.height, size, stride)
            cols = _meeting(cols, within.col_off, within.width, size, stride)
        return cls(rows, cols, size, stride, counts[1])

    def __len__(self) -> int:
        return len(self.rows) * len(self.cols)

    def window(self, row: int, col: int) -> Window:
        """The window of a cell."""
        return Window(col * self.stride, row * self.stride, self.size, self.size)

    def number(self, row: int, col: int) -> int:
        """A cell's number in the whole raster, row by row."""
        return row * self.columns + col


def checked_size(size: int, stride: int | None) -> tuple[int, int]:
    """(size, stride), where a stride of None is the size.

    Raises:
        SettingError: One of them is below 1.
    """
    stride = size if stride is None else stride
    if size < 1 or stride < 1:
        raise SettingError(f"size={size} and stride={stride} must be at least 1 pixel")
    return int(size), int(stride)


def strips(cols: Sequence[int], lattice: Lattice, widest: int) -> Iterator[list[int]]:
    """``cols`` of one row in runs that are read at once, each at most ``widest`` pixels wide.

    A run ends before a gap of more than two chips, so that little is read for nothing.
    """
    run = list(cols[:1])
    for last, col in pairwise(cols):
        wide = (col - run[0]) * lattice.stride + lattice.size > widest
        if wide or (col - last) * lattice.stride > 3 * lattice.size:
            yield run
            run = []
        run.append(col)
    if run:
        yield run


def quads(grid: Grid, lattice: Lattice, row: int, cols: Sequence[int]) -> Array:
    """Footprints (shapely polygons) of the cells of one row, in the CRS of ``grid``."""
    left, top = np.asarray(cols, float) * lattice.stride, float(row * lattice.stride)
    right, bottom = left + lattice.size, top + lattice.size
    ring = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
    t = grid.transform
    corners = [(t.a * x + t.b * y + t.c, t.d * x + t.e * y + t.f) for x, y in ring]
    xy = np.stack([np.stack(corner, axis=-1) for corner in corners], axis=1)
    return np.asarray(shapely.polygons(xy), dtype=object)


def inside(footprints: Array, area: Any, share: float = 1.0) -> Mask:
    """(N,) bool, True for footprints of which at least ``share`` lies in ``area``.

    Args:
        footprints: Polygons in the CRS of ``area``.
        area: A shapely geometry; prepare it where there are many calls.
        share: Of a footprint's area, above 0 to 1. At 1 it lies wholly inside.
    """
    kept: Mask = shapely.covers(area, footprints)
    edge = ~kept & shapely.intersects(area, footprints)
    if edge.any():  # only those on the area's edge are worth cutting
        part = shapely.area(shapely.intersection(footprints[edge], area))
        kept[edge] = part >= (share - _NEARLY) * shapely.area(footprints[edge])
    return kept


def _meeting(cells: range, start: float, length: float, size: int, stride: int) -> range:
    """The cells whose windows overlap [start, start + length)."""
    first = max(cells.start, (int(start) - size) // stride + 1)
    last = min(cells.stop, -(-int(start + length) // stride))
    return range(first, max(first, last))
