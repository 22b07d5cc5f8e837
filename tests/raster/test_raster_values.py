import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis.strategies import floats, integers, sampled_from

from rs_gen.errors import SettingError, StretchWarning, UnknownNameError, ValueRangeError
from rs_gen.raster.presets import PRESETS
from rs_gen.raster.values import Stretch

COUNTS = (1, 3, 4, 10, 13)
INTEGERS = ("uint8", "int8", "uint16", "int16", "int32", "uint32")


def pixels_of(dtype, count, seed=0, size=24):
    """(C, H, W) of the dtype's whole range, some masked."""
    random = np.random.default_rng(seed)
    if dtype.startswith("float"):
        pixels = random.normal(50, 20, (count, size, size)).astype(dtype)
    else:
        info = np.iinfo(dtype)
        pixels = random.integers(info.min, info.max, (count, size, size), dtype, endpoint=True)
    return np.ma.MaskedArray(pixels, random.random(pixels.shape) < 0.1)


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "int32", "uint32"])
def test_integers_survive_encode_and_decode(dtype, count):
    stored = pixels_of(dtype, count)
    stretch = Stretch.fit(stored, "dtype")
    back = stretch.decode(stretch.encode(stored), dtype)
    step = 0 if np.iinfo(dtype).bits <= 16 else 2**32 * 2**-24
    assert back.dtype == stored.dtype
    assert np.abs(back.astype(float) - stored).max() <= step


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_floats_survive_encode_and_decode_within_a_millionth_of_the_range(dtype, count):
    stored = pixels_of(dtype, count)
    stretch = Stretch.fit(stored, "minmax")
    back = stretch.decode(stretch.encode(stored), dtype)
    steps = (np.array(stretch.high) - stretch.low)[:, None, None] * 2**-20
    assert back.dtype == stored.dtype
    assert (np.abs(back - stored) <= steps).all()


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16"])
@given(seed=integers(0, 1000), low=integers(-500, 60000), width=integers(1, 70000))
def test_values_inside_any_stretch_survive_as_they_are(dtype, seed, low, width):
    info = np.iinfo(dtype)
    first, last = max(low, info.min), min(low + width, info.max)
    if first > last:
        return
    stored = np.random.default_rng(seed).integers(first, last, (1, 9, 9), dtype, endpoint=True)
    stretch = Stretch((low,), (low + width,))
    assert (stretch.decode(stretch.encode(stored), dtype) == stored).all()


@given(offset=floats(-1e9, 1e9), width=floats(1e-3, 1e6))
def test_a_large_offset_costs_float64_no_precision(offset, width):
    stored = offset + width * np.linspace(0, 1, 100).reshape(1, 10, 10)
    stretch = Stretch((offset,), (offset + width,))
    back = stretch.decode(stretch.encode(stored), "float64")
    assert np.abs(back - stored).max() <= width * 2**-20 + 4 * np.spacing(abs(offset) + width)


def test_float32_far_from_zero_comes_back_within_its_own_step():
    stored = np.linspace(4_000_000, 4_000_100, 100, dtype="float32").reshape(1, 10, 10)
    stretch = Stretch((4_000_000.0,), (4_000_100.0,))
    assert (stretch.decode(stretch.encode(stored), "float32") == stored).all()


def test_encoding_by_hand():
    stored = np.ma.MaskedArray([[[0, 50, 100, 200, 7]]], [[[0, 0, 0, 0, 1]]], dtype="uint8")
    encoded = Stretch((0,), (100,)).encode(stored)
    assert encoded.dtype == np.float32
    assert encoded.tolist() == [[[-1, 0, 1, 1, 0]]]


def test_what_is_not_measured_becomes_the_middle_grey():
    stored = np.ma.MaskedArray(np.full((1, 2, 2), 9.0, "float32"), False)
    stored.data[0, 0, 0] = np.nan
    assert Stretch((0,), (10,)).encode(stored)[0, 0, 0] == 0
    assert not np.isnan(Stretch((0,), (10,)).encode(stored.data)).any()


