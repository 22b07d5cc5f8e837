"""Which rasters a job is about: files, folders, globs, an index of footprints, a STAC collection.

What a source is, is told by its name alone: a folder, a pattern (``*``, ``?`` or ``[``), an index
(.gpkg, .parquet, .geoparquet, .shp, .geojson), a STAC item or collection of items (.json), or else
a raster, which a VRT is too. Several are parted by ``;``.
"""

from __future__ import annotations

import glob
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse
from urllib.request import url2pathname

from ..chips.files import existing_folder, is_image, list_images
from ..errors import JobError, MissingPackageError, UnknownNameError
from ..raster.vector import read_layer

#: Columns of an index that may hold the rasters' paths, the likeliest first; ``location`` is what
#: gdaltindex writes.
COLUMNS = ("location", "path", "filename", "file", "raster", "source", "uri", "href")
_INDEXES = (".gpkg", ".shp", ".geojson", ".fgb")
_PARQUET = (".parquet", ".geoparquet")
_MAGIC = frozenset("*?[")

Given = str | Path | Sequence[str | Path]


def find_sources(given: Given, key: str = "", *, besides: Path | None = None) -> list[Path]:
    """The rasters of a job, each once, sorted within each folder, pattern or index.

    Args:
        given: One of the kinds above, several parted by ``;``, or a list of them.
        key: Column of an index, or asset of a STAC item, that holds the raster. Left out: the
            first of ``COLUMNS`` that there is, whatever its case; the first asset whose roles say
            "data", else the first that is an image by its type or name.
        besides: A folder whose rasters do not count: the job's own output.

    Raises:
        JobError: There is no raster, a file of the list is missing, or lies on another machine.
        UnknownNameError: The index has no such column, or an item no such asset.
        MissingPackageError: A GeoParquet index without pyarrow.
    """
    found: dict[Path, None] = {}
    for item in _parts(given):
        for path in _rasters(item, key):
            path = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow links
            if besides is None or not path.is_relative_to(os.path.abspath(besides)):  # noqa: PTH100
                found[path] = None
    if not found:
        raise JobError(f"there are no rasters in {given}")
    missing = [path for path in found if not path.exists()]
    if missing:
        raise JobError(
            f"{missing[0]} is not there, nor are {len(missing) - 1} others of {len(found)}; "
            "mend the list, or copy the rasters to where it says"
        )
    return list(found)


def output_names(sources: Sequence[Path]) -> list[str]:
    """A file name for each raster's output: its stem, with its folders where stems are not alone.

    The name does not depend on the order of the rasters, so that a job finds its outputs again.
    """
    twins = Counter((path.parent, path.stem) for path in sources)
    stems = [
        path.name.replace(".", "_") if twins[path.parent, path.stem] > 1 else path.stem
        for path in sources
    ]
    names, depth = stems, 0
    while len(set(names)) < len(names):
        count, depth = Counter(names), depth + 1
        names = [
            "_".join((*path.parts[1:-1][-depth:], stem)) if count[name] > 1 else name
            for name, path, stem in zip(names, sources, stems, strict=True)
        ]
    return [f"{name}.tif" for name in names]


def _parts(given: Given) -> Iterator[str]:
    if isinstance(given, str | Path):
        yield from (part.strip() for part in str(given).split(";") if part.strip())
        return
    for item in given:
        yield from _parts(item)


def _rasters(item: str, key: str) -> Iterable[Path]:
    path = Path(item)
    if path.is_dir():
        return [path / name for name in list_images(path, deep=False)]
    end = path.suffix.lower()
    if not path.exists():
        if _MAGIC & set(item):
            found = sorted(glob.glob(item, recursive=True))  # noqa: PTH207 - absolute ones too
            return [Path(p) for p in found if is_image(Path(p).name)]
        if not end:
            existing_folder(path)  # says what is wrong with it
        return [path]
    if end in _INDEXES:
        table = read_layer(path)
        column = _column(path, list(table.columns), key)
        return _beside(path, [str(v) for v in table[column] if v])
    if end in _PARQUET:
        return _beside(path, _parquet(path, key))
    if end == ".json":
        return _beside(path, _stac(path, key))
    return [path]


def _parquet(path: Path, key: str) -> list[str]:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError as error:
        raise MissingPackageError(
            f"{path.name} needs pyarrow: pip install 'rs_gen[cluster]', or make it a GeoPackage"
        ) from error
    try:
        column = _column(path, parquet.read_schema(path).names, key)
        return [str(v) for v in parquet.read_table(path, columns=[column])[column].to_pylist() if v]
    except (ArrowException, OSError) as error:
        raise JobError(f"{path} can't be read as a GeoParquet index: {error}") from error


def _column(path: Path, columns: list[str], key: str) -> str:
    for wanted in [key] if key else COLUMNS:
        for column in columns:
            if column.casefold() == wanted.casefold():
                return column
    if key:
        raise UnknownNameError(f"column of {path.name}", key, columns)
    raise JobError(
        f"{path.name} has no column named like {', '.join(COLUMNS)}; it has {', '.join(columns)}: "
        "say which holds the rasters with key"
    )


def _stac(path: Path, key: str) -> list[str]:
    """The href of one asset of each item."""
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise JobError(f"{path} is no JSON: {error}") from error
    items = held.get("features", [held]) if isinstance(held, dict) else []
    if not items or not all(isinstance(i, dict) and i.get("assets") for i in items):
        raise JobError(f"{path} holds no STAC items with assets; give a collection of items")
    return [_asset(path, item, key) for item in items]


def _asset(path: Path, item: dict[str, Any], key: str) -> str:
    assets, name = item["assets"], item.get("id", "an item")
    if key:
        if key not in assets:
            raise UnknownNameError(f"asset of {name} in {path.name}", key, assets)
        return str(assets[key]["href"])
    for fits in (_is_data, _is_image):
        for asset in assets.values():
            if fits(asset):
                return str(asset["href"])
    raise JobError(
        f"no asset of {name} in {path.name} is a raster by its role, type or name; there are "
        f"{', '.join(assets)}: say which with key"
    )


def _is_data(asset: dict[str, Any]) -> bool:
    return "data" in asset.get("roles", ())


def _is_image(asset: dict[str, Any]) -> bool:
    kind = str(asset.get("type", ""))
    return kind.startswith(("image/tiff", "image/jp2")) or is_image(Path(asset["href"]).name)


def _beside(path: Path, names: Iterable[str]) -> Iterator[Path]:
    """Paths as an index or a collection writes them: relative to its own folder."""
    for name in names:
        url = urlparse(name)
        if url.scheme == "file":
            name = url2pathname(unquote(url.path))
        elif len(url.scheme) > 1:  # one letter is a drive of Windows
            raise JobError(
                f"{path.name} names {name}, which lies on another machine; a job reads local files "
                "only, to be able to tell whether they changed, so copy it here first"
            )
        yield path.parent / name
