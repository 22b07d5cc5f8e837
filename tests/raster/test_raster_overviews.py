from __future__ import annotations

import numpy as np
import pytest
import rasterio

from rs_gen.errors import SettingError
from rs_gen.raster.grid import Grid
from rs_gen.raster.overviews import levels
from rs_gen.raster.writer import geotiff


def written(path, pixels, grid, **options):
    settings = {"count": len(pixels), "dtype": pixels.dtype.name, "blocksize": 16, **options}
    with geotiff(path, grid, **settings) as writer:
        writer.write(pixels)
    return path


def factors(path):
    with rasterio.open(path) as dataset:
        return dataset.overviews(1)


@pytest.mark.parametrize(
    ("wanted", "cog", "expected"),
    [
        (None, False, ()), (None, True, (2, 4)), ("auto", False, (2, 4, 8)), ("none", True, ()),
        ("2,4", False, (2, 4)), ((2, 6), False, (2, 6)), ("2, 4, 8", True, (2, 4, 8)),
    ],
)  # fmt: skip
def test_levels_are_as_asked_or_as_many_as_fit(wanted, cog, expected):
    assert levels(wanted, (900, 2000), 256, cog=cog) == expected


@pytest.mark.parametrize("wanted", ["few", "4,2", "1,2", (), (2, None)])
def test_levels_that_can_not_be_are_refused(wanted):
    with pytest.raises(SettingError, match="growing numbers from 2"):
        levels(wanted, (100, 100), 16, cog=False)


def test_a_cloud_optimised_file_halves(grid, pixels, tmp_path):
    with pytest.raises(SettingError, match="halves of each other"):
        written(tmp_path / "a.tif", pixels(1), grid, cog=True, overviews=(2, 6))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("cog", [False, True])
def test_overviews_lie_in_the_file_as_asked(tmp_path, grid, pixels, cog):
    path = written(tmp_path / "a.tif", pixels(3), grid, cog=cog, overviews="2,4")
    assert factors(path) == [2, 4]
    assert [p.name for p in tmp_path.iterdir()] == ["a.tif"]
    none = written(tmp_path / "b.tif", pixels(3), grid, cog=cog, overviews="none")
    assert factors(none) == []


@pytest.mark.parametrize("way", ["nodata", "mask"])
def test_what_is_not_measured_does_not_bleed_into_overviews(tmp_path, grid, way):
    pixels = np.ma.MaskedArray(np.full((1, 40, 50), 200, "uint8"), False)
    pixels[:, :20, :25] = np.ma.masked
    options = {"nodata": 0} if way == "nodata" else {"mask": True}
    path = written(tmp_path / "a.tif", pixels, grid, overviews=(2,), **options)
    with rasterio.open(path, overview_level=0) as smaller:
        held = smaller.read(1, masked=True)
    assert set(held.compressed()) == {200}
    assert held.mask[:10, :12].all()
    assert not held.mask[10:, 13:].any()


def test_ids_are_not_averaged(tmp_path, grid):
    pixels = np.zeros((1, 40, 50), "uint8")
    pixels[:, :, ::2] = 4
    pixels[:, ::2, 1::2] = 4
    colormap = {0: (0, 0, 0), 4: (255, 0, 0)}
    path = written(tmp_path / "a.tif", pixels, grid, overviews=(2,), colormap=colormap)
    with rasterio.open(path, overview_level=0) as smaller:
        assert set(smaller.read(1).ravel()) == {4}


def test_a_raster_beyond_four_gigabytes_becomes_a_bigtiff(tmp_path, grid):
    large = Grid((70_000, 70_000), grid.transform, grid.crs)
    with geotiff(tmp_path / "big.tif", large, count=1, dtype="uint8", nodata=0):
        pass  # nothing is written, so nothing takes room
    with (tmp_path / "big.tif").open("rb") as file:
        assert file.read(4) == b"II\x2b\x00"
    assert (tmp_path / "big.tif").stat().st_size < 2**21
