"""Rasters to chip files, a strip at a time: read once, cut, written whole, noted in the journal."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from rasterio.windows import Window

from ..errors import ChipError
from ..raster.reader import RasterReader
from ..raster.writer import geotiff
from .esri import world_file
from .index import write_text
from .job import Journal
from .sampling import Lattice, strips
from .scenes import Partner, Scene
from .welford import Moments, moments

if TYPE_CHECKING:
    from ..raster.grid import Grid
    from ..raster.pixels import Array, Mask, Pixels

_STRIP_BYTES = 64 << 20  # of one strip of one side; bounds the memory of an export
_WRITERS = min(4, os.cpu_count() or 1)

Bands = Sequence[int | str] | None
#: Which cells of a row to cut, given the scene and the row: column to label ("" without classes).
Choice = Callable[[Scene, Lattice, int], dict[int, str]]


@dataclass(frozen=True)
class Recipe:
    """What is the same for all chips of an export.

    Attributes:
        folder: Of the dataset.
        name: Files of a chip relative to ``folder``: one, or A's and B's.
        bands: Of the source.
        target_bands: Of the target.
        min_valid: Least share of pixels measured on both sides, 0 to 1.
        compress: As :func:`rs_gen.raster.writer.geotiff` takes it.
        worlds: Write world files, and gather running statistics, as ArcGIS Pro does.
    """

    folder: Path
    name: Callable[[Scene, Lattice, int, int, str], tuple[str, ...]]
    bands: Bands = None
    target_bands: Bands = None
    min_valid: float = 1.0
    compress: str = "deflate"
    worlds: bool = False


class Chip(NamedTuple):
    """A chip that was written.

    Attributes:
        scene: What it was cut from.
        row: Of its cell.
        col: Of its cell.
        window: In the scene, in pixels.
        share: Of its pixels that were measured on both sides.
        label: Its class.
        files: Relative to the dataset's folder; one, or A's and B's.
        kept: It was there already, from an interrupted export.
    """

    scene: Scene
    row: int
    col: int
    window: Window
    share: float
    label: str
    files: tuple[str, ...]
    kept: bool


class Skipped(NamedTuple):
    """A cell that gave no chip.

    Attributes:
        outside: It was not chosen (outside of the area); else too little of it is measured.
        share: Of its pixels that were measured.
    """

    outside: bool
    share: float = 0.0


class Run(NamedTuple):
    """Cells of one row that were read together.

    Attributes:
        cells: One for each cell, chip or not.
        moments: Running statistics of each side's bands over the chips; empty unless gathered.
    """

    cells: list[Chip | Skipped]
    moments: list[tuple[Moments, ...]]


class Sheet(NamedTuple):
    """A reader of one side, and what its chips take over from it."""

    read: Callable[[Window], Pixels]
    like: RasterReader


def cut(
    scene: Scene, lattice: Lattice, choose: Choice, recipe: Recipe, journal: Journal
) -> Iterator[Run]:
    """Cut a scene's chosen cells, and say what became of every cell of the lattice.

    Runs that the journal names, and whose files are there, are not read again.

    Raises:
        ChipError: The targets of a scene differ in bands or dtype.
        RasterError: A raster can't be read, or a chip can't be written.
    """
    with _opened(scene, recipe) as sheets, ThreadPoolExecutor(_WRITERS) as pool:
        depth = max(s.like.count * np.dtype(s.like.dtype).itemsize for s in sheets)
        widest = max(_STRIP_BYTES // (lattice.size * depth), lattice.size)
        try:
            for row in lattice.rows:
                labels = choose(scene, lattice, row)
                outside = len(lattice.cols) - len(labels)
                if outside:
                    yield Run([Skipped(outside=True)] * outside, [])
                for cols in strips(sorted(labels), lattice, widest):
                    work = _Work(scene, lattice, row, cols, labels, recipe)
                    yield _known(work, journal) or _fresh(work, sheets, journal, pool)
        except BaseException:
            pool.shutdown(cancel_futures=True)  # a wish to stop does not wait for a strip
            raise


@contextmanager
def _opened(scene: Scene, recipe: Recipe) -> Iterator[list[Sheet]]:
    """The scene's source, and its targets as one."""
    with ExitStack() as stack:
        source = stack.enter_context(RasterReader(scene.path, recipe.bands))
        sheets = [Sheet(source.read, source)]
        if scene.partners:
            targets = [stack.enter_context(_target(p, scene, recipe)) for p in scene.partners]
            for other in targets[1:]:
                refuse_unlike(other, targets[0])
            sheets.append(Sheet(partial(_first_measured, targets), targets[0]))
        yield sheets


def refuse_unlike(reader: RasterReader, first: RasterReader) -> None:
    """Check that two rasters of one side can give chips of one dataset.

    Raises:
        ChipError: They differ in band count or dtype.
    """
    if (reader.count, reader.dtype) != (first.count, first.dtype):
        raise ChipError(
            f"{reader.path.name} has {reader.count} x {reader.dtype} but {first.path.name} has"
            f" {first.count} x {first.dtype}; rasters of one side must agree, choose bands= or"
            " convert one"
        )


def _target(partner: Partner, scene: Scene, recipe: Recipe) -> RasterReader:
    if partner.resampling is None:
        return RasterReader(partner.path, recipe.target_bands)
    return RasterReader.aligned(partner.path, scene.grid, partner.resampling, recipe.target_bands)


