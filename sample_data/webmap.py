"""The map look: flat areas, cased roads and outlined buildings, as web maps have them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import shapely
from affine import Affine

from sample_data.block import Block, burn
from sample_data.kinds import FIELD, INDEX, KINDS

_FINE = 3  # pixels are painted this much finer and averaged: soft edges
_LAND = (243, 240, 232)
_AREAS = {
    "park": (203, 230, 186),
    "forest": (173, 208, 158),
    "wood": (173, 208, 158),
    "water": (163, 205, 226),
    "residential": (228, 225, 221),
    "centre": (219, 213, 207),
    "industrial": (231, 220, 230),
    "farmyard": (238, 224, 201),
    "orchard": (221, 232, 196),
    "vineyard": (221, 232, 196),
}
_ROADS = {  # fill, casing, least width in pixels
    "track": ((203, 181, 142), None, 1.4),
    "street": ((255, 255, 255), (206, 203, 198), 3.0),
    "main road": ((252, 221, 124), (214, 174, 84), 4.2),
    "highway": ((244, 167, 88), (205, 122, 48), 6.0),
}
_HOUSE, _WALL = (211, 198, 187), (176, 160, 147)
_HIDDEN = ("meadow", "pasture")  # land that a map leaves blank, as it does fields

Colour = tuple[int, int, int]
Paint = Callable[[Sequence[Any] | np.ndarray, Colour], None]


def webmap(block: Block) -> np.ndarray:
    """(3, side, side) uint8: red, green, blue."""
    palette: list[Colour] = [_LAND]
    painted: list[Any] = []
    values: list[int] = []

    def paint(shapes: Sequence[Any] | np.ndarray, colour: Colour) -> None:
        if colour not in palette:
            palette.append(colour)
        painted.extend(shapes)
        values.extend([palette.index(colour)] * len(shapes))

    _areas(block, paint)
    _roads(block, paint)
    _houses(block, paint)
    r, m = block.resolution, block.margin
    edge = Affine(r / _FINE, 0, block.transform.c + m * r, 0, -r / _FINE, block.transform.f - m * r)
    fine = burn(painted, values, edge, (block.side * _FINE,) * 2, "uint8")
    return _averaged(fine, np.array(palette, np.uint8))


def _areas(block: Block, paint: Paint) -> None:
    features = block.features
    low = features.kind < INDEX["track"]
    for shape, kind in zip(features.shape[low][1:], features.kind[low][1:], strict=True):
        name = KINDS[kind].name
        colour = _AREAS.get(name)
        if colour or KINDS[kind].label == FIELD or name in _HIDDEN:
            paint([shape], colour or _LAND)


def _roads(block: Block, paint: Paint) -> None:
    """Casings first, so that crossings are open, and the larger road on top."""
    lines = block.features.line
    for casing in (True, False):
        for name, (fill, border, least) in _ROADS.items():
            mine = lines[block.features.kind == INDEX[name]]
            width = max(KINDS[INDEX[name]].width, least * block.resolution)
            if casing and border:
                paint(shapely.buffer(mine, width / 2 + 0.9 * block.resolution, quad_segs=4), border)
            if not casing:
                paint(shapely.buffer(mine, width / 2, quad_segs=4), fill)


def _houses(block: Block, paint: Paint) -> None:
    shapes = block.features.shape[block.features.kind > INDEX["median"]]
    paint(shapes, _WALL)
    inside = shapely.buffer(shapes, -0.8 * block.resolution, join_style="mitre")
    paint(inside[~shapely.is_empty(inside)], _HOUSE)


def _averaged(fine: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """(3, H, W): mean colour of each _FINE x _FINE square of palette indices."""
    height, width = (n // _FINE for n in fine.shape)
    middle = fine[_FINE // 2 :: _FINE, _FINE // 2 :: _FINE]
    uneven = np.zeros(middle.shape, bool)
    for down in range(_FINE):
        for across in range(_FINE):
            uneven |= fine[down::_FINE, across::_FINE] != middle
    out, mixed = palette[middle], uneven.nonzero()
    squares = fine.reshape(height, _FINE, width, _FINE)
    parts = squares.transpose(0, 2, 1, 3)[mixed].reshape(-1, _FINE * _FINE)
    out[mixed] = (palette[parts].astype(np.uint32).sum(1) + _FINE * _FINE // 2) // (_FINE * _FINE)
    return np.ascontiguousarray(out.transpose(2, 0, 1))
