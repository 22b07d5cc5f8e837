"""The certificate of a translation: tiled and whole agree, and where the tiles lie is no matter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from rasterio.windows import Window

from ..raster.tiles import Tile, inside, walk
from .canvas import Canvas, round_up
from .engine import Engine, open_sides
from .plan import Plan

LIMIT = 1e-4  # of the range, in float32


class Verification(NamedTuple):
    """What was measured on a sample of a raster.

    Attributes:
        difference: Largest difference between the tiled and the whole run, as a share of the
            range.
        shift: Largest difference between tiled runs whose tiles lie elsewhere, likewise.
        window: The sample, in pixels of the raster.
        core: Side of the sample's tiles, in pixels.
    """

    difference: float
    shift: float
    window: Window
    core: int

    @property
    def passed(self) -> bool:
        """Whether both are at most 1e-4 of the range, as they are in float32."""
        return max(self.difference, self.shift) <= LIMIT


def verify(canvas: Canvas, engine: Engine, plan: Plan) -> Verification:
    """Run a sample of a canvas whole, in tiles, and in tiles that lie elsewhere.

    The sample is cut from the middle and treated as a raster of its own, three tiles wide. A tile
    is as large as its halo, so that all but the middle one are read without some of the sample.

    Args:
        canvas: Of the raster.
        engine: With its statistics frozen.
        plan: Gives halo and phase.
    """
    phase = plan.phase
    core = round_up(max(64, plan.halo), phase)
    shape = min(canvas.padded[0], 3 * core), min(canvas.padded[1], 3 * core)
    top, left = (
        (n - side) // 2 // phase * phase for n, side in zip(canvas.padded, shape, strict=True)
    )
    window = Window(left, top, shape[1], shape[0])
    pixels = canvas.read(window).pixels
    whole = engine.as_trained(pixels[None], [(top, left)])[0]
    tiles = walk(shape, core, plan.halo, phase=phase)
    tiled = _assembled(engine, pixels, tiles, whole.shape, (top, left))
    step = max(core // 2 // phase, 1) * phase
    elsewhere = _moved(shape, core, plan.halo, phase, step)
    moved = _assembled(engine, pixels, elsewhere, whole.shape, (top, left))
    return Verification(_largest(tiled - whole), _largest(moved - tiled), window, core)


def _assembled(
    engine: Engine,
    pixels: np.ndarray,
    tiles: Iterator[Tile],
    shape: tuple[int, int, int],
    origin: tuple[int, int],
) -> np.ndarray:
    image = np.empty(shape, "float32")
    for tile in tiles:
        at = origin[0] + int(tile.read.row_off), origin[1] + int(tile.read.col_off)
        images, sides = pixels[None, :, *tile.read.toslices()], open_sides(tile.read, shape[1:])
        image[:, *tile.write.toslices()] = engine.cores(images, inside(tile), sides, [at])[0]
    return image


def _moved(shape: tuple[int, int], core: int, halo: int, phase: int, step: int) -> Iterator[Tile]:
    """The walk of a raster whose tiles begin ``step`` pixels before its first row and column."""
    larger = (shape[0] + step, shape[1] + step)
    within = Window(step, step, shape[1], shape[0])
    for tile in walk(larger, core, halo, phase=phase, within=within):
        yield Tile(_back(tile.read, step), _back(tile.write, step))


def _back(window: Window, step: int) -> Window:
    """The window as seen from ``step`` pixels further down and right, without what is above."""
    top, left = max(window.row_off - step, 0), max(window.col_off - step, 0)
    bottom, right = window.row_off + window.height - step, window.col_off + window.width - step
    return Window(left, top, right - left, bottom - top)


def _largest(difference: np.ndarray) -> float:
    return float(np.abs(difference).max()) / 2  # of a range from -1 to 1
