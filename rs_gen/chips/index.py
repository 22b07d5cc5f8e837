"""What is kept beside the chips: chips.gpkg says where each lies, chips.json what they hold.

``chips.gpkg`` has one layer, ``chips``, with a row for each chip (or pair) and these columns:
``stem``; ``a`` and ``b``, the files relative to the folder; ``source`` and ``target``, names of the
rasters they were cut from; ``col_off row_off width height``, the window in the source, in pixels;
``valid_share``, 0 to 1; ``split``, one of ``train valid buffer`` (in the buffer are chips too close
to validation to train on); ``label``, the class, where there are classes; and the footprint.

``chips.json`` is ``{"rs_gen": 1, "size", "stride", "paired", "style", "a": SIDE, "b": SIDE or null,
"provenance": {...}}``, where SIDE is what :meth:`rs_gen.chips.sides.Facts.to_side` gives.
"""

from __future__ import annotations

import json
import sqlite3
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import shapely

from ..errors import LayoutError
from .reading import grid_of, halves, read_chip, size_of
from .sides import Facts, describe

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

__all__ = ["COLUMNS", "Facts", "describe", "grid_of", "halves", "read_card", "read_chip",
           "read_footprints", "read_index", "read_rows", "size_of", "write_card",
           "write_index"]  # fmt: skip

CARD, INDEX, LAYER, VERSION = "chips.json", "chips.gpkg", "chips", 1
COLUMNS = ("stem", "a", "b", "source", "target", "col_off", "row_off", "width", "height",
           "valid_share", "split", "label")  # fmt: skip


def read_card(folder: str | Path) -> dict[str, Any] | None:
    """What chips.json says; None where there is no such file.

    Raises:
        LayoutError: It is not what rs_gen writes, or is of a newer version.
    """
    path = Path(folder, CARD)
    if not path.exists():
        return None
    try:
        card = json.loads(path.read_text("utf-8"))
        version = int(card["rs_gen"])
    except (ValueError, KeyError, TypeError) as error:
        raise LayoutError(f"{path} is not a card of rs_gen's ({error}); export again") from error
    if version > VERSION:
        raise LayoutError(f"{path} has version {version}; this rs_gen reads up to {VERSION}")
    return dict(card)


def write_card(folder: str | Path, card: dict[str, Any]) -> Path:
    """Write chips.json, whole or not at all."""
    return write_text(Path(folder, CARD), json.dumps({"rs_gen": VERSION, **card}, indent=2) + "\n")


def read_index(folder: str | Path) -> GeoDataFrame | None:
    """The rows of chips.gpkg with their footprints; None where there is no such file."""
    from ..raster.vector import read_layer

    path = Path(folder, INDEX)
    return read_layer(path) if path.exists() else None


def write_index(folder: str | Path, rows: Sequence[dict[str, Any]], crs: Any) -> Path:
    """Write chips.gpkg, whole or not at all.

    Args:
        folder: The dataset's.
        rows: Values by column, with a shapely ``geometry`` each.
        crs: Of the footprints; None without one.
    """
    from ..raster.vector import write_gpkg

    records = [{**{name: row.get(name) for name in COLUMNS}, "geometry": row["geometry"]}
               for row in rows]  # fmt: skip
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*crs.*", category=UserWarning)
        return write_gpkg(Path(folder, INDEX), LAYER, records, crs)


def read_rows(folder: str | Path, *columns: str) -> list[tuple[Any, ...]]:
    """The named columns of chips.gpkg, row by row; empty where the file or a column is missing.

    A GeoPackage is a SQLite file: read as such, 100,000 rows take a tenth of a second.

    Raises:
        LayoutError: The file is broken.
    """
    path = Path(folder, INDEX)
    if not path.exists():
        return []
    address = f"file:{quote(str(path.resolve()))}?mode=ro&immutable=1"  # writes no journal either
    try:
        connection = sqlite3.connect(address, uri=True)
        try:
            known = {row[1] for row in connection.execute(f"PRAGMA table_info({LAYER})")}
            if not known.issuperset(columns):
                return []
            names = ", ".join(f'"{name}"' for name in columns)
            return connection.execute(f"SELECT {names} FROM {LAYER} ORDER BY rowid").fetchall()
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise LayoutError(
            f"{path} can't be read ({error}); remove it to go without stored split and footprints"
        ) from error


def read_footprints(folder: str | Path) -> dict[str, Any]:
    """The footprint (a shapely polygon, in the CRS of chips.gpkg) of each file, on either side."""
    rows = read_rows(folder, "a", "b", "geom")
    shapes = shapely.from_wkb([_wkb(blob) for *_, blob in rows])
    return {
        name: shape
        for (a, b, _), shape in zip(rows, shapes, strict=True)
        for name in (a, b)
        if name and shape is not None
    }


def write_text(path: Path, text: str) -> Path:
    """Write a small file, whole or not at all; missing folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(".part-" + path.name)
    part.write_text(text, "utf-8", newline="\n")
    part.replace(path)
    return path


def _wkb(blob: bytes | None) -> bytes | None:
    """Geometry behind a GeoPackage's own header (OGC 12-128r18, 2.1.3.1.1)."""
    if not blob:
        return None
    envelope = (0, 32, 48, 48, 64)[blob[3] >> 1 & 7]
    return blob[8 + envelope :]
