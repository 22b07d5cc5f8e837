"""How a raster is opened, or refused with the remedy; and how it is laid on another grid."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio
from rasterio.enums import MaskFlags, Resampling
from rasterio.errors import NotGeoreferencedWarning
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform_geom
from shapely.geometry import mapping, shape

from ..errors import GridMismatchError, RasterError, SettingError
from .grid import GDAL_ERRORS
from .pixels import holds, is_integer

if TYPE_CHECKING:
    from rasterio.io import DatasetReader
    from rasterio.windows import Window

    from .grid import Grid
    from .pixels import Array

_FILTERS = threading.Lock()  # warning filters belong to the process, readers to many threads
RESAMPLINGS = tuple(sorted(m.name for m in Resampling if m is not Resampling.gauss))


@contextmanager
def opened(path: str | Path, georeferenced: bool = False) -> Iterator[DatasetReader]:
    """An open dataset whose pixels can be read as they lie.

    Raises:
        RasterError: Missing, no raster, complex, placed by ground control points or RPCs only, or
            without a CRS where ``georeferenced`` asks for one.
    """
    try:
        with _FILTERS, warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)  # a plain image is welcome
            dataset = rasterio.open(path)
    except (*GDAL_ERRORS, OSError) as error:
        if "://" not in str(path) and not str(path).startswith("/vsi") and not Path(path).exists():
            raise RasterError(f"{path}: no such file") from None
        said = str(error).removeprefix(f"'{path}' ").removesuffix(".")
        raise RasterError(f"{path} can't be read as a raster: {said}") from error
    with dataset:
        _refuse_unreadable(dataset, path)
        _refuse_unplaced(dataset, Path(path), georeferenced)
        yield dataset


@contextmanager
def warped(
    dataset: DatasetReader, path: str | Path, source: Grid, grid: Grid, resampling: str
) -> Iterator[DatasetReader]:
    """The dataset on ``grid``; itself when it is there already.

    Raises:
        SettingError: No such resampling method.
        RasterError: One of the two has no CRS.
        GridMismatchError: They do not overlap.
    """
    if resampling not in RESAMPLINGS:
        raise SettingError(f"resampling={resampling!r} is unknown; it is one of {RESAMPLINGS}")
    if source.matches(grid):
        yield dataset
        return
    _refuse_apart(path, source, grid)
    height, width = grid.shape
    place = {"crs": grid.crs, "transform": grid.transform, "width": width, "height": height}
    ways = [_outside(dataset, i) for i in range(dataset.count)]
    with ExitStack() as stack:
        views = [
            stack.enter_context(
                WarpedVRT(dataset, **place, **way, resampling=Resampling[resampling])
            )
            for n, way in enumerate(ways)
            if way not in ways[:n]
        ]
        yield views[0] if len(views) == 1 else _Banded(views, ways)


class _Banded:
    """A warped dataset whose bands are masked in unlike ways, each taken from its own view.

    Rasterio's WarpedVRT knows one nodata value and one dtype for all bands.
    """

    def __init__(self, views: list[DatasetReader], ways: list[dict[str, Any]]):
        kinds = [way for n, way in enumerate(ways) if way not in ways[:n]]
        self._of = [views[kinds.index(way)] for way in ways]
        self.shape, self.transform, self.crs = views[0].shape, views[0].transform, views[0].crs
        self.nodatavals = [v.nodatavals[n] for n, v in enumerate(self._of)]
        self.dtypes = [v.dtypes[n] for n, v in enumerate(self._of)]
        self.colorinterp = [v.colorinterp[n] for n, v in enumerate(self._of)]
        self.mask_flag_enums = [
            [MaskFlags.per_dataset] if "add_alpha" in way else v.mask_flag_enums[n]
            for n, (v, way) in enumerate(zip(self._of, ways, strict=True))
        ]

    def read(self, bands: list[int] | int, window: Window, out_dtype: str | None = None) -> Array:
        """(H, W) of one band, or (C, H, W) of several; rasterio's own way to be asked."""
        if isinstance(bands, int):
            band: Array = self._of[bands - 1].read(bands, window=window, out_dtype=out_dtype)
            return band
        return np.stack([self.read(i, window, out_dtype) for i in bands])

    def read_masks(self, band: int, window: Window) -> Array:
        """(H, W) uint8, 0 where there is no measurement."""
        view = self._of[band - 1]
        alpha: Array = view.read(view.count, window=window)
        return alpha


