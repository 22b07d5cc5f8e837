"""How far two sets of images are apart, from features, whoever computed them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..errors import SettingError
from .protocol import Array, Score, bootstrap

_ROWS = 1024  # rows of the kernel that are in memory at a time


def kernel_distance(
    real: Tensor,
    fake: Tensor,
    *,
    extractor: str,
    subsets: int | None = None,
    size: int | None = None,
    seed: int = 0,
) -> Score:
    """Squared maximum mean discrepancy under a cubic kernel: the kernel inception distance.

    Unbiased, so it does not grow when there are few images, and can fall below zero when the two
    sets are alike. By default it uses every pair of images at once, with a jackknife interval;
    with ``subsets`` it is the mean over random subsets, as published values are.

    Args:
        real: (M, D) features of real chips, M >= 2.
        fake: (N, D) features of translated chips by the same extractor, N >= 2.
        extractor: Its name; kept in the score, for distances of two extractors can't be compared.
        subsets: Random subsets to average over, at least 2.
        size: Chips in a subset, drawn without replacement; None for 1,000, or half of the smaller
            set where that is less. Kept in the score.
        seed: Of the subsets.

    Raises:
        SettingError: A set is too small, features differ in length, or ``size`` is more than half
            of the smaller set: such subsets are so much alike that their spread says nothing.

    Source:
        Gretton et al. 2012, "A Kernel Two-Sample Test", eq. 3; Binkowski et al. 2018,
        "Demystifying MMD GANs", section 4, arXiv:1801.01401.
    """
    x, y = as_sets(real, fake)
    about = f"{extractor}, cubic kernel, {len(x)} real and {len(y)} fake"
    n = min(len(x), len(y))
    if subsets is None:
        value, error = _jackknifed(x, y)
        protocol = f"{about}, all pairs, jackknife interval"
    else:
        size = _subset_size(size, n)
        if subsets < 2:
            raise SettingError(f"subsets={subsets} has no spread; take at least 2")
        dice = np.random.default_rng(seed)
        values = [
            squared_mmd(x[dice.permutation(len(x))[:size]], y[dice.permutation(len(y))[:size]])
            for _ in range(subsets)
        ]
        value, error = float(np.mean(values)), float(np.std(values, ddof=1) / subsets**0.5)
        protocol = f"{about}, {subsets} subsets of {size}, seed {seed}"
    return Score(value, n, protocol, value - 1.96 * error, value + 1.96 * error)


def squared_mmd(x: Array, y: Array) -> float:
    """Unbiased squared maximum mean discrepancy. Gretton et al. 2012, eq. 3."""
    return _from_sums(*_sums(x, y))


def cubic_kernel(x: Array, y: Array) -> Array:
    """``(x . y / D + 1) ** 3`` for each pair of rows. Binkowski et al. 2018, section 4."""
    kernel: Array = (x @ y.T / x.shape[1] + 1) ** 3
    return kernel


def frechet_distance(
    real: Tensor, fake: Tensor, *, extractor: str, seed: int = 0, draws: int = 200
) -> Score:
    """Squared Fréchet distance of two Gaussians fitted to the features.

    Biased upwards, much so with fewer images than features or than about 1,000: compare only
    values of the same n, or take ``kernel_distance``. The bootstrap interval shares that bias,
    for a resample has fewer different images; it may lie above the value.

    Args:
        real: (M, D) features of real chips, M >= 2.
        fake: (N, D) features of translated chips by the same extractor, N >= 2.
        extractor: Its name, kept in the score.
        seed: Of the bootstrap.
        draws: Resamples; 0 for no interval.

    Raises:
        SettingError: A set is too small, or features differ in length.

    Source:
        Heusel et al. 2017, "GANs Trained by a Two Time-Scale Update Rule", eq. 6. The trace of the
        root is taken as a nuclear norm of the centred features, exact also where a covariance
        has no full rank.
    """
    x, y = as_sets(real, fake)
    dice = np.random.default_rng(seed)

    def resampled(_: npt.NDArray[np.intp]) -> float:
        return _frechet(x[dice.integers(0, len(x), len(x))], y[dice.integers(0, len(y), len(y))])

    low, high = bootstrap(min(len(x), len(y)), resampled, seed=seed, draws=draws)
    n = min(len(x), len(y))
    bias = ", biased upwards below 1,000 images" if n < 1000 else ""
    protocol = f"{extractor}, {len(x)} real and {len(y)} fake{bias}"
    return Score(_frechet(x, y), n, protocol, low, high)


def _frechet(x: Array, y: Array) -> float:
    a, b = (x - x.mean(0)) / (len(x) - 1) ** 0.5, (y - y.mean(0)) / (len(y) - 1) ** 0.5
    means = float(np.square(x.mean(0) - y.mean(0)).sum())
    traces = float(np.square(a).sum() + np.square(b).sum())
    # tr((A'A B'B)^1/2) is the nuclear norm of A B'; with many images a root of less size will do
    if len(a) > a.shape[1]:
        a = np.linalg.qr(a, mode="r")
    if len(b) > b.shape[1]:
        b = np.linalg.qr(b, mode="r")
    root = float(np.linalg.svd(a @ b.T, compute_uv=False).sum())
    return max(means + traces - 2 * root, 0.0)


def _jackknifed(x: Array, y: Array) -> tuple[float, float]:
    """The distance, and its standard error by leaving out one image at a time."""
    m, n = len(x), len(y)
    xx, yy, xy, yx = _sums(x, y)
    value = _from_sums(xx, yy, xy, yx)
    variance = 0.0
    if m > 2:
        within = (xx.sum() - 2 * xx) / ((m - 1) * (m - 2))
        across = (xy.sum() - xy) / ((m - 1) * n)
        variance += (m - 1) / m * float(np.square(_off_mean(within - 2 * across)).sum())
    if n > 2:
        within = (yy.sum() - 2 * yy) / ((n - 1) * (n - 2))
        across = (yx.sum() - yx) / ((n - 1) * m)
        variance += (n - 1) / n * float(np.square(_off_mean(within - 2 * across)).sum())
    return value, variance**0.5


def _off_mean(values: Array) -> Array:
    centred: Array = values - values.mean()
    return centred


def _sums(x: Array, y: Array) -> tuple[Array, Array, Array, Array]:
    """Kernel sums of each row with its own set but itself, and with the other set."""
    xx, xy = _row_sums(x, x) - _own(x), _row_sums(x, y)
    return xx, _row_sums(y, y) - _own(y), xy, _row_sums(y, x)


def _from_sums(xx: Array, yy: Array, xy: Array, yx: Array) -> float:
    m, n = len(xx), len(yy)
    within = xx.sum() / (m * (m - 1)) + yy.sum() / (n * (n - 1))
    return float(within - 2 * xy.sum() / (m * n))


def _row_sums(x: Array, y: Array) -> Array:
    rows = [cubic_kernel(x[i : i + _ROWS], y).sum(1) for i in range(0, len(x), _ROWS)]
    return np.concatenate(rows)


def _own(x: Array) -> Array:
    own: Array = (np.square(x).sum(1) / x.shape[1] + 1) ** 3
    return own


def _subset_size(size: int | None, n: int) -> int:
    if size is None:
        size = min(1000, n // 2)
    if not 2 <= size <= n // 2:
        raise SettingError(
            f"size={size} is not within 2 to {n // 2}, half of the smaller set of {n}; "
            "leave subsets out to use all images at once"
        )
    return size


def as_sets(real: Tensor, fake: Tensor) -> tuple[Array, Array]:
    """Two sets of features as float64 arrays.

    Raises:
        SettingError: A set has fewer than 2 images or is not finite, or lengths differ.
    """
    for name, features in (("real", real), ("fake", fake)):
        if features.dim() != 2 or len(features) < 2:
            raise SettingError(
                f"{name} features must be (N, D) of at least 2 images; got {tuple(features.shape)}"
            )
        if not torch.isfinite(features).all():
            raise SettingError(f"{name} features are not finite")
    if real.shape[1] != fake.shape[1]:
        raise SettingError(
            f"real features have {real.shape[1]} numbers an image and fake ones {fake.shape[1]}; "
            "take both with one extractor"
        )
    x, y = (features.detach().cpu().double().numpy() for features in (real, fake))
    return x, y
