"""Each illness sounds once, and health is silent."""

import warnings

import pytest
import torch
from toy_training import ToyData, ToyGame, ToyScorer

from rs_gen.errors import TrainingWarning
from rs_gen.training.alarms import Alarms, correlation, illnesses
from rs_gen.training.learner import fit
from rs_gen.training.recipe import Recipe

DICE = torch.Generator().manual_seed(0)
X, Y = (torch.rand(16, 3, 8, 8, generator=DICE) * 2 - 1 for _ in range(2))


def ill(*images, paired=True):
    return {name for name, _, is_ill in illnesses(*images, paired=paired) if is_ill}


@pytest.mark.parametrize("paired", [True, False])
class TestIllnesses:
    def test_a_good_translation_is_healthy(self, paired):
        good = Y if paired else (X * 0.5 + torch.rand(X.shape, generator=DICE) - 0.5)
        assert ill(X, Y, good, paired=paired) == set()

    def test_one_image_for_all_is_collapse(self, paired):
        assert "collapse" in ill(X, Y, Y[:1].expand_as(Y) + 0.01 * X, paired=paired)

    def test_handing_back_the_input_is_copying(self, paired):
        assert "copying" in ill(X, Y, X * 0.99, paired=paired)

    def test_negatives_are_inversion(self, paired):
        assert ill(X, Y, -Y if paired else -X, paired=paired) == {"inversion"}

    def test_sides_of_unlike_bands_can_not_be_copied(self, paired):
        told = illnesses(X[:, :1], Y, X[:, :1].expand_as(Y), paired=paired)
        assert "copying" not in [name for name, *_ in told]


def test_one_chip_has_no_collapse():
    assert "collapse" not in [name for name, *_ in illnesses(X[:1], Y[:1], Y[:1], paired=True)]


def test_correlation_by_hand():
    x = torch.tensor([1.0, 2.0, 3.0])
    assert correlation(x, 5 - 2 * x) == pytest.approx(-1)
    assert correlation(x, torch.ones(3)) == 0


class Stuck(ToyGame):
    """Hands out what it was told to."""

    kind = "constant"

    def translate(self, images, direction="AtoB"):
        live = 0 * super().translate(images)
        made = {"constant": torch.zeros_like(images), "copy": images, "right": -images}
        return live + made[self.kind]


def run(kind, after_steps=0, epochs=4, losses=None, **options):
    game = Stuck()
    game.kind = kind
    alarms = Alarms(True, after_steps=after_steps, **options)
    recipe = Recipe(epochs=epochs, mixed_precision=False)
    if losses is not None:
        game.discriminator_loss = lambda out: {
            "discriminator": losses + 0 * game.judge(*out[:2]).sum()
        }
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", TrainingWarning)
        fit(game, ToyData(), recipe, scorer=ToyScorer(), callbacks=[alarms])
    return [str(w.message) for w in caught if w.category is TrainingWarning]


def test_collapse_is_told_once_with_what_to_try():
    (told,) = run("constant")
    assert told.startswith("epoch 2, AtoB: the images resemble each other")
    assert "Try a lower lr" in told


def test_copying_is_told_with_what_to_try():
    assert any("hands back its input" in told and "more epochs" in told for told in run("copy"))


def test_a_right_translation_is_not_accused():
    assert run("right") == []


def test_nothing_is_told_before_there_was_time_to_learn():
    assert run("constant", after_steps=500) == []


def test_one_bad_validation_is_no_illness_yet():
    assert run("constant", epochs=1) == []


def test_a_saturated_discriminator_is_told():
    (told,) = run("right", losses=torch.tensor(0.001))
    assert "discriminator: the discriminator's loss is 0.0010: it has won" in told
    assert "Try d_lr_ratio=0.25" in told


def test_a_wasserstein_loss_has_no_level_that_means_saturated():
    assert run("right", losses=torch.tensor(0.001), adversarial="wasserstein") == []


def test_what_was_told_survives_a_resumption():
    alarms = Alarms(True)
    alarms.seen, alarms.told = {"collapse.AtoB": 3}, ["collapse.AtoB"]
    other = Alarms(True)
    other.restore(*alarms.keep())
    assert other.told == alarms.told
    assert other.seen == alarms.seen
