"""Mean and deviation of a stream, without keeping it (Welford 1962; merging: Chan et al. 1979)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ..raster.pixels import Array, Pixels


@dataclass(frozen=True)
class Moments:
    """Statistics of all values seen so far.

    Attributes:
        num: How many values.
        m1: Their mean.
        m2: Sum of their squared deviations from the mean.
        min: The lowest; 0 before the first value.
        max: The highest, likewise.
    """

    num: int = 0
    m1: float = 0.0
    m2: float = 0.0
    min: float = 0.0
    max: float = 0.0

    @classmethod
    def of(cls, values: Array) -> Moments:
        """Those of an array."""
        if not values.size:
            return cls()
        mean = float(values.mean(dtype=np.float64))
        m2 = float(np.square(values.astype(np.float64) - mean).sum())
        return cls(int(values.size), mean, m2, float(values.min()), float(values.max()))

    def __add__(self, other: Moments) -> Moments:
        """Those of both streams together."""
        if not (self.num and other.num):
            return self if self.num else other
        num, step = self.num + other.num, other.m1 - self.m1
        return Moments(
            num,
            self.m1 + step * other.num / num,
            self.m2 + other.m2 + step * step * self.num * other.num / num,
            min(self.min, other.min),
            max(self.max, other.max),
        )

    @property
    def std(self) -> float:
        """Standard deviation of the sample, sqrt(M2 / (n - 1)); 0 of fewer than two values."""
        return math.sqrt(self.m2 / (self.num - 1)) if self.num > 1 else 0.0


def moments(pixels: Pixels) -> tuple[Moments, ...]:
    """Those of the valid pixels of each band of (C, H, W)."""
    return tuple(Moments.of(band.compressed()) for band in pixels)
