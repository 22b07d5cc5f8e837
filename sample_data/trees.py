"""Trees one by one: a jittered lattice, thinned by what grows where, and their crowns."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sample_data.block import Block
from sample_data.kinds import KINDS
from sample_data.noise import hashed, uniform

_SPACING = 5.2  # metres between lattice points
_DENSITY = np.array([kind.trees for kind in KINDS])


class Crowns(NamedTuple):
    """What grows above the ground, (H, W) float32 each, with the block's margin.

    Attributes:
        top: Height of the leaves above the ground in metres; 0 where there is no tree.
        dome: 0 at a crown's rim to 1 at its middle.
        tone: -1 to 1, the same over one crown.
        conifer: 1 for conifers, 0 for broadleaved trees.
    """

    top: np.ndarray
    dome: np.ndarray
    tone: np.ndarray
    conifer: np.ndarray


def crowns(block: Block) -> Crowns:
    """The trees of a block. Each depends on the seed, its lattice point and what lies there."""
    shape = block.ids.shape
    canopy = Crowns(*(np.zeros(shape, np.float32) for _ in range(4)))
    x, y, lot, row, col = _standing(block)
    if not len(x):
        return canopy
    conifer = block.land.fields.conifer.points(x, y) + 1.4 * (lot[3] - 0.5) > 0.25
    radius = np.where(conifer, 1.9, 2.5) + 1.5 * lot[0]
    height = np.where(conifer, 8.5, 6.5) + 7 * lot[1]
    radius = np.maximum(radius, 0.5 * block.resolution)
    tone = 2 * lot[2] - 1
    span = int(np.ceil(radius.max() / block.resolution))
    off = (x - block.x[col]) / block.resolution, (block.y[row] - y) / block.resolution
    for up in range(-span, span + 1):
        for right in range(-span, span + 1):
            far = np.hypot(off[0] - right, off[1] - up) * block.resolution / radius
            hit = (far < 1) & _inside(row + up, shape[0]) & _inside(col + right, shape[1])
            at = (row[hit] + up, col[hit] + right)
            bulge = np.sqrt(1 - far[hit] ** 2)
            bulge = np.where(conifer[hit], 1 - far[hit], bulge)
            _raise(canopy, at, height[hit], bulge, tone[hit], conifer[hit])
    return canopy


def _standing(block: Block) -> tuple[np.ndarray, ...]:
    """x, y, four numbers in [0, 1), row and column of each tree that stands."""
    spacing = max(_SPACING, 1.6 * block.resolution)
    seed = block.land.seed * 19
    i = np.arange(np.floor(block.x[0] / spacing), np.ceil(block.x[-1] / spacing)).astype(int)
    j = np.arange(np.floor(block.y[-1] / spacing), np.ceil(block.y[0] / spacing)).astype(int)
    i, j = (n.ravel() for n in np.meshgrid(i, j))
    h = hashed(i, j, seed + 1)
    x = (i + 0.5 + 0.8 * ((h & np.uint32(0xFFFF)) / 65536 - 0.5)) * spacing
    y = (j + 0.5 + 0.8 * ((h >> np.uint32(16)) / 65536 - 0.5)) * spacing
    col = np.floor((x - block.x[0]) / block.resolution + 0.5).astype(int)
    row = np.floor((block.y[0] - y) / block.resolution + 0.5).astype(int)
    near = _inside(row, len(block.rows)) & _inside(col, len(block.cols))
    i, j, x, y, row, col = (n[near] for n in (i, j, x, y, row, col))
    stands = uniform(i, j, seed + 2) < _DENSITY[block.kinds[row, col]]
    i, j, x, y, row, col = (n[stands] for n in (i, j, x, y, row, col))
    h = hashed(i, j, seed + 3)
    lot = np.stack([(h >> np.uint32(8 * k)) & np.uint32(0xFF) for k in range(4)]) / 256
    return x, y, lot, row, col


def _inside(index: np.ndarray, length: int) -> np.ndarray:
    return (index >= 0) & (index < length)


def _raise(
    canopy: Crowns,
    at: tuple[np.ndarray, np.ndarray],
    height: np.ndarray,
    bulge: np.ndarray,
    tone: np.ndarray,
    conifer: np.ndarray,
) -> None:
    """Let crowns stand out where they are higher than what is there; a pixel counts once."""
    top = height * (0.55 + 0.45 * bulge)
    higher = top > canopy.top[at]
    at = at[0][higher], at[1][higher]
    columns = (top, bulge, tone, conifer)
    for field, values in zip(canopy, columns, strict=True):
        field[at] = values[higher]
