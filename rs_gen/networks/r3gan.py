"""A generator and a discriminator without any norm, for relativistic training with R1 and R2.

After R3GAN (Huang et al. 2024, arXiv:2501.05441), from its formulas: residual blocks with grouped
convolutions, smoothed resampling, weights that start small. Both halves hand out the features
between two of their stages, which regularizers look at; the path is the same with and without.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, leaky_relu

GROUP = 16  # channels a group of the 3 x 3 convolutions
FIRST = 4  # pixels a side that a generator starts from
_SLOPE = 0.2
_GAIN = math.sqrt(2 / (1 + _SLOPE**2))


class Block(nn.Module):
    """(B, C, H, W) to the same: ``x + f(x)``, with f 1 x 1, 3 x 3 in groups, 1 x 1.

    Args:
        channels: C, a multiple of 8.
        depth: Blocks in the whole network; the more, the smaller the first weights.
    """

    def __init__(self, channels: int, depth: int):
        super().__init__()
        inner = 2 * channels
        self.widen = nn.Conv2d(channels, inner, 1)
        self.mix = nn.Conv2d(inner, inner, 3, padding=1, groups=max(1, inner // GROUP))
        self.narrow = nn.Conv2d(inner, channels, 1, bias=False)
        for conv in (self.widen, self.mix):
            start(conv, _GAIN * depth**-0.25)
        nn.init.zeros_(self.narrow.weight)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        y = leaky_relu(self.widen(x), _SLOPE)
        y = leaky_relu(self.mix(y), _SLOPE)
        out: Tensor = x + self.narrow(y)
        return out


class R3Generator(nn.Module):
    """(B, z_dim) normal numbers to (B, channels, S, S); S is 4 * 2**(stages - 1).

    The output has no bound of its own: it learns to lie within [-1, 1].

    Args:
        channels: Bands.
        widths: Channels at 4, 8, 16, ... pixels; multiples of 8.
        blocks: Residual blocks a stage.
        z_dim: Numbers of noise.
        classes: Classes that can be asked for; 0 for none.
        hook: Side, in pixels, of the features that ``run`` hands out.
    """

    def __init__(
        self, channels: int, widths: Sequence[int], *, blocks: int = 1, z_dim: int = 64,
        classes: int = 0, hook: int = 16,
    ):  # fmt: skip
        super().__init__()
        self.z_dim, self.classes, self.hook = z_dim, classes, hook
        depth = blocks * len(widths)
        self.embedding = nn.Embedding(classes, z_dim) if classes else None
        self.scale = start(nn.Linear(z_dim * (2 if classes else 1), widths[0], bias=False))
        self.basis = nn.Parameter(torch.randn(widths[0], FIRST, FIRST))
        self.stages = nn.ModuleList(
            nn.Sequential(*(Block(width, depth) for _ in range(blocks))) for width in widths
        )
        self.changes = nn.ModuleList(_change(a, b) for a, b in pairwise(widths))
        self.paint = start(nn.Conv2d(widths[-1], channels, 1))

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images, (B, channels, S, S)."""
        return self.run(z, labels)[0]

    def run(self, z: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Images, and the features of the stage at ``hook`` pixels, (B, C, hook, hook)."""
        x = self.scale(with_class(z, labels, self.embedding))[:, :, None, None] * self.basis
        features = x
        for number, stage in enumerate(self.stages):
            if number:
                x = up(self.changes[number - 1](x))
            x = stage(x)
            if x.shape[-1] == self.hook:
                features = x
        return self.paint(x), features


class R3Discriminator(nn.Module):
    """(B, channels, S, S) to (B,) logits; the mirror image of ``R3Generator``.

    Args:
        channels: Bands.
        widths: As for the generator: from 4 pixels upwards.
        blocks: Residual blocks a stage.
        classes: Classes that an image is judged as a member of; 0 for none. The logit is then the
            product of the image's code with the class's (Miyato & Koyama 2018).
        code: Numbers in that code.
        hook: Side, in pixels, of the stage whose halved output ``run`` hands out.
    """

    def __init__(
        self, channels: int, widths: Sequence[int], *, blocks: int = 1, classes: int = 0,
        code: int = 64, hook: int = 16,
    ):  # fmt: skip
        super().__init__()
        self.classes, self.hook = classes, hook
        depth = blocks * len(widths)
        downwards = list(widths)[::-1]
        self.read = start(nn.Conv2d(channels, downwards[0], 1))
        self.stages = nn.ModuleList(
            nn.Sequential(*(Block(width, depth) for _ in range(blocks))) for width in downwards
        )
        self.changes = nn.ModuleList(_change(a, b) for a, b in pairwise(downwards))
        last = downwards[-1]
        self.gather = start(nn.Conv2d(last, last, FIRST, groups=last, bias=False))
        self.head = start(nn.Linear(last, code if classes else 1, bias=False))
        self.embedding = class_codes(classes, code) if classes else None

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Logits, (B,)."""
        return self.run(images, labels)[0]

    def run(self, images: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Logits, and the features that leave the stage at ``hook`` pixels, halved."""
        x, features = self.read(images), images
        for number, stage in enumerate(self.stages):
            side = x.shape[-1]
            x = stage(x)
            if number < len(self.changes):
                x = self.changes[number](down(x))
            if side == self.hook:
                features = x
        return logits_of(self.head(self.gather(x).flatten(1)), labels, self.embedding), features


def up(x: Tensor) -> Tensor:
    """Twice as large, smoothed with [1, 3, 3, 1] / 4 along both axes; outside is 0."""
    return conv_transpose2d(x, _filter(x, 2.0), stride=2, padding=1, groups=x.shape[1])


def down(x: Tensor) -> Tensor:
    """Half as large, smoothed with [1, 3, 3, 1] / 8 along both axes; outside is 0."""
    return conv2d(x, _filter(x, 1.0), stride=2, padding=1, groups=x.shape[1])


def _filter(x: Tensor, gain: float) -> Tensor:
    """(C, 1, 4, 4). As a convolution, for that is fast also where gradients have gradients."""
    line = gain / 8 * torch.tensor([1.0, 3.0, 3.0, 1.0], device=x.device)
    return (line[:, None] * line).to(x.dtype).expand(x.shape[1], 1, 4, 4)


def start(layer: nn.Module, gain: float = 1.0, fan: int | None = None) -> nn.Module:
    """The layer with normal weights of deviation ``gain`` / sqrt(fan in), and no bias yet."""
    if fan is None:
        fan, _ = nn.init._calculate_fan_in_and_fan_out(layer.weight)  # type: ignore[arg-type]
    nn.init.normal_(layer.weight, std=gain / math.sqrt(fan))  # type: ignore[arg-type]
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer


def with_class(z: Tensor, labels: Tensor | None, embedding: nn.Embedding | None) -> Tensor:
    """Noise, and beside it the class's vector where there are classes."""
    return z if embedding is None else torch.cat([z, embedding(labels)], 1)


def class_codes(classes: int, code: int) -> nn.Embedding:
    """A code for each class, (classes, code), of length about 1."""
    held = nn.Embedding(classes, code)
    nn.init.normal_(held.weight, std=code**-0.5)
    return held


def logits_of(codes: Tensor, labels: Tensor | None, embedding: nn.Embedding | None) -> Tensor:
    """(B,) logits: the head's only number, or the product with the class's code."""
    return codes.flatten() if embedding is None else (codes * embedding(labels)).sum(1)


def _change(a: int, b: int) -> nn.Module:
    return nn.Identity() if a == b else start(nn.Conv2d(a, b, 1, bias=False))
