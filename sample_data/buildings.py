"""Where buildings stand in a parcel: along its edges, or scattered in line with it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import shapely

from sample_data.parcels import clearance, polygons


class Building(NamedTuple):
    """A building.

    Attributes:
        ring: (n, 2) corners in metres.
        angle: Direction of its ridge, in radians from east.
        height: Of its roof, in metres.
        name: Its kind.
    """

    ring: np.ndarray
    angle: float
    height: float
    name: str


class Style(NamedTuple):
    """How buildings of a kind are set out. Pairs are least and most, in metres.

    Attributes:
        name: Kind of building.
        front: Length along the street.
        depth: Length away from it.
        height: Of the roof.
        gap: Between neighbours.
        setback: From the parcel's edge.
        wings: Share of buildings that are L-shaped.
        built: Share of plots with a building.
    """

    name: str
    front: tuple[float, float]
    depth: tuple[float, float]
    height: tuple[float, float]
    gap: tuple[float, float]
    setback: tuple[float, float]
    wings: float = 0.0
    built: float = 1.0


HOUSES = Style("house", (9, 15), (8, 11), (5, 8), (5, 13), (8, 11), 0.3, 0.93)
TERRACES = Style("house", (13, 26), (9, 11), (7, 10), (1.5, 7), (7, 9), 0.12, 0.95)
CITY = Style("block", (16, 34), (12, 16), (12, 22), (0.2, 5), (6, 7), 0.4, 0.95)
SLABS = Style("block", (36, 70), (11, 14), (12, 22), (14, 24), (9, 14))
HALLS = Style("hall", (30, 80), (22, 45), (7, 12), (9, 20), (10, 16), 0.25)
BARNS = Style("barn", (14, 32), (10, 15), (6, 9), (5, 12), (7, 12), 0.35)
SHEDS = Style("barn", (4, 6.5), (3, 4.5), (2.6, 3.2), (3, 6), (5, 9))


def along_edges(ring: np.ndarray, style: Style, random: np.random.Generator) -> list[Building]:
    """Buildings that face the edges of a parcel."""
    edge = np.roll(ring, -1, 0) - ring
    length = np.hypot(*edge.T)
    ends = np.cumsum(length)
    count = int(ends[-1] / (style.front[0] + style.gap[0])) + 1
    draw = random.random((count, 7))
    front, gap = _between(style.front, draw[:, 0]), _between(style.gap, draw[:, 1])
    at = np.cumsum(front + gap) - front / 2 - gap / 2
    keep = (at < ends[-1]) & (draw[:, 2] < style.built)
    at, front, draw = at[keep], front[keep], draw[keep]
    side = np.minimum(np.searchsorted(ends, at), len(ring) - 1)
    along = edge[side] / np.maximum(length[side], 1e-9)[:, None]
    into = np.stack([-along[:, 1], along[:, 0]], 1)
    depth, setback = _between(style.depth, draw[:, 3]), _between(style.setback, draw[:, 4])
    foot = ring[side] + along * (at - ends[side] + length[side])[:, None]
    centre = foot + into * (setback + depth / 2)[:, None]
    return _stand(ring, style, centre, along, front, depth, draw[:, 5:])


def scattered(
    ring: np.ndarray, angle: float, style: Style, tries: int, random: np.random.Generator
) -> list[Building]:
    """Buildings in line with ``angle``, at places tried by chance."""
    draw = random.random((tries, 6))
    low, high = ring.min(0), ring.max(0)
    centre = low + (high - low) * draw[:, :2]
    along = np.broadcast_to([np.cos(angle), np.sin(angle)], centre.shape)
    front, depth = _between(style.front, draw[:, 2]), _between(style.depth, draw[:, 3])
    return _stand(ring, style, centre, along, front, depth, draw[:, 4:])


def apart(buildings: list[Building], gap: float) -> list[Building]:
    """Those buildings that keep ``gap`` metres from every one kept before them."""
    if len(buildings) < 2:
        return buildings
    shapes = polygons([b.ring for b in buildings])
    tree = shapely.STRtree(shapes)
    first, second = tree.query(shapes, predicate="dwithin", distance=gap)
    near: dict[int, list[int]] = {}
    for a, b in zip(first.tolist(), second.tolist(), strict=True):
        near.setdefault(a, []).append(b)
    kept: set[int] = set()
    for index in range(len(buildings)):
        if not kept.intersection(near.get(index, ())):
            kept.add(index)
    return [buildings[index] for index in sorted(kept)]


def _stand(
    ring: np.ndarray,
    style: Style,
    centre: np.ndarray,
    along: np.ndarray,
    front: np.ndarray,
    depth: np.ndarray,
    draw: np.ndarray,
) -> list[Building]:
    """Buildings at (n, 2) centres, without those that leave the parcel or stand too close."""
    into = np.stack([-along[:, 1], along[:, 0]], 1)
    half = along * (front / 2)[:, None], into * (depth / 2)[:, None]
    corners = np.stack([centre + a * half[0] + b * half[1] for a, b in _CORNERS], 1)
    roomy = clearance(ring, corners).min(1, initial=np.inf) > style.setback[0] * 0.6
    found = []
    for n in np.flatnonzero(roomy):
        shape = corners[n]
        if draw[n, 0] < style.wings:
            shape = _with_wing(shape, 0.35 + 0.6 * draw[n, 1], draw[n, 0] < style.wings / 2)
            if clearance(ring, shape).min() < style.setback[0] * 0.6:
                shape = corners[n]
        angle = float(np.arctan2(*along[n, ::-1]))
        height = float(_between(style.height, draw[n, 1]))
        found.append(Building(shape, angle, height, style.name))
    return apart(found, style.gap[0] * 0.7)


_CORNERS = ((-1, -1), (1, -1), (1, 1), (-1, 1))


def _with_wing(corners: np.ndarray, reach: float, left: bool) -> np.ndarray:
    """(6, 2): the rectangle with a wing at the back, on one end."""
    a, b, c, d = corners
    back = (d - a) * reach
    if left:
        middle = d + (c - d) * 0.45
        return np.stack([a, b, c, middle, middle + back, d + back])
    middle = c + (d - c) * 0.45
    return np.stack([a, b, c + back, middle + back, middle, d])


def _between(pair: tuple[float, float], share: np.ndarray) -> np.ndarray:
    return pair[0] + (pair[1] - pair[0]) * share
