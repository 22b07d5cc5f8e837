import geopandas as gpd
import numpy as np
import pytest
import shapely
from affine import Affine
from rasterio.windows import Window
from shapely.geometry import LineString, Point, Polygon, box

from rs_gen.errors import AreaError, SettingError, UnknownNameError
from rs_gen.raster.grid import Grid
from rs_gen.raster.vector import (
    attributes,
    layer_of,
    rasterize,
    read_area,
    read_areas,
    read_layer,
    read_polygons,
    window_of,
    write_gpkg,
)

UTM = "EPSG:32633"
SQUARE = box(500100, 4999700, 500200, 4999800)  # rows 20 to 30, columns 10 to 20 of the grid


@pytest.fixture
def kept(tmp_path):
    """Writes geometries with geopandas itself."""

    def written(geometries, name="area.gpkg", crs=UTM, **fields):
        table = gpd.GeoDataFrame(fields, geometry=list(geometries), crs=crs)
        table.to_file(tmp_path / name)
        return tmp_path / name

    return written


@pytest.mark.parametrize("name", ["area.gpkg", "area.shp", "area.geojson", "area.fgb"])
@pytest.mark.parametrize("crs", [UTM, "EPSG:4326", "EPSG:3857", "EPSG:32632"])
def test_an_area_is_read_from_any_file_in_any_crs(kept, grid, name, crs):
    if name.endswith("geojson") and crs != "EPSG:4326":
        return  # by RFC 7946 a GeoJSON is in longitude and latitude
    theirs = gpd.GeoSeries([SQUARE], crs=UTM).to_crs(crs)
    area = read_area(kept(theirs, name, crs), grid.crs)
    assert area.symmetric_difference(SQUARE).area < 1e-3 * SQUARE.area


def test_polygons_are_joined_and_other_geometries_left_out(kept):
    left, right = box(0, 0, 2, 1), box(1, 0, 3, 1)
    assert read_area(kept([left, right]), UTM).equals(box(0, 0, 3, 1))
    mixed = [left, Point(9, 9), LineString([(0, 0), (9, 9)])]
    assert read_area(kept(mixed, "mixed.geojson", "EPSG:4326"), "EPSG:4326").equals(left)


def test_a_polygon_that_crosses_itself_keeps_its_area(kept):
    bow = Polygon([(0, 0), (2, 2), (2, 0), (0, 2)])
    assert not bow.is_valid
    assert read_area(kept([bow]), UTM).area == pytest.approx(2)


def test_long_edges_bend_as_the_map_does(kept):
    wide = box(-20, 50, 20, 60)  # 40 degrees: in UTM the parallel is far from straight
    area = read_area(kept([wide], crs="EPSG:4326"), "EPSG:32633")
    true = gpd.GeoSeries([wide.segmentize(0.01)], crs="EPSG:4326").to_crs("EPSG:32633").iloc[0]
    naive = gpd.GeoSeries([wide], crs="EPSG:4326").to_crs("EPSG:32633").iloc[0]
    assert area.symmetric_difference(true).area < 1e-3 * true.area
    assert naive.symmetric_difference(true).area > 2e-2 * true.area


def test_a_layer_is_chosen_by_name(tmp_path):
    path = tmp_path / "two.gpkg"
    for layer, side in (("one", 1), ("two", 2)):
        gpd.GeoDataFrame(geometry=[box(0, 0, side, side)], crs=UTM).to_file(path, layer=layer)
    assert read_area(path, UTM, layer="two").area == 4
    with pytest.raises(AreaError, match=r"two.gpkg can't be read as a vector file: .*three"):
        read_area(path, UTM, layer="three")


def test_the_window_of_an_area_holds_it_and_not_a_pixel_more(grid):
    assert window_of(SQUARE, grid) == Window(10, 20, 10, 10)
    assert window_of(SQUARE.buffer(0.5), grid) == Window(9, 19, 12, 12)
    assert window_of(Point(500105, 4999995).buffer(0.1), grid) == Window(10, 0, 1, 1)
    assert window_of(box(0, 0, 1e7, 1e7), grid) == grid.window


@pytest.mark.parametrize("angle", [0, 30, 90, 200])
@pytest.mark.parametrize("flip", [1, -1])
def test_the_window_of_an_area_is_right_on_turned_grids_too(angle, flip):
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    turned = Grid((40, 50), Affine(10 * c, -10 * s * flip, 7e4, 10 * s, 10 * c * flip, 5e6), UTM)
    area = turned.crop(Window(7, 11, 13, 17)).polygon
    assert window_of(area, turned) == Window(7, 11, 13, 17)
    inside = rasterize(area, turned)
    assert inside[11:28, 7:20].all()
    assert inside.sum() == 13 * 17


def test_an_area_that_misses_the_raster_says_where_both_are(grid):
    with pytest.raises(
        AreaError, match=r"the area \(0.0, 0.0, 1.0, 1.0\) misses the raster, which"
    ):
        window_of(box(0, 0, 1, 1), grid)
    with pytest.raises(AreaError, match="misses the raster"):
        window_of(box(499000, 4999700, 500000, 4999800), grid)  # touches the edge only


def test_a_rasterized_area_is_true_where_pixel_middles_are_inside(grid):
    inside = rasterize(SQUARE, grid)
    assert inside.dtype == bool
    assert inside.sum() == 100
    assert inside[20:30, 10:20].all()
    grown = SQUARE.buffer(1, join_style="mitre")
    assert rasterize(grown, grid).sum() == 100
    assert rasterize(grown, grid, all_touched=True).sum() == 144
    assert not rasterize(box(0, 0, 1, 1), grid).any()
    assert not rasterize(Polygon(), grid).any()


