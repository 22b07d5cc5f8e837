"""How a raster is opened, or refused with the remedy; and how it is laid on another grid."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rasterio
from rasterio.enums import Resampling
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform_geom
from shapely.geometry import mapping, shape

from ..errors import GridMismatchError, RasterError, SettingError
from .pixels import holds, is_integer

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

    from .grid import Grid

RESAMPLINGS = tuple(sorted(m.name for m in Resampling if m is not Resampling.gauss))


@contextmanager
def opened(path: str | Path, georeferenced: bool = False) -> Iterator[DatasetReader]:
    """An open dataset whose pixels can be read as they lie.

    Raises:
        RasterError: Missing, no raster, complex, placed by ground control points or RPCs only, or
            without a CRS where ``georeferenced`` asks for one.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)  # a plain image is welcome
            dataset = rasterio.open(path)
    except (RasterioError, OSError) as error:
        if "://" not in str(path) and not str(path).startswith("/vsi") and not Path(path).exists():
            raise RasterError(f"{path}: no such file") from None
        raise RasterError(f"{path} can't be read as a raster: {error}") from error
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
    with WarpedVRT(
        dataset,
        crs=grid.crs,
        transform=grid.transform,
        width=width,
        height=height,
        resampling=Resampling[resampling],
        **_outside(dataset),
    ) as vrt:
        yield vrt


def _outside(dataset: DatasetReader) -> dict[str, Any]:
    """How the warped raster says "not measured", so that no measured value has to.

    A nodata value goes on band by band. Else floats use NaN, which no measurement equals, and
    integers an extra alpha band.
    """
    nodata, dtype = dataset.nodata, dataset.dtypes[0]
    if nodata is not None and holds(dtype, nodata):
        # Bands are masked one by one: a hole in one must not bleed into the others' averages.
        return {"nodata": nodata, "src_nodata": nodata, "UNIFIED_SRC_NODATA": "NO"}
    if "alpha" in (c.name for c in dataset.colorinterp):
        return {}
    if not is_integer(dtype):
        return {"nodata": float("nan"), "src_nodata": float("nan"), "UNIFIED_SRC_NODATA": "NO"}
    return {"add_alpha": True}


def _refuse_apart(path: str | Path, source: Grid, grid: Grid) -> None:
    if source.crs is None or grid.crs is None:
        which = f"{path} has" if source.crs is None else "the grid to align it with has"
        raise RasterError(
            f"{which} no CRS, so the two can't be aligned; if you know it, write it into the file: "
            "rio edit-info --crs EPSG:... FILE"
        )
    try:
        footprint = shape(transform_geom(source.crs, grid.crs, mapping(source.polygon)))
    except RasterioError:  # far outside the other projection: let the warp find out
        return
    if footprint.is_valid and not footprint.intersects(grid.polygon):
        raise GridMismatchError(
            f"{path} covers {_rounded(footprint.bounds)} and does not meet the grid, which covers "
            f"{_rounded(grid.bounds)} ({grid.crs}); check that the two rasters show one place"
        )


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
