import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sample_data.noise import Noise, chance, gaussian, generator, hashed, speckle, uniform

X = 500_000 + np.arange(80) * 3.0
Y = 5_400_000 - np.arange(60) * 3.0


@settings(deadline=None, max_examples=25)
@given(
    top=st.integers(0, 50),
    left=st.integers(0, 70),
    height=st.integers(2, 10),
    width=st.integers(2, 10),
    octaves=st.integers(1, 4),
)
def test_a_window_of_noise_equals_the_same_part_of_the_whole(top, left, height, width, octaves):
    noise = Noise(5, 60, octaves)
    whole = noise.grid(X, Y)
    rows, cols = slice(top, top + height), slice(left, left + width)
    assert (noise.grid(X[cols], Y[rows]) == whole[rows, cols]).all()


def test_noise_at_points_equals_noise_on_a_grid():
    noise = Noise(5, 60, 3)
    assert (noise.points(*np.meshgrid(X, Y)) == noise.grid(X, Y)).all()


def test_noise_has_mean_zero_and_deviation_one():
    lattice = np.arange(400) * 7.0
    field = Noise(11, 40, 3).grid(lattice, lattice)
    assert abs(field.mean()) < 0.05
    assert field.std() == pytest.approx(1, abs=0.06)


def test_octaves_that_would_alias_are_left_out():
    coarse, fine = Noise(3, 500, 1), Noise(3, 500, 12)
    lattice = np.arange(40) * 300.0
    share = fine.grid(lattice, lattice) / coarse.grid(lattice, lattice)
    assert np.ptp(share) < 1e-3  # one octave alone is left, with its smaller weight


def test_noise_is_smooth_at_its_lattice():
    x = np.linspace(-0.5, 0.5, 2001)
    line = Noise(3, 1.0, 1).grid(x, np.array([0.3, 0.4]))[0].astype(float)
    assert np.abs(np.diff(line)).max() < 0.01


def test_seeds_and_places_give_different_numbers():
    i, j = np.meshgrid(np.arange(300), np.arange(300))
    first, second = hashed(i, j, 1), hashed(i, j, 2)
    assert len(np.unique(first)) > 0.9999 * first.size
    assert (first == second).mean() < 1e-3
    assert uniform(i, j, 1).mean() == pytest.approx(0.5, abs=0.01)
    assert len({chance(1, a, b) for a in range(-9, 9) for b in range(-9, 9)}) == 18 * 18


def test_places_before_zero_are_places_too():
    noise, x = Noise(4, 50, 2), np.arange(-30, 30) * 4.0
    assert (noise.grid(x, x)[:, 7:20] == noise.grid(x[7:20], x)).all()
    assert generator(3, -1, 2).random() != generator(3, 1, 2).random()


def test_pixel_noise_is_normal_and_its_two_fields_are_strangers():
    one, two = gaussian(np.arange(400)[None], np.arange(400)[:, None], 9)
    for field in (one, two):
        assert abs(field.mean()) < 0.01
        assert field.std() == pytest.approx(1, abs=0.01)
    assert abs(np.corrcoef(one.ravel(), two.ravel())[0, 1]) < 0.01
    assert abs(np.corrcoef(one[:, 1:].ravel(), one[:, :-1].ravel())[0, 1]) < 0.01
    assert abs(np.corrcoef(one[1:].ravel(), one[:-1].ravel())[0, 1]) < 0.01


@pytest.mark.parametrize("looks", [1, 2.5, 4, 16])
def test_speckle_has_mean_one_and_the_variance_of_its_looks(looks):
    power = 10 ** (speckle(np.arange(500)[None], np.arange(500)[:, None], 1, looks) / 10)
    assert power.mean() == pytest.approx(1, abs=0.01)
    assert power.var() == pytest.approx(1 / looks, rel=0.03)
