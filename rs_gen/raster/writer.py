"""How a raster is written: window by window, and whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio
import rasterio.shutil
from rasterio.enums import ColorInterp
from rasterio.windows import Window

from ..errors import RasterError, SettingError, UnknownNameError, ValueRangeError
from .files import whole_or_not
from .grid import GDAL_ERRORS, Grid, whole
from .overviews import build, levels
from .pixels import checked_nodata, is_integer

if TYPE_CHECKING:
    from rasterio.io import DatasetWriter

    from .pixels import Array, Mask, Pixels

DTYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64",
          "float32", "float64")  # fmt: skip
COMPRESSIONS = ("deflate", "lzw", "zstd", "packbits", "none")
_PREDICTED = ("deflate", "lzw", "zstd")
_THREADS_FROM = 2048 * 2048  # pixels; below, starting threads costs more than it saves
_NEWER_COLORS = (
    "pan",
    "coastal",
    "rededge",
    "nir",
    "swir",
    "mwir",
    "lwir",
    "tir",
    "sar_x",
    "sar_c",
)


@contextmanager
def geotiff(
    path: str | Path,
    grid: Grid,
    *,
    count: int,
    dtype: str,
    nodata: float | None = None,
    mask: bool = False,
    names: Sequence[str] | None = None,
    colors: Sequence[str] | None = None,
    tags: Mapping[str, Any] | None = None,
    compress: str = "deflate",
    blocksize: int = 256,
    colormap: Mapping[int, Sequence[int]] | None = None,
    cog: bool = False,
    overviews: str | Sequence[int] | None = None,
) -> Iterator[RasterWriter]:
    """Open a tiled GeoTIFF to write windows into.

    The file takes its name only once it is whole: a run that fails or is stopped leaves no half
    raster for a later step to trust, and an earlier file as it was. Pixels never written are
    nodata, or 0 where there is no nodata value.

    Args:
        path: Where the raster will be; missing folders are made, an existing file is replaced.
        grid: Its pixels on the ground.
        count: Number of bands.
        dtype: Stored dtype, such as "uint16".
        nodata: Stored value that means "no measurement".
        mask: Write a mask into the file too, for rasters that can't spare a value.
        names: Name of each band.
        colors: Colour interpretation of each band ("red", "nir", "alpha", "undefined", ...).
            Left out: red, green, blue for three bands of uint8, else grey. No band becomes alpha
            unless said here.
        tags: Metadata; values that are not text are written as str gives them.
        compress: "deflate", "lzw", "zstd", "packbits" or "none"; all keep every value.
        blocksize: Side of the file's tiles in pixels, a multiple of 16.
        colormap: id to (red, green, blue) or with alpha, for one band of uint8 or uint16.
        cog: Finish as a cloud-optimised GeoTIFF.
        overviews: "auto" halves the raster until it fits into a block, "none" writes none, and
            numbers such as (2, 4, 8) say how often. None is "auto" for a cloud-optimised GeoTIFF
            and "none" for another. They lie within the file.

    Raises:
        SettingError, UnknownNameError: An option can't work.
        ValueRangeError: ``nodata`` does not fit ``dtype``.
        RasterError: The file can't be written.
    """
    if dtype not in DTYPES:
        raise SettingError(f"dtype={dtype!r} can't be stored; it is one of {DTYPES}")
    colors = _colors(colors, count, dtype)
    profile = _profile(grid, count, dtype, checked_nodata(nodata, dtype), compress, blocksize)
    profile |= _photometric(colors, colormap, count, dtype)
    factors = levels(overviews, grid.shape, blocksize, cog=cog)
    with whole_or_not(path) as part:
        writer = RasterWriter(_created(part, path, profile), Path(path), nodata, mask)
        try:
            writer._label(names, colors, tags, colormap)
            yield writer
        finally:
            writer._close()
        writer._check()
        if cog:
            ids = colormap is not None
            optimise(part, part, compress=compress, colormap=ids, overviews=len(factors))
        elif factors:
            build(part, path, factors, ids=colormap is not None)


def optimise(
    source: str | Path, path: str | Path, *, compress: str = "deflate", colormap: bool = False,
    overviews: int | None = None,
) -> Path:  # fmt: skip
    """Write a raster again as a cloud-optimised GeoTIFF with overviews; returns ``path``.

    Nodata, mask, band names, colours and tags are kept. ``path`` may be ``source`` itself.

    Args:
        source: Any raster on disk.
        path: Where the copy will be.
        compress: As for :func:`geotiff`, but for "packbits".
        colormap: Values are ids, so overviews take the commonest of them instead of the mean.
        overviews: How many, each half of the one before; None for as many as fit into a block.

    Raises:
        SettingError: A compression that this format has not.
        RasterError: ``source`` can't be read, or ``path`` can't be written.
    """
    if compress not in COMPRESSIONS or compress == "packbits":
        raise SettingError(f"compress={compress!r} is not for cloud-optimised GeoTIFFs")
    options: dict[str, Any] = {
        "COMPRESS": compress.upper(),
        "PREDICTOR": "YES" if compress in _PREDICTED else "NO",
        "BIGTIFF": "IF_SAFER",
        "NUM_THREADS": "ALL_CPUS",
        "OVERVIEW_RESAMPLING": "MODE" if colormap else "AVERAGE",
    }
    if overviews is not None:
        options |= {"OVERVIEW_COUNT": overviews} if overviews else {"OVERVIEWS": "NONE"}
    with whole_or_not(path) as part:
        try:
            rasterio.shutil.copy(source, part, driver="COG", **options)
        except (*GDAL_ERRORS, OSError) as error:
            raise RasterError(f"{path} can't be written from {source}: {error}") from error
    return Path(path)


class RasterWriter:
    """Windows of a GeoTIFF being written; made by :func:`geotiff`.

    Attributes:
        path: The name that the file will take.
        shape: (height, width) in pixels.
        count: Number of bands.
        dtype: Stored dtype.
        nodata: Stored value that means "no measurement", or None.
    """

    def __init__(self, dataset: DatasetWriter, path: Path, nodata: float | None, mask: bool):
        self._dataset, self._mask = dataset, mask
        self.path, self.nodata = path, nodata
        self.shape: tuple[int, int] = dataset.shape
        self.count, self.dtype = int(dataset.count), str(dataset.dtypes[0])

    def write(
        self, pixels: Pixels | Array, window: Window | None = None, valid: Mask | None = None
    ) -> None:
        """Write (C, H, W) pixels of the raster's dtype.

        Args:
            pixels: Stored values. A masked array says itself what is valid.
            window: Where; None is the whole raster. It must lie inside.
            valid: (H, W) bool, False where nothing was measured: there every band takes nodata, or
                0 where there is no such value, and the mask says so.

        Raises:
            SettingError: Pixels and window do not fit each other or the raster.
            ValueRangeError: The dtype would change values, or there are holes and the raster has
                neither a nodata value nor a mask.
            RasterError: The disk is full, or the like.
        """
        row, col, height, width = self._checked(pixels, window)
        hidden = self._hidden(pixels, valid)
        stored = np.ma.getdata(pixels).astype(self.dtype, copy=False)
        if hidden is not None and hidden.any():
            fill = 0 if self.nodata is None else self.nodata  # what lies below a mask is not shown
            stored = np.where(hidden, np.asarray(fill).astype(self.dtype), stored)
        place = Window(col, row, width, height)
        try:
            self._dataset.write(stored, window=place)
            if self._mask:
                # Inside the file, not beside it; said here because it holds for this thread only.
                with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
                    shown = (
                        np.ones((height, width), bool) if hidden is None else ~hidden.any(axis=0)
                    )
                    self._dataset.write_mask(shown, window=place)
        except GDAL_ERRORS as error:
            raise RasterError(f"{self.path} can't be written: {error}") from error

    def tag(self, **tags: Any) -> None:
        """Add metadata, also after pixels were written."""
        self._dataset.update_tags(**{k: str(v) for k, v in tags.items()})

    def _checked(self, pixels: Array, window: Window | None) -> tuple[int, int, int, int]:
        row, col, height, width = whole(window or Window(0, 0, *self.shape[::-1]))
        if pixels.shape != (self.count, height, width):
            raise SettingError(
                f"pixels of shape {pixels.shape} do not fit {(self.count, height, width)}, which "
                "is (bands, height, width) of the window"
            )
        if row < 0 or col < 0 or row + height > self.shape[0] or col + width > self.shape[1]:
            raise SettingError(f"{window} reaches past the raster of {self.shape} px")
        if not np.can_cast(pixels.dtype, self.dtype, "safe"):
            raise ValueRangeError(
                f"{pixels.dtype} pixels may not fit {self.dtype}, in which {self.path.name} is "
                f"stored; decode or convert them first, for example .astype({self.dtype!r})"
            )
        return row, col, height, width

    def _hidden(self, pixels: Pixels | Array, valid: Mask | None) -> Mask | None:
        """(C or 1, H, W), True where there is no measurement; None where all is measured."""
        hidden: Mask | None = None
        if valid is not None:
            if valid.shape != pixels.shape[1:]:
                raise SettingError(f"valid has shape {valid.shape}, not {pixels.shape[1:]}")
            hidden = ~valid.astype(bool, copy=False)[None]
        if np.ma.getmask(pixels) is not np.ma.nomask:
            masked = np.ma.getmaskarray(pixels)
            hidden = masked if hidden is None else masked | hidden
        if hidden is not None and self.nodata is None and not self._mask and hidden.any():
            raise ValueRangeError(
                f"{int(hidden.any(axis=0).sum())} pixels have no measurement, but "
                f"{self.path.name} has no way to say so; give it nodata= or mask=True"
            )
        return hidden

    def _label(
        self,
        names: Sequence[str] | None,
        colors: Sequence[str],
        tags: Mapping[str, Any] | None,
        colormap: Mapping[int, Sequence[int]] | None,
    ) -> None:
        if names is not None:
            if len(names) != self.count:
                raise SettingError(f"{len(names)} names for {self.count} bands")
            self._dataset.descriptions = tuple(names)
        if colormap is None:
            self._dataset.colorinterp = [_interpretation(c) for c in colors]
        else:
            self._dataset.write_colormap(1, {int(i): tuple(c) for i, c in colormap.items()})
        self.tag(**(tags or {}))

    def _close(self) -> None:
        try:
            self._dataset.close()
        except GDAL_ERRORS as error:
            raise RasterError(f"{self.path} can't be finished: {error}") from error

    def _check(self) -> None:
        """Closing tells nothing of what did not fit on the disk; a file cut short does not open."""
        try:
            rasterio.open(self._dataset.name).close()
        except (*GDAL_ERRORS, OSError) as error:
            raise RasterError(
                f"{self.path} can't be finished, perhaps because the disk is full: {error}"
            ) from error


def _created(part: Path, path: str | Path, profile: dict[str, Any]) -> DatasetWriter:
    try:
        return rasterio.open(part, "w", **profile)
    except (*GDAL_ERRORS, OSError, TypeError) as error:
        raise RasterError(f"{path} can't be written: {error}") from error


def _profile(
    grid: Grid, count: int, dtype: str, nodata: float | None, compress: str, blocksize: int
) -> dict[str, Any]:
    if compress not in COMPRESSIONS:
        raise SettingError(f"compress={compress!r} is unknown; it is one of {COMPRESSIONS}")
    if blocksize < 16 or blocksize % 16:
        raise SettingError(f"blocksize={blocksize} must be a multiple of 16")
    if count < 1:
        raise SettingError(f"count={count} must be at least 1")
    height, width = grid.shape
    profile: dict[str, Any] = {
        "driver": "GTiff", "height": height, "width": width, "count": count, "dtype": dtype,
        "nodata": nodata, "crs": grid.crs, "transform": grid.transform, "tiled": True,
        "blockxsize": min(blocksize, -(-width // 16) * 16),  # a chip should not carry empty rows
        "blockysize": min(blocksize, -(-height // 16) * 16),
        "BIGTIFF": "IF_SAFER", "SPARSE_OK": nodata is not None,
    }  # fmt: skip
    if compress != "none":
        profile["compress"] = compress
    if compress in _PREDICTED:
        profile["predictor"] = 2 if is_integer(dtype) else 3
    if height * width >= _THREADS_FROM:
        profile["NUM_THREADS"] = "ALL_CPUS"
    return profile


def _colors(colors: Sequence[str] | None, count: int, dtype: str) -> Sequence[str]:
    if colors is None:
        if count == 3 and dtype == "uint8":
            return "red", "green", "blue"
        return ("gray", *["undefined"] * (count - 1))
    if len(colors) != count:
        raise SettingError(f"{len(colors)} colors for {count} bands")
    return colors


def _photometric(
    colors: Sequence[str], colormap: Mapping[int, Sequence[int]] | None, count: int, dtype: str
) -> dict[str, Any]:
    """What GDAL must know at creation, or it would take a fourth uint8 band for alpha."""
    if colormap is not None:
        if count != 1 or dtype not in ("uint8", "uint16"):
            raise SettingError(f"a colormap needs one band of uint8 or uint16, not {count} {dtype}")
        return {"photometric": "PALETTE"}
    rgb = tuple(colors[:3]) == ("red", "green", "blue")
    return {
        "photometric": "RGB" if rgb else "MINISBLACK",
        "ALPHA": "NON-PREMULTIPLIED" if "alpha" in colors else "NO",
    }


def _interpretation(color: str) -> ColorInterp:
    if color in ColorInterp.__members__:
        return ColorInterp[color]
    if color in _NEWER_COLORS:  # names that GDAL 3.10 has and an older rasterio has not
        return ColorInterp.undefined
    raise UnknownNameError(
        "colour interpretation", color, {*ColorInterp.__members__, *_NEWER_COLORS}
    )
