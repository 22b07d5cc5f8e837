import numpy as np
import pytest

from rs_gen.errors import SettingError
from rs_gen.metrics.drift import Gaussian, ks, psi


def test_a_histogram_does_not_differ_from_itself_whatever_its_total():
    counts = np.random.default_rng(0).integers(1, 99, 64)
    assert psi(counts, 3 * counts) == 0
    assert ks(counts, 3 * counts) == 0


def test_psi_of_two_halves_is_what_its_formula_says():
    # Shares (.5, .5) against (.75, .25): .25 ln 1.5 + (-.25) ln .5
    assert psi([1, 1], [3, 1]) == pytest.approx(0.25 * np.log(1.5) + 0.25 * np.log(2))


def test_psi_is_finite_where_a_bin_is_empty():
    assert 5 < psi([1, 0], [0, 1]) < 20


def test_ks_is_the_largest_gap_of_the_cumulative_shares():
    assert ks([1, 1, 1, 1], [2, 2, 0, 0]) == 0.5
    assert ks([1, 0], [0, 1]) == 1


def test_both_grow_with_the_shift_and_hardly_with_another_draw():
    dice = np.random.default_rng(1)

    def histogram(shift):
        return np.histogram(dice.normal(shift, 1, 20_000), 256, (-6, 6))[0]

    base = histogram(0)
    for distance in (psi, ks):
        same, near, far = (distance(base, histogram(s)) for s in (0, 0.5, 1.5))
        assert same < 0.02 < near < far


def test_histograms_that_can_not_be_compared_are_refused():
    with pytest.raises(SettingError, match=r"\(2,\) and \(3,\) bins can't be compared"):
        psi([1, 2], [1, 2, 3])
    with pytest.raises(SettingError, match="the found histogram holds nothing"):
        ks([1, 2], [0, 0])


def test_the_distance_is_mahalanobis_where_every_direction_is_kept_or_alike():
    dice = np.random.default_rng(2)
    x = dice.normal(size=(4000, 5)) @ np.diag([9, 5, 1, 1, 1]) @ np.linalg.qr(
        dice.normal(size=(5, 5))
    )[0] + 3  # fmt: skip
    probe = dice.normal(size=(50, 5)) * 4
    centred = probe - x.mean(0)
    true = np.sqrt(np.einsum("nd,de,ne->n", centred, np.linalg.inv(np.cov(x.T)), centred))
    assert Gaussian.fit(x).distance(probe) == pytest.approx(true, rel=0.05)


def test_fewer_vectors_than_numbers_still_give_finite_distances():
    x = np.random.default_rng(3).normal(size=(20, 200))
    fitted = Gaussian.fit(x)
    assert fitted.axes.shape == (2, 200)
    assert np.isfinite(fitted.distance(x)).all()
    assert fitted.distance(x.mean(0)[None])[0] == pytest.approx(0, abs=1e-6)


def test_vectors_without_any_spread_are_no_division_by_zero():
    assert np.isfinite(Gaussian.fit(np.ones((10, 4))).distance(np.zeros((1, 4)))).all()


def test_one_vector_is_no_distribution():
    with pytest.raises(SettingError, match=r"at least 2 vectors.*\(1, 3\)"):
        Gaussian.fit(np.zeros((1, 3)))
