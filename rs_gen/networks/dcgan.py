"""A small generator and discriminator of plain convolutions: for a CPU, and for tests.

As large as DCGAN's (Radford et al. 2016, arXiv:1511.06434), without its norms, for which small
batches are too few. Same interface as ``r3gan``.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from .r3gan import _GAIN, _SLOPE, FIRST, class_codes, logits_of, start, with_class


class PlainGenerator(nn.Module):
    """(B, z_dim) normal numbers to (B, channels, S, S); S is 4 * 2**(stages - 1).

    Args:
        channels: Bands.
        widths: Channels at 4, 8, 16, ... pixels.
        z_dim: Numbers of noise.
        classes: Classes that can be asked for; 0 for none.
        hook: Side, in pixels, of the features that ``run`` hands out.
    """

    def __init__(
        self, channels: int, widths: Sequence[int], *, z_dim: int = 64, classes: int = 0,
        hook: int = 16,
    ):  # fmt: skip
        super().__init__()
        self.z_dim, self.classes, self.hook, self.width = z_dim, classes, hook, widths[0]
        self.embedding = nn.Embedding(classes, z_dim) if classes else None
        self.seed = start(nn.Linear(z_dim * (2 if classes else 1), widths[0] * FIRST**2), _GAIN)
        self.convs = nn.ModuleList(
            start(nn.ConvTranspose2d(a, b, 4, 2, padding=1), _GAIN, fan=4 * a)
            for a, b in pairwise(widths)
        )
        self.paint = start(nn.Conv2d(widths[-1], channels, 3, padding=1), 0.5)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images, (B, channels, S, S)."""
        return self.run(z, labels)[0]

    def run(self, z: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Images, and the features at ``hook`` pixels, (B, C, hook, hook)."""
        x = self.seed(with_class(z, labels, self.embedding))
        x = leaky_relu(x, _SLOPE).view(-1, self.width, FIRST, FIRST)
        features = x
        for conv in self.convs:
            x = leaky_relu(conv(x), _SLOPE)
            if x.shape[-1] == self.hook:
                features = x
        return self.paint(x), features


class PlainDiscriminator(nn.Module):
    """(B, channels, S, S) to (B,) logits, by convolutions of stride 2.

    Args:
        channels: Bands.
        widths: As for the generator: from 4 pixels upwards.
        classes: As for ``R3Discriminator``.
        code: Numbers in a class's code.
        hook: Side, in pixels, of the stage whose halved output ``run`` hands out.
    """

    def __init__(
        self, channels: int, widths: Sequence[int], *, classes: int = 0, code: int = 64,
        hook: int = 16,
    ):  # fmt: skip
        super().__init__()
        self.classes, self.hook = classes, hook
        downwards = list(widths)[::-1]
        self.read = start(nn.Conv2d(channels, downwards[0], 3, padding=1), _GAIN)
        self.convs = nn.ModuleList(
            start(nn.Conv2d(a, b, 4, 2, padding=1), _GAIN) for a, b in pairwise(downwards)
        )
        self.head = start(nn.Linear(downwards[-1] * FIRST**2, code if classes else 1))
        self.embedding = class_codes(classes, code) if classes else None

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Logits, (B,)."""
        return self.run(images, labels)[0]

    def run(self, images: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Logits, and the features that leave the stage at ``hook`` pixels, halved."""
        x, features = leaky_relu(self.read(images), _SLOPE), images
        for conv in self.convs:
            side = x.shape[-1]
            x = leaky_relu(conv(x), _SLOPE)
            if side == self.hook:
                features = x
        return logits_of(self.head(x.flatten(1)), labels, self.embedding), features