def test_encoding_leaves_the_stored_pixels_alone():
    stored = pixels_of("float32", 2)
    before = stored.copy()
    for stretch in (Stretch((0, 0), (9, 9)), Stretch((0, 0), (9, 9), "db")):
        stretch.encode(stored)
    assert (stored.data == before.data).all()
    encoded = np.zeros((2, 3, 3), "float32")
    Stretch((1, 1), (9, 9)).decode(encoded, "float32", nodata=5)
    assert (encoded == 0).all()


@pytest.mark.parametrize("dtype", [*INTEGERS, "float32", "float64"])
@pytest.mark.parametrize("preset", ["minmax", "percentile"])
def test_a_measured_pixel_never_equals_nodata(dtype, preset):
    stored = pixels_of(dtype, 3)
    stretch = Stretch.fit(stored, preset)
    encoded = stretch.encode(stored.data)
    plain = stretch.decode(encoded, dtype)
    for nodata in {plain.min(), plain.max(), plain[1, 2, 3]}:
        moved = stretch.decode(encoded, dtype, nodata=float(nodata))
        assert not (moved == nodata).any()
        hit = plain == nodata
        assert hit.any()
        assert (moved == plain)[~hit].all()
        step = 1 if dtype in INTEGERS else abs(np.spacing(nodata))
        assert np.abs(moved[hit].astype("float64") - float(nodata)).max() <= step


@pytest.mark.parametrize("dtype", INTEGERS)
def test_nodata_at_the_end_of_a_dtype_is_left_inward(dtype):
    info = np.iinfo(dtype)
    stretch = Stretch((info.min,), (info.max,))
    ends = np.array([[[-1.0, 1.0]]], "float32")
    assert stretch.decode(ends, dtype, nodata=info.min).tolist() == [[[info.min + 1, info.max]]]
    assert stretch.decode(ends, dtype, nodata=info.max).tolist() == [[[info.min, info.max - 1]]]


def test_a_nodata_value_of_nan_or_out_of_the_way_changes_nothing():
    encoded = np.linspace(-1, 1, 9, dtype="float32").reshape(1, 3, 3)
    stretch = Stretch((0,), (100,))
    for nodata in (math.nan, -9999):
        assert (
            stretch.decode(encoded, "float32", nodata) == stretch.decode(encoded, "float32")
        ).all()


@pytest.mark.parametrize("dtype", INTEGERS)
def test_decoding_stays_inside_an_integer_dtype(dtype):
    info = np.iinfo(dtype)
    wide = Stretch((info.min - 1e6,), (info.max + 1e6,))
    ends = np.array([[[-1.0, 1.0]]], "float32")
    assert wide.decode(ends, dtype).tolist() == [[[info.min, info.max]]]


def test_floats_are_not_held_inside_any_range():
    decoded = Stretch((-1e6,), (1e6,)).decode(np.array([[[-1.0, 1.5]]], "float32"), "float32")
    assert decoded.tolist() == [[[-1e6, 1.5e6]]]


def test_a_pixel_that_is_not_a_number_can_not_be_decoded():
    with pytest.raises(ValueRangeError, match="not a number, so it has no stored value"):
        Stretch((0,), (1,)).decode(np.array([[[math.nan]]]), "uint8")


def test_radar_power_is_stretched_in_decibels():
    power = np.array([[[0.001, 0.01, 0.1, 1.0, 0.0, -1.0]]], "float32")
    stretch = Stretch((-30,), (0,), "db")
    assert stretch.encode(power) == pytest.approx(
        np.array([[[-1, -1 / 3, 1 / 3, 1, -1, -1]]]), abs=1e-6
    )
    back = stretch.decode(stretch.encode(power), "float32")
    assert back[..., :4] == pytest.approx(power[..., :4], rel=1e-5)


def test_power_stored_as_integers_survives_the_decibels():
    power = np.arange(1, 60001, dtype="uint16").reshape(1, 200, 300)
    stretch = Stretch.fit(power, "db", cut=0)
    assert stretch.high[0] == pytest.approx(10 * math.log10(60000))
    assert (stretch.decode(stretch.encode(power), "uint16") == power).all()


