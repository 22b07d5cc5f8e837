"""What one worker of a job does: it holds one model, and computes what it is told.

Nothing here knows of other workers, files of blocks or manifests, so that a block's pixels are the
same wherever they are computed.
"""

from __future__ import annotations

import io
import os
import time
import warnings
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from rasterio.windows import Window

from ..errors import JobError, RasterError, RSGenError
from ..raster.reader import Reader
from .blocks import Held, Pixels
from .fitting import fitted
from .flow import Flow
from .identity import code_digest
from .plan import Plan
from .translator import Translator

_ASKED_FOR_AGAIN = ("model", "regional")  # statistics that a worker finds by itself


@dataclass(frozen=True)
class Order:
    """What all tasks of a job have in common.

    Attributes:
        model: Folder, .emd or .dlpk.
        direction: Which way to translate.
        device: Where to compute; None to choose.
        statistics: The kind.
        options: Of ``Translator.flow``.
        threads: Of a worker; 0 leaves torch's own number.
        code: ``identity.code_digest()`` of whoever gives the order.
    """

    model: str
    direction: str = "AtoB"
    device: str | None = None
    statistics: str = "sampled"
    options: Mapping[str, Any] = field(default_factory=dict)
    threads: int = 0
    code: str = field(default_factory=code_digest)


class Task(NamedTuple):
    """One piece of work.

    Attributes:
        source: Number of the raster.
        path: Where it lies.
        plan: How it is walked.
        window: (row, col, height, width) to translate; None: look at the raster first, and gather
            its statistics.
        statistics: As ``pack`` gives them.
    """

    source: int
    path: str
    plan: Mapping[str, Any]
    window: tuple[int, int, int, int] | None = None
    statistics: bytes | None = None


class Prepared(NamedTuple):
    """What was found out about a raster before its blocks are computed.

    Attributes:
        statistics: As ``pack`` gives them; None where workers find them by themselves.
        device: Type of the device and precision, which all workers of a job must share.
        warnings: (class name, text) of what is worth knowing.
    """

    statistics: bytes | None
    device: str
    warnings: tuple[tuple[str, str], ...]


class Done(NamedTuple):
    """What came of a task.

    Attributes:
        task: The task.
        result: ``Prepared``, or ``Pixels``, or None for a block without a measurement.
        error: What went wrong, in words.
        again: Whether another try could help: the worker was lost, or ended in a way that the
            data does not explain.
        seconds: That it took.
        worker: Who did it.
    """

    task: Task
    result: Prepared | Pixels | None = None
    error: str | None = None
    again: bool = False
    seconds: float = 0.0
    worker: str = ""


class Worker:
    """Does one task after the other, with one model.

    The raster of the last task stays open, its statistics frozen, since the next block is most
    likely of the same one. To be used in one thread only.

    Args:
        order: Of the job.
        name: Of this worker.

    Raises:
        JobError: This worker runs other code than whoever gave the order.
        RSGenError: The model can't be loaded here.
    """

    def __init__(self, order: Order, name: str = ""):
        if code_digest() != order.code:
            raise JobError(
                f"worker {name} runs other code of rs_gen ({code_digest()}) than the job "
                f"({order.code}); install the same version on all machines"
            )
        if order.threads:
            torch.set_num_threads(order.threads)
        self.order, self.name = order, name or f"process {os.getpid()}"
        self.translator = Translator.of(order.model, order.direction, order.device)
        self._stack, self._at, self._flow = ExitStack(), None, None

    def __call__(self, task: Task) -> Done:
        """What came of a task; errors are told, not raised."""
        started = time.perf_counter()
        try:
            result = self.prepare(task) if task.window is None else self.block(task)
            return Done(task, result, seconds=time.perf_counter() - started, worker=self.name)
        except Exception as error:
            self.close()
            known = isinstance(error, RSGenError)
            text = str(error) if known else f"{type(error).__name__}: {error}"
            seconds = time.perf_counter() - started
            return Done(task, None, text, not known, seconds, self.name)

    def prepare(self, task: Task) -> Prepared:
        """Look at a raster and gather its statistics."""
        self.close()
        translator = self.translator
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            with translator.flow(task.path, **self.order.options) as flow:
                statistics = None
                if self.order.statistics not in _ASKED_FOR_AGAIN:
                    canvas = translator._canvas(Forgiving(flow.canvas.reader))
                    found = translator._statistics(canvas, self.order.statistics, flow.plan.limit)
                    statistics = pack(found)
                precision = str(flow.engine.dtype or torch.float32).removeprefix("torch.")
        told = tuple((w.category.__name__, str(w.message)) for w in caught)
        return Prepared(statistics, f"{translator.device.type} {precision}", told)

    def block(self, task: Task) -> Pixels | None:
        """Translate a window; None where nothing in it was measured."""
        assert task.window is not None
        row, col, height, width = task.window
        flow = replace(self._opened(task), part=Window(col, row, width, height))
        held = Held((flow.target.count, height, width), flow.output.dtype)
        for _ in flow.into(held):  # type: ignore[arg-type]
            pass
        return held.pixels if held.pixels.valid.any() else None

    def _opened(self, task: Task) -> Flow:
        if self._at != task.path:
            self.close()
            with ExitStack() as stack:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # they were told when it was prepared
                    flow = stack.enter_context(
                        self.translator.flow(task.path, **self.order.options)
                    )
                if self.order.statistics in _ASKED_FOR_AGAIN:
                    kind = self.order.statistics
                    found = self.translator._statistics(flow.canvas, kind, flow.plan.limit)
                else:
                    found = unpack(task.statistics, self.translator.device)
                engine = stack.enter_context(fitted(flow.engine, found))
                self._flow = replace(flow, engine=engine, plan=Plan(**task.plan))
                self._stack, self._at = stack.pop_all(), task.path
        assert self._flow is not None
        return self._flow

    def close(self) -> None:
        """Close the raster that is open."""
        self._stack.close()
        self._stack, self._at, self._flow = ExitStack(), None, None


class Forgiving:
    """A reader for which what can't be read was not measured.

    Statistics of a raster of which a part is damaged are those of the rest.

    Args:
        reader: Of the raster.
    """

    def __init__(self, reader: Reader):
        self._reader = reader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)

    def read(self, window: Window) -> np.ma.MaskedArray:
        """As :meth:`Reader.read` promises, of what can be read."""
        try:
            return self._reader.read(window)
        except RasterError:
            shape = (self._reader.count, int(window.height), int(window.width))
            return np.ma.MaskedArray(np.zeros(shape, self._reader.dtype), np.ones(shape, bool))


def pack(statistics: Any) -> bytes | None:
    """Constant statistics as bytes; None for none."""
    if statistics is None:
        return None
    arrays = {}
    for name, pair in statistics.items():
        for kind, tensor in zip(("mean", "var"), pair, strict=True):
            arrays[f"{kind} {name}"] = tensor.cpu().numpy()
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def unpack(packed: bytes | None, device: torch.device) -> dict[str, Any] | None:
    """The statistics that ``pack`` was given."""
    if packed is None:
        return None
    with np.load(io.BytesIO(packed), allow_pickle=False) as held:
        names = [name.removeprefix("mean ") for name in held.files if name.startswith("mean ")]
        return {
            name: tuple(torch.from_numpy(held[f"{kind} {name}"]).to(device)
                        for kind in ("mean", "var"))
            for name in names
        }  # fmt: skip
