"""What an export writes when all chips are there: split, index, Esri's files, and last the card."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from shapely.geometry import Polygon

from ..errors import SettingError
from ..raster.reader import RasterReader
from . import esri
from .cutting import Chip
from .index import describe, write_card, write_index
from .making import Made
from .places import common_crs, moved
from .sampling import quads
from .scenes import described
from .split import BUFFER, TRAIN, VALID, split_by_place

if TYPE_CHECKING:
    from ..raster.pixels import Array


def finish(folder: Path, made: Made, job: dict[str, Any]) -> dict[str, int]:
    """Write what tells of the chips, the card last; counts of train, valid and buffer.

    Args:
        folder: Of the dataset.
        made: What was cut.
        job: What was asked for.

    Raises:
        SettingError: Some rasters have a CRS and others have none.
    """
    crs = common_crs([scene.grid for scene in made.scenes])
    places = footprints(made, crs)
    split = _split(made, places, job)
    counts = {name: int((split == name).sum()) for name in (TRAIN, VALID, BUFFER)}
    rows = [_row(*of) for of in zip(made.chips, places, split, strict=True)]
    if job["style"].startswith("esri"):
        _write_esri(folder, made, job)
    write_index(folder, rows, crs)
    sides = {side: _side(folder, rows, side, job) for side in "ab"}
    provenance = {
        "rs_gen": _version(),
        "job": job,
        "rasters": described(made.scenes),
        "windows": len(made.chips) + made.skipped,
        "skipped": made.skipped,
        **counts,
    }
    write_card(folder, {
        "size": job["size"], "stride": job["stride"], "paired": bool(job.get("paired", False)),
        "style": job["style"], **sides, "provenance": provenance,
    })  # fmt: skip
    return counts


def footprints(made: Made, crs: Any) -> Array:
    """(N,) polygons of the chips, in one CRS.

    Rasters without a CRS are laid side by side, in pixels, since nothing says that two of them
    show one place.

    Raises:
        SettingError: Some rasters have a CRS and others have none.
    """
    homeless = [scene.path.name for scene in made.scenes if scene.grid.crs is None]
    if homeless and crs is not None:
        raise SettingError(
            f"{homeless[0]} has no CRS and other rasters have one; georeference it, or export it"
            " apart"
        )
    lattices = {(s.side, s.number): i for s, i in zip(made.scenes, made.lattices, strict=True)}
    starts, right = {}, 0.0
    for scene in made.scenes:
        left, _, end, _ = scene.grid.bounds
        starts[scene.side, scene.number] = right - left
        right += 2 * (end - left)
    found = []
    for (side, number, row), chips in groupby(made.chips, key=_line):
        members = list(chips)
        grid = members[0].scene.grid
        polygons = quads(grid, lattices[side, number], row, [chip.col for chip in members])
        if crs is None:
            polygons = _shifted(polygons, starts[side, number])
        found.append(moved(polygons, grid, crs))
    places: Array = np.concatenate(found)
    return places


def _shifted(polygons: Array, right: float) -> Array:
    points = shapely.get_coordinates(polygons)
    moved_: Array = shapely.set_coordinates(polygons.copy(), points + np.array([right, 0.0]))
    return moved_


def _split(made: Made, places: Array, job: dict[str, Any]) -> Array:
    """Split of each chip; unpaired sides get their share each."""
    sides = np.sqrt(shapely.area(places[~shapely.is_empty(places)]))
    chip = float(np.median(sides)) if len(sides) else 1.0
    size, buffer = job["size"], job["buffer"]
    return split_by_place(
        places,
        job["valid_share"],
        spacing=chip * min(job["stride"] / size, 1),
        buffer=float(sides.max(initial=1.0)) * (0.5 if buffer is None else buffer / size),
        seed=job["seed"],
        groups=["ab".index(c.scene.side) for c in made.chips],
    )


def _row(chip: Chip, place: Polygon, split: str) -> dict[str, Any]:
    return {
        "stem": Path(chip.files[0]).stem,
        "a": _file(chip, "a"),
        "b": _file(chip, "b"),
        "source": chip.scene.path.name,
        "target": ", ".join(p.path.name for p in chip.scene.partners) or None,
        "col_off": int(chip.window.col_off),
        "row_off": int(chip.window.row_off),
        "width": int(chip.window.width),
        "height": int(chip.window.height),
        "valid_share": chip.share,
        "split": split,
        "label": chip.label or None,
        "geometry": place,
    }


def _file(chip: Chip, side: str) -> str | None:
    """The file of a chip on one side; None where it has none there."""
    if len(chip.files) > 1:
        return chip.files["ab".index(side)]
    return chip.files[0] if chip.scene.side == side else None


def _side(
    folder: Path, rows: list[dict[str, Any]], side: str, job: dict[str, Any]
) -> dict[str, Any] | None:
    """SIDE of the card, from a sample of the training chips."""
    paths = [folder / row[side] for row in rows if row[side] and row["split"] == TRAIN]
    if not paths:
        return None
    stretch = job["stretch"]
    preset = stretch if isinstance(stretch, str) else stretch["ab".index(side)]
    return describe(paths, seed=job["seed"], stretch=preset).to_side()


def _write_esri(folder: Path, made: Made, job: dict[str, Any]) -> None:
    """Esri's four files: beside ``images``, or in each of A and B."""
    sides = sorted(made.moments)
    content = {side: _esri_side(folder, made, side) for side in sides}
    groups = [("", sides)] if job["style"] == "esri_pairs" else [(s.upper(), [s]) for s in sides]
    for name, which in groups:
        files = [[_file(chip, side) for side in which] for chip in made.chips]
        rows = [tuple(f.removeprefix(f"{name}/") for f in row if f) for row in files if all(row)]
        esri.write_files(
            folder / name,
            rows,
            [content[side] for side in which],
            mode="CycleGAN" if name else "Export_Tiles",
            size=job["size"],
            next_index=1 + max(int(Path(row[0]).stem) for row in rows),
        )


def _esri_side(folder: Path, made: Made, side: str) -> esri.Side:
    files = [name for name in (_file(chip, side) for chip in made.chips) if name]
    with RasterReader(folder / files[0]) as reader:
        grid, names = reader.grid, reader.names
    of_side = [s for s in made.scenes if s.side == side]
    rasters = len(of_side) or len({p.path for s in made.scenes for p in s.partners})
    return esri.Side(grid, names, made.moments[side], rasters)


def _line(chip: Chip) -> tuple[str, int, int]:
    return chip.scene.side, chip.scene.number, chip.row


def _version() -> str:
    try:
        return version("rs_gen")
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "unknown"
