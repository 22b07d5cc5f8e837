"""Files, folders, patterns, indexes and STAC collections all come down to a list of rasters."""

import json

import pytest
from jobs import raster
from shapely.geometry import box

from rs_gen.errors import JobError, LayoutError, UnknownNameError
from rs_gen.raster.vector import write_gpkg
from rs_gen.translate.sources import find_sources, output_names


@pytest.fixture
def scenes(tmp_path):
    return [raster(tmp_path / f"in/{name}.tif", (20, 20), hole=False) for name in "abc"]


def test_a_file_a_folder_and_a_pattern_give_their_rasters(tmp_path, scenes):
    (tmp_path / "in" / "notes.txt").write_text("no raster")
    assert find_sources(scenes[1]) == [scenes[1]]
    assert find_sources(tmp_path / "in") == scenes
    assert find_sources(f"{tmp_path}/in/[ac].*") == [scenes[0], scenes[2]]
    assert find_sources(f"{tmp_path}/**/b.tif") == [scenes[1]]


def test_several_are_parted_by_semicolons_and_counted_once(tmp_path, scenes):
    assert find_sources(f"{scenes[2]}; {tmp_path / 'in'}") == [scenes[2], *scenes[:2]]
    assert find_sources([scenes[0], scenes[0]]) == [scenes[0]]


def test_a_vrt_is_a_raster_like_any_other(tmp_path, scenes):
    vrt = tmp_path / "mosaic.vrt"
    vrt.write_text("<VRTDataset/>")
    assert find_sources(vrt) == [vrt]


def test_the_jobs_own_outputs_are_no_sources(tmp_path, scenes):
    raster(tmp_path / "in/out/a.tif", (20, 20), hole=False)
    assert find_sources(f"{tmp_path}/in/**/*.tif", besides=tmp_path / "in/out") == scenes


def index(path, column, values):
    records = [{column: v, "geometry": box(i, 0, i + 1, 1)} for i, v in enumerate(values)]
    return write_gpkg(path, "tiles", records, "EPSG:32633")


@pytest.mark.parametrize("column", ["location", "Path", "filename"])
def test_an_index_names_rasters_beside_it_or_anywhere(tmp_path, scenes, column):
    path = index(tmp_path / "index.gpkg", column, ["in/a.tif", str(scenes[2])])
    assert find_sources(path) == [scenes[0], scenes[2]]


def test_the_column_of_an_index_can_be_said(tmp_path, scenes):
    path = index(tmp_path / "index.gpkg", "scene", ["in/b.tif"])
    assert find_sources(path, "scene") == [scenes[1]]
    with pytest.raises(JobError, match=r"no column named like location, .*; it has scene"):
        find_sources(path)
    with pytest.raises(UnknownNameError, match=r"no column of index.gpkg named 'tile'"):
        find_sources(path, "tile")


def test_a_geoparquet_index_is_read_too(tmp_path, scenes):
    geopandas = pytest.importorskip("geopandas")
    pytest.importorskip("pyarrow")
    path = tmp_path / "index.parquet"
    table = geopandas.GeoDataFrame(
        {"location": ["in/c.tif", "in/a.tif"]}, geometry=[box(0, 0, 1, 1)] * 2, crs="EPSG:4326"
    )
    table.to_parquet(path)
    assert find_sources(path) == [scenes[2], scenes[0]]
    path.write_bytes(b"PAR1 and no more")
    with pytest.raises(JobError, match=r"index.parquet can't be read as a GeoParquet index"):
        find_sources(path)


def item(name, **assets):
    return {"type": "Feature", "id": name, "assets": assets}


def collection(path, *items):
    path.write_text(json.dumps({"type": "FeatureCollection", "features": items}))
    return path


def test_of_a_stac_item_the_data_asset_is_taken(tmp_path, scenes):
    preview = {"href": "in/b.tif", "roles": ["thumbnail"], "type": "image/tiff"}
    path = collection(
        tmp_path / "items.json",
        item("one", preview=preview, image={"href": "./in/a.tif", "roles": ["data"]}),
        item("two", meta={"href": "in/meta.xml"}, image={"href": scenes[2].as_uri()}),
    )
    assert find_sources(path) == [scenes[0], scenes[2]]
    path = collection(tmp_path / "items.json", item("one", preview=preview, image=preview))
    assert find_sources(path, "preview") == [scenes[1]]
    with pytest.raises(UnknownNameError, match=r"no asset of one in items.json named 'B04'"):
        find_sources(path, "B04")


def test_a_single_stac_item_will_do(tmp_path, scenes):
    path = tmp_path / "item.json"
    path.write_text(json.dumps(item("one", visual={"href": "in/a.tif"})))
    assert find_sources(path) == [scenes[0]]


def test_what_is_no_source_is_refused_by_name(tmp_path, scenes):
    with pytest.raises(JobError, match="there are no rasters in"):
        find_sources(f"{tmp_path}/in/*.jp2")
    with pytest.raises(LayoutError, match="there is no folder"):
        find_sources(tmp_path / "nowhere")
    with pytest.raises(JobError, match=r"gone.tif is not there, nor are 0 others of 2"):
        find_sources([scenes[0], tmp_path / "gone.tif"])
    far = collection(tmp_path / "far.json", item("far", b={"href": "https://host/a.tif"}))
    with pytest.raises(JobError, match=r"https://host/a.tif, which lies on another machine"):
        find_sources(far)
    none = collection(tmp_path / "none.json", item("none", b={"href": "a.xml"}))
    with pytest.raises(JobError, match=r"no asset of none in none.json is a raster"):
        find_sources(none)
    none.write_text("{")
    with pytest.raises(JobError, match=r"none.json is no JSON"):
        find_sources(none)
    none.write_text("{}")
    with pytest.raises(JobError, match="holds no STAC items"):
        find_sources(none)


def test_outputs_are_named_after_their_rasters_whatever_the_order(tmp_path):
    paths = [tmp_path / p for p in ("a.tif", "x/b.tif", "y/b.tif", "y/b.vrt", "p/q/c.tif")]
    names = output_names(paths)
    assert names == ["a.tif", "b.tif", "b_tif.tif", "b_vrt.tif", "c.tif"]
    assert output_names(paths[::-1]) == names[::-1]
    twins = [tmp_path / "x/b.tif", tmp_path / "y/b.tif", tmp_path / "y/z.tif"]
    assert output_names(twins) == ["x_b.tif", "y_b.tif", "z.tif"]
    deep = [tmp_path / "1/x/b.tif", tmp_path / "2/x/b.tif"]
    assert output_names(deep) == ["1_x_b.tif", "2_x_b.tif"]
