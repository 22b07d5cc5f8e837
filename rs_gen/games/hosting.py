"""What a saved model brings along for a host that has torch but not rs_gen: ArcGIS Pro."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from ..errors import RSGenError
from ..networks.blocks import smallest_side
from ..networks.norm import norm_layers
from ..networks.program import program_of
from .base import Game
from .card import Card
from .weights import Statistics

_HOSTED = Path(__file__).with_name("hosted")
#: The Python raster function that goes into a model's folder, and what it reads beside it.
FUNCTION = _HOSTED / "RSGenImageTranslation.py"
BESIDE = (_HOSTED / "rs_gen_blocks.py", _HOSTED / "rs_gen_model.py")


class Hosted(NamedTuple):
    """What the EMD says to that function.

    Attributes:
        programs: Direction to its generator's ``steps`` and to ``least``, the side of the smallest
            image that it takes, in pixels.
        no_program: Why a direction has none; "" where all have one.
    """

    programs: dict[str, Any]
    no_program: str


def programs(game: Game, card: Card, statistics: Statistics) -> Hosted:
    """The generators of a game as steps, where a host can run them block by block."""
    made: dict[str, Any] = {}
    why = "" if card.source else "it draws images rather than translating rasters"
    for direction in game.directions:
        try:
            net = game.generator(direction)
            known = card.reach.get(direction, {})
            if not known.get("exact"):
                why = known.get("reason") or "it does not translate rasters"
            elif norm_layers(net) and direction not in statistics:
                why = "it was saved without the statistics of its training chips"
            else:
                steps = program_of(net, f"generators.{direction}")
                made[direction] = {"least": smallest_side(net, known["phase"]), "steps": steps}
        except RSGenError as error:
            why = str(error)
    return Hosted(made, why)
