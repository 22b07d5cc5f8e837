import math
import pickle

import pytest
from affine import Affine
from hypothesis import given
from hypothesis.strategies import floats, integers, sampled_from
from rasterio.crs import CRS
from rasterio.windows import Window, bounds

from rs_gen.errors import SettingError
from rs_gen.raster.grid import Grid, clip, whole

NORTH_UP = Affine(10, 0, 500000, 0, -10, 5000000)
SOUTH_UP = Affine(10, 0, 500000, 0, 10, 4999000)
COS, SIN = math.cos(math.radians(30)), math.sin(math.radians(30))
ROTATED = Affine(10 * COS, 20 * SIN, 500000, 10 * SIN, -20 * COS, 5000000)
GRID = Grid((70, 53), NORTH_UP, "EPSG:32633")
transforms = sampled_from([NORTH_UP, SOUTH_UP, ROTATED])
places = integers(-50, 50)
sides = integers(1, 60)


@given(transform=transforms, col=places, row=places, width=sides, height=sides)
def test_a_crop_keeps_every_pixel_where_it_was(transform, col, row, width, height):
    grid = Grid((70, 53), transform, "EPSG:32633")
    crop = grid.crop(Window(col, row, width, height))
    assert crop.shape == (height, width)
    assert crop.at(3, 2) == pytest.approx(grid.at(col + 3, row + 2), abs=1e-6)
    assert crop.crs == grid.crs


@given(transform=transforms, factor=sampled_from([0.5, 2, 3, 4]))
def test_zoom_keeps_the_corners(transform, factor):
    grid = Grid((40, 80), transform, "EPSG:32633")
    zoomed = grid.zoom(factor)
    assert zoomed.shape == (40 * factor, 80 * factor)
    assert zoomed.resolution == pytest.approx([r / factor for r in grid.resolution])
    for mine, theirs in zip(grid.corners, zoomed.corners, strict=True):
        assert mine == pytest.approx(theirs, abs=1e-6)


@given(transform=transforms, col=floats(-99, 99), row=floats(-99, 99))
def test_a_place_found_on_the_ground_is_found_again_in_pixels(transform, col, row):
    grid = Grid((70, 53), transform)
    assert grid.pixel_at(*grid.at(col, row)) == pytest.approx((col, row), abs=1e-6)


@given(col=places, row=places, width=sides, height=sides, phase=integers(1, 16))
def test_a_window_snaps_outward_and_no_further_than_it_must(col, row, width, height, phase):
    snapped = GRID.snap(Window(col, row, width, height), phase)
    for start, length, first, size in (
        (col, width, snapped.col_off, snapped.width),
        (row, height, snapped.row_off, snapped.height),
    ):
        assert first % phase == 0
        assert size % phase == 0
        assert first <= start < first + phase
        assert start + length <= first + size < start + length + phase


def test_bounds_agree_with_rasterio_and_are_ordered_for_a_south_up_raster():
    assert GRID.bounds == bounds(GRID.window, NORTH_UP) == (500000, 4999300, 500530, 5000000)
    assert Grid((100, 5), SOUTH_UP).bounds == (500000, 4999000, 500050, 5000000)


def test_the_footprint_of_a_rotated_raster_has_its_true_corners():
    grid = Grid((10, 20), ROTATED, "EPSG:32633")
    assert grid.polygon.area == pytest.approx(10 * 20 * 10 * 20)
    assert grid.polygon.bounds == pytest.approx(grid.bounds)
    assert grid.polygon.area < 0.7 * grid.polygon.envelope.area
    assert grid.resolution == pytest.approx((10, 20))


def test_ground_resolution_is_in_metres_whatever_the_crs():
    assert GRID.ground_resolution == 10  # nominal, though UTM stretches by 0.04 % here
    feet = Grid((10, 10), Affine(10, 0, 2e6, 0, -10, 5e5), "EPSG:2263")  # New York, US survey feet
    assert feet.ground_resolution == pytest.approx(3.048, rel=1e-4)
    degrees = Grid((2, 2), Affine(1e-4, 0, 10, 0, -1e-4, 60.0001), "EPSG:4326")
    assert degrees.ground_resolution == pytest.approx(math.sqrt(5.58 * 11.14), rel=2e-3)
    mercator = Grid((2, 2), Affine(10, 0, 1e6, 0, -10, 8399738), "EPSG:3857")  # 60 degrees north
    assert mercator.ground_resolution == pytest.approx(5, rel=4e-3)
    dateline = Grid((2, 4), Affine(1e-4, 0, 179.9999, 0, -1e-4, 0), "EPSG:4326")
    assert dateline.ground_resolution == pytest.approx(11.1, rel=5e-3)


def test_ground_resolution_is_nan_where_the_place_is_unknown():
    assert math.isnan(Grid((2, 2), NORTH_UP).ground_resolution)
    local = CRS.from_wkt('LOCAL_CS["site",UNIT["metre",1]]')
    assert math.isnan(Grid((2, 2), NORTH_UP, local).ground_resolution)


def test_grids_match_to_a_fraction_of_a_pixel():
    moved = Grid(GRID.shape, Affine(10, 0, 500000.001, 0, -10, 5000000), GRID.crs)
    assert GRID.matches(moved)
    assert moved.matches(GRID)
    assert not GRID.matches(moved, tolerance=1e-5)
    assert not GRID.matches(Grid(GRID.shape, NORTH_UP, "EPSG:32632"))
    assert not GRID.matches(GRID.crop(Window(0, 0, 5, 5)))


def test_a_grid_is_a_value():
    assert Grid((70, 53), NORTH_UP, CRS.from_epsg(32633)) == GRID
    assert len({GRID, Grid((70, 53), NORTH_UP, "EPSG:32633")}) == 1
    assert pickle.loads(pickle.dumps(GRID)) == GRID
    assert repr(GRID) == "Grid(70x53px at 10x10, EPSG:32633)"
    assert repr(Grid((1, 1), NORTH_UP)).endswith("no CRS)")


def test_clip_cuts_a_window_to_the_raster():
    assert clip(Window(-5, 60, 10, 20), (70, 53)) == Window(0, 60, 5, 10)
    assert clip(Window(53, 0, 10, 10), (70, 53)) is None
    assert clip(Window(-10, 0, 10, 10), (70, 53)) is None


def test_grids_and_windows_that_make_no_sense_are_refused():
    with pytest.raises(SettingError, match="a grid of 0 x 5 px is empty"):
        Grid((0, 5), NORTH_UP)
    with pytest.raises(SettingError, match="gives pixels no area"):
        Grid((5, 5), Affine(1, 1, 0, 1, 1, 0))
    with pytest.raises(SettingError, match="cuts pixels; round it"):
        GRID.crop(Window(0.5, 0, 3, 3))
    with pytest.raises(SettingError, match="is empty"):
        whole(Window(0, 0, 0, 3))
    with pytest.raises(SettingError, match="phase=0 must be at least 1"):
        GRID.snap(GRID.window, 0)
