"""Generators that learn a class by a few steps of gradient descent: what FIGR and DAWSON share.

A GAN of a code alone, whose weights are so placed that a few steps on the images of a class are
enough. No batch norm anywhere: an episode is four images.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call

from ..losses.adversarial import wasserstein_d, wasserstein_g
from ..losses.penalties import gradient_penalty
from ..networks.critic import Critic
from ..networks.pyramid import Decoder, Sprout
from .base import Terms, check_weights
from .few_shot import FewShotGame, checked_depth, level_widths

Weights = dict[str, Tensor]


class Adapted(NamedTuple):
    """A generator and a critic after some steps on a class.

    Attributes:
        generator: Weights by name.
        critic: As ``generator``.
    """

    generator: Weights
    critic: Weights


class Outer(NamedTuple):
    """What the outer step follows.

    Attributes:
        generator: Gradient by name of weight.
        critic: As ``generator``.
        losses: What is written down, by name.
    """

    generator: Weights
    critic: Weights
    losses: dict[str, Tensor]


class MetaGame(FewShotGame):
    """A GAN that is adapted to a class by gradient descent.

    Args:
        settings: As of every few-shot game, with ``latent``, ``inner_lr``, ``inner_steps``,
            ``adapt_steps``, ``inner_clip`` and ``penalty_weight``.

    Raises:
        SettingError: A size or a weight can't work.
        ChipError: The chips' side is not a multiple of 8.
    """

    meta: ClassVar[bool] = True

    def __init__(self, settings: dict[str, Any]):
        checked_depth(settings)
        check_weights(["penalty_weight", "inner_lr", "inner_clip"], settings)
        super().__init__()
        self.settings = s = settings
        widths = level_widths(s)  # both networks have a norm over each image alone
        side = s["size"] // 2 ** (len(widths) - 1)
        self.generators = nn.ModuleDict(
            {"draw": _Plain(s["in_channels"], widths, s["latent"], side)}
        )
        critic = Critic(s["in_channels"], [*widths, 2 * widths[-1]], spectral=False, norm="layer")
        self.discriminators = nn.ModuleDict({"critic": critic})

    @abstractmethod
    def outer(self, supports: Tensor, targets: Tensor) -> Outer:
        """The gradient of one class, for (K, C, H, W) and (T, C, H, W) images of it."""

    def condition(self, supports: Tensor, *, generator: torch.Generator | None = None) -> Adapted:
        """Both networks after ``adapt_steps`` on the one class of (1, K, C, H, W)."""
        return self.adapt(supports[0], self.settings["adapt_steps"], generator=generator)

    def draw(self, state: Adapted, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """(n, latent) normal numbers."""
        z = torch.randn(n, self.settings["latent"], generator=generator)
        return z.to(next(iter(state.generator.values())).device)

    def render(self, state: Adapted, code: Tensor) -> Tensor:
        """What the adapted generator makes of the codes."""
        return self.imagine(state.generator, code)

    def forward(self, supports: Tensor, targets: Tensor, labels: Tensor) -> Outer:
        """The mean gradient over the classes of the batch."""
        with torch.autocast(supports.device.type, enabled=False):
            found = [
                self.outer(s.float(), t.float()) for s, t in zip(supports, targets, strict=True)
            ]
        return Outer(*(_mean([one[i] for one in found]) for i in range(3)))

    def generator_loss(self, out: Outer) -> Terms:
        """A value whose gradient is the outer step's, and what is worth writing down beside it."""
        return {"meta": followed(self.generators["draw"], out.generator), **_quiet(out.losses)}

    def discriminator_loss(self, out: Outer) -> Terms:
        """As ``generator_loss``, for the critic."""
        return {"discriminator": followed(self.discriminators["critic"], out.critic)}

    def adapt(
        self, images: Tensor, steps: int, *, start: Adapted | None = None,
        generator: torch.Generator | None = None,
    ) -> Adapted:  # fmt: skip
        """``steps`` times a step of the critic, then one of the generator, on (N, C, H, W) images.

        Plain gradient descent, whatever mode gradients are in. Nothing of this game is changed.
        """
        state = self.start() if start is None else start
        for _ in range(steps):
            state = state._replace(critic=self.critic_step(state, images, generator))
            state = state._replace(generator=self.generator_step(state, len(images), generator))
        return state

    def start(self) -> Adapted:
        """The weights that every adaptation starts at."""
        return Adapted(
            {k: p.detach() for k, p in self.generators["draw"].named_parameters()},
            {k: p.detach() for k, p in self.discriminators["critic"].named_parameters()},
        )

    def critic_step(
        self, state: Adapted, images: Tensor, generator: torch.Generator | None = None
    ) -> Weights:
        """The critic after one step."""
        fakes = self.imagine(state.generator, self.codes(len(images), images.device, generator))
        slope, _ = gradient(
            lambda critic: self.critic_loss(critic, images, fakes.detach(), generator), state.critic
        )
        return self._descended(state.critic, slope)

    def generator_step(
        self, state: Adapted, n: int, generator: torch.Generator | None = None
    ) -> Weights:
        """The generator after one step."""
        slope, _ = self.generator_gradient(state, n, generator)
        return self._descended(state.generator, slope)

    def generator_gradient(
        self, state: Adapted, n: int, generator: torch.Generator | None = None
    ) -> tuple[Weights, Tensor]:
        """Of the generator's loss before the state's critic: gradient, and the loss."""
        codes = self.codes(n, next(iter(state.critic.values())).device, generator)
        return gradient(
            lambda weights: wasserstein_g(self.judge(state.critic, self.imagine(weights, codes))),
            state.generator,
        )

    def critic_loss(
        self, critic: Weights, real: Tensor, fake: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        """Wasserstein with the penalty of the whole image's gradient."""

        def judge(images: Tensor) -> Tensor:
            return self.judge(critic, images)

        # One pass for both: the critic's norm looks at each image alone.
        real_logits, fake_logits = judge(torch.cat([real, fake])).chunk(2)
        n = min(len(real), len(fake))
        weight: float = self.settings["penalty_weight"]
        dice = on_device(generator, real.device)
        loss = wasserstein_d(real_logits, fake_logits)
        return loss + weight * gradient_penalty(judge, real[:n], fake[:n], generator=dice)

    def imagine(self, weights: Weights, codes: Tensor) -> Tensor:
        """(n, C, H, W) from (n, latent), by a generator of these weights."""
        images: Tensor = _called(self.generators["draw"], weights, codes)
        return images

    def judge(self, weights: Weights, images: Tensor) -> Tensor:
        """(n,) logits, by a critic of these weights."""
        logits: Tensor = _called(self.discriminators["critic"], weights, images).real
        return logits

    def _descended(self, weights: Weights, slopes: Weights) -> Weights:
        """One step down; a gradient longer than ``inner_clip`` is made as long as that."""
        lr, longest = self.settings["inner_lr"], self.settings["inner_clip"]
        if longest:
            lr = lr * (longest / length_of(slopes).clamp_min(1e-12)).clamp_max(1.0)
        return {name: w - lr * slopes[name] for name, w in weights.items()}

    def codes(self, n: int, device: Any, generator: torch.Generator | None = None) -> Tensor:
        """(n, latent) normal numbers."""
        return torch.randn(n, self.settings["latent"], generator=generator).to(device)


class _Plain(nn.Module):
    def __init__(self, bands: int, widths: list[int], latent: int, side: int):
        super().__init__()
        self.sprout = Sprout(latent, widths[-1], side)
        self.decoder = Decoder(bands, widths, norm="layer")

    def forward(self, z: Tensor) -> Any:
        return self.decoder(self.sprout(z))


def gradient(loss: Callable[[Weights], Tensor], weights: Weights) -> tuple[Weights, Tensor]:
    """Gradient of a loss at some weights, by name, and its value; no graph is kept."""
    with torch.enable_grad():
        held = {name: w.detach().requires_grad_() for name, w in weights.items()}
        value = loss(held)
        found = torch.autograd.grad(value, list(held.values()), allow_unused=True)
    slopes = {
        name: torch.zeros_like(w) if g is None else g
        for (name, w), g in zip(held.items(), found, strict=True)
    }
    return slopes, value.detach()


def length_of(slopes: Weights) -> Tensor:
    """The norm of all of them together, a scalar."""
    return torch.stack([g.square().sum() for g in slopes.values()]).sum().sqrt()


def followed(net: nn.Module, slopes: Mapping[str, Tensor]) -> Tensor:
    """A scalar 0 whose gradient at the net's parameters is ``slopes``."""
    terms = [(p * slopes[name].detach()).sum() for name, p in net.named_parameters()]
    total = torch.stack(terms).sum()
    return total - total.detach()


def _called(net: nn.Module, weights: Weights, x: Tensor) -> Any:
    return functional_call(net, weights, (x,))  # type: ignore[no-untyped-call]


def on_device(generator: torch.Generator | None, device: torch.device) -> torch.Generator | None:
    """A generator for another device, that follows from this one."""
    if generator is None or generator.device.type == device.type:
        return generator
    seed = int(torch.randint(0, 2**62, (), generator=generator))
    return torch.Generator(device).manual_seed(seed)


def _mean(found: list[Any]) -> Any:
    return {name: sum(one[name] for one in found) / len(found) for name in found[0]}


def _quiet(losses: Mapping[str, Tensor]) -> Terms:
    """Shown and not followed."""
    return {name: value.detach() for name, value in losses.items()}
