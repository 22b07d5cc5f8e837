"""How chips become colours on a screen: which bands are shown, and between which values.

A network sees every band stretched by itself. Shown so, a 16-bit picture looks false-coloured, as
when a GIS stretches red, green and blue apart. Bands in natural colours are therefore brought back
to stored values first, and share one black and one white.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ..errors import SettingError

if TYPE_CHECKING:
    from ..raster.values import Stretch

COLOURS = ({"red", "r"}, {"green", "g"}, {"blue", "b"})
NUMBERED = ({"b4", "b04"}, {"b3", "b03"}, {"b2", "b02"})  # Sentinel-2, and Landsat from 8 on
ONLY_THERE = {"b8a", "b9", "b09", "b10", "b11"}  # bands that older Landsats do not number so
DEVIATIONS = 2.0  # around the mean: clouds and shadows give way to the ground
GAMMA = 0.75  # measured light is linear, a screen is not; 8-bit pictures are bent already


class Look(Protocol):
    """What a ``Side`` tells about showing its chips."""

    count: int
    names: tuple[str, ...]
    dtype: str
    stretch: Stretch
    mean: tuple[float, ...]
    std: tuple[float, ...]


def coloured(
    columns: dict[str, np.ndarray],
    look: Look | None,
    rgb_bands: Sequence[int | str] | None = None,
    cut: float | None = None,
) -> dict[str, np.ndarray]:
    """The columns that show one side, ready for a screen, under one display stretch.

    Args:
        columns: Heading -> (N, C, H, W) encoded, in [-1, 1].
        look: The side they belong to; None where nothing is known.
        rgb_bands: As in ``show.grid_figure``.
        cut: Percent left off either end, 0 to 50. None takes the side's stored numbers for natural
            colours (2 deviations around each mean), the whole range for 8 bit, and
            else 1 percent of each band.

    Returns:
        Heading -> (N, H, W, 1 or 3) in [0, 1].
    """
    count = next(iter(columns.values())).shape[1]
    bands = _bands_or_default(look, count, rgb_bands)
    chosen = {head: chips[:, bands] for head, chips in columns.items()}
    if look is None or not _natural(look, bands):
        limits = _limits(list(chosen.values()), _cut_for(look, cut))
        return {head: display(chips, limits) for head, chips in chosen.items()}
    stored = {head: _stored(look, bands, chips) for head, chips in chosen.items()}
    limits = _joint_limits(look, bands, list(stored.values()), cut)
    bent = 1.0 if look.dtype == "uint8" else GAMMA
    return {head: display(chips, limits) ** bent for head, chips in stored.items()}


def display_bands(
    names: Sequence[str], count: int, rgb_bands: Sequence[int | str] | None = None
) -> tuple[int, ...]:
    """Which bands to show, one or three, as indices from 0.

    Args:
        names: Of the bands, or empty.
        count: Of the bands.
        rgb_bands: As in ``show.grid_figure``.

    Raises:
        SettingError: ``rgb_bands`` are not one or three of the bands.
    """
    if rgb_bands is None:
        return _usual_bands(names, count)
    asked = list(rgb_bands)
    found = [band if isinstance(band, int) else _place(band, names) for band in asked]
    if len(found) not in (1, 3) or not all(0 <= band < count for band in found):
        there = ", ".join(names) if any(names) else f"0 to {count - 1}"
        raise SettingError(
            f"rgb_bands={asked} are not one or three of the bands; there are {there}"
        )
    return tuple(found)


def display(chips: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """(N, C, H, W) with C = 1 or 3 to (N, H, W, C) in [0, 1]; (2, C) limits become 0 and 1."""
    low, high = limits[:, :, None, None]
    unit = (chips - low) / np.maximum(high - low, 1e-6)
    return np.moveaxis(np.clip(np.nan_to_num(unit), 0, 1), 1, -1)


def _usual_bands(names: Sequence[str], count: int) -> tuple[int, ...]:
    return _named_colours(names) or ((0, 1, 2) if count >= 3 else (0,))


def _named_colours(names: Sequence[str]) -> tuple[int, ...]:
    """Where red, green and blue lie by the bands' names; empty if these don't tell."""
    lower = [name.lower() for name in names]
    for words in (COLOURS, NUMBERED) if ONLY_THERE & set(lower) else (COLOURS,):
        found = [[i for i, name in enumerate(lower) if name in word] for word in words]
        if all(found):
            return tuple(places[0] for places in found)
    return ()


def _place(band: str, names: Sequence[str]) -> int:
    lower = [name.lower() for name in names]
    return lower.index(band.lower()) if band.lower() in lower else -1


def _bands_or_default(
    look: Look | None, count: int, rgb_bands: Sequence[int | str] | None
) -> list[int]:
    names = look.names if look is not None else ()
    try:
        return list(display_bands(names, count, rgb_bands))
    except SettingError:
        return list(display_bands(names, count))


def _natural(look: Look, bands: Sequence[int]) -> bool:
    """Whether the bands are red, green and blue of one sensor.

    They are where their names say so, and, for want of names, where the values are whole numbers:
    three unnamed bands of floats may be anything, such as a composite of radar ratios.
    """
    if len(bands) != 3 or look.stretch.scale != "linear":
        return False
    if any(look.names):
        return tuple(bands) == _named_colours(look.names)
    return np.dtype(look.dtype).kind in "ui"


def _stored(look: Look, bands: Sequence[int], chips: np.ndarray) -> np.ndarray:
    """Encoded chips as stored values, without rounding."""
    low, high = (end[:, None, None] for end in _ends(look, bands))
    return low + (chips + 1) * ((high - low) / 2)


def _joint_limits(
    look: Look, bands: Sequence[int], stored: list[np.ndarray], cut: float | None
) -> np.ndarray:
    """(2, 3): black and white of natural colours, in stored values.

    All three bands span the same range, or hues would shift. Each has a black of its own, which
    takes the blue of haze away.
    """
    if look.dtype == "uint8" and cut is None:
        return np.array([[0.0] * 3, [255.0] * 3])
    if cut is not None:
        values = [np.moveaxis(chips, 1, 0).reshape(3, -1) for chips in stored]
        low, high = np.nanpercentile(np.concatenate(values, axis=1), (cut, 100 - cut), axis=1)
    else:
        low, high = _ends(look, bands)
        if len(look.mean) == look.count == len(look.std):
            mean, std = np.array(look.mean)[list(bands)], np.array(look.std)[list(bands)]
            low = np.maximum(low, mean - DEVIATIONS * std)
            high = np.minimum(high, mean + DEVIATIONS * std)
    return np.array([low, low + (high - low).max()])


def _ends(look: Look, bands: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Low and high of the side's stretch, one per band shown."""
    low, high = (np.array(ends)[list(bands)] for ends in (look.stretch.low, look.stretch.high))
    return low, high


def _cut_for(look: Look | None, cut: float | None) -> float:
    if cut is not None:
        return cut
    return 0 if look is None or look.dtype == "uint8" else 1


def _limits(columns: list[np.ndarray], cut: float) -> np.ndarray:
    """(2, C): what becomes black and white, band by band, over whole columns of one side."""
    bands = columns[0].shape[1]
    if not cut:
        return np.tile(np.float32([[-1], [1]]), (1, bands))
    values = [np.moveaxis(chips, 1, 0).reshape(bands, -1) for chips in columns]
    ends = np.nanpercentile(np.concatenate(values, axis=1), (cut, 100 - cut), axis=1)
    return ends.astype("float32")
