import math

import numpy as np
import pytest

from rs_gen.errors import SettingError
from rs_gen.metrics.detection import auc, auc_score


def test_the_area_is_one_half_or_nothing_in_the_plain_cases():
    assert auc([1, 2, 3, 4], [False, False, True, True]) == 1
    assert auc([4, 3, 2, 1], [False, False, True, True]) == 0
    assert auc([7, 7, 7, 7], [False, False, True, True]) == 0.5


def test_the_area_counts_pairs_as_a_person_would():
    dice = np.random.default_rng(0)
    scores, wanted = dice.integers(0, 9, 80), dice.random(80) < 0.3
    pairs = [
        (a > b) + (a == b) / 2 for a in scores[wanted] for b in scores[~wanted]
    ]  # fmt: skip
    assert auc(scores, wanted) == pytest.approx(np.mean(pairs))


def test_a_weight_of_two_is_the_same_as_being_there_twice():
    scores, wanted = [1, 2, 3, 2], [False, True, True, False]
    twice = auc([*scores, 2], [*wanted, True])
    assert auc(scores, wanted, weights=[1, 2, 1, 1]) == pytest.approx(twice)


def test_nothing_to_find_has_no_area():
    assert math.isnan(auc([1, 2], [False, False]))


def test_the_interval_is_wider_where_neighbours_repeat_one_another():
    dice = np.random.default_rng(1)
    scores, wanted = dice.normal(size=60), dice.random(60) < 0.5
    alone = auc_score(scores, wanted, np.arange(60), "toy")
    copies = auc_score(np.repeat(scores, 9), np.repeat(wanted, 9), np.arange(540) // 9, "toy")
    assert copies.value == pytest.approx(alone.value)
    assert (copies.low, copies.high) == pytest.approx((alone.low, alone.high))
    assert alone.low < alone.value < alone.high
    assert "bootstrap over 60 groups" in copies.protocol
    assert copies.n == 540


def test_scores_that_can_not_be_compared_are_refused():
    with pytest.raises(SettingError, match="2 scores and 3 answers"):
        auc([1, 2], [True, False, True])
    with pytest.raises(SettingError, match="a score is NaN"):
        auc([1, math.nan], [True, False])
