"""FIGR: a GAN meta-trained by Reptile. Clouâtre & Demers 2019, arXiv:1901.02199.

The released code takes the norm of the gradient penalty over channels alone; here it is over the
whole image.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .base import given
from .meta import MetaGame, Outer, length_of
from .registry import register


@register("figr")
class FIGRGame(MetaGame):
    """Move the weights towards where a few steps on each class lead.

    The gradient that the outer optimiser follows is ``start - adapted`` (Nichol et al. 2018,
    arXiv:1803.02999, section 3), so with no inner step there is none.

    Args:
        in_channels: Bands of the chips.
        size: Side of the chips in pixels, a multiple of 8.
        classes: Not used.
        width: Channels at full resolution.
        latent: Numbers of a code.
        inner_steps: Steps on a class while training, each of critic and generator.
        inner_lr: Of those; plain gradient descent.
        adapt_steps: Steps on a class to generate.
        penalty_weight: Of the gradient penalty.
        inner_clip: Longest gradient of an inner step, or 0 for any. The penalty of a critic that
            has become steep on some class is steeper still: one step of plain descent along it ends
            in infinity.

    Raises:
        SettingError: A size or a weight can't work.
        ChipError: The chips' side is not a multiple of 8.
    """

    def __init__(
        self, in_channels: int, size: int, classes: int = 0, *, width: int = 32, latent: int = 100,
        inner_steps: int = 10, inner_lr: float = 1e-3, adapt_steps: int = 30,
        penalty_weight: float = 10.0, inner_clip: float = 100.0,
    ):  # fmt: skip
        super().__init__(given(locals()))

    def outer(self, supports: Tensor, targets: Tensor) -> Outer:
        """``start - adapted``, on all images of the episode."""
        start = self.start()
        end = self.adapt(torch.cat([supports, targets]), self.settings["inner_steps"], start=start)
        generator, critic = (
            {name: w - after[name] for name, w in before.items()}
            for before, after in zip(start, end, strict=True)
        )
        return Outer(generator, critic, {"moved": length_of(generator)})
