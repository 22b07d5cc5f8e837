"""Scores, alarms and previews of a generator while it is trained."""

from types import SimpleNamespace

import pytest
import torch

from rs_gen.errors import SettingError, TrainingWarning
from rs_gen.games.regularized_gan import RegularizedGANGame
from rs_gen.metrics.features import PixelFeatures
from rs_gen.training.generation import (
    GENERATION,
    IMAGES,
    MOST,
    GenerationAlarms,
    GenerationPreview,
    GenerationScores,
    columns_of,
)
from rs_gen.training.information import INFORMATION, Shown

DICE = torch.Generator().manual_seed(0)


def game(classes=0):
    torch.manual_seed(0)
    return RegularizedGANGame(3, 16, classes, base="dcgan", widths=[8, 8, 8], z_dim=8).eval()


def shown(count):
    images = torch.rand(count, 3, 16, 16, generator=DICE) * 2 - 1
    return Shown(images, torch.arange(count) % 2)


class TestScores:
    def test_each_held_out_image_gets_a_generated_one_of_its_class(self):
        one, held = game(2), shown(12)
        scores = GenerationScores(shown(20), held, PixelFeatures(8))
        scores.reset()
        one.requires_grad_(False)
        batches = zip(held.images.split(8), held.labels.split(8), strict=True)
        fakes = torch.cat([scores.update(one, batch)[IMAGES] for batch in batches])
        whole = one.generate(one.noise(12), held.labels).clamp(-1, 1)
        torch.testing.assert_close(fakes, whole)
        found = scores.result()
        assert tuple(found) == GENERATION + INFORMATION
        assert found["kernel"].n == 12
        assert scores.monitor in found

    def test_a_second_validation_begins_anew_with_the_same_noise(self):
        one, held = game(), shown(8)
        scores = GenerationScores(shown(8), held, PixelFeatures(8), information=False)
        found = []
        for _ in range(2):
            scores.reset()
            scores.update(one, tuple(held))
            found.append(scores.result())
        assert found[0] == found[1]
        assert tuple(found[0]) == GENERATION

    def test_no_more_than_some_hundreds_are_looked_at(self):
        one, many = game(), shown(MOST + 9)
        scores = GenerationScores(shown(8), many, PixelFeatures(4), information=False)
        scores.reset()
        assert len(scores.update(one, tuple(many))[IMAGES]) == MOST
        assert scores.update(one, tuple(many)) == {}
        assert len(scores.held.images) == MOST


def test_few_held_out_images_have_few_neighbours():
    one, held = game(), shown(3)
    scores = GenerationScores(shown(4), held, PixelFeatures(4), information=False)
    scores.reset()
    scores.update(one, tuple(held))
    assert "k=2" in scores.result()["coverage"].protocol


def test_a_single_held_out_image_is_too_few():
    with pytest.raises(
        SettingError, match=r"1 image is held out, and sets .* larger val_split_pct"
    ):
        GenerationScores(shown(4), shown(1), PixelFeatures(4))


class Watching(GenerationAlarms):
    """Alarms with what the loop would give them."""

    def __init__(self, fakes, scores, loss=0.5, **options):
        super().__init__(shown(16).images, after_steps=0, **options)
        means = {"discriminator": loss}
        self.learn = SimpleNamespace(
            fakes={IMAGES: fakes}, scores=scores, training=False, step=600, epoch=3,
            record=SimpleNamespace(means=lambda: means),
        )  # fmt: skip

    def validate(self):
        self.before_validate()
        self.after_batch()
        self.after_validate()


class TestAlarms:
    @pytest.mark.parametrize(
        ("fakes", "scores", "loss", "text"),
        [
            (torch.zeros(8, 3, 16, 16), {}, 0.5, "the images resemble each other .* 0.000 of"),
            (None, {"d_train_test_gap": 3.4}, 0.5, "knows its chips by heart .a gap of 3.4"),
            (None, {"nearest_ratio_pixels": 0.3}, 0.5, "nearly the training chips .distance 0.30"),
            (None, {}, 0.001, "the discriminator's loss is 0.0010: it has won"),
        ],
    )
    def test_an_illness_is_told_once_after_two_validations(self, fakes, scores, loss, text):
        alarms = Watching(shown(8).images if fakes is None else fakes, scores, loss)
        alarms.validate()
        with pytest.warns(TrainingWarning, match=text):
            alarms.validate()
        alarms.validate()  # a warning would be an error here

    def test_health_is_silent(self):
        healthy = {"d_train_test_gap": 0.4, "nearest_ratio_pixels": 1.1}
        alarms = Watching(shown(8).images, healthy)
        for _ in range(3):
            alarms.validate()
        assert alarms.told == []

    def test_it_goes_on_where_it_was(self):
        ill = Watching(torch.zeros(8, 3, 16, 16), {})
        ill.validate()
        other = Watching(torch.zeros(8, 3, 16, 16), {})
        other.restore(*ill.keep())
        with pytest.warns(TrainingWarning, match="resemble each other"):
            other.validate()


def test_a_preview_has_a_column_a_class_from_the_same_noise(tmp_path):
    one = game(2)
    preview = GenerationPreview(tmp_path, None, ("field", "water"), rows=2)
    preview.learn = SimpleNamespace(model=one, epoch=0, step=7)
    preview.after_validate()
    assert (tmp_path / "epoch_0001.png").stat().st_size > 1000
    figure = columns_of(one, 2, None, ("field", "water"), title="epoch 1")
    assert [axis.get_title() for axis in figure.axes[:2]] == ["field", "water"]
    assert len(columns_of(game(), 3, None).axes) == 12
