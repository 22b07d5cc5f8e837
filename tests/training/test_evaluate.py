"""Scores of validation chips, with and without a truth."""

import pytest
import torch
from torch import nn
from toy_training import ToyData

from rs_gen.metrics.features import PixelFeatures
from rs_gen.training import evaluate
from rs_gen.training.evaluate import PairScores, UnpairedScores, data_facts

DICE = torch.Generator().manual_seed(0)


class Both(nn.Module):
    """Brightens one way and darkens the other; ``leak`` is lost on the way."""

    directions = ("AtoB", "BtoA")

    def __init__(self, leak=0.0):
        super().__init__()
        self.leak = nn.Parameter(torch.tensor(leak), requires_grad=False)

    def translate(self, images, direction="AtoB"):
        return images * 0.5 + (0.25 if direction == "AtoB" else -0.25) + self.leak


def chips(n=6, size=16):
    return torch.rand(n, 3, size, size, generator=DICE) - 0.5


def test_a_perfect_translation_scores_perfectly():
    scores, a = PairScores(16), chips()
    game = Both()
    scores.reset()
    made = scores.update(game, (a, game.translate(a).detach()))
    found = scores.result()
    assert found["ssim"].value == pytest.approx(1)
    assert found["l1"].value == 0
    assert found["within_5"].value == 1
    assert {score.n for score in found.values()} == {6}
    assert list(made) == ["AtoB"]
    assert tuple(found) == scores.names


def test_chips_too_small_for_ssim_are_judged_by_l1():
    scores = PairScores(8)
    assert scores.monitor == "l1"
    assert "ssim" not in scores.names


def test_the_cycle_error_is_in_eight_bit_levels():
    scores, a, b = UnpairedScores(6, 16, PixelFeatures(4)), chips(), chips()
    game = Both()
    scores.reset()
    made = scores.update(game, (a, b))
    found = scores.result()
    back = game.translate(game.translate(a), "BtoA")
    assert found["cycle"].value == pytest.approx(float((back - a).abs().mean()) * 127.5, rel=1e-5)
    assert found["cycle"].n == 6
    assert set(made) == {"AtoB", "BtoA"}


def test_the_kernel_distance_knows_which_way_is_better():
    a = chips(24)
    b = a * 0.5 + 0.25
    values = []
    for leak in (0.0, 0.2):
        scores = UnpairedScores(24, 16, PixelFeatures(4))
        scores.reset()
        scores.update(Both(leak), (a, b))
        values.append(scores.result()["kernel_distance"].value)
    assert values[0] < values[1]


def test_one_chip_has_no_distance_and_the_cycle_decides():
    scores = UnpairedScores(1, 16, PixelFeatures(4))
    assert scores.monitor == "cycle"
    assert scores.names == ("cycle", "cycle_back")
    assert UnpairedScores(9, 16, PixelFeatures(4)).monitor == "kernel_distance"


def test_twins_are_also_compared_with_the_truth():
    scores, a = UnpairedScores(6, 16, PixelFeatures(4), truth=True), chips()
    scores.reset()
    scores.update(Both(), (a, Both().translate(a).detach()))
    found = scores.result()
    assert found["l1"].value == pytest.approx(0, abs=1e-5)
    assert tuple(found) == scores.names


def test_without_the_weights_package_chips_are_averaged(monkeypatch):
    def missing(*_, **__):
        raise evaluate.MissingPackageError("not installed")

    monkeypatch.setattr(evaluate, "ImageNetFeatures", missing)
    assert isinstance(evaluate.find_extractor(), PixelFeatures)


def test_the_facts_of_data_tell_their_size():
    facts = data_facts(ToyData(count=12, batch_size=4))
    assert facts["training batches"] == 3
    assert facts["batch_size"] == 4
    assert facts["kind"] == "Pix2Pix"
