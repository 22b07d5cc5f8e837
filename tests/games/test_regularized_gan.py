"""The game of RegularizedGAN: what its terms reach (R1, R2), what it refuses, what it keeps."""

import pytest
import torch

from rs_gen.errors import ChipError, SettingError, UnknownNameError
from rs_gen.games.base import total
from rs_gen.games.registry import create_game
from rs_gen.games.regularized_gan import RegularizedGANGame
from rs_gen.losses.regularizers import entropy, uniformity

TINY = {"base": "dcgan", "widths": [8, 8, 8], "z_dim": 8}


def game(seed=0, **settings):
    torch.manual_seed(seed)
    return RegularizedGANGame(3, 16, **{**TINY, **settings}).train()


def images(count=8):
    return torch.rand(count, 3, 16, 16, generator=torch.Generator().manual_seed(5)) * 2 - 1


def play(one, steps=20):
    """A bare training: weights of all players and the state of the dice afterwards."""
    torch.manual_seed(1)
    sides = [(one.generators, one.generator_loss), (one.discriminators, one.discriminator_loss)]
    adams = [torch.optim.Adam(nets.parameters(), 1e-3, betas=(0.0, 0.99)) for nets, _ in sides]
    for _ in range(steps):
        out = one(images())
        for (_, loss), adam in zip(sides, adams, strict=True):
            adam.zero_grad()
            total(loss(out)).backward()
            adam.step()
    return [p.detach().clone() for p in one.parameters()], torch.get_rng_state()


@pytest.fixture(scope="module")
def baseline():
    return play(game(uniformity_weight=0.0, entropy_weight=0.0))


class TestWeightZero:
    """R1: a weight of 0 is the baseline, bit for bit."""

    @pytest.mark.parametrize(
        "other",
        [
            {"uniformity_t": 5.0, "uniformity_chunks": 4, "reg_on": ("d",)},
            {"entropy_mode": "code", "entropy_cap": "none", "reg_interval": 3},
            {"reg_warmup_steps": 10, "feature_site": "gap", "hook": 8},
        ],
    )
    def test_whatever_else_is_set_nothing_is_built_or_drawn(self, baseline, other):
        weights, dice = play(game(uniformity_weight=0.0, entropy_weight=0.0, **other))
        assert all(map(torch.equal, weights, baseline[0]))
        assert torch.equal(dice, baseline[1])

    def test_a_weight_above_0_changes_the_run_but_draws_nothing_more(self, baseline):
        for weights in ({"uniformity_weight": 0.2}, {"entropy_weight": 0.05}):
            found, dice = play(game(**{"uniformity_weight": 0.0, "entropy_weight": 0.0, **weights}))
            assert not all(map(torch.equal, found, baseline[0]))
            assert torch.equal(dice, baseline[1])

    def test_terms_without_a_weight_are_not_there(self):
        one = game(uniformity_weight=0.0, entropy_weight=0.0)
        assert set(one.generator_loss(one(images()))) == {"adversarial"}


class TestGradients:
    """R2: the terms teach the generator, through the discriminator too, and nobody else."""

    @pytest.mark.parametrize("term", ["uniformity_d", "entropy_d", "uniformity_g", "entropy_g"])
    def test_a_term_reaches_the_generator_and_not_the_discriminator(self, term):
        one = game()
        one.generator_loss(one(images()))[term].backward()
        assert all(p.grad is None for p in one.discriminators.parameters())
        assert any(p.grad is not None and p.grad.any() for p in one.generators.parameters())

    def test_only_the_features_that_were_asked_for_are_looked_at(self):
        one = game(reg_on=("d",))
        terms = one.generator_loss(one(images()))
        assert set(terms) == {"adversarial", "uniformity_d", "entropy_d"}

    def test_the_discriminators_loss_sends_nothing_to_the_generator(self):
        one = game()
        total(one.discriminator_loss(one(images()))).backward()
        assert all(p.grad is None for p in one.generators.parameters())
        assert all(p.grad is not None for p in one.discriminators.parameters())

    def test_the_callers_frozen_weights_stay_frozen(self):
        one = game()
        one.discriminators.requires_grad_(False)
        total(one.generator_loss(one(images()))).backward()
        assert not any(p.requires_grad for p in one.discriminators.parameters())


