"""What every few-shot game is: ``image = render(condition(support), code)``.

Six systems are one sentence: something is learnt from a few images of a class, a random code says
which further image of it is wanted, and a network draws that.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import ChipError
from ..losses.penalties import r1
from ..networks.pyramid import halvings, widths_of
from .base import Game, Terms, check_sizes

CHUNK = 64  # images drawn at once
R1_EVERY = 4  # steps between penalties, on average; each costs a second derivative


class FewShotGame(Game):
    """Networks that draw images of a class from some of its images.

    A batch is of episodes: ``supports`` (B, K, C, H, W), ``targets`` (B, T, C, H, W) of the same
    classes, and ``labels`` (B,), the number of each class among the seen ones.

    Attributes:
        share: How much of a training is over, 0 to 1. The trainer sets it.
        meta: Whether a class is learnt by steps of gradient descent, which takes a while.
    """

    makes: ClassVar[str] = "draws images of a class from some of its images"
    meta: ClassVar[bool] = False
    share: float = 1.0

    @abstractmethod
    def condition(self, supports: Tensor, *, generator: torch.Generator | None = None) -> Any:
        """All that is taken from the support images, once a class.

        Args:
            supports: (B, K, C, H, W) in [-1, 1]; a game that learns by descent takes B = 1.
            generator: For what is drawn while learning; None for torch's global one.
        """

    @abstractmethod
    def draw(self, state: Any, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """(n, D) random codes for the one class of ``state``."""

    @abstractmethod
    def render(self, state: Any, code: Tensor) -> Tensor:
        """(B, C, H, W) in [-1, 1], one a code. Deterministic, and differentiable in ``code``."""

    def between(self, start: Tensor, end: Tensor, steps: int) -> Tensor:
        """(steps, D): codes on the way from one (D,) to another, both ends among them."""
        return slerp(start, end, steps)

    def finished(self, images: Tensor) -> Tensor:
        """What is handed out of what ``render`` gave."""
        return images

    @torch.no_grad()
    def show(self, state: Any, code: Tensor) -> Tensor:
        """(n, C, H, W) for (n, D) codes of one class, some at a time. In eval mode."""
        was = self.training
        self.eval()
        try:
            drawn = [self.render(spread(state, len(c)), c) for c in torch.split(code, CHUNK)]
        finally:
            self.train(was)
        return self.finished(torch.cat(drawn)).contiguous()

    def learn(self, images: Tensor, generator: torch.Generator | None = None) -> Any:
        """``condition`` for the one class of (K, C, H, W) images, in eval mode.

        Raises:
            ChipError: They are not images that this game was built for.
        """
        wanted = (self.settings["in_channels"], self.settings["size"], self.settings["size"])
        if images.dim() != 4 or not len(images) or tuple(images.shape[1:]) != wanted:
            raise ChipError(
                f"support images are {tuple(images.shape)}; this model needs (K, {wanted[0]}, "
                f"{wanted[1]}, {wanted[2]}) with K of at least 1"
            )
        was = self.training
        self.eval()
        try:
            with torch.no_grad():
                return self.condition(images[None], generator=generator)
        finally:
            self.train(was)

    def discriminator_loss(self, out: Any) -> Terms:
        """Nothing, for a game without an adversary."""
        return {}


class Levels(NamedTuple):
    """Features of support images at every resolution.

    Attributes:
        features: (B, K, C_r, H_r, W_r) each, the coarsest first.
    """

    features: list[Tensor]


def checked_depth(settings: dict[str, Any]) -> int:
    """How often the game's chips are halved, after a check of all sizes."""
    check_sizes(settings)
    return halvings(settings["size"])


def level_widths(settings: dict[str, Any]) -> list[int]:
    """Channels by level, the image's own first."""
    return widths_of(settings["width"], checked_depth(settings))


def encode_all(encoder: nn.Module, supports: Tensor) -> list[Tensor]:
    """(B, K, C, H, W) to [(B, K, C_r, H_r, W_r)], the coarsest first."""
    shape = supports.shape[:2]
    return [f.unflatten(0, shape) for f in encoder(supports.flatten(0, 1))]


