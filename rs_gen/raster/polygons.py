"""A raster of class ids as polygons: a GeoPackage layer that QGIS shows in its colours at once."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from xml.sax.saxutils import quoteattr

import numpy as np
import rasterio
import rasterio.features
from shapely.geometry import shape

from ..errors import RasterError, SettingError
from .files import whole_or_not
from .grid import GDAL_ERRORS

if TYPE_CHECKING:
    import geopandas as gpd
    from rasterio.io import DatasetReader

LAYER = "classes"
_ROWS = 20_000  # polygons that are written at once


class Drawn(NamedTuple):
    """One class of a map.

    Attributes:
        id: As stored.
        name: For a legend.
        colour: (red, green, blue), 0 to 255.
    """

    id: int
    name: str
    colour: tuple[int, int, int]


def write_polygons(
    raster: str | Path, path: str | Path, legend: Sequence[Drawn], *, least: int = 0
) -> Path:
    """Polygons round the pixels of one class that touch along an edge; returns ``path``.

    The layer ``classes`` has the fields ``class`` (id), ``name``, ``colour`` (as #rrggbb) and
    ``pixels``, and the style is embedded as QGIS and ArcGIS Pro's importers find it, in the table
    ``layer_styles``. GDAL walks the raster line by line, so memory grows with the polygons, not
    with the raster.

    Args:
        raster: One band of ids; nodata gives no polygon.
        path: The .gpkg, replaced if it is there.
        legend: What the ids are.
        least: Polygons of fewer pixels join the largest neighbour. This alone holds the raster's
            ids in memory, a byte a pixel.

    Raises:
        SettingError: The name does not end in .gpkg.
        RasterError: The raster can't be read, or the polygons not be written.
    """
    path = Path(path)
    if path.suffix.lower() != ".gpkg":
        raise SettingError(f"{path} must end in .gpkg")
    with whole_or_not(path) as part:
        try:
            with rasterio.open(raster) as dataset:
                _write(dataset, part, {drawn.id: drawn for drawn in legend}, least)
            with closing(sqlite3.connect(part)) as base:
                _embed_style(base, qml(legend))
                base.commit()
        except (*GDAL_ERRORS, OSError, sqlite3.Error) as error:
            raise RasterError(f"{path} can't be written from {raster}: {error}") from error
    return path


def qml(legend: Sequence[Drawn]) -> str:
    """A QGIS style that fills each class with its colour, without outlines."""
    categories = "".join(
        f'<category value="{d.id}" symbol="{i}" label={quoteattr(d.name)} render="true"/>'
        for i, d in enumerate(legend)
    )
    symbols = "".join(
        f'<symbol type="fill" name="{i}" alpha="1" clip_to_extent="1">'
        '<layer class="SimpleFill" enabled="1" locked="0" pass="0"><Option type="Map">'
        f'<Option type="QString" name="color" value="{",".join(map(str, d.colour))},255"/>'
        '<Option type="QString" name="style" value="solid"/>'
        '<Option type="QString" name="outline_style" value="no"/>'
        "</Option></layer></symbol>"
        for i, d in enumerate(legend)
    )
    return (
        "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>"
        '<qgis version="3.22.0" styleCategories="Symbology">'
        '<renderer-v2 type="categorizedSymbol" attr="class" symbollevels="0" enableorderby="0">'
        f"<categories>{categories}</categories><symbols>{symbols}</symbols></renderer-v2></qgis>"
    )


def _write(dataset: DatasetReader, part: Path, legend: dict[int, Drawn], least: int) -> None:
    """Write the layer, some rows at a time."""
    rows = _rows(dataset, legend, least)
    first = True
    while some := list(islice(rows, _ROWS)):
        _table(some, dataset.crs).to_file(
            part, layer=LAYER, driver="GPKG", engine="pyogrio", mode="w" if first else "a"
        )
        first = False
    if first:  # nothing but nodata: an empty layer of the same kind
        _table([], dataset.crs).to_file(
            part, layer=LAYER, driver="GPKG", engine="pyogrio", geometry_type="Polygon"
        )


def _rows(dataset: DatasetReader, legend: dict[int, Drawn], least: int) -> Iterator[dict[str, Any]]:
    band: Any = rasterio.band(dataset, 1)
    mask: Any = None
    if least > 1:
        ids, known = dataset.read(1), dataset.read_masks(1) > 0
        band, mask = rasterio.features.sieve(ids, least, mask=known), known
    found: Iterable[tuple[Any, float]] = rasterio.features.shapes(
        band, mask=mask, connectivity=4, transform=dataset.transform
    )
    area = abs(dataset.transform.determinant)
    for outline, value in found:
        drawn = legend.get(int(value))
        if drawn is None:  # nodata
            continue
        polygon = shape(outline)
        yield {
            "class": drawn.id, "name": drawn.name,
            "colour": "#{:02x}{:02x}{:02x}".format(*drawn.colour),
            "pixels": round(polygon.area / area), "geometry": polygon,
        }  # fmt: skip


def _table(rows: list[dict[str, Any]], crs: Any) -> gpd.GeoDataFrame:
    import geopandas as gpd

    names = ("class", "name", "colour", "pixels", "geometry")
    columns: dict[str, Any] = {name: [row[name] for row in rows] for name in names}
    for name in ("class", "pixels"):
        columns[name] = np.array(columns[name], np.int64)
    wkt = None if crs is None else crs.to_wkt()
    return gpd.GeoDataFrame(columns, geometry="geometry", crs=wkt)


def _embed_style(base: sqlite3.Connection, style: str) -> None:
    """The table that QGIS keeps the styles of a GeoPackage's layers in, with one row."""
    base.execute(
        "CREATE TABLE layer_styles (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, "
        "f_table_catalog TEXT(256), f_table_schema TEXT(256), f_table_name TEXT(256), "
        "f_geometry_column TEXT(256), styleName TEXT(30), styleQML TEXT, styleSLD TEXT, "
        "useAsDefault BOOLEAN, description TEXT, owner TEXT(30), ui TEXT(30), "
        "update_time DATETIME DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')))"
    )
    (column,) = base.execute(
        "SELECT column_name FROM gpkg_geometry_columns WHERE table_name = ?", (LAYER,)
    ).fetchone()
    base.execute(
        "INSERT INTO layer_styles (f_table_catalog, f_table_schema, f_table_name, "
        "f_geometry_column, styleName, styleQML, useAsDefault, description, owner) "
        "VALUES ('', '', ?, ?, 'classes', ?, 1, 'Colours of the classes', '')",
        (LAYER, column, style),
    )
    base.execute(
        "INSERT INTO gpkg_contents (table_name, data_type, identifier) "
        "VALUES ('layer_styles', 'attributes', 'layer_styles')"
    )
