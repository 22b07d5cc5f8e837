"""A raster is cut into blocks from its header alone."""

import tracemalloc

import pytest
import rasterio
from jobs import SIDE, make_model
from rasterio.windows import Window
from shapely.geometry import box
from translating import grid_of

from rs_gen.raster.writer import geotiff
from rs_gen.translate.planning import Cut, cut
from rs_gen.translate.translator import Translator


@pytest.fixture(scope="module")
def translator(tmp_path_factory):
    return Translator.of(make_model(tmp_path_factory.mktemp("m") / "m"), device="cpu")


def sparse(path, side):
    with geotiff(path, grid_of((side, side)), count=3, dtype="uint8", nodata=0,
                 names=SIDE["names"]):  # fmt: skip
        pass
    return path


def test_a_raster_of_ten_gigapixels_is_planned_without_reading_it(
    tmp_path, translator, monkeypatch
):
    path = sparse(tmp_path / "huge.tif", 100_000)

    def never(*_, **__):
        raise AssertionError("a pixel was read")

    monkeypatch.setattr("rs_gen.raster.reader.RasterReader.read", never)
    tracemalloc.start()
    plan, blocks = cut(translator, path, {"tile_size": 1024}, 2048)
    held = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert held < 2**23
    assert (plan.shape, plan.side, len(blocks)) == ((100_000, 100_000), 2048, 49**2)
    assert sum(block.height * block.width for block in blocks) == 100_000**2


def test_blocks_are_made_of_whole_tiles_and_cover_the_raster_once(tmp_path, translator):
    path = sparse(tmp_path / "in.tif", 700)
    for wanted, side in ((1, 160), (300, 320), (10_000, 9920)):
        plan, blocks = cut(translator, path, {"tile_size": 160}, wanted, 7)
        assert (plan.side, plan.side % plan.tiles["core"]) == (side, 0)
        assert all(b.source == 7 and b.row % side == b.col % side == 0 for b in blocks)
        assert sum(b.height * b.width for b in blocks) == 700**2
    assert Cut(**plan.dict()) == plan


def test_blocks_that_the_area_misses_are_empty_from_the_start(tmp_path, translator):
    path = sparse(tmp_path / "in.tif", 640)
    with rasterio.open(path) as dataset:
        west, south, east, north = dataset.bounds
        assert dataset.shape == (640, 640)
    area = box(west, south, west + 100, north).union(box(west, north - 100, east, north))
    _, blocks = cut(translator, path, {"tile_size": 160, "area": area}, 160)
    states = {(b.row // 160, b.col // 160): b.state for b in blocks}
    assert {at for at, state in states.items() if state == "pending"} == {
        at for at in states if 0 in at
    }
    _, blocks = cut(translator, path, {"tile_size": 160, "window": Window(170, 0, 10, 640)}, 160)
    assert {(b.col, b.width) for b in blocks} == {(170, 10)}
