import pytest
import torch

from rs_gen.errors import SettingError, TrainingError
from rs_gen.training.scenes import Labelled, SceneRecipe, fit_scenes, right

TINY = SceneRecipe(steps=30, batch_size=16, width=8)


def stripes(seed, n=24, noise=0.3):
    """Rows or columns, under noise: two classes."""
    dice = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % 2
    images = torch.rand(n, 1, 8, 8, generator=dice) * 2 * noise - noise
    images[labels == 0, :, ::2] += 0.4
    images[labels == 1, :, :, ::2] += 0.4
    return Labelled(images.clamp(-1, 1), labels)


def test_it_learns_what_can_be_told_apart_and_nothing_else():
    real, test = stripes(0, 48), stripes(1, 100)
    recipe = SceneRecipe(steps=60, batch_size=32, width=8, lr=5e-3)
    assert right(fit_scenes(real, 2, recipe=recipe), test).float().mean() > 0.9
    mixed = Labelled(real.images, torch.arange(48) // 2 % 2)  # right for half of each class
    assert right(fit_scenes(mixed, 2, recipe=TINY), test).float().mean() < 0.8


def test_one_seed_gives_one_classifier_and_moves_no_global_dice():
    torch.manual_seed(5)
    state = torch.get_rng_state()
    one, two, other = (fit_scenes(stripes(0), 2, recipe=TINY, seed=s) for s in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), state)
    for a, b in zip(one.parameters(), two.parameters(), strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(one.head.weight, other.head.weight)


def test_extra_chips_are_learnt_from():
    test = stripes(1, 100)
    useless = Labelled(torch.zeros(4, 1, 8, 8), torch.tensor([0, 1, 0, 1]))
    recipe = SceneRecipe(steps=60, batch_size=32, width=8, lr=5e-3)
    alone = right(fit_scenes(useless, 2, recipe=recipe), test).float().mean()
    helped = fit_scenes(useless, 2, extra=stripes(0, 48), recipe=recipe)
    assert right(helped, test).float().mean() > max(0.9, float(alone))


def test_extra_chips_fill_their_share_of_every_batch():
    seen = []

    def look(images, dice):
        seen.append((len(images), int((images == 0.25).all((1, 2, 3)).sum())))
        return images

    extra = Labelled(torch.full((3, 1, 8, 8), 0.25), torch.tensor([0, 1, 0]))
    recipe = SceneRecipe(steps=2, batch_size=16, width=8, share=0.25)
    fit_scenes(stripes(0), 2, extra=extra, change=look, recipe=recipe)
    assert seen == [(12, 0), (4, 4), (12, 0), (4, 4)]


def test_extra_chips_leave_no_trace_in_the_statistics_of_batch_norm():
    bright = Labelled(torch.ones(4, 1, 8, 8), torch.tensor([0, 1, 0, 1]))
    recipe = SceneRecipe(steps=60, batch_size=32, width=8, lr=1e-9)
    plain, mixed = (fit_scenes(stripes(0, 48), 2, extra=e, recipe=recipe) for e in (None, bright))
    one, other = (net.stages[0][1].running_mean for net in (plain, mixed))
    assert torch.allclose(one, other, atol=0.05)
    assert plain.stages[0][1].momentum == mixed.stages[0][1].momentum == 0.1


@pytest.mark.parametrize(
    ("extra", "text"),
    [
        (Labelled(torch.zeros(2, 1, 8, 8), torch.tensor([0])), "1 labels for 2 extra chips"),
        (Labelled(torch.zeros(1, 1, 8, 8), torch.tensor([2])), "labels of the extra chips are 2"),
        (Labelled(torch.zeros(1, 3, 8, 8), torch.tensor([0])), r"extra chips are \(3, 8, 8\)"),
    ],
)
def test_chips_that_do_not_fit_are_refused(extra, text):
    with pytest.raises(SettingError, match=text):
        fit_scenes(stripes(0), 2, extra=extra, recipe=TINY)


def test_numbers_that_can_not_work_are_refused():
    with pytest.raises(SettingError, match="share=1 must lie between 0 and 1"):
        SceneRecipe(share=1)
    with pytest.raises(SettingError, match="steps=0 and batch_size=64: too few"):
        SceneRecipe(steps=0)


def test_a_loss_that_is_no_number_stops_the_training():
    bad = Labelled(torch.full((4, 1, 8, 8), float("nan")), torch.tensor([0, 1, 0, 1]))
    with pytest.raises(TrainingError, match="loss is nan in step 0; lower lr"):
        fit_scenes(bad, 2, recipe=TINY)
