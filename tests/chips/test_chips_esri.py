from __future__ import annotations

import json

import pytest
from affine import Affine

from rs_gen.chips import esri
from rs_gen.chips.welford import Moments
from rs_gen.errors import LayoutError
from rs_gen.raster.grid import Grid

GRID = Grid((4, 4), Affine(10, 0, 500000, 0, -10, 5000000), "EPSG:32633")
SIDES = [
    esri.Side(GRID, ("red", "nir"), (Moments(32, 5, 62, 1, 9), Moments(32, 7, 62, 2, 9)), 3),
    esri.Side(GRID, ("gray",), (Moments(32, 1.5, 31, 0, 3),)),
]


@pytest.fixture
def written(tmp_path):
    rows = [("images/000000000000.tif", "images2/000000000000.tif"),
            ("images/000000000003.tif", "images2/000000000003.tif")]  # fmt: skip
    esri.write_files(tmp_path, rows, SIDES, mode="Export_Tiles", size=4, next_index=9)
    return tmp_path


def test_map_txt_has_backslashes_and_two_blanks(written):
    lines = (written / "map.txt").read_text().splitlines()
    assert lines[0] == r"images\000000000000.tif  images2\000000000000.tif"


def test_map_txt_is_read_back_whatever_its_blanks(written, tmp_path):
    assert esri.read_map(written / "map.txt")[1] == (
        "images/000000000003.tif",
        "images2/000000000003.tif",
    )
    (tmp_path / "old.txt").write_text("images\\1.tif labels\\1.tif \n\n")
    assert esri.read_map(tmp_path / "old.txt") == [("images/1.tif", "labels/1.tif")]


def test_stats_txt_starts_as_esris_does(written):
    lines = (written / "stats.txt").read_text().splitlines()
    assert lines[0] == "images = 2 *2*4*4"
    assert lines[1:4] == ["", "Class feature statistics:", "features = 0"]
    heading = lines[-1]
    ends = [heading.index(w) + len(w) for w in ("cls value", "images", "features", "min size")]
    assert ends == [57, 68, 79, 91]  # as in a file of ArcGIS Pro 3.1
    assert esri.read_stats(written / "stats.txt") == {
        "images": 2,
        "bands": 2,
        "height": 4,
        "width": 4,
    }


def test_json_is_laid_out_as_esris(written):
    text = (written / esri.ACCUMULATED).read_text()
    assert text.startswith('{\n  "Version" : 1,\n  "NumBands" : 2,')


def test_accumulated_statistics_can_go_on(written):
    content = esri.read_json(written / esri.ACCUMULATED)
    assert content["MetaDataMode"] == "Export_Tiles"
    assert (content["TileSizeX"], content["NumTiles"], content["NextTileIndex"]) == (4, 2, 9)
    assert content["MinCellSize"] == {
        "x": 10, "y": 10, "spatialReference": {"wkid": 32633, "latestWkid": 32633}
    }  # fmt: skip
    assert content["InputRastersProps"]["RasterCount"] == 3
    assert content["BandStatsState2"][0]["StdDev"] == 0
    assert esri.read_moments(content) == SIDES[0].moments
    assert esri.read_moments(content, "b") == SIDES[1].moments


def test_the_definition_publishes_the_deviation(written):
    content = esri.read_json(written / esri.DEFINITION)
    assert content["ImageHeight"] == content["ImageWidth"] == 4
    assert content["ImageSpaceUsed"] == "MAP_SPACE"
    assert content["AllTilesStats"][0] == {
        "BandName": "red", "Min": 1, "Max": 9, "Mean": 5, "StdDev": pytest.approx(2**0.5)
    }  # fmt: skip
    tiles = esri.tile_statistics(written, "esri_pairs", "b")
    assert [(t.name, t.min, t.max, t.mean, t.std) for t in tiles] == [("gray", 0, 3, 1.5, 1.0)]


def test_world_files_give_the_middle_of_the_first_pixel():
    assert esri.world_file(GRID).split() == ["10.0", "0.0", "0.0", "-10.0", "500005.0", "4999995.0"]


def test_datasets_without_esris_files_have_no_tile_statistics(tmp_path):
    assert esri.tile_statistics(tmp_path, "esri_pairs", "a") is None
    (tmp_path / esri.DEFINITION).write_text(json.dumps({"ImageHeight": "e.g. 256"}))
    assert esri.tile_statistics(tmp_path, "esri_pairs", "a") is None


def test_broken_files_are_named(tmp_path):
    bad = tmp_path / esri.DEFINITION
    bad.write_text("{")
    with pytest.raises(LayoutError, match=r"esri_model_definition.emd can't be read as JSON"):
        esri.tile_statistics(tmp_path, "esri_pairs", "a")
    bad.write_text("[]")
    with pytest.raises(LayoutError, match=r"holds no JSON object"):
        esri.read_json(bad)
    bad.write_text('{"AllTilesStats": [{"Min": 1}]}')
    with pytest.raises(LayoutError, match=r"AllTilesStats is not a list of band statistics"):
        esri.tile_statistics(tmp_path, "esri_pairs", "a")
    bad.write_text("nothing")
    with pytest.raises(LayoutError, match=r"does not start with 'images = COUNT"):
        esri.read_stats(bad)
    with pytest.raises(LayoutError, match=r"can't be read as a map.txt"):
        esri.read_map(tmp_path / "none.txt")
