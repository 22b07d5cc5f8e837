"""What a person, or a tool, must know to use a set of weights; as data and as a page to read."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from .. import __version__
from ..errors import PackageError, SettingError
from ..raster.values import Stretch


@dataclass(frozen=True)
class Card:
    """What the weights of a game are for. Plain JSON through and through.

    Attributes:
        model: Name of the game in the registry.
        settings: What the game was built with.
        source: Side A: ``count``, ``dtype``, ``nodata``, ``names``, ``stretch``, ``resolution`` (in
            metres), ``crs``, ``mean``, ``std``; of these ``count`` and ``stretch`` must be there.
            Empty for a generator that starts from noise.
        target: Side B, as ``source``; never empty.
        size: Side of the training chips, in pixels.
        statistics: Norm statistics that are stored with the weights: ``"model"`` for those of the
            training chips, ``"none"`` where there are none to store. ``save`` fills it in.
        reach: Direction to ``left``, ``right``, ``phase`` (pixels), ``exact`` and ``reason``.
            ``save`` fills it in.
        palettes: Direction to the colours that its target's chips are drawn in, as
            ``metrics.palette.Palette.to_dict`` gives them; only for maps of few colours.
        training: Summary of the training: chips, epochs, seed, whatever the trainer recorded.
        metrics: Name to ``value``, ``n``, ``protocol``, ``low`` and ``high``.
        licence: Of the weights.
        notes: Place, season, sensor: whatever a person wrote.
        classes: Names of the classes that a generator can be asked for; empty where it has none.
        version: Of rs_gen when it was saved.

    Raises:
        SettingError: A field has the wrong type, or holds what JSON can't.
    """

    model: str
    settings: dict[str, Any]
    source: dict[str, Any]
    target: dict[str, Any]
    size: int
    statistics: str = "none"
    reach: dict[str, Any] = field(default_factory=dict)
    palettes: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    licence: str = ""
    notes: dict[str, Any] = field(default_factory=dict)
    classes: list[str] = field(default_factory=list)
    version: str = __version__

    def __post_init__(self) -> None:
        kinds = {"str": str, "int": int, "list[str]": list}
        for f in fields(self):
            value = getattr(self, f.name)
            kind = kinds.get(str(f.type), dict)
            if not isinstance(value, kind) or isinstance(value, bool):
                raise SettingError(f"card: {f.name}={value!r} is not a {kind.__name__}")
            object.__setattr__(self, f.name, plain(value, f.name))
        if not 1 <= self.size <= 65_536:
            raise SettingError(f"card: size={self.size} is not within 1 to 65536 pixels")
        for name in ("source", "target"):
            if name == "target" or self.source:
                _check_side(name, getattr(self, name))

    @property
    def task(self) -> str:
        """What the model makes, in words: "from 2 to 3 bands" or "from noise to 3 bands"."""
        made = f"{self.target['count']} bands"
        return f"from {self.source['count'] if self.source else 'noise'} to {made}"

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON. A nodata that is not a number becomes text, for JSON has no NaN."""
        held = asdict(self)
        for side in (held["source"], held["target"]):
            nodata = side.get("nodata")
            if isinstance(nodata, float) and not math.isfinite(nodata):
                side["nodata"] = str(nodata)
        return held

    @classmethod
    def from_dict(cls, held: Mapping[str, Any]) -> Card:
        """What ``to_dict`` gave.

        Raises:
            PackageError: It is not a card, or has fields that this version does not know.
        """
        if not isinstance(held, Mapping):
            raise PackageError("the card is not a JSON object")
        names = {f.name for f in fields(cls)}
        if unknown := sorted(set(held) - names):
            raise PackageError(f"the card has fields unknown to this rs_gen: {', '.join(unknown)}")
        needed = {"model", "settings", "source", "target", "size"}
        if missing := sorted(needed - set(held)):
            raise PackageError(f"the card lacks {', '.join(missing)}")
        values = dict(held)
        for name in ("source", "target"):
            side = values[name]
            if isinstance(side, dict) and side.get("nodata") in ("nan", "inf", "-inf"):
                values[name] = side | {"nodata": float(side["nodata"])}
        try:
            return cls(**values)
        except SettingError as error:
            raise PackageError(str(error)) from error


def _check_side(name: str, side: Mapping[str, Any]) -> None:
    count = side.get("count")
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise SettingError(f"card: {name} has count={count!r}; it must be the number of bands")
    try:
        bands = len(Stretch.from_dict(side.get("stretch", {})))
    except (ValueError, TypeError, OverflowError) as error:
        raise SettingError(f"card: {name}: {error}") from error
    if bands != count:
        raise SettingError(f"card: {name} has {count} bands and a stretch of {bands}")


