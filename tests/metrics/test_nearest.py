from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rs_gen.errors import SettingError
from rs_gen.metrics import nearest as module
from rs_gen.metrics.nearest import coverage, density, nearest, nearest_ratio, precision, recall


def line(*values: float) -> torch.Tensor:
    return torch.tensor(values)[:, None]


def cloud(
    seed: int, n: int, shift: float = 0.0, spread: float = 1.0, dims: int = 6
) -> torch.Tensor:
    dice = torch.Generator().manual_seed(seed)
    return torch.randn(n, dims, generator=dice, dtype=torch.float64) * spread + shift


def test_on_a_line_the_four_numbers_can_be_worked_out_by_hand():
    real, fake = line(0, 1, 3, 10), line(0.5, 2, 30)
    # Reach of the real points, k=1: 1, 1, 2, 7. Of the fakes: 1.5, 1.5, 28.
    # 0.5 lies in 0 and 1; 2 in 1 and 3; 30 in none.
    assert precision(real, fake, extractor="x", k=1).value == pytest.approx(2 / 3)
    assert density(real, fake, extractor="x", k=1).value == pytest.approx(4 / 3)
    assert coverage(real, fake, extractor="x", k=1).value == pytest.approx(3 / 4)
    assert recall(real, fake, extractor="x", k=1).value == 1  # 30 reaches back to 2, over 3 and 10
    assert recall(real, line(0.5, 2, 4), extractor="x", k=1).value == pytest.approx(3 / 4)


@settings(max_examples=25, deadline=None)
@given(st.integers(6, 20), st.integers(6, 20), st.integers(1, 4), st.integers(0, 99))
def test_they_agree_with_loops(m, n, k, seed):
    real, fake = cloud(seed, m), cloud(seed + 1, n, 0.5)

    def reach(points, i):
        return sorted(math.dist(points[i], p) for p in points)[k]

    near, far = real.tolist(), fake.tolist()
    reaches = [reach(near, i) for i in range(m)]
    inside = [[math.dist(f, r) <= reaches[i] for i, r in enumerate(near)] for f in far]
    found = {f: f(real, fake, extractor="x", k=k).value for f in (precision, density, coverage)}
    assert found[precision] == pytest.approx(np.mean([any(row) for row in inside]))
    assert found[density] == pytest.approx(np.sum(inside) / k / n)
    assert found[coverage] == pytest.approx(np.mean(np.any(inside, axis=0)))
    swapped = precision(fake, real, extractor="x", k=k).value
    assert recall(real, fake, extractor="x", k=k).value == swapped


def test_alike_sets_score_near_one_and_a_collapsed_one_has_fidelity_without_variety():
    real, fake = cloud(0, 300), cloud(1, 300)
    assert precision(real, fake, extractor="x").value > 0.8
    assert density(real, fake, extractor="x").value == pytest.approx(1, abs=0.15)
    assert coverage(real, fake, extractor="x").value == pytest.approx(1 - 2**-5, abs=0.04)
    one = cloud(2, 300, 0, 0.02)
    assert density(real, one, extractor="x").value > 1
    assert coverage(real, one, extractor="x").value < 0.2
    assert recall(real, one, extractor="x").value < 0.1
    far = cloud(3, 300, 9)
    assert precision(real, far, extractor="x").value == 0
    assert coverage(real, far, extractor="x").value == 0


def test_the_interval_holds_the_value_and_the_score_tells_how():
    score = precision(cloud(0, 60), cloud(1, 40, 1.0), extractor="net-224", k=4)
    assert score.low <= score.value <= score.high
    assert score.low < score.high
    assert score.n == 40
    assert score.protocol == "net-224, k=4, 60 real and 40 fake, interval over fakes"
    assert coverage(cloud(0, 60), cloud(1, 40), extractor="x").n == 60


def test_the_ratio_is_one_for_images_like_the_held_out_ones_and_falls_with_copies():
    train, real, fresh = cloud(0, 200), cloud(1, 200), cloud(2, 200)
    ratio = nearest_ratio(real, fresh, train, extractor="x")
    assert ratio.low < 1 < ratio.high
    copies = train[:200] + 0.01 * cloud(3, 200)
    assert nearest_ratio(real, copies, train, extractor="x").value < 0.05
    assert nearest_ratio(real, train, train, extractor="x").value == 0
    half = torch.cat([fresh[:100], train[:100]])
    assert nearest_ratio(real, half, train, extractor="x").value == pytest.approx(0.5, abs=0.05)
    assert "200 training images" in ratio.protocol


def test_the_ratio_by_hand():
    ratio = nearest_ratio(line(1, 12), line(3, 3), line(0, 10), extractor="x", draws=0)
    assert ratio.value == pytest.approx(3 / 1.5)
    assert (ratio.low, ratio.high) == (None, None)
    with pytest.raises(SettingError, match="every held-out image is among the training images"):
        nearest_ratio(line(0, 10), line(3, 3), line(0, 10), extractor="x")


def test_the_nearest_is_named(monkeypatch):
    index, distance = nearest(line(1, 9, 4), line(0, 10))
    assert (index.tolist(), distance.tolist()) == ([0, 1, 0], [1, 1, 4])
    whole = nearest(cloud(0, 50), cloud(1, 30))
    monkeypatch.setattr(module, "_ROWS", 7)
    for part, all_ in zip(nearest(cloud(0, 50), cloud(1, 30)), whole, strict=True):
        assert torch.allclose(part.double(), all_.double())


def test_equal_images_have_no_distance_also_far_from_zero():
    far = cloud(0, 20, 1e4)
    assert nearest(far, far.flip(0))[1].max() == 0


@pytest.mark.parametrize("k", [0, 5, True, 2.0])
def test_neighbours_must_be_fewer_than_images(k):
    with pytest.raises(
        SettingError, match=r"neighbours can't be taken of 5 real images; k is from 1"
    ):
        precision(cloud(0, 5), cloud(1, 9), extractor="x", k=k)
