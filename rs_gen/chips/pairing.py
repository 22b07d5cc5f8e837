"""Which chip of one side belongs to which of the other: by stem, or by place. Never by position."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import shapely

from ..errors import PairError
from .files import some, stem_of

SAME_PLACE = 0.9  # overlap / union of two footprints from which on they are one place


class Match(NamedTuple):
    """Names in pairs, and those that stayed alone on either side."""

    pairs: list[tuple[str, str]]
    only_a: list[str]
    only_b: list[str]


def match_stems(a: Sequence[str], b: Sequence[str]) -> Match:
    """Pairs of names that are equal but for their extension, in the order of ``a``.

    Raises:
        PairError: Two files of one side share a stem, so that the pair is not clear.
    """
    stems_a, stems_b = _by_stem(a), _by_stem(b)
    pairs = [(name, stems_b[stem]) for stem, name in stems_a.items() if stem in stems_b]
    if len(pairs) == len(a) == len(b):
        return Match(pairs, [], [])
    return Match(pairs, *_alone(a, b, pairs))


def match_places(a: dict[str, Any], b: dict[str, Any]) -> Match:
    """Pairs of names whose footprints share at least 90 % of their joint area.

    Args:
        a: Footprint (a shapely polygon) of each name; both sides in one CRS.
        b: As ``a``.

    Raises:
        PairError: One footprint has two partners.
    """
    names_a, names_b = list(a), list(b)
    places_a, places_b = (np.array(list(side.values()), dtype=object) for side in (a, b))
    left, right = shapely.STRtree(places_b).query(places_a, predicate="intersects")
    shared = shapely.area(shapely.intersection(places_a[left], places_b[right]))
    joint = shapely.area(places_a[left]) + shapely.area(places_b[right]) - shared
    same = shared >= SAME_PLACE * joint
    pairs = [(names_a[i], names_b[j]) for i, j in zip(left[same], right[same], strict=True)]
    for side in (0, 1):
        times = Counter(pair[side] for pair in pairs)
        twice = sorted(name for name, n in times.items() if n > 1)
        if twice:
            raise PairError(f"these chips have more than one partner at their place: {some(twice)}")
    return Match(sorted(pairs), *_alone(names_a, names_b, pairs))


def all_matched(match: Match, a: str, b: str, remedy: str) -> list[tuple[str, str]]:
    """The pairs, when no name stayed alone.

    Args:
        match: What was matched.
        a: What to call the first side in a message, for example its folder.
        b: As ``a``, for the second side.
        remedy: What to do about it; ends the message.

    Raises:
        PairError: Lists up to ten names without partner of each side, and how many there are.
    """
    lines = [
        f"{len(names)} in {side} without partner in {other}: {some(names)}"
        for names, side, other in ((match.only_a, a, b), (match.only_b, b, a))
        if names
    ]
    if lines:
        raise PairError("chips do not come in pairs; " + "; ".join(lines) + f". {remedy}")
    return match.pairs


def _by_stem(names: Sequence[str]) -> dict[str, str]:
    found = {stem_of(name): name for name in names}
    if len(found) < len(names):
        other = next(name for name in names if found[stem_of(name)] != name)
        raise PairError(f"{other} and {found[stem_of(other)]} share a stem; keep one of them")
    return found


def _alone(
    a: Sequence[str], b: Sequence[str], pairs: list[tuple[str, str]]
) -> tuple[list[str], list[str]]:
    paired_a, paired_b = {p[0] for p in pairs}, {p[1] for p in pairs}
    return [n for n in a if n not in paired_a], [n for n in b if n not in paired_b]
