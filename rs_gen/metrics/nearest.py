"""Neighbours in feature space: fidelity, variety, and whether training images were learnt by heart.

Every number is a mean of one value an image, so its interval is a bootstrap over those images, the
other set being what it is.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from ..errors import SettingError
from .distance import as_sets
from .protocol import Array, Score, bootstrap, mean_score

_ROWS = 1024  # rows of the distances that are in memory at a time
_NOTHING = 1e-11  # of the squared lengths: what cancellation leaves of a distance of zero


def precision(real: Tensor, fake: Tensor, *, extractor: str, k: int = 3, seed: int = 0) -> Score:
    """Share of the fakes that lie among the real images: fidelity, 0 to 1.

    Among them means no further from some real image than its k-th nearest real neighbour.

    Args:
        real: (M, D) features of held-out images, M > k.
        fake: (N, D) features of generated images by the same extractor.
        extractor: Its name; kept in the score.
        k: Neighbours.
        seed: Of the bootstrap over the fakes.

    Raises:
        SettingError: A set is too small for ``k``, or features differ in length.

    Source:
        Kynkaanniemi et al. 2019, "Improved Precision and Recall", eq. 2, arXiv:1904.06991.
    """
    x, y = as_sets(real, fake)
    inside = np.any(_distances(y, x) <= _radii(x, k, "real"), axis=1)
    return mean_score(inside.astype(np.float64), _protocol(extractor, k, x, y, "fakes"), seed=seed)


def recall(real: Tensor, fake: Tensor, *, extractor: str, k: int = 3, seed: int = 0) -> Score:
    """Share of the real images that lie among the fakes: variety, 0 to 1. See :func:`precision`.

    One far-off fake has a wide reach and raises it; ``coverage`` does not have that fault.
    """
    x, y = as_sets(real, fake)
    inside = np.any(_distances(x, y) <= _radii(y, k, "fake"), axis=1)
    return mean_score(
        inside.astype(np.float64), _protocol(extractor, k, x, y, "real images"), seed=seed
    )


def density(real: Tensor, fake: Tensor, *, extractor: str, k: int = 5, seed: int = 0) -> Score:
    """In how many real neighbourhoods a fake lies, divided by k: fidelity, 0 upwards.

    About 1 where the fakes come from where the real images come from. Arguments and errors as for
    :func:`precision`.

    Source:
        Naeem et al. 2020, "Reliable Fidelity and Diversity Metrics", eq. 5, arXiv:2002.09797.
    """
    x, y = as_sets(real, fake)
    held = (_distances(y, x) <= _radii(x, k, "real")).sum(1) / k
    return mean_score(held, _protocol(extractor, k, x, y, "fakes"), seed=seed)


def coverage(real: Tensor, fake: Tensor, *, extractor: str, k: int = 5, seed: int = 0) -> Score:
    """Share of the real images that have a fake in their neighbourhood: variety, 0 to 1.

    With as many fakes as real images from one source, 1 - 2^-k. Arguments and errors as for
    :func:`precision`.

    Source:
        Naeem et al. 2020, "Reliable Fidelity and Diversity Metrics", eq. 6, arXiv:2002.09797.
    """
    x, y = as_sets(real, fake)
    met = _distances(x, y).min(1) <= _radii(x, k, "real")
    return mean_score(
        met.astype(np.float64), _protocol(extractor, k, x, y, "real images"), seed=seed
    )


def nearest_ratio(
    real: Tensor, fake: Tensor, train: Tensor, *, extractor: str, seed: int = 0, draws: int = 1000
) -> Score:
    """How near fakes are to training images, as a share of how near held-out images are.

    The mean distance to the nearest training image, of fakes over held-out images. Below 1 fakes
    are nearer to the training images than other images of that kind are: a sign that these were
    learnt by heart. Blurred or dull fakes are near to everything, so look at the pairs too.

    Args:
        real: (M, D) features of held-out images.
        fake: (N, D) features of generated images by the same extractor.
        train: (T, D) features of the images trained on, with their turns if these were used.
        extractor: Its name; kept in the score.
        seed: Of the bootstrap, which draws held-out images and fakes anew.
        draws: Resamples; 0 for no interval.

    Raises:
        SettingError: A set is too small, features differ in length, or every held-out image is
            a training image.
    """
    x, y = as_sets(real, fake)
    _, known = as_sets(real, train)
    held, made = _distances(x, known).min(1), _distances(y, known).min(1)
    if not held.mean() > 0:
        raise SettingError("every held-out image is among the training images; hold out others")
    dice = np.random.default_rng(seed)

    def resampled(_: object) -> float:
        below = held[dice.integers(0, len(held), len(held))].mean()
        above = made[dice.integers(0, len(made), len(made))].mean()
        return float(above / below) if below > 0 else math.nan

    low, high = bootstrap(min(len(x), len(y)), resampled, seed=seed, draws=draws)
    protocol = (
        f"{extractor}, mean distance to the nearest of {len(known)} training images, {len(y)} "
        f"fakes over {len(x)} held-out images"
    )
    return Score(float(made.mean() / held.mean()), min(len(x), len(y)), protocol, low, high)


def nearest(images: Tensor, among: Tensor) -> tuple[Tensor, Tensor]:
    """The nearest of ``among`` for each image, as (index, distance), each (N,).

    Args:
        images: (N, D) features.
        among: (T, D) features by the same extractor, such as those of the training images.
    """
    x, y = as_sets(images, among)
    apart = _distances(x, y)
    return torch.from_numpy(apart.argmin(1)), torch.from_numpy(apart.min(1))


def _distances(x: Array, y: Array) -> Array:
    """(len(x), len(y)) Euclidean distances; of equal rows exactly zero."""
    squares = np.square(y).sum(1)
    rows = []
    for start in range(0, len(x), _ROWS):
        part = x[start : start + _ROWS]
        squared = np.square(part).sum(1)[:, None] + squares - 2 * part @ y.T
        squared[squared <= _NOTHING * (np.square(part).sum(1)[:, None] + squares)] = 0
        rows.append(np.sqrt(squared))
    return np.concatenate(rows)


def _radii(x: Array, k: int, name: str) -> Array:
    """(len(x),) distance of each row to its k-th nearest other row."""
    if isinstance(k, bool) or not isinstance(k, int) or not 1 <= k < len(x):
        raise SettingError(
            f"k={k} neighbours can't be taken of {len(x)} {name} images; k is from 1 to "
            f"{len(x) - 1}"
        )
    apart = _distances(x, x)
    np.fill_diagonal(apart, 0)
    radii: Array = np.partition(apart, k, axis=1)[:, k]
    return radii


def _protocol(extractor: str, k: int, x: Array, y: Array, over: str) -> str:
    return f"{extractor}, k={k}, {len(x)} real and {len(y)} fake, interval over {over}"
