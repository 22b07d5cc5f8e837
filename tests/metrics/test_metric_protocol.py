from __future__ import annotations

import math

import numpy as np
import pytest

from rs_gen.metrics.protocol import Score, bootstrap, mean_score


def test_a_score_says_its_n_interval_and_protocol():
    text = str(Score(0.5812, 96, "palette of 6", 0.55, 0.61))
    assert text == "0.5812 (n=96, 0.55 to 0.61; palette of 6)"
    assert str(Score(1.0, 1, "p")) == "1 (n=1; p)"


def test_the_interval_of_a_mean_is_about_two_standard_errors():
    values = np.random.default_rng(0).normal(5, 2, 400)
    score = mean_score(values, "p")
    assert score.n == 400
    assert (score.high - score.low) / 2 == pytest.approx(1.96 * 2 / 20, rel=0.15)


def test_an_interval_covers_the_truth_about_as_often_as_it_says():
    dice = np.random.default_rng(1)
    scores = [mean_score(dice.normal(size=40), "p", seed=i, draws=200) for i in range(200)]
    covered = np.mean([s.low <= 0 <= s.high for s in scores])
    assert 0.88 < covered < 0.99


def test_what_could_not_be_measured_is_not_counted():
    assert mean_score([1.0, math.nan, 3.0], "p")[:2] == (2.0, 2)
    nothing = mean_score([math.nan], "p")
    assert math.isnan(nothing.value)
    assert nothing[1:] == (0, "p", None, None)


def test_the_same_seed_gives_the_same_interval():
    values = list(range(10))
    assert mean_score(values, "p", seed=3) == mean_score(values, "p", seed=3)
    assert mean_score(values, "p", seed=3) != mean_score(values, "p", seed=4)


def test_one_thing_has_no_interval():
    assert bootstrap(1, lambda i: 0.0) == (None, None)
    assert bootstrap(9, lambda i: 0.0, draws=0) == (None, None)
    assert bootstrap(9, lambda i: math.inf) == (None, None)
