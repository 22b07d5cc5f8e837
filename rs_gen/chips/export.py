"""Rasters to chips: GeoTIFFs that keep their place on the ground, an index of them, and a card."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import SettingError, UnknownNameError
from .choosing import chosen_by_area
from .cutting import Bands, Recipe
from .esri import chip_name
from .finishing import finish
from .job import FOLDERS, Journal, fingerprint, plain, prepare
from .making import make
from .progress import Progress, quiet
from .sampling import Lattice, checked_size
from .scenes import Paths, Scene, lone_scenes, paired_scenes, rasters_of, reach

_log = logging.getLogger(__name__)
STYLES = ("rs_gen", "esri_pairs", "esri_cyclegan")
Stretches = str | tuple[str, str]


@dataclass(frozen=True)
class Export:
    """What an export left.

    Attributes:
        folder: The dataset.
        written: Chips (or pairs) written by this call.
        skipped: Windows that gave no chip: outside of the area, or with too little measured.
        train: Chips for training.
        valid: Chips for validation.
        buffer: Chips in neither part, because they are too close to validation to train on.
        kept: Chips that an interrupted or finished export had left already.
    """

    folder: Path
    written: int
    skipped: int
    train: int
    valid: int
    buffer: int = 0
    kept: int = 0


def export_chips(
    source: Paths,
    target: Paths | None,
    out: str | Path,
    size: int = 256,
    stride: int | None = None,
    *,
    area: str | Path | None = None,
    area_share: float = 1.0,
    min_valid: float = 1.0,
    valid_share: float = 0.1,
    buffer: float | None = None,
    seed: int = 42,
    stretch: Stretches = "auto",
    bands: Bands = None,
    target_bands: Bands = None,
    paired: bool = True,
    style: str = "rs_gen",
    resampling: str | None = None,
    compress: str = "deflate",
    overwrite: bool = False,
    progress: Progress = quiet,
) -> Export:
    """Cut rasters into chips to train on.

    Pairs lie in ``train_a`` and ``train_b`` under one stem, with the CRS, transform, dtype and
    nodata or mask of their rasters. ``chips.gpkg`` tells each chip's place and split,
    ``chips.json`` bands, stretch and provenance (see :mod:`rs_gen.chips.index`). Validation chips
    lie in the same folders; the index tells them, and :func:`rs_gen.chips.layouts.find_layout`
    keeps them apart.

    Memory stays that of a strip of chips. An export that was stopped goes on where it was when
    called again with the same arguments, and ends in the same bytes.

    Args:
        source: Raster, list of rasters, or folder of rasters to translate from.
        target: Those to translate to; None cuts one side only. A target in another CRS, resolution
            or extent is warped onto its source's grid. Among many rasters partners are found by
            stem, where these agree, or by overlap.
        out: Folder for the dataset.
        size: Side of a chip, in pixels of the source.
        stride: Step between chips, in pixels; below ``size`` chips overlap. None is ``size``.
        area: Vector file in any CRS; chips lie inside its polygons.
        area_share: Least share of a chip inside ``area``, above 0 to 1. At 1 it lies wholly inside.
        min_valid: Least share of a chip's pixels measured (in any band) on both sides, 0 to 1.
        valid_share: Share of the chips for validation, 0 to less than 1. Taken in whole blocks.
        buffer: Least distance from validation to training chips, in pixels of the source; None is
            half a chip. At 0 they may touch, but never overlap.
        seed: Of the split and of the sample that the stretch is fitted to.
        stretch: Preset of :class:`rs_gen.raster.values.Stretch`, fitted once for the dataset to
            valid training pixels; a pair of presets gives source and target one each.
        bands: Of the source: indices from 0, or names. None gives all.
        target_bands: Of the target.
        paired: False cuts both sides each on its own grid, as unpaired translation takes them.
        style: ``rs_gen``; or ArcGIS Pro's ``esri_pairs`` (images, images2) or ``esri_cyclegan``
            (A/images, B/images), each with Esri's four text files.
        resampling: How targets are warped, a method of rasterio's. None takes the nearest pixel
            for colour tables and classes (one integer band of few values), the average where the
            target is finer, and else bilinear.
        compress: "deflate", "lzw", "zstd", "packbits" or "none"; all keep every value.
        overwrite: Remove the chips of another export first.
        progress: Wrapper that shows how far it has come.

    Raises:
        SettingError: An option can't work, or ``out`` holds other chips (what differs is named).
        UnknownNameError: No such style, preset or band.
        PairError, GridMismatchError: Rasters have no partner, or do not overlap.
        AreaError: The area can't be read, or misses all rasters.
        ChipError: No window gives a chip, or the rasters of one side differ.
        RasterError: A raster can't be read or placed.

    Warns:
        GridWarning: A target was warped.
        SplitWarning: No validation chips could be parted off.
    """
    size, stride = checked_size(size, stride)
    _check(style, area_share, min_valid, valid_share, target, paired)
    sources = rasters_of(source)
    targets = [] if target is None else rasters_of(target)
    job = {
        "sources": [fingerprint(p) for p in sources],
        "targets": [fingerprint(p) for p in targets],
        "area": None if area is None else fingerprint(Path(area)),
        **plain(size=size, stride=stride, area_share=area_share, min_valid=min_valid,
                 valid_share=valid_share, buffer=buffer, seed=seed, stretch=stretch, bands=bands,
                 target_bands=target_bands, paired=paired, style=style, resampling=resampling,
                 compress=compress),
    }  # fmt: skip
    folder = Path(out)
    inputs = [*sources, *targets, *([] if area is None else [Path(area)])]
    prepare(folder, job, inputs, overwrite=overwrite)
    scenes = _scenes(sources, targets, paired, resampling, seed)
    recipe = Recipe(
        folder,
        _namer(style, scenes, size, stride, prefixed=not paired),
        bands,
        target_bands,
        min_valid,
        compress,
        worlds=style != "rs_gen",
    )
    lattices = [Lattice.over(s.grid.shape, size, stride, reach(s)) for s in scenes]
    with Journal(folder, job) as journal:
        made = make(scenes, lattices, chosen_by_area(area, scenes, area_share), recipe, journal,
                    progress)  # fmt: skip
        counts = finish(folder, made, job)
        journal.remove()
    _log.info(
        "%s: %d chips to train on, %d to validate with, %d left out between them",
        folder, counts["train"], counts["valid"], counts["buffer"],
    )  # fmt: skip
    return Export(folder, made.written, made.skipped, **counts, kept=made.kept)


def _scenes(
    sources: list[Path], targets: list[Path], paired: bool, resampling: str | None, seed: int
) -> list[Scene]:
    if targets and paired:
        return paired_scenes(sources, targets, resampling, seed)
    return lone_scenes(sources, "a") + lone_scenes(targets, "b")


def _namer(style: str, scenes: list[Scene], size: int, stride: int, *, prefixed: bool) -> Any:
    """How chips are named: by their place in the lattice, so that a name never moves."""
    folders = FOLDERS[style]
    starts: dict[tuple[str, int], int] = {}
    for side in "ab":
        first = 0
        for scene in (s for s in scenes if s.side == side):
            starts[side, scene.number] = first
            first += len(Lattice.over(scene.grid.shape, size, stride))

    def names(scene: Scene, lattice: Lattice, row: int, col: int, label: str) -> tuple[str, ...]:
        if style == "rs_gen":
            prefix = scene.side if prefixed else ""
            stem = f"{prefix}{scene.number:03d}_{row:05d}_{col:05d}"
        else:
            stem = chip_name(starts[scene.side, scene.number] + lattice.number(row, col))
        sides = folders if scene.partners else (folders["ab".index(scene.side)],)
        return tuple(f"{folder}/{stem}.tif" for folder in sides)

    return names


def _check(
    style: str, area_share: float, min_valid: float, valid_share: float, target: Any, paired: bool
) -> None:
    if style not in STYLES:
        raise UnknownNameError("style", style, STYLES)
    if not 0 < area_share <= 1:
        raise SettingError(f"area_share={area_share} must be above 0 and at most 1")
    if not 0 <= min_valid <= 1:
        raise SettingError(f"min_valid={min_valid} must be from 0 to 1")
    if not 0 <= valid_share < 1:
        raise SettingError(f"valid_share={valid_share} must be from 0 to less than 1")
    if target is None and style == "esri_cyclegan":
        raise SettingError("style='esri_cyclegan' needs a target; style='esri_pairs' does not")
    if not paired and style == "esri_pairs":
        raise SettingError("style='esri_pairs' is for pairs; unpaired it is 'esri_cyclegan'")
