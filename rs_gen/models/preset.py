"""What a preset is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Preset:
    """Settings by name.

    Attributes:
        game: Of the networks and losses, as the game takes them.
        recipe: Of the training, as ``training.recipe.Recipe`` takes them.
        batch_size: Chips a step that the recipe is meant for; the data decides.
        start_at_mean: Whether generators begin at the target's mean colour.
        about: What it is for, one sentence.
    """

    game: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)
    batch_size: int | None = None
    start_at_mean: bool = False
    about: str = ""
