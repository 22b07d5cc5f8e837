"""What finding a layout gives: names by split and side. Plain values, shared by the finders."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

SPLITS = ("train", "valid", "test")

#: (side A, side B) of one split; names relative to the dataset's folder.
Sides = tuple[list[str], list[str]]


def empty() -> dict[str, Sides]:
    """No chips in any split."""
    return {split: ([], []) for split in SPLITS}


@dataclass
class Found:
    """Chips of a dataset, by split and side.

    Attributes:
        name: Convention (see :mod:`rs_gen.chips.layouts`).
        kind: What the sides are to each other.
        sides: For each of train, valid and test the names of both sides.
        label: Class of a name, for the kind ``classes``.
    """

    name: str
    kind: str
    sides: dict[str, Sides] = field(default_factory=empty)
    label: Callable[[str], str] = str