def test_the_fit_sees_valid_pixels_only():
    samples = np.ma.MaskedArray(np.arange(1, 101, dtype="uint16").reshape(1, 10, 10), False)
    samples[0, 0, 0], samples[0, 0, 1] = 0, 65535
    samples.mask = np.zeros(samples.shape, bool)
    samples.mask[0, 0, :2] = True
    stretch = Stretch.fit(samples, "minmax")
    assert (stretch.low, stretch.high) == ((3,), (100,))
    floats = np.array([[np.nan, 1, 2, np.inf, 3]], "float32")
    assert Stretch.fit(floats, "minmax") == Stretch((1,), (3,))


def test_presets_by_hand():
    ramp = np.arange(1001, dtype="uint16")[None]
    assert Stretch.fit(ramp) == Stretch.fit(ramp, "percentile") == Stretch((5,), (995,))
    assert Stretch.fit(ramp, "percentile", cut=10) == Stretch((100,), (900,))
    assert Stretch.fit(ramp, "minmax") == Stretch((0,), (1000,))
    assert Stretch.fit(ramp, "dtype") == Stretch((0,), (65535,))
    assert Stretch.fit(ramp, "reflectance") == Stretch((0,), (10000,))
    assert Stretch.fit(ramp, "reflectance", full=0.4) == Stretch((0,), (4000,))
    assert Stretch.fit(ramp / 1000, "reflectance") == Stretch((0,), (1,))
    near = Stretch.fit(ramp, "meanstd", deviations=1)
    assert near.low[0] == pytest.approx(500 - ramp.std())
    assert Stretch.fit(ramp, "meanstd") == Stretch((0,), (1000,))  # no wider than the values
    assert Stretch.fit(np.uint8([[3, 9]])) == Stretch((0,), (255,))
    power = 10 ** (np.linspace(-3, 0, 1001)[None])
    assert Stretch.fit(power, "db", cut=0).low[0] == pytest.approx(-30)
    assert Stretch.fit(power, "db").scale == "db"


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16"])
def test_every_preset_gives_each_band_a_range(preset, dtype):
    samples = np.random.default_rng(1).integers(1, 90, (4, 50, 50)).astype(dtype)
    stretch = Stretch.fit(samples, preset)
    assert len(stretch) == 4
    assert all(low < high for low, high in zip(stretch.low, stretch.high, strict=True))


@pytest.mark.parametrize("preset", ["percentile", "minmax", "meanstd", "db"])
@pytest.mark.parametrize("value", [0.25, 7, 300])
def test_a_constant_band_gets_a_range_around_its_value_and_a_warning(preset, value):
    for dtype in ("float32", "uint16") if value >= 1 else ("float32",):
        samples = np.full((2, 5, 5), value, dtype)
        samples[0] = np.arange(1, 26).reshape(5, 5)
        with pytest.warns(StretchWarning, match=f"band 2 is {value:g} everywhere") as caught:
            stretch = Stretch.fit(samples, preset)
        assert caught[0].filename == __file__
        back = stretch.decode(stretch.encode(samples), dtype)
        assert back[1] == pytest.approx(value, rel=1e-5)


def test_a_band_that_is_nearly_constant_keeps_its_few_other_values():
    labels = np.zeros((1, 100, 100), "uint16")
    labels[0, 0, 0] = 3
    assert Stretch.fit(labels, "percentile") == Stretch((0,), (3,))


def test_a_fit_that_can_not_work_names_the_band_and_the_remedy():
    samples = np.ma.MaskedArray(np.ones((3, 4, 4), "uint16"), False)
    samples.mask = np.zeros(samples.shape, bool)
    samples[0] = np.arange(16).reshape(4, 4)
    samples.mask[1] = True
    with pytest.raises(ValueRangeError, match="band 2 has no valid pixel to fit a stretch to"):
        Stretch.fit(samples, "minmax")
    with pytest.raises(ValueRangeError, match=r"band 1: many values are negative.*'percentile'"):
        Stretch.fit(np.full((1, 4), -12.5), "db")
    with pytest.raises(ValueRangeError, match="band 1: no value is above 0"):
        Stretch.fit(np.zeros((1, 4)), "db")
    with pytest.raises(ValueRangeError, match="band 1: float32 has no range of its own"):
        Stretch.fit(np.zeros((1, 4), "float32"), "dtype")


