from __future__ import annotations

import pytest
import torch
from torch import nn

from rs_gen.errors import SettingError
from rs_gen.games.base import total
from rs_gen.games.cyclegan import CycleGANGame

TINY = {"width": 4, "blocks": 1, "d_width": 4}


def images(seed: int, bands: int = 3) -> torch.Tensor:
    dice = torch.Generator().manual_seed(seed)
    return torch.rand(1, bands, 32, 32, generator=dice) * 2 - 1


def test_generators_that_do_nothing_have_no_cycle_or_identity_loss():
    game = CycleGANGame(3, 3, **TINY)
    game.generators = nn.ModuleDict({"AtoB": nn.Identity(), "BtoA": nn.Identity()})
    terms = game.generator_loss(game(images(0), images(1)))
    for name in ("cycle_a", "cycle_b", "identity_a", "identity_b"):
        assert terms[name].item() == 0


def test_terms_have_the_weights_of_the_paper():
    game = CycleGANGame(3, 3, **TINY)
    real_a, real_b = images(0), images(1)
    out = game(real_a, real_b)
    terms = game.generator_loss(out)
    there, back = game.generators["AtoB"], game.generators["BtoA"]
    cycle = (back(there(real_a)) - real_a).abs().mean()
    assert terms["cycle_a"].item() == pytest.approx(10 * cycle.item(), rel=1e-5)
    same = (there(real_b) - real_b).abs().mean()
    assert terms["identity_b"].item() == pytest.approx(10 * 0.5 * same.item(), rel=1e-5)


def test_domains_of_unlike_bands_have_no_identity_loss():
    game = CycleGANGame(4, 3, **TINY)
    out = game(images(0, 4), images(1, 3))
    assert out.same_a is None
    assert not [k for k in game.generator_loss(out) if k.startswith("identity")]
    assert game.settings["lambda_identity"] == 0
    assert CycleGANGame(3, 3, **TINY).settings["lambda_identity"] == 0.5


def test_an_identity_loss_that_can_not_be_is_refused():
    with pytest.raises(SettingError, match=r"lambda_identity=0.5 needs as many bands in A as in B"):
        CycleGANGame(4, 3, lambda_identity=0.5, **TINY)


def train(game: CycleGANGame, steps: range) -> list[float]:
    """A few real steps, with both players' losses in order."""
    players = [list(game.generators.parameters()), list(game.discriminators.parameters())]
    losses = []
    for step in steps:
        out = game(images(step), images(1000 + step))
        for loss, own in zip((game.generator_loss, game.discriminator_loss), players, strict=True):
            value = total(loss(out))
            gradients = torch.autograd.grad(value, own, allow_unused=True)
            with torch.no_grad():
                for p, g in zip(own, gradients, strict=True):
                    if g is not None:
                        p -= 0.01 * g
            losses.append(value.item())
    return losses


def test_a_resumed_training_draws_the_same_images_from_the_pool():
    torch.manual_seed(0)
    game = CycleGANGame(3, 3, pool=3, **TINY)
    train(game, range(6))
    weights = {k: v.clone() for k, v in game.state_dict().items()}
    memory = game.memory()
    ahead = train(game, range(6, 12))
    torch.manual_seed(99)
    resumed = CycleGANGame(3, 3, pool=3, **TINY)
    resumed.load_state_dict(weights)
    resumed.load_memory(memory)
    assert train(resumed, range(6, 12)) == ahead
    cold = CycleGANGame(3, 3, pool=3, **TINY)
    cold.load_state_dict(weights)
    assert train(cold, range(6, 12)) != ahead, "the test would not see a lost pool"


def test_validation_leaves_the_pools_alone():
    game = CycleGANGame(3, 3, **TINY).eval()
    game.discriminator_loss(game(images(0), images(1)))
    assert game.pools["A"].seen == 0
    game.train().discriminator_loss(game(images(0), images(1)))
    assert (game.pools["A"].seen, game.pools["B"].seen) == (1, 1)
