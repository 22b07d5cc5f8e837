"""Windows of a raster that speak for it: fixed places, spread evenly, where pixels are valid."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import islice

import numpy as np
from rasterio.windows import Window

from ..raster.tiles import walk
from .canvas import Canvas

_SEED = 42
_GOOD = 0.5  # a window of which this share is valid is as good as any
_TRIES = 16  # places looked at for each window wanted, before the best of them are taken


def choose_windows(canvas: Canvas, side: int, count: int) -> list[Window]:
    """At most ``count`` windows spread evenly over a canvas, those with valid pixels first.

    Places are tried in a fixed order. The first ``count`` that are at least half valid are taken;
    where too few are, the fullest of those tried, and where all of those are empty, the first
    that hold anything in a walk over the whole raster.
    """
    tried: list[tuple[float, Window]] = []
    for window in islice(places(canvas.padded, side, canvas.phase), _TRIES * count):
        tried.append((canvas.read(window).valid.mean(), window))
        if sum(share >= _GOOD for share, _ in tried) == count:
            break
    tried.sort(key=lambda found: -min(found[0], _GOOD))  # stable: the order decides among equals
    chosen = [window for share, window in tried[:count] if share > 0]
    return chosen or list(islice(not_empty(canvas, side), count))


def places(shape: tuple[int, int], side: int, phase: int) -> Iterator[Window]:
    """Different windows on the phase, each where the ones before left the most room.

    The R2 sequence of Roberts 2018, "The Unreasonable Effectiveness of Quasirandom Sequences": a
    golden ratio for two dimensions. It ends once it finds no new place for long.
    """
    sizes = tuple(min(side, n) for n in shape)
    room = tuple((n - size) // phase + 1 for n, size in zip(shape, sizes, strict=True))
    start = np.random.default_rng(_SEED).random(2)
    plastic = 1.32471795724474602596  # the real root of x^3 = x + 1
    seen: set[tuple[int, int]] = set()
    patience = 4 * room[0] * room[1] + 16
    for k in range(patience):
        row, col = (
            int(math.fmod(start[i] + k / plastic ** (i + 1), 1.0) * room[i]) * phase
            for i in range(2)
        )
        if (row, col) not in seen:
            seen.add((row, col))
            yield Window(col, row, sizes[1], sizes[0])
        if len(seen) == room[0] * room[1]:
            return


def not_empty(canvas: Canvas, side: int) -> Iterator[Window]:
    """Windows of full size that hold a valid pixel, in a walk over all of the canvas."""
    height, width = canvas.padded
    for tile in walk(canvas.padded, side, phase=canvas.phase):
        rows, cols = min(side, height), min(side, width)
        top = min(tile.write.row_off, height - rows)
        left = min(tile.write.col_off, width - cols)
        window = Window(left, top, cols, rows)
        if canvas.read(window).valid.any():
            yield window
