"""Blocks of a job on a Dask cluster: one model a worker, and a short queue before each.

A worker gets its model when its first task comes, in a thread of its own, so that a worker with
several Dask threads still computes one block at a time, with all of its cores. Dask starts a lost
worker anew and the plugin with it. Dask speaks in pickles: connect only to a cluster of your own.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from uuid import uuid4

from ..errors import JobError, MissingPackageError
from .engines import AHEAD, LOST, cores
from .work import Done, Order, Task, Worker

try:
    import distributed
    from distributed.diagnostics.plugin import WorkerPlugin
except ImportError as error:
    raise MissingPackageError(
        "a Dask cluster needs dask and distributed: pip install 'rs_gen[cluster]'"
    ) from error

log = logging.getLogger(__name__)

_PATIENCE = 5.0  # seconds between two looks at whether there are workers at all
_ALONE = 300.0  # seconds without any worker after which a job gives up


class Cluster:
    """The workers of a Dask cluster.

    Args:
        order: What all tasks have in common. Workers read the model and the rasters by the same
            paths as this process.
        scheduler: Its address, such as ``tcp://host:8786``; ``"local"`` starts a cluster on this
            machine.
        workers: Of a cluster that is started here, each with one thread.
        alone: Seconds to wait for a first worker, or for a new one once all are lost.

    Raises:
        JobError: Nobody answers at that address.
    """

    def __init__(
        self, order: Order, scheduler: str = "local", workers: int = 2, *, alone: float = _ALONE
    ):
        self._alone, self._cluster = alone, None
        if scheduler == "local":
            threads = order.threads or max(1, cores() // workers)
            order = replace(order, threads=threads)
            self._cluster = distributed.LocalCluster(
                n_workers=workers, threads_per_worker=1, processes=True, memory_limit=0,
                dashboard_address=None, host="127.0.0.1", silence_logs=logging.ERROR,
            )  # fmt: skip
        try:
            self.client = distributed.Client(self._cluster or scheduler, timeout=10)
        except OSError as error:
            self._close_cluster()
            raise JobError(
                f"no Dask scheduler answers at {scheduler} ({error}); start one: dask scheduler"
            ) from error
        self._plugin = Plugin(order, f"rs_gen-{uuid4().hex[:12]}")
        self.client.register_plugin(self._plugin, name=self._plugin.name)

    @property
    def workers(self) -> int:
        """How many there are now."""
        return max(1, len(self.client.nthreads()))

    def run(self, tasks: Iterable[Task]) -> Iterator[Done]:
        """As :meth:`JobEngine.run` promises."""
        waiting, flying = iter(tasks), {}
        more = True
        while more or flying:
            most = AHEAD * self.workers
            while more and len(flying) < most:
                task = next(waiting, None)
                if task is None:
                    more = False
                else:
                    future = self.client.submit(perform, self._plugin.name, task, pure=False)
                    flying[future] = task
            for future in self._finished(list(flying)):
                yield _result(future, flying.pop(future))
                future.release()  # the cluster forgets the pixels

    def _finished(self, flying: list[Any]) -> list[Any]:
        """At least one of these that is over, unless there are none."""
        since = time.monotonic()
        while flying:
            try:
                found = distributed.wait(flying, _PATIENCE, return_when="FIRST_COMPLETED")
                return list(found.done)
            except (TimeoutError, distributed.TimeoutError):
                if self.client.nthreads():
                    since = time.monotonic()
                elif time.monotonic() - since > self._alone:
                    raise JobError(
                        f"the cluster has had no worker for {self._alone:.0f} seconds; start "
                        "some (dask worker ADDRESS), then go on with --resume"
                    ) from None
        return []

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *exc: object) -> None:
        try:
            self.client.unregister_worker_plugin(self._plugin.name)
        except Exception as error:  # the cluster may be gone, and the job's own end matters more
            log.debug("the plugin could not be taken back: %s", error)
        self.client.close()
        self._close_cluster()

    def _close_cluster(self) -> None:
        if self._cluster is not None:
            self._cluster.close()


class Plugin(WorkerPlugin):
    """The model of a job on one worker of a cluster.

    Args:
        order: Of the job.
        name: Under which tasks find it.
    """

    def __init__(self, order: Order, name: str):
        self.order, self.name = order, name

    def setup(self, worker: Any) -> None:
        """Called by Dask on each worker, also on those that come later."""
        self._at = str(worker.address)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="rs_gen")
        self._worker: Worker | None = None

    def teardown(self, worker: Any) -> None:
        """Called by Dask when the job or the worker ends."""
        self._thread.submit(lambda: self._worker and self._worker.close())
        self._thread.shutdown(wait=False)

    def __call__(self, task: Task) -> Done:
        """What came of a task, as :class:`work.Worker` tells it."""
        return self._thread.submit(self._do, task).result()

    def _do(self, task: Task) -> Done:
        if self._worker is None:
            try:
                self._worker = Worker(self.order, self._at)
            except Exception as error:
                text = f"worker {self._at} can't start: {error}"
                return Done(task, None, text, worker=self._at)
        return self._worker(task)


def perform(plugin: str, task: Task) -> Done:
    """Runs on a worker of the cluster."""
    done: Done = distributed.get_worker().plugins[plugin](task)
    return done


def _result(future: Any, task: Task) -> Done:
    error = future.exception()
    if error is None:
        done: Done = future.result()
        return done
    killed = isinstance(error, distributed.scheduler.KilledWorker)
    return Done(task, None, LOST if killed else f"{type(error).__name__}: {error}", True)
