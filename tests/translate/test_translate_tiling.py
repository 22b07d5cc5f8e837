"""The fastest tiles are found by timing, with a clock that tests can hold."""

import dataclasses

import pytest
import torch

from rs_gen.errors import SettingError
from rs_gen.networks.reach import Reach
from rs_gen.translate.engine import Engine, ready
from rs_gen.translate.plan import make_plan
from rs_gen.translate.tiling import DEFAULT, check_tile_size, choose_tile_size, timed

LARGE = 20_000


def plan_for(size, side=LARGE, **options):
    return make_plan((side, side), Reach(28, 28, 4), size, floats=8, tell=False, **options)


def chosen(seconds_a_megapixel, side=LARGE, **options):
    """The choice where cores of each size take so many seconds a megapixel; what was tried."""
    tried = []

    def seconds(plan):
        tried.append(plan.core)
        return seconds_a_megapixel[plan.core] * plan.core**2 / 1e6

    size = choose_tile_size(seconds, lambda size: plan_for(size, side, **options), side * side)
    return size, tried


def test_the_fastest_is_chosen():
    assert chosen({512: 2, 1024: 1, 2048: 0.5}) == (2048, [512, 1024, 2048])
    assert chosen({512: 2, 1024: 1, 2048: 1.5}) == (1024, [512, 1024, 2048])


def test_smaller_ones_are_tried_where_larger_ones_are_slower():
    rates = {256: 0.5, 512: 1, 1024: 2, 2048: 3}
    assert chosen(rates) == (256, [512, 1024, 2048, 256])
    assert chosen({**rates, 256: 4})[0] == 512


def test_a_small_raster_is_not_worth_measuring():
    assert chosen({}, side=1500) == (DEFAULT, [])
    assert chosen({}, side=300) == (300, [])


def test_measuring_ends_once_it_took_its_share():
    assert chosen({256: 2, 512: 1}, side=4000) == (512, [512, 256]), "1024 px are a large share"
    assert chosen({512: 1, 1024: 30}) == (512, [512, 1024]), "half a minute of seven was enough"


def test_sizes_that_memory_forbids_are_not_measured():
    small = plan_for(512).memory
    assert chosen({256: 2, 512: 1}, memory=small) == (512, [512, 256])


def test_an_engine_is_timed_by_a_given_clock(nets):
    ticks = iter(range(0, 100, 5))
    engine = Engine(
        ready(nets("resnet-instance"), torch.device("cpu")), torch.device("cpu"), halo=28
    )
    plan = dataclasses.replace(plan_for(64), core=32)
    assert timed(engine, 3, lambda: next(ticks))(plan) == 5
    quick = iter([0.0, 0.5, 1.0, 1.2])
    assert timed(engine, 3, lambda: next(quick))(plan) == pytest.approx(0.2), "the second time"
    assert engine.spent is None, "nothing stays frozen"


@pytest.mark.parametrize(("given", "size"), [("auto", None), (64, 64), ("128", 128)])
def test_sizes_are_numbers_or_auto(given, size):
    assert check_tile_size(given) == size


def test_another_word_is_refused():
    message = "tile_size='big' is neither 'auto' nor a number of pixels"
    with pytest.raises(SettingError, match=message):
        check_tile_size("big")
