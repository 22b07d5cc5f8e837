"""Everything on the land as vectors: a table of features, and the land that makes them.

Water and forest are outlined square by square, the rest is built face by face. Both depend on the
seed and their own indices alone, and the last ones are kept in memory.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import shapely
from contourpy import FillType, contour_generator

from sample_data.fields import Fields
from sample_data.kinds import INDEX, KINDS
from sample_data.network import REACH, SPACING, Network

CELL = 1024.0  # metres: side of the squares in which water and forest are outlined
_STEP = 8.0  # metres: lattice of those outlines
_KEPT = 96  # faces, and squares, in memory

Bounds = tuple[float, float, float, float]


class Features(NamedTuple):
    """Features of any kind, one row each.

    Attributes:
        shape: (n,) shapely polygons, as they lie on the ground.
        line: (n,) shapely lines, the middle of each road; None elsewhere.
        kind: (n,) index into ``KINDS``.
        number: (n, 5) float64: tone (-1 to 1), angle in radians, height in metres, and the
            (x, y) of the middle.
    """

    shape: np.ndarray
    line: np.ndarray
    kind: np.ndarray
    number: np.ndarray

    @classmethod
    def of(cls, rows: list[tuple[Any, Any, str, tuple[float, float, float]]]) -> Features:
        """From rows of (shape, line, name of the kind, (tone, angle, height))."""
        shape, line = np.empty(len(rows), object), np.empty(len(rows), object)
        shape[:], line[:] = [row[0] for row in rows], [row[1] for row in rows]
        box = shapely.bounds(shape).reshape(-1, 4)
        middle = np.nan_to_num((box[:, :2] + box[:, 2:]) / 2)
        number = np.array([row[3] for row in rows], float).reshape(-1, 3)
        kind = np.array([INDEX[row[2]] for row in rows], np.int16)
        return cls(shape, line, kind, np.concatenate([number, middle], 1))

    @classmethod
    def join(cls, parts: Iterable[Features]) -> Features:
        """All features of several tables, in painting order."""
        columns = zip(cls.of([]), *parts, strict=True)
        joined = cls(*(np.concatenate(column) for column in columns))
        return joined.take(np.lexsort((joined.kind, _LAYERS[joined.kind])))

    def take(self, index: np.ndarray) -> Features:
        """Some of the rows: indices, or True where kept."""
        return Features(*(column[index] for column in self))

    def named(self, name: str) -> np.ndarray:
        """(n,) shapes of one kind."""
        return self.shape[self.kind == INDEX[name]]

    def within(self, bounds: Bounds) -> Features:
        """Those whose box meets (left, bottom, right, top)."""
        box = shapely.bounds(self.shape).reshape(-1, 4)
        left, bottom, right, top = bounds
        meets = (box[:, 0] <= right) & (box[:, 2] >= left)
        return self.take(meets & (box[:, 1] <= top) & (box[:, 3] >= bottom))


_LAYERS = np.array([kind.layer for kind in KINDS])


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
        left, bottom, right, top = bounds
        reach = (left - REACH, bottom - REACH, right + REACH, top + REACH)
        parts = [self.face(i, j).within(bounds) for i, j in _indices(reach, SPACING)]
        return Features.join([*parts, self.cover(bounds)])

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
        from sample_data.face import build  # a face is built from the land around it

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
