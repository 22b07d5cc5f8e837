import numpy as np
import pytest
from PIL import ImageFile

from rs_gen.chips.index import write_card
from rs_gen.data.databunch import prepare_data
from rs_gen.data.side import Side
from rs_gen.errors import ChipError, RSGenError, SettingError, ValueRangeError
from rs_gen.raster.values import Stretch


def card(folder, a, b):
    write_card(folder, {"size": 32, "stride": 32, "a": a.to_dict(), "b": b.to_dict()})


@pytest.fixture
def stored():
    names = ("blue", "green", "red", "nir")
    a = Side(4, "uint16", None, names, Stretch((0, 1, 2, 3), (4000, 4001, 4002, 4003)), 10.0)
    return a, Side(3, "uint8", None, ("red", "green", "blue"), Stretch((0,) * 3, (255,) * 3))


@pytest.fixture
def multispectral(make, stored):
    folder = make(6, bands=(4, 3), dtypes=("uint16", "uint8"), suffix=".tif")
    card(folder, *stored)
    return folder


def test_the_sides_may_differ_in_bands_and_dtype(make):
    data = prepare_data(make(6, bands=(5, 1), dtypes=("uint16", "uint8"), suffix=".tif"))
    a, b = data.one_batch()
    assert a.shape == (4, 5, 32, 32)
    assert b.shape == (4, 1, 32, 32)
    assert (data.a.dtype, data.b.dtype) == ("uint16", "uint8")
    assert data.a.stretch.high[0] > 3500
    assert data.b.stretch == Stretch((0,), (255,))
    assert data.a.crs == "EPSG:32633"
    assert data.a.resolution == pytest.approx(10, rel=0.01)


def test_a_stored_stretch_is_used(multispectral, stored):
    data = prepare_data(multispectral)
    assert (data.a, data.b) == stored


def test_bands_are_chosen_by_index_or_name_and_keep_their_stored_stretch(multispectral):
    by_name = prepare_data(multispectral, bands=["NIR", "red"], bands_b=[0])
    by_index = prepare_data(multispectral, bands=[3, 2], bands_b=["red"])
    assert by_name.a.stretch == Stretch((3, 2), (4003, 4002))
    assert (by_name.n_channel, by_name.c) == (2, 1)
    assert by_name.a == by_index.a
    _a, _b = prepare_data(multispectral, transforms=False).train_ds[0]
    some_a, some_b = by_name.train_ds.draw(by_name.train.batches.plan(0)[0][0]._replace(position=0))
    assert some_a.shape == (2, 32, 32)
    assert some_b.shape == (1, 32, 32)


def test_a_chosen_band_is_really_that_band(multispectral):
    whole = prepare_data(multispectral, transforms=False).valid_ds[0]
    some = prepare_data(multispectral, bands=["red", "blue"], transforms=False).valid_ds[0]
    assert (some[0] == whole[0][[2, 0]]).all()


def test_bands_can_be_chosen_without_a_card(make):
    folder = make(6, bands=(5, 3), dtypes=("uint16", "uint8"), suffix=".tif")
    whole = prepare_data(folder, transforms=False).valid_ds[0]
    some = prepare_data(folder, bands=[4, 0], bands_b=["blue"], transforms=False).valid_ds[0]
    assert (some[0] == whole[0][[4, 0]]).all()
    assert (some[1] == whole[1][[2]]).all()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"bands": ["swir"]}, "no band of side A named 'swir'; there are blue, green, nir, red"),
        ({"bands": [4]}, r"side A has no band 4; its 4 bands are 0 to 3 \(blue, green"),
        ({"bands_b": [-1]}, "side B has no band -1"),
        ({"bands": "red"}, r"bands='red' is not a list of bands, such as \[0, 1, 2\]"),
        ({"bands_b": []}, r"bands_b=\[\] is not a list"),
        ({"a_stretch": Stretch((0,), (1,))}, "stretch given for side A has 1 bands but its chips"),
        ({"stretch": "perzentile"}, "no stretch preset named 'perzentile'"),
        ({"stretch": {"preset": "percentile", "kut": 1}}, "has no option 'kut'"),
    ],
)
def test_bands_and_stretches_that_can_not_be_are_refused(multispectral, options, text):
    with pytest.raises(RSGenError, match=text):
        prepare_data(multispectral, **options)