def _outside(dataset: DatasetReader, band: int) -> dict[str, Any]:
    """How a warped band says "not measured", so that no measured value has to.

    Floats use NaN, which no measurement equals; integers their nodata value, band by band, or
    else an alpha band.
    """
    way = _hole(dataset, dataset.nodatavals[band], dataset.dtypes[band])
    return way if len(set(dataset.dtypes)) == 1 else {**way, "dtype": dataset.dtypes[band]}


def _hole(dataset: DatasetReader, nodata: float | None, dtype: str) -> dict[str, Any]:
    hole = nodata if nodata is not None and holds(dtype, nodata) else np.nan
    # Bands are masked one by one: a hole in one must not bleed into the others' averages.
    way = {"src_nodata": hole, "UNIFIED_SRC_NODATA": "NO"}
    if not is_integer(dtype):
        return {**way, "nodata": np.nan}
    if not np.isnan(hole):
        return {**way, "nodata": hole}  # GDAL moves an average that lands on it by one
    if "alpha" in (c.name for c in dataset.colorinterp):
        return {}
    return {"add_alpha": True}


def _refuse_apart(path: str | Path, source: Grid, grid: Grid) -> None:
    """Raise for two places that do not meet, whichever way round they are compared."""
    if source.crs is None or grid.crs is None:
        which = f"{path} has" if source.crs is None else "the grid to align it with has"
        raise RasterError(
            f"{which} no CRS, so the two can't be aligned; if you know it, write it into the file: "
            "rio edit-info --crs EPSG:... FILE"
        )
    # Both ways round: a footprint across the date line is torn in one of the two systems.
    if _apart(source, grid) and _apart(grid, source):
        raise GridMismatchError(
            f"{path} covers {_rounded(source.bounds)} in {source.crs} and does not meet the grid, "
            f"which covers {_rounded(grid.bounds)} in {grid.crs}; check that both show one place"
        )


def _apart(one: Grid, other: Grid) -> bool:
    """Whether ``one``'s footprint, its edges free to bend, misses ``other`` in other's CRS."""
    edges = one.polygon.segmentize(max(*one.resolution) * max(one.shape) / 16)
    try:
        moved = shape(transform_geom(one.crs, other.crs, mapping(edges)))
    except (*GDAL_ERRORS, ValueError):  # not to be expressed there: let the warp find out
        return False
    return bool(moved.is_valid and not moved.intersects(other.polygon))


def _rounded(bounds: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(float(f"{b:.8g}") for b in bounds)


def _refuse_unreadable(dataset: DatasetReader, path: str | Path) -> None:
    if not dataset.count:
        inside = "; ".join(dataset.subdatasets[:5]) or "none"
        raise RasterError(f"{path} is a container of rasters; name one of those inside: {inside}")
    complex_ = [d for d in dataset.dtypes if d.startswith("complex")]
    if complex_:
        raise RasterError(
            f"{path} holds complex numbers ({complex_[0]}); write its amplitude or power to a "
            "real raster first"
        )


def _refuse_unplaced(dataset: DatasetReader, path: Path, georeferenced: bool) -> None:
    if dataset.transform.is_identity:
        warped = path.with_name(f"{path.stem}_warped.tif").name
        if dataset.gcps[0]:
            raise RasterError(
                f"{path} is placed by {len(dataset.gcps[0])} ground control points only; warp it "
                f"first: rio warp {path.name} {warped} --dst-crs EPSG:4326, or with a spline: "
                f"gdalwarp -tps {path.name} {warped}"
            )
        if dataset.rpcs:
            raise RasterError(
                f"{path} is placed by RPCs only; warp it first: gdalwarp -rpc -t_srs EPSG:4326 "
                f"{path.name} {warped} (add -to RPC_DEM=dem.tif where the ground is not flat)"
            )
    if georeferenced and dataset.crs is None:
        raise RasterError(
            f"{path} has no CRS; if you know it, write it into the file: "
            f"rio edit-info --crs EPSG:... {path.name}"
        )
