from __future__ import annotations

import hashlib
import json

import numpy as np
import pystac
import pytest
import rasterio
from affine import Affine
from pystac.extensions.file import FileExtension
from pystac.extensions.projection import ProjectionExtension
from rasterio.warp import transform_geom
from shapely.geometry import box, shape

from rs_gen.errors import RasterError
from rs_gen.raster.grid import Grid
from rs_gen.raster.stac import beside, item_of, read_item, write_item
from rs_gen.raster.writer import geotiff
from tests.stac import valid

TAGS = {
    "RS_GEN_SYNTHETIC": "imagery made by a generative model, not measured",
    "RS_GEN_VERSION": "1.2", "RS_GEN_MODEL": "oslo", "RS_GEN_MODEL_DIGEST": "ab12",
    "RS_GEN_DIRECTION": "AtoB", "RS_GEN_SOURCE": "in.tif",
    "RS_GEN_PARAMETERS": '{"bands": ["red"]}',
}  # fmt: skip


def made(path, grid, *, tags=TAGS, dtype="uint8", **options):
    with geotiff(path, grid, count=2, dtype=dtype, tags=tags, names=("a", "b"), **options) as w:
        w.write(np.ones((2, *grid.shape), dtype))
    return path


@pytest.mark.parametrize("cog", [False, True])
def test_the_item_of_an_output_is_valid_and_says_that_it_is_synthetic(tmp_path, grid, cog):
    path = made(tmp_path / "town.tif", grid, nodata=0, cog=cog)
    item = json.loads(write_item(path, tmp_path / "in.tif").read_text())
    valid(item)
    properties = item["properties"]
    assert properties["rs_gen:synthetic_imagery"] is True
    assert properties["rs_gen:model_digest"] == "ab12"
    assert properties["rs_gen:parameters"] == {"bands": ["red"]}
    assert properties["processing:software"] == {"rs_gen": "1.2"}
    assert (
        "not measured: in.tif translated AtoB by the model oslo"
        in (properties["processing:lineage"])
    )
    assert item["links"][0]["href"] == "in.tif"
    data = item["assets"]["data"]
    assert ("cloud-optimized" in data["type"]) == cog
    assert [b["name"] for b in data["bands"]] == ["a", "b"]
    assert data["bands"][0]["nodata"] == 0


def test_pystac_reads_back_grid_and_digest(tmp_path, grid):
    path = made(tmp_path / "town.tif", grid)
    item = pystac.Item.from_file(str(write_item(path)))
    told = ProjectionExtension.ext(item)
    assert told.code == "EPSG:32633"
    assert told.shape == list(grid.shape)
    assert told.transform == list(grid.transform)[:6]
    file = FileExtension.ext(item.assets["data"])
    assert file.size == path.stat().st_size
    assert file.checksum == "1220" + hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_footprint_lies_where_the_raster_does(tmp_path, grid):
    item = item_of(made(tmp_path / "a.tif", grid))
    there = transform_geom("EPSG:4326", grid.crs, item["geometry"])
    assert shape(there).symmetric_difference(box(*grid.bounds)).area < 1e-3 * grid.polygon.area
    assert shape(item["geometry"]).bounds == pytest.approx(item["bbox"])


@pytest.mark.parametrize(
    ("transform", "crs"),
    [
        (Affine(10, 0, 5e5, 0, 10, 5e6), "EPSG:32633"),
        (Affine.translation(5e5, 5e6) @ Affine.rotation(30) @ Affine.scale(10, -10), "EPSG:32633"),
        (Affine(0.001, 0, 10, 0, -0.001, 50), "EPSG:4326"),
        (Affine(0.001, 0, 10, 0, -0.001, 50), None),
        (Affine(10, 0, 0, 0, -10, 0), "+proj=laea +lat_0=5 +lon_0=9 +datum=WGS84"),
    ],
    ids=["south-up", "rotated", "geographic", "nowhere", "without a code"],
)
def test_every_grid_has_a_valid_item(tmp_path, transform, crs):
    path = made(tmp_path / "a.tif", Grid((30, 40), transform, crs), tags={})
    item = item_of(path)
    valid(item)
    assert (item["geometry"] is None) == (crs is None)
    assert "rs_gen:synthetic_imagery" not in item["properties"]


def test_a_footprint_across_the_date_line_is_cut_there(tmp_path):
    grid = Grid((10, 400), Affine(1000, 0, 100_000, 0, -1000, 8_100_000), "EPSG:32701")
    item = item_of(made(tmp_path / "fiji.tif", grid))
    valid(item)
    west, _, east, _ = item["bbox"]
    assert (west, east) == (pytest.approx(179.26, abs=0.1), pytest.approx(-177, abs=0.1))
    assert item["geometry"]["type"] == "MultiPolygon"
    assert shape(item["geometry"]).area < 1


def test_a_nodata_that_is_no_number_is_text(tmp_path, grid):
    path = made(tmp_path / "a.tif", grid, nodata=float("nan"), dtype="float32")
    item = item_of(path)
    valid(item)
    assert item["assets"]["data"]["bands"][0]["nodata"] == "nan"
    json.dumps(item, allow_nan=False)


def test_when_the_source_was_taken_is_told_where_it_is_known(tmp_path, grid):
    path, source = made(tmp_path / "a.tif", grid), made(tmp_path / "in.tif", grid)
    assert item_of(path, source)["properties"]["rs_gen:datetime_is"] == "writing of the file"
    with rasterio.open(source, "r+") as dataset:
        dataset.update_tags(ns="IMAGERY", ACQUISITIONDATETIME="2020-05-01 10:30:00")
    held = item_of(path, source)["properties"]
    assert (held["datetime"], held["rs_gen:datetime_is"]) == (
        "2020-05-01T10:30:00Z", "acquisition of the source"
    )  # fmt: skip


def test_files_that_belong_to_it_are_assets(tmp_path, grid):
    path = made(tmp_path / "a.tif", grid)
    (tmp_path / "roads.gpkg").write_bytes(b"x")
    item = item_of(path, beside_it=[tmp_path / "roads.gpkg"])
    valid(item)
    assert item["assets"]["roads"]["href"] == "roads.gpkg"
    assert item["assets"]["roads"]["type"] == "application/geopackage+sqlite3"


def test_what_is_no_item_is_none(tmp_path, grid):
    path = made(tmp_path / "a.tif", grid)
    assert read_item(path) is None
    beside(path).write_text("[1]")
    assert read_item(path) is None
    beside(path).write_text("{")
    assert read_item(path) is None
    write_item(path)
    assert read_item(path)["id"] == "a"


def test_an_item_of_nothing_is_an_error(tmp_path):
    with pytest.raises(RasterError, match="no such file"):
        write_item(tmp_path / "none.tif")
    assert not list(tmp_path.iterdir())
