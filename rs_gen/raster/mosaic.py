"""Many rasters of one grid as one: a VRT, which is a text that names them and holds no pixel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree.ElementTree import Element, ElementTree, SubElement, indent

from rasterio.windows import Window

from ..errors import SettingError
from .files import whole_or_not
from .grid import Grid, whole
from .opening import opened

_TYPES = {"uint8": "Byte", "int8": "Int8", "uint16": "UInt16", "int16": "Int16",
          "uint32": "UInt32", "int32": "Int32", "uint64": "UInt64", "int64": "Int64",
          "float32": "Float32", "float64": "Float64"}  # fmt: skip


class Placed(NamedTuple):
    """A raster and the pixels of the mosaic that it fills.

    Attributes:
        path: The raster; the VRT names it relative to itself, so both can be moved together.
        window: Its place in the mosaic, as large as it is.
    """

    path: Path
    window: Window


def write_vrt(
    path: str | Path, grid: Grid, rasters: Sequence[Placed], tags: Mapping[str, Any] | None = None
) -> Path:
    """Write a VRT of rasters that lie on one grid, whole or not at all; returns its path.

    Bands, type, nodata and colours are those of the first raster. Where no raster lies, nothing is
    measured: nodata, or masked where the rasters have no such value.

    Args:
        path: Of the VRT.
        grid: Of the mosaic.
        rasters: What fills it; none may overlap another.
        tags: Metadata; values are written as str gives them.

    Raises:
        SettingError: There are no rasters.
        RasterError: The first raster can't be read, or the file can't be written.
    """
    if not rasters:
        raise SettingError(f"{path}: there are no rasters to make a mosaic of")
    path = Path(path)
    with opened(rasters[0].path) as first:
        bands = [
            (_TYPES[kind], nodata, name, color.name.capitalize())
            for kind, nodata, name, color in zip(
                first.dtypes, first.nodatavals, first.descriptions, first.colorinterp, strict=True
            )
        ]
    height, width = grid.shape
    root = Element("VRTDataset", rasterXSize=str(width), rasterYSize=str(height))
    if grid.crs is not None:
        SubElement(root, "SRS", dataAxisToSRSAxisMapping="1,2").text = grid.crs.to_wkt()
    moved = grid.transform.to_gdal()
    SubElement(root, "GeoTransform").text = ", ".join(repr(float(v)) for v in moved)
    held = SubElement(root, "Metadata")
    for key, value in (tags or {}).items():
        SubElement(held, "MDI", key=key).text = str(value)
    sources = [_relative(placed.path, path.parent) for placed in rasters]
    for number, band in enumerate(bands, start=1):
        _band(root, number, band, rasters, sources)
    if bands[0][1] is None and sum(_area(p.window) for p in rasters) < height * width:
        _mask(root, rasters, sources)
    indent(root)
    with whole_or_not(path) as part:
        ElementTree(root).write(part, encoding="utf-8")
    return path


def _band(
    root: Element, number: int, about: tuple[str, float | None, str | None, str],
    rasters: Sequence[Placed], sources: Sequence[tuple[str, bool]],
) -> None:  # fmt: skip
    kind, nodata, name, color = about
    band = SubElement(root, "VRTRasterBand", dataType=kind, band=str(number))
    if name:
        SubElement(band, "Description").text = name
    if nodata is not None:
        SubElement(band, "NoDataValue").text = repr(nodata)
    SubElement(band, "ColorInterp").text = color
    for placed, source in zip(rasters, sources, strict=True):
        _source(band, placed, source, str(number))


def _mask(root: Element, rasters: Sequence[Placed], sources: Sequence[tuple[str, bool]]) -> None:
    band = SubElement(SubElement(root, "MaskBand"), "VRTRasterBand", dataType="Byte")
    for placed, source in zip(rasters, sources, strict=True):
        _source(band, placed, source, "mask,1")


def _source(band: Element, placed: Placed, source: tuple[str, bool], number: str) -> None:
    row, col, height, width = whole(placed.window)
    simple = SubElement(band, "SimpleSource")
    name, relative = source
    SubElement(simple, "SourceFilename", relativeToVRT=str(int(relative))).text = name
    SubElement(simple, "SourceBand").text = number
    size = {"xSize": str(width), "ySize": str(height)}
    SubElement(simple, "SrcRect", {"xOff": "0", "yOff": "0", **size})
    SubElement(simple, "DstRect", {"xOff": str(col), "yOff": str(row), **size})


def _relative(path: Path, folder: Path) -> tuple[str, bool]:
    """A name from the VRT, and whether it is one; absolute where there is no way from there."""
    full, base = path.resolve(), folder.resolve()
    if full.is_relative_to(base):
        return full.relative_to(base).as_posix(), True
    return full.as_posix(), False


def _area(window: Window) -> int:
    _, _, height, width = whole(window)
    return height * width
