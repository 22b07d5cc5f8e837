"""The training step, idea by idea."""

import copy
import random

import numpy as np
import pytest
import torch
from fastai.callback.core import Callback
from torch.nn.functional import l1_loss
from toy_training import ToyData, ToyGame, ToyScorer

from rs_gen.errors import TrainingError
from rs_gen.networks.few import quicken
from rs_gen.training.callbacks import Ema, seed_step
from rs_gen.training.learner import fit
from rs_gen.training.loop import game_learner
from rs_gen.training.recipe import Recipe

PLAIN = Recipe(epochs=1, mixed_precision=False, ema_halflife=0.0, lr=1e-2, schedule="constant")


class Spy(Callback):
    """Calls a function after each batch."""

    order = 94

    def __init__(self, look):
        self.look = look

    def after_batch(self):
        if self.training:
            self.look(self.learn)


def test_a_step_is_the_one_written_by_hand():
    """One Adam step of the generators with frozen discriminators, then one of these."""
    data = ToyData(count=3, batch_size=3)
    game, by_hand = ToyGame(), ToyGame()
    by_hand.load_state_dict(game.state_dict())
    fit(game, data, PLAIN)
    data.train.set_position(0, 0)
    (batch,) = list(data.train)
    adam_g = torch.optim.Adam(by_hand.generators.parameters(), 1e-2, (0.5, 0.999), fused=True)
    adam_d = torch.optim.Adam(by_hand.discriminators.parameters(), 1e-2, (0.5, 0.999), fused=True)
    quicken(by_hand)  # the same convolutions, so that every bit can be compared
    by_hand.train()
    seed_step(PLAIN.seed, 0)
    out = by_hand(*batch)
    by_hand.discriminators.requires_grad_(False)
    sum(by_hand.generator_loss(out).values()).backward()
    adam_g.step()
    by_hand.discriminators.requires_grad_(True)
    sum(by_hand.discriminator_loss(out).values()).backward()
    adam_d.step()
    for name, value in by_hand.state_dict().items():
        assert torch.equal(value, game.state_dict()[name]), name


def test_convolutions_are_quickened_for_the_training_alone():
    game, kinds = ToyGame(), []
    plain = [type(layer) for layer in game.modules()]
    look = Spy(lambda learn: kinds.append([type(layer) for layer in learn.model.modules()]))
    fit(game, ToyData(), PLAIN, callbacks=[look])
    assert kinds
    assert all(found != plain for found in kinds)
    assert [type(layer) for layer in game.modules()] == plain


def test_the_discriminators_have_no_gradient_while_the_generators_learn():
    seen = []

    class Watch(Callback):
        order = -1

        def after_backward(self):
            d = list(self.model.discriminators.parameters())
            seen.append(all(p.grad is None and not p.requires_grad for p in d))

    game = ToyGame()
    fit(game, ToyData(), PLAIN, callbacks=[Watch()])
    assert seen == [True] * 4
    assert all(p.requires_grad for p in game.parameters())


def test_the_discriminators_rate_is_a_share_of_the_generators():
    rates = []
    recipe = PLAIN.but(d_lr_ratio=0.25, schedule="linear")
    look = Spy(lambda learn: rates.append(
        (learn.opt.hypers[0]["lr"], learn.discriminator_step.optimizer.hypers[0]["lr"])
    ))  # fmt: skip
    fit(ToyGame(), ToyData(), recipe, callbacks=[look])
    assert [g for g, _ in rates] == pytest.approx([1e-2, 1e-2, 1e-2, 0.5e-2])
    assert [d / g for g, d in rates] == pytest.approx([0.25] * 4)


@pytest.mark.parametrize("schedule", ["linear", "one_cycle"])
def test_no_schedule_touches_the_momenta(schedule):
    seen = []
    spy = Spy(lambda learn: seen.append(learn.opt.opt.param_groups[0]["betas"]))
    fit(ToyGame(), ToyData(), PLAIN.but(schedule=schedule), callbacks=[spy])
    assert set(seen) == {(0.5, 0.999)}


def test_adamw_decays_weights_and_adam_by_default_does_not():
    frozen = {"lr": 1e-8, "schedule": "constant"}
    games = [ToyGame(), ToyGame()]
    start = copy.deepcopy(games[0].state_dict())
    fit(games[0], ToyData(), PLAIN.but(**frozen))
    fit(games[1], ToyData(), PLAIN.but(**frozen, optimizer="adamw", weight_decay=1e6))
    key = "generators.AtoB.0.weight"
    assert torch.allclose(games[0].state_dict()[key], start[key], atol=1e-6)
    assert torch.allclose(games[1].state_dict()[key], start[key] * 0.99**4, atol=1e-6)


def test_clip_holds_the_gradient_norm():
    norms = []

    class Norm(Callback):
        order = 10

        def before_step(self):
            grads = [p.grad.norm() for p in self.model.generators.parameters()]
            norms.append(float(torch.stack(grads).norm()))

    fit(ToyGame(), ToyData(), PLAIN.but(clip=1e-3), callbacks=[Norm()])
    assert max(norms) <= 1e-3 * 1.01


