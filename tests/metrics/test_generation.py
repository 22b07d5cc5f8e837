from __future__ import annotations

import pytest
import torch

from rs_gen.errors import SettingError
from rs_gen.metrics.features import PixelFeatures
from rs_gen.metrics.generation import GenerationScorer, eight_turns, generation_scores

NAMES = {"frechet", "kernel", "precision", "recall", "density", "coverage", "frechet_pixels"}


def images(seed: int, n: int = 24, side: int = 8) -> torch.Tensor:
    """A bright square at a random place."""
    dice = torch.Generator().manual_seed(seed)
    made = torch.rand(n, 3, side, side, generator=dice) * 0.4 - 0.9
    for image in made:
        row, col = torch.randint(side - 3, (2,), generator=dice).tolist()
        image[:, row : row + 3, col : col + 3] += 1.2
    return made


class Means:
    """Four numbers an image."""

    name = "means"

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean(1).reshape(len(images), 4, -1).mean(2)


def test_every_score_tells_n_extractor_and_interval():
    scores = generation_scores(images(0), images(1), images(2), Means(), draws=20)
    assert set(scores) == NAMES | {"nearest_ratio", "nearest_ratio_pixels"}
    for name, score in scores.items():
        assert score.n == 24
        assert score.protocol.startswith("pixels-8" if name.endswith("pixels") else "means")
        assert score.low is not None
        assert score.high >= score.low
        assert "fid" not in name.lower() + score.protocol.lower().split()[0]


def test_without_training_images_nothing_is_said_of_copies():
    assert set(generation_scores(images(0), images(1), None, Means(), draws=0)) == NAMES


def test_fakes_like_the_held_out_images_beat_noise_in_every_number():
    score = GenerationScorer(images(0, 60), images(2, 60), PixelFeatures(8), draws=0)
    good, bad = score(images(1, 60)), score(torch.rand(60, 3, 8, 8) * 2 - 1)
    for name in ("frechet", "kernel", "frechet_pixels"):
        assert good[name].value < bad[name].value
    for name in ("precision", "recall", "density", "coverage"):
        assert good[name].value >= bad[name].value
    assert good["nearest_ratio"].value == pytest.approx(1, abs=0.1)


def test_a_turned_copy_is_a_copy_in_pixels():
    train = images(2)
    turned = train.flip(-1).rot90(1, (-2, -1))
    seen = generation_scores(images(0), turned, train, Means(), draws=0)
    assert seen["nearest_ratio_pixels"].value == pytest.approx(0, abs=1e-6)
    blind = generation_scores(images(0), turned, train, Means(), draws=0, turns=False)
    assert blind["nearest_ratio_pixels"].value > 0.3


def test_a_scorer_gives_what_the_one_call_gives():
    score = GenerationScorer(images(0), images(2), Means(), draws=5)
    assert score(images(1)) == generation_scores(images(0), images(1), images(2), Means(), draws=5)


def test_scoring_against_the_training_images_is_refused():
    train = images(0)
    with pytest.raises(SettingError, match="24 of 24 held-out images are training images"):
        generation_scores(train.flip(0), images(1), train, Means())


def test_images_of_another_size_are_refused():
    with pytest.raises(SettingError, match=r"generated images are \(3, 4, 4\) .* \(3, 8, 8\)"):
        generation_scores(images(0), images(1)[..., :4, :4], None, Means())
    with pytest.raises(SettingError, match=r"training images are \(3, 4, 4\)"):
        generation_scores(images(0), images(1), images(2)[..., :4, :4], Means())


def test_the_eight_turns_are_all_different_and_of_square_images():
    one = images(0, 1)
    turned = eight_turns(one)
    assert len({t.numpy().tobytes() for t in turned}) == 8
    assert torch.equal(turned[0], one[0])
    with pytest.raises(SettingError, match="4 x 8 px are not square"):
        eight_turns(one[..., :4])
