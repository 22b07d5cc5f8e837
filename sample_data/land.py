"""The land of a world: everything on it as vectors, made where it is asked for.

Water and forest are outlined square by square, the rest is built face by face. Both depend on the
seed and their own indices alone, and the last ones are kept in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import shapely
from contourpy import FillType, contour_generator

from sample_data.face import build
from sample_data.features import Bounds, Features
from sample_data.fields import Fields
from sample_data.network import REACH, SPACING, Network

CELL = 1024.0  # metres: side of the squares in which water and forest are outlined
_STEP = 8.0  # metres: lattice of those outlines
_KEPT = 96  # faces, and squares, in memory


class Land:
    """The features of one world.

    Args:
        seed: Chooses the world.
    """

    def __init__(self, seed: int):
        self.seed = seed
        self.fields, self.network = Fields(seed), Network(seed)
        self.face = lru_cache(_KEPT)(self._face)
        self.square = lru_cache(_KEPT)(self._square)

    def features(self, bounds: Bounds) -> Features:
        """Features that may touch (left, bottom, right, top) in metres, in painting order."""
        return Features.join(self.parts(bounds))

    def parts(self, bounds: Bounds) -> Iterator[Features]:
        """The same a face or a square at a time, each feature once."""
        left, bottom, right, top = bounds
        reach = (left - REACH, bottom - REACH, right + REACH, top + REACH)
        for i, j in _indices(reach, SPACING):
            yield self.face(i, j).within(bounds)
        for i, j in _indices(bounds, CELL):
            yield self.square(i, j).within(bounds)

    def cover(self, bounds: Bounds) -> Features:
        """Water and forest alone."""
        squares = _indices(bounds, CELL)
        return Features.join(self.square(i, j).within(bounds) for i, j in squares)

    def _square(self, i: int, j: int) -> Features:
        steps = np.arange(round(CELL / _STEP) + 1) * _STEP
        x, y = i * CELL + steps, j * CELL + steps
        names = zip(("water", "forest"), self.fields.cover(x, y), strict=True)
        return Features.of(
            [(s, None, name, (0.0, 0.0, 0.0)) for name, z in names for s in _outlines(x, y, z)]
        )

    def _face(self, i: int, j: int) -> Features:
        return Features.of(build(self, i, j))


def _indices(bounds: Bounds, side: float) -> list[tuple[int, int]]:
    left, bottom, right, top = (int(np.floor(at / side)) for at in bounds)
    return [(i, j) for j in range(bottom, top + 1) for i in range(left, right + 1)]


def _outlines(x: np.ndarray, y: np.ndarray, field: np.ndarray) -> list[shapely.Polygon]:
    """Polygons where a field on a lattice is positive."""
    contours = contour_generator(x, y, field.astype(float), fill_type=FillType.OuterOffset)
    found = []
    for points, offsets in zip(*contours.filled(0.0, 1e9), strict=True):
        rings = np.split(points, offsets[1:-1])
        shape = shapely.Polygon(rings[0], rings[1:])
        found.append(shape if shape.is_valid else shapely.make_valid(shape, method="structure"))
    return [part for part in found if part.area > 40]
