from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from rs_gen.errors import SettingError
from rs_gen.games.pix2pix import Pair, Pix2PixGame
from rs_gen.games.registry import create_game


@pytest.fixture
def game() -> Pix2PixGame:
    torch.manual_seed(0)
    return Pix2PixGame(2, 3, width=4, depth=5, d_width=4)


class Constant(nn.Module):
    """A discriminator that remembers what it was shown and answers with the first band."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, images):
        self.seen.append(images)
        return images[:, :1]


def test_losses_have_the_values_worked_out_by_hand(game):
    game.discriminators["D"] = Constant()
    source = torch.full((1, 2, 4, 4), 0.5)
    out = Pair(source, torch.full((1, 3, 4, 4), 0.25), torch.full((1, 3, 4, 4), -0.25))
    terms = game.generator_loss(out)
    assert terms["l1"].item() == pytest.approx(100 * 0.5)
    assert terms["adversarial"].item() == pytest.approx((0.5 - 1) ** 2)
    (term,) = game.discriminator_loss(out).values()
    assert term.item() == pytest.approx(((0.5 - 1) ** 2 + 0.5**2) / 2)


def test_real_and_fake_are_shown_in_the_same_order_of_bands(game):
    judge = game.discriminators["D"] = Constant()
    source, target, fake = (torch.full((1, c, 4, 4), v) for c, v in ((2, 0.1), (3, 0.2), (3, 0.3)))
    out = Pair(source, target, fake)
    game.discriminator_loss(out)
    game.generator_loss(out)
    shown = [images[0, :, 0, 0].tolist() for images in judge.seen]
    assert all(values[:2] == pytest.approx([0.1, 0.1]) for values in shown)
    assert [round(values[2], 1) for values in shown] == [0.2, 0.3, 0.3]


def test_a_weight_of_zero_leaves_the_adversarial_gradient_alone():
    torch.manual_seed(0)
    game = Pix2PixGame(1, 1, width=4, depth=5, d_width=4, l1_weight=0, dropout=0.0).eval()
    images = torch.rand(1, 1, 32, 32), torch.rand(1, 1, 32, 32)
    terms = game.generator_loss(game(*images))
    sum(terms.values()).backward()
    both = [p.grad.clone() for p in game.generators.parameters()]
    game.zero_grad()
    game.generator_loss(game(*images))["adversarial"].backward()
    assert all(
        torch.equal(a, p.grad) for a, p in zip(both, game.generators.parameters(), strict=True)
    )


def test_a_penalty_comes_with_a_norm_that_looks_at_one_image():
    assert Pix2PixGame(1, 1, width=4, depth=5, d_width=4).settings["d_norm"] == "batch"
    game = Pix2PixGame(1, 1, width=4, depth=5, d_width=4, adversarial="wasserstein")
    assert game.settings["d_norm"] == "instance"
    assert game.settings["penalty_weight"] == 10


PALETTE = {"colours": [[-1.0], [1.0]], "shares": [0.96, 0.04]}


def balanced(**settings) -> Pix2PixGame:
    return Pix2PixGame(1, 1, width=4, depth=5, d_width=4, **settings)


def test_a_rare_colour_counts_more_in_l1():
    game = balanced(colour_balance=1.0, palette=PALETTE)
    source = torch.zeros(1, 1, 32, 32)
    common, rare = torch.full_like(source, -1.0), torch.full_like(source, 1.0)
    losses = [game.generator_loss(Pair(source, x, 0.5 * x))["l1"] for x in (common, rare)]
    assert losses[1] / losses[0] == pytest.approx(0.96 / 0.04, rel=1e-4)


def test_without_balance_or_palette_each_pixel_counts_alike():
    source, real, fake = torch.rand(3, 1, 1, 8, 8)
    plain = balanced().difference(Pair(source, real, fake))
    for settings in ({"colour_balance": 0.0, "palette": PALETTE}, {"colour_balance": 0.5}):
        assert balanced(**settings).difference(Pair(source, real, fake)) == plain


def test_a_palette_is_kept_with_the_settings_and_not_with_the_weights():
    game = balanced(colour_balance=0.5, palette=PALETTE)
    settings = json.loads(json.dumps(game.settings))
    again = create_game("pix2pix", **settings)
    assert again.colour_weights.tolist() == game.colour_weights.tolist()
    assert again.state_dict().keys() == balanced().state_dict().keys()
    with torch.device("meta"):  # as a saved game is planned before its weights are read
        planned = create_game("pix2pix", **settings)
    assert planned.state_dict().keys() == again.state_dict().keys()


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"colour_balance": 1.5}, "colour_balance=1.5 is not within 0 to 1"),
        (
            {"colour_balance": 0.5, "palette": {"colours": [[1.0, 0.0]], "shares": [1.0]}},
            "of 1 bands",
        ),
        ({"colour_balance": 0.5, "palette": {"colours": [[1.0]], "shares": [0.0]}}, "their shares"),
        ({"colour_balance": 0.5, "palette": {"colours": "red"}}, "1 to 256 colours"),
    ],
)
def test_a_palette_that_can_not_balance_is_refused(settings, text):
    with pytest.raises(SettingError, match=text):
        balanced(**settings)


def test_discriminators_judge_a_window_of_all_three_images(monkeypatch):
    game = create_game("pix2pix", in_channels=1, out_channels=1, width=4, depth=5, d_width=4,
                       d_crop=64)  # fmt: skip
    place = torch.arange(96 * 96.0).reshape(1, 1, 96, 96)
    seen = []
    monkeypatch.setattr(game, "judge", lambda a, b: (seen.append((a, b)), b.mean((1, 2, 3)))[1])
    torch.manual_seed(0)
    out = Pair(place, place.clone(), place.clone().requires_grad_())
    game.discriminator_loss(out)
    terms = game.generator_loss(out)
    assert [a.shape[-2:] for pair in seen for a in pair] == [(64, 64)] * 6
    assert all(torch.equal(a, b) for a, b in seen)  # each pair from one place
    assert not torch.equal(seen[0][0], seen[2][0])  # another place at the next call
    assert terms["l1"] == 0  # the whole chip is compared, and is equal
    terms["adversarial"].backward()


def test_chips_smaller_than_the_window_are_judged_whole():
    game = create_game("pix2pix", in_channels=1, out_channels=1, width=4, depth=5, d_width=4,
                       d_crop=64)  # fmt: skip
    out = game(torch.zeros(1, 1, 64, 64), torch.zeros(1, 1, 64, 64))
    assert game._judged(out) is out


def test_a_window_smaller_than_the_discriminator_is_refused():
    with pytest.raises(SettingError, match="d_crop=32 is less than the discriminator needs; give"):
        create_game("pix2pix", in_channels=1, out_channels=1, d_crop=32)
