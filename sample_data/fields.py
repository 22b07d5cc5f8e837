"""What the land is like at a place: height, water, forest, town, region. Scalar fields in metres.

Each is a function of (seed, x, y). Water, forest and town are positive inside.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sample_data.noise import Noise

_STEP = 8.0  # metres: distance at which a river's slope is taken


@dataclass(frozen=True)
class Fields:
    """The scalar fields of one world."""

    seed: int

    def height(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """(len(y), len(x)) float32, metres above the sea, for columns ``x`` and rows ``y``."""
        return 260 + 34 * self._relief.grid(x, y) * (1 + 0.5 * self._rugged.grid(x, y))

    def cover(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Water and forest on a lattice with a step of 8 m, both positive inside.

        A forest ends where water begins: the two never overlap.
        """
        wide = (_grown(x), _grown(y))
        bend = self._river.grid(*wide)
        down, across = np.gradient(bend, _STEP)
        slope = np.hypot(down, across)[1:-1, 1:-1]
        width = 9 + 7 * np.clip(1 + self._width.grid(x, y), 0, 3)
        river = width - np.abs(bend[1:-1, 1:-1]) / np.maximum(slope, 4e-4)
        lake = (self._lake.grid(x, y) - 1.75) * 150
        water = np.maximum(river, lake)
        town = self.town.grid(x, y) + self.town_level
        wood = (self._forest.grid(x, y) - 0.4 + 0.35 * self._woody.grid(x, y)) * 60
        wood -= 900 * np.clip(town + 0.2, 0, 2)  # no streets below the trees
        return water, np.minimum(wood, -water)

    @cached_property
    def town(self) -> Noise:
        """Add ``town_level``: above 0 people live there, above 0.95 they live close together."""
        return Noise(self.seed * 7 + 1, 1700, 3, 0.4)

    town_level = -0.6

    @cached_property
    def soil(self) -> Noise:
        """How light the soil is."""
        return Noise(self.seed * 7 + 2, 9000, 4, 0.6)

    @cached_property
    def habit(self) -> Noise:
        """What people build and grow here: roofs, size of fields."""
        return Noise(self.seed * 7 + 3, 7000, 2, 0.5)

    @cached_property
    def conifer(self) -> Noise:
        """Positive where conifers outnumber broadleaved trees."""
        return Noise(self.seed * 7 + 4, 2400, 5, 0.65)

    @cached_property
    def _relief(self) -> Noise:
        return Noise(self.seed * 7 + 5, 2800, 6, 0.42)

    @cached_property
    def _rugged(self) -> Noise:
        return Noise(self.seed * 7 + 6, 8000)

    @cached_property
    def _river(self) -> Noise:
        return Noise(self.seed * 11 + 1, 3600, 4, 0.28)

    @cached_property
    def _width(self) -> Noise:
        return Noise(self.seed * 11 + 2, 1500, 2)

    @cached_property
    def _lake(self) -> Noise:
        return Noise(self.seed * 11 + 3, 1100, 4, 0.4)

    @cached_property
    def _forest(self) -> Noise:
        return Noise(self.seed * 11 + 4, 1000, 5, 0.5)

    @cached_property
    def _woody(self) -> Noise:
        return Noise(self.seed * 11 + 5, 6000)


def _grown(at: np.ndarray) -> np.ndarray:
    """One more lattice point on each side, whichever way the axis runs."""
    step = at[1] - at[0]
    return np.concatenate([[at[0] - step], at, [at[-1] + step]])
