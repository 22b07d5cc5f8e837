from __future__ import annotations

import sqlite3
from xml.etree import ElementTree

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from affine import Affine

from rs_gen.errors import RasterError, SettingError
from rs_gen.raster.grid import Grid
from rs_gen.raster.polygons import Drawn, qml, write_polygons
from rs_gen.raster.writer import geotiff

LEGEND = (
    Drawn(0, "land", (240, 240, 230)), Drawn(1, "water", (170, 218, 255)),
    Drawn(2, 'roads & "paths"', (255, 255, 255)),
)  # fmt: skip


def classes(path, grid, ids):
    colormap = {d.id: d.colour for d in LEGEND}
    with geotiff(path, grid, count=1, dtype="uint8", nodata=255, colormap=colormap) as writer:
        writer.write(ids[None])
    return path


@pytest.fixture
def ids():
    held = np.zeros((40, 50), "uint8")
    held[10:20, 10:30] = 1
    held[15, 15] = 0
    held[30:32] = 2
    held[:, 45:] = 255
    return held


def test_polygons_cover_each_class_and_nothing_else(tmp_path, grid, ids):
    path = write_polygons(classes(tmp_path / "a.tif", grid, ids), tmp_path / "a.gpkg", LEGEND)
    table = gpd.read_file(path, layer="classes")
    assert table.crs == grid.crs
    assert set(table["class"]) == {0, 1, 2}
    pixel = 10 * 10
    for value in (0, 1, 2):
        one = table[table["class"] == value]
        assert one.area.sum() == pytest.approx((ids == value).sum() * pixel)
        assert one.pixels.sum() == (ids == value).sum()
    (lake,) = table[table["class"] == 1].itertuples()
    assert (lake.name, lake.colour) == ("water", "#aadaff")
    assert len(lake.geometry.interiors) == 1
    burned = rasterio.features.rasterize(
        zip(table.geometry, table["class"], strict=True), grid.shape, fill=255,
        transform=grid.transform, dtype="uint8",
    )  # fmt: skip
    assert (burned == ids).all()


@pytest.mark.parametrize(
    "transform",
    [
        Affine(10, 0, 5e5, 0, 10, 5e6),
        Affine.translation(5e5, 5e6) @ Affine.rotation(30) @ Affine.scale(10, -10),
    ],
    ids=["south-up", "rotated"],
)
def test_turned_grids_keep_their_place(tmp_path, ids, transform):
    grid = Grid((40, 50), transform, "EPSG:32633")
    path = write_polygons(classes(tmp_path / "a.tif", grid, ids), tmp_path / "a.gpkg", LEGEND)
    table = gpd.read_file(path)
    assert table.area.sum() == pytest.approx((ids != 255).sum() * 100)
    (lake,) = table[table["class"] == 1].geometry
    assert lake.contains(gpd.points_from_xy(*zip(grid.at(12.5, 12.5), strict=True))[0])


def test_small_polygons_join_their_neighbour(tmp_path, grid, ids):
    raster = classes(tmp_path / "a.tif", grid, ids)
    table = gpd.read_file(write_polygons(raster, tmp_path / "a.gpkg", LEGEND, least=5))
    (lake,) = table[table["class"] == 1].itertuples()
    assert not lake.geometry.interiors
    assert lake.pixels == 200
    assert table.pixels.sum() == (ids != 255).sum()


def test_many_polygons_are_written_in_pieces(tmp_path, grid, monkeypatch):
    monkeypatch.setattr("rs_gen.raster.polygons._ROWS", 7)
    ids = (np.indices((40, 50)).sum(0) % 2).astype("uint8")
    path = write_polygons(classes(tmp_path / "a.tif", grid, ids), tmp_path / "a.gpkg", LEGEND)
    assert len(gpd.read_file(path)) == 40 * 50


def test_the_style_is_where_qgis_looks_for_it(tmp_path, grid, ids):
    path = write_polygons(classes(tmp_path / "a.tif", grid, ids), tmp_path / "a.gpkg", LEGEND)
    with sqlite3.connect(path) as base:
        rows = base.execute(
            "SELECT f_table_name, f_geometry_column, useAsDefault, styleQML FROM layer_styles"
        ).fetchall()
        kinds = dict(base.execute("SELECT table_name, data_type FROM gpkg_contents").fetchall())
        columns = {row[1] for row in base.execute("PRAGMA table_info(classes)")}
    ((layer, column, default, style),) = rows
    assert (layer, default) == ("classes", 1)
    assert column in columns
    assert kinds == {"classes": "features", "layer_styles": "attributes"}
    root = ElementTree.fromstring(style)
    labels = [c.get("label") for c in root.iter("category")]
    assert labels == ["land", "water", 'roads & "paths"']
    colours = [o.get("value") for o in root.iter("Option") if o.get("name") == "color"]
    assert colours[1] == "170,218,255,255"
    assert root.find("renderer-v2").get("attr") == "class"


def test_every_symbol_of_the_style_has_its_class():
    root = ElementTree.fromstring(qml(LEGEND))
    symbols = {s.get("name") for s in root.iter("symbol")}
    assert {c.get("symbol") for c in root.iter("category")} == symbols


def test_a_raster_without_a_measurement_gives_an_empty_layer(tmp_path, grid):
    raster = classes(tmp_path / "a.tif", grid, np.full((40, 50), 255, "uint8"))
    table = gpd.read_file(write_polygons(raster, tmp_path / "a.gpkg", LEGEND))
    assert len(table) == 0
    assert table.crs == grid.crs


def test_what_can_not_be_written_is_told_and_leaves_nothing(tmp_path, grid, ids):
    raster = classes(tmp_path / "a.tif", grid, ids)
    with pytest.raises(SettingError, match=r"must end in \.gpkg"):
        write_polygons(raster, tmp_path / "a.shp", LEGEND)
    with pytest.raises(RasterError, match="can't be written from"):
        write_polygons(tmp_path / "none.tif", tmp_path / "a.gpkg", LEGEND)
    assert [p.name for p in tmp_path.iterdir()] == ["a.tif"]
