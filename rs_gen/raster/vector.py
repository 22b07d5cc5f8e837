"""Areas on the ground: read from any vector file, laid on a grid, and kept as GeoPackage layers."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import rasterio.features
import shapely
from rasterio.crs import CRS
from rasterio.windows import Window
from shapely.affinity import affine_transform
from shapely.geometry import box
from shapely.geometry.base import BaseGeometry

from ..errors import AreaError, SettingError, UnknownNameError
from .files import whole_or_not
from .grid import Grid

if TYPE_CHECKING:
    import geopandas as gpd

    from .pixels import Mask

_STEPS = 64  # pieces into which the longest side is cut, so that straight edges may bend


class ClassPolygon(NamedTuple):
    """A polygon and what it is of.

    Attributes:
        label: The class, as text.
        geometry: Polygon or multipolygon.
    """

    label: str
    geometry: BaseGeometry


def read_areas(paths: Iterable[str | Path | BaseGeometry], crs: Any) -> BaseGeometry:
    """The union of several areas, in ``crs``.

    Args:
        paths: Vector files as for :func:`read_area`, each in a CRS of its own; a shapely geometry
            must be in ``crs`` already.
        crs: Where the area is wanted.

    Raises:
        AreaError: As for :func:`read_area`; or there are none.
    """
    areas = [p if isinstance(p, BaseGeometry) else read_area(p, crs) for p in paths]
    if not areas:
        raise AreaError("no area is given; name a vector file, or leave the area out")
    area = shapely.union_all(areas)
    shapely.prepare(area)  # it will be asked again and again whether it meets a tile
    return area


def read_area(path: str | Path, crs: Any, *, layer: str | None = None) -> BaseGeometry:
    """The union of all polygons of a vector file, in ``crs``.

    Args:
        path: Shapefile, GeoPackage, GeoJSON, file geodatabase, or what else GDAL reads. A layer
            can be named as QGIS does (``towns.gpkg|layername=old``) or as ArcGIS does
            (``towns.gdb/old``).
        crs: Where the area is wanted; anything that pyproj understands. Edges are cut before
            they are reprojected, because a straight line need not stay straight.
        layer: Name of the layer; the first when left out.

    Raises:
        AreaError: The file is missing or no vector file, has no CRS or no polygons, or can't be
            expressed in ``crs``.
    """
    path, named = layer_of(path)
    table = _polygons(path, layer or named)
    area = shapely.union_all(_reprojected(table, crs, path).geometry.to_numpy())
    if area.is_empty:
        raise AreaError(f"{path} has no area; its polygons are all empty")
    return area


def attributes(path: str | Path, crs: Any) -> list[dict[str, Any]]:
    """The polygons of a vector file with their fields; "geometry" is in ``crs``.

    Path, CRS and errors as for :func:`read_area`.
    """
    path, layer = layer_of(path)
    table = _reprojected(_polygons(path, layer), crs, path)
    if table.geometry.name != "geometry":
        table = table.rename_geometry("geometry")
    return [{str(k): v for k, v in row.items()} for row in table.to_dict("records")]


def layer_of(path: str | Path) -> tuple[str | Path, str | None]:
    """A vector file and the layer that its path names, if it names one."""
    file, _, options = str(path).partition("|")
    if options.startswith("layername="):
        return file, options.removeprefix("layername=").split("|")[0]
    held = Path(path).parent
    if held.suffix.lower() in (".gdb", ".gpkg") and held.exists():
        return held, Path(path).name.removeprefix("main.")  # ArcGIS's schema in a GeoPackage
    return path, None


def read_polygons(
    path: str | Path, crs: Any, field: str, *, layer: str | None = None
) -> list[ClassPolygon]:
    """The polygons of a vector file with their class, in ``crs``.

    Polygons whose field is empty are left out.

    Raises:
        AreaError: As for :func:`read_area`; or no polygon has a class.
        UnknownNameError: The file has no such field.
    """
    table = _reprojected(_polygons(path, layer), crs, path)
    fields = [c for c in table.columns if c != table.geometry.name]
    if field not in fields:
        raise UnknownNameError(f"field of {Path(path).name}", field, fields)
    table = table[table[field].notna()]
    if table.empty:
        raise AreaError(f"{path}: field {field!r} is empty for every polygon")
    return [ClassPolygon(_text(v), g) for v, g in zip(table[field], table.geometry, strict=True)]


def window_of(area: BaseGeometry, grid: Grid) -> Window:
    """The smallest window of whole pixels round an area, clipped to the raster.

    Args:
        area: In the CRS of the grid, which may be rotated.
        grid: The raster's.

    Raises:
        AreaError: The area misses the raster.
    """
    t = ~grid.transform
    height, width = grid.shape
    pixels = affine_transform(area, (t.a, t.b, t.d, t.e, t.c, t.f))
    part = pixels.intersection(box(0, 0, width, height))
    if part.is_empty or part.area == 0:
        raise AreaError(
            f"the area {_rounded(area.bounds)} misses the raster, which covers "
            f"{_rounded(grid.bounds)} in {grid.crs or 'pixels'}"
        )
    left, top, right, bottom = part.bounds
    # An edge that misses a pixel's border by rounding only does not claim the next pixel.
    col, row = int(np.floor(left + 1e-6)), int(np.floor(top + 1e-6))
    end_col, end_row = int(np.ceil(right - 1e-6)), int(np.ceil(bottom - 1e-6))
    return Window(col, row, max(end_col - col, 1), max(end_row - row, 1))


def rasterize(area: BaseGeometry, grid: Grid, *, all_touched: bool = False) -> Mask:
    """(H, W) bool, True inside the area.

    Args:
        area: In the CRS of the grid; nothing is True where it misses.
        grid: Crop it first: the result is as large as the grid.
        all_touched: True for every pixel that the area touches, not only those whose middle lies
            inside.
    """
    if area.is_empty or not area.intersects(grid.polygon):
        return np.zeros(grid.shape, bool)
    burned = rasterio.features.rasterize(
        [area], grid.shape, transform=grid.transform, all_touched=all_touched, dtype="uint8"
    )
    inside: Mask = burned.astype(bool)
    return inside


def write_gpkg(
    path: str | Path, layer: str, records: Sequence[Mapping[str, Any]], crs: Any
) -> Path:
    """Write records as a layer of a GeoPackage, whole or not at all; returns ``path``.

    Other layers of an existing file are kept; a layer of this name is replaced.

    Args:
        path: The .gpkg file.
        layer: Name of the layer.
        records: A mapping for each row, all with the same keys; "geometry" is a shapely geometry.
        crs: Of the geometries; None where there is none.

    Raises:
        SettingError: There are no records, or the name does not end in .gpkg.
        AreaError: The layer can't be written.
    """
    import geopandas as gpd

    path = Path(path)
    if path.suffix.lower() != ".gpkg":
        raise SettingError(f"{path} must end in .gpkg")
    if not records:
        raise SettingError(f"there are no records to write to {path}")
    table = gpd.GeoDataFrame([dict(r) for r in records], geometry="geometry", crs=_known(crs))
    with whole_or_not(path) as part:
        if path.exists():
            shutil.copyfile(path, part)
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "'crs' was not provided")  # plain images
                table.to_file(part, layer=layer, driver="GPKG", engine="pyogrio")
        except Exception as error:
            raise AreaError(f"layer {layer!r} of {path} can't be written: {error}") from error
    return path


def read_layer(path: str | Path, layer: str | None = None) -> gpd.GeoDataFrame:
    """A layer of a vector file as a GeoDataFrame, in its own CRS.

    Raises:
        AreaError: The file is missing, is no vector file, or has no such layer.
    """
    import geopandas as gpd

    if "://" not in str(path) and not str(path).startswith("/vsi") and not Path(path).exists():
        raise AreaError(f"{path}: no such file")
    options = {} if layer is None else {"layer": layer}
    try:
        table = gpd.read_file(path, engine="pyogrio", **options)
    except Exception as error:  # pyogrio has a class of its own for each way to fail
        raise AreaError(f"{path} can't be read as a vector file: {error}") from error
    if not isinstance(table, gpd.GeoDataFrame):
        raise AreaError(f"{path} is a table without geometries")
    return table


def _polygons(path: str | Path, layer: str | None) -> gpd.GeoDataFrame:
    """The rows of a vector file that have an area, valid."""
    table = read_layer(path, layer)
    if table.empty:
        raise AreaError(f"{path} has no features")
    if table.crs is None:
        raise AreaError(
            f"{path} has no CRS, so its place is unknown (a shapefile needs its .prj beside it)"
        )
    kinds = sorted({str(k) for k in table.geom_type.dropna()})
    table = table[table.geom_type.isin(["Polygon", "MultiPolygon", "GeometryCollection"])]
    table = table.set_geometry([_surface(g) for g in table.geometry], crs=table.crs)
    table = table[~table.geometry.is_empty]
    if table.empty:
        found = ", ".join(kinds) or "empty geometries"
        raise AreaError(f"{path} has no polygons but {found}; buffer or close them first")
    return table


def _surface(geometry: BaseGeometry) -> BaseGeometry:
    """The part of a geometry that has an area, without self-crossings."""
    valid = geometry if geometry.is_valid else shapely.make_valid(geometry)
    if valid.geom_type in ("Polygon", "MultiPolygon"):
        return valid
    parts = [g for g in shapely.get_parts(valid) if g.geom_type in ("Polygon", "MultiPolygon")]
    return shapely.union_all(parts)


def _reprojected(table: gpd.GeoDataFrame, crs: Any, path: str | Path) -> gpd.GeoDataFrame:
    """The table in another CRS, its edges cut so that they may bend."""
    wanted = _known(crs)
    if wanted is None:
        raise AreaError(f"{path} can't be laid on a raster that has no CRS")
    if table.crs == wanted:
        return table
    left, bottom, right, top = table.total_bounds
    longest = max(right - left, top - bottom)
    try:
        moved = table.set_geometry(table.geometry.segmentize(longest / _STEPS)).to_crs(wanted)
    except Exception as error:  # pyproj's ProjError; pyproj itself stays unimported here
        raise AreaError(f"{path} can't be expressed in {crs}: {error}") from error
    if not np.isfinite(moved.total_bounds).all():
        raise AreaError(f"{path} reaches where {crs} has no coordinates; clip it first")
    return moved.set_geometry([_surface(g) for g in moved.geometry], crs=moved.crs)


def _known(crs: Any) -> Any:
    """A CRS as pyproj takes it; rasterio's goes through WKT."""
    import pyproj

    if crs is None:
        return None
    return pyproj.CRS.from_user_input(crs.to_wkt() if isinstance(crs, CRS) else crs)


def _text(value: Any) -> str:
    """A class as text; whole numbers that a table turned into floats lose their ".0"."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _rounded(bounds: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(float(f"{b:.8g}") for b in bounds)
