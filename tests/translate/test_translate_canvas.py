"""The padded raster: a window read on its own holds what the whole does."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rasterio.windows import Window
from translating import BYTES, grid_of, scene

from rs_gen.raster.reader import ArrayReader
from rs_gen.translate.canvas import Canvas, mirror


def canvas_of(pixels, phase=1, least=1):
    return Canvas(ArrayReader(pixels, grid_of(pixels.shape[1:])), BYTES, phase, least)


@given(size=st.integers(1, 9), beyond=st.integers(0, 40))
def test_mirroring_is_reflection_padding(size, beyond):
    line = np.arange(size)
    expected = np.pad(line, (0, beyond), mode="reflect" if size > 1 else "edge")
    assert (mirror(np.arange(size + beyond), size) == expected).all()


@given(
    height=st.integers(1, 30),
    width=st.integers(1, 30),
    phase=st.sampled_from([1, 4, 16]),
    least=st.sampled_from([1, 16, 48]),
    data=st.data(),
)
def test_a_window_holds_what_the_whole_canvas_does(height, width, phase, least, data):
    canvas = canvas_of(scene((height, width)), phase, least)
    rows, cols = canvas.padded
    assert rows % phase == cols % phase == 0
    assert rows >= max(height, least)
    whole = canvas.read(Window(0, 0, cols, rows))
    top, left = data.draw(st.integers(0, rows - 1)), data.draw(st.integers(0, cols - 1))
    bottom, right = data.draw(st.integers(top + 1, rows)), data.draw(st.integers(left + 1, cols))
    part = canvas.read(Window(left, top, right - left, bottom - top))
    assert (part.pixels == whole.pixels[:, top:bottom, left:right]).all()
    assert (part.valid == whole.valid[top:bottom, left:right]).all()


def test_outside_the_raster_nothing_is_valid():
    encoded = canvas_of(scene((5, 6)), 8).read(Window(0, 0, 8, 8))
    assert encoded.valid[:5, :6].all()
    assert encoded.valid.sum() == 30


def test_holes_are_the_middle_of_the_stretch_and_one_band_is_enough():
    pixels = np.ma.array(scene((8, 8)), mask=False)
    pixels[1, 2, 3] = np.ma.masked
    encoded = canvas_of(pixels).read(Window(0, 0, 8, 8))
    assert encoded.pixels[1, 2, 3] == 0
    assert encoded.pixels[0, 2, 3] == pytest.approx(pixels.data[0, 2, 3] / 127.5 - 1)
    assert not encoded.valid[2, 3]
    assert encoded.valid.sum() == 63


def test_the_lock_is_held_while_the_raster_is_read():
    canvas, held = canvas_of(scene((8, 8))), []
    read = canvas.reader.read
    canvas.reader.read = lambda window: held.append(canvas.lock.locked()) or read(window)
    canvas.read(Window(0, 0, 4, 4))
    assert held == [True]
    assert not canvas.lock.locked()
