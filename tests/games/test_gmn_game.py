import pytest
import torch
from episodes import episodes, play, shapes

from rs_gen.errors import UnknownNameError
from rs_gen.games.gmn import GMNGame


def small(**settings):
    torch.manual_seed(0)
    options = {"width": 4, "latent": 4, "hidden": 24, "likelihood": "bernoulli"}
    return GMNGame(1, 16, **{**options, **settings})


def bound(game, images, k=4):
    """Mean bound by number of support images, over fresh episodes."""
    with torch.no_grad():
        total = 0
        for seed in range(20):
            dice = torch.Generator().manual_seed(seed)
            supports, targets, _ = episodes(images, 8, k, 1, seed=5000 + seed)
            out = game.bounds(torch.cat([supports, targets], 1), generator=dice)
            total = total + (out.nats - out.divergence).mean(0)
        return total / 20


def test_image_t_does_not_see_what_comes_after_it():
    game = small().eval()
    images = torch.rand(1, 4, 1, 16, 16).round() * 2 - 1
    other = images.clone()
    other[:, 2:] *= -1
    one, two = (game.bounds(x, generator=torch.Generator().manual_seed(0)) for x in (images, other))
    assert torch.allclose(one.nats[:, :2], two.nats[:, :2], atol=1e-4)
    assert torch.allclose(one.divergence[:, :2], two.divergence[:, :2], atol=1e-5)
    assert not torch.allclose(one.nats[:, 3], two.nats[:, 3], atol=1e-2)


def test_the_order_of_the_support_images_does_not_matter():
    game, images = small().eval(), torch.rand(4, 1, 16, 16)
    z = torch.randn(3, 4)
    one, two = (game.show(game.learn(x), z) for x in (images, images[[2, 0, 3, 1]]))
    assert torch.allclose(one, two, atol=1e-4)


def test_the_loss_is_minus_the_bound():
    game = small()
    out = game(*episodes(shapes(4, 6), 2, 3, 2))
    assert out.nats.shape == (2, 5)
    total = sum(game.generator_loss(out).values())
    assert total.item() == pytest.approx(-(out.nats - out.divergence).mean().item(), rel=1e-5)
    assert (out.divergence >= 0).all()


def test_two_valued_chips_are_drawn_in_two_values():
    game = small().eval()
    state = game.learn(torch.rand(2, 1, 16, 16))
    assert set(game.show(state, game.draw(state, 3)).unique().tolist()) <= {-1.0, 0.0, 1.0}
    grey = small(likelihood="laplace").eval()
    state = grey.learn(torch.rand(2, 1, 16, 16))
    assert len(grey.show(state, grey.draw(state, 3)).unique()) > 10


def test_a_likelihood_that_is_not_known_is_named():
    with pytest.raises(UnknownNameError, match="no likelihood named 'gauss'; there are bernoulli"):
        small(likelihood="gauss")


def test_averaging_weighs_the_memory_evenly():
    game = small(matching=False)
    usable = torch.ones(1, 3, 4, dtype=torch.bool).tril(1)
    shares = game.net.reader._shares(torch.rand(1, 3, 24), None, None, usable)
    assert torch.allclose(shares[0, 0], torch.tensor([0.5, 0.5, 0, 0]))


def books(classes, each, seed):
    """(classes, each, 1, 16, 16): a class is two patterns that no other has, and shows either."""
    dice = torch.Generator().manual_seed(seed)
    patterns = (torch.rand(classes * 2, 1, 4, 4, generator=dice) < 0.5).float() * 2 - 1
    patterns = torch.nn.functional.interpolate(patterns, scale_factor=4).unflatten(0, (classes, 2))
    which = torch.randint(0, 2, (classes, each), generator=dice)
    return patterns[torch.arange(classes)[:, None], which]


@pytest.mark.slow  # 300 steps for each of two networks, a quarter of a minute each
def test_more_support_makes_an_image_likelier_and_matching_beats_averaging():
    bounds = {}
    for matching in (True, False):
        game = small(matching=matching, width=8, hidden=48)
        play(game, books(400, 8, seed=0), 300, batch=8, k=4, t=2, lr=2e-3)
        bounds[matching] = bound(game, books(60, 8, seed=9), k=5)
    matched = bounds[True]
    assert (matched.diff() > -3).all()
    assert matched[-1] > matched[0] + 40
    assert (matched[3:] > bounds[False][3:] + 20).all()
