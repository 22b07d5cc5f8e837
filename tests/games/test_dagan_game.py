import pytest
import torch
from episodes import episodes, play, shapes

from rs_gen.errors import ChipError, SettingError
from rs_gen.games.dagan import DAGANGame


def small(**settings):
    torch.manual_seed(0)
    return DAGANGame(1, 16, **{"width": 4, "latent": 8, **settings})


def test_pairs_are_of_one_class_and_never_of_one_image():
    images = shapes(5, 4)
    supports, targets, labels = episodes(images, 4, 3, 1)
    supports = supports + torch.arange(3).view(1, 3, 1, 1, 1)  # tell them apart
    out = small().train()(supports, targets - 9, labels)
    assert len(out.source) == 4
    assert (out.source - out.other).abs().flatten(1).max(1).values.min() > 0.5


def test_the_critic_looks_at_pairs():
    game = small(adversarial="hinge")
    out = game.train()(*episodes(shapes(4, 6), 2, 3, 2))
    seen = []
    game.discriminators["critic"].register_forward_hook(lambda _, x, y: seen.append(x[0]))
    game.discriminator_loss(out)
    assert torch.equal(seen[0], torch.cat([out.source, out.other], 1))
    assert torch.equal(seen[1], torch.cat([out.source, out.fake], 1))


def test_the_penalty_takes_the_norm_over_the_whole_pair():
    game = small()

    class Linear(torch.nn.Module):
        def forward(self, pairs):
            return type("Judged", (), {"real": pairs.flatten(1).sum(1) * 0.1})

    game.discriminators["critic"] = Linear()
    out = game.train()(*episodes(shapes(4, 6), 2, 3, 2))
    norm = 0.1 * (2 * 16 * 16) ** 0.5  # of a gradient of 0.1 everywhere
    found = game.discriminator_loss(out)["penalty"].item()
    assert found == pytest.approx(10 * (norm - 1) ** 2, rel=1e-3)


def test_only_the_paper_s_loss_has_a_penalty():
    assert small().settings["penalty_weight"] == 10
    assert small(adversarial="hinge").settings["penalty_weight"] == 0


def test_a_code_names_the_image_to_begin_with():
    game = small().eval()
    images = torch.rand(3, 1, 16, 16)
    state = game.learn(images)
    z = torch.randn(1, 8)
    code = torch.cat([torch.tensor([[0.0, 1.0, 0.0]]), z], 1)
    alone = torch.cat([torch.ones(1, 1), z], 1)
    assert torch.allclose(
        game.show(state, code), game.show(game.learn(images[1:2]), alone), atol=1e-5
    )


def test_all_support_images_are_begun_with_in_turn():
    game = small().eval()
    state = game.learn(torch.rand(3, 1, 16, 16))
    which = game.draw(state, 7)[:, :3].argmax(1)
    assert torch.bincount(which, minlength=3).min() >= 2


@pytest.mark.parametrize("adversarial", ["hinge", "wasserstein"])
def test_it_plays(adversarial):
    game = small(adversarial=adversarial, mode_weight=0.1)
    terms = play(game, shapes(4, 6), 3, batch=2)
    assert {"adversarial", "discriminator", "mode"} <= set(terms)
    assert all(abs(v) < 1e4 for v in terms.values())


def test_mode_seeking_makes_the_code_count():
    def spread_of(weight):
        game = small(adversarial="hinge", mode_weight=weight)
        play(game, shapes(4, 6), 8, batch=1, lr=5e-3)
        state = game.learn(shapes(4, 6)[0, :1])
        codes = torch.cat([torch.ones(8, 1), torch.randn(8, 8)], 1)
        return game.show(state, codes).std(0).mean().item()

    assert spread_of(2.0) > 1.2 * spread_of(0.0)


def test_mismatched_pairs_are_of_two_classes_and_count_as_fakes():
    images = shapes(3, 6)
    supports, targets, _ = episodes(images, 4, 3, 1)
    labels = torch.tensor([0, 0, 1, 2])
    game = small(adversarial="hinge", mismatched=True).train()
    out = game(supports, targets, labels)
    chosen = [0, 2, 3]  # the second has the class of the one before it
    assert torch.equal(out.wrong, torch.cat([supports[chosen, 0], supports[[3, 1, 2], 1]], 1))
    seen = []
    game.discriminators["critic"].register_forward_hook(lambda _, x, y: seen.append(x[0]))
    found = game.discriminator_loss(out)["discriminator"]
    assert torch.equal(seen[1][4:], out.wrong)
    plain = small(adversarial="hinge").train()(supports, targets, labels)
    assert len(plain.wrong) == 0
    assert found > 0


def test_the_warm_up_only_draws_the_source():
    game = small(adversarial="hinge", mode_weight=0.1, l1_weight=2.0, warmup=0.5).train()
    game.share = 0.4
    out = game(*episodes(shapes(4, 6), 2, 3, 2))
    terms = game.generator_loss(out)
    assert terms["l1"] == 2 * (out.fake - out.source).abs().mean()
    assert len(terms) == 1
    assert not game.discriminator_loss(out)
    game.share = 0.6
    out = game(*episodes(shapes(4, 6), 2, 3, 2))
    assert set(game.generator_loss(out)) == {"l1", "adversarial", "mode"}


def test_a_warm_up_without_anything_to_learn_is_refused():
    with pytest.raises(SettingError, match="leaves only l1_weight to learn by"):
        small(warmup=0.2)


def test_an_image_alone_has_no_partner():
    with pytest.raises(ChipError, match="DAGAN needs two images of a class"):
        small()(torch.rand(1, 1, 1, 16, 16), torch.rand(1, 0, 1, 16, 16), torch.zeros(1))
