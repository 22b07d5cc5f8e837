"""How rasters are cut into blocks: from their headers alone, before a pixel is read."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..raster.grid import whole
from ..raster.tiles import walk
from .checks import Output
from .flow import Flow
from .manifest import Block
from .translator import Translator


@dataclass(frozen=True)
class Cut:
    """How a raster is cut, as the manifest keeps it.

    Attributes:
        tiles: Fields of the walk's ``Plan``, which all workers follow.
        side: Of a block in pixels, a multiple of the tile's.
        shape: (height, width) of the raster.
        part: (row, col, height, width) to write.
        bands: Of the output.
        output: Fields of ``Output``.
    """

    tiles: Mapping[str, Any]
    side: int
    shape: tuple[int, int]
    part: tuple[int, int, int, int]
    bands: int
    output: Mapping[str, Any]

    @property
    def stored(self) -> Output:
        """How the output is stored."""
        return Output(**self.output)

    def dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def cut(
    translator: Translator,
    path: str | Path,
    options: Mapping[str, Any],
    block_size: int,
    number: int = 0,
) -> tuple[Cut, list[Block]]:
    """A raster's plan and its blocks, row by row.

    Blocks lie on multiples of their side from the raster's origin, and that is a multiple of the
    tile's, so a block is made of the very tiles that a run over the whole raster would compute.
    A block that the area of interest misses is empty from the start.

    Args:
        translator: Of the job.
        path: Of the raster.
        options: Of ``Translator.flow``.
        block_size: Wanted side of a block in pixels.
        number: Of the raster, for its blocks.

    Raises:
        RSGenError: The raster can't be read, or does not suit the model.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the worker that prepares the raster tells them
        with translator.flow(path, **options) as flow:
            side = max(1, round(block_size / flow.plan.core)) * flow.plan.core
            found = Cut(
                asdict(flow.plan), side, flow.canvas.shape, whole(flow.part), flow.target.count,
                flow.output._asdict(),
            )  # fmt: skip
            return found, list(_blocks(flow, side, number))


def _blocks(flow: Flow, side: int, number: int) -> Iterator[Block]:
    grid, area = flow.canvas.reader.grid, flow.area
    for tile in walk(grid.shape, side, phase=flow.plan.phase, within=flow.part):
        missed = area is not None and not area.intersects(grid.crop(tile.write).polygon)
        yield Block(number, *whole(tile.write), "empty" if missed else "pending")
