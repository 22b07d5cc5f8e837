import pytest
import torch
from episodes import episodes, play, shapes

from rs_gen.errors import SettingError
from rs_gen.games.f2gan import F2GANGame, finest, leading
from rs_gen.games.few_shot import spread
from rs_gen.games.fusing import dirichlet, fused


def small(**settings):
    torch.manual_seed(0)
    return F2GANGame(1, 16, 4, **{"width": 4, "warmup": 0.0, **settings})


def test_coefficients_are_on_the_simplex():
    for alpha in (0.3, 1.0, 5.0):
        a = dirichlet(2000, 3, alpha, torch.Generator().manual_seed(0))
        assert torch.allclose(a.sum(1), torch.ones(2000), atol=1e-5)
        assert a.min() >= 0
        assert torch.allclose(a.mean(0), torch.full((3,), 1 / 3), atol=0.03)
        # the variance of one coefficient is (1/3)(2/3) / (3 alpha + 1)
        assert a[:, 0].var().item() == pytest.approx(2 / 9 / (3 * alpha + 1), rel=0.12)
    assert dirichlet(2, 1).tolist() == [[1.0], [1.0]]


def test_training_codes_are_corners_as_often_as_asked():
    game = small(corner=0.4)
    torch.manual_seed(0)
    codes = game.training_codes(game.condition(torch.rand(500, 3, 1, 16, 16)))
    assert torch.allclose(codes.sum(1), torch.ones(500), atol=1e-5)
    assert (codes.max(1).values == 1).float().mean().item() == pytest.approx(0.4, abs=0.07)


@pytest.mark.parametrize("joint", [False, True])
def test_the_order_of_the_support_images_does_not_matter(joint):
    game, images = small(joint=joint).eval(), torch.rand(4, 1, 16, 16)
    a, order = torch.tensor([[0.1, 0.2, 0.3, 0.4]]), [2, 0, 3, 1]
    one = game.show(game.learn(images), a)
    assert torch.allclose(one, game.show(game.learn(images[order]), a[:, order]), atol=1e-5)


def test_at_a_corner_the_other_images_are_not_seen():
    game, images = small().eval(), torch.rand(3, 1, 16, 16)
    other = torch.cat([images[:1], torch.rand(2, 1, 16, 16)])
    a = torch.tensor([[1.0, 0, 0]])
    one, two = (game.show(game.learn(x), a) for x in (images, other))
    assert torch.allclose(one, two, atol=1e-5)


def test_mode_seeking_moves_the_two_images_of_an_episode_apart():
    torch.manual_seed(0)
    images = shapes(4, 6)
    batch = episodes(images, 4, 3, 2)
    game = small(
        mode_weight=1.0, adversarial_weight=0.0, class_weight=0.0, l1_weight=0.0,
        regression_weight=0.0, corner=0.0,
    ).train()  # fmt: skip

    def step(fit):
        torch.manual_seed(5)
        out = game(*batch)
        terms = game.generator_loss(out)
        assert set(terms) >= {"mode"}
        if fit:
            game.zero_grad()
            terms["mode"].backward()
            with torch.no_grad():
                for p in game.generators.parameters():
                    p -= 0.05 * p.grad if p.grad is not None else 0
        first, second = game.critic(out.fakes.detach()).features.chunk(2)
        return (first - second).abs().mean().item()

    before = step(fit=True)
    for _ in range(4):
        step(fit=True)
    assert step(fit=False) > before


def test_whoever_reads_the_coefficients_learns_in_both_steps_and_teaches_the_generator():
    game = small(adversarial_weight=0.0, class_weight=0.0, l1_weight=0.0, mode_weight=0.0, one=0.0)
    out = game.train()(*episodes(shapes(4, 6), 2, 3, 2))
    reader = [p for p in game.discriminators["reader"].parameters() if p.dim() > 1]

    def reader_learns():
        return all(p.grad is not None and p.grad.abs().sum() > 0 for p in reader)

    # G step, in which the loop has frozen all discriminators: into the generator and the reader.
    game.discriminators.requires_grad_(False)
    game.generator_loss(out)["regression"].backward()
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in game.generators.parameters())
    assert reader_learns()
    assert all(p.grad is None for p in game.discriminators["critic"].parameters())
    # D step: into the reader and nothing else.
    game.discriminators.requires_grad_(True)
    game.zero_grad(set_to_none=True)
    game.discriminator_loss(out)["reading"].backward()
    assert reader_learns()
    others = [*game.generators.parameters(), *game.discriminators["critic"].parameters()]
    assert all(p.grad is None for p in others)


