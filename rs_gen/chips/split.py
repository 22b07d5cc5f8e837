"""Training and validation apart on the ground: whole blocks, with a buffer between.

Neighbouring chips show nearly the same ground, so a random split scores what was learnt by heart
(Roberts et al., Ecography 2017, doi:10.1111/ecog.02881, on blocks and buffers).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import shapely

from ..errors import SettingError, SplitWarning

if TYPE_CHECKING:
    from ..raster.pixels import Array, Mask

TRAIN, VALID, BUFFER = "train", "valid", "buffer"
_BLOCKS = 6  # that validation is spread over, where there are chips enough
_FULL = 16  # chips a validation block should have before there is a second one
_DRAWS = 12  # from which the one that wastes fewest chips is taken, in small datasets
_MANY = 3000  # chips from which on one draw wastes little anyway


def split_by_place(
    places: Array,
    share: float = 0.1,
    *,
    spacing: float,
    buffer: float,
    seed: int = 42,
    groups: Sequence[int] | None = None,
) -> Array:
    """(N,) of ``train``, ``valid`` or ``buffer`` for chips at these places.

    The ground is cut into square blocks. Blocks drawn with ``seed`` are for validation, whole; a
    chip within ``buffer`` of a validation chip is in neither part. So no validation chip overlaps
    a training one, whichever rasters the two were cut from, and with a buffer none touches it.

    Args:
        places: (N,) shapely polygons, all in one CRS.
        share: Of the chips for validation, 0 to less than 1. 0 gives none.
        spacing: Usual step between chips, in CRS units.
        buffer: Least distance between the two parts, in CRS units. At 0 chips may touch.
        seed: Of the draw.
        groups: Number of a group for each chip; each group gets its share. None is one group.

    Raises:
        SettingError: ``share`` or ``buffer`` is out of range.

    Warns:
        SplitWarning: The chips are too few or too close to be parted: all are for training.
    """
    if not 0 <= share < 1:
        raise SettingError(f"valid_share={share} must be from 0 to less than 1")
    if buffer < 0:
        raise SettingError(f"buffer={buffer} must be at least 0")
    split = np.full(len(places), TRAIN, dtype=object)
    if share == 0 or not len(places):
        return split
    kinds = np.zeros(len(places), int) if groups is None else np.asarray(groups)
    found = _best(places, kinds, share, spacing, buffer, seed)
    if found is None:
        warnings.warn(
            f"validation is empty: {len(places)} chips can't be parted with a buffer of"
            f" {buffer:g} ({spacing:g} from chip to chip, in CRS units) and leave some to train"
            " on; cut more or smaller chips, lower buffer, or give a validation raster of its own",
            SplitWarning,
            stacklevel=3,
        )
        return split
    valid, near = found
    split[valid], split[near] = VALID, BUFFER
    return split


def _best(
    places: Array, groups: Array, share: float, spacing: float, buffer: float, seed: int
) -> tuple[Mask, Mask] | None:
    """The draw that wastes fewest chips in the buffer and comes nearest to the share."""
    rng = np.random.default_rng(seed)
    wanted = {g: max(1, round(share * int((groups == g).sum()))) for g in np.unique(groups)}
    total = sum(wanted.values())
    blocks = min(max(total // _FULL, 1), _BLOCKS)
    most = max(1, round(math.sqrt(total / blocks)))
    middles = shapely.get_coordinates(shapely.centroid(places))
    best: tuple[float, Mask, Mask] | None = None
    for steps in range(most, 0, -1):
        for _ in range(_DRAWS if len(places) < _MANY else 1):
            valid = _draw(middles, groups, wanted, steps, spacing, rng)
            near = _near(places, valid, buffer)
            if not _both_left(groups, valid, near):
                continue
            waste = int(near.sum()) + abs(int(valid.sum()) - total)
            if best is None or waste < best[0]:
                best = waste, valid, near
        if best is not None:
            return best[1:]
    return None


def _draw(
    middles: Array,
    groups: Array,
    wanted: dict[int, int],
    steps: int,
    spacing: float,
    rng: np.random.Generator,
) -> Mask:
    """(N,) bool, True for chips in blocks drawn until each group has what it wants."""
    origin = middles.min(axis=0) - (rng.integers(0, steps, 2) + 0.5) * spacing
    cells = np.floor((middles - origin) / (steps * spacing)).astype(np.int64)
    _, block = np.unique(cells, axis=0, return_inverse=True)
    block = block.reshape(-1)
    short = dict(wanted)
    chosen = []
    for number in rng.permutation(int(block.max()) + 1):
        held = {g: int(((block == number) & (groups == g)).sum()) for g in short}
        if any(held[g] and short[g] > 0 and held[g] <= 2 * short[g] for g in short):
            chosen.append(number)
            short = {g: need - held[g] for g, need in short.items()}
        if all(need <= 0 for need in short.values()):
            break
    mask: Mask = np.isin(block, chosen)
    return mask


def _near(places: Array, valid: Mask, buffer: float) -> Mask:
    """(N,) bool, True for chips that are not for validation but too near to one that is."""
    near = np.zeros(len(places), bool)
    others = np.flatnonzero(~valid)
    if not valid.any() or not len(others):
        return near
    tree = shapely.STRtree(places[valid])
    if buffer > 0:
        hits = tree.query(places[others], predicate="dwithin", distance=buffer)[0]
    else:  # edges may touch, but for rounding
        sides = np.sqrt(shapely.area(places[others]))
        hits = tree.query(shapely.buffer(places[others], -1e-6 * sides), predicate="intersects")[0]
    near[others[np.unique(hits)]] = True
    return near


def _both_left(groups: Array, valid: Mask, near: Mask) -> bool:
    """Whether each group keeps chips to train on and to validate with."""
    rest = ~valid & ~near
    return all(valid[groups == g].any() and rest[groups == g].any() for g in np.unique(groups))
