"""Numbers that depend on a seed and a place alone: hashes, noise on lattices, look-up tables.

Everything is arithmetic on integers, or on fixed-point fractions short enough for float64 to hold
their products exactly, so a window drawn alone, on another machine or with another BLAS, meets the
same bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import gammaincinv, ndtri

_FRACTION = 1 << 16  # 16 bits for values and for each axis' weights: 48 bits in a product
_OCTAVE_DEVIATION = (1 / 3) ** 0.5 * 151 / 315  # of one octave: uniform values, cubic B-spline


def mix(values: np.ndarray) -> np.ndarray:
    """Scramble uint32 so that each input bit reaches each output bit (xor, shift, multiply)."""
    h = np.array(values, np.uint32)
    h ^= h >> np.uint32(16)
    h *= np.uint32(0x7FEB352D)
    h ^= h >> np.uint32(15)
    h *= np.uint32(0x846CA68B)
    h ^= h >> np.uint32(16)
    return h


def hashed(col: np.ndarray, row: np.ndarray, seed: int) -> np.ndarray:
    """uint32 for each pair of integers, which broadcast as numpy arrays do."""
    start = mix(np.array([seed & 0xFFFFFFFF, (seed >> 32) & 0xFFFFFFFF], np.int64).astype("u4"))
    low = mix(np.asarray(col, np.int64).astype(np.uint32) + start[0])
    high = np.asarray(row, np.int64).astype(np.uint32) * np.uint32(0x9E3779B1)
    return mix((low + high) ^ start[1])


def uniform(col: np.ndarray, row: np.ndarray, seed: int) -> np.ndarray:
    """float64 in [0, 1) for each pair of integers."""
    return hashed(col, row, seed) / 4294967296.0


def chance(seed: int, *place: int) -> float:
    """One number in [0, 1) for a seed and any integers."""
    h = seed
    for n in place:
        h = int(hashed(np.array(n), np.array(n >> 16), h))
    return h / 4294967296.0


def generator(seed: int, *place: int) -> np.random.Generator:
    """A numpy generator for a place; its ``random()`` is the same in every numpy."""
    return np.random.Generator(np.random.PCG64(int(chance(seed, *place) * 4294967296.0)))


@dataclass(frozen=True)
class Noise:
    """Fractal value noise with mean 0 and deviation about 1, smooth (C2) at every place.

    Attributes:
        seed: Chooses the noise.
        spacing: Distance of the coarsest lattice, in metres.
        octaves: How many times the lattice is halved and added.
        gain: Weight of an octave against the one before.
    """

    seed: int
    spacing: float
    octaves: int = 1
    gain: float = 0.5

    def grid(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """(len(y), len(x)) float32 at the crossings of columns ``x`` and rows ``y``, in metres.

        Octaves finer than the grid's own step are left out: they would alias.
        """
        step = abs(x[1] - x[0]) if len(x) > 1 else 0.0
        total = np.zeros((len(y), len(x)), np.float32)
        for octave, (seed, spacing, weight) in enumerate(self._layers()):
            if octave and spacing < 1.5 * step:
                break
            (i, across), (j, down) = _weights(x / spacing), _weights(y / spacing)
            layer = down @ _values(i[None, :], j[:, None], seed) @ across.T
            total += (layer * weight).astype(np.float32)
        return total

    def points(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """float32 at points; ``x`` and ``y`` have one shape. Equals ``grid`` there."""
        x, y = np.asarray(x, float), np.asarray(y, float)
        total = np.zeros(x.shape, np.float32)
        for seed, spacing, weight in self._layers():
            i, across = _taps(x / spacing)
            j, down = _taps(y / spacing)
            near = _values(i[..., None, :], j[..., :, None], seed)
            layer = (near * across[..., None, :] * down[..., :, None]).sum((-1, -2))
            total += (layer * weight).astype(np.float32)
        return total

    def _layers(self) -> Sequence[tuple[int, float, float]]:
        weights = self.gain ** np.arange(self.octaves)
        weights /= np.sqrt((weights**2).sum()) * _OCTAVE_DEVIATION
        return [(self.seed * 31 + k, self.spacing / 2**k, float(w)) for k, w in enumerate(weights)]


def _values(i: np.ndarray, j: np.ndarray, seed: int) -> np.ndarray:
    """Lattice values in [-1, 1), multiples of 2**-16."""
    return (hashed(i, j, seed) >> np.uint32(15)).astype(np.float64) / _FRACTION - 1


def _taps(at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(..., 4) lattice indices and cubic B-spline weights, which are multiples of 2**-16."""
    base = np.floor(at)
    t = at - base
    first, last = (1 - t) ** 3 / 6, t**3 / 6
    second = (4 - 6 * t**2 + 3 * t**3) / 6
    weights = np.stack([first, second, 1 - first - second - last, last], -1)
    weights = np.round(weights * _FRACTION) / _FRACTION
    weights[..., 1] += 1 - weights.sum(-1)
    return base[..., None].astype(np.int64) + np.arange(-1, 3), weights


def _weights(at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lattice indices n and a (len(at), n) matrix that interpolates their values at ``at``."""
    index, taps = _taps(at)
    first, last = int(index.min()), int(index.max())
    matrix = np.zeros((len(at), last - first + 1))
    np.put_along_axis(matrix, index - first, taps, 1)
    return np.arange(first, last + 1), matrix


def gaussian(col: np.ndarray, row: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two independent float32 fields of deviation 1 for pixel indices ``col`` and ``row``."""
    h = hashed(col, row, seed)
    table = _gaussian_table()
    return table[h >> np.uint32(16)], table[h & np.uint32(0xFFFF)]


def speckle(col: np.ndarray, row: np.ndarray, seed: int, looks: float) -> np.ndarray:
    """float32 in dB: multiplicative speckle of mean 1 (in power) for pixel indices.

    Args:
        col: Column indices of pixels.
        row: Row indices, broadcast against ``col``.
        seed: Chooses the speckle.
        looks: Equivalent number of looks L, positive; power follows a gamma law of shape L.

    Source:
        Goodman 1976, "Some fundamental properties of speckle": intensity of L averaged looks.
    """
    return _speckle_table(float(looks))[hashed(col, row, seed) >> np.uint32(16)]


@lru_cache(maxsize=1)
def _gaussian_table() -> np.ndarray:
    return ndtri((np.arange(65536) + 0.5) / 65536).astype(np.float32)


@lru_cache(maxsize=4)
def _speckle_table(looks: float) -> np.ndarray:
    power = gammaincinv(looks, (np.arange(65536) + 0.5) / 65536) / looks
    return (10 * np.log10(power)).astype(np.float32)
