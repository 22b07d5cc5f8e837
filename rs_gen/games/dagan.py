"""DAGAN: one image and a code make another of its class. Antoniou et al. 2017, arXiv:1711.04340.

The critic sees pairs: two images of one class, or an image and what was made of it. Labels form the
pairs and nothing else, so it works for classes it has never seen. The released code takes the norm
of the penalty over the height alone; here it is over the whole pair.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import ChipError, SettingError
from ..losses.adversarial import adversarial as adversarial_loss
from ..losses.few_shot import mode_seeking
from ..networks.critic import Critic
from ..networks.pyramid import Decoder, Encoder
from .base import Terms, check_weights, frozen, given, penalty
from .few_shot import FewShotGame, Levels, encode_all, level_widths, slerp, steadying
from .registry import register

WEIGHTS = ("penalty_weight", "r1_weight", "mode_weight", "l1_weight", "warmup", "dropout")
NOISE = (8, 4, 2)  # channels of the code's maps at the three coarsest levels


class Pairs(NamedTuple):
    """What a step is about; (B, C, H, W) each, a pair for an episode.

    Attributes:
        source: Images that others are made of.
        other: Real images of the same classes, never the source itself.
        wrong: (M, 2C, H, W) pairs of a source and a real image of another class; none unless asked
            for.
        fake: Made of ``source``.
        second: Made of ``source`` with another code; None where mode seeking has no weight.
        z: (B, latent) of ``fake``.
        other_z: (B, latent) of ``second``.
        warming: Whether the generator learns to draw its source and nothing else.
    """

    source: Tensor
    other: Tensor
    wrong: Tensor
    fake: Tensor
    second: Tensor | None
    z: Tensor
    other_z: Tensor
    warming: bool


@register("dagan")
class DAGANGame(FewShotGame):
    """Turn an image into another of its class.

    A code is which support image to begin with, one-hot, followed by normal numbers.

    Args:
        in_channels: Bands of the chips.
        size: Side of the chips in pixels, a multiple of 8.
        classes: Not used: labels only form pairs.
        width: Channels at full resolution.
        latent: Normal numbers of a code.
        adversarial: A key of ``ADVERSARIAL``; the paper's is ``"wasserstein"``, with a penalty.
            ``"hinge"`` has spectral norm instead and takes a fraction of the time.
        penalty_weight: Of the gradient penalty; None for 10 with ``"wasserstein"``, else 0.
        r1_weight: Of the gradient penalty on real pairs, for ``"hinge"``; it takes the place of
            spectral norm.
        critic_steps: Batches that the critic learns from for one that the generator does; None for
            5 with ``"wasserstein"``, else 1.
        mode_weight: Of mode seeking in z, which the paper does not have: without it the code is
            soon ignored.
        mismatched: Also show the critic pairs of two classes, as fakes (Reed et al. 2016,
            arXiv:1605.05396, matching-aware critic). Without, it is for long content with any
            image that looks real, and the class is lost. The paper has none.
        l1_weight: Of the distance to the source, which the paper does not have. Critics of minutes
            know little of classes, and are content with much that is none.
        warmup: Share of a training in which that distance alone counts.
        dropout: Of the generator's coarsest features, while training.
        norm: Of the generator.

    Raises:
        SettingError: A size or a weight can't work.
        UnknownNameError: There is no such loss.
        ChipError: The chips' side is not a multiple of 8.
    """

    def __init__(
        self, in_channels: int, size: int, classes: int = 0, *, width: int = 32, latent: int = 100,
        adversarial: str = "wasserstein", penalty_weight: float | None = None,
        r1_weight: float = 0.0,
        critic_steps: int | None = None, mode_weight: float = 0.0, mismatched: bool = False,
        l1_weight: float = 0.0, warmup: float = 0.0, dropout: float = 0.0, norm: str = "batch",
    ):  # fmt: skip
        gradient = adversarial == "wasserstein"
        if penalty_weight is None:
            penalty_weight = 10.0 if gradient else 0.0
        critic_steps = critic_steps or (5 if gradient else 1)
        settings = given({k: v for k, v in locals().items() if k != "gradient"})
        widths = level_widths(settings)
        check_weights(WEIGHTS, settings)
        if warmup and not l1_weight:
            raise SettingError(f"warmup={warmup} leaves only l1_weight to learn by; give one")
        super().__init__()
        self.settings = settings
        self.adversarial = adversarial_loss(adversarial)
        side = size // 2 ** (len(widths) - 1)
        self.generators = nn.ModuleDict(
            {"draw": _Transform(in_channels, widths, latent, side, dropout, norm)}
        )
        judge = Critic(
            2 * in_channels, [*widths, 2 * widths[-1]], spectral=not (gradient or r1_weight),
            norm="layer" if gradient else "none",
        )  # fmt: skip
        self.discriminators = nn.ModuleDict({"critic": judge})

    def condition(self, supports: Tensor, *, generator: torch.Generator | None = None) -> Levels:
        """Features at every resolution; the image itself comes last."""
        return Levels([*encode_all(self.net.encoder, supports), supports])

    def draw(self, state: Levels, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """(n, K + latent): support images in turn, from a random one on, and normal numbers."""
        first = state.features[0]
        k = first.shape[1]
        turn = torch.randint(0, k, (), generator=generator)
        which = F.one_hot((torch.arange(n) + turn) % k, k).float()
        z = torch.randn(n, self.settings["latent"], generator=generator)
        return torch.cat([which, z], 1).to(first.device)

    def render(self, state: Levels, code: Tensor) -> Tensor:
        """Make of the support image that ``code`` (B, K + latent) names another one."""
        k = state.features[0].shape[1]
        which, z = code[:, :k], code[:, k:]
        chosen = [torch.einsum("bk,bkchw->bchw", which, f) for f in state.features]
        images: Tensor = self.net(chosen, z)
        return images

    def between(self, start: Tensor, end: Tensor, steps: int) -> Tensor:
        """From one code to another by the great circle, at the first one's support image."""
        latent = self.settings["latent"]
        z = slerp(start[-latent:], end[-latent:], steps)
        return torch.cat([start[None, :-latent].expand(steps, -1), z], 1)

    def forward(self, supports: Tensor, targets: Tensor, labels: Tensor) -> Pairs:
        """Make one image, or two, of the first image of each episode, which is drawn by chance.

        Raises:
            ChipError: An episode holds a single image, which has no partner.
        """
        known = torch.cat([supports, targets], 1)
        if known.shape[1] < 2:
            raise ChipError("DAGAN needs two images of a class; there is one in an episode")
        source, other = known[:, 0], known[:, 1]
        features = [*self.net.encoder(source), source]
        z, other_z = (
            torch.randn(len(source), self.settings["latent"], device=source.device)
            for _ in range(2)
        )
        warming = self.training and self.share < self.settings["warmup"]
        twice = self.settings["mode_weight"] and not warming
        second = self.net(features, other_z) if twice else None
        apart = (labels != labels.roll(1)) & self.settings["mismatched"]
        wrong = torch.cat([source, other.roll(1, 0)], 1)[apart]
        fake = self.net(features, z)
        return Pairs(source, other, wrong, fake, second, z, other_z, warming)

    def generator_loss(self, out: Pairs) -> Terms:
        """``adversarial``, and ``l1`` and ``mode`` with a weight; in the warm-up ``l1`` alone."""
        terms: Terms = {}
        if self.settings["l1_weight"]:
            terms["l1"] = self.settings["l1_weight"] * (out.fake - out.source).abs().mean()
        if out.warming:
            return terms
        with frozen(self.discriminators):
            logits = self.judge(torch.cat([out.source, out.fake], 1))
        terms["adversarial"] = self.adversarial.generator(logits)
        if out.second is not None:
            moved = mode_seeking(out.fake, out.second, out.z, out.other_z)
            terms["mode"] = self.settings["mode_weight"] * moved
        return terms

    def discriminator_loss(self, out: Pairs) -> Terms:
        """``discriminator``, and ``penalty`` where it has a weight. Empty in the warm-up."""
        if out.warming:
            return {}
        real = torch.cat([out.source, out.other], 1)
        fake = torch.cat([out.source, out.fake], 1).detach()
        logits = self.judge(real), self.judge(torch.cat([fake, out.wrong]))
        terms = {"discriminator": self.adversarial.discriminator(*logits)}
        if self.settings["penalty_weight"]:
            terms["penalty"] = self.settings["penalty_weight"] * penalty(self.judge, real, fake)
        if self.settings["r1_weight"]:
            terms |= steadying(self.judge, real, self.settings["r1_weight"], self.training)
        return terms

    def judge(self, pairs: Tensor) -> Tensor:
        """(B,) logits for "these are two images of one class", of (B, 2C, H, W)."""
        logits: Tensor = self.discriminators["critic"](pairs).real
        return logits

    @property
    def net(self) -> Any:
        """The generator."""
        return self.generators["draw"]


