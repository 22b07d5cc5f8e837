"""Pix2Pix: one image to another of the same place. Isola et al. 2017, arXiv:1611.07004."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..errors import SettingError
from ..losses.adversarial import adversarial as adversarial_loss
from ..losses.reconstruction import l1, rarity, rarity_weights
from .base import Game, Terms, check_sizes, check_weights, frozen, given, penalty
from .players import kind_of, make_discriminator, make_generator
from .registry import register

MOST_COLOURS = 256


class Pair(NamedTuple):
    """What a Pix2Pix step is about.

    Attributes:
        source: (B, C_in, H, W) in [-1, 1].
        target: (B, C_out, H, W) in [-1, 1].
        fake: As ``target``, from the generator.
    """

    source: Tensor
    target: Tensor
    fake: Tensor


@register("pix2pix")
class Pix2PixGame(Game):
    """A generator that must be right, and a discriminator that asks whether it looks right.

    The defaults are the published ones, save the least-squares adversarial loss of CycleGAN in
    place of the paper's logarithmic one (``adversarial="vanilla"``).

    Args:
        in_channels: Bands of the source.
        out_channels: Bands of the target.
        generator: ``"unet"`` (the paper's), ``"resnet"``, or ``"efficient"``, a pretrained encoder
            under a small decoder.
        backbone: Encoder of an ``"efficient"`` generator; naming one chooses that generator.
        width: Channels after the first layer of a U-Net or ResNet.
        depth: Levels of a U-Net; chips must divide by ``2**depth``.
        blocks: Residual blocks of a ResNet.
        downsamplings: Times that a ResNet halves the image before its blocks.
        norm: ``"batch"``, ``"instance"``, ... of a U-Net or ResNet; None for the published one.
        dropout: Share dropped in the decoder while training, 0 to 1; None for the published one.
        antialias: Smooth before a ResNet's resampling.
        l1_weight: Lambda of eq. 4; the paper's 100 keeps colours honest.
        colour_balance: How much more a rare colour of a map counts in the L1 term: at 0 each pixel
            counts alike, at 1 each colour of ``palette``.
        palette: The map's colours and their shares, as ``metrics.palette.Palette.to_dict`` gives
            them; None counts each pixel alike.
        adversarial: A key of ``ADVERSARIAL``.
        penalty_weight: Of the gradient penalty; None for 10 with ``"wasserstein"``, else 0.
        d_width: Channels after the discriminator's first layer.
        d_depth: Its stride-2 layers; 3 judges patches of 70 px.
        d_norm: Its norm; None for the published batch norm, or for instance norm where there is a
            gradient penalty, which looks at each image alone.
        spectral: Divide its weights by their largest singular value. Miyato et al. 2018.
        d_crop: Side in pixels of the window, at a random place each step, that the discriminator
            judges; 0 judges whole chips. It judges patches either way, so a window is a smaller
            sample of the same, and cheaper.
        pretrained: Whether the backbone starts from ImageNet weights, or a file of weights.

    Raises:
        SettingError: A size or a weight can't work.
        UnknownNameError: No generator, backbone or loss has that name.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        generator: str = "unet",
        *,
        backbone: str | None = None,
        width: int = 64,
        depth: int = 8,
        blocks: int = 9,
        downsamplings: int = 2,
        norm: str | None = None,
        dropout: float | None = None,
        antialias: bool = False,
        l1_weight: float = 100.0,
        colour_balance: float = 0.0,
        palette: Mapping[str, Any] | None = None,
        adversarial: str = "lsgan",
        penalty_weight: float | None = None,
        d_width: int = 64,
        d_depth: int = 3,
        d_norm: str | None = None,
        spectral: bool = False,
        d_crop: int = 0,
        pretrained: bool | str | Path = True,
    ):
        if penalty_weight is None:
            penalty_weight = 10.0 if adversarial == "wasserstein" else 0.0
        if d_norm is None:
            d_norm = "instance" if penalty_weight else "batch"
        generator = kind_of(generator, backbone)
        settings = given(locals())
        check_sizes(settings)
        if 0 < d_crop < 2 ** (d_depth + 3):
            raise SettingError(
                f"d_crop={d_crop} is less than the discriminator needs; give 0 for whole chips, or "
                f"{2 ** (d_depth + 3)} or more with d_depth={d_depth}"
            )
        check_weights(["l1_weight", "penalty_weight", "colour_balance"], settings)
        super().__init__()
        self.settings = settings
        self.l1_weight, self.penalty_weight = l1_weight, penalty_weight
        self.d_crop = d_crop
        self.adversarial = adversarial_loss(adversarial)
        G = make_generator(
            generator, in_channels, out_channels, backbone=backbone, pretrained=pretrained,
            width=width, depth=depth, blocks=blocks, downsamplings=downsamplings, norm=norm,
            dropout=dropout, antialias=antialias,
        )  # fmt: skip
        D = make_discriminator(
            in_channels + out_channels, width=d_width, depth=d_depth, norm=d_norm, spectral=spectral
        )
        self.generators, self.discriminators = nn.ModuleDict({"AtoB": G}), nn.ModuleDict({"D": D})
        colours, weights = _weighted_colours(palette, colour_balance, out_channels)
        # Not with the weights: the settings hold them.
        self.register_buffer("colours", colours, persistent=False)
        self.register_buffer("colour_weights", weights, persistent=False)

    def forward(self, source: Tensor, target: Tensor) -> Pair:
        """Translate a batch of pairs."""
        return Pair(source, target, self.translate(source))

    def judge_of(self, direction: str = "AtoB") -> tuple[nn.Module, bool] | None:
        """The discriminator, which sees source and image together."""
        held = direction in self.generators and "D" in self.discriminators
        return (self.discriminators["D"], True) if held else None

    def judge(self, source: Tensor, image: Tensor) -> Tensor:
        """Logits for "this image belongs to this source", float32.

        Real and fake both come through here, so the order of bands can't tell them apart.
        """
        logits: Tensor = self.discriminators["D"](torch.cat([source, image], dim=1))
        return logits.float()

    def generator_loss(self, out: Pair) -> Terms:
        """Terms ``adversarial`` and ``l1``; eq. 4."""
        with frozen(self.discriminators):
            seen = self._judged(out)
            logits = self.judge(seen.source, seen.fake)
        return {
            "adversarial": self.adversarial.generator(logits),
            "l1": self.l1_weight * self.difference(out),
        }

    def difference(self, out: Pair) -> Tensor:
        """L1, with pixels of rare colours counting more where there is a palette to tell."""
        colours, weights = self.colours, self.colour_weights
        if not isinstance(colours, Tensor) or not isinstance(weights, Tensor):
            return l1(out.fake, out.target)
        weight = rarity(out.target, colours, weights)
        return l1(out.fake, out.target, weight) * weight.mean()

    def discriminator_loss(self, out: Pair) -> Terms:
        """Term ``discriminator``, and ``penalty`` where it has a weight."""
        out = self._judged(out)
        fake = out.fake.detach()
        real_logits, fake_logits = self.judge(out.source, out.target), self.judge(out.source, fake)
        terms = {"discriminator": self.adversarial.discriminator(real_logits, fake_logits)}
        if self.penalty_weight:
            judge = partial(self.judge, out.source)
            terms["penalty"] = self.penalty_weight * penalty(judge, out.target, fake)
        return terms

    def _judged(self, out: Pair) -> Pair:
        """What the discriminator gets to see: all of it, or a window."""
        height, width = out.fake.shape[-2:]
        if not self.d_crop or self.d_crop >= min(height, width):
            return out
        top = int(torch.randint(height - self.d_crop + 1, ()))
        left = int(torch.randint(width - self.d_crop + 1, ()))
        rows, cols = slice(top, top + self.d_crop), slice(left, left + self.d_crop)
        return Pair(*(images[..., rows, cols] for images in out))


def _weighted_colours(
    palette: Mapping[str, Any] | None, balance: float, bands: int
) -> tuple[Tensor | None, Tensor | None]:
    """(K, C) colours and (K,) weights, or None where each pixel counts alike."""
    if balance > 1:
        raise SettingError(f"colour_balance={balance} is not within 0 to 1")
    if palette is None or not balance:
        return None, None
    try:  # on the CPU also where a game is only planned: values are looked at
        colours = torch.tensor(palette["colours"], dtype=torch.float32, device="cpu")
        shares = torch.tensor(palette["shares"], dtype=torch.float32, device="cpu")
        fine = colours.shape == (len(shares), bands) and len(shares) <= MOST_COLOURS
    except (KeyError, TypeError, ValueError):
        fine = False
    if not fine or not bool(torch.isfinite(colours).all() and (shares > 0).all()):
        raise SettingError(
            f"palette must hold 1 to {MOST_COLOURS} colours of {bands} bands and their shares"
        )
    return colours, rarity_weights(shares, balance)
