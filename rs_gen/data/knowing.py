"""What one side of a dataset is, from its card or from a seeded sample of its chips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..chips.facts import facts_of
from ..chips.index import read_card, size_of
from ..chips.layouts import Layout
from ..errors import SettingError, UnknownNameError, ValueRangeError
from ..raster.reader import RasterReader
from ..raster.values import Stretch
from .options import Fit
from .side import Side

Bands = Sequence[int | str] | None


@dataclass(frozen=True)
class Known:
    """One side of a dataset.

    Attributes:
        side: What it is, with its stretch.
        bands: Which bands of its files that takes, from 0; None for all.
        sizes: (width, height) found, in pixels.
    """

    side: Side
    bands: tuple[int, ...] | None
    sizes: tuple[tuple[int, int], ...]


def know(
    layout: Layout, side: str = "a", *, bands: Bands = None, fit: Fit, sample: int, seed: int
) -> Known:
    """Open a few chips of one side, or none where chips.json tells.

    Args:
        layout: Its chips are those to train on: the facts are theirs.
        side: "a" or "b"; datasets with one side have "a".
        bands: Indices from 0 or names, in the order wanted; None for all.
        fit: Where the stretch comes from.
        sample: Chips to look at.
        seed: Of the sample.

    Raises:
        ChipError: A chip looked at is broken, or unlike the others.
        SettingError, UnknownNameError: A band or the stretch does not suit the chips.
        ValueRangeError: No stretch can be fitted.
    """
    card = read_card(layout.root)
    stored = card is not None and bool(card.get(side)) and fit.preset is None
    path = layout.a[0] if side == "a" or layout.kind == "aligned" else layout.b[0]
    names = tuple(card[side]["names"]) if stored and card else None
    indices = _indices(bands, side, path, names)
    try:
        facts = facts_of(
            layout,
            side,
            stretch=fit.preset,
            bands=None if stored else indices,
            sample=sample,
            seed=seed,
            **(fit.options or {}),
        )
    except ValueRangeError as error:
        raise ValueRangeError(f"side {side.upper()}: {error}") from error
    found = Side.from_dict(facts.to_side())
    if stored and indices is not None:
        found = found.bands(indices)
    if fit.stretch is not None:
        found = _stretched(found, fit.stretch, indices, side)
    return Known(found, indices, facts.sizes or (size_of(path),))


def _stretched(side: Side, stretch: Stretch, indices: tuple[int, ...] | None, name: str) -> Side:
    if len(stretch) != side.count and indices is not None and len(stretch) > max(indices):
        stretch = stretch.bands(indices)
    if len(stretch) != side.count:
        raise SettingError(
            f"the stretch given for side {name.upper()} has {len(stretch)} bands but its chips "
            f"have {side.count}"
        )
    return replace(side, stretch=stretch)


def _indices(
    bands: Bands, side: str, path: Path, names: tuple[str, ...] | None
) -> tuple[int, ...] | None:
    """Bands as indices from 0.

    Raises:
        SettingError: There is no band of that index, or ``bands`` is not a list.
        UnknownNameError: There is no band of that name.
    """
    if bands is None:
        return None
    if isinstance(bands, str | int) or not len(bands):
        option = "bands" if side == "a" else "bands_b"
        raise SettingError(f"{option}={bands!r} is not a list of bands, such as [0, 1, 2]")
    if names is None:
        with RasterReader(path) as reader:
            names = reader.names
    return tuple(_index(band, names, side) for band in bands)


def _index(band: int | str, names: tuple[str, ...], side: str) -> int:
    if isinstance(band, str):
        lower = [name.casefold() for name in names]
        if band.casefold() not in lower:
            raise UnknownNameError(f"band of side {side.upper()}", band, names)
        return lower.index(band.casefold())
    if not 0 <= band < len(names):
        raise SettingError(
            f"side {side.upper()} has no band {band}; its {len(names)} bands are 0 to "
            f"{len(names) - 1} ({', '.join(names)})"
        )
    return int(band)
