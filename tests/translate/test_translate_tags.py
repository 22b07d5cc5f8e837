from __future__ import annotations

from pathlib import Path

import numpy as np
from rasterio.windows import Window
from shapely.geometry import Point, box
from translating import grid_of, scene, write

from rs_gen.raster.reader import ArrayReader
from rs_gen.raster.values import Stretch
from rs_gen.translate.classes import classes_of
from rs_gen.translate.sides import Side
from rs_gen.translate.tags import asked_for
from rs_gen.translate.translator import Translator

READER = ArrayReader(np.zeros((2, 4, 4), "uint8"), grid_of((4, 4)), ["red", "nir"])


def test_only_what_was_asked_for_is_told():
    silent = {"area": None, "area_mode": "clip", "window": None, "resample": False}
    assert asked_for(READER, **silent) == {"bands": ["red", "nir"]}
    told = asked_for(READER, area=None, area_mode="mask", window=Window(1, 2, 3, 4), resample=True)
    assert told == {"bands": ["red", "nir"], "window": [1, 2, 3, 4], "resample": True}


def test_files_go_by_name_and_layers_with_their_file():
    areas = [Path("/home/ada/towns.shp"), "/data/plans.gdb/old", "x/y.gpkg|layername=b"]
    told = asked_for(READER, area=areas, area_mode="mask")
    assert told["area"] == ["towns.shp", "plans.gdb/old", "y.gpkg|layername=b"]
    assert told["area_mode"] == "mask"


def test_a_short_polygon_is_told_whole_and_a_long_one_by_digest():
    short = box(0, 0, 1, 1)
    assert asked_for(READER, area=short)["area"] == short.wkt
    long = asked_for(READER, area=Point(0, 0).buffer(1))["area"]
    assert long.startswith("Polygon sha256 ")
    assert long != asked_for(READER, area=Point(0, 0).buffer(2))["area"]


def test_classes_are_told_by_id():
    side = Side(Stretch((0.0,) * 3, (255.0,) * 3), "uint8")
    classes = classes_of("land=#000000,water=#0000ff", None, side)
    assert asked_for(READER, classes)["classes"] == {"0": "land", "1": "water"}


def test_the_same_run_in_another_folder_gives_the_same_bytes(tmp_path):
    made = []
    for name in ("one", "two"):
        path = write(tmp_path / name / "in.tif", scene((40, 40), 1))
        side = Side(Stretch((0.0,), (255.0,)), "uint8")
        translate = Translator(_identity(), side, side, device="cpu")
        made.append(translate(path, tmp_path / name / "out.tif", stac=False).read_bytes())
    assert made[0] == made[1]


def _identity():
    from torch import nn

    return nn.Identity()
