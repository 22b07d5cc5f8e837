"""MatchingGAN: a random code matched with the support images says how they are fused.

Hong et al. 2020, "MatchingGAN: Matching-based Few-shot Image Generation", arXiv:2003.03497. In the
released code the matching is switched off; here it is on.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import SettingError
from ..networks.pyramid import Decoder, Encoder
from .base import check_weights, given
from .few_shot import encode_all, level_widths
from .fusing import FusingGame, fused
from .registry import register

WEIGHTS = (
    "l1_weight", "adversarial_weight", "class_weight", "mode_weight", "matching_weight",
    "r1_weight",
)  # fmt: skip
COLDEST = 10.0  # beyond this, three coefficients are one-hot for most codes


class Matched(NamedTuple):
    """Support images as MatchingGAN holds them.

    Attributes:
        features: (B, K, C_r, H_r, W_r) each, the coarsest first.
        keys: (B, K, D) that codes are matched with.
    """

    features: list[Tensor]
    keys: Tensor


@register("matchinggan")
class MatchingGANGame(FusingGame):
    """``a = softmax(t cos(E_z(z), E_phi(x_k)))``; the image is made of features summed by ``a``.

    The temperature is learnt within 1 to 10, and L_1 and L_m send no gradient to the coefficients:
    else those become one-hot and the generator returns one of its inputs whatever the code is.
    ``E_z`` is linear and has no bias, for the same reason.

    Args:
        in_channels: Bands of the chips.
        size: Side of the chips in pixels, a multiple of 8.
        classes: Seen classes; 0 for a critic that tells real from fake alone.
        width: Channels at full resolution.
        latent: Numbers of a code.
        match: Numbers that codes and images are compared in.
        temperature: To begin with, within 1 to 10.
        coefficients: ``"matching"``, or ``"random"`` as the released code has it: then the code
            alone says the coefficients.
        one: Share of training steps with a single support image.
        warmup: Share of a training in which L_1 alone counts.
        l1_weight: Of L_1.
        l1_side: Compare averages over so many pixels a side in L_1; None compares pixels.
        adversarial_weight: Of the hinge loss.
        class_weight: Of the cross entropies.
        mode_weight: Of mode seeking in z, which the paper does not have; 0 for none.
        matching_weight: Of the matching discriminator's loss.
        spectral: Spectral norm in the critic, as published; without, give it an ``r1_weight``.
        r1_weight: Of the gradient penalty on real images (Mescheder et al. 2018).
        norm: Of the generator.

    Raises:
        SettingError: A size, a weight or the temperature can't work.
        ChipError: The chips' side is not a multiple of 8.
    """

    def __init__(
        self, in_channels: int, size: int, classes: int = 0, *, width: int = 32, latent: int = 128,
        match: int = 64, temperature: float = 5.0, coefficients: str = "matching",
        one: float = 0.3, warmup: float = 0.2, l1_weight: float = 1.0, l1_side: int | None = None,
        adversarial_weight: float = 1.0, class_weight: float = 1.0, mode_weight: float = 0.01,
        matching_weight: float = 1.0, spectral: bool = True, r1_weight: float = 0.0,
        norm: str = "batch",
    ):  # fmt: skip
        settings = given(locals())
        widths = level_widths(settings)
        check_weights([*WEIGHTS, "one", "warmup"], settings)
        if not 1 < temperature < COLDEST:
            raise SettingError(f"temperature={temperature} is not between 1 and {COLDEST:g}")
        if coefficients not in ("matching", "random"):
            raise SettingError(f"coefficients={coefficients!r}; there are 'matching' and 'random'")
        super().__init__()
        self.settings = settings
        self.build(_Matching(in_channels, widths, latent, match, temperature, norm), widths)

    def condition(self, supports: Tensor, *, generator: torch.Generator | None = None) -> Matched:
        """Features of every support image, and its key."""
        keys = self.net.keys(supports.flatten(0, 1)).unflatten(0, supports.shape[:2])
        return Matched(encode_all(self.net.encoder, supports), keys)

    def draw(self, state: Matched, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """(n, latent) normal numbers."""
        z = torch.randn(n, self.settings["latent"], generator=generator)
        return z.to(state.keys.device)

    def training_codes(self, state: Matched) -> Tensor:
        """As ``draw``, one for each episode."""
        return self.draw(state, len(state.keys))

    def coefficients(self, state: Matched, code: Tensor) -> Tensor:
        """(B, K): how well the code matches each support image."""
        if self.settings["coefficients"] == "random":
            return _simplex(code, state.keys.shape[1])
        query = F.normalize(self.net.query(code), dim=-1)
        cosines = torch.einsum("bd,bkd->bk", query, F.normalize(state.keys, dim=-1))
        return (self.temperature * cosines.float()).softmax(1)

    @property
    def temperature(self) -> Tensor:
        """What cosines are multiplied by; learnt."""
        held: Tensor = 1 + (COLDEST - 1) * self.net.warmth.sigmoid()
        return held

    def render(self, state: Matched, code: Tensor) -> Tensor:
        """Sum features by the coefficients, and decode."""
        a = self.coefficients(state, code)

        def fill(level: int, h: Tensor) -> Tensor | None:
            return fused(state.features[level + 1], a) if level < 2 else None

        images: Tensor = self.net.decoder(fused(state.features[0], a), fill)
        return images


class _Matching(nn.Module):
    def __init__(
        self, bands: int, widths: list[int], latent: int, match: int, temperature: float, norm: str
    ):
        super().__init__()
        coarse = widths[::-1]
        self.encoder = Encoder(bands, widths, norm)
        self.decoder = Decoder(bands, widths, [*coarse[1:3], *[0] * (len(coarse) - 3)], norm)
        self.matcher = Encoder(bands, [max(4, w // 2) for w in widths], norm)
        self.key = nn.Linear(max(4, coarse[0] // 2), match)
        # No bias: -z then asks for the opposite of z, so no weights make all codes ask the same.
        self.query = nn.Linear(latent, match, bias=False)
        share = (temperature - 1) / (COLDEST - 1)
        self.warmth = nn.Parameter(torch.tensor(math.log(share / (1 - share))))

    def keys(self, images: Tensor) -> Tensor:
        """(N, C, H, W) to (N, match)."""
        keys: Tensor = self.key(self.matcher(images)[0].mean((2, 3)))
        return keys

    def forward(self, images: Tensor) -> Tensor:
        return self.keys(images)


def _simplex(code: Tensor, k: int) -> Tensor:
    """Numbers of a normal code, in turn, as k coefficients U(1, 10) over their sum."""
    chosen = code[:, torch.arange(k, device=code.device) % code.shape[1]]
    even = 0.5 * (1 + torch.erf(chosen / math.sqrt(2)))
    u = 1 + 9 * even
    return u / u.sum(1, keepdim=True)
