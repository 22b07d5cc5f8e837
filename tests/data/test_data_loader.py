import gc
import pickle
import time

import numpy as np
import pytest
import torch

from rs_gen.data.draws import Order, dice
from rs_gen.data.loader import Batches, Draw
from rs_gen.errors import ChipError, SettingError


class Numbers:
    """Items that tell where they come from, and with which dice."""

    def __init__(self, count=10, broken=None):
        self.broken, self._order = broken, Order(count, 3)

    def __len__(self):
        return len(self._order)

    def order(self, epoch):
        return self._order.epoch(epoch)[:, None]

    def draw(self, draw):
        if draw.chips[0] == self.broken:
            raise ChipError(f"chip {self.broken} is broken")
        noise = dice(3, "item", draw.epoch, draw.position).random()
        return (torch.tensor([*draw.chips, draw.epoch, draw.position, noise], dtype=torch.float64),)


def gather(run):
    return [batch for (batch,) in run]


def equal(first, second):
    return len(first) == len(second) and all(map(torch.equal, first, second))


def test_an_epoch_holds_every_item_once():
    batches = Batches(Numbers(), 4)
    chips = torch.cat(gather(batches.run(0)))[:, 0]
    assert [len(b) for b in gather(batches.run(0))] == [4, 4, 2]
    assert sorted(chips.tolist()) == list(range(10))


def test_a_last_batch_that_is_not_full_can_be_left_out():
    batches = Batches(Numbers(), 4, drop_last=True)
    assert [len(b) for b in gather(batches.run(0))] == [4, 4]
    assert len(batches) == 2


def test_a_run_from_the_middle_gives_what_the_whole_run_gave_there():
    batches = Batches(Numbers(), 3)
    assert equal(gather(batches.run(5, 2)), gather(batches.run(5))[2:])


def test_workers_give_the_same_bits_in_the_same_order():
    alone, helped = Batches(Numbers(), 3), Batches(Numbers(), 3, num_workers=2)
    for epoch in (0, 1):
        assert equal(gather(helped.run(epoch)), gather(alone.run(epoch)))
    assert equal(gather(helped.run(1, 2)), gather(alone.run(1))[2:])
    helped.close()
    assert equal(gather(helped.run(0)), gather(alone.run(0)))


def test_a_run_that_is_broken_off_does_not_disturb_the_next():
    alone, helped = Batches(Numbers(), 2), Batches(Numbers(), 2, num_workers=2)
    run = helped.run(0)
    next(run)
    run.close()
    assert equal(gather(helped.run(1)), gather(alone.run(1)))


def test_two_runs_at_once_do_not_meet():
    alone, helped = Batches(Numbers(), 2), Batches(Numbers(), 2, num_workers=1)
    first, second = helped.run(0), helped.run(1)
    mixed = [(next(first)[0], next(second)[0]) for _ in range(len(alone))]
    assert equal([m[0] for m in mixed], gather(alone.run(0)))
    assert equal([m[1] for m in mixed], gather(alone.run(1)))


@pytest.mark.parametrize("workers", [0, 2])
def test_global_generators_are_neither_read_nor_moved(workers):
    batches = Batches(Numbers(), 3, num_workers=workers)
    torch.manual_seed(1)
    first = gather(batches.run(2))
    after = torch.rand(3)
    torch.manual_seed(1)
    assert torch.equal(after, torch.rand(3))
    np.random.seed(8)
    torch.manual_seed(99)
    assert equal(gather(batches.run(2)), first)


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_arrives_as_it_was_raised(workers):
    batches = Batches(Numbers(broken=7), 2, num_workers=workers)
    with pytest.raises(ChipError, match=r"^chip 7 is broken$"):
        gather(batches.run(0))


def test_the_plan_tells_what_a_batch_holds():
    batches = Batches(Numbers(), 4)
    (second,) = batches.plan(1, 1, 2)
    assert second[0] == Draw(1, 4, (int(Numbers().order(1)[4, 0]),))
    assert torch.equal(batches.one(1, 1)[0], gather(batches.run(1))[1])


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"batch_size": 0}, "batch_size=0 is not a whole number of at least 1"),
        ({"batch_size": 1, "num_workers": True}, "num_workers=True is not a whole number"),
        ({"batch_size": 1, "start_method": "fly"}, "start_method='fly': this platform has"),
    ],
)
def test_numbers_out_of_range_are_refused(options, text):
    with pytest.raises(SettingError, match=text):
        Batches(Numbers(), **options)


def test_workers_end_at_once_with_a_loader_that_is_part_of_a_circle():
    batches = Batches(Numbers(), 3, num_workers=2)
    gather(batches.run(0))
    circle = [batches]
    circle.append(circle)
    start = time.perf_counter()
    del batches, circle
    gc.collect()
    assert time.perf_counter() - start < 4  # a worker that is not told to end costs 5 s


def test_a_copy_starts_workers_of_its_own():
    batches = Batches(Numbers(), 3, num_workers=1)
    first = gather(batches.run(0))
    assert equal(gather(pickle.loads(pickle.dumps(batches)).run(0)), first)
