"""Attention by which a generated image borrows detail from its support images.

Hong et al. 2020, "F2GAN: Fusing-and-Filling GAN for Few-shot Image Generation", arXiv:2008.01999,
section 3.2 (non-local attentional fusion). The convolutions are shared by all support images, as
the paper has it (the released code has a set for each place in the list), so any number of them
will do and their order does not matter. The attention runs over the places of a support image,
for each place of the generated one; the released code has it the other way round.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm


class Borrowed(NamedTuple):
    """What the attention gave at one resolution, for each place of the generated image.

    Attributes:
        features: (B, C, H, W), added up over the support images.
        places: (B, K, N, N): row q says how much of each place of support image k went into
            place q. A row sums to 1, or with ``joint`` the rows of all k together do.
        shares: (B, K, N): how much of what place q got came from image k, by the length of the
            features; sums to 1 over k.
    """

    features: Tensor
    places: Tensor
    shares: Tensor


class NonLocalFusion(nn.Module):
    """Fill in detail: every place looks at all places of all support images.

    ``e_k = a_k x_k``; ``A_k = softmax(g(phi) f(e_k)' / sqrt(C'))``; the result is
    ``sum_k v(A_k h(e_k))``. The root is ours: without it the logits grow with C'. ``h`` and ``v``
    have no bias, so an image of coefficient 0 lends nothing.

    Args:
        queries: Channels of the generated image's features.
        channels: Channels of the support images' features, C; also those of the result.
        joint: One softmax over the places of all support images, in place of one for each.
    """

    def __init__(self, queries: int, channels: int, *, joint: bool = False):
        super().__init__()
        inner = max(8, channels // 8)
        self.joint, self.scale = joint, inner**-0.5
        self.g = spectral_norm(nn.Conv2d(queries, inner, 1))
        self.f = spectral_norm(nn.Conv2d(channels, inner, 1))
        self.h = spectral_norm(nn.Conv2d(channels, channels, 1, bias=False))
        self.v = spectral_norm(nn.Conv2d(channels, channels, 1, bias=False))

    def forward(self, phi: Tensor, supports: Tensor, a: Tensor) -> Tensor:
        """The features alone; see ``borrow``."""
        _, values, places = self._looked(phi, supports, a)
        mixed = torch.einsum("bkqn,bkcn->bcq", places, values)
        return self.v(mixed.unflatten(2, phi.shape[-2:]))

    def borrow(self, phi: Tensor, supports: Tensor, a: Tensor) -> Borrowed:
        """What ``forward`` gives, with where it came from.

        Args:
            phi: (B, C_q, H, W) of the generated image.
            supports: (B, K, C, H, W) of the support images.
            a: (B, K) coefficients on the simplex.
        """
        size, values, places = self._looked(phi, supports, a)
        each = torch.einsum("bkqn,bkcn->bkcq", places, values)
        parts = self.v(each.flatten(0, 1).unflatten(2, size)).unflatten(0, a.shape)
        length = parts.flatten(3).norm(dim=2)
        shares = length / length.sum(1, keepdim=True).clamp_min(1e-12)
        return Borrowed(parts.sum(1), places, shares)

    def _looked(
        self, phi: Tensor, supports: Tensor, a: Tensor
    ) -> tuple[torch.Size, Tensor, Tensor]:
        weighted = (supports * a[:, :, None, None, None]).flatten(0, 1)
        query = self.g(phi).flatten(2)
        key = self.f(weighted).flatten(2).unflatten(0, a.shape)
        value = self.h(weighted).flatten(2).unflatten(0, a.shape)
        logits = torch.einsum("bdq,bkdn->bkqn", query, key).float() * self.scale
        if self.joint:
            by_query = logits.transpose(1, 2)
            places = by_query.flatten(2).softmax(-1).view_as(by_query).transpose(1, 2)
        else:
            places = logits.softmax(-1)
        return phi.shape[-2:], value, places.to(value.dtype)
