"""What is kept of the training chips, so that rasters can later be held against them."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from ..games.reference import Reference
from ..metrics.drift import Gaussian, psi
from ..networks.norm import freeze, norm_layers
from .drift import encoder_of, histograms
from .features import block_vectors
from .realness import Judge, logit_quantiles
from .statistics import Statistics, gather

log = logging.getLogger(__name__)

_LEAST_CHIP = 32  # side in pixels from which a discriminator has more than a few answers
_FEWEST = 8  # blocks in each half of the chips, below which their features say nothing


@torch.inference_mode()
def measure(
    net: nn.Module, chips: Tensor, phase: int, *, statistics: Statistics | None = None,
    judge: Judge | None = None, real: Tensor | None = None,
) -> Reference:  # fmt: skip
    """A reference of one direction, from training chips.

    A pixel whose bands are all exactly 0, the middle of the stretch, is taken as not measured.
    The limit is found on blocks of chips that the fit had not seen, half and half in turn.

    Args:
        net: A copy of the generator that is nobody else's, in evaluation mode.
        chips: (N, C, H, W) encoded sources, on the network's device.
        phase: Of the generator.
        statistics: Of its instance norms over the training chips; without them, where it has
            such norms, only the bands are measured.
        judge: Who judges the direction's images; None for nobody.
        real: (N, C', H, W) real images of the direction, for the judge.
    """
    valid = (chips != 0).any(dim=1).cpu().numpy()
    arrays = chips.cpu().numpy()
    bands = np.stack([histograms(chip[:, m]) for chip, m in zip(arrays, valid, strict=True)])
    quantiles = torch.zeros(0)
    if judge is not None and real is not None and min(real.shape[-2:]) >= _LEAST_CHIP:
        both = torch.cat([chips, real], dim=1)
        every = torch.ones_like(both[:, :1], dtype=torch.bool)
        if norm_layers(judge):
            freeze(judge, gather(judge, both, every))
        quantiles = logit_quantiles(judge, both).cpu()
    parts = {"bands": bands.sum(0), "spread": _spread(bands), "real": quantiles}
    parts = {name: torch.as_tensor(value).float() for name, value in parts.items()}
    return Reference(**parts, **_features(net, chips, valid, phase, statistics))


def _features(
    net: nn.Module, chips: Tensor, valid: np.ndarray, phase: int, statistics: Statistics | None
) -> dict[str, Tensor]:
    """The parts of a reference that describe block vectors; empty ones where there are too few."""
    empty = {name: torch.zeros(()) for name in ("rest", "limit", "block", "count")}
    empty |= {"mean": torch.zeros(0), "axes": torch.zeros(0, 0), "variances": torch.zeros(0)}
    if norm_layers(net) and not statistics:
        return empty
    encoder = encoder_of(net, chips.shape[1], phase, statistics)
    each = []
    for chip, mask in zip(chips.split(1), valid, strict=True):
        features = encoder(chip)[0].float().cpu().numpy()
        vectors, share = block_vectors(features, mask, encoder.step, encoder.block)
        each.append(vectors[share > 0.5])
    limit = _limit(each)
    if limit is None:
        log.info("too few training chips to describe the generator's features by")
        return empty
    fitted = Gaussian.fit(np.concatenate(each))
    numbers = {"rest": fitted.rest, "limit": limit, "block": encoder.block,
               "count": sum(map(len, each))}  # fmt: skip
    arrays = {"mean": fitted.mean, "axes": fitted.axes, "variances": fitted.variances}
    return {
        **{name: torch.tensor(float(value)) for name, value in numbers.items()},
        **{name: torch.from_numpy(array).float() for name, array in arrays.items()},
    }


def _spread(bands: np.ndarray) -> np.ndarray:
    """(C,) PSI of every other chip against the rest; 0 where a half has nothing of a band."""
    halves = zip(bands[::2].sum(0), bands[1::2].sum(0), strict=True)
    return np.array([psi(p, q) if p.any() and q.any() else 0.0 for p, q in halves])


def _limit(chips: Sequence[np.ndarray]) -> float | None:
    """95 % of the distances of each half's blocks from a fit to the other half."""
    halves = [np.concatenate(part) for part in (chips[::2], chips[1::2]) if len(part)]
    if len(halves) < 2 or min(map(len, halves)) < _FEWEST:
        return None
    away = [Gaussian.fit(a).distance(b) for a, b in (halves, halves[::-1])]
    return max(float(np.quantile(np.concatenate(away), 0.95)), 1e-6)
