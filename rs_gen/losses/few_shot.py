"""Losses of few-shot generators as pure functions. All are computed in float32.

(B, K, C, H, W) are K support images of each of B episodes; ``a`` (B, K) are coefficients on the
simplex.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def weighted_l1(fake: Tensor, supports: Tensor, a: Tensor, side: int | None = None) -> Tensor:
    """``sum_k a_k |x_k - fake|``, mean over pixels. Hong et al. 2020 (F2GAN), arXiv:2008.01999.

    The released code compares with ``a_k x_k``, images that are dimmed; this is the paper's.

    Args:
        fake: (B, C, H, W).
        supports: (B, K, C, H, W).
        a: (B, K).
        side: Compare averages over a raster of so many pixels, which leaves detail free: the
            pixels' own comparison is best served by blur. None compares pixels.
    """
    if side is not None and side < fake.shape[-1]:
        fake = F.adaptive_avg_pool2d(fake, side)
        shape = supports.shape[:3]
        supports = F.adaptive_avg_pool2d(supports.flatten(0, 1), side).view(*shape, side, side)
    apart = (supports.float() - fake.float()[:, None]).abs().flatten(2).mean(2)
    return (a.float() * apart).sum(1).mean()


def mode_ratio(first: Tensor, second: Tensor, code: Tensor, other: Tensor) -> Tensor:
    """(B,): how far two results are apart for how far their codes are, both as mean |.|.

    Args:
        first: (B, ...) result, or features of it.
        second: Of the other code.
        code: (B, n).
        other: As ``code``.
    """
    results = (first.float() - second.float()).abs().flatten(1).mean(1)
    codes = (code.float() - other.float()).abs().flatten(1).mean(1)
    return results / codes.clamp_min(1e-3)


def mode_seeking(
    first: Tensor, second: Tensor, code: Tensor, other: Tensor, ceiling: float = 20.0
) -> Tensor:
    """Minus the mean of ``mode_ratio``: falls as the results move apart.

    Mao et al. 2019, "Mode Seeking Generative Adversarial Networks", arXiv:1903.05628, eq. 3; the
    ratio itself in place of 1 / ratio, which grows without end where results are alike. The
    released F2GAN code minimises the ratio, which draws the results together.

    Args:
        first: See ``mode_ratio``.
        second: See ``mode_ratio``.
        code: See ``mode_ratio``.
        other: See ``mode_ratio``.
        ceiling: Ratio from which on there is nothing to gain.
    """
    return -mode_ratio(first, second, code, other).clamp_max(ceiling).mean()


def interpolation_l1(found: Tensor, a: Tensor) -> Tensor:
    """``|found - a|_1``, mean over the batch; 0 to 2: were the coefficients read off the image?"""
    return (found.float() - a.float()).abs().sum(1).mean()


def matching_l1(fake: Tensor, supports: Tensor, a: Tensor) -> Tensor:
    """``|f(fake) - sum_k a_k f(x_k)|``, mean over features. Hong et al. 2020 (MatchingGAN), L_m.

    Args:
        fake: (B, D) features.
        supports: (B, K, D) features.
        a: (B, K).
    """
    mixed = torch.einsum("bk,bkd->bd", a.float(), supports.float())
    return (fake.float() - mixed).abs().mean()


def normal_kl(mean: Tensor, log_var: Tensor, prior: Tensor, prior_log_var: Tensor) -> Tensor:
    """Kullback-Leibler divergence of two normals with diagonal covariance, in nats, over dim -1.

    Zero where they are the same. All arguments are (..., n).
    """
    mean, log_var, prior, prior_log_var = (x.float() for x in (mean, log_var, prior, prior_log_var))
    squares = log_var.exp() + (mean - prior).square()
    return 0.5 * (prior_log_var - log_var + squares / prior_log_var.exp() - 1).sum(-1)


def bernoulli_nats(logits: Tensor, images: Tensor) -> Tensor:
    """Log probability of two-valued images, (...,): summed over the last three dims.

    Args:
        logits: (..., C, H, W).
        images: In [-1, 1]; what lies between counts as a probability.
    """
    target = (images.float() + 1) / 2
    logs = F.binary_cross_entropy_with_logits(logits.float(), target, reduction="none")
    return -logs.flatten(-3).sum(-1)


def laplace_nats(mean: Tensor, log_scale: Tensor, images: Tensor) -> Tensor:
    """Log density of images under Laplace distributions, (...,): summed over the last three dims.

    Args:
        mean: (..., C, H, W).
        log_scale: (...,), one for each image.
        images: As ``mean``.
    """
    scale = log_scale.float().exp()
    off = (images.float() - mean.float()).abs().flatten(-3)
    return -off.sum(-1) / scale - off.shape[-1] * (log_scale.float() + math.log(2))
