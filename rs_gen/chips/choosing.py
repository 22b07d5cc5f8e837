"""Which cells of a raster are cut: all, those in an area, or those of a class."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from ..errors import AreaError, SettingError
from ..raster.vector import read_area, read_polygons
from .cutting import Choice
from .sampling import Lattice, inside, quads
from .scenes import Scene

if TYPE_CHECKING:
    from ..raster.pixels import Array


def chosen_by_area(area: str | Path | None, scenes: Sequence[Scene], share: float) -> Choice:
    """Cells of which at least ``share`` lies in the polygons of a vector file; all without one.

    Raises:
        AreaError: The file can't be read, or its polygons miss all rasters.
    """
    if area is None:
        return lambda scene, lattice, row: dict.fromkeys(lattice.cols, "")
    areas: dict[str, Any] = {}
    for scene in scenes:
        key = str(scene.grid.crs)
        if key not in areas:
            areas[key] = read_area(area, scene.grid.crs)
            shapely.prepare(areas[key])
    _refuse_apart(area, scenes, areas)

    def choose(scene: Scene, lattice: Lattice, row: int) -> dict[int, str]:
        cols = np.asarray(lattice.cols)
        if not len(cols):
            return {}
        footprints = quads(scene.grid, lattice, row, lattice.cols)
        kept = inside(footprints, areas[str(scene.grid.crs)], share)
        return dict.fromkeys(cols[kept].tolist(), "")

    return choose


def chosen_by_class(
    polygons: str | Path, field: str, scenes: Sequence[Scene], share: float
) -> tuple[Choice, list[str]]:
    """Cells by the class that covers most of them, if it covers at least ``share``; the classes.

    Raises:
        AreaError: The file can't be read, or its polygons miss all rasters.
        SettingError: Two classes would share a folder.
        UnknownNameError: It has no such field.
    """
    classes: dict[str, dict[str, Any]] = {}
    for scene in scenes:
        key = str(scene.grid.crs)
        if key not in classes:
            classes[key] = _united(polygons, field, scene)
    anywhere = {key: shapely.union_all(list(c.values())) for key, c in classes.items()}
    _refuse_apart(polygons, scenes, anywhere)

    def choose(scene: Scene, lattice: Lattice, row: int) -> dict[int, str]:
        united = classes[str(scene.grid.crs)]
        cols = np.asarray(lattice.cols)
        if not len(cols):
            return {}
        footprints = quads(scene.grid, lattice, row, lattice.cols)
        shares = [_covered(footprints, geometry) for geometry in united.values()]
        covered = np.stack(shares)
        best = covered.argmax(axis=0)
        names = list(united)
        enough = covered.max(axis=0) >= share - 1e-6
        return {int(c): names[b] for c, b, ok in zip(cols, best, enough, strict=True) if ok}

    labels = next(iter(classes.values()))
    return choose, list(labels)


def folder_name(label: str) -> str:
    """A class as the name of a folder, on any system.

    >>> folder_name("Forest/mixed: old")
    'Forest_mixed_ old'
    """
    name = re.sub(r'[<>:"/\\|?*\x00-\x1f]', "_", label).strip().rstrip(".").lstrip(".")
    return name or "_"


def _covered(footprints: Array, geometry: Any) -> Array:
    """(N,) share of each footprint that a prepared geometry covers."""
    share = np.zeros(len(footprints))
    meets = shapely.intersects(geometry, footprints)
    part = shapely.intersection(footprints[meets], geometry)
    share[meets] = shapely.area(part) / shapely.area(footprints[meets])
    return share


def _united(path: str | Path, field: str, scene: Scene) -> dict[str, Any]:
    """The polygons of each class as one, by the name of its folder."""
    by_label: dict[str, list[Any]] = {}
    for polygon in read_polygons(path, scene.grid.crs, field):
        by_label.setdefault(polygon.label, []).append(polygon.geometry)
    folders: dict[str, str] = {}
    for label in sorted(by_label):
        other = folders.setdefault(folder_name(label).casefold(), label)
        if other != label:
            raise SettingError(
                f"classes {other!r} and {label!r} would share the folder {folder_name(label)!r};"
                " rename one"
            )
    united = {folder_name(label): shapely.union_all(by_label[label]) for label in sorted(by_label)}
    for geometry in united.values():
        shapely.prepare(geometry)
    return united


def _refuse_apart(path: str | Path, scenes: Sequence[Scene], areas: dict[str, Any]) -> None:
    if not any(areas[str(s.grid.crs)].intersects(s.grid.polygon) for s in scenes):
        first = scenes[0]
        raise AreaError(
            f"the polygons of {path} miss all {len(scenes)} rasters; {first.path.name} covers"
            f" {tuple(float(f'{b:.8g}') for b in first.grid.bounds)} in {first.grid.crs}"
        )
