import numpy as np
import pytest

from rs_gen.data.colours import coloured, display, display_bands
from rs_gen.data.side import Side
from rs_gen.errors import SettingError
from rs_gen.raster.values import Stretch

RGB = ("red", "green", "blue")


def side(low, high, names=RGB, dtype="uint16", **known):
    return Side(
        len(low), dtype, None, names, Stretch(low, high, known.pop("scale", "linear")), **known
    )


def shown(look, stored, **options):
    """(H, W, C) of one chip, given as stored values."""
    chip = np.ma.masked_array(np.asarray(stored, look.dtype))
    return coloured({"a": look.stretch.encode(chip)[None]}, look, **options)["a"][0]


def test_named_bands_give_the_colours():
    assert display_bands(("blue", "green", "red", "nir"), 4) == (2, 1, 0)
    assert display_bands(("B", "G", "R"), 3) == (2, 1, 0)
    assert display_bands(("", "", "", ""), 4) == (0, 1, 2)
    assert display_bands(("vv", "vh"), 2) == (0,)


def test_bands_can_be_asked_for_by_name_or_index():
    names = ("blue", "green", "red", "nir")
    assert display_bands(names, 4, ["NIR", "red", "green"]) == (3, 2, 1)
    assert display_bands(names, 4, [3]) == (3,)
    with pytest.raises(SettingError, match=r"rgb_bands=\['swir', 0, 1\] are not one or three"):
        display_bands(names, 4, ["swir", 0, 1])
    with pytest.raises(SettingError, match="there are 0 to 1"):
        display_bands((), 2, [5])


def test_a_flat_chip_does_not_divide_by_zero():
    shown = display(np.zeros((1, 1, 2, 2), "float32"), np.zeros((2, 1), "float32"))
    assert np.isfinite(shown).all()


def test_a_grey_ground_is_grey_whatever_each_bands_own_stretch():
    look = side((100, 200, 300), (1100, 2200, 900))
    ramp = np.linspace(0, 500, 24).reshape(4, 6)
    picture = shown(look, np.stack([ramp + 100, ramp + 200, ramp + 300]))
    assert np.allclose(picture, picture[..., :1], atol=0.01)
    assert picture.max() == pytest.approx((500 / 2000) ** 0.75, abs=0.01)


def test_a_band_with_little_contrast_is_not_blown_up():
    look = side((0, 0, 0), (1000, 1000, 100))
    picture = shown(look, np.stack([np.full((2, 2), v) for v in (1000, 1000, 100)]))
    assert picture[0, 0].tolist() == pytest.approx([1, 1, 0.1**0.75], abs=0.01)


def test_stored_statistics_keep_clouds_from_darkening_the_ground():
    look = side((0, 0, 0), (9000, 9000, 9000), mean=(500.0,) * 3, std=(200.0,) * 3)
    ground, dark, cloud = (np.full((3, 1, 1), v) for v in (900, 100, 8000))
    assert shown(look, ground).min() == pytest.approx(1, abs=1e-4)
    assert shown(look, dark).max() == pytest.approx(0, abs=0.01)
    assert shown(look, cloud).min() == 1


def test_eight_bit_colours_are_shown_as_stored_whatever_their_stretch():
    look = side((20, 40, 60), (200, 140, 90), dtype="uint8")
    stored = np.array([100, 120, 80], "uint8")[:, None, None]
    assert np.allclose(shown(look, stored)[0, 0], np.array([100, 120, 80]) / 255, atol=1e-3)


@pytest.mark.parametrize(
    "look",
    [
        side((0, 0, 0), (1, 2, 3), ("vv", "vh", "ratio"), "float32"),
        side((0, 0, 0), (1, 2, 3), ("",) * 3, "float32"),
        side((0, 0, 0), (1, 2, 3), dtype="float32", scale="db"),
    ],
    ids=["other names", "floats without names", "decibels"],
)
def test_bands_that_are_no_colours_are_stretched_one_by_one(look):
    encoded = np.linspace(-1, 1, 1200, dtype="float32").reshape(1, 1, 30, 40).repeat(3, axis=1)
    picture = coloured({"a": encoded}, look)["a"]
    assert picture.min(axis=(0, 1, 2)).tolist() == [0, 0, 0]
    assert picture.max(axis=(0, 1, 2)).tolist() == [1, 1, 1]


def test_a_false_colour_composite_stretches_each_band():
    look = side((0,) * 4, (1000, 1000, 1000, 6000), (*RGB, "nir"))
    stored = np.stack([np.linspace(0, top, 400).reshape(20, 20) for top in (500, 400, 300, 6000)])
    picture = shown(look, stored, rgb_bands=["nir", "red", "green"])
    assert picture.max(axis=(0, 1)).tolist() == [1, 1, 1]
    assert shown(look, stored, rgb_bands=RGB)[..., 2].max() < 0.5


def test_a_cut_takes_its_percentiles_from_the_chips_and_still_keeps_hues():
    look = side((0, 0, 0), (5000, 5000, 5000))
    stored = np.stack([np.linspace(0, top, 400).reshape(20, 20) for top in (1000, 500, 250)])
    picture = shown(look, stored, cut=0)
    assert picture.max(axis=(0, 1)).tolist() == pytest.approx([1, 0.5**0.75, 0.25**0.75], abs=0.01)


def test_the_columns_of_one_side_share_black_and_white():
    look = side((0, 0, 0), (1000, 1000, 1000), dtype="uint16")
    real = np.linspace(-1, 1, 1200, dtype="float32").reshape(1, 3, 20, 20)
    pair = coloured({"real": real, "fake": real - 0.5}, look)
    alone = coloured({"fake": real - 0.5}, look)
    assert np.array_equal(pair["fake"], alone["fake"])
    assert (pair["fake"] <= pair["real"]).all()


def test_sentinel_2_and_landsat_8_show_red_green_and_blue_by_their_numbers():
    sentinel = [f"B{i}" for i in range(1, 9)] + ["B8A", "B9", "B11", "B12"]
    assert display_bands(sentinel, 12) == (3, 2, 1)
    assert display_bands([f"B{i:02}" for i in range(1, 12)], 11) == (3, 2, 1)
    landsat_7 = [f"B{i}" for i in range(1, 8)]
    assert display_bands(landsat_7, 7) == (0, 1, 2)
