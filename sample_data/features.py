"""A table of features: shapely shapes with what is needed to paint them, in painting order."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import shapely

from sample_data.kinds import INDEX, KINDS

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