def test_the_warm_up_only_reconstructs():
    game = small(warmup=0.5).train()
    game.share = 0.4
    out = game(*episodes(shapes(4, 6), 2, 3, 2))
    assert set(game.generator_loss(out)) == {"l1"}
    assert game.discriminator_loss(out) == {}
    game.share = 0.6
    out = game(*episodes(shapes(4, 6), 2, 3, 2, seed=3))
    assert {"adversarial", "classes", "mode", "l1"} <= set(game.generator_loss(out))


@pytest.mark.slow  # 150 steps of a network that has to learn something
def test_a_class_that_is_seen_all_the_time_is_reproduced():
    images = shapes(1, 3, seed=2)
    game = small(warmup=1.0, corner=1.0, one=0.0, width=8)
    terms = play(game, images, 150, batch=2, t=0, lr=4e-3, share=0.0)
    # a blank page would leave the ink: its share of the pixels, twice
    blank = (images + 1).mean().item()
    assert terms["l1"] < 0.35 * blank


def test_what_was_borrowed_is_told_without_changing_the_image():
    game = small().eval()
    state = spread(game.learn(torch.rand(3, 1, 16, 16)), 2)
    code = torch.tensor([[0.2, 0.3, 0.5], [1.0, 0, 0]])
    images, found = game.borrow(state, code)
    assert torch.allclose(images, game.render(state, code), atol=1e-5)
    assert [b.places.shape for b in found] == [(2, 3, 16, 16), (2, 3, 64, 64)]
    assert torch.allclose(found[0].shares[1, 0], torch.ones(16), atol=1e-4)


def test_detail_is_that_of_the_image_that_counts_most():
    features = torch.rand(1, 2, 3, 4, 4)
    detail = finest(features, torch.tensor([1]))
    assert torch.nn.functional.avg_pool2d(detail, 2).abs().max() < 1e-6
    flat = features.clone()
    flat[:, 0] = 0
    assert torch.equal(detail, finest(flat, torch.tensor([1])))
    assert leading(features, torch.tensor([[0.2, 0.8]])).tolist() == [1]
    for order in ([0, 1], [1, 0]):  # of equals it is the same image, wherever it stands
        assert order[leading(flat[:, order], torch.tensor([[0.5, 0.5]]))] == 1
    game = small(details=True).eval()
    assert game.show(game.learn(torch.rand(2, 1, 16, 16)), torch.tensor([[0.5, 0.5]])).shape[0] == 1


def test_fusing_is_a_weighted_sum():
    features = torch.stack([torch.zeros(1, 2, 1, 1), torch.ones(1, 2, 1, 1)], 1)
    assert fused(features, torch.tensor([[0.25, 0.75]])).flatten().tolist() == [0.75, 0.75]


def test_settings_that_can_not_work_are_named():
    with pytest.raises(SettingError, match="alpha=0 is not above 0"):
        small(alpha=0)
    with pytest.raises(SettingError, match="mode_weight=-1 is not a weight"):
        small(mode_weight=-1)


def test_a_critic_without_spectral_norm_is_kept_steady_by_a_penalty_now_and_then():
    game = small(spectral=False, r1_weight=2.0, one=0.0).train()
    out = game(*episodes(shapes(4, 6), 2, 3, 2))
    drawn = []
    for seed in range(40):
        torch.manual_seed(seed)
        drawn.append(game.discriminator_loss(out).get("penalty"))
    found = [x.item() for x in drawn if x is not None]
    assert 4 <= len(found) <= 17  # a quarter of them, and as much stronger
    assert game.eval().discriminator_loss(out)["penalty"].item() == pytest.approx(found[0] / 4)
    assert "penalty" not in small().train().discriminator_loss(out)