def test_losses_are_float32_and_convolutions_bfloat16_when_asked():
    seen = {}

    def hook(module, args, out):
        seen["conv"] = out.dtype

    game = ToyGame()
    game.generators["AtoB"][0].register_forward_hook(hook)
    spy = Spy(lambda learn: seen.update(loss=learn.loss.dtype))
    fit(game, ToyData(), PLAIN.but(mixed_precision=True), callbacks=[spy])
    assert seen == {"conv": torch.bfloat16, "loss": torch.float32}
    assert not torch.is_autocast_enabled()
    assert all(p.dtype == torch.float32 for p in game.parameters())


def test_autocast_ends_also_when_a_step_fails():
    game = ToyGame(blow_up_at=0)
    with pytest.raises(TrainingError):
        fit(game, ToyData(), PLAIN.but(mixed_precision=True))
    assert not torch.is_autocast_enabled()
    assert all(p.requires_grad for p in game.parameters())


def test_a_game_may_leave_its_discriminators_out_for_a_while():
    game, averaged = ToyGame(), []
    game.discriminator_loss = lambda out: {}
    before = [p.clone() for p in game.discriminators.parameters()]

    class After(Callback):
        order = 91  # behind the average, which must not miss the step

        def after_step(self):
            averaged.append(self.learn.step)

    fit(game, ToyData(), PLAIN.but(ema_halflife=5.0), callbacks=[After()])
    assert len(averaged) > 1
    after = list(game.discriminators.parameters())
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


class TestEma:
    def test_the_first_average_is_not_of_random_weights(self):
        recipe = PLAIN.but(ema_halflife=500.0, epochs=10)
        game, latest = ToyGame(), {}
        first = copy.deepcopy(game.generators.state_dict())
        key = "AtoB.4.weight"
        spy = Spy(lambda learn: latest.update({key: learn.model.generators.state_dict()[key] + 0}))
        fit(game, ToyData(), recipe, callbacks=[spy])
        kept = game.generators.state_dict()[key]
        moved = (latest[key] - first[key]).norm()
        assert (kept - latest[key]).norm() < 0.3 * moved  # 40 steps, half-life of at most 2

    def test_it_is_the_weighted_mean_by_hand(self):
        ema = Ema(halflife=2.0, rampup=0.999, every=1)
        game = ToyGame()
        learn = game_learner(ToyData(), game, PLAIN)
        learn.add_cb(ema)
        ema.before_fit()
        key = "AtoB.0.bias"
        expected = ema.average.state_dict()[key].clone()
        for step in range(4):
            learn.step = step
            with torch.no_grad():
                game.generators["AtoB"][0].bias.add_(1)
            ema.after_step()
            decay = 0.5 ** (1 / min(2.0, (step + 1) * 0.999))
            expected = decay * expected + (1 - decay) * game.generators.state_dict()[key]
        assert torch.allclose(ema.average.state_dict()[key], expected)

    def test_updating_every_fourth_step_forgets_as_fast(self):
        averages = []
        for every in (1, 4):
            game, ema = ToyGame(), Ema(halflife=5.0, rampup=0.5, every=every)
            game_learner(ToyData(), game, PLAIN).add_cb(ema)
            ema.before_fit()
            with torch.no_grad():
                game.generators["AtoB"][0].bias.fill_(1.0)
            for step in range(40):
                ema.learn.step = step
                ema.after_step()
            averages.append(ema.average["AtoB"][0].bias)
        assert torch.allclose(averages[0], averages[1], atol=0.02)

    def test_validation_sees_the_average_and_training_does_not(self):
        seen = {}

        class Watch(Callback):
            order = 91

            def before_validate(self):
                seen["valid"] = self.model.generators is self.learn.ema.average
                seen["other"] = self.learn.ema.average

            def after_validate(self):
                seen["swapped back"] = self.model.generators is seen["other"]

        fit(ToyGame(), ToyData(), PLAIN.but(ema_halflife=5.0), scorer=ToyScorer(),
            callbacks=[Watch()])  # fmt: skip
        assert seen["valid"] is False
        assert seen["swapped back"]


def test_training_leaves_the_callers_dice_alone():
    game, data = ToyGame(), ToyData()
    draws = []
    for train in (False, True):
        torch.manual_seed(1), np.random.seed(1), random.seed(1)
        if train:
            fit(game, data, PLAIN)
        draws.append((torch.rand(1).item(), np.random.rand(), random.random()))
    assert draws[0] == draws[1]


def test_steps_do_not_share_their_dice():
    draws = set()
    for step in range(50):
        seed_step(7, step)
        draws.add((torch.rand(1).item(), np.random.rand(), random.random()))
    assert len({d[0] for d in draws}) == len({d[1] for d in draws}) == 50


def test_equal_seeds_give_equal_weights_and_others_do_not():
    games = [ToyGame() for _ in range(3)]
    for game, seed in zip(games, (1, 1, 2), strict=True):
        fit(game, ToyData(), PLAIN.but(seed=seed))
    key = "generators.AtoB.4.weight"
    first, same, other = (game.state_dict()[key] for game in games)
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_the_game_learns():
    game, data = ToyGame(), ToyData(count=24, batch_size=8)
    a, b = next(iter(data.valid))
    before = l1_loss(game.eval().translate(a), b)
    fit(game, data, PLAIN.but(epochs=20, lr=3e-2, ema_halflife=50.0))
    assert l1_loss(game.translate(a), b) < 0.6 * before
