"""The windows that speak for a raster: fixed, spread, and where pixels are valid."""

from itertools import islice

import numpy as np
import pytest
from translating import BYTES, grid_of, scene

from rs_gen.raster.reader import ArrayReader
from rs_gen.translate.canvas import Canvas
from rs_gen.translate.windows import choose_windows, places


def canvas_of(pixels, phase=4):
    return Canvas(ArrayReader(pixels, grid_of(pixels.shape[1:])), BYTES, phase)


def test_places_are_different_on_the_phase_and_inside():
    windows = list(islice(places((2000, 3000), 256, 4), 64))
    assert len({(w.row_off, w.col_off) for w in windows}) == 64
    for w in windows:
        assert w.row_off % 4 == w.col_off % 4 == 0
        assert 0 <= w.row_off <= 2000 - w.height
        assert 0 <= w.col_off <= 3000 - w.width


def test_places_are_the_same_each_time_and_spread_at_every_length():
    first, again = (list(islice(places((4000, 4000), 256, 4), 16)) for _ in range(2))
    assert first == again
    quarters = {(w.row_off > 1872, w.col_off > 1872) for w in first[:8]}
    assert len(quarters) == 4


@pytest.mark.parametrize("shape", [(16, 16), (64, 128), (256, 256), (260, 256)])
def test_a_small_raster_has_few_places_and_all_are_found(shape):
    windows = list(places(shape, 256, 4))
    rooms = [max(n - 256, 0) // 4 + 1 for n in shape]
    assert len(windows) == rooms[0] * rooms[1]
    assert all((w.height, w.width) == tuple(min(256, n) for n in shape) for w in windows)


def test_valid_windows_are_preferred():
    pixels = np.ma.array(scene((400, 400)), mask=False)
    pixels[:, :, :330] = np.ma.masked
    canvas = canvas_of(pixels)
    shares = [canvas.read(w).valid.mean() for w in choose_windows(canvas, 64, 8)]
    assert min(shares) > 0.1
    assert max(shares) >= 0.5


def test_a_needle_in_a_haystack_is_found():
    pixels = np.ma.array(scene((1200, 1200)), mask=True)
    pixels[:, 1190, 3] = scene((1, 1))[:, 0, 0]
    canvas = canvas_of(pixels)
    windows = choose_windows(canvas, 32, 4)
    assert len(windows) == 1
    assert canvas.read(windows[0]).valid.sum() == 1


def test_an_empty_raster_has_no_window():
    pixels = np.ma.array(scene((100, 100)), mask=True)
    assert choose_windows(canvas_of(pixels), 64, 4) == []
