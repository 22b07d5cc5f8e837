import math

import numpy as np
import pytest
import torch

from rs_gen.errors import SettingError
from rs_gen.metrics.few_shot import (
    category_hit,
    diversity,
    few_shot_scores,
    spread_of,
    support_distance,
)

LABELS = np.repeat([0, 1, 2], 10)


def clouds(spread=0.1, seed=0, shift=0.0):
    """Ten features of each of three classes, around (4, 0), (0, 4) and (-4, -4)."""
    dice = torch.Generator().manual_seed(seed)
    middles = torch.tensor([[4.0, 0], [0, 4], [-4, -4]]).repeat_interleave(10, 0)
    return middles + shift + spread * torch.randn(30, 2, generator=dice)


def test_images_of_their_class_hit_it():
    score = category_hit(clouds(seed=1), LABELS, clouds(), LABELS, extractor="plane")
    assert score.value == 1
    assert score.n == 30
    assert score.protocol == "plane, nearest of 3 class means, chance 0.333"


def test_images_of_another_class_miss():
    turned = np.roll(LABELS, 10)
    assert category_hit(clouds(seed=1), turned, clouds(), LABELS, extractor="plane").value == 0


def test_one_image_for_all_codes_has_no_diversity():
    alike = clouds(spread=0.0)
    score = diversity(alike, LABELS, clouds(), LABELS, extractor="plane")
    assert score.value == pytest.approx(0)
    assert score.n == 3


def test_twice_the_spread_is_twice_the_diversity():
    real, wide = clouds(0.1, seed=3), clouds(0.2, seed=3)
    score = diversity(wide, LABELS, real, LABELS, extractor="plane")
    assert score.value == pytest.approx(2, rel=1e-4)


def test_a_copy_lies_at_no_distance_from_its_support():
    real, supports = clouds(), clouds(seed=5)[::5]
    labels = LABELS[::5]
    copies = support_distance(
        supports, labels, supports, labels, real, LABELS, extractor="plane"
    )  # fmt: skip
    assert copies.value == pytest.approx(0, abs=1e-3)
    others = support_distance(
        clouds(seed=6), LABELS, supports, labels, real, LABELS, extractor="plane"
    )  # fmt: skip
    assert 0.2 < others.value < 1.5


def test_the_spread_is_the_mean_distance_of_two():
    assert spread_of(torch.tensor([[0.0, 0], [3, 4]])) == pytest.approx(5)
    assert math.isnan(spread_of(torch.zeros(1, 2)))


def test_all_scores_come_with_the_extractor():
    found = few_shot_scores(
        clouds(seed=1), LABELS, clouds(seed=2)[::5], LABELS[::5], clouds(), LABELS,
        extractor="plane",
    )  # fmt: skip
    assert set(found) == {
        "kernel_distance", "frechet_distance", "category_hit", "diversity", "support_distance"
    }  # fmt: skip
    assert all("plane" in score.protocol for score in found.values())
    worse = few_shot_scores(
        clouds(seed=1, shift=3), LABELS, clouds(seed=2)[::5], LABELS[::5], clouds(), LABELS,
        extractor="plane",
    )  # fmt: skip
    assert worse["frechet_distance"].value > found["frechet_distance"].value


def test_a_class_that_one_set_lacks_is_left_out():
    part = LABELS < 2
    fake = clouds(seed=1)[torch.from_numpy(part)]
    assert diversity(fake, LABELS[part], clouds(), LABELS, extractor="plane").n == 2


def test_too_few_images_are_refused():
    with pytest.raises(SettingError, match="1 generated and 30 real images; 2 are the least"):
        few_shot_scores(
            clouds()[:1], LABELS[:1], clouds()[:1], LABELS[:1], clouds(), LABELS, extractor="plane"
        )
