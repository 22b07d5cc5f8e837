from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, shift
from skimage.registration import phase_cross_correlation

from rs_gen.errors import SettingError
from rs_gen.metrics.shift import shift_of

ROUGH = gaussian_filter(np.random.default_rng(0).normal(size=(200, 200)), 1.5)
REAL = ROUGH[36:164, 36:164]


def moved(down: float, right: float, noise: float = 0.02) -> np.ndarray:
    dice = np.random.default_rng(1)
    return shift(ROUGH, (down, right))[36:164, 36:164] + dice.normal(0, noise, REAL.shape)


@pytest.mark.parametrize("by", [(0, 0), (3, -2), (0.5, 0.25), (-1.34, 7.62), (0, -12)])
def test_a_known_shift_is_found_to_a_fraction_of_a_pixel(by):
    found = shift_of(moved(*by), REAL)
    assert found == pytest.approx(by, abs=0.1)


def test_the_other_way_round_is_the_other_sign():
    fake = moved(2.5, -1.25)
    there, back = shift_of(fake, REAL), shift_of(REAL, fake)
    assert there == pytest.approx([-v for v in back], abs=0.04)


def test_a_change_of_contrast_and_brightness_moves_nothing():
    assert shift_of(5 - 0 * REAL + 3 * moved(1, 1), REAL) == pytest.approx((1, 1), abs=0.05)


def test_a_twin_agrees_on_whole_pixels():
    fake = np.roll(REAL, (4, -6), (0, 1))
    theirs, _, _ = phase_cross_correlation(fake, REAL)
    assert shift_of(fake, REAL) == pytest.approx(theirs, abs=0.05)


def test_a_flat_image_has_no_place():
    assert shift_of(np.ones((32, 32)), REAL[:32, :32]) is None


def test_images_of_unlike_shape_are_refused():
    with pytest.raises(SettingError, match="one shape"):
        shift_of(REAL, REAL[1:])
