import pytest
import torch

from rs_gen.errors import SettingError
from rs_gen.metrics.generation import eight_turns
from rs_gen.training.traditional import Traditional


def images(n=64, side=8):
    return torch.rand(n, 2, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1


def dice(seed=0):
    return torch.Generator().manual_seed(seed)


def test_the_same_dice_change_the_same_way_and_inputs_stay():
    x = images()
    before = x.clone()
    one, two, other = (Traditional()(x, dice(seed)) for seed in (1, 1, 2))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)
    assert torch.equal(x, before)
    assert one.shape == x.shape
    assert one.abs().max() <= 1


def test_turns_are_the_eight_and_each_chip_draws_its_own():
    one = images(1)
    many = Traditional(shift=0, light=0)(one.expand(200, -1, -1, -1), dice())
    known = {t.numpy().tobytes() for t in eight_turns(one)}
    assert {t.numpy().tobytes() for t in many} == known


def test_a_shift_moves_whole_pixels_and_mirrors_what_comes_in():
    one = images(1)
    moved = Traditional(turns=False, shift=0.25, light=0)(one.expand(60, -1, -1, -1), dice())
    values = one.flatten()
    assert (moved.flatten()[:, None] - values).abs().min(1).values.max() < 1e-5
    middle = one[0, :, 3:5, 3:5]
    found = {(r, c) for image in moved for r in range(7) for c in range(7)
             if torch.allclose(image[:, r : r + 2, c : c + 2], middle, atol=1e-5)}  # fmt: skip
    assert {r for r, _ in found} == {c for _, c in found} == {1, 2, 3, 4, 5}


def test_light_changes_contrast_and_brightness_within_bounds():
    flat = torch.full((200, 1, 4, 4), 0.5)
    lit = Traditional(turns=False, shift=0, light=0.2)(flat, dice())[:, 0, 0, 0]
    assert 0.2 - 1e-6 <= lit.min() < 0.3
    assert 0.7 < lit.max() <= 0.8 + 1e-6


def test_upright_chips_are_turned_a_little_only():
    up = Traditional.upright()
    assert (up.turns, up.light) == (False, 0)
    blob = torch.full((50, 1, 32, 32), -1.0)
    blob[:, :, 4:8, 14:18] = 1  # near the top
    made = Traditional.upright()(blob, dice())
    rows = (made[:, 0].add(1) * torch.arange(32)[:, None]).sum((1, 2)) / made[:, 0].add(1).sum(
        (1, 2)
    )
    assert rows.max() < 14
    assert rows.std() > 0.5


def test_nothing_to_change_changes_nothing():
    x = images()
    assert torch.equal(Traditional(turns=False, shift=0, light=0)(x, dice()), x)


@pytest.mark.parametrize(
    ("options", "text"), [({"shift": 1}, "shift=1 is not from 0"), ({"rotate": 200}, "rotate=200")]
)
def test_values_out_of_range_are_refused(options, text):
    with pytest.raises(SettingError, match=text):
        Traditional(**options)
