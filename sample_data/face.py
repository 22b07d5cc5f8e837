"""The land between four crossings: its parcels, the roads through it, and what is built there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from sample_data import landuse
from sample_data.kinds import INDEX, KINDS
from sample_data.noise import chance, generator
from sample_data.parcels import Cut, Parcel, divide, polygons

if TYPE_CHECKING:
    from sample_data.land import Land

Row = tuple[Any, Any, str, tuple[float, float, float]]
_BRIDGE = {"main road": 160.0, "street": 70.0, "highway": np.inf}  # metres over water


def build(land: Land, i: int, j: int) -> list[Row]:
    """Rows (shape, line, kind, (tone, angle, height)) of face (i, j) of a land.

    A face gives two of the four curves around it, the southern and the western: the others are
    its neighbours'.
    """
    ring = land.network.ring(i, j)
    box = (*ring.min(0), *ring.max(0))
    cover = land.cover(box)
    wet = cover.named("water")
    own = _curves(land, [(0, i, j), (1, i, j)], wet)
    others = _curves(land, [(0, i, j + 1), (1, i + 1, j)], wet)
    random = generator(land.seed, 101, i, j)
    sample = landuse.sampler(land.fields, box)
    chord = ring[len(ring) * 3 // 8] - ring[len(ring) * 7 // 8]  # from the west to the east
    angle = float(np.arctan2(chord[1], chord[0]))
    pieces = list(divide(ring, angle, lambda at: landuse.size(*sample(at)), random.random))
    inner = _paths([p for p in pieces if isinstance(p, Cut)], sample, wet, random)
    blocked = [*cover.shape, *(row[0] for row in own + others + inner)]
    tree = shapely.STRtree(np.array(blocked, object))
    industry = chance(land.seed, 103, i, j) < 0.2
    rows = own + inner
    parcels = [p for p in pieces if isinstance(p, Parcel)]
    for parcel, shape in zip(parcels, polygons([p.ring for p in parcels]), strict=True):
        use = landuse.settle(parcel, *sample(parcel.ring.mean(0)), industry, random)
        rows.append((shape, None, use.name, (use.tone, parcel.angle, 0.0)))
        rows += _standing(use, tree)
    return rows


def _curves(land: Land, sides: list[tuple[int, int, int]], wet: np.ndarray) -> list[Row]:
    """The roads on some sides, (axis, i, j), of a face; none where the way over water is long."""
    rows = []
    for side in sides:
        line = shapely.LineString(land.network.curve(*side))
        name = land.network.rank(*side)
        over = shapely.length(shapely.intersection(line, wet)).sum() if len(wet) else 0.0
        if over < _BRIDGE[name]:
            rows.append(_along(line, name))
            if name == "highway":
                rows.append(_along(line, "median"))
    return rows


def _paths(cuts: list[Cut], sample: Any, wet: np.ndarray, random: np.random.Generator) -> list[Row]:
    """Streets, tracks and hedges along the cuts, as far as they stay dry."""
    sea = shapely.union_all(shapely.buffer(wet, 4.0)) if len(wet) else None
    rows = []
    for cut in cuts:
        name = landuse.between(cut, *sample(cut.line.mean(0)), random)
        line = shapely.LineString(cut.line)
        if name and sea is not None:
            line = shapely.difference(line, sea)
        parts = shapely.get_parts(line) if name else ()
        rows += [_along(part, name) for part in parts if part.length > 12]
    return rows


def _along(line: shapely.LineString, name: str) -> Row:
    kind = KINDS[INDEX[name]]
    shape = shapely.buffer(line, (kind.width or 5.0) / 2, quad_segs=2)
    return (shape, line, name, (0.0, 0.0, 0.0))


def _standing(use: landuse.Use, tree: shapely.STRtree) -> list[Row]:
    """Buildings that stand in no water, wood or road."""
    shapes = polygons([b.ring for b in use.buildings])
    taken = set(tree.query(shapes, predicate="intersects")[0].tolist()) if len(shapes) else ()
    return [
        (shapes[n], None, b.name, (float(use.roofs[n]), b.angle, b.height))
        for n, b in enumerate(use.buildings)
        if n not in taken
    ]
