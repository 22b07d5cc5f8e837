"""FIGR and DAWSON: the mechanics of learning to learn."""

import pytest
import torch
from episodes import episodes, play, shapes
from torch import nn

from rs_gen.errors import ChipError
from rs_gen.games.dawson import DAWSONGame
from rs_gen.games.figr import FIGRGame
from rs_gen.games.meta import followed, gradient


def figr(**settings):
    torch.manual_seed(0)
    return FIGRGame(1, 16, **{"width": 4, "latent": 8, "inner_steps": 2, **settings})


def dawson(**settings):
    torch.manual_seed(0)
    return DAWSONGame(1, 16, **{"width": 4, "latent": 8, "inner_steps": 2, **settings})


def grads(part):
    return [p.grad for p in part.parameters() if p.grad is not None]


def test_reptile_without_inner_steps_has_no_gradient():
    game = figr(inner_steps=0)
    out = game(*episodes(shapes(4, 6), 2, 3, 1))
    sum(game.generator_loss(out).values()).backward()
    sum(game.discriminator_loss(out).values()).backward()
    assert all(g.abs().max() == 0 for g in grads(game))


def test_reptile_follows_start_minus_adapted():
    game = figr(inner_lr=0.01)
    supports, targets, labels = episodes(shapes(4, 6), 1, 3, 1)
    torch.manual_seed(9)
    out = game(supports, targets, labels)
    torch.manual_seed(9)
    end = game.adapt(torch.cat([supports[0], targets[0]]), 2)
    sum(game.generator_loss(out).values()).backward()
    sum(game.discriminator_loss(out).values()).backward()
    for net, after in ((game.generators["draw"], end.generator),
                       (game.discriminators["critic"], end.critic)):  # fmt: skip
        for name, p in net.named_parameters():
            assert torch.allclose(p.grad, p.detach() - after[name], atol=1e-6)
    assert out.losses["moved"] > 0


def test_adapting_changes_a_copy_and_not_the_game():
    game = figr()
    before = {k: v.clone() for k, v in game.state_dict().items()}
    end = game.adapt(torch.rand(3, 1, 16, 16), 2)
    assert all(torch.equal(v, before[k]) for k, v in game.state_dict().items())
    moved = [
        (end.generator[k] - p).abs().max() for k, p in game.generators["draw"].named_parameters()
    ]
    assert max(moved) > 0


def test_adapting_works_where_gradients_are_off():
    game = figr()
    with torch.no_grad():
        state = game.condition(torch.rand(1, 3, 1, 16, 16))
    assert not any(w.requires_grad for w in state.generator.values())


@pytest.mark.parametrize("game", [figr, dawson])
def test_a_step_along_a_steep_gradient_is_no_longer_than_inner_clip_allows(game):
    game = game(inner_lr=0.5, inner_clip=2.0)
    for p in game.discriminators.parameters():
        p.data.mul_(3.0)  # so steep that plain descent ends in infinity within a few steps
    start = game.start()
    after = game.critic_step(start, torch.rand(4, 1, 16, 16) * 2 - 1)
    squares = [(after[k] - w).square().sum() for k, w in start.critic.items()]
    assert torch.stack(squares).sum().sqrt() == pytest.approx(0.5 * 2.0, rel=1e-4)
    assert all(w.isfinite().all() for w in game.adapt(torch.rand(4, 1, 16, 16), 10).critic.values())
    free = game.__class__(1, 16, width=4, latent=8, inner_lr=0.5, inner_clip=0.0)
    free.load_state_dict(game.state_dict())
    ends = free.adapt(torch.rand(4, 1, 16, 16), 10).critic.values()
    assert not all(w.isfinite().all() for w in ends)


def test_adapting_brings_the_drawn_images_nearer_to_the_class():
    game = figr(adapt_steps=20)
    bright = torch.full((4, 1, 16, 16), 0.9)
    dice = torch.Generator().manual_seed(0)
    before = game.imagine(game.start().generator, torch.randn(16, 8, generator=dice)).mean()
    state = game.learn(bright, dice)
    after = game.show(state, game.draw(state, 16, generator=dice)).mean()
    assert after > before + 0.05


def test_dawson_s_generator_loss_gives_the_critic_no_gradient():
    game = dawson()
    out = game(*episodes(shapes(4, 6), 1, 2, 2))
    sum(game.generator_loss(out).values()).backward()
    assert not grads(game.discriminators)
    assert all(g.abs().sum() >= 0 for g in grads(game.generators))
    assert sum(g.abs().sum() for g in grads(game.generators)) > 0
    game.zero_grad(set_to_none=True)
    sum(game.discriminator_loss(out).values()).backward()
    assert not grads(game.generators)
    assert sum(g.abs().sum() for g in grads(game.discriminators)) > 0


def test_each_set_of_a_task_has_a_critic_of_its_own():
    game = dawson(inner_lr=0.01)
    torch.manual_seed(1)
    start = game.start()
    one, two = (
        game.critic_of(torch.ones(2, 1, 16, 16), start),
        game.critic_of(-torch.ones(2, 1, 16, 16), start),
    )
    assert max((one[k] - two[k]).abs().max() for k in one) > 1e-4


def test_dawson_s_generator_is_judged_by_the_critic_of_the_targets():
    game = dawson(inner_generator_steps=0, inner_steps=1)
    judges = []
    inner = game.generator_gradient
    game.generator_gradient = lambda state, n, *a: (
        judges.append(state.critic) or inner(state, n, *a)
    )
    torch.manual_seed(4)
    supports, targets = torch.ones(2, 1, 16, 16), -torch.ones(2, 1, 16, 16)
    game.outer(supports, targets)
    torch.manual_seed(4)
    game.critic_of(supports, game.start())
    expected = game.critic_of(targets, game.start())
    assert len(judges) == 1
    assert all(torch.allclose(judges[0][k], expected[k]) for k in expected)


def test_dawson_wants_targets_to_be_judged_by():
    supports, targets, labels = episodes(shapes(4, 6), 1, 2, 0)
    with pytest.raises(ChipError, match="DAWSON needs targets beside the support images"):
        dawson()(supports, targets, labels)


@pytest.mark.parametrize("make", [figr, dawson])
def test_a_few_outer_steps_are_finite(make):
    game = make()
    before = [p.clone() for p in game.parameters()]
    terms = play(game, shapes(4, 6), 2, batch=2, k=2, t=2)
    assert all(abs(v) < 1e6 for v in terms.values())
    assert any(not torch.equal(a, b) for a, b in zip(before, game.parameters(), strict=True))


def test_a_followed_gradient_has_the_value_nought_and_is_the_one_given():
    net = nn.Linear(2, 1)
    wanted = {name: torch.randn_like(p) for name, p in net.named_parameters()}
    loss = followed(net, wanted)
    assert loss.item() == 0
    loss.backward()
    assert all(torch.equal(p.grad, wanted[name]) for name, p in net.named_parameters())


def test_the_gradient_of_a_square_is_known():
    slopes, value = gradient(lambda w: (w["x"] ** 2).sum(), {"x": torch.tensor([1.0, 3.0])})
    assert slopes["x"].tolist() == [2.0, 6.0]
    assert value.item() == 10
    assert gradient(lambda w: w["x"].sum(), {"x": torch.ones(1), "y": torch.ones(1)})[0]["y"] == 0
