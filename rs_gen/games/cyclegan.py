"""CycleGAN: two domains without pairs. Zhu et al. 2017, arXiv:1703.10593."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor, nn

from ..errors import SettingError
from ..losses.adversarial import adversarial as adversarial_loss
from ..losses.reconstruction import l1
from .base import Game, Terms, check_sizes, check_weights, frozen, given, penalty
from .players import kind_of, make_discriminator, make_generator
from .pool import ImagePool
from .registry import register


class Cycle(NamedTuple):
    """What a CycleGAN step is about; (B, C, H, W) each, in [-1, 1].

    Attributes:
        real_a: Chips of domain A.
        real_b: Chips of domain B, of other places.
        fake_a: ``real_b`` as A would show it.
        fake_b: ``real_a`` as B would show it.
        back_a: ``fake_b`` translated back; should be ``real_a``.
        back_b: ``fake_a`` translated back; should be ``real_b``.
        same_a: ``real_a`` given to the generator that makes A's; None without an identity loss.
        same_b: ``real_b`` given to the generator that makes B's; None without an identity loss.
    """

    real_a: Tensor
    real_b: Tensor
    fake_a: Tensor
    fake_b: Tensor
    back_a: Tensor
    back_b: Tensor
    same_a: Tensor | None = None
    same_b: Tensor | None = None


@register("cyclegan")
class CycleGANGame(Game):
    """Two generators that undo one another, and a discriminator in each domain.

    Args:
        in_channels: Bands of domain A.
        out_channels: Bands of domain B.
        width: Channels after a generator's first layer.
        blocks: Residual blocks of a generator; the paper has 9 from 256 px on, 6 below.
        lambda_cycle: Weight of the cycle terms; lambda of eq. 3.
        lambda_identity: Weight of the identity terms, as a share of ``lambda_cycle``. None for the
            paper's 0.5 where both domains have the same number of bands, and 0 where they do not:
            there an image can't be its own translation.
        adversarial: A key of ``ADVERSARIAL``.
        penalty_weight: Of the gradient penalty; None for 10 with ``"wasserstein"``, else 0.
        pool: Fakes remembered in each domain; 0 for none.
        generator: ``"resnet"`` (the paper's), ``"unet"`` or ``"efficient"``.
        backbone: Encoder of an ``"efficient"`` generator; naming one chooses that generator.
        depth: Levels of a U-Net.
        downsamplings: Times that a ResNet halves the image before its blocks.
        norm: Of the generators; None for the published one.
        dropout: Share dropped while training, 0 to 1, where the generator has dropout; None for
            the published one.
        antialias: Smooth before a ResNet's resampling.
        d_width: Channels after a discriminator's first layer.
        d_depth: Its stride-2 layers; 3 judges patches of 70 px.
        d_norm: Its norm.
        spectral: Divide its weights by their largest singular value.
        pretrained: Whether backbones start from ImageNet weights, or a file of weights.
        seed: Of the image pools.

    Raises:
        SettingError: A size or a weight can't work, or identity terms are asked of domains that
            differ in bands.
        UnknownNameError: No generator, backbone or loss has that name.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        width: int = 64,
        *,
        blocks: int = 9,
        lambda_cycle: float = 10.0,
        lambda_identity: float | None = None,
        adversarial: str = "lsgan",
        penalty_weight: float | None = None,
        pool: int = 50,
        generator: str = "resnet",
        backbone: str | None = None,
        depth: int = 8,
        downsamplings: int = 2,
        norm: str | None = None,
        dropout: float | None = None,
        antialias: bool = False,
        d_width: int = 64,
        d_depth: int = 3,
        d_norm: str = "instance",
        spectral: bool = False,
        pretrained: bool | str | Path = True,
        seed: int = 0,
    ):
        if penalty_weight is None:
            penalty_weight = 10.0 if adversarial == "wasserstein" else 0.0
        lambda_identity = _identity_weight(lambda_identity, in_channels, out_channels)
        generator = kind_of(generator, backbone)
        settings = given(locals())
        check_sizes(settings)
        check_weights(["lambda_cycle", "lambda_identity", "penalty_weight"], settings)
        super().__init__()
        self.settings = settings
        self.lambda_cycle, self.penalty_weight = lambda_cycle, penalty_weight
        self.lambda_identity = lambda_identity
        self.adversarial = adversarial_loss(adversarial)
        build = partial(
            make_generator, generator, backbone=backbone, pretrained=pretrained, width=width,
            depth=depth, blocks=blocks, downsamplings=downsamplings, norm=norm, dropout=dropout,
            antialias=antialias,
        )  # fmt: skip
        judge = partial(
            make_discriminator, width=d_width, depth=d_depth, norm=d_norm, spectral=spectral
        )
        self.generators = nn.ModuleDict(
            {
                "AtoB": build(in_channels, out_channels),
                "BtoA": build(out_channels, in_channels),
            }
        )
        self.discriminators = nn.ModuleDict(
            {
                "A": judge(in_channels),
                "B": judge(out_channels),
            }
        )
        self.pools = {"A": ImagePool(pool, seed), "B": ImagePool(pool, seed + 1)}

    def forward(self, real_a: Tensor, real_b: Tensor) -> Cycle:
        """Translate both batches there and back."""
        to_b, to_a = self.generators["AtoB"], self.generators["BtoA"]
        fake_b, fake_a = to_b(real_a), to_a(real_b)
        same_a, same_b = (to_a(real_a), to_b(real_b)) if self.lambda_identity else (None, None)
        return Cycle(real_a, real_b, fake_a, fake_b, to_a(fake_b), to_b(fake_a), same_a, same_b)

    def judge_of(self, direction: str = "AtoB") -> tuple[nn.Module, bool] | None:
        """The discriminator of the domain that the direction leads to; it sees no source."""
        domain = direction[-1:]
        return (self.discriminators[domain], False) if domain in self.discriminators else None

    def judge(self, domain: str, images: Tensor) -> Tensor:
        """Logits for "this is an image of the domain", float32."""
        logits: Tensor = self.discriminators[domain](images)
        return logits.float()

    def generator_loss(self, out: Cycle) -> Terms:
        """Terms ``adversarial_a|b``, ``cycle_a|b`` and, where weighted, ``identity_a|b``."""
        with frozen(self.discriminators):
            logits_a, logits_b = self.judge("A", out.fake_a), self.judge("B", out.fake_b)
        terms = {
            "adversarial_a": self.adversarial.generator(logits_a),
            "adversarial_b": self.adversarial.generator(logits_b),
            "cycle_a": self.lambda_cycle * l1(out.back_a, out.real_a),
            "cycle_b": self.lambda_cycle * l1(out.back_b, out.real_b),
        }
        if out.same_a is not None and out.same_b is not None:
            weight = self.lambda_cycle * self.lambda_identity
            terms["identity_a"] = weight * l1(out.same_a, out.real_a)
            terms["identity_b"] = weight * l1(out.same_b, out.real_b)
        return terms

    def discriminator_loss(self, out: Cycle) -> Terms:
        """Terms ``discriminator_a|b``, and ``penalty_a|b`` where they have a weight.

        While training, the fakes pass through the image pools, so call it once a step.
        """
        terms = self._judge_domain("A", out.real_a, out.fake_a.detach())
        return terms | self._judge_domain("B", out.real_b, out.fake_b.detach())

    def _judge_domain(self, domain: str, real: Tensor, fake: Tensor) -> Terms:
        if self.training:
            fake = self.pools[domain](fake)
        logits = self.judge(domain, real), self.judge(domain, fake)
        terms = {f"discriminator_{domain.lower()}": self.adversarial.discriminator(*logits)}
        if self.penalty_weight:
            weighted = self.penalty_weight * penalty(partial(self.judge, domain), real, fake)
            terms[f"penalty_{domain.lower()}"] = weighted
        return terms

    def memory(self) -> dict[str, Any]:
        """The image pools."""
        return {"pools": {domain: pool.state() for domain, pool in self.pools.items()}}

    def load_memory(self, memory: Mapping[str, Any]) -> None:
        """Take up the image pools that ``memory`` gave.

        Raises:
            SettingError: They are of another size.
        """
        for domain, pool in self.pools.items():
            pool.load(memory["pools"][domain])


def _identity_weight(asked: float | None, bands_a: int, bands_b: int) -> float:
    if bands_a == bands_b:
        return 0.5 if asked is None else asked
    if asked:
        raise SettingError(
            f"lambda_identity={asked:g} needs as many bands in A as in B; there are {bands_a} and "
            f"{bands_b}; pass lambda_identity=0 or leave it out"
        )
    return 0.0
