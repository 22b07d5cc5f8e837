from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rs_gen.chips.welford import Moments, moments

values = st.lists(st.floats(-1e6, 1e6), max_size=30)


@given(values, values)
def test_merged_moments_are_those_of_all_values(a, b):
    both = Moments.of(np.array(a)) + Moments.of(np.array(b))
    joined = np.array(a + b)
    assert both.num == len(joined)
    if len(joined):
        assert both.m1 == pytest.approx(joined.mean(), abs=1e-6)
        assert (both.min, both.max) == (joined.min(), joined.max())
    if len(joined) > 1:
        assert both.std == pytest.approx(joined.std(ddof=1), rel=1e-6, abs=1e-4)


def test_the_published_deviation_of_a_real_export_is_met():
    m2 = 28.164586983**2 * (10485760 - 1)
    assert Moments(10485760, 114.24, m2, 5, 227).std == pytest.approx(28.164586983, rel=1e-12)


def test_masked_pixels_do_not_count():
    pixels = np.ma.MaskedArray([[[1, 3], [99, 99]]], [[[0, 0], [1, 1]]])
    assert moments(pixels) == (Moments(2, 2.0, 2.0, 1, 3),)
