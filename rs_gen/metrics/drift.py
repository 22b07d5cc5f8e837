"""How far data have moved from a reference: histograms by PSI and KS, vectors by Mahalanobis.

Numbers of a histogram are counts or shares alike; only their proportions matter.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import SettingError
from .protocol import Array

RANK = 32  # directions of a Gaussian that keep a variance of their own, at most
_LEAST = 1e-4  # share that an empty bin counts as, so that its logarithm is finite


def psi(reference: npt.ArrayLike, found: npt.ArrayLike, groups: int = 10) -> float:
    """Population stability index of two histograms over the same bins, 0 or more.

    The bins are first put together to groups that hold about equal shares of the reference. By
    custom, below 0.1 is no change and above 0.25 a large one; that custom comes from credit
    scoring (Siddiqi 2006, "Credit Risk Scorecards", chapter 8), not from imagery.

    Args:
        reference: (bins,) counts.
        found: (bins,) counts.
        groups: Most groups.

    Raises:
        SettingError: The histograms differ in length, or one is empty.
    """
    p, q = _shares(reference, found)
    middle = np.cumsum(p) - p / 2  # of each bin on the reference's cumulative scale
    group = np.minimum((middle * groups).astype(int), groups - 1)
    p, q = (np.maximum(np.bincount(group, x, groups), 0) for x in (p, q))
    used = (p > 0) | (q > 0)
    p, q = (np.maximum(x[used], _LEAST) for x in (p, q))
    return float(((q - p) * np.log(q / p)).sum())


def ks(reference: npt.ArrayLike, found: npt.ArrayLike) -> float:
    """Largest distance of two cumulative histograms over the same bins, 0 (alike) to 1.

    The statistic of Kolmogorov and Smirnov without its p-value: neighbouring pixels are alike, so
    their number says little about chance.

    Raises:
        SettingError: As ``psi``.
    """
    p, q = _shares(reference, found)
    return float(np.abs(np.cumsum(p) - np.cumsum(q)).max())


class Gaussian(NamedTuple):
    """A Gaussian whose covariance has few free directions; all others share one variance.

    Attributes:
        mean: (D,).
        axes: (K, D), orthonormal rows: the directions of largest variance.
        variances: (K,) along them, above 0.
        rest: Variance along every other direction, above 0.

    Source:
        Tipping & Bishop 1999, "Probabilistic Principal Component Analysis", eqs. 7 and 8.
    """

    mean: Array
    axes: Array
    variances: Array
    rest: float

    @classmethod
    def fit(cls, vectors: npt.ArrayLike, rank: int = RANK) -> Gaussian:
        """The likeliest such Gaussian for (N, D) vectors.

        Of N vectors at most N // 8 directions are believed; what is left of the variance goes
        into ``rest``, so the covariance can be inverted whatever N is.

        Raises:
            SettingError: There are fewer than two vectors, or they are not finite.
        """
        x = np.asarray(vectors, np.float64)
        if x.ndim != 2 or len(x) < 2 or not np.isfinite(x).all():
            raise SettingError(
                f"a Gaussian needs at least 2 vectors of finite numbers, (N, D); got {x.shape}"
            )
        mean = x.mean(0)
        _, singular, axes = np.linalg.svd(x - mean, full_matrices=False)
        spectrum = singular**2 / (len(x) - 1)
        kept = max(0, min(rank, len(x) // 8, x.shape[1] - 1))
        tiny = max(1e-6 * float(spectrum.sum()) / x.shape[1], 1e-12)
        rest = float(spectrum[kept:].sum()) / (x.shape[1] - kept)
        return cls(mean, axes[:kept], np.maximum(spectrum[:kept], tiny), max(rest, tiny))

    def distance(self, vectors: npt.ArrayLike) -> Array:
        """(N, D) to (N,): Mahalanobis distances from the mean, in standard deviations."""
        x = np.asarray(vectors, np.float64) - self.mean
        along = x @ self.axes.T
        across = np.maximum(np.square(x).sum(1) - np.square(along).sum(1), 0)
        distances: Array = np.sqrt((np.square(along) / self.variances).sum(1) + across / self.rest)
        return distances


def _shares(reference: npt.ArrayLike, found: npt.ArrayLike) -> tuple[Array, Array]:
    p, q = np.asarray(reference, np.float64), np.asarray(found, np.float64)
    if p.ndim != 1 or p.shape != q.shape:
        raise SettingError(f"histograms of {p.shape} and {q.shape} bins can't be compared")
    for name, counts in (("reference", p), ("found", q)):
        if not counts.sum() > 0:
            raise SettingError(f"the {name} histogram holds nothing")
    return p / p.sum(), q / q.sum()
