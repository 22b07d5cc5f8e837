"""What there is in the world: each kind of feature, its class, and how it is painted.

``KINDS`` is in painting order inside a layer; a feature refers to its kind by index.
"""

from __future__ import annotations

from dataclasses import dataclass

SEASONS = ("spring", "summer", "autumn", "winter")

CLASSES = {
    0: ("nodata", (0, 0, 0)),
    1: ("water", (67, 133, 196)),
    2: ("forest", (38, 105, 52)),
    3: ("grass", (150, 196, 104)),
    4: ("field", (226, 205, 122)),
    5: ("built-up", (196, 186, 180)),
    6: ("road", (92, 92, 96)),
    7: ("building", (186, 62, 50)),
}
WATER, FOREST, GRASS, FIELD, BUILT, ROAD, BUILDING = range(1, 8)

GROUND, WOODS, WET, ROADS, BUILDINGS = range(5)  # layers, painted from the first to the last


@dataclass(frozen=True)
class Kind:
    """A kind of feature.

    Attributes:
        name: What it is called in the vectors.
        label: Its class, a key of ``CLASSES``.
        layer: When it is painted: ``GROUND`` first, ``BUILDINGS`` last.
        ground: Material below the plants.
        plants: Material of the plants, by season (spring, summer, autumn, winter).
        share: How much of the ground the plants hide, 0 to 1, by season.
        rough: Deviation of that share from place to place.
        trees: Share of the tree lattice that carries a tree, 0 to 1.
        rows: Distance of crop rows in metres; 0 for none.
        backscatter: Mean radar backscatter (VV) in dB.
        width: Of a road, in metres.
    """

    name: str
    label: int
    layer: int
    ground: str
    plants: tuple[str, str, str, str]
    share: tuple[float, float, float, float]
    rough: float = 0.12
    trees: float = 0.0
    rows: float = 0.0
    backscatter: float = -11.0
    width: float = 0.0


def _all(name: str) -> tuple[str, str, str, str]:
    return (name,) * 4


_GRASS = ("grass", "grass", "grass", "straw")
_CROP = ("crop", "straw", "straw", "crop")
_BARE = (0.0, 0.0, 0.0, 0.0)
_FLOOR = (0.3, 0.2, 0.15, 0.05)

KINDS = (
    Kind("meadow", GRASS, GROUND, "soil", _GRASS, (0.9, 0.85, 0.8, 0.6), 0.16, 0.012),
    Kind("pasture", GRASS, GROUND, "soil", _GRASS, (0.8, 0.7, 0.7, 0.5), 0.2, 0.03, 0, -11.5),
    Kind("wheat", FIELD, GROUND, "soil", _CROP, (0.85, 0.9, 0.3, 0.25), 0.08, 0, 3.5, -13),
    Kind("maize", FIELD, GROUND, "soil", ("crop", "crop", "straw", "straw"),
         (0.12, 0.92, 0.7, 0.15), 0.07, 0, 4.5, -9.5),
    Kind("rapeseed", FIELD, GROUND, "soil", ("rapeseed", "straw", "crop", "crop"),
         (0.9, 0.7, 0.4, 0.4), 0.08, 0, 4.0, -10),
    Kind("ploughed", FIELD, GROUND, "soil", _all("crop"), (0.03, 0.06, 0.03, 0.02),
         0.03, 0, 5.5, -8.5),
    Kind("vineyard", FIELD, GROUND, "soil", ("grass", "crop", "autumn", "branches"),
         (0.4, 0.6, 0.55, 0.3), 0.1, 0, 2.8, -10.5),
    Kind("orchard", FIELD, GROUND, "soil", _GRASS, (0.8, 0.75, 0.7, 0.5), 0.12, 0.33, 0, -9.5),
    Kind("farmyard", BUILT, GROUND, "gravel", _GRASS, (0.5, 0.5, 0.45, 0.3), 0.3, 0.1, 0, -8),
    Kind("residential", BUILT, GROUND, "gravel", _GRASS, (0.85, 0.8, 0.8, 0.6), 0.26, 0.15, 0, -8),
    Kind("centre", BUILT, GROUND, "concrete", _GRASS, (0.22, 0.2, 0.18, 0.1), 0.2, 0.1, 0, -6.5),
    Kind("industrial", BUILT, GROUND, "asphalt", _GRASS, (0.1,) * 4, 0.15, 0.015, 0, -9),
    Kind("park", GRASS, GROUND, "soil", _GRASS, (0.95, 0.9, 0.9, 0.7), 0.1, 0.22, 0, -10.5),
    Kind("wood", FOREST, WOODS, "litter", _GRASS, _FLOOR, 0.15, 0.93, 0, -8.5),
    Kind("forest", FOREST, WOODS, "litter", _GRASS, _FLOOR, 0.15, 0.95, 0, -8.5),
    Kind("hedge", FOREST, WOODS, "litter", _GRASS, (0.6, 0.6, 0.5, 0.4), 0.15, 0.75, 0, -8.8),
    Kind("water", WATER, WET, "clear water", _all("muddy water"), (0.5, 0.35, 0.4, 0.55),
         0.12, 0, 0, -22),
    Kind("track", ROAD, ROADS, "gravel", _GRASS, (0.3, 0.25, 0.25, 0.15), 0.12, 0, 0, -12, 3.6),
    Kind("street", ROAD, ROADS, "asphalt", _all("gravel"), _BARE, 0.05, 0, 0, -16, 6.5),
    Kind("main road", ROAD, ROADS, "asphalt", _all("gravel"), _BARE, 0.04, 0, 0, -17, 10.0),
    Kind("highway", ROAD, ROADS, "asphalt", _all("concrete"), (0.2,) * 4, 0.04, 0, 0, -18, 23.0),
    Kind("median", GRASS, ROADS, "soil", _GRASS, (0.9, 0.8, 0.8, 0.6), 0.12, 0, 0, -12, 2.6),
    Kind("house", BUILDING, BUILDINGS, "red roof", _all("dark roof"), _BARE, 0.02, 0, 0, -4),
    Kind("barn", BUILDING, BUILDINGS, "dark roof", _all("red roof"), _BARE, 0.02, 0, 0, -2),
    Kind("block", BUILDING, BUILDINGS, "grey roof", _all("white roof"), _BARE, 0.03, 0, 0, -3),
    Kind("hall", BUILDING, BUILDINGS, "white roof", _all("grey roof"), _BARE, 0.02, 0, 0, -1),
)  # fmt: skip

INDEX = {kind.name: i for i, kind in enumerate(KINDS)}