class TestTerms:
    def test_they_are_the_losses_of_the_features_times_the_weights(self):
        one = game(
            uniformity_weight=0.3, entropy_weight=0.1, entropy_mode="code", entropy_cap="none"
        )
        out = one(images())
        terms = one.generator_loss(out)
        fg, fd = out.features, one.judge_features(out.fake)[1]
        for name, features in (("g", fg), ("d", fd)):
            spread = 0.3 * uniformity(features, 2.0, 2)
            torch.testing.assert_close(terms[f"uniformity_{name}"], spread)
            rich = -0.1 * entropy(features, "code").mean()
            torch.testing.assert_close(terms[f"entropy_{name}"], rich)

    def test_lazy_terms_come_every_so_many_steps_and_weigh_as_much_more(self):
        often, seldom = game(), game(reg_interval=3)
        now, then = (o.generator_loss(o(images())) for o in (often, seldom))
        torch.manual_seed(0)
        assert set(now) == set(then)
        assert set(seldom.generator_loss(seldom(images()))) == {"adversarial"}
        torch.manual_seed(3)
        a = often.generator_loss(often(images()))["uniformity_g"]
        seldom.steps["g"] = 3
        torch.manual_seed(3)
        b = seldom.generator_loss(seldom(images()))["uniformity_g"]
        torch.testing.assert_close(3 * a, b)

    def test_weights_rise_over_the_warmup(self):
        one = game(reg_warmup_steps=3)
        found = []
        for _ in range(6):
            torch.manual_seed(0)
            found.append(one.generator_loss(one(images()))["uniformity_g"].item())
        shares = [value / found[-1] for value in found]
        assert shares == pytest.approx([0.25, 0.5, 0.75, 1, 1, 1])

    def test_the_gap_site_looks_at_means_of_maps(self):
        one = game(feature_site="gap")
        assert one.generate_features(torch.randn(4, 8))[1].shape == (4, 8)
        assert game().generate_features(torch.randn(4, 8))[1].shape == (4, 8 * 8 * 8)

    def test_an_entropy_above_the_cap_gains_nothing(self):
        one = game(entropy_cap=-100.0)
        terms = one.generator_loss(one(images()))
        assert terms["entropy_g"].item() == pytest.approx(5.0)
        assert not torch.autograd.grad(terms["entropy_g"], one.generators["G"].paint.weight,
                                       allow_unused=True)[0]  # fmt: skip

    def test_the_cap_of_real_images_is_followed(self):
        one = game(entropy_cap="real")
        out = one(images())
        one.generator_loss(out)
        one.discriminator_loss(out)
        real = entropy(one.judge_features(out.real)[1]).mean().item()
        assert one.caps["d"] == pytest.approx(real, rel=1e-5)
        assert one.caps["g"] == pytest.approx(entropy(out.features).mean().item())

    def test_penalties_are_squared_gradient_norms_at_their_interval(self):
        one = game(r1_weight=3.0, r2_weight=0.0, penalty_interval=2)
        out = one(images())
        first, second = one.discriminator_loss(out), one.discriminator_loss(out)
        assert set(first) == {"discriminator", "r1"}
        assert set(second) == {"discriminator"}
        real = images().requires_grad_()
        (gradient,) = torch.autograd.grad(one.discriminators["D"](real).sum(), real)
        expected = 2 * 3.0 / 2 * gradient.square().flatten(1).sum(1).mean()
        torch.testing.assert_close(first["r1"], expected)

    def test_the_papers_loss_judges_a_fake_by_itself(self):
        one = game(loss="nonsaturating")
        out = one(images())
        answer = one.discriminators["D"](out.fake)
        expected = torch.nn.functional.softplus(-answer).mean()
        torch.testing.assert_close(one.generator_loss(out)["adversarial"], expected)
        assert set(one.discriminator_loss(out)) == {"discriminator", "r1"}


class TestAugmentation:
    def test_it_gets_stronger_while_the_discriminator_is_sure_and_weaker_after(self):
        one = game(augment="ada")
        for _ in range(3):
            one._after(torch.ones(8), torch.zeros(8), torch.zeros(8, 4))
        assert one.strength == pytest.approx(3 * 8 / 100_000)
        for _ in range(5):
            one._after(torch.zeros(8), torch.ones(8), torch.zeros(8, 4))
        assert one.strength == 0

    @pytest.mark.parametrize("kind", ["diffaug", "ada"])
    def test_penalties_and_both_losses_pass_through_it(self, kind):
        one = game(augment=kind)
        one.strength = 0.5
        out = one(images())
        terms = one.generator_loss(out) | one.discriminator_loss(out)
        assert all(torch.isfinite(term) for term in terms.values())

    def test_it_is_for_training_alone(self):
        one = game(augment="diffaug").eval()
        before = torch.get_rng_state()
        assert torch.equal(one._shown(images()), images())
        assert torch.equal(before, torch.get_rng_state())


def test_classes_are_asked_for_and_judged():
    one = game(classes=3)
    labels = torch.arange(8) % 3
    out = one(images(), labels)
    terms = one.generator_loss(out) | one.discriminator_loss(out)
    assert all(torch.isfinite(term) for term in terms.values())
    z = torch.zeros(3, 8)
    made = one.generate(z, torch.arange(3))
    assert not torch.allclose(made[0], made[1])