def plain(value: Any, where: str) -> Any:
    """The same as JSON would give it back; NumPy scalars, tuples and paths become plain.

    Numbers that are not finite become None, except a ``nodata``.

    Raises:
        SettingError: Something in it can't be JSON.
    """
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return value if where.endswith("nodata") else None
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, Path):
        return value.as_posix()
    if isinstance(value, Mapping):
        return {str(k): plain(v, f"{where}.{k}") for k, v in value.items()}
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, bytes):
        return [plain(v, where) for v in value]
    raise SettingError(f"card: {where} holds a {type(value).__name__}, which JSON can't")


def page(card: Card, name: str) -> str:
    """The card as a page of Markdown, for a person who opens the folder."""
    return "\n".join(_lines(card, name)) + "\n"


def _lines(card: Card, name: str) -> Iterator[str]:
    yield f"# {name}"
    yield ""
    yield (
        f"A `{card.model}` model made with rs_gen {card.version}, {card.task}, trained on chips of "
        f"{card.size} px."
    )
    heads = ["A (source)", "B (target)"] if card.source else ["Images"]
    yield from _table("Side", heads, _sides(card))
    if card.classes:
        yield from ("", f"Classes: {_short(card.classes, 2000)}")
    yield from ("", "## Reach", "")
    for direction, reach in card.reach.items():
        exact = "exact" if reach.get("exact") else "approximate"
        yield (
            f"- {direction}: {reach.get('left')} px to the left and top, {reach.get('right')} px "
            f"to the right and bottom, phase {reach.get('phase')} px, {exact}"
        )
    stored = "stored (of the training chips)" if card.statistics == "model" else "none stored"
    yield f"- Norm statistics: {stored}"
    yield from ("", "## Metrics", "")
    yield from [_metric(key, score) for key, score in card.metrics.items()] or ["None recorded."]
    for title, held in (
        ("Training", card.training),
        ("Settings", card.settings),
        ("Notes", card.notes),
    ):
        if held:
            yield from ("", f"## {title}", "")
            yield from (f"- {key}: {_short(value)}" for key, value in held.items())
    yield from ("", "## Licence", "", card.licence or "Not stated by whoever trained it.")


def _sides(card: Card) -> Iterator[tuple[str, list[str]]]:
    sides = [card.source, card.target] if card.source else [card.target]
    yield "Bands", [_bands(side) for side in sides]
    for label, key in (("Stored as", "dtype"), ("Nodata", "nodata"), ("CRS", "crs")):
        yield label, [_short(side.get(key), 60) for side in sides]
    yield "Ground resolution", [_metres(side.get("resolution")) for side in sides]
    for label, key in (("Stretch low", "low"), ("Stretch high", "high")):
        yield label, [_short(side["stretch"][key]) for side in sides]
    yield "Stretch scale", [side["stretch"].get("scale", "linear") for side in sides]


def _table(head: str, columns: list[str], rows: Iterator[tuple[str, list[str]]]) -> Iterator[str]:
    yield ""
    yield f"| {head} | {' | '.join(columns)} |"
    yield "|---" * (len(columns) + 1) + "|"
    for label, cells in rows:
        yield f"| {label} | {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def _bands(side: Mapping[str, Any]) -> str:
    names = [str(n) for n in side.get("names") or [] if n]
    return f"{side['count']}" + (f" ({', '.join(names)})" if names else "")


def _metres(resolution: Any) -> str:
    values = resolution if isinstance(resolution, list) else [resolution]
    known = [f"{v:g}" for v in values if isinstance(v, int | float)]
    return " x ".join(known) + " m" if known else "not known"


def _metric(name: str, score: Any) -> str:
    if not isinstance(score, Mapping):
        return f"- {name}: {_short(score)}"
    interval = ""
    if score.get("low") is not None and score.get("high") is not None:
        interval = f", 95 % interval {_short(score['low'])} to {_short(score['high'])}"
    protocol = f"; {score['protocol']}" if score.get("protocol") else ""
    return f"- {name}: {_short(score.get('value'))} (n={score.get('n')}{interval}{protocol})"


def _short(value: Any, most: int = 200) -> str:
    if value is None:
        return "none"
    if isinstance(value, list):
        text = ", ".join(_short(v) for v in value)
    else:
        text = f"{value:.4g}" if isinstance(value, float) else str(value)
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 3] + "..."
