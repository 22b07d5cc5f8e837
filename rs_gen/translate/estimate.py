"""What a job would be, and what it would take."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import JobError, RSGenError
from .batch import Batch
from .engines import Here
from .manifest import Block
from .planning import Cut, cut
from .work import Pixels, Prepared, Task

log = logging.getLogger(__name__)

_TRIED = 3  # blocks whose time is taken
_BASE = 2**29  # bytes of a process with torch, GDAL and its cache, before it does anything


def estimate(batch: Batch, workers: int = 1) -> dict[str, Any]:
    """What a job would be and cost, without writing anything.

    The time is that of three blocks, spread over all, computed here and now; statistics that need
    a pass over the whole raster (``exact``) come on top.

    Args:
        batch: That would be run.
        workers: Among which the time is divided.

    Raises:
        RSGenError: None of the rasters can be translated.
    """
    total = _Total()
    for number, raster in enumerate(batch.rasters, start=1):
        try:
            plan, blocks = cut(batch.translator, raster, batch.options, batch.block_size, number)
        except RSGenError as error:
            total.refused.append({"source": str(raster), "what": str(error)})
            continue
        total.add(raster, plan, blocks)
    if not total.blocks:
        raise JobError(f"no raster can be translated; the first: {total.refused[0]['what']}")
    rate, tried = _timed(batch, total)
    busy = total.pixels / rate / workers if rate else 0.0
    return {
        "rasters": total.rasters,
        "can't be translated": total.refused,
        "blocks": total.blocks,
        "of them empty for sure": total.empty,
        "block": f"{total.largest.side} px",
        "tile": f"{total.largest.tiles['core']} px",
        "halo": f"{total.largest.tiles['halo']} px",
        "pixels computed for each written": round(total.largest.tiles["cost"], 3),
        "megapixels": round(total.pixels / 1e6, 2),
        "memory of a worker, about (MiB)": round(total.memory / 2**20),
        "disk, at most (MiB)": round(total.bytes / 2**20),
        "megapixels a second of a worker": round(rate / 1e6, 4) if rate else None,
        "blocks timed": tried,
        "workers": workers,
        "seconds, about": float(f"{busy:.2g}") if rate else None,  # a small job takes some, not 0.0
    }


class _Total:
    """Sums over the rasters of a job."""

    def __init__(self) -> None:
        self.rasters = self.blocks = self.empty = self.pixels = self.bytes = self.memory = 0
        self.refused: list[dict[str, str]] = []
        self.largest: Cut
        self.raster: Path
        self.sample: list[Block] = []

    def add(self, raster: Path, plan: Cut, blocks: list[Block]) -> None:
        wanted = [block for block in blocks if block.state == "pending"]
        pixels = sum(block.height * block.width for block in wanted)
        size = np.dtype(plan.output["dtype"]).itemsize * plan.bands
        self.rasters += 1
        self.blocks += len(blocks)
        self.empty += len(blocks) - len(wanted)
        self.pixels += pixels
        # Blocks stay until their raster is put together, so both are there for a moment.
        self.bytes += 2 * pixels * size
        self.memory = max(self.memory, _BASE + plan.tiles["memory"] + 2 * plan.side**2 * size)
        if not self.sample or pixels > sum(b.height * b.width for b in self.sample):
            self.largest, self.raster, self.sample = plan, raster, wanted or blocks


def _timed(batch: Batch, total: _Total) -> tuple[float | None, int]:
    """Pixels a second of the blocks tried that hold something, and how many those are."""
    kind = "sampled" if batch.statistics == "exact" else batch.statistics
    sample = total.sample
    picked = {(2 * i + 1) * len(sample) // (2 * _TRIED) for i in range(_TRIED)}
    with Here(replace(batch.order, statistics=kind)) as engine:
        task = Task(1, str(total.raster), total.largest.tiles)
        (ready,) = engine.run([task])
        if not isinstance(ready.result, Prepared):
            raise JobError(f"{total.raster} can't be translated: {ready.error}")
        tasks = [
            task._replace(window=tuple(sample[i][1:5]), statistics=ready.result.statistics)
            for i in sorted(picked)
        ]
        done = [d for d in engine.run(tasks) if isinstance(d.result, Pixels)]
    pixels = sum(d.task.window[2] * d.task.window[3] for d in done if d.task.window)
    return (pixels / sum(d.seconds for d in done) if done else None), len(done)
