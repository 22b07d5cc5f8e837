from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry import box

from rs_gen.chips.pairing import all_matched, match_places, match_stems
from rs_gen.errors import PairError


@given(st.sets(st.integers(0, 50)), st.sets(st.integers(0, 50)), st.randoms())
def test_pairs_are_pairs_by_stem_whatever_the_order(a, b, random):
    left, right = [f"{i}.tif" for i in a], [f"{i}.png" for i in b]
    random.shuffle(left)
    random.shuffle(right)
    match = match_stems(left, right)
    assert {int(x[:-4]) for x, _ in match.pairs} == a & b
    assert all(x[:-4] == y[:-4] for x, y in match.pairs)
    assert {int(x[:-4]) for x in match.only_a} == a - b
    assert {int(x[:-4]) for x in match.only_b} == b - a


def test_two_files_of_one_stem_are_refused():
    with pytest.raises(PairError, match=r"x.tif and x.png share a stem; keep one of them"):
        match_stems(["x.tif", "x.png"], ["x.tif"])


def test_pairs_are_pairs_by_place_whatever_their_names():
    a = {f"a{i}": box(i, 0, i + 1, 1) for i in range(5)}
    b = {f"b{i}": box(4 - i, 0, 5 - i, 1.02) for i in range(4)}
    match = match_places(a, b)
    assert match.pairs == [(f"a{4 - i}", f"b{i}") for i in range(3, -1, -1)]
    assert match.only_a == ["a0"]
    assert match.only_b == []


def test_neighbours_and_halves_are_no_partners():
    assert match_places({"a": box(0, 0, 2, 2)}, {"b": box(2, 0, 4, 2)}).pairs == []
    assert match_places({"a": box(0, 0, 2, 2)}, {"b": box(1, 0, 3, 2)}).pairs == []


def test_two_partners_at_one_place_are_refused():
    place = box(0, 0, 1, 1)
    with pytest.raises(PairError, match=r"more than one partner at their place: a"):
        match_places({"a": place}, {"b": place, "c": place})


def test_the_lone_are_listed_on_both_sides():
    match = match_stems([f"{i:02d}.tif" for i in range(15)], ["00.tif", "x.tif"])
    with pytest.raises(PairError) as caught:
        all_matched(match, "A", "B", "Do this")
    text = str(caught.value)
    assert "14 in A without partner in B: 01.tif, 02.tif" in text
    assert "10.tif and 4 more" in text
    assert "1 in B without partner in A: x.tif" in text
    assert text.endswith("Do this")
