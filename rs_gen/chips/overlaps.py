"""Which chips share ground with others, so that none is trained on and held out at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from .index import read_footprints
from .places import common_crs, outline
from .reading import grid_of

if TYPE_CHECKING:
    import numpy.typing as npt

_TOUCH = 1e-3  # of a chip's area: neighbours that meet at an edge share a rounding error


def overlapping(
    folder: str | Path, chips: Sequence[Path], others: Sequence[Path]
) -> npt.NDArray[np.bool_]:
    """(len(chips),) bool: True where a chip covers ground that one of ``others`` covers.

    Footprints come from the folder's chips.gpkg, or from the headers of the files. A chip that
    has no place on the ground overlaps none.

    Args:
        folder: The dataset's.
        chips: Files below it.
        others: More files, below it or elsewhere.

    Raises:
        ChipError: A file can't be read.
    """
    shapes = _footprints(Path(folder), [*chips, *others])
    mine, theirs = shapes[: len(chips)], shapes[len(chips) :]
    hit = np.zeros(len(chips), bool)
    which, partner = shapely.STRtree(theirs).query(mine, predicate="intersects")
    shared = shapely.area(shapely.intersection(mine[which], theirs[partner]))
    least = np.minimum(shapely.area(mine[which]), shapely.area(theirs[partner]))
    hit[which[shared > _TOUCH * least]] = True
    return hit


def _footprints(folder: Path, paths: Sequence[Path]) -> npt.NDArray[Any]:
    """One polygon a path, all in one CRS; an empty one where a chip has no place."""
    stored = read_footprints(folder)
    names = [_below(path, folder) for path in paths]
    if stored and all(name in stored for name in names):
        return np.array([stored[name] for name in names], dtype=object)
    grids = [grid_of(path) for path in paths]
    crs = common_crs(grids)
    shapes = [
        shapely.Polygon() if grid.crs is None
        else grid.polygon if grid.crs == crs
        else outline(grid, crs)
        for grid in grids
    ]  # fmt: skip
    return np.array(shapes, dtype=object)


def _below(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else ""
