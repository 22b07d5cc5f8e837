import pytest

from rs_gen.data.options import Options, kind_of
from rs_gen.errors import SettingError
from rs_gen.raster.values import Stretch


def test_an_unknown_option_is_answered_with_the_nearest_one():
    with pytest.raises(SettingError, match=r"no option 'jiter' \(did you mean jitter\?\); there"):
        Options.of({"jiter": True})


@pytest.mark.parametrize(
    ("name", "text"),
    [("resize_to", "use chip_size"), ("rgb_bands", "show_batch"), ("extract_bands", "use bands")],
)
def test_words_of_arcgis_learn_without_a_twin_say_what_to_do(name, text):
    with pytest.raises(SettingError, match=text):
        Options.of({name: 1})


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"sample": 0}, "sample=0 is not a whole number of at least 1"),
        ({"num_workers": -1}, "num_workers=-1 is not a whole number of at least 0"),
        ({"min_size": 2.5}, "min_size=2.5 is not a whole number"),
        ({"balance": 3}, "balance=3 is neither a bool nor between 0 and 1"),
        ({"balance": "yes"}, "balance='yes' is neither"),
        ({"valid": "001"}, "valid='001' is one text"),
        ({"valid": ["1"], "valid_path": "x"}, "give one"),
    ],
)
def test_values_that_can_not_work_are_refused(given, text):
    with pytest.raises(SettingError, match=text):
        Options.of(given)


def test_balance_is_a_share():
    assert Options.of({}).rare_share() is None
    assert Options.of({"balance": True}).rare_share() == 0.25
    assert Options.of({"balance": 0}).rare_share() == 0
    assert Options.of({"balance": 0.1}).rare_share() == 0.1


def test_a_stretch_is_a_name_a_dict_or_a_stretch():
    ready = Stretch((0,), (1,))
    options = Options(stretch="percentile", b_stretch=ready)
    assert options.stretch_of("a").preset == "percentile"
    assert options.stretch_of("b").stretch == ready
    assert Options(stretch=ready.to_dict()).stretch_of("a").stretch == ready
    fit = Options(a_stretch={"preset": "percentile", "cut": 2}).stretch_of("a")
    assert (fit.preset, fit.options) == ("percentile", {"cut": 2})
    assert Options().stretch_of("a").preset is None


def test_a_stretch_that_is_none_of_these_is_refused():
    with pytest.raises(SettingError, match="b_stretch=3 is neither a preset's name, a Stretch"):
        Options(b_stretch=3).stretch_of("b")


def test_dataset_types_have_the_names_that_users_know():
    assert kind_of(None) is None
    assert kind_of("CycleGAN") == "CycleGAN"
    assert kind_of("pix2pix") == "Pix2Pix"
    assert kind_of("Export_Tiles") == "Pix2Pix"


def test_an_unknown_dataset_type_is_answered_with_the_known_ones():
    with pytest.raises(
        SettingError,
        match=r"'pixpix' is unknown; there are CycleGAN, Pix2Pix, Export_Tiles, "
        r"ImageGeneration, FewShot "
        r"\(did you mean Pix2Pix\?\)",
    ):
        kind_of("pixpix")
