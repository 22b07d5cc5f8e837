"""Are images of a class right, various, and no copies? From features, whoever computed them.

All take features (N, D) and the class of each as an int (N,). A class that one of the sets lacks is
left out.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..errors import SettingError
from .protocol import Score, mean_score

Labels = npt.NDArray[np.int64]


def category_hit(
    fake: Tensor, labels: Labels, real: Tensor, real_labels: Labels, *, extractor: str
) -> Score:
    """Share of generated images that are nearest to the mean of real images of their own class.

    Args:
        fake: (N, D) features of generated images.
        labels: (N,) class that each was asked for.
        real: (M, D) features of real images, none of them a support image.
        real_labels: (M,).
        extractor: Its name, kept in the score.
    """
    classes = np.unique(real_labels)
    prototypes = torch.stack([real[_at(real_labels, c)].mean(0) for c in classes])
    nearest = classes[torch.cdist(fake, prototypes).argmin(1).numpy()]
    about = f"{extractor}, nearest of {len(classes)} class means, chance {1 / len(classes):.3f}"
    return mean_score((nearest == labels).astype("float64"), about)


def diversity(
    fake: Tensor, labels: Labels, real: Tensor, real_labels: Labels, *, extractor: str
) -> Score:
    """Mean distance between images of a class over that between real ones; 1 is as real.

    0 where all images of a class are one (mode collapse). Noise has it above 1: look at the
    category hit beside it.

    Args:
        fake: See ``category_hit``.
        labels: See ``category_hit``.
        real: See ``category_hit``.
        real_labels: See ``category_hit``.
        extractor: See ``category_hit``.
    """
    ratios = []
    for c in _common(labels, real_labels):
        made, wanted = spread_of(fake[_at(labels, c)]), spread_of(real[_at(real_labels, c)])
        ratios.append(made / wanted if wanted > 0 else math.nan)
    about = f"{extractor}, mean pairwise distance in {len(ratios)} classes, over that of real ones"
    return mean_score(ratios, about)


def support_distance(
    fake: Tensor, labels: Labels, supports: Tensor, support_labels: Labels, real: Tensor,
    real_labels: Labels, *, extractor: str,
) -> Score:  # fmt: skip
    """Distance to the nearest support image over the mean one between real images; 0 is a copy.

    Args:
        fake: See ``category_hit``.
        labels: See ``category_hit``.
        supports: (K, D) features of the support images of all classes.
        support_labels: (K,).
        real: See ``category_hit``.
        real_labels: See ``category_hit``.
        extractor: See ``category_hit``.
    """
    ratios: list[float] = []
    for c in _common(labels, real_labels):
        shown = supports[_at(support_labels, c)]
        if not len(shown):
            continue
        wanted = spread_of(real[_at(real_labels, c)])
        nearest = torch.cdist(fake[_at(labels, c)], shown).min(1).values / max(wanted, 1e-12)
        ratios += nearest.tolist()
    about = f"{extractor}, to the nearest support image, over the mean distance of real ones"
    return mean_score(ratios, about)


def spread_of(features: Tensor) -> float:
    """Mean Euclidean distance between two of (N, D); NaN for fewer than two."""
    if len(features) < 2:
        return math.nan
    return float(torch.pdist(features.float()).mean())


def few_shot_scores(
    fake: Tensor, labels: Labels, supports: Tensor, support_labels: Labels, real: Tensor,
    real_labels: Labels, *, extractor: str,
) -> dict[str, Score]:  # fmt: skip
    """``kernel_distance frechet_distance category_hit diversity support_distance``.

    Args:
        fake: See ``category_hit``.
        labels: See ``category_hit``.
        supports: See ``support_distance``.
        support_labels: See ``support_distance``.
        real: See ``category_hit``.
        real_labels: See ``category_hit``.
        extractor: See ``category_hit``.

    Raises:
        SettingError: There are fewer than two images on a side.
    """
    from .distance import frechet_distance, kernel_distance

    if min(len(fake), len(real)) < 2:
        raise SettingError(f"{len(fake)} generated and {len(real)} real images; 2 are the least")
    sets = fake, labels, real, real_labels
    return {
        "kernel_distance": kernel_distance(real, fake, extractor=extractor),
        "frechet_distance": frechet_distance(real, fake, draws=0, extractor=extractor),
        "category_hit": category_hit(*sets, extractor=extractor),
        "diversity": diversity(*sets, extractor=extractor),
        "support_distance": support_distance(
            fake, labels, supports, support_labels, real, real_labels, extractor=extractor
        ),
    }


def _common(labels: Labels, others: Labels) -> Labels:
    return np.intersect1d(labels, others)


def _at(labels: Labels, c: int) -> Tensor:
    return torch.from_numpy(np.flatnonzero(labels == c))
