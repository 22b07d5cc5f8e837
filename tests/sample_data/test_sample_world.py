"""The promises of a world: a window alone equals the whole, and vectors equal pixels."""

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rasterio.features import rasterize
from rasterio.windows import Window

from rs_gen.errors import SettingError, UnknownNameError
from rs_gen.raster.grid import Grid
from sample_data.kinds import CLASSES
from sample_data.world import World

LEFT, TOP = 501760.0 - 300, 5398528.0 + 300  # four blocks meet inside
OPTIONS = {
    "season": "autumn",
    "clouds": 0.3,
    "haze": 0.1,
    "wedge": (1.0, 0.2, LEFT + 600 + 0.2 * TOP),
}


def _grid(resolution=1.0, shape=(700, 700)):
    return Grid(shape, Affine(resolution, 0, LEFT, 0, -resolution, TOP), "EPSG:32633")


@pytest.fixture(scope="module")
def whole():
    return World(2).draw(_grid(), **OPTIONS)


@settings(deadline=None, max_examples=5)
@example(row=250, col=150, height=120, width=120)  # where four blocks meet
@given(
    row=st.integers(0, 640), col=st.integers(0, 640), height=st.integers(1, 90),
    width=st.integers(1, 90),
)  # fmt: skip
def test_a_window_alone_equals_the_same_pixels_of_the_whole(whole, row, col, height, width):
    height, width = min(height, 700 - row), min(width, 700 - col)
    alone = World(2).draw(_grid().crop(Window(col, row, width, height)), **OPTIONS)
    for look, picture in alone.items():
        part = whole[look][:, row : row + height, col : col + width]
        assert np.array_equal(picture, part, equal_nan=picture.dtype.kind == "f"), look


@pytest.mark.parametrize("resolution", [0.7, 1.5, 10.0])
def test_it_does_so_at_any_resolution(resolution):
    grid = _grid(resolution, (90, 120))
    first = World(3).draw(grid, ["satellite", "map"])
    alone = World(3).draw(grid.crop(Window(33, 41, 50, 20)), ["satellite", "map"])
    for look, picture in alone.items():
        assert (picture == first[look][:, 41:61, 33:83]).all()


def test_a_scene_before_the_origin_is_a_place_too():
    world = World(0)
    drawn = world.draw((-40.0, -40.0, 40.0, 40.0), ["classes", "map"])
    part = world.draw((-10.0, -10.0, 40.0, 40.0), ["classes", "map"])
    assert (drawn["map"][:, :50, 30:] == part["map"]).all()


def test_bounds_and_a_grid_draw_the_same(whole):
    bounds = (LEFT, TOP - 64, LEFT + 64, TOP)
    drawn = World(2).draw(bounds, ["map"])
    assert (drawn["map"] == whole["map"][:, :64, :64]).all()


def test_there_is_no_seam_between_blocks(whole):
    """The step across the block's edge is no larger than between other columns."""
    picture = whole["satellite"][0, :, :600].astype(float)
    steps = np.abs(np.diff(picture, axis=1)).mean(0)
    edge = int(-(LEFT // -512) * 512 - LEFT)
    assert 0 < edge < 590
    around = np.delete(steps[edge - 40 : edge + 40], 39)
    assert around.min() * 0.8 < steps[edge - 1] < around.max() * 1.2


def test_seeds_are_different_worlds():
    place = (LEFT, TOP - 128, LEFT + 128, TOP)
    first, second = (World(seed).draw(place, ["satellite"])["satellite"] for seed in (5, 6))
    assert (first == second).mean() < 0.05


def test_classes_are_the_vectors_burnt(whole):
    table = World(2).vectors((LEFT, TOP - 700, LEFT + 700, TOP))
    codes = {name: code for code, (name, _) in CLASSES.items()}
    shapes = [
        (shapely.buffer(g, w / 2) if w > 0 else g, codes[name])
        for g, w, name in zip(table.geometry, table.width, table["class"], strict=True)
    ]
    burnt = rasterize(shapes, (700, 700), transform=_grid().transform, dtype="uint8")
    assert (burnt == whole["classes"][0]).mean() > 0.995
    assert (burnt > 0).all()


def test_vectors_say_what_they_are():
    table = World(2).vectors((LEFT, TOP - 500, LEFT + 500, TOP))
    assert table.crs.to_epsg() == 32633
    assert list(table.columns) == ["class", "kind", "layer", "width", "height", "geometry"]
    assert set(table[table["class"] == "road"].geom_type) <= {"LineString"}
    assert set(table[table["class"] != "road"].geom_type) <= {"Polygon", "MultiPolygon"}
    assert (table[table["class"] == "building"].height > 2).all()
    assert (table[table["class"] == "road"].width > 3).all()
    assert (table.layer.diff().dropna() >= 0).all()
    assert table.is_valid.mean() > 0.995


def test_vectors_of_a_part_are_those_of_the_whole_that_meet_it():
    part = (LEFT, TOP - 300, LEFT + 300, TOP)
    everything = World(2).vectors((LEFT, TOP - 600, LEFT + 600, TOP))
    alone = World(2).vectors(part)
    meets = everything[everything.intersects(shapely.box(*part))]
    assert sorted(alone.geometry.to_wkb()) == sorted(meets.geometry.to_wkb())


def test_windows_cover_a_grid_once():
    world = World(0)
    for shape, resolution in (((1700, 2300), 1.0), ((100, 3000), 0.5), ((3, 5), 2.0)):
        grid, times = _grid(resolution, shape), np.zeros(shape, int)
        for window in world.windows(grid):
            assert max(window.height, window.width) <= 1024
            times[window.toslices()] += 1
        assert (times == 1).all()


@pytest.mark.parametrize(
    ("transform", "text"),
    [
        (Affine(1, 0.2, 0, 0.2, -1, 0), "turned, south-up or not square"),
        (Affine.scale(1, 1), "south-up"),
        (Affine.scale(1, -2), "not square; draw a north-up grid"),
    ],
)
def test_a_turned_grid_is_refused(transform, text):
    with pytest.raises(SettingError, match=text):
        World(0).draw(Grid((4, 4), transform, "EPSG:32633"))


def test_bounds_without_pixels_are_refused():
    with pytest.raises(SettingError, match="hold no pixel"):
        World(0).draw((10, 0, 0, 10))


def test_an_unknown_look_is_named():
    with pytest.raises(UnknownNameError, match="no look named 'x-ray'; there are classes, map"):
        World(0).draw((0, 0, 10, 10), ["x-ray"])


def test_a_negative_seed_is_refused():
    with pytest.raises(SettingError, match="seed=-1 must be 0 or more"):
        World(-1)