class _Transform(nn.Module):
    """A U-Net of which every level also gets the encoder's features, and three of them noise."""

    def __init__(
        self, bands: int, widths: list[int], latent: int, side: int, dropout: float, norm: str
    ):
        super().__init__()
        coarse = widths[::-1]
        self.side = side
        self.encoder = Encoder(bands, widths, norm)
        self.noise = nn.ModuleList(
            nn.Linear(latent, c * (side * 2**level) ** 2) for level, c in enumerate(NOISE)
        )
        self.mix = nn.Conv2d(coarse[0] + NOISE[0], coarse[0], 1)
        extra = list(coarse[1:])
        for level in (0, 1):
            extra[level] += NOISE[level + 1]
        extra[-1] += bands
        self.decoder = Decoder(bands, widths, extra, norm)
        self.dropout = nn.Dropout2d(dropout)

    def forward(self, features: list[Tensor], z: Tensor) -> Any:
        """[(B, C_r, H_r, W_r)], the coarsest first and the image last, and (B, latent)."""
        last = len(features) - 3  # the block whose resolution is the image's

        def fill(level: int, h: Tensor) -> Tensor:
            parts = [features[level + 1]]
            parts += [self._noise(level + 1, z)] if level < 2 else []
            parts += [features[-1]] if level == last else []
            return torch.cat(parts, 1)

        start = self.mix(torch.cat([self.dropout(features[0]), self._noise(0, z)], 1))
        return self.decoder(start, fill)

    def _noise(self, level: int, z: Tensor) -> Tensor:
        side = self.side * 2**level
        maps: Tensor = self.noise[level](z).unflatten(1, (NOISE[level], side, side))
        return maps
