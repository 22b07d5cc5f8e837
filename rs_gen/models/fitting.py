"""Does it fit: settings to game and recipe, chips to networks; and a model in words."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from ..errors import ChipError, UnknownNameError
from ..games.base import Game
from ..games.registry import game_class
from ..networks.reach import reach
from ..training.recipe import Recipe

if TYPE_CHECKING:
    from .base import Model

_PER_FIT = ("epochs", "steps", "max_minutes", "budget")


def split_settings(
    model: str, game: str, settings: Mapping[str, Any], from_data: Iterable[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Those of the game, and those of the recipe.

    Args:
        model: Its class, for an error.
        game: Name in the registry.
        settings: By name.
        from_data: Settings of the game that only the data may decide.

    Raises:
        UnknownNameError: A setting is of neither; the text lists those known.
    """
    decided = {"self", *from_data}
    of_game = [n for n in inspect.signature(game_class(game)).parameters if n not in decided]
    of_recipe = [field.name for field in fields(Recipe) if field.name not in _PER_FIT]
    # "seed" is the recipe's here: the game's own follows it.
    for_recipe = {name: value for name, value in settings.items() if name in of_recipe}
    for_game = {n: v for n, v in settings.items() if n in of_game and n not in for_recipe}
    for name in settings:
        if name not in for_game and name not in for_recipe:
            raise UnknownNameError(f"setting of {model}", name, {*of_game, *of_recipe})
    return for_game, for_recipe


def unet_depth(size: int) -> int:
    """Levels of a U-Net for chips of this side: as often as it can be halved, from 5 to 8.

    A side that can't be halved five times suits no U-Net; ``check_chips`` then tells what does.
    """
    halvings = (size & -size).bit_length() - 1
    return min(8, max(halvings, 5))


def check_chips(game: Game, data: Any) -> None:
    """Refuse chips that do not suit the networks.

    Raises:
        ChipError: Their side is no multiple of the generator's phase, or too small for the
            discriminator. The text tells a side that works.
    """
    data.check_size(max(reach(net, applied=True).phase for net in game.generators.values()))
    depth = game.settings.get("d_depth", 0)
    least = 3 * 2**depth
    if len(game.discriminators) and data.chip_size < least:
        raise ChipError(
            f"chips are {data.chip_size} px but a discriminator of d_depth={depth} needs at least "
            f"{least}; use larger chips, or d_depth={max(1, depth - 1)}"
        )


def summary_of(model: Model, about: list[str]) -> str:
    """A model in a few lines, for a person; ``about`` are the first."""
    settings = model.game.settings
    counts = [
        sum(p.numel() for p in group.parameters()) / 1e6
        for group in (model.game.generators, model.game.discriminators)
    ]
    shown = {k: v for k, v in settings.items() if v is not None and not k.endswith("channels")}
    lines = [
        *about,
        f"generators      {counts[0]:.3f} M parameters",
        f"discriminators  {counts[1]:.3f} M parameters",
        f"settings        {', '.join(f'{k}={v}' for k, v in shown.items())}",
        f"training        {_trained(model)}",
        f"data            {_data(model)}",
    ]
    return "\n".join(lines)


def _trained(model: Model) -> str:
    if len(model.history):
        row = model.history[-1]
        return f"{len(model.history)} epochs, {row['step']} steps"
    if model.card is not None:
        return f"loaded; {model.card.training.get('steps', '?')} steps"
    return "none yet"


def _data(model: Model) -> str:
    if model.data is None:
        return f"none: it can {model.does_without_data}; fit needs from_model(path, data)"
    return f"{model.data.kind} from {model.data.path}"
