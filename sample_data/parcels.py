"""How a face is divided into parcels: cut across, again and again, until each is small enough."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import shapely


class Parcel(NamedTuple):
    """A piece of land.

    Attributes:
        ring: (n, 2) corners in metres, counter-clockwise, not closed.
        angle: Direction of its rows, in radians from east.
        depth: How often it was cut.
    """

    ring: np.ndarray
    angle: float
    depth: int


class Cut(NamedTuple):
    """A line between two parcels: its two ends (2, 2), and how many cuts came before."""

    line: np.ndarray
    depth: int


def divide(
    ring: np.ndarray,
    angle: float,
    size: Callable[[np.ndarray], float],
    random: Callable[[], float],
    depth: int = 0,
) -> Iterator[Parcel | Cut]:
    """Divide a ring into parcels, and give the cuts between them as they are made.

    Args:
        ring: (n, 2) corners in metres, counter-clockwise.
        angle: Direction in which the first cuts run or which they cross, in radians.
        size: Area in square metres that a parcel at a point (x, y) should have.
        random: Gives numbers in [0, 1).
        depth: How often this ring was cut before.
    """
    centre = ring.mean(0)
    ground = area(ring)
    if ground < size(centre) * (0.8 + 1.1 * random()) or len(ring) < 3 or depth > 14:
        yield Parcel(ring, angle, depth)
        return
    angle = angle + (random() - 0.5) * 0.12
    along = np.array([np.cos(angle), np.sin(angle)])
    across = np.array([-along[1], along[0]])
    spans = [np.ptp(ring @ axis) for axis in (along, across)]
    normal = along if spans[0] * (0.85 + 0.3 * random()) > spans[1] else across
    low, high = (ring @ normal).min(), (ring @ normal).max()
    at = low + (high - low) * (0.38 + 0.24 * random())
    first, second, line = split(ring, normal, at)
    if min(area(first), area(second)) < 0.15 * ground or line is None:
        yield Parcel(ring, angle, depth)
        return
    yield Cut(line, depth)
    yield from divide(first, angle, size, random, depth + 1)
    yield from divide(second, angle, size, random, depth + 1)


def split(
    ring: np.ndarray, normal: np.ndarray, at: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """The parts of a ring above and below the line ``p @ normal == at``, and the cut (2, 2).

    Differs from Sutherland & Hodgman 1974 only in keeping both sides.
    """
    d = ring @ normal - at
    after, d_after = _next(ring), _next(d)
    crossed = (d > 0) != (d_after > 0)
    t = np.divide(d, d - d_after, out=np.zeros_like(d), where=crossed)
    met = ring + t[:, None] * (after - ring)
    both = np.stack([ring, met], 1).reshape(-1, 2)
    above, below = (both[np.stack([side, crossed], 1).ravel()] for side in (d > 0, d <= 0))
    if not crossed.any():
        return above, below, None
    ends = met[crossed]
    along = ends @ np.array([-normal[1], normal[0]])
    return above, below, ends[[along.argmin(), along.argmax()]]


def area(ring: np.ndarray) -> float:
    """Square metres inside a ring; negative if it runs clockwise."""
    if len(ring) < 3:
        return 0.0
    x, y = (ring - ring[0]).T
    return float((x * _next(y) - _next(x) * y).sum() / 2)


def polygons(rings: Sequence[np.ndarray]) -> np.ndarray:
    """Shapely polygons of (n, 2) rings, made all at once: one at a time takes ten times as long."""
    if not len(rings):
        return np.empty(0, object)
    owner = np.repeat(np.arange(len(rings)), [len(ring) for ring in rings])
    return shapely.polygons(shapely.linearrings(np.concatenate(rings), indices=owner))


def _next(values: np.ndarray) -> np.ndarray:
    """``values`` from the second on, and the first: np.roll, without its cost."""
    return np.concatenate([values[1:], values[:1]])


def clearance(ring: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Distance in metres from (..., 2) points to a ring's edge; negative outside."""
    p = points[..., None, :] - ring
    edge = _next(ring) - ring
    length = np.maximum((edge**2).sum(-1), 1e-9)
    t = np.clip((p * edge).sum(-1) / length, 0, 1)
    distance = np.sqrt(((p - t[..., None] * edge) ** 2).sum(-1)).min(-1)
    y, rise = points[..., None, 1], edge[:, 1]
    spans = (ring[:, 1] > y) != (ring[:, 1] + rise > y)
    slope = np.divide(edge[:, 0], rise, out=np.zeros_like(rise), where=rise != 0)
    inside = (spans & (p[..., 0] < slope * p[..., 1])).sum(-1) % 2 == 1
    return np.where(inside, distance, -distance)
