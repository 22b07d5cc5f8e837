import math

import pytest
import torch

from rs_gen.errors import SettingError
from rs_gen.games.generative import GenerativeGame
from rs_gen.games.regularized_gan import RegularizedGANGame
from rs_gen.losses.regularizers import entropy, uniformity
from rs_gen.training.information import (
    INFORMATION,
    Shown,
    effective_rank,
    feature_information,
    spread_of,
)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def game(**settings):
    tiny = {"base": "dcgan", "widths": [8, 8, 8], "z_dim": 8}
    return RegularizedGANGame(3, 16, **{**tiny, **settings})


def shown(count=20, shift=0.0):
    return Shown(torch.rand(count, 3, 16, 16) * 2 - 1 + shift, torch.zeros(count).long())


def test_rank_is_the_number_of_directions_that_rows_spread_over():
    axes = torch.cat([torch.eye(6), -torch.eye(6)]) * torch.rand(12, 1).add(0.5)
    assert effective_rank(axes) == pytest.approx(6, abs=1e-6)
    assert effective_rank(axes @ torch.linalg.qr(torch.randn(6, 6))[0]) == pytest.approx(
        6, abs=1e-4
    )


def test_rank_of_rows_that_are_all_alike_is_one():
    assert effective_rank(torch.randn(1, 9).expand(7, -1)) == pytest.approx(1)


def test_rank_is_the_same_by_rows_and_by_columns():
    x = torch.randn(40, 10)
    wide = torch.cat([x, torch.zeros(40, 100)], 1)
    assert effective_rank(wide) == pytest.approx(effective_rank(x), rel=1e-6)


def test_every_number_carries_its_n_and_its_protocol():
    found = feature_information(game(), shown(), shown(), n=40)
    assert tuple(found) == INFORMATION
    assert found["erank_g"].n == 32  # whole chunks of 16
    assert "chunks of 16" in found["uniformity_d"].protocol
    assert "20 training less 20 held-out" in found["d_train_test_gap"].protocol


def test_the_numbers_are_those_of_the_features():
    one = game()
    found = feature_information(one, n=32)
    images, fg = one.generate_features(one.noise(32))
    fd = one.judge_features(images)[1]
    for name, features in (("g", fg), ("d", fd)):
        rich = entropy(features).mean().item()
        assert found[f"entropy_{name}"].value == pytest.approx(rich, rel=1e-4)
        assert found[f"uniformity_{name}"].value == pytest.approx(
            uniformity(features, chunks=2).item(), rel=1e-4
        )
        norm = features.norm(dim=1)
        assert found[f"norm_{name}"].value == pytest.approx(norm.mean().item(), rel=1e-4)
        assert found[f"scale_free_entropy_{name}"].value == pytest.approx(
            rich - norm.log().mean().item(), rel=1e-3
        )
    assert "d_train_test_gap" not in found


def test_scale_raises_entropy_and_not_its_scale_free_twin():
    x = torch.randn(32, 50)
    small, large = spread_of(x), spread_of(10 * x)
    assert large["entropy"].value - small["entropy"].value == pytest.approx(math.log(10), rel=1e-4)
    for name in ("scale_free_entropy", "uniformity", "erank"):
        assert large[name].value == pytest.approx(small[name].value, rel=1e-4)


def test_the_gap_is_in_deviations_of_the_held_out_logits():
    one, train, held = game(), shown(shift=0.5), shown()
    gap = feature_information(one, train, held, n=16)["d_train_test_gap"].value
    known, new = (one.discriminators["D"](side.images).detach() for side in (train, held))
    assert gap == pytest.approx(((known.mean() - new.mean()) / new.std()).item(), rel=1e-4)
    same = feature_information(one, held, held, n=16)["d_train_test_gap"].value
    assert same == pytest.approx(0, abs=1e-6)


def test_a_training_goes_on_in_the_mode_it_was_in():
    one = game().train()
    feature_information(one, n=16)
    assert one.training


def test_too_few_images_are_refused():
    with pytest.raises(SettingError, match="n=15 makes no chunk of 16 images"):
        feature_information(game(), n=15)


def test_a_game_that_hands_out_no_features_says_so():
    class Silent(GenerativeGame):
        name, z_dim = "silent", 4

        def __init__(self):
            super().__init__()
            self.generators = torch.nn.ModuleDict({"G": torch.nn.Linear(4, 4)})
            self.discriminators = torch.nn.ModuleDict()

        def forward(self, *batch):
            return batch

        def generate(self, z, labels=None):
            return z.view(-1, 1, 2, 2)

        def generator_loss(self, out):
            return {}

        def discriminator_loss(self, out):
            return {}

    with pytest.raises(SettingError, match="a silent model does not hand out the features"):
        feature_information(Silent(), n=16)
    with pytest.raises(SettingError, match="no discriminator that hands out features"):
        Silent().judge_features(torch.zeros(1, 1, 2, 2))
