import json
import math

import pytest

from rs_gen.data.side import Side
from rs_gen.errors import ChipError, ValueRangeError
from rs_gen.raster.values import Stretch

SIDE = Side(3, "uint16", 0.0, ("red", "green", "nir"), Stretch((1, 2, 3), (10, 20, 30)), 10.0,
            "EPSG:32633", (4.0, 5.0, 6.0), (1.0, 1.0, 1.0))  # fmt: skip


def test_a_side_survives_json():
    assert Side.from_dict(json.loads(json.dumps(SIDE.to_dict()))) == SIDE


def test_a_side_with_nan_for_nodata_survives_strict_json():
    side = Side(1, "float32", math.nan, (), Stretch((0,), (1,)))
    again = Side.from_dict(json.loads(json.dumps(side.to_dict(), allow_nan=False)))
    assert math.isnan(again.nodata)
    assert again.names == ("",)


def test_some_bands_of_a_side_keep_what_is_theirs():
    some = SIDE.bands((2, 0))
    assert some.names == ("nir", "red")
    assert some.stretch == Stretch((3, 1), (30, 10))
    assert (some.count, some.mean) == (2, (6.0, 4.0))


def test_a_side_reads_as_a_person_would_say_it():
    assert str(SIDE) == "3 bands (red, green, nir), uint16, nodata 0, 10 m, EPSG:32633"
    assert str(Side(1, "uint8", None, (), Stretch((0,), (255,)))) == "1 band, uint8"


def test_a_side_whose_parts_disagree_is_refused():
    with pytest.raises(ChipError, match="a side of 2 bands has 2 names and a stretch of 1"):
        Side(2, "uint8", None, ("a", "b"), Stretch((0,), (1,)))


def test_what_describes_no_side_is_refused():
    with pytest.raises(ChipError, match="does not describe a side"):
        Side.from_dict({"count": 3})
    with pytest.raises(ValueRangeError, match="not a stretch"):
        Side.from_dict({**SIDE.to_dict(), "stretch": {}})
