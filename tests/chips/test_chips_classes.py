from __future__ import annotations

import geopandas as gpd
import pytest
from affine import Affine
from shapely.geometry import box

from rs_gen.chips.choosing import folder_name
from rs_gen.chips.classes import export_class_chips
from rs_gen.chips.index import read_index
from rs_gen.chips.layouts import find_layout
from rs_gen.errors import AreaError, SettingError, UnknownNameError

UTM = Affine(10, 0, 500000, 0, -10, 5000000)


@pytest.fixture
def polygons(tmp_path):
    def write(*classes, crs=4326, field="class"):
        shapes = []
        for _, left, top, right, bottom in classes:
            (x0, y0), (x1, y1) = UTM * (left, top), UTM * (right, bottom)
            shapes.append(box(x0, y1, x1, y0))
        table = gpd.GeoDataFrame({field: [c[0] for c in classes]}, geometry=shapes, crs=32633)
        table.to_crs(crs).to_file(tmp_path / "classes.gpkg")
        return tmp_path / "classes.gpkg"

    return write


def test_chips_go_to_the_class_that_covers_most_of_them(raster, polygons, tmp_path):
    path = polygons(("Forest", 0, 0, 80, 128), ("Water", 80, 0, 128, 64), crs=32633)
    export = export_class_chips(raster(), path, "class", tmp_path / "out", 32, valid_share=0)
    table = read_index(tmp_path / "out").set_index("stem").label
    expected = {f"000_{r:05d}_{c:05d}": "Forest" for r in range(4) for c in range(3)}
    expected |= {"000_00000_00003": "Water", "000_00001_00003": "Water"}
    assert table.to_dict() == expected
    assert (export.written, export.skipped) == (14, 6)
    layout = find_layout(tmp_path / "out")
    assert (layout.kind, layout.classes) == ("classes", ("Forest", "Water"))
    assert layout.labels.count("Water") == 2


def test_polygons_of_another_crs_and_a_higher_share(raster, polygons, tmp_path):
    path = polygons(("Forest", -1, -1, 81, 130))
    export = export_class_chips(raster(), path, "class", tmp_path / "out", 32, min_share=0.99)
    assert export.written == 8


def test_class_chips_are_split_by_place_and_overwritten_whole(raster, polygons, tmp_path):
    source, out = raster(shape=(320, 320)), tmp_path / "out"
    export_class_chips(source, polygons(("A", 0, 0, 320, 320)), "class", out, 32)
    layout = find_layout(out)
    assert set(layout.valid_labels) == {"A"}
    with pytest.raises(SettingError, match="classes was"):
        export_class_chips(source, polygons(("B", 0, 0, 320, 320)), "class", out, 32)
    export_class_chips(source, polygons(("B", 0, 0, 320, 320)), "class", out, 32, overwrite=True)
    assert find_layout(out).classes == ("B",)
    assert not (out / "A").exists()


def test_labels_become_safe_folder_names():
    assert folder_name("Forest/mixed: old") == "Forest_mixed_ old"
    assert not folder_name("../..").startswith(".")
    assert folder_name("..") == "_"


def test_wrong_polygons_are_refused(raster, polygons, tmp_path):
    out = tmp_path / "out"
    path = polygons(("A", 0, 0, 64, 64))
    with pytest.raises(UnknownNameError, match=r"no field of classes.gpkg named 'kind'"):
        export_class_chips(raster(), path, "kind", out, 32)
    with pytest.raises(SettingError, match="min_share=0 must be above 0"):
        export_class_chips(raster(), path, "class", out, 32, min_share=0)
    with pytest.raises(SettingError, match="min_valid=3 must be from 0 to 1"):
        export_class_chips(raster(), path, "class", out, 32, min_valid=3)
    with pytest.raises(SettingError, match=r"classes 'A/x' and 'A:x' would share the folder 'A_x'"):
        export_class_chips(raster(), polygons(("A/x", 0, 0, 9, 9), ("A:x", 0, 0, 9, 9)), "class",
                           out, 32)  # fmt: skip
    with pytest.raises(AreaError, match=r"classes.gpkg miss all 1 rasters"):
        export_class_chips(raster(), polygons(("A", 900, 900, 999, 999)), "class", out, 32)
