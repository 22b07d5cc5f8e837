"""The map between stored values and [-1, 1]: per band, invertible, kept with data and model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ValueRangeError
from .pixels import checked_nodata, equals, is_integer, limits

if TYPE_CHECKING:
    import numpy.typing as npt

    from .pixels import Array, Mask, Pixels

SCALES = ("linear", "db")
_TINY = float(np.finfo("float32").tiny)
_FAR = 16  # ranges whose ends lie further from zero than this many ranges are worked in float64


@dataclass(frozen=True)
class Stretch:
    """A map, band by band, between stored values and [-1, 1].

    It is made once for a dataset and travels with its chips and its model: a translated raster is
    decoded by the numbers that its training chips were encoded with.

    Attributes:
        low: Stored value that becomes -1, one per band; in decibels where ``scale`` is "db".
        high: Stored value that becomes +1, likewise.
        scale: "linear", or "db" for power stored linearly and stretched as 10 log10.

    Raises:
        ValueRangeError: A low is not below its high, an end is not finite, the two have unequal
            lengths, or the scale is unknown.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    scale: str = "linear"

    def __post_init__(self) -> None:
        object.__setattr__(self, "low", tuple(float(v) for v in self.low))
        object.__setattr__(self, "high", tuple(float(v) for v in self.high))
        if self.scale not in SCALES:
            raise ValueRangeError(f"scale={self.scale!r} is unknown; it is one of {SCALES}")
        if len(self.low) != len(self.high) or not self.low:
            raise ValueRangeError(
                f"a stretch needs one low and one high per band; there are {len(self.low)} lows "
                f"and {len(self.high)} highs"
            )
        for band, (low, high) in enumerate(zip(self.low, self.high, strict=True), start=1):
            if not (math.isfinite(low) and math.isfinite(high)):
                raise ValueRangeError(f"band {band}: low={low:g}, high={high:g} must be finite")
            if not low < high:
                raise ValueRangeError(f"band {band}: low={low:g} is not below high={high:g}")

    @classmethod
    def fit(cls, samples: Pixels | Array, preset: str = "auto", **options: Any) -> Stretch:
        """From samples of the data, of which only valid ones count.

        Args:
            samples: (C, ...) stored values, masked where nothing was measured.
            preset: A name in :data:`rs_gen.raster.presets.PRESETS`, where each is described.
            **options: What the preset takes, such as ``cut=2`` percent for "percentile".

        Raises:
            UnknownNameError: No such preset.
            SettingError: The preset has no such option, or its value can't work.
            ValueRangeError: A band has no valid pixel, or values the preset can't be for.
        """
        from .presets import fit

        low, high, scale = fit(samples, preset, **options)
        return cls(tuple(low), tuple(high), scale)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Stretch:
        """From what :meth:`to_dict` gave.

        Raises:
            ValueRangeError: The dictionary is not a stretch.
        """
        try:
            return cls(tuple(stored["low"]), tuple(stored["high"]), stored.get("scale", "linear"))
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueRangeError(
                f"{stored!r} is not a stretch; it needs low and high, a list of numbers each"
            ) from error

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and text, for JSON; floats survive it bit for bit."""
        return {"low": list(self.low), "high": list(self.high), "scale": self.scale}

    def bands(self, indices: Sequence[int]) -> Stretch:
        """The stretch of some bands, counted from 0, in the order given."""
        for i in indices:
            if not 0 <= i < len(self):
                raise ValueRangeError(f"no band {i} in a stretch of bands 0 to {len(self) - 1}")
        low, high = (tuple(end[i] for i in indices) for end in (self.low, self.high))
        return Stretch(low, high, self.scale)

    def encode(self, stored: Pixels | Array) -> npt.NDArray[np.float32]:
        """(C, H, W) of any dtype to float32 in [-1, 1]; no measurement to 0, the middle grey.

        Values beyond the ends are held at -1 and 1. A float pixel that is not a number counts as
        not measured.
        """
        self._check_bands(stored)
        pixels, mask = np.ma.getdata(stored), np.ma.getmask(stored)
        work = self._working_dtype(pixels.dtype)
        centre, half = self._columns(work, pixels.ndim)
        if self.scale == "db":
            pixels = _to_db(pixels, work)
        encoded: Array = np.subtract(pixels, centre, dtype=work)
        encoded *= 1 / half
        np.clip(encoded, -1, 1, out=encoded)
        if mask is not np.ma.nomask:
            encoded[mask] = 0
        if not is_integer(np.ma.getdata(stored).dtype):
            encoded[np.isnan(encoded)] = 0
        narrow: npt.NDArray[np.float32] = encoded.astype(np.float32, copy=False)
        return narrow

    def decode(self, encoded: Array, dtype: npt.DTypeLike, nodata: float | None = None) -> Array:
        """[-1, 1] back to stored values, rounded and held inside an integer dtype.

        Args:
            encoded: (C, H, W) float.
            dtype: Stored dtype.
            nodata: Value that no pixel may take, because it means "not measured": a pixel that
                lands on it is moved by one step towards the middle of its band.

        Raises:
            ValueRangeError: A pixel is not a number, or ``nodata`` does not fit the dtype.
        """
        self._check_bands(encoded)
        checked_nodata(nodata, dtype)
        work = self._working_dtype(np.dtype(dtype))
        centre, half = self._columns(work, encoded.ndim)
        stored = np.multiply(encoded, half, dtype=work)
        stored += centre
        if np.isnan(stored.min(initial=0)):
            raise ValueRangeError("an encoded pixel is not a number, so it has no stored value")
        if self.scale == "db":
            stored = np.power(10, stored / 10, dtype=work)
        if is_integer(dtype):
            stored = np.rint(stored, out=stored)
            np.clip(stored, *_clip_ends(dtype, work), out=stored)
        pixels: Array = stored.astype(dtype, copy=False)
        if nodata is not None:
            self._leave(pixels, nodata)
        return pixels

    def __len__(self) -> int:
        return len(self.low)

    def _leave(self, pixels: Array, nodata: float) -> None:
        """Move pixels that equal ``nodata`` one step towards the middle of their band."""
        taken: Mask = equals(pixels, nodata)
        if not taken.any():
            return
        lowest, highest = limits(pixels.dtype)
        for band, hit, centre in zip(pixels, taken, self._stored_middles(), strict=True):
            up = (nodata < centre and nodata < highest) or nodata <= lowest
            if is_integer(pixels.dtype):
                band[hit] = int(nodata) + (1 if up else -1)
            else:
                value, end = pixels.dtype.type(nodata), np.inf if up else -np.inf
                band[hit] = np.nextafter(value, pixels.dtype.type(end))

    def _stored_middles(self) -> list[float]:
        middles = [(low + high) / 2 for low, high in zip(self.low, self.high, strict=True)]
        return [10 ** (m / 10) for m in middles] if self.scale == "db" else middles

    def _check_bands(self, pixels: Pixels | Array) -> None:
        if len(pixels) != len(self):
            raise ValueRangeError(
                f"the stretch has {len(self)} bands but the pixels have {len(pixels)}"
            )

    def _working_dtype(self, stored: np.dtype[Any]) -> type[np.floating[Any]]:
        """float32 where it keeps every stored step, else float64."""
        narrow = stored.itemsize <= 2 or stored == np.float32
        ends = zip(self.low, self.high, strict=True)
        near = all(max(abs(low), abs(high)) <= _FAR * (high - low) for low, high in ends)
        return np.float32 if narrow and (near or self.scale == "db") else np.float64

    def _columns(self, dtype: type[np.floating[Any]], ndim: int) -> tuple[Array, Array]:
        """Middle and half range of each band, shaped to meet (C, ...) arrays."""
        low, high = np.asarray(self.low, np.float64), np.asarray(self.high, np.float64)
        shape = (-1,) + (1,) * (ndim - 1)
        centre, half = (low + high) / 2, (high - low) / 2
        return centre.astype(dtype).reshape(shape), half.astype(dtype).reshape(shape)


def _to_db(power: Array, dtype: type[np.floating[Any]]) -> Array:
    """10 log10; no power at all reads as the least that float32 holds, -379 dB."""
    db = np.maximum(power, dtype(_TINY), dtype=dtype)
    np.log10(db, out=db)
    db *= 10
    return db


def _clip_ends(dtype: npt.DTypeLike, work: type[np.floating[Any]]) -> tuple[float, float]:
    """An integer dtype's limits as floats that do not round past them."""
    low, high = limits(dtype)
    top = work(high)
    return low, float(top if int(top) <= high else np.nextafter(top, work(0)))
