"""Blocks of a job in memory and on disk.

A finished block is one small GeoTIFF, which can be looked at while the job still runs. It is on the
disk, under its name, before anything says that it is done.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rasterio.io import DatasetReader, MemoryFile
from rasterio.windows import Window

from ..errors import DiskFullError, RasterError
from ..raster.files import whole_or_not
from ..raster.grid import GDAL_ERRORS, Grid
from ..raster.writer import geotiff
from .checks import Output
from .manifest import Block

_FULL = ("No space left", "File too large", "disk full", "disk is full", "Disk quota")


class Pixels(NamedTuple):
    """A translated block.

    Attributes:
        stored: (C, H, W) of stored values.
        valid: (H, W), True where there is a measurement.
    """

    stored: np.ndarray
    valid: np.ndarray


class Held:
    """Takes what a flow writes, in memory.

    Args:
        shape: (C, H, W) of the flow's part.
        dtype: Of the stored values.
    """

    def __init__(self, shape: tuple[int, int, int], dtype: str):
        self.pixels = Pixels(np.zeros(shape, dtype), np.zeros(shape[1:], bool))

    def write(self, pixels: np.ndarray, window: Window, valid: np.ndarray) -> None:
        """As ``RasterWriter.write``."""
        at = window.toslices()
        self.pixels.stored[:, *at] = pixels
        self.pixels.valid[at] = valid


def path_of(folder: Path, block: Block) -> Path:
    """Where a block lies; ``folder`` is the job's."""
    return folder / "blocks" / str(block.source) / f"{block.row}_{block.col}.tif"


def drop_blocks(folder: Path, source: int) -> None:
    """Remove the files of a raster's blocks, and the folder of all blocks with the last of them."""
    shutil.rmtree(folder / "blocks" / str(source), ignore_errors=True)
    with suppress(OSError):
        (folder / "blocks").rmdir()


def write_block(path: Path, pixels: Pixels, grid: Grid, output: Output) -> str:
    """Put a block on the disk; the SHA-256 of its file.

    Args:
        path: Of the file.
        pixels: Of the block.
        grid: Of the block.
        output: How the raster is stored that it is a part of.

    Raises:
        DiskFullError: There is no room.
    """
    with room(path.parent, pixels.stored.nbytes), whole_or_not(path, durable=True) as part:
        with geotiff(part, grid, count=len(pixels.stored), **output._asdict(), compress="lzw") as w:
            w.write(pixels.stored, valid=pixels.valid)
        data = part.read_bytes()
        _check(_decoded(data, output), pixels, path)
    return hashlib.sha256(data).hexdigest()


def check_block(dataset: DatasetReader, window: Window, pixels: Pixels, output: Output) -> None:
    """Make sure that a finished raster holds a block.

    GDAL writes the last of a file when it closes it, and says nothing if that fails.

    Args:
        dataset: The raster, opened anew.
        window: Where the block is.
        pixels: Of the block.
        output: How the raster is stored.

    Raises:
        RasterError: It does not.
    """
    found = dataset.read(window=window)
    valid = dataset.read_masks(1, window=window) > 0 if output.mask else pixels.valid
    _check(Pixels(found, valid), pixels, Path(dataset.name))


def _check(found: Pixels, wanted: Pixels, path: Path) -> None:
    if (
        not ((found.stored == wanted.stored) | ~wanted.valid).all()
        or not found.valid[wanted.valid].all()
    ):
        raise RasterError(f"{path} does not hold what was written; is the disk full, or failing?")


def read_block(path: Path, digest: str | None, output: Output) -> Pixels | None:
    """A block from the disk; None where it is not there, or not as it was written."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    if hashlib.sha256(data).hexdigest() != digest:
        return None
    return _decoded(data, output)


def _decoded(data: bytes, output: Output) -> Pixels:
    with MemoryFile(data) as file, file.open() as dataset:
        stored = dataset.read()
        if output.mask:
            return Pixels(stored, dataset.read_masks(1) > 0)
    valid = np.ones(stored.shape[1:], bool)
    return Pixels(stored, valid)  # where there is a nodata value, holes hold it already


@contextmanager
def room(folder: Path, needed: int) -> Iterator[None]:
    """Inside, a write that fails for want of room says how much there is and how much is needed.

    Raises:
        DiskFullError: Before, if there is not even twice the room; or when it was used up.
    """
    free = _free(folder)
    if free < 2 * needed:
        raise _full(folder, free, needed)
    try:
        yield
    except DiskFullError:
        raise
    except (OSError, *GDAL_ERRORS) as error:
        if any(sign in str(error) for sign in _FULL) or _free(folder) < 2 * needed:
            raise _full(folder, _free(folder), needed) from error
        raise


def _full(folder: Path, free: int, needed: int) -> DiskFullError:
    return DiskFullError(
        f"there is no room on the disk of {folder}: {free / 2**20:.0f} MiB are free, or all that a "
        f"quota allows, and the next file may take {needed / 2**20:.1f} MiB; free some (outputs of "
        "other jobs, for example), then go on with --resume: nothing that was finished is lost"
    )


def _free(folder: Path) -> int:
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free
