"""A block: a square of pixels at a fixed place on the pixel lattice of a resolution.

Looks are drawn block by block and windows cut from blocks, so a window drawn alone equals the same
pixels of the full scene exactly. A block knows a margin around itself for what reaches across its
edge: shadows, trees, layover.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import shapely
from affine import Affine
from rasterio.features import rasterize

from sample_data.features import Features
from sample_data.kinds import KINDS
from sample_data.land import Land

REACH = 56.0  # metres: the longest shadow


def side(resolution: float) -> int:
    """Pixels along a block's side: fewer where a pixel is larger, so that a block is no county."""
    return 512 if resolution <= 2 else 256 if resolution <= 5 else 128


@dataclass(frozen=True)
class Block:
    """One block of a world.

    Attributes:
        land: Whose features are drawn.
        resolution: Side of a pixel, in metres.
        phase: (x, y) of the pixel lattice's origin, in metres, each from 0 to ``resolution``.
        col: Index of the block from the west.
        row: Index of the block from the north.
    """

    land: Land
    resolution: float
    phase: tuple[float, float]
    col: int
    row: int

    @property
    def side(self) -> int:
        """Pixels along a side, without the margin."""
        return side(self.resolution)

    @property
    def margin(self) -> int:
        """Pixels known on each side beyond the block."""
        return int(np.ceil(REACH / self.resolution)) + 2

    @property
    def cols(self) -> np.ndarray:
        """Column indices of pixels, with the margin, counted from the lattice's origin."""
        return np.arange(-self.margin, self.side + self.margin) + self.col * self.side

    @property
    def rows(self) -> np.ndarray:
        """Row indices, with the margin, growing to the south."""
        return np.arange(-self.margin, self.side + self.margin) + self.row * self.side

    @property
    def x(self) -> np.ndarray:
        """Middle of each column, in metres."""
        return self.phase[0] + (self.cols + 0.5) * self.resolution

    @property
    def y(self) -> np.ndarray:
        """Middle of each row, in metres, falling."""
        return self.phase[1] - (self.rows + 0.5) * self.resolution

    @property
    def core(self) -> tuple[slice, slice]:
        """Rows and columns of the block itself inside an array with the margin."""
        inner = slice(self.margin, self.margin + self.side)
        return inner, inner

    @cached_property
    def features(self) -> Features:
        """What may be seen in the block and its margin, in painting order; row 0 is a meadow."""
        reach = (self.margin + 1) * self.resolution
        left, top = self.x[self.margin], self.y[self.margin]
        span = self.side * self.resolution
        bounds = (left - reach, top - span - reach, left + span + reach, top + reach)
        found = self.land.features(bounds)
        nowhere = Features.of([(None, None, "meadow", (0.0, 0.0, 0.0))])
        return Features(*(np.concatenate(pair) for pair in zip(nowhere, found, strict=True)))

    @cached_property
    def ids(self) -> np.ndarray:
        """Row of ``features`` that each pixel's middle shows, int32, with the margin."""
        shapes, values = self.features.shape[1:], np.arange(1, len(self.features.kind))
        return burn(shapes, values, self.transform, (len(self.rows), len(self.cols)), "int32")

    @property
    def transform(self) -> Affine:
        """Of the array with the margin."""
        r = self.resolution
        return Affine(r, 0, self.x[0] - r / 2, 0, -r, self.y[0] + r / 2)

    @cached_property
    def kinds(self) -> np.ndarray:
        """Index into ``KINDS`` of each pixel, with the margin."""
        return self.features.kind[self.ids]

    @cached_property
    def buildings(self) -> np.ndarray:
        """Height of buildings above the ground in metres, float32, with the margin."""
        return self.features.number[:, 2].astype(np.float32)[self.ids]

    def classes(self) -> np.ndarray:
        """(1, side, side) uint8: keys of ``CLASSES``."""
        return _LABELS[self.kinds[self.core]][None]

    def unmeasured(self, wedge: tuple[float, float, float] | None) -> np.ndarray | None:
        """(side, side) True where ``a * x + b * y > c``; None without a wedge."""
        if wedge is None:
            return None
        a, b, c = wedge
        rows, cols = self.core
        return a * self.x[None, cols] + b * self.y[rows, None] > c


_LABELS = np.array([kind.label for kind in KINDS], np.uint8)


def burn(
    shapes: Sequence[Any] | np.ndarray,
    values: Sequence[int] | np.ndarray,
    transform: Affine,
    shape: tuple[int, int],
    dtype: str,
) -> np.ndarray:
    """Paint polygons one over the other, each in its value; 0 where there is none."""
    if not len(shapes):
        return np.zeros(shape, dtype)
    pairs = zip(_outlines(np.asarray(shapes, object)), map(int, values), strict=True)
    return rasterize(pairs, shape, fill=0, transform=transform, dtype=dtype)


def _outlines(shapes: np.ndarray) -> Iterator[Any]:
    """What ``rasterize`` can read, several times faster than it reads shapely polygons."""
    points, owner = shapely.get_coordinates(shapes, return_index=True)
    ends = np.searchsorted(owner, np.arange(len(shapes) + 1)).tolist()
    plain = (shapely.get_type_id(shapes) == 3) & (shapely.get_num_interior_rings(shapes) == 0)
    rows = points.tolist()
    for index, (shape, simple) in enumerate(zip(shapes, plain.tolist(), strict=True)):
        ring = rows[ends[index] : ends[index + 1]]
        yield {"type": "Polygon", "coordinates": [ring]} if simple else shape
