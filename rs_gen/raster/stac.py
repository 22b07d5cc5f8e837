"""A STAC item beside a raster: what it is, of what and by what it was made, for catalogues.

Plain JSON by the specification (STAC 1.1 with the projection, raster, file and processing
extensions), so that writing one needs no package; the tests hold it against the schemas.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rasterio.crs import CRS
from rasterio.warp import transform_geom
from shapely.geometry import mapping, shape

from .files import whole_or_not
from .grid import GDAL_ERRORS, Grid
from .opening import opened

VERSION = "1.1.0"
EXTENSIONS = {
    "projection": "https://stac-extensions.github.io/projection/v2.0.0/schema.json",
    "raster": "https://stac-extensions.github.io/raster/v2.0.0/schema.json",
    "file": "https://stac-extensions.github.io/file/v2.1.0/schema.json",
    "processing": "https://stac-extensions.github.io/processing/v1.2.0/schema.json",
}
GEOTIFF = "image/tiff; application=geotiff"
GEOPACKAGE = "application/geopackage+sqlite3"
PREFIX = "RS_GEN_"
_SHA256 = "1220"  # how a multihash says that 32 bytes of SHA-256 follow
_TELLING = ("PARAMETERS", "VERIFY")  # tags that hold JSON


def beside(raster: str | Path) -> Path:
    """Where the item of a raster lies: ``NAME.stac.json``."""
    return Path(raster).with_suffix(".stac.json")


def write_item(
    raster: str | Path, source: str | Path | None = None, *, beside_it: Iterable[str | Path] = ()
) -> Path:
    """Write the item of a raster beside it, whole or not at all; returns its path.

    Args:
        raster: The raster, with the tags that rs_gen wrote.
        source: What it was made from, for a link.
        beside_it: Other files that belong to it, such as polygons.

    Raises:
        RasterError: The raster can't be read.
    """
    path = beside(raster)
    item = item_of(raster, source, beside_it=beside_it)
    with whole_or_not(path) as part:
        part.write_text(json.dumps(item, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def read_item(raster: str | Path) -> dict[str, Any] | None:
    """The item beside a raster; None where there is none, or it is not JSON."""
    path = beside(raster)
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return held if isinstance(held, dict) and held.get("type") == "Feature" else None


def item_of(
    raster: str | Path, source: str | Path | None = None, *, beside_it: Iterable[str | Path] = ()
) -> dict[str, Any]:
    """The item of a raster. Arguments and errors as for :func:`write_item`."""
    raster = Path(raster)
    with opened(raster) as dataset:
        grid, tags = Grid.of(dataset), own_tags(dataset.tags())
        bands = [_band(dataset, i, grid, dataset.descriptions[i - 1]) for i in dataset.indexes]
        layout = dataset.tags(ns="IMAGE_STRUCTURE").get("LAYOUT")
    written = _moment(raster.stat().st_mtime)
    geometry = _footprint(grid)
    item: dict[str, Any] = {
        "type": "Feature",
        "stac_version": VERSION,
        "stac_extensions": list(EXTENSIONS.values()),
        "id": raster.stem,
        "geometry": geometry,
        "properties": {
            **_times(source, written), **_projection(grid), **_processing(tags, written),
        },
        "links": _links(raster, source),
        "assets": {"data": _data(raster, bands, layout, written)},
    }  # fmt: skip
    if geometry is not None:
        item["bbox"] = _bbox(geometry)
    for other in map(Path, beside_it):
        item["assets"][other.stem] = {
            "href": _relative(other, raster.parent), "roles": ["data"], **file_facts(other),
            "type": GEOPACKAGE if other.suffix.lower() == ".gpkg" else "application/octet-stream",
        }  # fmt: skip
    return item


def own_tags(tags: Mapping[str, str]) -> dict[str, Any]:
    """What rs_gen wrote into a raster, by short name in lower case; JSON is parsed."""
    held: dict[str, Any] = {}
    for name, value in tags.items():
        if not name.startswith(PREFIX):
            continue
        short = name.removeprefix(PREFIX)
        held[short.lower()] = value
        if short in _TELLING:
            with suppress(ValueError):
                held[short.lower()] = json.loads(value)
    return held


def file_facts(path: Path) -> dict[str, Any]:
    """Size and SHA-256 of a file, as the file extension wants them."""
    sha = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(2**22):
            sha.update(piece)
    return {"file:size": path.stat().st_size, "file:checksum": _SHA256 + sha.hexdigest()}


def _processing(tags: Mapping[str, Any], written: str) -> dict[str, Any]:
    """How it was made. Every tag of ours is there under ``rs_gen:``."""
    if not tags:
        return {"processing:datetime": written}
    held: dict[str, Any] = {
        "processing:datetime": written,
        "processing:software": {"rs_gen": str(tags.get("version", "unknown"))},
        "processing:level": "L4",
        "processing:lineage": (
            f"{tags.get('synthetic', 'made by rs_gen')}: {tags.get('source', 'a raster')} "
            f"translated {tags.get('direction', '')} by the model {tags.get('model', '')} "
            f"({tags.get('model_digest', '')})"
        ),
        "rs_gen:synthetic_imagery": "synthetic" in tags,
    }
    return held | {f"rs_gen:{name}": value for name, value in tags.items()}


def _times(source: str | Path | None, written: str) -> dict[str, Any]:
    """STAC wants a moment: when the source was taken, where that is known."""
    taken = _acquired(source) if source is not None else None
    return {
        "datetime": taken or written,
        "created": written,
        "rs_gen:datetime_is": "acquisition of the source" if taken else "writing of the file",
    }


def _acquired(source: str | Path) -> str | None:
    """When a raster was taken, where GDAL finds that in its metadata."""
    try:
        with opened(source) as dataset:
            text = dataset.tags(ns="IMAGERY").get("ACQUISITIONDATETIME", "")
        moment = datetime.fromisoformat(text)
    except (OSError, ValueError):
        return None
    return _iso(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def _projection(grid: Grid) -> dict[str, Any]:
    left, bottom, right, top = grid.bounds
    held: dict[str, Any] = {
        "proj:shape": list(grid.shape),
        "proj:transform": [float(v) for v in tuple(grid.transform)[:6]],
        "proj:bbox": [left, bottom, right, top],
    }
    if grid.crs is None:
        return {**held, "proj:code": None}
    known = grid.crs.to_authority()
    if known is not None:
        return {**held, "proj:code": ":".join(known)}
    return {**held, "proj:code": None, "proj:wkt2": grid.crs.to_wkt(version="WKT2_2019")}


def _band(dataset: Any, i: int, grid: Grid, name: str | None) -> dict[str, Any]:
    held: dict[str, Any] = {"name": name or f"band_{i}", "data_type": dataset.dtypes[i - 1]}
    nodata = dataset.nodatavals[i - 1]
    if nodata is not None:
        held["nodata"] = nodata if math.isfinite(nodata) else str(nodata)
    if not math.isnan(grid.ground_resolution):
        held["raster:spatial_resolution"] = grid.ground_resolution
    return {**held, "raster:sampling": "area"}


def _data(
    raster: Path, bands: list[dict[str, Any]], layout: str | None, written: str
) -> dict[str, Any]:
    profile = "; profile=cloud-optimized" if layout == "COG" else ""
    return {
        "href": f"./{raster.name}", "type": GEOTIFF + profile, "roles": ["data"],
        "title": raster.name, "created": written, "bands": bands, **file_facts(raster),
    }  # fmt: skip


def _links(raster: Path, source: str | Path | None) -> list[dict[str, str]]:
    if source is None:
        return []
    return [{"rel": "derived_from", "href": _relative(source, raster.parent), "type": GEOTIFF,
             "title": "the measured raster that was translated"}]  # fmt: skip


def _relative(path: str | Path, folder: Path) -> str:
    """From the item to a file, so that both can be moved together."""
    text = str(path)
    if "://" in text or text.startswith("/vsi"):
        return text
    try:
        return Path(os.path.relpath(text, folder)).as_posix()
    except ValueError:  # another drive
        return Path(text).resolve().as_uri()


def _footprint(grid: Grid) -> dict[str, Any] | None:
    """The outline on the globe; None where it has no place there."""
    if grid.crs is None:
        return None
    edges = grid.polygon.segmentize(max(*grid.resolution) * max(grid.shape) / 8)
    try:
        outline = transform_geom(grid.crs, CRS.from_epsg(4326), mapping(edges))
    except (*GDAL_ERRORS, ValueError):
        return None
    found: dict[str, Any] = mapping(shape(outline))
    flat = _bbox(found)
    return found if all(map(math.isfinite, flat)) else None


def _bbox(geometry: dict[str, Any]) -> list[float]:
    """West, south, east, north; west is greater than east across the date line."""
    whole = shape(geometry)
    west, south, east, north = whole.bounds
    parts = [part.bounds for part in getattr(whole, "geoms", [])]
    if parts and west <= -180 and east >= 180:
        west = min(b[0] for b in parts if b[0] > 0)
        east = max(b[2] for b in parts if b[2] < 0)
    return [west, south, east, north]


def _moment(seconds: float) -> str:
    return _iso(datetime.fromtimestamp(seconds, UTC))


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
