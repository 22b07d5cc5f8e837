"""A learning rate is suggested, and nothing is changed by looking."""

import torch
from toy_training import ToyData, ToyGame

from rs_gen.training.lr_find import lr_find, suggest
from rs_gen.training.recipe import Recipe

RECIPE = Recipe(mixed_precision=False)


def test_the_suggestion_is_a_plain_float_and_the_weights_are_as_before():
    game = ToyGame()
    game.pool = torch.ones(3, 2, 8, 8)
    before = {name: value.clone() for name, value in game.state_dict().items()}
    found = lr_find(game, ToyData(), RECIPE, steps=30)
    assert type(found.suggestion) is float
    assert 1e-5 <= found.suggestion <= 2e-3
    assert all(torch.equal(value, before[name]) for name, value in game.state_dict().items())
    assert torch.equal(game.pool, torch.ones(3, 2, 8, 8))
    assert all(p.requires_grad for p in game.parameters())
    assert 1 < len(found.rates) == len(found.losses) <= 30
    assert found.rates[0] == 1e-6
    assert found.rates == sorted(found.rates)


def test_a_loss_that_blows_up_ends_the_search_and_not_the_program():
    game = ToyGame(blow_up_at=7)
    found = lr_find(game, ToyData(), RECIPE, steps=30)
    assert len(found.rates) == 7


def test_the_middle_of_the_longest_fall_is_suggested():
    rates = [10.0**-e for e in (6, 5, 4, 3, 2, 1)]
    assert suggest(rates, [5, 4, 6, 5, 4, 9]) == 1e-3
    assert suggest(rates, [9, 8, 7, 6, 5, 9]) == 1e-4
    assert suggest([1.0, 2.0], [1, 0]) == 2e-3  # held where adversarial training holds
