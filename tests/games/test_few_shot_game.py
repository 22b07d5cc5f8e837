"""What all six have in common."""

import pytest
import torch
from episodes import episodes, shapes

from rs_gen.errors import ChipError, SettingError
from rs_gen.games.few_shot import nudges, slerp, some_supports, spread, views
from rs_gen.games.registry import create_game

SMALL = {
    "f2gan": {}, "matchinggan": {"latent": 8}, "dagan": {"latent": 8, "adversarial": "hinge"},
    "gmn": {"latent": 4, "hidden": 16}, "figr": {"latent": 8, "inner_steps": 1, "adapt_steps": 2},
    "dawson": {"latent": 8, "inner_steps": 1, "adapt_steps": 2},
}  # fmt: skip


def small(name, bands=1, size=16, **settings):
    torch.manual_seed(0)
    settings = {"width": 4, "classes": 5, **SMALL[name], **settings}
    return create_game(name, in_channels=bands, size=size, **settings)


@pytest.mark.parametrize("name", SMALL)
class TestEverySystem:
    @pytest.mark.parametrize(("bands", "size"), [(1, 16), (4, 24), (13, 32)])
    def test_draws_images_of_any_size_and_bands(self, name, bands, size):
        game = small(name, bands, size).eval()
        state = game.learn(torch.rand(3, bands, size, size) * 2 - 1)
        images = game.show(state, game.draw(state, 5))
        assert images.shape == (5, bands, size, size)
        assert images.abs().max() <= 1

    def test_draws_from_one_image_as_well_as_from_five(self, name):
        game = small(name).eval()
        for k in (1, 2, 5):
            state = game.learn(torch.rand(k, 1, 16, 16))
            assert game.show(state, game.draw(state, 2)).shape == (2, 1, 16, 16)

    def test_a_seed_gives_the_same_images_every_time(self, name):
        game = small(name).eval()

        def drawn(seed):
            dice = torch.Generator().manual_seed(seed)
            supports = torch.linspace(-1, 1, 3 * 256).view(3, 1, 16, 16)
            state = game.learn(supports, dice)
            return game.show(state, game.draw(state, 3, generator=dice))

        torch.manual_seed(1)
        first = drawn(7)
        torch.manual_seed(2)
        assert torch.equal(first, drawn(7))

    def test_drawing_leaves_the_game_as_it_was(self, name):
        game = small(name).train()
        before = {k: v.clone() for k, v in game.state_dict().items()}
        state = game.learn(torch.rand(2, 1, 16, 16))
        game.show(state, game.draw(state, 2))
        assert game.training
        assert all(torch.equal(v, before[k]) for k, v in game.state_dict().items())

    def test_images_change_smoothly_with_the_code(self, name):
        game = small(name).eval()
        state = game.learn(torch.rand(3, 1, 16, 16))
        code = game.draw(state, 2).detach().requires_grad_()
        game.render(spread(state, 2), code).sum().backward()
        assert code.grad.abs().sum() > 0

    def test_a_way_between_codes_starts_and_ends_at_them(self, name):
        game = small(name).eval()
        state = game.learn(torch.rand(3, 1, 16, 16))
        start, end = game.draw(state, 2)
        way = game.between(start, end, 5)
        assert way.shape == (5, len(start))
        assert torch.allclose(way[0], start, atol=1e-5)
        if name != "dagan":  # it stays at the support image that it began with
            assert torch.allclose(way[-1], end, atol=1e-5)

    def test_the_losses_keep_to_their_own_players(self, name):
        game = small(name, warmup=0.0) if name in ("f2gan", "matchinggan") else small(name)
        out = game.train()(*episodes(shapes(5, 6), 2, 3, 2))
        sum(game.generator_loss(out).values()).backward()
        judges = [v for k, v in game.discriminators.named_parameters() if "reader" not in k]
        assert all(p.grad is None for p in judges)  # F2GAN's reader is no adversary
        assert any(p.grad is not None for p in game.generators.parameters())
        game.zero_grad(set_to_none=True)
        terms = game.discriminator_loss(out)
        if terms:
            sum(terms.values()).backward()
            assert all(p.grad is None for p in game.generators.parameters())

    def test_the_settings_build_the_same_game_again(self, name):
        game = small(name)
        again = create_game(name, **game.settings)
        assert again.settings == game.settings
        assert again.load_state_dict(game.state_dict())

    def test_chips_of_another_shape_are_refused(self, name):
        with pytest.raises(ChipError, match=r"are \(3, 2, 16, 16\); this model needs \(K, 1, 16"):
            small(name).learn(torch.rand(3, 2, 16, 16))

    def test_a_size_that_can_not_be_halved_is_refused(self, name):
        with pytest.raises(ChipError, match=r"28 px .* multiple of 8"):
            small(name, size=28)

    def test_a_width_of_nothing_is_refused(self, name):
        with pytest.raises(SettingError, match="width=0 is not within 1 to 1024"):
            small(name, width=0)


@pytest.mark.parametrize("name", ["figr", "dawson", "gmn"])
def test_no_batch_norm_where_an_episode_is_all_there_is(name):
    game = small(name)
    assert not [m for m in game.modules() if isinstance(m, torch.nn.BatchNorm2d)]


def test_one_image_has_eight_views_each_of_the_same_pixels():
    image = torch.arange(16.0).view(1, 1, 4, 4)
    seen = views(image)
    assert seen.shape == (8, 1, 4, 4)
    assert len({tuple(v.flatten().tolist()) for v in seen}) == 8
    assert all(torch.equal(v.flatten().sort().values, image.flatten()) for v in seen)
    assert torch.equal(seen[0], image[0])


def test_views_of_two_images_stay_together():
    seen = views(torch.stack([torch.zeros(1, 2, 2), torch.ones(1, 2, 2)]))
    assert seen.flatten(1).mean(1).tolist() == [0] * 8 + [1] * 8


def test_a_nudge_is_small_and_follows_its_seed():
    image = torch.zeros(1, 1, 32, 32)
    image[..., 12:20, 12:20] = 1
    one = nudges(image, generator=torch.Generator().manual_seed(0))
    two = nudges(image, generator=torch.Generator().manual_seed(0))
    assert one.shape == (8, 1, 32, 32)
    assert torch.equal(one, two)
    assert torch.equal(one[:1], image)
    overlap = (one[1:] * image).sum((1, 2, 3)) / 64
    assert (overlap > 0.5).all()
    assert (overlap < 1).all()


def test_training_meets_every_number_of_support_images():
    torch.manual_seed(0)
    supports = torch.zeros(1, 4, 1, 8, 8)
    met = {some_supports(supports, 0.2).shape[1] for _ in range(60)}
    assert met == {1, 2, 3, 4}
    assert some_supports(supports[:, :1], 0.0).shape[1] == 1


def test_the_great_circle_keeps_lengths():
    a, b = torch.tensor([3.0, 0, 0]), torch.tensor([0, 3.0, 0])
    assert torch.allclose(slerp(a, b, 5).norm(dim=1), torch.full((5,), 3.0), atol=1e-5)
    assert torch.allclose(slerp(a, a, 3), a.expand(3, 3))
    assert torch.allclose(slerp(a, 0 * a, 3)[1], a / 2)


def test_the_state_of_a_class_is_spread_without_a_copy():
    held = [torch.zeros(1, 2), torch.ones(1, 3)]
    wide = spread(held, 4)
    assert [tuple(t.shape) for t in wide] == [(4, 2), (4, 3)]
    assert wide[1].data_ptr() == held[1].data_ptr()
