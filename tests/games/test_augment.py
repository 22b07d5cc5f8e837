import pytest
import torch

from rs_gen.errors import UnknownNameError
from rs_gen.games.augment import (
    adaptive,
    check_kind,
    colour,
    cutout,
    diffaug,
    shift,
    turn,
)

CHANGES = [turn, colour, shift, cutout]


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.fixture
def images():
    return torch.rand(16, 4, 16, 16) * 2 - 1


def test_without_strength_nothing_changes_and_nothing_is_drawn(images):
    before = torch.get_rng_state()
    assert adaptive(images, 0.0) is images
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("change", CHANGES, ids=lambda c: c.__name__)
def test_each_change_draws_anew_for_each_image_and_keeps_the_shape(images, change):
    same = images[:1].expand(16, -1, -1, -1)
    changed = change(same)
    assert changed.shape == images.shape
    assert len({tuple(image.flatten().tolist()) for image in changed}) > 4


@pytest.mark.parametrize("change", [*CHANGES, diffaug], ids=lambda c: c.__name__)
def test_gradients_and_their_gradients_pass_through(images, change):
    x = images.double().requires_grad_()
    y = change(x).square().sum()
    (gradient,) = torch.autograd.grad(y, x, create_graph=True)
    (second,) = torch.autograd.grad(gradient.square().sum(), x)
    assert torch.isfinite(second).all()
    assert second.any()


def test_a_turn_moves_pixels_and_loses_none(images):
    for before, after in zip(images, turn(images), strict=True):
        assert torch.equal(before.flatten(1).sort(1)[0], after.flatten(1).sort(1)[0])


def test_a_shift_moves_by_at_most_an_eighth(images):
    point = torch.zeros(64, 1, 16, 16)
    point[:, :, 8, 8] = 1
    rows, cols = shift(point).nonzero()[:, 2:].T
    assert set(rows.tolist()) == set(cols.tolist()) == {6, 7, 8, 9, 10}


def test_a_hole_is_a_square_of_half_the_side_at_most():
    holes = cutout(torch.ones(64, 1, 16, 16)) == 0
    assert holes.sum((1, 2, 3)).max() <= 64
    assert holes.any((1, 2, 3)).all()


def test_a_chance_changes_that_share(images):
    many = torch.rand(2000, 1, 8, 8)
    changed = (adaptive(many, 0.5) != many).flatten(1).any(1).float().mean()
    assert 0.85 < changed < 0.98  # one of four changes, one of which may be the identity


def test_an_unknown_kind_is_refused():
    with pytest.raises(UnknownNameError, match="no augmentation named 'all'; there are ada, diff"):
        check_kind("all")
