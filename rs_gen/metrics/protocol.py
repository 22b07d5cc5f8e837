"""A number, with the n and the protocol that it was measured by."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


class Score(NamedTuple):
    """A measured number that says how it was measured.

    Attributes:
        value: The number; NaN where there was nothing to measure.
        n: Images (or pairs, or lines) that it was measured on.
        protocol: How, in words: range, extractor, resize, subsets.
        low: Lower end of the 95 % interval over another draw of the n; None where there is none.
        high: Its upper end.
    """

    value: float
    n: int
    protocol: str
    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        interval = ""
        if self.low is not None and self.high is not None:
            interval = f", {self.low:.4g} to {self.high:.4g}"
        return f"{self.value:.4g} (n={self.n}{interval}; {self.protocol})"


def mean_score(
    values: Sequence[float] | Array, protocol: str, *, seed: int = 0, draws: int = 1000
) -> Score:
    """The mean of one value an image, with a bootstrap interval over the images.

    A value that is NaN (an image without a valid pixel) is left out and not counted.

    Args:
        values: One an image.
        protocol: How they were measured.
        seed: Of the bootstrap.
        draws: Resamples; 0 for no interval.
    """
    known = np.asarray(values, np.float64).ravel()
    known = known[~np.isnan(known)]
    if not len(known):
        return Score(math.nan, 0, protocol)
    low, high = bootstrap(len(known), lambda i: float(known[i].mean()), seed=seed, draws=draws)
    return Score(float(known.mean()), len(known), protocol, low, high)


def bootstrap(
    n: int,
    statistic: Callable[[npt.NDArray[np.intp]], float],
    *,
    seed: int = 0,
    draws: int = 1000,
    level: float = 0.95,
) -> tuple[float | None, float | None]:
    """Ends of the percentile interval of a statistic over resamples of n things.

    Args:
        n: How many things there are; fewer than two have no interval.
        statistic: From the indices of a resample to a number.
        seed: Of the resamples.
        draws: How many.
        level: Share of the resamples that the interval holds, between 0 and 1.

    Returns:
        (low, high), or (None, None) where there is no interval or it is not finite.

    Source:
        Efron & Tibshirani 1993, "An Introduction to the Bootstrap", section 13.3.
    """
    if n < 2 or draws < 1:
        return None, None
    dice = np.random.default_rng(seed)
    values = [statistic(dice.integers(0, n, n)) for _ in range(draws)]
    if not np.isfinite(values).all():
        return None, None
    low, high = np.quantile(values, ((1 - level) / 2, (1 + level) / 2))
    return float(low), float(high)
