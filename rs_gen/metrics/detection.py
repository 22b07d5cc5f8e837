"""How well a number finds what it should find: the area under the ROC curve, and its interval."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ..errors import SettingError
from .protocol import Array, Score, bootstrap


def auc(
    scores: npt.ArrayLike, wanted: npt.ArrayLike, weights: npt.ArrayLike | None = None
) -> float:
    """Chance that one of the wanted scores higher than one of the others; ties count half.

    1 finds them all before any other, 0.5 is no better than dice, 0 has them all last. NaN where
    there are none of either.

    Args:
        scores: (n,) numbers without NaN.
        wanted: (n,) True for those to be found.
        weights: (n,) how often each counts; None for once.

    Raises:
        SettingError: The lengths differ, or a score is NaN.

    Source:
        Hanley & McNeil 1982, Radiology 143(1), 29-36: the area is the statistic of Wilcoxon.
    """
    scores, wanted = _checked(scores, wanted)
    held = np.ones(len(scores)) if weights is None else np.asarray(weights, np.float64)
    return _area(*_ordered(scores, wanted), held)


def auc_score(
    scores: npt.ArrayLike,
    wanted: npt.ArrayLike,
    groups: npt.ArrayLike,
    protocol: str,
    *,
    seed: int = 0,
    draws: int = 500,
) -> Score:
    """``auc`` with an interval over resamples of whole groups, for neighbours are no evidence.

    Args:
        scores: (n,) numbers.
        wanted: (n,) True for those to be found.
        groups: (n,) which block, object or scene each belongs to; drawn together.
        protocol: What was scored against what.
        seed: Of the bootstrap.
        draws: Resamples.

    Returns:
        A score whose n is the number of scores.
    """
    scores, wanted = _checked(scores, wanted)
    names, group = np.unique(np.asarray(groups), return_inverse=True)
    order = _ordered(scores, wanted)

    def resampled(drawn: npt.NDArray[np.intp]) -> float:
        return _area(*order, np.bincount(drawn, minlength=len(names)).astype(float)[group])

    low, high = bootstrap(len(names), resampled, seed=seed, draws=draws)
    about = f"{protocol}; {int(wanted.sum())} wanted, bootstrap over {len(names)} groups"
    return Score(_area(*order, np.ones(len(scores))), len(scores), about, low, high)


def _checked(scores: npt.ArrayLike, wanted: npt.ArrayLike) -> tuple[Array, npt.NDArray[np.bool_]]:
    values, flags = np.asarray(scores, np.float64).ravel(), np.asarray(wanted, bool).ravel()
    if len(values) != len(flags):
        raise SettingError(f"{len(values)} scores and {len(flags)} answers can't be compared")
    if np.isnan(values).any():
        raise SettingError("a score is NaN; leave out what has no score")
    return values, flags


def _ordered(
    scores: Array, wanted: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
    """Which distinct score each has, counted from the lowest; and who is wanted."""
    return np.unique(scores, return_inverse=True)[1], wanted


def _area(rank: npt.NDArray[np.intp], wanted: npt.NDArray[np.bool_], weights: Array) -> float:
    hits = np.bincount(rank, weights * wanted)
    others = np.bincount(rank, weights * ~wanted)
    if not (hits.sum() > 0 and others.sum() > 0):
        return math.nan
    below = np.cumsum(others) - others
    return float((hits * (below + others / 2)).sum() / (hits.sum() * others.sum()))
