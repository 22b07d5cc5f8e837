"""Smaller copies of a raster within its file, which a GIS shows when it is zoomed out."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import rasterio
from rasterio.enums import Resampling

from ..errors import RasterError, SettingError
from .grid import GDAL_ERRORS


def levels(
    wanted: str | Sequence[int] | None, shape: tuple[int, int], blocksize: int, *, cog: bool
) -> tuple[int, ...]:
    """How many times smaller each overview is; empty for none.

    Args:
        wanted: "auto", "none", "2,4,8", (2, 4, 8), or None as for ``raster.writer.geotiff``.
        shape: (height, width) of the raster in pixels.
        blocksize: Side of the file's blocks in pixels; "auto" halves until the raster fits in.
        cog: Whether it is a cloud-optimised GeoTIFF, whose overviews are halves of each other.

    Raises:
        SettingError: These are no numbers that can work.
    """
    if wanted is None or wanted == "":
        wanted = "auto" if cog else "none"
    if wanted == "none":
        return ()
    if wanted == "auto":
        size = blocksize * 2 if cog else blocksize  # GDAL's own blocks have 512 px there
        most = max(shape)
        return tuple(2**i for i in range(1, 32) if most > size * 2 ** (i - 1))
    factors = _numbers(wanted)
    if cog and factors != tuple(2 ** (i + 1) for i in range(len(factors))):
        raise SettingError(
            f"overviews={wanted!r}: those of a cloud-optimised GeoTIFF are halves of each other, "
            "such as 2,4,8"
        )
    return factors


def _numbers(wanted: str | Sequence[int]) -> tuple[int, ...]:
    parts = wanted.split(",") if isinstance(wanted, str) else wanted
    try:
        factors = tuple(int(p) for p in parts)
    except (TypeError, ValueError):
        factors = ()
    rising = all(a < b for a, b in pairwise(factors))
    if not factors or factors[0] < 2 or not rising:
        raise SettingError(
            f"overviews={wanted!r} is none of 'auto', 'none' or growing numbers from 2 such as "
            "'2,4,8'"
        )
    return factors


def build(part: Path, path: str | Path, factors: Sequence[int], *, ids: bool = False) -> None:
    """Write overviews into a file that is whole.

    Args:
        part: The file.
        path: What it will be called, for an error.
        factors: How many times smaller each is.
        ids: Values are ids, so the commonest of them counts instead of the mean.

    Raises:
        RasterError: The disk is full, or the like.
    """
    method = Resampling.mode if ids else Resampling.average
    try:
        with (
            rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True, BIGTIFF_OVERVIEW="IF_SAFER"),
            rasterio.open(part, "r+") as dataset,
        ):
            dataset.build_overviews(list(factors), method)
    except GDAL_ERRORS as error:
        raise RasterError(f"{path} can't be given overviews: {error}") from error
