"""Class polygons to class folders, for generation and few-shot tasks."""

from __future__ import annotations

from pathlib import Path

from ..errors import SettingError
from .choosing import chosen_by_class
from .cutting import Bands, Recipe
from .export import Export
from .finishing import finish
from .job import Journal, fingerprint, plain, prepare
from .making import make
from .progress import Progress, quiet
from .sampling import Lattice, checked_size
from .scenes import Paths, Scene, lone_scenes, rasters_of


def export_class_chips(
    source: Paths,
    polygons: str | Path,
    field: str,
    out: str | Path,
    size: int = 256,
    stride: int | None = None,
    *,
    min_share: float = 0.5,
    min_valid: float = 1.0,
    valid_share: float = 0.1,
    buffer: float | None = None,
    seed: int = 42,
    stretch: str = "auto",
    bands: Bands = None,
    compress: str = "deflate",
    overwrite: bool = False,
    progress: Progress = quiet,
) -> Export:
    """Cut chips into a folder for each class, by polygons that say what is where.

    A chip belongs to the class that covers most of it, if that is at least ``min_share`` of its
    area. Index, card, resuming and memory are those of :func:`rs_gen.chips.export.export_chips`;
    the index's ``label`` is the class.

    Args:
        source: Raster, list of rasters, or folder of rasters.
        polygons: Vector file in any CRS.
        field: Its field that names the class.
        out: Folder for the dataset.
        size: Side of a chip, in pixels.
        stride: Step between chips, in pixels; None is ``size``.
        min_share: Least share of a chip's area that its class covers, above 0 to 1.
        min_valid: Least share of a chip's pixels measured, 0 to 1.
        valid_share: Share of the chips for validation, 0 to less than 1. Taken in whole blocks.
        buffer: Least distance from validation to training chips, in pixels; None is half a chip.
        seed: Of the split and of the sample that the stretch is fitted to.
        stretch: Preset of :class:`rs_gen.raster.values.Stretch`.
        bands: Indices from 0, or names; None gives all.
        compress: "deflate", "lzw", "zstd", "packbits" or "none".
        overwrite: Remove the chips of another export first.
        progress: Wrapper that shows how far it has come.

    Raises:
        SettingError: An option can't work, two classes would share a folder, or ``out`` holds
            other chips.
        UnknownNameError: The polygons have no such field.
        AreaError: The polygons can't be read, or miss all rasters.
        ChipError: No window gives a chip, or the rasters differ.
        RasterError: A raster can't be read.

    Warns:
        SplitWarning: No validation chips could be parted off.
    """
    size, stride = checked_size(size, stride)
    if not 0 < min_share <= 1:
        raise SettingError(f"min_share={min_share} must be above 0 and at most 1")
    if not (0 <= min_valid <= 1 and 0 <= valid_share < 1):
        raise SettingError(
            f"min_valid={min_valid} must be from 0 to 1, valid_share={valid_share} below 1"
        )
    sources, folder = rasters_of(source), Path(out)
    scenes = lone_scenes(sources, "a")
    choose, labels = chosen_by_class(polygons, field, scenes, min_share)
    job = {
        "sources": [fingerprint(p) for p in sources],
        "area": fingerprint(Path(polygons)),
        **plain(style="classes", classes=labels, field=field, size=size, stride=stride,
                min_share=min_share, min_valid=min_valid, valid_share=valid_share, buffer=buffer,
                seed=seed, stretch=stretch, bands=bands, compress=compress),
    }  # fmt: skip
    prepare(folder, job, [*sources, Path(polygons)], overwrite=overwrite)
    recipe = Recipe(folder, _name, bands, None, min_valid, compress)
    lattices = [Lattice.over(scene.grid.shape, size, stride) for scene in scenes]
    with Journal(folder, job) as journal:
        made = make(scenes, lattices, choose, recipe, journal, progress)
        counts = finish(folder, made, job)
        journal.remove()
    return Export(folder, made.written, made.skipped, **counts, kept=made.kept)


def _name(scene: Scene, lattice: Lattice, row: int, col: int, label: str) -> tuple[str, ...]:
    return (f"{label}/{scene.number:03d}_{row:05d}_{col:05d}.tif",)
