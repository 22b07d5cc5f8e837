import pytest
import torch
from episodes import episodes, shapes

from rs_gen.errors import SettingError
from rs_gen.games.matchinggan import MatchingGANGame


def small(**settings):
    torch.manual_seed(0)
    return MatchingGANGame(1, 16, 4, **{"width": 4, "latent": 8, "warmup": 0.0, **settings})


def test_a_code_is_matched_with_the_images():
    game = small().eval()
    state = game.learn(torch.rand(3, 1, 16, 16))
    z = torch.randn(1, 8)
    a = game.coefficients(state, z)
    net = game.net
    query = torch.nn.functional.normalize(net.query(z), dim=-1)[0]
    keys = torch.nn.functional.normalize(state.keys[0], dim=-1)
    by_hand = (game.temperature * (keys @ query)).softmax(0)
    assert torch.allclose(a[0], by_hand, atol=1e-6)


def test_different_codes_give_different_coefficients():
    torch.manual_seed(1)
    game = small().eval()
    state = game.learn(torch.randn(3, 1, 16, 16))
    a = game.coefficients(state, torch.randn(50, 8))
    assert torch.allclose(a.sum(1), torch.ones(50), atol=1e-5)
    assert a.std(0).max() > 1e-3


def test_no_weights_make_all_codes_ask_for_the_same_image():
    game = small().eval()
    state = game.learn(torch.randn(3, 1, 16, 16))
    z = torch.randn(20, 8)
    for scale in (1.0, 30.0):  # however the matching has grown, -z asks for the opposite
        game.net.query.weight.data.mul_(scale)
        a, opposite = game.coefficients(state, z), game.coefficients(state, -z)
        product = a * opposite  # exp(t c) exp(-t c): the same for every support image
        assert torch.allclose(product / product[:, :1], torch.ones(20, 3), atol=1e-4)


def test_the_temperature_is_learnt_and_bounded():
    game = small(temperature=5.0, one=0.0)
    assert game.temperature.item() == pytest.approx(5, abs=1e-4)
    out = game.train()(*episodes(shapes(4, 6), 2, 3, 2))
    sum(game.generator_loss(out).values()).backward()
    assert game.net.warmth.grad.abs() > 0
    for far in (-1e3, 1e3):
        game.net.warmth.data.fill_(far)
        assert 1 <= game.temperature <= 10


def test_the_l1_weighs_by_coefficients_that_it_can_not_move():
    game = small(adversarial_weight=0.0, class_weight=0.0, matching_weight=0.0, mode_weight=0.0)
    out = game.train()(*episodes(shapes(4, 6), 2, 3, 2))
    out = out._replace(fakes=out.fakes.detach().requires_grad_())
    terms = game.generator_loss(out)
    terms["l1"].backward()
    assert game.net.warmth.grad is None
    assert all(p.grad is None for p in game.net.query.parameters())


def test_the_order_of_the_support_images_does_not_matter():
    game, images = small().eval(), torch.rand(4, 1, 16, 16)
    z = torch.randn(3, 8)
    one = game.show(game.learn(images), z)
    assert torch.allclose(one, game.show(game.learn(images[[2, 0, 3, 1]]), z), atol=1e-5)


def test_the_matching_critic_has_a_say():
    out_terms = small(one=0.0).train()
    out = out_terms(*episodes(shapes(4, 6), 2, 3, 2))
    terms = out_terms.generator_loss(out)
    assert terms["matching"] > 0
    assert {"l1", "adversarial", "classes", "mode", "matching"} == set(terms)


def test_random_coefficients_are_those_of_the_released_code():
    game = small(coefficients="random").eval()
    state = game.learn(torch.rand(3, 1, 16, 16))
    a = game.coefficients(state, torch.randn(500, 8))
    assert torch.allclose(a.sum(1), torch.ones(500), atol=1e-5)
    assert (a.max(1).values / a.min(1).values <= 10).all()
    assert a[:, 0].std() > 0.08
    many = game.coefficients(game.learn(torch.rand(9, 1, 16, 16)), torch.randn(2, 8))
    assert many.shape == (2, 9)  # more images than numbers in a code


@pytest.mark.parametrize("temperature", [0.5, 20.0])
def test_a_temperature_out_of_bounds_is_refused(temperature):
    with pytest.raises(SettingError, match="is not between 1 and 10"):
        small(temperature=temperature)


def test_coefficients_of_another_kind_are_refused():
    with pytest.raises(
        SettingError, match="coefficients='best'; there are 'matching' and 'random'"
    ):
        small(coefficients="best")
