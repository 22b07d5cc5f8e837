from __future__ import annotations

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from rasterio.windows import Window
from shapely.geometry import box

from rs_gen.chips.sampling import Lattice, checked_size, inside, quads, strips
from rs_gen.errors import SettingError
from rs_gen.raster.grid import Grid

sizes = st.integers(1, 9)


@given(st.tuples(st.integers(1, 40), st.integers(1, 40)), sizes, sizes)
def test_windows_are_all_that_fit_and_no_more(shape, size, stride):
    lattice = Lattice.over(shape, size, stride)
    got = {(r * stride, c * stride) for r in lattice.rows for c in lattice.cols}
    fits = [
        {start for start in range(0, length, stride) if start + size <= length} for length in shape
    ]
    assert got == {(r, c) for r in fits[0] for c in fits[1]}
    assert len(lattice) == len(got)


@given(st.integers(0, 30), st.integers(1, 20), sizes, sizes)
def test_a_part_keeps_the_cells_that_meet_it_and_their_numbers(start, length, size, stride):
    whole = Lattice.over((40, 40), size, stride)
    part = Lattice.over((40, 40), size, stride, Window(start, 0, length, 40))
    meets = [c for c in whole.cols if c * stride < start + length and c * stride + size > start]
    assert list(part.cols) == meets
    assert part.rows == whole.rows
    assert all(part.number(1, c) == whole.number(1, c) for c in meets)


@given(st.sets(st.integers(0, 60), min_size=1), sizes, sizes, st.integers(9, 60))
def test_strips_hold_every_column_once_and_stay_narrow(cols, size, stride, widest):
    lattice = Lattice.over((100, 1000), size, stride)
    runs = list(strips(sorted(cols), lattice, widest))
    assert [c for run in runs for c in run] == sorted(cols)
    assert all((run[-1] - run[0]) * stride + size <= max(widest, size) for run in runs)


def test_quads_are_the_footprints_of_the_windows_also_of_a_turned_grid():
    grid = Grid((64, 64), Affine(10, 0, 5e5, 0, -10, 5e6) * Affine.rotation(30), "EPSG:32633")
    lattice = Lattice.over(grid.shape, 16, 8)
    for col, quad in zip((0, 3), quads(grid, lattice, 2, [0, 3]), strict=True):
        assert quad.equals_exact(grid.crop(lattice.window(2, col)).polygon, 1e-6)


def test_chips_lie_wholly_inside_unless_a_share_is_asked_for():
    footprints = np.array([box(0, 0, 1, 1), box(0.5, 0, 1.5, 1), box(2, 0, 3, 1)])
    area = box(0, 0, 1, 1)
    assert inside(footprints, area).tolist() == [True, False, False]
    assert inside(footprints, area, 0.5).tolist() == [True, True, False]
    assert inside(footprints, area, 0.51).tolist() == [True, False, False]


def test_an_edge_missed_by_rounding_does_not_cost_a_chip():
    area = shapely.affinity.translate(box(0, 0, 1, 1), 1e-9)
    assert inside(np.array([box(0, 0, 1, 1)]), area).all()


def test_sizes_must_be_positive():
    assert checked_size(64, None) == (64, 64)
    with pytest.raises(SettingError, match=r"size=64 and stride=0 must be at least 1 pixel"):
        checked_size(64, 0)
