"""A raster opened as a model reads it: its bands, checked, and resampled if someone asks for it."""

from __future__ import annotations

import logging
import math
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ..errors import TranslationError
from ..raster.grid import Grid
from ..raster.reader import RasterReader
from . import checks
from .sides import Side

log = logging.getLogger(__name__)

_SAME = 0.01  # resolutions that differ by less are one


@contextmanager
def suitable(
    raster: str | Path, side: Side, bands: Sequence[int | str] | None, *, resample: bool = False,
    stacklevel: int = 4,
) -> Generator[RasterReader, None, None]:  # fmt: skip
    """The raster with the bands that a model reads, once it is known to suit.

    Args:
        raster: What GDAL reads.
        side: Source of the model.
        bands: As names or counted from 0; None takes those named as in training, or the first.
        resample: Bring it to the ground resolution of the training chips.
        stacklevel: Of warnings: past the context managers, to whoever called the translator.

    Raises:
        RasterError: It can't be read.
        TranslationError: It has too few bands, or can't be resampled.
    """
    if bands is None:
        with RasterReader(raster) as all_bands:
            bands = checks.choose_bands(all_bands, side, stacklevel=stacklevel)
    with ExitStack() as stack:
        reader = stack.enter_context(RasterReader(raster, bands))
        checks.check_count(reader, side)
        checks.check_dtype(reader, side, stacklevel=stacklevel)
        if resample:
            reader = stack.enter_context(resampled(reader, side))
        checks.check_resolution(reader, side, stacklevel=stacklevel)
        yield reader


def training_grid(reader: RasterReader, side: Side) -> Grid:
    """The raster's extent in pixels of the size, on the ground, that the model was trained with.

    The raster's own grid where the two differ by less than a hundredth.

    Raises:
        TranslationError: One of the two resolutions is not known.
    """
    found, known = reader.grid.ground_resolution, side.resolution
    if not known or math.isnan(known):
        raise TranslationError(
            "the model does not say at which resolution it was trained, so nothing can be "
            "resampled to it; leave resample out"
        )
    if math.isnan(found):
        raise TranslationError(
            f"{reader.path.name} has no CRS, so its resolution on the ground is not known; leave "
            "resample out"
        )
    if abs(found / known - 1) < _SAME:
        return reader.grid
    return reader.grid.zoom(found / known)


def resampled(reader: RasterReader, side: Side) -> RasterReader:
    """The raster on ``training_grid``: averaged where that is coarser, else bilinear.

    Raises:
        TranslationError: As for ``training_grid``.
    """
    found, grid = reader.grid.ground_resolution, training_grid(reader, side)
    method = "average" if grid.ground_resolution > found else "bilinear"
    if grid is not reader.grid:
        log.info(
            "%s is resampled from %.3g m to %.3g m (%s); the output has that grid, %d x %d px",
            reader.path.name, found, grid.ground_resolution, method, *grid.shape[::-1],
        )  # fmt: skip
    return RasterReader.aligned(reader.path, grid, method, reader.names)
