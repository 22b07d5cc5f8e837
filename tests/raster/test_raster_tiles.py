import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis.strategies import composite, integers, tuples
from rasterio.windows import Window

from rs_gen.errors import AreaError, SettingError
from rs_gen.raster.grid import clip
from rs_gen.raster.tiles import count, inside, walk

shapes = tuples(integers(1, 70), integers(1, 70))
phases = integers(1, 8)
halos = integers(0, 20)
multiples = integers(1, 5)


@composite
def windows(draw):
    """Windows that may reach past a raster of up to 70 px, or miss it."""
    return Window(*(draw(integers(-10, 75)) for _ in "xy"), *(draw(integers(1, 90)) for _ in "xy"))


def rows_cols(window):
    (top, bottom), (left, right) = window.toranges()
    return slice(top, bottom), slice(left, right)


@given(shape=shapes, phase=phases, multiple=multiples, halo=halos)
def test_every_pixel_is_written_exactly_once(shape, phase, multiple, halo):
    written = np.zeros(shape, int)
    for tile in walk(shape, phase * multiple, halo, phase=phase):
        written[rows_cols(tile.write)] += 1
    assert (written == 1).all()


@given(shape=shapes, phase=phases, multiple=multiples, halo=halos, within=windows())
def test_every_pixel_of_a_window_of_interest_is_written_once_and_no_other(
    shape, phase, multiple, halo, within
):
    part = clip(within, shape)
    if part is None:
        with pytest.raises(AreaError, match="misses the raster of"):
            walk(shape, phase * multiple, halo, phase=phase, within=within)
        return
    written = np.zeros(shape, int)
    for tile in walk(shape, phase * multiple, halo, phase=phase, within=within):
        written[rows_cols(tile.write)] += 1
    expected = np.zeros(shape, int)
    expected[rows_cols(part)] = 1
    assert (written == expected).all()


@given(shape=shapes, phase=phases, multiple=multiples, halo=halos)
def test_what_is_written_was_read_with_its_halo(shape, phase, multiple, halo):
    place = np.arange(np.prod(shape)).reshape(shape)
    padded = np.pad(place, ((0, phase), (0, phase)), constant_values=-1)
    for tile in walk(shape, phase * multiple, halo, phase=phase):
        assert (padded[rows_cols(tile.read)][inside(tile)] == place[rows_cols(tile.write)]).all()
        for at, n in enumerate(shape):
            first, last = tile.write.toranges()[at]
            start, end = tile.read.toranges()[at]
            assert start <= max(first - halo, 0)
            assert min(last + halo, n) <= end


@given(shape=shapes, phase=phases, multiple=multiples, halo=halos, within=windows())
def test_reads_lie_on_the_phase_and_no_further_out_than_the_raster_rounded_up(
    shape, phase, multiple, halo, within
):
    if clip(within, shape) is None:
        return
    for tile in walk(shape, phase * multiple, halo, phase=phase, within=within):
        for (start, end), n in zip(tile.read.toranges(), shape, strict=True):
            assert start % phase == 0
            assert end % phase == 0
            assert start >= 0
            assert end < n + phase


@given(shape=shapes, core=integers(1, 40), within=windows())
def test_the_number_of_tiles_is_known_without_walking(shape, core, within):
    assert count(shape, core) == len(list(walk(shape, core)))
    if clip(within, shape) is not None:
        assert count(shape, core, within=within) == len(list(walk(shape, core, within=within)))


@given(shape=shapes, core=integers(1, 40), within=windows())
def test_a_window_of_interest_is_cut_where_the_whole_raster_is(shape, core, within):
    if clip(within, shape) is None:
        return
    for tile in walk(shape, core, within=within):
        (top, bottom), (left, right) = tile.write.toranges()
        assert top // core == (bottom - 1) // core
        assert left // core == (right - 1) // core


def test_a_walk_by_hand():
    first, second = walk((10, 30), core=16, halo=3, phase=4)
    assert (first.read, first.write) == (Window(0, 0, 20, 12), Window(0, 0, 16, 10))
    assert (second.read, second.write) == (Window(12, 0, 20, 12), Window(16, 0, 14, 10))
    assert inside(second) == (slice(0, 10), slice(4, 18))


def test_a_raster_of_100_000_px_a_side_is_planned_at_once():
    start = time.perf_counter()
    assert count((100_000, 100_000), 256) == 391**2
    assert next(walk((100_000, 100_000), 256, 84, phase=4)).write == Window(0, 0, 256, 256)
    assert time.perf_counter() - start < 1


def test_numbers_that_make_no_walk_are_refused_before_it_starts():
    with pytest.raises(SettingError, match="core=1000 is no positive multiple of phase=256; try 1"):
        walk((9, 9), 1000, phase=256)
    with pytest.raises(SettingError, match="core=0 is no positive multiple of phase=4; try 4"):
        walk((9, 9), 0, phase=4)
    with pytest.raises(SettingError, match="halo=-1 must be at least 0"):
        walk((9, 9), 8, -1)
    with pytest.raises(SettingError, match="phase=0 must be at least 1"):
        walk((9, 9), 8, phase=0)
    with pytest.raises(AreaError, match=r"misses the raster of 9 x 9 px"):
        count((9, 9), 4, within=Window(9, 0, 4, 4))
