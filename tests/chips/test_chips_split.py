from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import box

from rs_gen.chips.split import split_by_place
from rs_gen.errors import SettingError, SplitWarning


def lattice(rows: int, cols: int, stride: float = 1.0, x: float = 0.0, y: float = 0.0):
    return np.array([
        box(x + c * stride, y + r * stride, x + c * stride + 1, y + r * stride + 1)
        for r in range(rows) for c in range(cols)
    ])  # fmt: skip


def gap(places, split):
    """Least distance from a validation chip to a training chip."""
    valid = shapely.union_all(places[split == "valid"])
    return shapely.distance(valid, places[split == "train"]).min()


@settings(max_examples=25, deadline=None)
@given(
    st.integers(6, 20),
    st.integers(6, 20),
    st.sampled_from([0.5, 0.7, 1.0, 1.5]),
    st.sampled_from([0.1, 0.2, 0.3]),
    st.integers(0, 5),
)
def test_no_validation_chip_meets_a_training_chip(rows, cols, stride, share, seed):
    places = lattice(rows, cols, stride)
    split = split_by_place(places, share, spacing=min(stride, 1), buffer=0.5, seed=seed)
    assert (split == "valid").any()
    assert (split == "train").any()
    assert gap(places, split) > 0.5


def test_rasters_that_overlap_share_their_blocks():
    places = np.concatenate([lattice(12, 12), lattice(12, 12, x=5.3, y=4.7), lattice(12, 12, x=12)])
    split = split_by_place(places, 0.15, spacing=1, buffer=0.25)
    assert gap(places, split) > 0.25
    assert 30 <= (split == "valid").sum() <= 130


def test_a_seed_always_gives_the_same_split_and_another_another():
    places = lattice(20, 20)
    first = split_by_place(places, spacing=1, buffer=0.5, seed=1)
    assert (first == split_by_place(places, spacing=1, buffer=0.5, seed=1)).all()
    assert (first != split_by_place(places, spacing=1, buffer=0.5, seed=2)).any()


@pytest.mark.parametrize("side", [8, 20, 60])
def test_validation_gets_about_its_share_and_little_is_wasted(side):
    split = split_by_place(lattice(side, side), 0.1, spacing=1, buffer=0.5)
    assert 0.05 <= (split == "valid").mean() <= 0.16
    assert (split == "buffer").mean() < 0.2


def test_without_a_buffer_chips_may_touch_but_not_overlap():
    places = lattice(10, 10)
    split = split_by_place(places, 0.2, spacing=1, buffer=0)
    assert not (split == "buffer").any()
    overlapping = lattice(10, 10, 0.5)
    split = split_by_place(overlapping, 0.2, spacing=0.5, buffer=0)
    valid = shapely.union_all(overlapping[split == "valid"])
    shared = shapely.area(shapely.intersection(valid, overlapping[split == "train"]))
    assert shared.max() < 1e-9


def test_each_group_gets_its_own_validation():
    places = np.concatenate([lattice(10, 10), lattice(10, 10, x=100)])
    groups = [0] * 100 + [1] * 100
    split = split_by_place(places, 0.1, spacing=1, buffer=0.5, groups=groups)
    assert (split[:100] == "valid").sum() >= 5
    assert (split[100:] == "valid").sum() >= 5


def test_a_share_of_zero_gives_no_validation_without_a_word():
    assert (split_by_place(lattice(3, 3), 0, spacing=1, buffer=1) == "train").all()


def test_an_empty_validation_is_said():
    with pytest.warns(SplitWarning, match=r"validation is empty: 4 chips can't be parted"):
        split = split_by_place(lattice(2, 2), 0.1, spacing=1, buffer=0.5)
    assert (split == "train").all()


def test_impossible_shares_and_buffers_are_refused():
    with pytest.raises(SettingError, match=r"valid_share=1.0 must be from 0 to less than 1"):
        split_by_place(lattice(3, 3), 1.0, spacing=1, buffer=0)
    with pytest.raises(SettingError, match=r"buffer=-1 must be at least 0"):
        split_by_place(lattice(3, 3), 0.1, spacing=1, buffer=-1)
