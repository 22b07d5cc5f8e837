"""Critics of few-shot generators: a residual network with a head for each question."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from .pyramid import norm_of


class Judgement(NamedTuple):
    """What a critic has to say of (B, C, H, W) images.

    Attributes:
        real: (B,) logits for "this is a real image".
        classes: (B, n) logits over the seen classes; (B, 0) from a critic without that head.
        features: (B, D) that both are read from.
    """

    real: Tensor
    classes: Tensor
    features: Tensor


class Critic(nn.Module):
    """Residual blocks with the activation first, an average over the image, then the heads.

    As in Liu et al. 2019 (FUNIT), which F2GAN and MatchingGAN build on, but smaller.

    Args:
        bands: Of what is judged; twice the chips' for pairs.
        widths: Channels by level; each but the last halves the image.
        classes: Seen classes to tell apart; 0 for no such head.
        spectral: Divide every weight by its largest singular value (Miyato et al. 2018). So narrow
            a critic then hardly tells two images apart for its first thousand steps; without, keep
            it steady with a penalty.
        norm: Before activations; with a gradient penalty not ``"batch"``.
    """

    def __init__(
        self, bands: int, widths: Sequence[int], classes: int = 0, *, spectral: bool = True,
        norm: str = "none",
    ):  # fmt: skip
        super().__init__()
        wrap: Callable[[nn.Module], nn.Module] = spectral_norm if spectral else _as_it_is
        self.first = wrap(nn.Conv2d(bands, widths[0], 3, 1, 1))
        pairs = list(zip(widths, [*widths[1:], widths[-1]], strict=True))
        last = len(pairs) - 1
        self.blocks = nn.ModuleList(
            _Block(i, o, level < last, wrap, norm) for level, (i, o) in enumerate(pairs)
        )
        self.real = wrap(nn.Linear(widths[-1], 1))
        self.classes = wrap(nn.Linear(widths[-1], classes)) if classes else None
        self.length = widths[-1]
        if not spectral:
            for module in self.modules():
                if isinstance(module, nn.Conv2d):
                    nn.init.kaiming_normal_(module.weight, 0.2)

    def forward(self, images: Tensor) -> Judgement:
        """(B, C, H, W) in [-1, 1] to a ``Judgement``."""
        x = self.first(images)
        for block in self.blocks:
            x = block(x)
        features = F.leaky_relu(x, 0.2).mean((2, 3))
        classes = features[:, :0] if self.classes is None else self.classes(features)
        return Judgement(self.real(features)[:, 0].float(), classes.float(), features.float())


class _Block(nn.Module):
    """Two convolutions beside a short way; halved between the two, where most of the work is."""

    def __init__(
        self, c_in: int, c_out: int, halve: bool, wrap: Callable[[nn.Module], nn.Module], norm: str
    ):
        super().__init__()
        self.halve = halve
        self.first, self.second = (wrap(nn.Conv2d(i, c_out, 3, 1, 1)) for i in (c_in, c_out))
        self.short = wrap(nn.Conv2d(c_in, c_out, 1, bias=False)) if c_in != c_out else None
        self.norms = nn.ModuleList([norm_of(norm, c_in), norm_of(norm, c_out)])

    def forward(self, x: Tensor) -> Tensor:
        short = self._halved(x)
        short = short if self.short is None else self.short(short)
        x = self._halved(self.first(F.leaky_relu(self.norms[0](x), 0.2)))
        return short + self.second(F.leaky_relu(self.norms[1](x), 0.2))

    def _halved(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(x, 2) if self.halve else x


class CoefficientReader(nn.Module):
    """Tells from features of support images and a fused one what the coefficients were.

    One score for each support image, then a softmax over them, so it takes any number and their
    order does not matter. The released F2GAN code reads a fixed number, and never trains it.

    Args:
        features: D of the critic.
        width: Of its hidden layer.
    """

    def __init__(self, features: int, width: int = 64):
        super().__init__()
        self.score = nn.Sequential(
            nn.Linear(3 * features, width), nn.LeakyReLU(0.2), nn.Linear(width, 1, bias=False)
        )

    def forward(self, supports: Tensor, fused: Tensor) -> Tensor:
        """(B, K, D) and (B, D) to coefficients (B, K) on the simplex."""
        fused = fused[:, None].expand_as(supports)
        seen = torch.cat([supports, fused, supports * fused], -1)
        return self.score(seen)[..., 0].softmax(1)


def _as_it_is(layer: nn.Module) -> nn.Module:
    return layer