def test_a_stretch_of_ones_own_takes_precedence(multispectral):
    mine = Stretch((0,) * 4, (5000,) * 4)
    assert prepare_data(multispectral, a_stretch=mine).a.stretch == mine
    assert prepare_data(multispectral, a_stretch=mine, bands=[0]).a.stretch == mine.bands([0])
    fitted = prepare_data(multispectral, a_stretch="minmax").a.stretch
    assert max(fitted.high) < 4000
    narrow = prepare_data(multispectral, a_stretch={"preset": "percentile", "cut": 10}).a.stretch
    assert narrow.high[0] < fitted.high[0]


def test_a_preset_that_is_not_for_these_values_names_the_side(make):
    folder = make(4, dtypes=("float32", "uint8"), bands=(1, 1), suffix=".tif")
    with pytest.raises(ValueRangeError, match="side A: band 1: float32 has no range of its own"):
        prepare_data(folder, a_stretch="dtype")


def test_only_a_sample_of_the_chips_is_decoded(make, monkeypatch):
    folder, decoded = make(40), set()
    load = ImageFile.ImageFile.load

    def counting(image):
        decoded.add(image.filename)
        return load(image)

    monkeypatch.setattr(ImageFile.ImageFile, "load", counting)
    data = prepare_data(folder, sample=5)
    assert len(decoded) == 10
    gather = list(data.train)
    assert len(gather) == len(data.train)
    assert len(decoded) > 60


def test_a_wrong_band_count_found_later_is_named(make, write_chip, chip):
    folder = make(40)
    write_chip(folder / "train_b" / "013.png", chip(0, 1, 32, 32))
    with pytest.raises(ChipError, match=r"train_b.*013\.png"):
        for _ in prepare_data(folder, sample=1, seed=3).train:
            pass


def test_a_chip_unlike_the_others_in_the_sample_is_named(make, write_chip, chip):
    folder = make(8)
    write_chip(folder / "train_b" / "003.png", chip(0, 1, 32, 32))
    with pytest.raises(ChipError, match="the chips of one side must agree"):
        prepare_data(folder, valid=["000"])


def test_a_chip_of_another_size_found_later_is_named(make, write_chip, chip):
    folder = make(40)
    for side in "ab":
        write_chip(folder / f"train_{side}" / "013.png", chip(0, 3, 20, 32))
    with pytest.raises(ChipError, match=r"013\.png is 32 x 20 px, smaller than chip_size=32; pass"):
        for _ in prepare_data(folder, sample=1, seed=3, valid=["000"]).train:
            pass


def test_pairs_of_unequal_size_are_refused_at_once(make, write_chip, chip):
    folder = make(4)
    for i in range(4):
        write_chip(folder / "train_b" / f"{i:03d}.png", chip(i, 3, 64, 64))
    with pytest.raises(ChipError, match=r"is 32 x 32 px but its partner .* is 64 x 64 px; both"):
        prepare_data(folder)
    assert prepare_data(folder, "CycleGAN").chip_size == 32


def test_a_chip_size_that_does_not_fit_is_refused_with_the_sizes(make):
    with pytest.raises(ChipError, match="chip_size=64 does not fit chips of 32 x 32 px"):
        prepare_data(make(4), chip_size=64)


def test_a_set_that_does_not_fit_is_not_cached(make):
    folder = make(8)
    assert prepare_data(folder)._built.cached
    assert not prepare_data(folder, cache=False)._built.cached
    assert not prepare_data(folder, cache=1e-5)._built.cached


def test_all_chips_of_one_colour_can_not_be_balanced(make, write_chip):
    folder = make(4)
    for i in range(4):
        write_chip(folder / "train_b" / f"{i:03d}.png", np.full((3, 32, 32), 9, "uint8"))
    with pytest.raises(SettingError, match="balance: all 3 pairs are of one colour"):
        prepare_data(folder, balance=True)


def test_balance_shortens_the_epoch_and_says_so(make, write_chip):
    folder = make(9)
    for i in range(4):
        write_chip(folder / "train_b" / f"{i:03d}.png", np.full((3, 32, 32), 9, "uint8"))
    data = prepare_data(folder, balance=0.5, valid=["008"])
    assert len(data.train_ds) == 6
    assert "4 pairs are of one colour; 50% of them are shown an epoch" in data.summary()
    unpaired = prepare_data(folder, "CycleGAN", balance=0.5, valid=["008"])
    assert "0 chips of A are of one colour" in unpaired.summary()
    assert "4 chips of B are of one colour" in unpaired.summary()


def test_a_random_split_of_chips_that_have_neighbours_comes_with_a_warning_word(make):
    folder = make(8, suffix=".tif")
    assert "neighbours may lie on both sides" in prepare_data(folder).summary()
    assert "neighbours" not in prepare_data(folder, valid=["001"]).summary()
    assert "neighbours" not in prepare_data(make(8, name="plain")).summary()