def _first_measured(readers: Sequence[RasterReader], window: Window) -> Pixels:
    """Each pixel from the first of several rasters that has it."""
    pixels = readers[0].read(window)
    for reader in readers[1:]:
        holes = np.ma.getmaskarray(pixels)
        if not holes.any():
            break
        other = reader.read(window)
        found = holes & ~np.ma.getmaskarray(other)
        pixels = np.ma.MaskedArray(np.where(found, other.data, pixels.data), holes & ~found)
    return pixels


@dataclass(frozen=True)
class _Work:
    """One run: cells of one row that are read together."""

    scene: Scene
    lattice: Lattice
    row: int
    cols: list[int]
    labels: dict[int, str]
    recipe: Recipe

    @property
    def key(self) -> tuple[Any, ...]:
        return self.scene.side, self.scene.number, self.row, self.cols[0]

    @property
    def window(self) -> Window:
        first = self.lattice.window(self.row, self.cols[0])
        last = self.lattice.window(self.row, self.cols[-1])
        width = last.col_off + last.width - first.col_off
        return Window(first.col_off, first.row_off, width, first.height)

    def files(self, col: int) -> tuple[str, ...]:
        return self.recipe.name(self.scene, self.lattice, self.row, col, self.labels[col])

    def there(self, col: int) -> bool:
        return all((self.recipe.folder / name).exists() for name in self.files(col))

    def chip(self, col: int, share: float, *, kept: bool) -> Chip:
        window = self.lattice.window(self.row, col)
        label, files = self.labels[col], self.files(col)
        return Chip(self.scene, self.row, col, window, share, label, files, kept)


def _known(work: _Work, journal: Journal) -> Run | None:
    """A run of an interrupted export, if its chips are still there."""
    line = journal.done.get(work.key)
    if line is None:
        return None
    written = {int(col): float(share) for col, share in line["chips"]}
    if not all(work.there(col) for col in written):
        return None
    poor = [Skipped(outside=False, share=float(share)) for share in line["skipped"]]
    sides = [tuple(Moments(*m) for m in side) for side in line["moments"]]
    return Run([work.chip(c, s, kept=True) for c, s in written.items()] + poor, sides)


def _fresh(work: _Work, sheets: list[Sheet], journal: Journal, pool: ThreadPoolExecutor) -> Run:
    """A run that is read, cut and written now."""
    images = [sheet.read(work.window) for sheet in sheets]
    valid = np.logical_and.reduce([~np.ma.getmaskarray(i).all(axis=0) for i in images])
    cells: list[Chip | Skipped] = []
    writing = []
    totals: list[tuple[Moments, ...]] = []
    for col in work.cols:
        start = (col - work.cols[0]) * work.lattice.stride
        at = np.s_[..., start : start + work.lattice.size]
        share = float(valid[at].mean())
        if share < work.recipe.min_valid - 1e-9:
            cells.append(Skipped(outside=False, share=share))
            continue
        kept = work.there(col)
        cells.append(work.chip(col, share, kept=kept))
        parts = [image[at] for image in images]
        if work.recipe.worlds:
            found = [moments(part) for part in parts]
            totals = added(totals, found)
        if not kept:
            grid = work.scene.grid.crop(work.lattice.window(work.row, col))
            for name, part, sheet in zip(work.files(col), parts, sheets, strict=True):
                path = work.recipe.folder / name
                writing.append(pool.submit(_write, path, part, grid, sheet.like, work.recipe))
    for job in writing:
        job.result()
    journal.add(
        work.key,
        chips=[(c.col, c.share) for c in cells if isinstance(c, Chip)],
        skipped=[c.share for c in cells if isinstance(c, Skipped)],
        moments=[[(m.num, m.m1, m.m2, m.min, m.max) for m in side] for side in totals],
    )
    return Run(cells, totals)


def added(
    totals: list[tuple[Moments, ...]], more: list[tuple[Moments, ...]]
) -> list[tuple[Moments, ...]]:
    """Statistics of both, side by side and band by band."""
    if not (totals and more):
        return totals or more
    return [
        tuple(a + b for a, b in zip(old, new, strict=True))
        for old, new in zip(totals, more, strict=True)
    ]


def _write(path: Path, pixels: Pixels, grid: Grid, like: RasterReader, recipe: Recipe) -> None:
    """One chip as a GeoTIFF that says where nothing was measured, as its raster does."""
    stored: Pixels | Array = pixels
    mask, nodata = False, like.nodata
    hidden: Mask = np.ma.getmaskarray(pixels)
    if nodata is None and hidden.any():
        if np.issubdtype(pixels.dtype, np.floating):
            stored = pixels.filled(np.nan)  # reads as not measured without further ado
        else:
            mask = True
    if recipe.worlds:
        write_text(path.with_suffix(".tfw"), world_file(grid))
    side = max(grid.shape)
    with geotiff(
        path,
        grid,
        count=like.count,
        dtype=like.dtype,
        nodata=nodata,
        mask=mask,
        names=like.names,
        colors=like.colors,
        compress=recipe.compress,
        blocksize=min(512, -(-side // 16) * 16),  # a chip in one block is read in one go
    ) as chip:
        chip.write(stored)
