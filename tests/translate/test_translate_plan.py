"""Tiles and batches: as asked for where that is sensible, and said so where it is not."""

import logging

import pytest
import torch
from torch import nn

from rs_gen.errors import SettingError, TranslationError
from rs_gen.networks.blocks import smallest_side
from rs_gen.networks.reach import Reach
from rs_gen.translate.plan import (
    Bound,
    floats_per_pixel,
    halo_of,
    make_plan,
    parse_memory,
    resident,
)

RESNET, UNET = Reach(84, 84, 4), Reach(765, 765, 256)
LARGE = (20480, 20480)


def plan_of(reach=RESNET, shape=LARGE, *, tile=1024, batch=4, floats=64, memory=2**33):
    return make_plan(shape, reach, tile, batch_size=batch, floats=floats, memory=memory)


def test_tiles_are_as_asked_for():
    plan = plan_of(tile=512)
    assert (plan.core, plan.halo, plan.phase, plan.batch) == (512, 84, 4, 4)
    plan = plan_of()
    assert (plan.core, plan.halo, plan.phase) == (1024, 84, 4)
    assert plan.cost == pytest.approx(1.36, abs=0.01)  # the table of published reaches


def test_tiles_are_rounded_to_the_phase():
    assert plan_of(tile=1023).core == 1024
    assert plan_of(tile=1).core % 4 == 0
    assert plan_of(UNET, tile=1000).core % 256 == 0


def test_tiles_are_no_larger_than_the_raster():
    assert plan_of(shape=(100, 200), tile=4096).core == 200


def test_tiles_grow_where_the_halo_is_dear_and_memory_allows(caplog):
    with caplog.at_level(logging.INFO, "rs_gen"):
        plan = plan_of(UNET, floats=32)
    assert plan.core == 1536
    assert "tiles of 1536 px instead of 1024: the halo is 768 px" in caplog.text


def test_a_dear_halo_is_said_where_memory_does_not_allow(caplog):
    plan = plan_of(UNET, floats=32, memory=2**31)
    assert plan.core == 1024
    assert "read 6.2 times what tiles of 1024 px write" in caplog.text
    assert "needs about 2.3 GiB; choose a smaller tile_size" in caplog.text


def test_batches_shrink_to_save_memory(caplog):
    with caplog.at_level(logging.INFO, "rs_gen"):
        plan = plan_of(tile=512, memory=2**30)
    assert plan.batch == 3
    assert plan.memory <= 2**30
    assert "batches of 3 tiles instead of 4 are enough" in caplog.text


def test_batches_hold_no_more_pixels_than_fill_a_device():
    assert plan_of(tile=1024, batch=64).batch == 1
    assert plan_of(tile=256, batch=64).batch == 11


@pytest.mark.parametrize("name", ["tile", "batch"])
def test_sizes_below_one_are_refused(name):
    with pytest.raises(SettingError, match=f"{name}_size=0 is below 1"):
        plan_of(**{name: 0})


def test_the_largest_activation_is_measured():
    net = nn.Sequential(nn.Conv2d(3, 10, 3, padding=1), nn.Conv2d(10, 2, 1))
    assert floats_per_pixel(net, (3, 16, 16), (2, 16, 16)) == 10


def test_a_network_that_changes_the_size_is_refused():
    with pytest.raises(TranslationError, match=r"makes \(3, 32, 32\) of \(3, 16, 16\) where"):
        floats_per_pixel(nn.Upsample(scale_factor=2), (3, 16, 16), (3, 16, 16))


@pytest.mark.parametrize("kind", ["resnet-instance", "resnet-smooth", "unet-instance-5"])
def test_networks_take_their_smallest_image(nets, kind):
    net = nets(kind)
    side = smallest_side(net, 32 if kind.startswith("unet") else 4)
    assert net(torch.zeros(1, 3, side, side)).shape[-1] == side


# ---- within a bound ------------------------------------------------------------------------------


@pytest.mark.parametrize("gibibytes", [1.5, 2, 3, 5])
def test_a_bound_makes_tiles_and_batches_smaller(gibibytes):
    bound = Bound(int(gibibytes * 2**30), 2**30)
    plan = make_plan(LARGE, RESNET, 1024, floats=64, batch_size=4, bands=6, bound=bound)
    assert plan.memory <= plan.limit == bound.total - bound.base
    assert plan.core == 1024 or plan.batch == 1
    assert plan.core % 4 == 0
    larger = make_plan(LARGE, RESNET, plan.core + 4, floats=64, bands=6, memory=2**40)
    assert plan.core == 1024 or larger.memory > plan.limit, "the largest that fits"


def test_a_bound_that_nothing_fits_into_is_refused_with_the_least_that_would_do():
    message = (
        r"max_memory of 1\.0 GiB is too little: the program takes 1\.0 GiB and the smallest tile, "
        r"256 px with a halo of 768 px, 2\.3 GiB; give at least 3\.3 \(GiB\)"
    )
    with pytest.raises(SettingError, match=message):
        make_plan(LARGE, UNET, 1024, floats=64, bound=Bound(2**30, 2**30))
    enough = Bound(int(3.3 * 2**30), 2**30)
    assert make_plan(LARGE, UNET, 1024, floats=64, bound=enough).core == 256


@pytest.mark.parametrize(
    ("amount", "bytes_"),
    [("2GB", 2e9), ("1.5 GiB", 1.5 * 2**30), ("700mb", 7e8), ("512MiB", 2**29), (2, 2**31),
     ("3", 3 * 2**30), ("0.5", 2**29), ("2G", 2**31), ("1000000 B", 1e6)],
)  # fmt: skip
def test_memory_is_read_as_people_write_it(amount, bytes_):
    assert parse_memory(amount) == int(bytes_)


@pytest.mark.parametrize("amount", ["lots", "", "-2GB", "0", "1.2.3GB"])
def test_what_is_no_amount_of_memory_is_refused(amount):
    with pytest.raises(SettingError, match="is no amount of memory; try '2GB', or 2 for GiB"):
        parse_memory(amount)


def test_a_process_holds_some_memory():
    assert 2**20 < resident() < 2**40
    cpu = Bound.of("4GiB", torch.device("cpu"))
    assert resident() < cpu.base < resident() + 2**30
    assert Bound.of(4, torch.device("cuda")) == (2**32, 0)


def test_the_halo_is_the_reach_on_the_phase():
    assert halo_of(UNET) == 768
