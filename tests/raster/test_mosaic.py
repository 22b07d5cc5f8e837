import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.windows import Window

from rs_gen.errors import SettingError
from rs_gen.raster.grid import Grid
from rs_gen.raster.mosaic import Placed, write_vrt
from rs_gen.raster.writer import geotiff

GRID = Grid((20, 40), Affine(10, 0, 5e5, 0, -10, 5e6), "EPSG:32633")


def write(path, window, seed):
    cut = GRID.crop(window)
    pixels = np.random.default_rng(seed).integers(1, 200, (3, *cut.shape)).astype("uint8")
    with geotiff(path, cut, count=3, dtype="uint8") as file:
        file.write(pixels)
    return Placed(path, window), pixels


def test_a_vrt_shows_each_raster_in_its_place(tmp_path):
    left, one = write(tmp_path / "in" / "a.tif", Window(0, 0, 20, 20), 0)
    right, two = write(tmp_path / "in" / "b & c.tif", Window(20, 0, 20, 20), 1)
    path = write_vrt(tmp_path / "all.vrt", GRID, [left, right], {"PLACE": "<here>"})
    with rasterio.open(path) as file:
        assert (file.read() == np.concatenate([one, two], axis=2)).all()
        assert file.crs.to_epsg() == 32633
        assert file.transform == GRID.transform
        assert [c.name for c in file.colorinterp] == ["red", "green", "blue"]
        assert file.tags()["PLACE"] == "<here>"
        assert (file.dataset_mask() == 255).all()
    assert str(tmp_path) not in path.read_text()


def test_a_raster_elsewhere_is_named_in_full(tmp_path):
    placed, pixels = write(tmp_path / "in" / "a.tif", Window(0, 0, 40, 20), 0)
    path = write_vrt(tmp_path / "out" / "all.vrt", GRID, [placed])
    path = path.rename(tmp_path / "all.vrt")
    with rasterio.open(path) as file:
        assert (file.read() == pixels).all()


def test_no_rasters_are_no_mosaic(tmp_path):
    with pytest.raises(SettingError, match="no rasters to make a mosaic of"):
        write_vrt(tmp_path / "all.vrt", GRID, [])
    assert not list(tmp_path.iterdir())
