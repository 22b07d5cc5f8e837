"""Which raster goes with which, and how a target is laid on its source's grid."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rasterio.windows import Window

from ..errors import GridMismatchError, GridWarning, LayoutError, PairError
from ..raster.reader import RasterReader
from .files import existing_folder, join, list_images, some
from .pairing import match_stems
from .places import outline

if TYPE_CHECKING:
    from ..raster.grid import Grid

Paths = str | Path | Sequence[str | Path]
_FINER = 1.5  # times finer than the source, from which on target pixels are averaged
_CLASSES = 48  # distinct values of one integer band, up to which it is taken for classes


@dataclass(frozen=True)
class Partner:
    """A target raster of a scene.

    Attributes:
        path: The raster.
        resampling: How it is warped onto the source's grid; None where it lies on it already.
        how: The same in words, for the record.
    """

    path: Path
    resampling: str | None
    how: str


@dataclass(frozen=True)
class Scene:
    """A raster to cut, on whose grid the chips lie.

    Attributes:
        number: Among the scenes of its side.
        side: ``a``, or ``b`` where the two sides are cut each on its own grid.
        path: The raster.
        grid: Its grid.
        partners: Targets; where the first has no measurement the next may.
    """

    number: int
    side: str
    path: Path
    grid: Grid
    partners: tuple[Partner, ...] = ()


def rasters_of(given: Paths) -> list[Path]:
    """The rasters of a path, a list of paths, or a folder (not its subfolders), in order.

    Raises:
        LayoutError: A folder is missing, or holds no images; or the list is empty.
    """
    if not isinstance(given, str | Path):
        paths = [path for item in given for path in rasters_of(item)]
        if not paths:
            raise LayoutError("the list of rasters is empty")
        return paths
    path = Path(given)
    if not path.is_dir():
        if not path.suffix and "://" not in str(given):
            existing_folder(path)  # says what is wrong with it
        return [path]
    names = list_images(path, deep=False)
    if not names:
        raise LayoutError(f"there are no rasters in the folder {path}")
    return list(join(path, names))


def lone_scenes(paths: Sequence[Path], side: str) -> list[Scene]:
    """Scenes without partners."""
    return [Scene(i, side, path, _grid(path)) for i, path in enumerate(paths)]


def paired_scenes(
    sources: Sequence[Path], targets: Sequence[Path], resampling: str | None, seed: int
) -> list[Scene]:
    """Each source with its target, or with all targets that overlap it.

    One source and one target are a pair. Among many, stems decide when they agree on both sides;
    otherwise the footprints do.

    Args:
        sources: Rasters to translate from.
        targets: Rasters to translate to.
        resampling: A method of rasterio's; None chooses by what the target holds.
        seed: Of the windows looked at to see whether a target holds classes.

    Raises:
        PairError: A source has no partner (up to ten are named).
        GridMismatchError: The one source and the one target do not overlap.

    Warns:
        GridWarning: Targets are warped.
    """
    scenes = lone_scenes(sources, "a")
    grids = {path: _grid(path) for path in targets}
    found = [
        Scene(s.number, s.side, s.path, s.grid, tuple(
            _partner(s, path, grids[path], resampling, seed) for path in partners))
        for s, partners in zip(scenes, _partners(scenes, grids), strict=True)
    ]  # fmt: skip
    warped = [(s, p) for s in found for p in s.partners if p.how != "same grid"]
    if warped:
        scene, first = warped[0]
        more = f" (and {len(warped) - 1} more alike)" if len(warped) > 1 else ""
        choice = "" if resampling or first.resampling is None else "; resampling= chooses another"
        warnings.warn(
            f"{first.path.name} is not on the grid of {scene.path.name}: {first.how}{more}{choice}",
            GridWarning,
            stacklevel=4,
        )
    return found


def reach(scene: Scene) -> Window | None:
    """The window of a scene that its partners' footprints cover; None is all of it."""
    from ..raster.vector import window_of

    if not scene.partners or scene.grid.crs is None:
        return None
    import shapely

    area = shapely.union_all([outline(_grid(p.path), scene.grid.crs) for p in scene.partners])
    return None if area.is_empty else window_of(area, scene.grid)


