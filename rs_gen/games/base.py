"""What every game is: players, the two losses they play by, and what a resumed training needs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ..errors import SettingError, UnknownNameError
from ..losses.penalties import gradient_penalty

Terms = dict[str, Tensor]

# The largest settings that a game is built with. A card from a stranger can't ask for more, and
# a slip of the keyboard is caught before memory is.
LIMITS: dict[str, tuple[int, int]] = {
    "in_channels": (1, 4096),
    "out_channels": (1, 4096),
    "width": (1, 1024),
    "depth": (1, 12),
    "blocks": (0, 64),
    "downsamplings": (0, 6),
    "d_width": (1, 1024),
    "d_depth": (1, 8),
    "d_crop": (0, 65_536),
    "pool": (0, 10_000),
    "size": (8, 4096),
    "classes": (0, 100_000),
    "latent": (1, 4096),
    "hidden": (1, 4096),
    "match": (1, 4096),
    "hops": (1, 16),
    "fills": (0, 12),
    "inner_steps": (0, 1000),
    "inner_generator_steps": (0, 1000),
    "adapt_steps": (0, 10_000),
    "stage_blocks": (1, 8),
    "z_dim": (1, 4096),
    "penalty_interval": (1, 1000),
    "uniformity_chunks": (1, 1024),
    "reg_interval": (1, 1000),
    "critic_steps": (1, 100),
}


class Game(nn.Module, ABC):
    """The players of an adversarial game and the two losses they play it by.

    A game knows tensors only: no files, no bands, no optimisers, no epochs. Both losses are
    functions of what they are given, so a training step can be read, and tested, alone.

    Attributes:
        name: Name in the registry.
        generators: One a direction, by direction.
        discriminators: Whoever judges their images; empty for a game without an adversary.
        settings: Arguments that build the same game again: ``create_game(name, **settings)``.
            Plain JSON. ``pretrained`` is False there, for weights come with a saved game.
        makes: What a game that translates no raster does instead, in words; "" for one that does.
    """

    name: ClassVar[str] = ""
    makes: ClassVar[str] = ""
    generators: nn.ModuleDict
    discriminators: nn.ModuleDict
    settings: dict[str, Any]

    @abstractmethod
    def forward(self, *batch: Any, **named: Any) -> Any:
        """Run the generators on a batch; return all that the losses need, by name."""

    @abstractmethod
    def generator_loss(self, out: Any) -> Terms:
        """Named terms, weighted, float32; their sum is what the generators minimise.

        Sends no gradient to the discriminators, whether or not the caller has frozen them.
        """

    @abstractmethod
    def discriminator_loss(self, out: Any) -> Terms:
        """As ``generator_loss``; sends no gradient to the generators."""

    @property
    def directions(self) -> tuple[str, ...]:
        """Ways this game can translate, ``"AtoB"`` first; none where there is no raster to."""
        return () if self.makes else tuple(self.generators)

    def generator(self, direction: str = "AtoB") -> nn.Module:
        """The network that translates one way.

        Raises:
            UnknownNameError: This game does not translate that way.
            SettingError: It does not translate at all; the text tells what to call.
        """
        if self.makes:
            raise SettingError(
                f"a {self.name} model {self.makes} and translates none; use generate"
            )
        if direction not in self.generators:
            raise UnknownNameError("direction", direction, self.directions)
        return self.generators[direction]

    def judge_of(self, direction: str = "AtoB") -> tuple[nn.Module, bool] | None:
        """Who judges a direction's images, and whether it is shown their sources before them.

        None where this game has nobody who does.
        """
        return None

    def translate(self, images: Tensor, direction: str = "AtoB") -> Tensor:
        """(B, C_in, H, W) in [-1, 1] to (B, C_out, H, W) in [-1, 1], for use after training."""
        translated: Tensor = self.generator(direction)(images)
        return translated

    def players(self) -> Iterator[tuple[str, nn.Module]]:
        """Every network by its name, generators first."""
        for name, player in self.generators.items():
            yield f"generators.{name}", player
        for name, player in self.discriminators.items():
            yield f"discriminators.{name}", player

    def memory(self) -> dict[str, Any]:
        """What a resumed training needs beyond the weights; plain values and CPU tensors."""
        return {}

    def load_memory(self, memory: Mapping[str, Any]) -> None:
        """Take up what ``memory`` gave."""


@contextmanager
def frozen(players: nn.Module) -> Iterator[None]:
    """Inside, gradients pass through these networks and none stays in their parameters.

    What a caller froze before stays frozen afterwards.
    """
    thawed = [p for p in players.parameters() if p.requires_grad]
    for p in thawed:
        p.requires_grad_(False)
    try:
        yield
    finally:
        for p in thawed:
            p.requires_grad_(True)


def penalty(judge: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:
    """The gradient penalty in float32, also in a validation that keeps no gradients."""
    with torch.autocast(real.device.type, enabled=False), torch.enable_grad():
        return gradient_penalty(judge, real.float(), fake.float())


def total(terms: Terms) -> Tensor:
    """The sum that an optimiser minimises."""
    return torch.stack(list(terms.values())).sum()


def given(values: Mapping[str, Any]) -> dict[str, Any]:
    """A constructor's ``locals()`` as settings: plain JSON, and no weights to look for."""
    settings = {k: v for k, v in values.items() if k not in ("self", "__class__")}
    if "pretrained" in settings:
        settings["pretrained"] = False
    return {k: list(v) if isinstance(v, tuple) else v for k, v in settings.items()}


def check_sizes(settings: Mapping[str, Any]) -> None:
    """Refuse sizes that can't work before a network is built with them.

    Raises:
        SettingError: A size is not a whole number within its limits.
    """
    for name, (low, high) in LIMITS.items():
        if name not in settings:
            continue
        value = settings[name]
        if isinstance(value, bool) or not isinstance(value, int):
            raise SettingError(f"{name}={value!r} is not a whole number")
        if not low <= value <= high:
            raise SettingError(f"{name}={value} is not within {low} to {high}")


def check_weights(names: Iterable[str], settings: Mapping[str, Any]) -> None:
    """Refuse a weight of a loss term that is negative, infinite or not a number.

    Raises:
        SettingError: Names the weight.
    """
    for name in names:
        value = settings[name]
        fine = isinstance(value, int | float) and not isinstance(value, bool)
        if not fine or not 0 <= value < float("inf"):
            raise SettingError(f"{name}={value!r} is not a weight; it must be 0 or more")
