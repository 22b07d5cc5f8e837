"""What a parcel is used for, from how densely people live there."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from sample_data import buildings as built
from sample_data.buildings import Building
from sample_data.fields import Fields
from sample_data.parcels import Cut, Parcel

_CROPS = ("wheat", "maize", "rapeseed", "ploughed", "pasture", "meadow", "vineyard", "orchard")
_COMMON = (0.24, 0.18, 0.11, 0.13, 0.16, 0.1, 0.03, 0.05)  # share of the fields


class Use(NamedTuple):
    """What stands on a parcel.

    Attributes:
        name: Kind of the ground.
        tone: -1 to 1: how light it is beside others of its kind.
        buildings: What is built on it.
        roofs: Tone of each roof, -1 to 1.
    """

    name: str
    tone: float
    buildings: list[Building]
    roofs: np.ndarray


def sampler(
    fields: Fields, box: tuple[float, float, float, float]
) -> Callable[[np.ndarray], tuple[float, float]]:
    """A function that gives (density, habit) at an (x, y) inside a box, to within a few metres.

    Density is above 0 where people live and above 1 in a city's centre; habit, about -2 to 2, is
    what tells one region from another.
    """
    x, y = (np.linspace(box[k], box[k + 2], 25) for k in (0, 1))
    table = np.stack([fields.town.grid(x, y) + fields.town_level, fields.habit.grid(x, y)], -1)

    def sample(at: np.ndarray) -> tuple[float, float]:
        share = (at - (x[0], y[0])) / (x[-1] - x[0], y[-1] - y[0])
        col, row = np.clip(np.rint(share * 24), 0, 24).astype(int)
        return float(table[row, col, 0]), float(table[row, col, 1])

    return sample


def size(density: float, habit: float) -> float:
    """Square metres of a usual parcel."""
    if density > 0:
        return 9000.0 if density > 0.95 else 10000.0
    fields = 30000.0 * float(np.exp(0.55 * np.clip(habit, -1.6, 1.6)))
    return 20000.0 if density > -0.2 else fields


def between(cut: Cut, density: float, habit: float, random: np.random.Generator) -> str:
    """What runs along a cut: the name of a kind, or "" for nothing."""
    lot = random.random()
    if density > -0.08:
        return "street"
    if lot < (0.5 if cut.depth < 2 else 0.16):
        return "track"
    return "hedge" if lot > 0.86 - 0.07 * min(max(-habit, 0.0), 2.0) else ""


def settle(
    parcel: Parcel, density: float, habit: float, industry: bool, random: np.random.Generator
) -> Use:
    """The use of a parcel.

    Args:
        parcel: The land.
        density: How densely people live there, see ``sampler``.
        habit: What the region is like.
        industry: The face has works and stores.
        random: Where chance comes from.
    """
    tone = 2 * random.random() - 1
    if density > 0.95:
        name, found = _centre(parcel, random)
    elif density > 0:
        name, found = _suburb(parcel, density, industry, random)
    else:
        name, found = _country(parcel, density, habit, random)
    roofs = 0.35 * np.clip(habit, -1, 1) + 1.3 * (2 * random.random(len(found)) - 1)
    return Use(name, tone, found, np.clip(roofs, -1, 1))


def _centre(parcel: Parcel, random: np.random.Generator) -> tuple[str, list[Building]]:
    if random.random() < 0.08:
        return "park", built.scattered(parcel.ring, parcel.angle, built.BARNS, 1, random)
    found = built.along_edges(parcel.ring, built.CITY, random)
    return "centre", found


def _suburb(
    parcel: Parcel, density: float, industry: bool, random: np.random.Generator
) -> tuple[str, list[Building]]:
    lot, ring, angle = random.random(), parcel.ring, parcel.angle
    if industry and lot < 0.55:
        return "industrial", built.scattered(ring, angle, built.HALLS, 26, random)
    if lot > 0.94:
        return "park", []
    if lot > 0.86 and density > 0.2:
        return "residential", built.scattered(ring, angle, built.SLABS, 16, random)
    style = built.TERRACES if density > 0.5 and lot < 0.5 else built.HOUSES
    found = built.along_edges(ring, style, random)
    sheds = built.scattered(ring, angle, built.SHEDS, len(found) // 2, random)
    return "residential", built.apart(found + sheds, 2.0)


def _country(
    parcel: Parcel, density: float, habit: float, random: np.random.Generator
) -> tuple[str, list[Building]]:
    lot, crop = random.random(2)
    if lot < 0.07:
        return "wood", []
    if lot > 0.985 or (lot > 0.92 and density > -0.3):
        return "farmyard", built.scattered(parcel.ring, parcel.angle, built.BARNS, 7, random)
    share = np.array(_COMMON)
    share[4:6] *= np.exp(-0.6 * habit)  # grass here, grain there
    share[6] *= np.exp(1.2 * habit)
    return _CROPS[int(np.searchsorted(np.cumsum(share / share.sum()), crop * 0.999999))], []