def test_labels_are_not_looked_at_where_there_are_no_classes():
    one = game()
    torch.manual_seed(2)
    with_labels = one(images(), torch.arange(8))
    torch.manual_seed(2)
    assert torch.equal(with_labels.fake, one(images()).fake)


def test_noise_is_the_same_however_much_is_asked_for():
    one = game()
    assert torch.equal(one.noise(9, seed=4)[:3], one.noise(3, seed=4))


def test_memory_is_taken_up_again():
    one, other = game(entropy_cap="real", augment="ada"), game(entropy_cap="real", augment="ada")
    out = one(images())
    one.generator_loss(out), one.discriminator_loss(out)
    one.strength = 0.25
    other.load_memory(one.memory())
    assert other.memory() == one.memory() == {"steps": {"g": 1, "d": 1}, "strength": 0.25,
                                              "caps": one.caps}  # fmt: skip


def test_settings_build_the_same_game_again():
    one = game(classes=2, reg_on=("g",))
    again = create_game("regularized_gan", **one.settings)
    assert again.settings == one.settings
    again.load_state_dict(one.state_dict())


def test_it_translates_nothing_and_says_what_to_call():
    assert game().directions == ()
    with pytest.raises(SettingError, match="makes images from noise and translates none; use gen"):
        game().generator("AtoB")


def test_r3gan_is_the_default_base_with_as_many_stages_as_the_size_needs():
    one = RegularizedGANGame(3, 32, scale="tiny")
    assert type(one.generators["G"]).__name__ == "R3Generator"
    assert sum(p.numel() for p in one.generators.parameters()) == pytest.approx(190_000, rel=0.05)
    assert one.generate(torch.zeros(1, 64)).shape == (1, 3, 32, 32)


@pytest.mark.parametrize(
    ("settings", "error", "text"),
    [
        ({"base": "stylegan"}, UnknownNameError, "no base named 'stylegan'; there are dcgan, r3"),
        ({"loss": "hinge"}, UnknownNameError, "no loss named 'hinge'; there are nonsaturating"),
        ({"scale": "huge"}, UnknownNameError, "no scale named 'huge'; there are cpu, gpu"),
        ({"entropy_mode": "x"}, UnknownNameError, "no entropy mode named 'x'"),
        ({"feature_site": "x"}, UnknownNameError, "no feature site named 'x'; there are flatten"),
        ({"augment": "x"}, UnknownNameError, "no augmentation named 'x'"),
        ({"uniformity_weight": -1}, SettingError, "uniformity_weight=-1 is not a weight"),
        ({"entropy_cap": "fake"}, SettingError, "entropy_cap='fake' is neither 'real', 'none' nor"),
        ({"hook": 12}, SettingError, r"hook=12 is no stage of these images; there are \[8, 16\]"),
        ({"reg_on": ("x",)}, SettingError, r"reg_on=\['x'\] must be of 'g' and 'd'"),
        ({"uniformity_t": 0}, SettingError, "uniformity_t=0 is not above 0"),
        ({"widths": [8, 8]}, SettingError, r"widths=\[8, 8\] must be 3 whole numbers up to 1024"),
        ({"base": "r3gan", "widths": [8, 8, 4]}, SettingError, "multiples of 8"),
        ({"z_dim": 0}, SettingError, "z_dim=0 is not within 1 to 4096"),
    ],
)
def test_settings_that_can_not_work_are_refused(settings, error, text):
    with pytest.raises(error, match=text):
        game(**settings)


@pytest.mark.parametrize(("size", "weight"), [(32, 1.0), (64, 2.0), (256, 150.0)])
def test_larger_images_keep_the_discriminator_calmer(size, weight):
    held = RegularizedGANGame(3, size, base="dcgan", scale="toy").settings
    assert held["r1_weight"] == held["r2_weight"] == weight
    assert RegularizedGANGame(3, size, base="dcgan", scale="toy", r1_weight=3.0).weights == (3, 3)


def test_a_size_without_a_network_is_refused_with_one_that_has():
    with pytest.raises(ChipError, match=r"chips are 48 px but images are made with 16, .*; try 32"):
        RegularizedGANGame(3, 48)
    with pytest.raises(ChipError, match="take chips of 16 px"):
        RegularizedGANGame(3, 8)


def test_batches_that_uniformity_can_not_be_computed_on_are_refused():
    with pytest.raises(SettingError, match="a batch of 5 can't be parted into 2 equal chunks"):
        game().check_batch(5)
    one = game()
    out = one(images(7))
    with pytest.raises(SettingError, match="a batch of 7 can't be parted"):
        one.generator_loss(out)
    game(uniformity_weight=0.0).check_batch(5)