def test_presets_and_options_that_do_not_exist_are_named():
    samples = np.arange(9).reshape(1, 9)
    with pytest.raises(UnknownNameError, match="no stretch preset named 'percentil'; there are"):
        Stretch.fit(samples, "percentil")
    with pytest.raises(SettingError, match="'percentile' has no option 'cuts'; it takes cut"):
        Stretch.fit(samples, "percentile", cuts=2)
    with pytest.raises(SettingError, match="'minmax' has no option 'cut'; it takes none"):
        Stretch.fit(samples, "minmax", cut=2)
    with pytest.raises(SettingError, match="cut=50 must be a percentage from 0 to less than 50"):
        Stretch.fit(samples, "percentile", cut=50)
    with pytest.raises(SettingError, match="deviations=0 must be above 0"):
        Stretch.fit(samples, "meanstd", deviations=0)
    with pytest.raises(SettingError, match="full=0 and quantification=10000 must be above 0"):
        Stretch.fit(samples, "reflectance", full=0)


@pytest.mark.parametrize("scale", ["linear", "db"])
def test_a_stretch_survives_json_bit_for_bit(scale):
    stretch = Stretch((0.1, -1 / 3), (1e9 + 0.1, 2 / 3), scale)
    assert Stretch.from_dict(json.loads(json.dumps(stretch.to_dict()))) == stretch


def test_bands_are_taken_in_the_order_asked_for():
    stretch = Stretch((1, 2, 3), (4, 5, 6), "db")
    assert stretch.bands([2, 0, 0]) == Stretch((3, 1, 1), (6, 4, 4), "db")
    with pytest.raises(ValueRangeError, match="no band 3 in a stretch of bands 0 to 2"):
        stretch.bands([3])


def test_a_stretch_that_makes_no_sense_is_refused():
    with pytest.raises(ValueRangeError, match="band 2: low=5 is not below high=5"):
        Stretch((0, 5), (1, 5))
    with pytest.raises(ValueRangeError, match="band 1: low=nan, high=1 must be finite"):
        Stretch((math.nan,), (1,))
    with pytest.raises(ValueRangeError, match="there are 1 lows and 2 highs"):
        Stretch((0,), (1, 2))
    with pytest.raises(ValueRangeError, match="scale='log' is unknown"):
        Stretch((0,), (1,), "log")
    with pytest.raises(ValueRangeError, match="is not a stretch; it needs low and high"):
        Stretch.from_dict({"low": [0]})
    with pytest.raises(ValueRangeError, match="has 1 bands but the pixels have 2"):
        Stretch((0,), (1,)).encode(np.zeros((2, 3, 3)))


@pytest.mark.parametrize(
    ("dtype", "nodata"), [("uint8", -9999), ("uint8", 256), ("uint8", 0.5), ("int16", math.nan)]
)
def test_a_nodata_value_that_the_dtype_can_not_hold_is_refused(dtype, nodata):
    with pytest.raises(ValueRangeError, match=f"nodata={nodata:g} does not fit {dtype}"):
        Stretch((0,), (1,)).decode(np.zeros((1, 2, 2)), dtype, nodata)


@given(
    dtype=sampled_from(["uint8", "uint16", "int16", "float32"]),
    seed=integers(0, 99),
    preset=sampled_from(["percentile", "minmax", "meanstd"]),
)
def test_encoded_values_never_leave_the_range(dtype, seed, preset):
    stored = pixels_of(dtype, 2, seed, 12)
    encoded = Stretch.fit(stored, preset).encode(stored)
    assert encoded.min() >= -1
    assert encoded.max() <= 1
    assert (encoded[stored.mask] == 0).all()
