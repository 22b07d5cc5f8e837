"""F2GAN: fuse support images, then fill in detail by attention. Hong et al. 2020, arXiv:2008.01999.

Written from the paper. The released code differs from it in the sign of mode seeking, in an
interpolation regressor that is never trained, in attention that is transposed and belongs to a
place in the list of support images, and in an L_1 against dimmed images.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import SettingError
from ..losses.few_shot import interpolation_l1
from ..networks.attention import Borrowed, NonLocalFusion
from ..networks.critic import CoefficientReader, Judgement
from ..networks.pyramid import Decoder, Encoder
from .base import Terms, check_weights, given
from .few_shot import Levels, checked_depth, encode_all, level_widths
from .fusing import Fused, FusingGame, dirichlet, fused, unflat
from .registry import register

WEIGHTS = (
    "l1_weight", "adversarial_weight", "class_weight", "mode_weight", "matching_weight",
    "regression_weight", "r1_weight",
)  # fmt: skip


@register("f2gan")
class F2GANGame(FusingGame):
    """Interpolate between support images, and let every place borrow detail from all of them.

    Args:
        in_channels: Bands of the chips.
        size: Side of the chips in pixels, a multiple of 8.
        classes: Seen classes; 0 for a critic that tells real from fake alone.
        width: Channels at full resolution.
        fills: Decoder blocks, from the coarsest, that are followed by attention.
        joint: One softmax over the places of all support images.
        details: Also hand down the finest detail of the support image that counts most: what is
            lost between two resolutions, after Yang et al. 2022 (WaveGAN), arXiv:2207.07288.
        corner: Share of training codes that are a corner of the simplex, one image alone. Without
            any, the L_1 is best served by the median of the images, which is blur.
        alpha: Of the Dirichlet distribution that the other codes come from; 1 is even.
        one: Share of training steps with a single support image.
        warmup: Share of a training in which L_1 alone counts.
        l1_weight: Of L_1.
        l1_side: Compare averages over so many pixels a side in L_1; None compares pixels.
        adversarial_weight: Of the hinge loss.
        class_weight: Of the cross entropies.
        mode_weight: Of mode seeking.
        matching_weight: Of feature matching, which the released code has and the paper has not.
        regression_weight: Of reading off the coefficients.
        spectral: Spectral norm in the critic, as published; without, give it an ``r1_weight``.
        r1_weight: Of the gradient penalty on real images (Mescheder et al. 2018).
        norm: Of the generator: ``"batch"``, ``"layer"`` or ``"none"``.

    Raises:
        SettingError: A size or a weight can't work.
        ChipError: The chips' side is not a multiple of 8.
    """

    def __init__(
        self, in_channels: int, size: int, classes: int = 0, *, width: int = 32, fills: int = 2,
        joint: bool = False, details: bool = False, corner: float = 0.4, alpha: float = 1.0,
        one: float = 0.1, warmup: float = 0.2, l1_weight: float = 1.0,
        l1_side: int | None = None, adversarial_weight: float = 1.0, class_weight: float = 1.0,
        mode_weight: float = 0.01, matching_weight: float = 0.0, regression_weight: float = 1.0,
        spectral: bool = True, r1_weight: float = 0.0,
        norm: str = "batch",
    ):  # fmt: skip
        settings = given(locals())
        depth = checked_depth(settings)
        check_weights([*WEIGHTS, "corner", "one", "warmup"], settings)
        if not alpha > 0:
            raise SettingError(f"alpha={alpha} is not above 0")
        super().__init__()
        self.settings = settings
        self.details = details
        widths = level_widths(settings)
        fills = min(fills, depth)
        critic = self.build(_FuseAndFill(in_channels, widths, fills, joint, details, norm), widths)
        self.discriminators["reader"] = CoefficientReader(critic.length)

    def condition(self, supports: Tensor, *, generator: torch.Generator | None = None) -> Levels:
        """Features of every support image at every resolution."""
        return Levels(encode_all(self.net.encoder, supports))

    def draw(self, state: Levels, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """(n, K) coefficients, Dirichlet."""
        k = state.features[0].shape[1]
        return dirichlet(n, k, self.settings["alpha"], generator).to(state.features[0].device)

    def training_codes(self, state: Levels) -> Tensor:
        """Dirichlet, and corners with probability ``corner``."""
        first = state.features[0]
        batch, k = first.shape[:2]
        a = dirichlet(batch, k, self.settings["alpha"])
        corners = F.one_hot(torch.randint(0, k, (batch,)), k).float()
        alone = torch.rand(batch, 1) < self.settings["corner"]
        return torch.where(alone, corners, a).to(first.device)

    def coefficients(self, state: Levels, code: Tensor) -> Tensor:
        """The code itself."""
        return code

    def render(self, state: Levels, code: Tensor) -> Tensor:
        """Fuse by ``code`` (B, K), then fill."""
        images: Tensor = self.net(state.features, code)
        return images

    def borrow(self, state: Levels, code: Tensor) -> tuple[Tensor, list[Borrowed]]:
        """As ``render``, with what each attention borrowed, the coarsest first."""
        found: list[Borrowed] = []
        return self.net(state.features, code, found), found

    def between(self, start: Tensor, end: Tensor, steps: int) -> Tensor:
        """A straight line, which stays on the simplex."""
        t = torch.linspace(0, 1, steps, device=start.device)[:, None]
        return torch.lerp(start[None], end[None], t)

    def feature_terms(self, out: Fused, fakes: Judgement, a: Tensor) -> Terms:
        """As every fusing game, and ``regression``: the coefficients can be read off the image.

        Whoever reads them is no adversary, so its weights learn here, too; they are stepped with
        the critic's. In the released code they are in no optimiser.
        """
        terms = super().feature_terms(out, fakes, a)
        weight = self.settings["regression_weight"]
        if weight and out.a.shape[1] > 1:
            reader = self.discriminators["reader"].requires_grad_(True)
            found = reader(self.seen_features(out), fakes.features)
            terms["regression"] = weight * interpolation_l1(found, a)
        return terms

    def reading_terms(self, out: Fused, reals: Judgement, fakes: Judgement) -> Terms:
        """``reading``: whoever reads the coefficients learns here, too; the critic does not."""
        weight = self.settings["regression_weight"]
        if not weight or out.a.shape[1] < 2:
            return {}
        supports = unflat(reals.features.detach(), out.supports)
        found = self.discriminators["reader"](torch.cat([supports] * 2), fakes.features.detach())
        return {"reading": weight * interpolation_l1(found, out.a.detach())}


class _FuseAndFill(nn.Module):
    def __init__(
        self, bands: int, widths: list[int], fills: int, joint: bool, details: bool, norm: str
    ):
        super().__init__()
        coarse = widths[::-1]
        self.encoder = Encoder(bands, widths, norm)
        self.fills = nn.ModuleList(
            NonLocalFusion(coarse[level + 1], coarse[level + 1], joint=joint)
            for level in range(fills)
        )
        self.details = details
        filled = [w if level < fills or details else 0 for level, w in enumerate(coarse[1:])]
        self.decoder = Decoder(bands, widths, filled, norm)

    def forward(
        self, features: list[Tensor], a: Tensor, found: list[Borrowed] | None = None
    ) -> Any:
        most = leading(features[-1], a) if self.details else None

        def fill(level: int, h: Tensor) -> Tensor | None:
            if level < len(self.fills):
                if found is None:
                    return self.fills[level](h, features[level + 1], a)  # type: ignore[no-any-return]
                found.append(self.fills[level].borrow(h, features[level + 1], a))  # type: ignore[operator]
                return found[-1].features
            return None if most is None else finest(features[level + 1], most)

        return self.decoder(fused(features[0], a), fill)


def leading(features: Tensor, a: Tensor) -> Tensor:
    """(B,) which image counts most by ``a`` (B, K); of equals the strongest, in any order."""
    strength = features.detach().square().mean((2, 3, 4))
    equals = a >= a.max(1, keepdim=True).values - 1e-6
    return strength.masked_fill(~equals, -1.0).argmax(1)


def finest(features: Tensor, most: Tensor) -> Tensor:
    """Of image ``most`` (B,) what an average over 2 x 2 pixels loses; (B, C, H, W)."""
    chosen = features[torch.arange(len(most), device=most.device), most]
    return chosen - F.interpolate(F.avg_pool2d(chosen, 2), scale_factor=2.0, mode="nearest")