def test_class_polygons_come_with_their_class_as_text(kept):
    path = kept([box(0, 0, 1, 1), box(1, 0, 2, 1), box(2, 0, 3, 1)], kind=[3, None, 11.0])
    assert [p.label for p in read_polygons(path, UTM, "kind")] == ["3", "11"]
    path = kept([box(0, 0, 1, 1)], "words.gpkg", kind=["river bank"])
    assert read_polygons(path, UTM, "kind")[0].label == "river bank"
    assert read_polygons(path, "EPSG:32632", "kind")[0].geometry.area == pytest.approx(1, rel=0.1)
    with pytest.raises(
        UnknownNameError, match=r"no field of words.gpkg named 'class'; there are kin"
    ):
        read_polygons(path, UTM, "class")
    with pytest.raises(AreaError, match="field 'kind' is empty for every polygon"):
        read_polygons(kept([box(0, 0, 1, 1)], kind=[None]), UTM, "kind")


def test_files_that_give_no_area_are_told_apart(kept, tmp_path):
    with pytest.raises(AreaError, match=r"none.gpkg: no such file"):
        read_area(tmp_path / "none.gpkg", UTM)
    (tmp_path / "text.gpkg").write_text("no vectors")
    with pytest.raises(AreaError, match=r"text.gpkg can't be read as a vector file"):
        read_area(tmp_path / "text.gpkg", UTM)
    with pytest.raises(AreaError, match=r"area.gpkg has no features"):
        read_area(kept([]), UTM)
    with pytest.raises(
        AreaError, match=r"bare.shp has no CRS, so its place is unknown \(a shapefile"
    ):
        read_area(kept([SQUARE], "bare.shp", None), UTM)
    with pytest.raises(AreaError, match="has no polygons but Point; buffer or close them first"):
        read_area(kept([Point(1, 1)], "points.gpkg"), UTM)
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    with pytest.raises(AreaError, match=r"table.csv is a table without geometries"):
        read_area(tmp_path / "table.csv", UTM)
    with pytest.raises(AreaError, match=r"can't be laid on a raster that has no CRS"):
        read_area(kept([SQUARE], "place.gpkg"), None)
    disc = "+proj=ortho +lat_0=0 +lon_0=0"  # shows half of the globe
    with pytest.raises(AreaError, match=r"reaches where .*ortho.* has no coordinates; clip it"):
        read_area(kept([box(60, 0, 120, 10)], "far.gpkg", "EPSG:4326"), disc)


def test_records_are_kept_as_a_layer_and_read_again(tmp_path):
    path = tmp_path / "new" / "chips.gpkg"
    records = [
        {"stem": f"chip_{i}", "share": i / 3, "row": i, "geometry": box(i, 0, i + 1, 1)}
        for i in range(4)
    ]
    assert write_gpkg(path, "chips", records, UTM) == path
    back = read_layer(path, "chips")
    assert back.crs.to_epsg() == 32633
    assert back["stem"].tolist() == [r["stem"] for r in records]
    assert back["share"].tolist() == [r["share"] for r in records]
    assert shapely.equals(back.geometry.to_numpy(), [r["geometry"] for r in records]).all()


def test_a_layer_is_replaced_and_its_neighbours_are_kept(tmp_path):
    path = tmp_path / "chips.gpkg"
    one = [{"n": 1, "geometry": box(0, 0, 1, 1)}]
    write_gpkg(path, "a", one * 3, UTM)
    write_gpkg(path, "b", one, UTM)
    write_gpkg(path, "a", one * 2, None)
    assert (len(read_layer(path, "a")), len(read_layer(path, "b"))) == (2, 1)
    assert read_layer(path, "a").crs is None
    assert [p.name for p in tmp_path.iterdir()] == ["chips.gpkg"]


def test_a_layer_that_can_not_be_written_leaves_the_old_file(tmp_path):
    path = tmp_path / "chips.gpkg"
    write_gpkg(path, "chips", [{"n": 1, "geometry": box(0, 0, 1, 1)}], UTM)
    before = path.read_bytes()
    with pytest.raises(AreaError, match=r"layer 'chips' of .*chips.gpkg can't be written"):
        write_gpkg(path, "chips", [{"n": 1j, "geometry": box(0, 0, 1, 1)}], UTM)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["chips.gpkg"]
    with pytest.raises(SettingError, match="there are no records to write"):
        write_gpkg(path, "chips", [], UTM)
    with pytest.raises(SettingError, match=r"chips.shp must end in .gpkg"):
        write_gpkg(tmp_path / "chips.shp", "chips", [{"geometry": box(0, 0, 1, 1)}], UTM)


def test_several_files_are_one_area(kept):
    left, right = box(0, 0, 2, 1), box(1, 0, 3, 1)
    paths = [kept([left], "a.gpkg"), kept([right], "b.gpkg")]
    assert read_areas([*paths, box(0, 1, 3, 2)], UTM).equals(box(0, 0, 3, 2))
    with pytest.raises(AreaError, match="no area is given"):
        read_areas([], UTM)


def test_a_path_can_name_a_layer(tmp_path):
    (tmp_path / "x.gpkg").touch()
    assert layer_of("x.gpkg|layername=old town") == ("x.gpkg", "old town")
    assert layer_of(tmp_path / "x.gpkg" / "main.roads") == (tmp_path / "x.gpkg", "roads")
    assert layer_of(tmp_path / "x.gpkg") == (tmp_path / "x.gpkg", None)
    assert layer_of("none.gdb/roads") == ("none.gdb/roads", None)


def test_polygons_come_with_their_fields_in_another_system(kept):
    path = kept([SQUARE], "one.gpkg")
    (row,) = attributes(path, "EPSG:4326")
    assert "geometry" in row
    assert -180 <= row["geometry"].bounds[0] <= 180
