"""A raster as a network sees it: encoded, holes filled, padded to whole steps of the phase.

Every rule here looks at a pixel's place in the raster and at nothing else, so that a tile read on
its own holds exactly the numbers that the same window of the whole raster would.
"""

from __future__ import annotations

from threading import Lock
from typing import NamedTuple

import numpy as np
from rasterio.windows import Window

from ..raster.reader import Reader
from ..raster.values import Stretch


class Encoded(NamedTuple):
    """A window of a canvas.

    Attributes:
        pixels: (C, H, W) float32 in [-1, 1]; 0, the middle of the stretch, where a band has no
            measurement.
        valid: (H, W), True where the raster has a pixel and every band measured it.
    """

    pixels: np.ndarray
    valid: np.ndarray


class Canvas:
    """Encoded windows of a raster that has been padded on the right and at the bottom.

    The padding mirrors the raster about its last row and column (as reflection padding does), up
    to the next multiple of the phase. A raster smaller than the network's smallest image is
    mirrored on until it is as large.

    Args:
        reader: Where stored pixels come from.
        stretch: Between stored values and [-1, 1].
        phase: Sides must divide by it, in pixels.
        least: Smallest side that the network takes, in pixels.

    Attributes:
        shape: (height, width) of the raster in pixels.
        padded: (height, width) of the canvas, multiples of the phase.
        lock: Held while GDAL reads, and to be held while it writes: a thread that makes room in
            GDAL's cache flushes the blocks of all datasets, and one that another thread changes
            meanwhile would lose the change.
    """

    def __init__(self, reader: Reader, stretch: Stretch, phase: int = 1, least: int = 1):
        self.reader, self.stretch, self.phase = reader, stretch, phase
        self.shape: tuple[int, int] = reader.grid.shape
        height, width = (round_up(max(n, least), phase) for n in self.shape)
        self.padded = height, width
        self.lock = Lock()

    def read(self, window: Window) -> Encoded:
        """A window that lies on the canvas, of whole pixels."""
        rows = np.arange(window.row_off, window.row_off + window.height)
        cols = np.arange(window.col_off, window.col_off + window.width)
        height, width = self.shape
        from_rows, from_cols = mirror(rows, height), mirror(cols, width)
        top, left = from_rows.min(), from_cols.min()
        inner = Window(
            int(left), int(top), int(from_cols.max() - left + 1), int(from_rows.max() - top + 1)
        )
        with self.lock:
            stored = self.reader.read(inner)
        valid = ~np.ma.getmaskarray(stored).any(axis=0)
        pixels = self.stretch.encode(stored)
        if rows[-1] >= height or cols[-1] >= width:
            at = np.ix_(from_rows - top, from_cols - left)
            pixels, valid = pixels[:, at[0], at[1]], valid[at]
            valid[rows >= height] = False
            valid[:, cols >= width] = False
        return Encoded(pixels, valid)


def round_up(n: int, step: int) -> int:
    """The smallest multiple of ``step`` that is not below ``n``."""
    return -(-n // step) * step


def mirror(positions: np.ndarray, size: int) -> np.ndarray:
    """Positions on a line of ``size`` pixels, folded back at its ends without repeating them."""
    period = max(2 * (size - 1), 1)
    folded = np.abs(positions) % period
    return np.where(folded >= size, period - folded, folded)
