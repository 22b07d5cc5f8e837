"""The blocks of one raster put together to its output."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import rasterio
from rasterio.windows import Window

from ..raster.writer import RasterWriter
from .blocks import check_block, path_of, read_block
from .checks import Output
from .manifest import Block
from .planning import Cut


class StaleBlockError(Exception):
    """A block's file is gone, or is not what was written; it must be computed again."""

    def __init__(self, block: Block):
        super().__init__(f"row {block.row}, column {block.col} of source {block.source}")
        self.block = block


def put_blocks(writer: RasterWriter, folder: Path, plan: Cut, blocks: Iterable[Block]) -> None:
    """Write blocks to where they belong; those that were not computed hold nothing.

    Args:
        writer: Of the whole output.
        folder: Of the job.
        plan: Of the raster.
        blocks: All of them.

    Raises:
        StaleBlockError: The first block whose file is not as the manifest says.
    """
    top, left, _, _ = plan.part
    output = plan.stored
    for block in blocks:
        at = Window(block.col - left, block.row - top, block.width, block.height)
        if block.state == "done":
            pixels = read_block(path_of(folder, block), block.digest, output)
            if pixels is None:
                raise StaleBlockError(block)
            writer.write(pixels.stored, window=at, valid=pixels.valid)
        elif output.nodata is None:  # otherwise what is never written is nodata
            _write_nothing(writer, at, plan, output)


def check_blocks(path: Path, folder: Path, plan: Cut, blocks: Iterable[Block]) -> None:
    """Read an output back before its blocks are removed.

    Raises:
        RasterError: It does not hold them.
    """
    top, left, _, _ = plan.part
    with rasterio.open(path) as dataset:
        for block in blocks:
            pixels = read_block(path_of(folder, block), block.digest, plan.stored)
            if pixels is None:
                raise StaleBlockError(block)
            at = Window(block.col - left, block.row - top, block.width, block.height)
            check_block(dataset, at, pixels, plan.stored)


def _write_nothing(writer: RasterWriter, at: Window, plan: Cut, output: Output) -> None:
    shape = (plan.bands, int(at.height), int(at.width))
    writer.write(np.zeros(shape, output.dtype), window=at, valid=np.zeros(shape[1:], bool))
