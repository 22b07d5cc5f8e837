"""What a stored pixel can be: which values a dtype holds, and which arrays pass between rooms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ..errors import ValueRangeError

if TYPE_CHECKING:
    import numpy.typing as npt

    #: (C, H, W) stored values with a mask of the same shape, True where there is no measurement.
    Pixels: TypeAlias = np.ma.MaskedArray[Any, np.dtype[Any]]
    Mask: TypeAlias = npt.NDArray[np.bool_]
    Array: TypeAlias = npt.NDArray[Any]


def is_integer(dtype: npt.DTypeLike) -> bool:
    """Whether a dtype holds whole numbers only."""
    return np.issubdtype(np.dtype(dtype), np.integer)


def limits(dtype: npt.DTypeLike) -> tuple[float, float]:
    """The lowest and the highest finite value that a dtype holds."""
    if is_integer(dtype):
        whole = np.iinfo(np.dtype(dtype))
        return int(whole.min), int(whole.max)
    real = np.finfo(np.dtype(dtype))
    return float(real.min), float(real.max)


def holds(dtype: npt.DTypeLike, value: float) -> bool:
    """Whether a pixel of this dtype can equal ``value`` (NaN counts for floats)."""
    if not is_integer(dtype):
        low, high = limits(dtype)
        return not np.isfinite(value) or low * (1 + 1e-6) <= value <= high * (1 + 1e-6)
    low, high = limits(dtype)
    return bool(np.isfinite(value)) and low <= value <= high and value == int(value)


def checked_nodata(nodata: float | None, dtype: npt.DTypeLike) -> float | None:
    """``nodata`` itself.

    Raises:
        ValueRangeError: The dtype can't hold it, so no pixel could ever be marked with it.
    """
    if nodata is None or holds(dtype, nodata):
        return nodata
    low, high = limits(dtype)
    kind = "whole numbers from" if is_integer(dtype) else "numbers from"
    raise ValueRangeError(
        f"nodata={nodata:g} does not fit {np.dtype(dtype).name}, which holds {kind} {low:g} to "
        f"{high:g}; choose a nodata value among them, or nodata=None with a mask"
    )


def equals(pixels: Array, nodata: float) -> Mask:
    """Where pixels equal a nodata value of their dtype; NaN equals NaN."""
    if np.isnan(nodata):
        hit: Mask = np.isnan(pixels)
        return hit
    with np.errstate(over="ignore"):  # -1.8e308 kept for a float32 raster reads as -inf
        hit = np.equal(pixels, pixels.dtype.type(nodata))
    return hit
