"""Where the blocks of a job are computed: in this process, or in processes of this machine.

A third place, a Dask cluster, is in ``engine_dask.py``. All of them give the same bytes, because a
task says everything that a worker needs, and a worker does not know which place it is in.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:  # a new process should choose its GPU before anything loads torch
    from .work import Done, Order, Task

AHEAD = 2  # tasks that a worker holds: one to compute, one that waits, so that it never idles
LOST = "the worker was lost, which mostly means that memory ran out"


class JobEngine(Protocol):
    """A place where tasks are done. Used as a context manager, which ends its workers."""

    workers: int

    def run(self, tasks: Iterable[Task]) -> Iterator[Done]:
        """What came of each task, in any order.

        Tasks are taken as they are needed, at most ``AHEAD`` for each worker beyond the results
        that were given on, so that memory does not grow with the job. A worker that is lost takes
        its tasks with it: they come back as errors worth another try, and another takes its place.
        """
        ...

    def __enter__(self) -> JobEngine: ...

    def __exit__(self, *exc: object) -> None: ...


class Here:
    """This process, one task after the other.

    Args:
        order: What all tasks have in common.
    """

    workers = 1

    def __init__(self, order: Order):
        from .work import Worker

        self._worker = Worker(order)

    def run(self, tasks: Iterable[Task]) -> Iterator[Done]:
        """As :meth:`JobEngine.run` promises."""
        yield from map(self._worker, tasks)

    def __enter__(self) -> Here:
        return self

    def __exit__(self, *exc: object) -> None:
        self._worker.close()


class Local:
    """Spawned processes of this machine, each with a model of its own.

    The cores are divided among them, and the GPUs, if there are any, dealt out in turn by
    ``CUDA_VISIBLE_DEVICES``.

    Args:
        order: What all tasks have in common.
        workers: Number of processes.
    """

    def __init__(self, order: Order, workers: int):
        from dataclasses import replace

        self.workers = workers
        self._order = replace(order, threads=order.threads or max(1, cores() // workers))
        self._devices = visible_devices()
        self._held: dict[int, _Process] = {}

    def run(self, tasks: Iterable[Task]) -> Iterator[Done]:
        """As :meth:`JobEngine.run` promises."""
        from .work import Done

        waiting = iter(tasks)
        while self._feed(waiting) or any(p.tasks for p in self._held.values()):
            ready = wait([end for p in self._held.values() for end in (p.pipe, p.sentinel)])
            for number, process in list(self._held.items()):
                if process.pipe in ready and (done := process.take()) is not None:
                    yield done
                elif process.sentinel in ready or process.pipe in ready:  # dead, and nothing left
                    self._held.pop(number).end()
                    for task in process.tasks:
                        yield Done(task, None, LOST, True, worker=process.name)

    def _feed(self, waiting: Iterator[Task]) -> bool:
        """Give tasks to workers that have few; whether there may be more."""
        for depth in range(1, AHEAD + 1):
            for number in range(self.workers):
                process = self._held.get(number)
                if process is not None and len(process.tasks) >= depth:
                    continue
                task = next(waiting, None)
                if task is None:
                    return False
                if process is None:
                    process = self._held[number] = self._start(number)
                process.give(task)
        return True

    def _start(self, number: int) -> _Process:
        devices = self._devices
        return _Process(self._order, number, devices[number % len(devices)] if devices else None)

    def __enter__(self) -> Local:
        return self

    def __exit__(self, *exc: object) -> None:
        for process in self._held.values():
            process.end()
        self._held.clear()


class _Process:
    """A spawned worker, as its parent sees it."""

    def __init__(self, order: Order, number: int, device: str | None):
        context = multiprocessing.get_context("spawn")
        self.name = f"local {number + 1}"
        self.pipe, theirs = context.Pipe()
        self.tasks: list[Task] = []
        self._process = context.Process(
            target=serve, args=(theirs, order, self.name, device), daemon=True
        )
        self._process.start()
        theirs.close()  # ours would keep the pipe open when the worker is gone
        self.sentinel = self._process.sentinel

    def give(self, task: Task) -> None:
        self.tasks.append(task)
        with suppress(OSError):  # it is gone, which the sentinel tells
            self.pipe.send(task)

    def take(self) -> Done | None:
        """A result; None where the worker died before it could give one."""
        try:
            done: Done = self.pipe.recv()
        except (EOFError, OSError):
            return None
        self.tasks.remove(done.task)
        return done

    def end(self) -> None:
        self._process.terminate()
        self._process.join()
        self.pipe.close()


def serve(pipe: Connection, order: Order, name: str, device: str | None) -> None:
    """Be a worker until the parent closes the pipe, or is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all; the parent decides
    if device is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = device
    tasks: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def listen() -> None:
        try:
            while True:
                tasks.put(pipe.recv())
        except (EOFError, OSError):
            os._exit(0)  # in the middle of a block too: nobody waits for it any more

    threading.Thread(target=listen, daemon=True).start()
    task = tasks.get()
    from .work import Done, Worker

    try:
        worker: Any = Worker(order, name)
    except Exception as error:
        text = f"worker {name} can't start: {error}"
        worker = lambda task: Done(task, None, text, worker=name)  # noqa: E731
    while True:
        pipe.send(worker(task))
        task = tasks.get()


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def visible_devices() -> list[str]:
    """CUDA devices as ``CUDA_VISIBLE_DEVICES`` names them; empty without any."""
    import torch

    if not torch.cuda.is_available():
        return []
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    return named.split(",") if named else [str(i) for i in range(torch.cuda.device_count())]


_: list[type[JobEngine]] = [Here, Local]
