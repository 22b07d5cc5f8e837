import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rs_gen.data.draws import dice
from rs_gen.data.transforms import Augment, Jitter, averaged, crop, dihedral
from rs_gen.errors import SettingError


def test_the_eight_turns_are_eight_different_pictures_of_the_same_pixels():
    chip = np.arange(18).reshape(2, 3, 3)
    turned = [dihedral(chip, k) for k in range(8)]
    assert len({t.tobytes() for t in map(np.ascontiguousarray, turned)}) == 8
    assert all(sorted(t[0].ravel()) == sorted(chip[0].ravel()) for t in turned)
    assert (turned[0] == chip).all()


def test_a_quarter_turn_is_counter_clockwise_and_four_is_a_mirror():
    chip = np.array([[[1, 2], [3, 4]]])
    assert dihedral(chip, 1).tolist() == [[[2, 4], [1, 3]]]
    assert dihedral(chip, 4).tolist() == [[[2, 1], [4, 3]]]


@given(st.integers(1, 12), st.integers(0, 9), st.integers(0, 9), st.floats(0, 1), st.floats(0, 1))
def test_a_crop_lies_inside_its_chip(size, down, across, row, col):
    chip = np.arange((size + down) * (size + across)).reshape(1, size + down, size + across)
    cut = crop(chip, size, (row, col))
    assert cut.shape == (1, size, size)
    assert (np.diff(cut[0], axis=0) == size + across).all()


def test_the_ends_of_a_crop_are_the_corners_and_the_middle_is_the_middle():
    chip = np.arange(25).reshape(1, 5, 5)
    assert crop(chip, 3, (0, 0))[0, 0, 0] == 0
    assert crop(chip, 3, (1, 1))[0, 2, 2] == 24
    assert crop(chip, 3)[0, 1, 1] == 12


def test_every_place_of_a_crop_is_equally_likely():
    chip = np.arange(6).reshape(1, 1, 6).repeat(4, axis=1)
    draws = np.random.default_rng(0).random((4000, 2))
    left = [crop(chip, 4, tuple(at))[0, 0, 0] for at in draws]
    assert np.allclose(np.bincount(left) / 4000, 1 / 3, atol=0.04)


@pytest.mark.parametrize("bands", [1, 3, 13])
def test_jitter_stays_in_range_keeps_the_shape_and_really_changes(bands):
    chip = np.random.default_rng(0).uniform(-1, 1, (bands, 8, 8)).astype("float32")
    changed = Jitter(0.3, 0.3, 0.3)(chip, dice(0, "jitter"))
    assert changed.dtype == np.float32
    assert changed.shape == chip.shape
    assert np.abs(changed).max() <= 1
    assert np.abs(changed - chip).max() > 0.01


def test_jitter_of_nothing_changes_nothing():
    chip = np.linspace(-1, 1, 27, dtype="float32").reshape(3, 3, 3)
    assert np.allclose(Jitter(0, 0, 0)(chip, dice(0)), chip, atol=1e-6)


def test_brightness_shifts_by_at_most_what_was_asked():
    chip = np.zeros((4, 2, 2), "float32")
    shifts = [Jitter(0.1, 0, 0)(chip, dice(0, i))[:, 0, 0] for i in range(200)]
    assert 0.05 < np.abs(shifts).max() <= 0.1


def test_bands_jitter_together_when_told_to():
    chip = np.full((3, 2, 2), 0.2, "float32")
    changed = Jitter(together=1)(chip, dice(5))
    assert np.ptp(changed) < 1e-6
    assert np.ptp(Jitter(together=0)(chip, dice(5))) > 1e-3


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"brightness": -0.1}, "brightness=-0.1 is not between 0 and inf"),
        ({"contrast": 1}, "contrast=1 is not between 0 and 1"),
        ({"together": 2}, "together=2 is not between 0 and 1"),
    ],
)
def test_a_jitter_out_of_range_is_refused(fields, text):
    with pytest.raises(SettingError, match=text):
        Jitter(**fields)


def test_what_prepare_data_is_given_becomes_an_augment():
    assert Augment.of() == Augment(turns=True, random_crop=True)
    assert Augment.of(True) == Augment.of(None)
    assert Augment.of(False) == Augment.none()
    assert Augment.of(jitter=True).jitter == Jitter()
    assert Augment.of(jitter=0.2).jitter == Jitter(0.2, 0.2, 0.2)
    assert Augment.of(jitter={"gamma": 0}).jitter == Jitter(gamma=0)
    assert Augment.of(jitter=Jitter(0.3)).jitter == Jitter(0.3)
    assert Augment.of(jitter=False).jitter is None

    def own(a, b, generator):
        return a, b

    assert Augment.of(own).custom is own
    assert Augment.of(own).turns


def test_wrong_transforms_and_jitters_are_named():
    with pytest.raises(SettingError, match=r"transforms='flip' is neither True, False, None nor"):
        Augment.of("flip")
    with pytest.raises(SettingError, match=r"jitter=\{'hue': 1\}: its keys are brightness, con"):
        Augment.of(jitter={"hue": 1})
    with pytest.raises(SettingError, match=r"jitter='much' is neither a bool, a number"):
        Augment.of(jitter="much")


def test_all_eight_turns_are_drawn_and_none_without_augmentation():
    drawn = {Augment().place(dice(0, i))[0] for i in range(200)}
    assert drawn == set(range(8))
    assert {Augment.none().place(dice(0, i)) for i in range(20)} == {(0, (0.5, 0.5))}
    assert {Augment().without_turns().place(dice(0, i))[0] for i in range(20)} == {0}


def test_an_average_is_of_measured_pixels_and_keeps_fractions():
    pixels = np.ma.MaskedArray([[[1, 2, 9], [4, 100, 9], [7, 7, 9]]], dtype="uint16")
    pixels[0, 1, 1] = np.ma.masked
    assert averaged(pixels, 1) is pixels
    mean = averaged(pixels, 2)
    assert mean.shape == (1, 1, 1)
    assert mean[0, 0, 0] == pytest.approx(7 / 3)
    assert mean.dtype == np.float32
    pixels[:, :2, :2] = np.ma.masked
    assert np.ma.getmaskarray(averaged(pixels, 2)).all()


def test_an_average_of_wide_integers_keeps_their_steps():
    pixels = np.ma.MaskedArray(np.full((1, 2, 2), 2**31 - 1, "int32"))
    assert averaged(pixels, 2)[0, 0, 0] == 2**31 - 1
