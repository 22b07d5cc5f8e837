"""Where generated tiles go: which file and folder, and which place on the ground."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from affine import Affine
from rasterio.crs import CRS
from torch import Tensor

from ..chips.choosing import folder_name
from ..errors import GridWarning, SettingError
from ..raster.grid import Grid
from ..raster.reader import RasterReader
from .sides import Side

_APART = 0.01  # share by which two pixel sizes may differ and still be called equal


def names_of(
    labels: Tensor | Sequence[int] | Sequence[str] | None, classes: Sequence[str] | None, count: int
) -> list[str] | None:
    """The class of each image by name; None without classes.

    Args:
        labels: Names, or indices into ``classes``.
        classes: Names of the classes; None where the labels are names.
        count: Of the images.

    Raises:
        SettingError: They do not fit, or two classes would share a folder.
    """
    if labels is None:
        return None
    given = labels.tolist() if isinstance(labels, Tensor) else list(labels)
    if len(given) != count:
        raise SettingError(f"{len(given)} labels for {count} images")
    if not classes and not all(isinstance(label, str) for label in given):
        raise SettingError("labels are numbers; name the classes with classes=")
    known = list(classes or dict.fromkeys(given))
    unknown = [v for v in given if v not in known and not (_whole(v) and 0 <= v < len(known))]
    if unknown:
        raise SettingError(f"label {unknown[0]!r} is none of the {len(known)} classes")
    names = [v if isinstance(v, str) else known[v] for v in given]
    folders = {name: _folder(name) for name in names}
    for name, folder in folders.items():
        twin = [n for n, f in folders.items() if f == folder and n != name]
        if twin:
            raise SettingError(f"classes {name!r} and {twin[0]!r} would share folder {folder!r}")
    return names


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _folder(name: str) -> str:
    return "/".join(folder_name(part) for part in name.split("/"))


def files_of(names: list[str] | None, count: int) -> list[str]:
    """The file of each image, in a folder for each class; the number is the image's own."""
    digits = max(5, len(str(count - 1)))
    stems = [f"tile_{i:0{digits}d}.tif" for i in range(count)]
    if names is None:
        return stems
    return [f"{_folder(name)}/{stem}" for name, stem in zip(names, stems, strict=True)]


def corner_of(
    known: Side, like: str | Path | Grid | None, crs: Any, transform: Affine | None
) -> tuple[Grid, int | None]:
    """A grid that starts where the tiles start, and the width of ``like`` in pixels or None.

    Raises:
        SettingError: ``like`` comes with ``crs`` or ``transform``, or one of these alone.
        RasterError: ``like`` can't be read.
    """
    if like is not None:
        if crs is not None or transform is not None:
            raise SettingError("like tells CRS and transform; leave crs and transform out")
        grid = like if isinstance(like, Grid) else _grid_of(like)
        _warn_of_scale(known, grid, "like" if isinstance(like, Grid) else Path(like).name)
        return grid, grid.shape[1]
    if (crs is None) != (transform is None):
        given, missing = ("crs", "transform") if transform is None else ("transform", "crs")
        raise SettingError(f"{given} without {missing}; give both, or a raster with like=")
    if transform is not None:
        grid = Grid((1, 1), transform, CRS.from_user_input(crs))
        _warn_of_scale(known, grid, "transform")
        return grid, None
    size = known.resolution or 1.0
    return Grid((1, 1), Affine(size, 0, 0, 0, -size, 0), None), None


def _grid_of(path: str | Path) -> Grid:
    with RasterReader(path) as reader:
        return reader.grid


def _warn_of_scale(known: Side, grid: Grid, name: str) -> None:
    ground = grid.ground_resolution
    if known.resolution is None or math.isnan(ground):
        return
    if abs(ground / known.resolution - 1) > _APART:
        warnings.warn(
            f"the images show {known.resolution:.4g} m a pixel but {name} has {ground:.4g} m, so "
            "what they show looks too large or too small; pass crs= and transform= with pixels of "
            f"{known.resolution:.4g} m",
            GridWarning,
            stacklevel=5,
        )


def columns_of(asked: int | None, across: int | None, count: int, width: int) -> int:
    """Tiles side by side: as asked, as many as fit ``across`` pixels, or for a square of them."""
    if asked is not None:
        if not _whole(asked) or asked < 1:
            raise SettingError(f"columns={asked!r} is not a whole number of at least 1")
        return asked
    return math.isqrt(count - 1) + 1 if across is None else max(1, across // width)