def spread(state: Any, n: int) -> Any:
    """The state of one class as that of n: every tensor (1, ...) seen as (n, ...)."""
    if isinstance(state, Tensor):
        return state.expand(n, *state.shape[1:])
    if isinstance(state, list):
        return [spread(part, n) for part in state]
    if isinstance(state, tuple):
        return type(state)(*(spread(part, n) for part in state))
    return state  # weights of an adapted network belong to no image


def slerp(start: Tensor, end: Tensor, steps: int) -> Tensor:
    """(steps, D) along the great circle, with lengths in between; White 2016, arXiv:1609.04468."""
    t = torch.linspace(0, 1, steps, device=start.device)[:, None]
    lengths = start.norm(), end.norm()
    if float(lengths[0]) == 0 or float(lengths[1]) == 0:
        return torch.lerp(start[None], end[None], t)
    ways = start / lengths[0], end / lengths[1]
    angle = torch.acos((ways[0] * ways[1]).sum().clamp(-1, 1))
    if float(angle.sin().abs()) < 1e-4:  # the same way, or opposite ones
        return torch.lerp(start[None], end[None], t)
    on: Tensor = (((1 - t) * angle).sin() * ways[0] + (t * angle).sin() * ways[1]) / angle.sin()
    return on * torch.lerp(lengths[0], lengths[1], t)


def views(images: Tensor) -> Tensor:
    """(K, C, H, W) to (8K, C, H, W): the eight flips and quarter turns of each, itself first."""
    turned = [torch.rot90(images, k, (2, 3)) for k in range(4)]
    return torch.stack([*turned, *(t.flip(3) for t in turned)], 1).flatten(0, 1)


def nudges(images: Tensor, *, generator: torch.Generator | None = None, n: int = 8) -> Tensor:
    """(K, C, H, W) to (nK, C, H, W): each as it is, and nudged n - 1 times.

    Turned by up to 10 degrees, scaled by up to 15 % and moved by up to 5 % of the side; for
    classes such as characters, that a flip or a quarter turn would make into another.
    """
    others = [_nudged(images, generator) for _ in range(n - 1)]
    return torch.stack([images, *others], 1).flatten(0, 1)


def _nudged(images: Tensor, generator: torch.Generator | None) -> Tensor:
    dice = 2 * torch.rand(4, len(images), generator=generator).to(images.device) - 1
    turn, scale = dice[0] * (torch.pi / 18), 1 + 0.15 * dice[1]
    rows = [
        torch.stack([turn.cos() * scale, -turn.sin() * scale, 0.1 * dice[2]], -1),
        torch.stack([turn.sin() * scale, turn.cos() * scale, 0.1 * dice[3]], -1),
    ]
    grid = F.affine_grid(torch.stack(rows, 1), list(images.shape), align_corners=False)
    moved: Tensor = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
    return moved


def some_supports(supports: Tensor, one: float) -> Tensor:
    """The first k of the support images; k is 1 with probability ``one``, else 2 to all.

    So that any number of them is something that was seen in training. Draws from torch's global
    generator, which the trainer seeds for every step.
    """
    most = supports.shape[1]
    if most == 1 or float(torch.rand(())) < one:
        return supports[:, :1]
    return supports[:, : int(torch.randint(2, most + 1, ()))]


def steadying(
    judge: Callable[[Tensor], Tensor], real: Tensor, weight: float, training: bool
) -> Terms:
    """``penalty``: R1 on real images, in one training step of ``R1_EVERY`` and that much stronger.

    Which step it is, is drawn from torch's global generator, which the trainer seeds.
    """
    if training and float(torch.rand(())) >= 1 / R1_EVERY:
        return {}
    with torch.autocast(real.device.type, enabled=False), torch.enable_grad():
        return {"penalty": weight * (R1_EVERY if training else 1) * r1(judge, real.float())}
