"""What a model's sides are, and how an output is stored."""

import numpy as np
import pytest
from translating import BYTES, scene, write

from rs_gen.errors import SettingError, ValueRangeError
from rs_gen.raster.reader import RasterReader
from rs_gen.raster.values import Stretch
from rs_gen.translate.checks import Output, choose_bands, choose_output
from rs_gen.translate.sides import Side

HEIGHTS = Side(Stretch((0.0,), (10.0,)), "int16", -9999)


def test_a_side_comes_from_a_card_a_stretch_or_a_side():
    held = {
        "count": 3, "dtype": "uint8", "nodata": 0, "names": ["r", "g", "b"], "crs": "EPSG:1",
        "stretch": BYTES.to_dict(), "resolution": [4.0, 9.0], "mean": [], "std": [],
    }  # fmt: skip
    side = Side.of(held)
    assert side == Side(BYTES, "uint8", 0, ("r", "g", "b"), 6.0)
    assert Side.of(side) == side

    class Held:
        def to_dict(self):
            return held

    assert Side.of(Held()) == side
    assert Side.of(BYTES, dtype="int16", nodata=None).dtype == "int16"


def test_a_side_without_a_stretch_is_refused():
    with pytest.raises(SettingError, match="needs a 'stretch'"):
        Side.of({"count": 3})


def test_a_side_has_one_name_for_each_band():
    with pytest.raises(SettingError, match="2 band names for 3 bands"):
        Side.of(BYTES, names=("a", "b"))


@pytest.mark.parametrize(
    ("asked", "holes", "expected"),
    [
        ({}, True, Output("int16", -9999, False)),
        ({"dtype": "uint8"}, False, Output("uint8", None, False)),
        ({"dtype": "uint8"}, True, Output("uint8", None, True)),
        ({"dtype": "uint8", "nodata": 7}, True, Output("uint8", 7, False)),
        ({"nodata": None}, True, Output("int16", None, True)),
    ],
)
def test_an_output_is_stored_as_asked_or_as_the_target_is(asked, holes, expected):
    settings = {"dtype": None, "nodata": "auto", **asked}
    assert choose_output(HEIGHTS, **settings, holes=holes) == expected


def test_values_that_do_not_fit_are_refused():
    with pytest.raises(ValueRangeError, match="nodata=256 does not fit uint8"):
        choose_output(HEIGHTS, "uint8", 256, holes=True)
    with pytest.raises(SettingError, match="nodata='none' is not a number, 'auto' or None"):
        choose_output(HEIGHTS, "uint8", "none", holes=True)
    for dtype in ("complex64", "float16", "colour", "bool"):
        with pytest.raises(SettingError, match=f"dtype='{dtype}' is not one that a raster can"):
            choose_output(HEIGHTS, dtype, None, holes=True)


def test_numbered_bands_have_no_names_to_go_by(tmp_path):
    names = ["band_4", "band_3", "band_2"]
    path = write(tmp_path / "in.tif", scene((9, 9)).astype(np.uint8), names=names)
    side = Side(BYTES, "uint8", names=("band_1", "band_2", "band_3"))
    with RasterReader(path) as reader:
        assert choose_bands(reader, side) == [0, 1, 2]
