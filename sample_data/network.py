"""The roads between faces: a jittered lattice of crossings joined by smooth curves.

A face is the land between four crossings. Crossing (i, j) and the curves that leave it depend on
the seed and on (i, j) alone, so neighbouring faces agree without knowing each other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sample_data.noise import chance, uniform

SPACING = 1024.0  # metres between crossings
REACH = 420.0  # metres that a face may stretch beyond its lattice cell
_JITTER = 0.21  # of the spacing
_STEPS = 24  # straight pieces of a curve
_EVERY = 6  # one lattice line in six carries a highway


@dataclass(frozen=True)
class Network:
    """Crossings and curves of one world."""

    seed: int

    def crossing(self, i: int, j: int) -> np.ndarray:
        """(x, y) of a crossing, in metres."""
        jitter = [uniform(np.array(i), np.array(j), self.seed * 13 + k) - 0.5 for k in (1, 2)]
        return (np.array([i, j]) + 2 * _JITTER * np.array(jitter)) * SPACING

    def curve(self, axis: int, i: int, j: int) -> np.ndarray:
        """(n, 2) from crossing (i, j) to the next one along ``axis``, 0 for x and 1 for y.

        A Catmull-Rom curve: lines run smoothly through their crossings.
        """
        di, dj = (1, 0) if axis == 0 else (0, 1)
        a, b, c, d = (self.crossing(i + k * di, j + k * dj) for k in (-1, 0, 1, 2))
        t = np.linspace(0, 1, _STEPS + 1)[1:-1, None]
        inner = b + 0.5 * (
            (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3
        )
        return np.concatenate([b[None], inner, c[None]])  # ends exactly at the crossings

    def rank(self, axis: int, i: int, j: int) -> str:
        """What kind of road the curve is: highway, main road or street."""
        line = j if axis == 0 else i
        if line % _EVERY == int(chance(self.seed * 13 + 5, axis, line // _EVERY) * _EVERY):
            return "highway"
        return "main road" if chance(self.seed * 13 + 6, axis, i, j) < 0.62 else "street"

    def ring(self, i: int, j: int) -> np.ndarray:
        """(n, 2) corners of face (i, j), counter-clockwise, not closed."""
        south, east = self.curve(0, i, j), self.curve(1, i + 1, j)
        north, west = self.curve(0, i, j + 1), self.curve(1, i, j)
        return np.concatenate([south[:-1], east[:-1], north[:0:-1], west[:0:-1]])
