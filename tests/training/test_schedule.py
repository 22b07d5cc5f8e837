"""The learning rate is a pure function of how far the run is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rs_gen.errors import UnknownNameError
from rs_gen.training.schedule import SCHEDULES, find_schedule


def test_linear_is_flat_for_the_first_half_and_then_falls_to_zero():
    linear = find_schedule("linear")
    assert [linear(p, 0) for p in (0, 0.25, 0.5)] == [1, 1, 1]
    assert linear(0.75, 0) == pytest.approx(0.5)
    assert linear(1.0, 0) == 0


def test_warm_up_climbs_for_fifty_steps_and_the_end_is_two_percent():
    schedule = find_schedule("warmup_flat_linear")
    assert schedule(0.0, 0) == pytest.approx(1 / 50)
    assert schedule(0.1, 24) == pytest.approx(0.5)
    assert schedule(0.1, 49) == schedule(0.5, 5000) == 1
    assert schedule(0.75, 5000) == pytest.approx(0.51)
    assert schedule(1.0, 5000) == pytest.approx(0.02)


def test_one_cycle_starts_low_peaks_at_three_tenths_and_ends_near_zero():
    schedule = find_schedule("one_cycle")
    assert schedule(0.0, 0) == pytest.approx(1 / 25)
    assert schedule(0.3, 0) == pytest.approx(1)
    assert schedule(1.0, 0) == pytest.approx(4e-6)


@given(st.sampled_from(sorted(SCHEDULES)), st.floats(0, 1), st.integers(0, 10**6))
def test_every_factor_is_a_share_of_the_rate(name, progress, step):
    factor = find_schedule(name)(progress, step)
    assert 0 <= factor <= 1 + 1e-9
    assert factor == find_schedule(name)(progress, step)


def test_an_unknown_schedule_is_refused_with_the_known():
    with pytest.raises(UnknownNameError, match="no schedule named 'cosine'; there are constant"):
        find_schedule("cosine")