def _partners(scenes: list[Scene], grids: dict[Path, Grid]) -> list[list[Path]]:
    targets = list(grids)
    if len(scenes) == len(targets) == 1:
        if _overlaps(scenes[0], grids[targets[0]]) is False:
            raise GridMismatchError(
                f"{scenes[0].path.name} {_extent(scenes[0].grid)} and {targets[0].name}"
                f" {_extent(grids[targets[0]])} do not overlap; check that both show one place, or"
                " pass paired=False to export them unpaired"
            )
        return [targets]
    by_name = {path.name: path for path in targets}
    names = [scene.path.name for scene in scenes]
    if len(by_name) == len(targets) and len(set(names)) == len(names):
        match = match_stems(names, list(by_name))
        if not match.only_a:
            partner = dict(match.pairs)
            return [[by_name[partner[name]]] for name in names]
    found = [[t for t in targets if _overlaps(scene, grids[t])] for scene in scenes]
    lone = [scene.path.name for scene, partners in zip(scenes, found, strict=True) if not partners]
    if lone:
        raise PairError(
            f"{len(lone)} of {len(scenes)} source rasters overlap no target and share no stem with"
            f" one: {some(lone)}. Leave them out, add their targets, or pass paired=False"
        )
    return found


def _partner(scene: Scene, path: Path, grid: Grid, resampling: str | None, seed: int) -> Partner:
    """How one target comes onto the source's grid."""
    if scene.grid.matches(grid):
        return Partner(path, None, "same grid")
    if scene.grid.crs is None and grid.crs is None and scene.grid.shape != grid.shape:
        raise GridMismatchError(
            f"{path.name} is {grid.shape[1]} x {grid.shape[0]} px and {scene.path.name}"
            f" {scene.grid.shape[1]} x {scene.grid.shape[0]} px, and neither has a CRS to align"
            " them by; georeference them, or crop them to the same pixels"
        )
    if resampling is None and _only_shifted(scene.grid, grid):
        return Partner(path, "nearest", "cut to its extent, pixel for pixel")
    method = resampling or _method(scene.grid, grid, path, seed)
    here, there = (f"{_ground(g)} in {g.crs}" for g in (scene.grid, grid))
    return Partner(path, method, f"warped from {there} to {here}, {method}")


def _method(grid: Grid, target: Grid, path: Path, seed: int) -> str:
    if _holds_classes(path, seed):
        return "nearest"
    finer = grid.ground_resolution / target.ground_resolution
    return "average" if finer >= _FINER else "bilinear"


def _holds_classes(path: Path, seed: int) -> bool:
    """True for a colour table, and for one integer band of few distinct values."""
    with RasterReader(path, palette="ids") as reader:
        if reader.colormap is not None:
            return True
        if reader.count > 1 or not np.issubdtype(np.dtype(reader.dtype), np.integer):
            return False
        height, width = reader.grid.shape
        rng, seen = np.random.default_rng(seed), set()
        for _ in range(8):
            top, left = rng.integers(0, max(1, height - 255)), rng.integers(0, max(1, width - 255))
            window = Window(int(left), int(top), min(256, width), min(256, height))
            seen |= set(np.unique(reader.read(window).compressed()).tolist())
        return len(seen) <= _CLASSES


def _only_shifted(grid: Grid, other: Grid) -> bool:
    """Whether both have the same pixels, seen from another corner."""
    t, corner = ~grid.transform, other.transform
    col, row = (a * corner.c + b * corner.f + c for a, b, c in (t[:3], t[3:6]))
    if max(abs(col - round(col)), abs(row - round(row))) > 1e-3:
        return False
    return grid.matches(other.crop(Window(-round(col), -round(row), *grid.shape[::-1])))


def _overlaps(scene: Scene, grid: Grid) -> bool | None:
    """Whether two rasters meet on the ground; None where one has no CRS to tell it by."""
    if scene.grid.crs is None or grid.crs is None:
        return None
    mine, theirs = scene.grid.polygon, outline(grid, scene.grid.crs)
    return bool(mine.intersection(theirs).area > 0)


def _grid(path: Path) -> Grid:
    with RasterReader(path) as reader:
        return reader.grid


def _ground(grid: Grid) -> str:
    x, y = grid.resolution
    return f"{x:g}" if abs(x - y) < 1e-9 * x else f"{x:g} x {y:g}"


def _extent(grid: Grid) -> str:
    return f"({', '.join(f'{v:.8g}' for v in grid.bounds)} in {grid.crs})"


def described(scenes: Iterable[Scene]) -> list[dict[str, Any]]:
    """The scenes for chips.json: file names, and how the targets were aligned."""
    return [
        {
            "side": scene.side,
            "source": scene.path.name,
            "grid": repr(scene.grid),
            "targets": [{"name": p.path.name, "alignment": p.how} for p in scene.partners],
        }
        for scene in scenes
    ]
