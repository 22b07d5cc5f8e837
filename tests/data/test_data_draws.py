import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rs_gen.data.draws import Order, dice, split
from rs_gen.errors import SettingError


@given(st.integers(-5, 2**40), st.integers(0, 10_000), st.integers(0, 10_000))
def test_the_same_place_has_the_same_dice_and_another_place_has_others(seed, epoch, index):
    first, again = (dice(seed, "item", epoch, index).random(4) for _ in range(2))
    assert (first == again).all()
    assert (first != dice(seed, "item", epoch, index + 1).random(4)).any()
    assert (first != dice(seed + 1, "item", epoch, index).random(4)).any()
    assert (first != dice(seed, "order", epoch, index).random(4)).any()


def test_dice_do_not_move_the_global_generators():
    np.random.seed(3)
    before = np.random.get_state()[1].copy()
    dice(1, "item", 2, 3).random(100)
    assert (np.random.get_state()[1] == before).all()


@given(st.integers(1, 50), st.integers(0, 5), st.integers(0, 2**31))
def test_every_epoch_shows_every_chip_once(count, epoch, seed):
    order = Order(count, seed)
    assert sorted(order.epoch(epoch)) == list(range(count))


def test_each_epoch_has_an_order_of_its_own_and_each_side_too():
    order = Order(100, 7)
    assert (order.epoch(0) != order.epoch(1)).any()
    assert (Order(100, 7, "b").epoch(0) != order.epoch(0)).any()
    assert (Order(100, 7).epoch(1) == order.epoch(1)).all()


def test_rare_chips_come_in_turns_and_all_of_them_come():
    rare = np.arange(20) >= 10
    order = Order(20, 0, rare=rare, share=0.25)
    assert len(order) == 13
    epochs = [order.epoch(e) for e in range(4)]
    assert all(len(e) == 13 and set(range(10)) <= set(e) for e in epochs)
    assert set(range(10, 20)) <= set(np.concatenate(epochs))


def test_rare_chips_can_be_left_out_altogether():
    order = Order(5, 0, rare=np.array([True, False, False, True, False]), share=0)
    assert sorted(order.epoch(3)) == [1, 2, 4]


@given(st.integers(1, 20), st.integers(0, 70), st.integers(0, 3))
def test_the_shorter_side_goes_round_in_full_permutations(count, extra, epoch):
    length = count + extra
    filled = Order(count, 1, "b").fill(epoch, length)
    assert len(filled) == length
    for start in range(0, length - count + 1, count):
        assert sorted(filled[start : start + count]) == list(range(count))


@given(st.integers(2, 300), st.floats(0.01, 0.99), st.integers(0, 100))
def test_a_split_is_never_empty_on_either_side(count, share, seed):
    validating = split(count, share, seed)
    assert 1 <= validating.sum() <= count - 1
    assert (split(count, share, seed) == validating).all()
    if 2 < count * share < count - 2:
        assert abs(validating.sum() - count * share) <= 0.5


def test_another_seed_gives_another_split():
    assert (split(100, 0.2, 1) != split(100, 0.2, 2)).any()


def test_a_split_that_leaves_nothing_is_refused():
    with pytest.raises(SettingError, match="val_split_pct=0 leaves nothing to validate on"):
        split(10, 0, 1)
    with pytest.raises(SettingError, match="val_split_pct=1 leaves nothing to train on"):
        split(10, 1, 1)
    with pytest.raises(SettingError, match="1 chip on side a can't be split"):
        split(1, 0.5, 1)


def test_a_share_outside_its_range_is_refused():
    with pytest.raises(SettingError, match=r"share=2 is not between 0 and 1"):
        Order(5, 0, share=2)
