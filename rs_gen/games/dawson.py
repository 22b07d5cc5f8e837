"""DAWSON: a GAN meta-trained by MAML. Liang et al. 2020, arXiv:2001.00576.

MAML needs the loss of a generator on images that it has not learnt from, and a GAN has none without
a critic of those. So the critic is adapted twice, to the support images and to the targets, and
the generator that learnt from the one is judged by the other. In the released code both optimisers
move both networks; here each moves its own.
"""

from __future__ import annotations

from torch import Tensor

from ..errors import ChipError
from .base import given
from .meta import Adapted, MetaGame, Outer, gradient
from .registry import register


@register("dawson")
class DAWSONGame(MetaGame):
    """Place the weights so that a step on some images of a class helps with others of it.

    First order: the gradient is taken after the inner steps and used as it is before them.

    Args:
        in_channels: Bands of the chips.
        size: Side of the chips in pixels, a multiple of 8.
        classes: Not used.
        width: Channels at full resolution.
        latent: Numbers of a code.
        inner_steps: Steps of the critic on each set while training.
        inner_generator_steps: Steps of the generator while training.
        inner_lr: Of those; plain gradient descent.
        adapt_steps: Steps on a class to generate, of critic and generator by turns.
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
        inner_steps: int = 3, inner_generator_steps: int = 1, inner_lr: float = 1e-3,
        adapt_steps: int = 30, penalty_weight: float = 10.0, inner_clip: float = 100.0,
    ):  # fmt: skip
        super().__init__(given(locals()))

    def outer(self, supports: Tensor, targets: Tensor) -> Outer:
        """The generator's by the targets' critic; the support's critic's, on the targets."""
        if not len(targets):
            raise ChipError("DAWSON needs targets beside the support images; leave targets= out")
        start = self.start()
        of_support, of_targets = self.critic_of(supports, start), self.critic_of(targets, start)
        drawn = start._replace(critic=of_support)
        for _ in range(self.settings["inner_generator_steps"]):
            drawn = drawn._replace(generator=self.generator_step(drawn, len(supports)))
        judged = Adapted(drawn.generator, of_targets)
        for_generator, loss = self.generator_gradient(judged, len(targets))
        fakes = self.imagine(start.generator, self.codes(len(targets), targets.device)).detach()
        for_critic, critic_loss = gradient(
            lambda critic: self.critic_loss(critic, targets, fakes), of_support
        )
        return Outer(for_generator, for_critic, {"generator": loss, "critic": critic_loss})

    def critic_of(self, images: Tensor, start: Adapted) -> dict[str, Tensor]:
        """A critic of its own for a set of images."""
        state = start
        for _ in range(self.settings["inner_steps"]):
            state = state._replace(critic=self.critic_step(state, images))
        return state.critic
