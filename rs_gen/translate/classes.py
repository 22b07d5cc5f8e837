"""A map in few colours: what a network draws is snapped to a palette and stored as class ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..errors import SettingError
from ..metrics.palette import Palette
from ..raster.polygons import Drawn
from ..raster.values import Stretch
from .sides import Side

NODATA = 255  # of a class raster; so at most 255 classes
_HEX = 6


@dataclass(frozen=True)
class Classes:
    """Which colours a map is snapped to, and what they are called.

    Attributes:
        palette: In the encoded values of the target.
        legend: One entry a colour, in its order.
    """

    palette: Palette
    legend: tuple[Drawn, ...]

    @property
    def colormap(self) -> dict[int, tuple[int, int, int]]:
        """Id to (red, green, blue), as ``raster.writer.geotiff`` takes it."""
        return {drawn.id: drawn.colour for drawn in self.legend}

    def side(self, target: Side) -> Side:
        """What is written in place of the target: one band of ids, 255 where nothing is known."""
        return replace(
            target, stretch=_Snap((0.0,), (254.0,), palette=self.palette), dtype="uint8",
            nodata=NODATA, names=("class",),
        )  # fmt: skip


@dataclass(frozen=True)
class _Snap(Stretch):
    """A stretch that decodes to the nearest colour's id."""

    palette: Palette | None = None

    def decode(self, encoded: np.ndarray, dtype: str, nodata: float | None = None) -> np.ndarray:
        assert self.palette is not None
        return self.palette.nearest(encoded)[None].astype(dtype)


def classes_of(wanted: str | int | Palette, learned: Palette | None, target: Side) -> Classes:
    """The classes that someone asks for.

    Args:
        wanted: ``"model"`` for the colours that the training chips are drawn in; a number for so
            many of them, the most frequent; colours such as ``"#aadaff,#ffffff"``, with names as
            in ``"water=#aadaff,road=#ffffff"``; or a palette in encoded values.
        learned: What the model has, in the encoded values of the target.
        target: Of the model.

    Raises:
        SettingError: The model has no palette, or the colours can't be read.
    """
    names: list[str] = []
    if isinstance(wanted, str) and "#" in wanted:
        palette, names = _given(wanted, target)
    elif isinstance(wanted, Palette):
        palette = wanted
    else:
        palette = _from_model(wanted, learned)
    if len(palette.colours) > NODATA:
        raise SettingError(f"{len(palette.colours)} colours; a map has at most {NODATA}")
    shown = [_shown(colour, target) for colour in palette.colours]
    names = names or [f"class {i}" for i in range(len(shown))]
    legend = zip(names, shown, strict=True)
    return Classes(palette, tuple(Drawn(i, n, c) for i, (n, c) in enumerate(legend)))


def palette_in(card: Any, direction: str) -> Palette | None:
    """The palette that a card keeps for a direction, if any."""
    held = (getattr(card, "palettes", None) or {}).get(direction)
    return Palette.from_dict(held) if held else None


def _from_model(wanted: str | int, learned: Palette | None) -> Palette:
    text = str(wanted).strip()
    if text != "model" and not text.isdecimal():
        raise SettingError(
            f"palette={wanted!r} is none of 'model', a number of colours, or colours such as "
            "'#aadaff,#ffffff'"
        )
    if learned is None:
        raise SettingError(
            f"palette={wanted!r} asks for the colours of the training chips, and this model has "
            "none: it was saved without data, or its target is no map of few colours; give the "
            "colours, for example palette='#aadaff,#ffffff'"
        )
    return learned.main() if text == "model" else learned.main(int(text))


def _given(wanted: str, target: Side) -> tuple[Palette, list[str]]:
    """Colours written as #rrggbb, and their names."""
    if target.count != 3:
        raise SettingError(f"palette={wanted!r} needs a target of 3 bands, not {target.count}")
    names, colours = [], []
    for i, part in enumerate(p.strip() for p in wanted.split(",")):
        name, _, code = part.rpartition("#")
        if len(code) != _HEX or not set(code.lower()) <= set("0123456789abcdef"):
            raise SettingError(f"palette: {part!r} is no colour such as '#aadaff'")
        names.append(name.rstrip("= ").strip() or f"class {i}")
        colours.append(_encoded([int(code[j : j + 2], 16) for j in (0, 2, 4)], target))
    return Palette(tuple(colours)), names


def _encoded(rgb: Sequence[int], target: Side) -> tuple[float, ...]:
    if target.dtype == "uint8":
        stored = np.ma.masked_array(np.array(rgb, np.uint8)[:, None, None])
        return tuple(float(v) for v in target.stretch.encode(stored).ravel())
    return tuple(v / 127.5 - 1 for v in rgb)


def _shown(colour: Sequence[float], target: Side) -> tuple[int, int, int]:
    """A colour to draw with: as stored for 8-bit pictures, else stretched over 0 to 255."""
    encoded = np.array(colour, np.float32)[:, None, None]
    if target.dtype == "uint8":
        levels = target.stretch.decode(encoded, "uint8").ravel()
    else:
        levels = ((encoded + 1) * 127.5).round().clip(0, 255).astype("uint8").ravel()
    red, green, blue = (levels[:3] if len(levels) >= 3 else levels[[0, 0, 0]]).tolist()
    return red, green, blue
