"""Whether a raster is one that a model can translate: its bands, dtype, resolution and nodata."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rasterio.windows import Window

from ..errors import AreaError, BandWarning, GridWarning, SettingError, TranslationError
from ..raster.grid import Grid, clip
from ..raster.pixels import checked_nodata, holds
from ..raster.reader import RasterReader
from ..raster.vector import read_areas, window_of
from .sides import Side

AREA_MODES = ("clip", "mask")
_TOLERANCE = 1.1  # a ground resolution further off than this factor is worth a warning


class Output(NamedTuple):
    """How an output is stored.

    Attributes:
        dtype: A numpy dtype name.
        nodata: Stored value that means "no measurement", or None.
        mask: Whether an internal mask says where there is none.
    """

    dtype: str
    nodata: float | None
    mask: bool


def choose_bands(reader: RasterReader, side: Side, *, stacklevel: int = 2) -> list[int]:
    """Which bands of a raster go into a model, counted from 0.

    Bands are taken by name where the raster has one of each name that the model knows, otherwise
    the first ones in order.

    Args:
        reader: The raster with all of its bands.
        side: Source of the model.
        stacklevel: Of the warning, as ``warnings.warn`` counts.

    Raises:
        TranslationError: The raster has too few bands.
    """
    named = _by_name(reader.names, side.names)
    if named is not None:
        return named
    check_count(reader, side)
    if reader.count > side.count:
        warnings.warn(
            f"{reader.path.name} has {reader.count} bands and the model needs {side.count}; the "
            f"first {side.count} are taken, choose others with bands=",
            BandWarning,
            stacklevel=stacklevel + 1,
        )
    return list(range(side.count))


def check_count(reader: RasterReader, side: Side) -> None:
    """Refuse a raster that has too few bands.

    Raises:
        TranslationError: Names the file, the bands found and the bands needed.
    """
    if reader.count < side.count:
        wanted = f" ({', '.join(side.names)})" if side.names else ""
        raise TranslationError(
            f"{reader.path.name} has {reader.count} bands ({', '.join(reader.names)}) and the "
            f"model needs {side.count}{wanted}; translate a raster with those bands"
        )


def check_dtype(reader: RasterReader, side: Side, *, stacklevel: int = 2) -> None:
    """Warn where a raster's values are of another kind than the training chips'."""
    if side.dtype and _kind(reader.dtype) != _kind(side.dtype):
        warnings.warn(
            f"{reader.path.name} is {reader.dtype} and the model was trained on "
            f"{side.dtype}; values outside its stretch "
            f"({min(side.stretch.low):g} to {max(side.stretch.high):g}) are cut off, so rescale "
            "the raster first if it is in other units",
            BandWarning,
            stacklevel=stacklevel + 1,
        )


def check_resolution(reader: RasterReader, side: Side, *, stacklevel: int = 2) -> None:
    """Warn where a raster's pixels are larger or smaller on the ground than in training."""
    found, known = reader.grid.ground_resolution, side.resolution
    if not known or math.isnan(found) or math.isnan(known):
        return
    if not 1 / _TOLERANCE <= found / known <= _TOLERANCE:
        name = reader.path.name
        warnings.warn(
            f"{name} is at {found:.3g} m and the model was trained at {known:.3g} m; resample it "
            f"to {known:.3g} m with resample=True (--resample), or train on chips at {found:.3g} m",
            GridWarning,
            stacklevel=stacklevel + 1,
        )


def choose_output(
    target: Side, dtype: str | None, nodata: float | str | None, *, holes: bool
) -> Output:
    """How an output is stored: as asked, or as the target of the model is.

    Args:
        target: Of the model.
        dtype: A numpy dtype name; None is the target's, or float32.
        nodata: A value; ``"auto"`` is the target's where the dtype can hold it; None is none.
        holes: Whether some pixel may have no measurement, so that a mask is needed where no
            value stands for it.

    Raises:
        SettingError: The dtype is not one that a raster can have, or nodata is no number.
        ValueRangeError: The dtype can't hold the nodata value asked for.
    """
    dtype = _dtype(dtype or target.dtype or "float32")
    if nodata == "auto":
        fits = target.nodata is not None and holds(dtype, target.nodata)
        nodata = target.nodata if fits else None
    elif isinstance(nodata, str):
        raise SettingError(f"nodata={nodata!r} is not a number, 'auto' or None")
    checked_nodata(nodata, dtype)
    return Output(dtype, nodata, holes and nodata is None)


def destination(raster: str | Path, out: str | Path, overwrite: bool) -> Path:
    """Where to write.

    Raises:
        TranslationError: A file is there that must stay, or it is the raster itself.
    """
    out = Path(out)
    if out.exists() and not overwrite:
        raise TranslationError(f"{out} is there already; choose another name or overwrite=True")
    if out.exists() and out.resolve() == Path(raster).resolve():
        raise TranslationError(f"{out} is the raster to translate; choose another name")
    return out


def part_of(grid: Grid, area: Any, window: Window | None, mode: str = "clip") -> tuple[Window, Any]:
    """Which pixels to write, and the polygon that they must lie in, if any.

    Args:
        grid: Of the raster.
        area: A vector file in any CRS, a shapely geometry in the grid's, several of these, or
            None.
        window: Of whole pixels, or None.
        mode: ``"clip"``: the output is as large as the bounds of the area; ``"mask"``: as large
            as the raster.

    Raises:
        SettingError: Both are given, the window cuts pixels, or the mode is unknown.
        AreaError: It misses the raster.
    """
    if mode not in AREA_MODES:
        raise SettingError(f"area_mode={mode!r} is unknown; it is one of {AREA_MODES}")
    if isinstance(area, list | tuple) and not area:
        area = None
    if area is not None and window is not None:
        raise SettingError("area and window are both given; choose one")
    if area is not None:
        several = area if isinstance(area, list | tuple) else [area]
        polygon = read_areas(several, grid.crs)
        bounds = window_of(polygon, grid)
        return grid.window if mode == "mask" else bounds, polygon
    if window is None:
        return grid.window, None
    part = clip(window, grid.shape)
    if part is None:
        height, width = grid.shape
        raise AreaError(f"{window} misses the raster, which has {height} rows, {width} columns")
    return part, None


def _by_name(found: Sequence[str], wanted: Sequence[str]) -> list[int] | None:
    """Positions of the wanted names, where each is found once; "band_3" is a number, no name."""
    names = [name.strip().casefold() for name in found]
    asked = [name.strip().casefold() for name in wanted]
    if not asked or any(name.startswith("band_") for name in asked):
        return None
    if not all(asked) or any(names.count(name) != 1 for name in asked):
        return None
    return [names.index(name) for name in asked]


def _kind(dtype: str) -> str:
    """Dtypes of one kind hold values of the same sort."""
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return "float"
    return "byte" if kind.itemsize == 1 else "integer"


def _dtype(name: str) -> str:
    try:
        dtype = np.dtype(name)
    except TypeError:
        dtype = np.dtype("O")
    if dtype.kind not in "uif" or dtype.name == "float16":
        raise SettingError(f"dtype={name!r} is not one that a raster can have; try 'uint8'")
    return dtype.name
