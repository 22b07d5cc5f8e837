"""Batches in an order that depends on (epoch, batch) alone, here or in worker processes.

The main process says which chips a batch holds and where in the epoch they stand; whoever reads
them needs to know nothing else. So any number of workers gives the same bits, and so does a run
that starts in the middle of an epoch.
"""

from __future__ import annotations

import multiprocessing
import weakref
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from ..errors import RSGenError, SettingError


class Draw(NamedTuple):
    """One item of one epoch.

    Attributes:
        epoch: From 0.
        position: In the epoch, from 0. With the epoch it decides the augmentation.
        chips: Index of the chip on each side.
    """

    epoch: int
    position: int
    chips: tuple[int, ...]


class Source(Protocol):
    """What batches are made of."""

    def __len__(self) -> int:
        """Items in an epoch."""

    def order(self, epoch: int) -> np.ndarray:
        """(items, sides) chip indices."""

    def draw(self, draw: Draw) -> tuple[Tensor, ...]:
        """One item."""


class Batches:
    """The batches of a source, epoch by epoch.

    Args:
        source: The items.
        batch_size: Items in a batch.
        num_workers: Processes that read ahead; 0 reads in this one.
        drop_last: Leave out a last batch that is not full.
        pin_memory: Put batches where a CUDA device can fetch them faster.
        start_method: "fork", "spawn" or "forkserver"; None for the platform's own.

    Raises:
        SettingError: A number is out of range, or the platform has no such start method.
    """

    def __init__(
        self,
        source: Source,
        batch_size: int,
        *,
        num_workers: int = 0,
        drop_last: bool = False,
        pin_memory: bool = False,
        start_method: str | None = None,
    ):
        check_whole("batch_size", batch_size, 1)
        check_whole("num_workers", num_workers, 0)
        methods = multiprocessing.get_all_start_methods()
        if start_method is not None and start_method not in methods:
            raise SettingError(
                f"start_method={start_method!r}: this platform has {', '.join(methods)}"
            )
        self.source, self.batch_size, self.drop_last = source, batch_size, drop_last
        self.num_workers, self.pin_memory = num_workers, pin_memory
        self.start_method = start_method
        self._ready()

    def __len__(self) -> int:
        """Batches in a whole epoch."""
        full, rest = divmod(len(self.source), self.batch_size)
        return full + (1 if rest and not self.drop_last else 0)

    def plan(self, epoch: int, batch: int = 0, stop: int | None = None) -> list[list[Draw]]:
        """What the batches of an epoch hold, from ``batch`` on and up to ``stop``."""
        size, stop = self.batch_size, len(self) if stop is None else min(stop, len(self))
        rows = self.source.order(epoch)[batch * size : stop * size].tolist()
        draws = [Draw(epoch, i, tuple(row)) for i, row in enumerate(rows, start=batch * size)]
        return [draws[i : i + size] for i in range(0, len(draws), size)]

    def one(self, epoch: int, batch: int = 0) -> tuple[Tensor, ...]:
        """One batch, read here; a run that is under way takes no notice."""
        (draws,) = self.plan(epoch, batch, batch + 1)
        return _give(_Fetch(self.source)[draws])

    def run(self, epoch: int, batch: int = 0) -> Iterator[tuple[Tensor, ...]]:
        """The batches of an epoch, from ``batch`` on.

        Raises:
            ChipError: A chip can't be read, also when that happened in a worker.
        """
        plan = self.plan(epoch, batch)
        if not self.num_workers:
            fetch = _Fetch(self.source)
            return (_give(fetch[draws]) for draws in plan)
        return self._run_in_workers(plan)

    def _run_in_workers(self, plan: list[list[Draw]]) -> Iterator[tuple[Tensor, ...]]:
        if self._busy:  # somebody else walks through the pool: leave it alone
            yield from self._start(_Plan(plan), keep=False)
            return
        self._plan.batches = plan
        if not self._pools:
            self._pools.append(self._start(self._plan, keep=True))
        self._busy = True
        try:
            for batch in self._pools[0]:
                yield _give(batch)
        finally:
            self._busy = False

    def _start(self, plan: _Plan, keep: bool) -> DataLoader:
        return DataLoader(
            _Fetch(self.source),
            batch_size=None,  # the plan holds whole batches
            sampler=plan,
            num_workers=self.num_workers,
            collate_fn=_same,
            pin_memory=self.pin_memory,
            multiprocessing_context=self.start_method,
            persistent_workers=keep,  # under spawn a start takes seconds
            generator=torch.Generator(),  # or each start would move the global generator
        )

    def close(self) -> None:
        """End the workers. The next run starts new ones."""
        self._pools.clear()

    def _ready(self) -> None:
        self._plan, self._busy = _Plan(), False
        self._pools: list[DataLoader] = []
        # Garbage in a circle loses its queues before its workers, and each worker is then waited
        # for in vain for 5 s. Held by the finalizer, a pool is never part of the circle.
        weakref.finalize(self, self._pools.clear)

    def __getstate__(self) -> dict[str, Any]:
        own = ("_plan", "_pools", "_busy")
        return {name: value for name, value in self.__dict__.items() if name not in own}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._ready()


class _Plan:
    """A sampler whose batches are set before each run."""

    def __init__(self, batches: list[list[Draw]] | None = None):
        self.batches = batches or []

    def __iter__(self) -> Iterator[list[Draw]]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


class _Fetch:
    """Batches by what they hold; an error comes back as a value, to be raised where it is seen."""

    def __init__(self, source: Source):
        self.source = source

    def __getitem__(self, draws: list[Draw]) -> tuple[Tensor, ...] | _Failure:
        try:
            items = [self.source.draw(draw) for draw in draws]
        except RSGenError as error:
            return _Failure(error)
        return tuple(torch.stack(side) for side in zip(*items, strict=True))

    def __len__(self) -> int:
        return len(self.source)


class _Failure(NamedTuple):
    error: RSGenError


def _same(batch: Any) -> Any:
    return batch


def _give(batch: tuple[Tensor, ...] | _Failure) -> tuple[Tensor, ...]:
    if isinstance(batch, _Failure):
        raise batch.error
    return tuple(batch)


def check_whole(name: str, value: object, least: int) -> int:
    """``value`` if it is a whole number of at least ``least``.

    Raises:
        SettingError: It is not.
    """
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or value < least:  # type: ignore[operator]
        raise SettingError(f"{name}={value!r} is not a whole number of at least {least}")
    return int(value)  # type: ignore[call-overload]
