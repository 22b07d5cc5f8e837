"""Sun, shadows and clouds."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from sample_data.noise import Noise

_CLOUD_HEIGHT = 900.0  # metres
_EDGE = 1.9  # opacity over deviations of the clouds' noise: how hard their edges are
_SUNS = {"spring": (148, 46), "summer": (142, 58), "autumn": (160, 38), "winter": (168, 27)}


@dataclass(frozen=True)
class Sun:
    """Where the light comes from.

    Attributes:
        azimuth: Degrees clockwise from north.
        elevation: Degrees above the horizon.
    """

    azimuth: float
    elevation: float

    @classmethod
    def of(cls, season: str) -> Sun:
        """At half past ten in the morning, at 48 degrees north."""
        return cls(*_SUNS[season])

    @property
    def towards(self) -> tuple[float, float]:
        """(east, north) of the sun, a vector of length 1 on the ground."""
        turn = np.radians(self.azimuth)
        return float(np.sin(turn)), float(np.cos(turn))

    @property
    def climb(self) -> float:
        """Metres that a sunbeam rises over a metre of ground."""
        return float(np.tan(np.radians(self.elevation)))

    def slopes(self, ground: np.ndarray, step: float) -> np.ndarray:
        """Light on a slope against light on flat land, about 1, from heights north-up."""
        down, across = np.gradient(ground, step)
        east, north = self.towards
        return 1 - (across * east - down * north) / self.climb


def shade(
    tops: np.ndarray, towards: tuple[float, float], climb: float, reach: int, step: float
) -> np.ndarray:
    """How high the shadow of what stands in the way lies over each pixel, in metres.

    Args:
        tops: (H, W) heights in metres, north-up.
        towards: (east, north) of the light, of length 1.
        climb: Metres that a beam rises over a metre of ground.
        reach: The longest shadow, in pixels.
        step: Side of a pixel in metres.

    Returns:
        (H, W): the highest of ``top - climb * distance`` on the way to the light. Doubling the
        distance each time takes log2(reach) passes instead of reach.
    """
    high = _moved(tops, towards, 1) - climb * step
    length = 1
    while length < reach:
        high = np.maximum(high, _moved(high, towards, length) - climb * step * length)
        length *= 2
    return high


def _moved(field: np.ndarray, towards: tuple[float, float], length: int) -> np.ndarray:
    """What lies ``length`` pixels towards the light, 0 beyond the edge."""
    right, up = round(towards[0] * length), round(towards[1] * length)
    out = np.zeros_like(field)
    height, width = field.shape
    rows, cols = _overlap(-up, height), _overlap(right, width)
    out[rows[0], cols[0]] = field[rows[1], cols[1]]
    return out


def _overlap(shift: int, length: int) -> tuple[slice, slice]:
    """Where index n of one axis, and index n + shift, both exist."""
    return slice(max(-shift, 0), length - max(shift, 0)), slice(
        max(shift, 0), length - max(-shift, 0)
    )


def clouds(
    seed: int, cover: float, x: np.ndarray, y: np.ndarray, sun: Sun
) -> tuple[np.ndarray, np.ndarray]:
    """Opacity of clouds, and of their shadows, each 0 to 1.

    Args:
        seed: Chooses the clouds.
        cover: Share of a wide sky that they hide, 0 to 1.
        x: Columns in metres.
        y: Rows in metres.
        sun: Their shadows lie away from it.
    """
    noise, level = Noise(seed * 17 + 3, 800, 6, 0.55), _level(seed, cover)
    east, north = (part * _CLOUD_HEIGHT / sun.climb for part in sun.towards)
    above = np.clip((noise.grid(x, y) - level) * _EDGE, 0, 1)
    between = np.clip((noise.grid(x + east, y + north) - level) * _EDGE, 0, 1)
    return above * above * (3 - 2 * above), between


@lru_cache(maxsize=16)
def _level(seed: int, cover: float) -> float:
    """The value above which clouds begin, so that this share of a wide sky is half hidden."""
    lattice = np.arange(400) * 41.0
    field = Noise(seed * 17 + 3, 800, 6, 0.55).grid(lattice, lattice)
    return float(np.quantile(field, 1 - cover)) - 0.5 / _EDGE
