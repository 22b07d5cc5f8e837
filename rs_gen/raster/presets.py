"""Named ways to fit a stretch. Each takes the valid samples of one band and gives two ends."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import SettingError, StretchWarning, UnknownNameError, ValueRangeError
from .pixels import is_integer, limits

if TYPE_CHECKING:
    from .pixels import Array, Pixels

Ends = tuple[float, float]
_SPARSE = 0.1  # more negative "power" than this share means that a band is in decibels already


def fit(
    samples: Pixels | Array, preset: str = "auto", **options: Any
) -> tuple[list[float], list[float], str]:
    """Lows, highs and the scale of a stretch, from (C, ...) samples of which valid ones count.

    A band of one value gets a range around it, with a StretchWarning.

    Raises:
        UnknownNameError: No such preset.
        SettingError: The preset has no such option, or its value can't work.
        ValueRangeError: A band has no valid pixel, or values the preset can't be for.
    """
    chosen = _preset(preset, options)
    lows, highs = [], []
    for number, band in enumerate(samples, start=1):
        valid = _valid(band)
        if not valid.size:
            raise ValueRangeError(
                f"band {number} has no valid pixel to fit a stretch to; check its nodata value and "
                "mask, or leave the band out"
            )
        try:
            low, high = chosen(valid, **options)
        except ValueRangeError as error:
            raise ValueRangeError(f"band {number}: {error}") from None
        low, high = (low, high) if low < high else _widened(valid, preset, number)
        lows.append(low)
        highs.append(high)
    return lows, highs, "db" if preset == "db" else "linear"


def auto(valid: Array) -> Ends:
    """The full range of uint8, whose producers have stretched it already; else "percentile"."""
    return dtype_range(valid) if valid.dtype == np.uint8 else percentile(valid)


def percentile(valid: Array, cut: float = 0.5) -> Ends:
    """Leaves ``cut`` percent (0 to 50) off either end: a few glints don't darken all else."""
    if not 0 <= cut < 50:
        raise SettingError(f"cut={cut} must be a percentage from 0 to less than 50")
    low, high = np.percentile(valid, (cut, 100 - cut))
    if not low < high:  # nearly all pixels have one value: the few others still count
        return minmax(valid)
    return float(low), float(high)


def minmax(valid: Array) -> Ends:
    """The lowest and the highest valid value."""
    return float(valid.min()), float(valid.max())


def meanstd(valid: Array, deviations: float = 3.0) -> Ends:
    """``deviations`` standard deviations each side of the mean, no wider than the values."""
    if deviations <= 0:
        raise SettingError(f"deviations={deviations} must be above 0")
    mean, std = float(valid.mean(dtype=np.float64)), float(valid.std(dtype=np.float64))
    low, high = minmax(valid)
    return max(low, mean - deviations * std), min(high, mean + deviations * std)


def db(valid: Array, cut: float = 0.5) -> Ends:
    """For radar power stored linearly: percentiles in decibels, of what is above zero."""
    if (valid < 0).mean() > _SPARSE:
        raise ValueRangeError(
            "many values are negative, so they are not linear power; are they in decibels "
            "already? Then use the preset 'percentile'"
        )
    positive = valid[valid > 0]
    if not positive.size:
        raise ValueRangeError("no value is above 0, so there is no power to express in decibels")
    return percentile(10 * np.log10(positive.astype(np.float64)), cut)


def reflectance(valid: Array, full: float = 1.0, quantification: float = 10000) -> Ends:
    """0 to ``full`` reflectance: floats as they are, integers divided by ``quantification``.

    The ends don't depend on the samples, so all scenes of a sensor share them.
    """
    if full <= 0 or quantification <= 0:
        raise SettingError(f"full={full} and quantification={quantification} must be above 0")
    return 0.0, float(full * (quantification if is_integer(valid.dtype) else 1))


def dtype_range(valid: Array) -> Ends:
    """All that an integer dtype can hold."""
    if not is_integer(valid.dtype):
        raise ValueRangeError(
            f"{valid.dtype} has no range of its own to stretch; use 'percentile' or 'minmax'"
        )
    return limits(valid.dtype)


#: Presets by name; a new one is a function of one band's valid samples and its own options.
PRESETS: dict[str, Callable[..., Ends]] = {
    "auto": auto,
    "percentile": percentile,
    "minmax": minmax,
    "meanstd": meanstd,
    "db": db,
    "reflectance": reflectance,
    "dtype": dtype_range,
}


def _preset(name: str, options: dict[str, Any]) -> Callable[..., Ends]:
    if name not in PRESETS:
        raise UnknownNameError("stretch preset", name, PRESETS)
    known = list(inspect.signature(PRESETS[name]).parameters)[1:]
    for option in options:
        if option not in known:
            takes = f"it takes {', '.join(known)}" if known else "it takes none"
            raise SettingError(f"stretch preset {name!r} has no option {option!r}; {takes}")
    return PRESETS[name]


def _valid(band: Pixels | Array) -> Array:
    valid: Array = band.compressed() if isinstance(band, np.ma.MaskedArray) else band.ravel()
    return valid if is_integer(valid.dtype) else valid[np.isfinite(valid)]


def _widened(valid: Array, preset: str, number: int) -> Ends:
    """A range around the one value that a band has."""
    value = float(valid[0])
    warnings.warn(
        f"band {number} is {value:g} everywhere; it carries nothing to learn from",
        StretchWarning,
        stacklevel=4,
    )
    if preset == "db":
        value = float(10 * np.log10(valid[valid > 0][0]))
        return value - 1, value + 1
    half = 1.0 if is_integer(valid.dtype) or value == 0 else abs(value) / 2
    return value - half, value + half
