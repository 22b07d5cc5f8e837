"""Many rasters, or one huge one, translated block by block: stopped or killed, it goes on.

The order of things is what makes a job safe. A block is on the disk before the manifest says that
it is done; an output is on the disk before its blocks are removed. Whatever ends the process
between two of these steps, the next one finds either the work or the place where it is missing.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from rasterio.windows import Window

from .. import errors
from ..errors import Cancelled, JobError, PartlyDoneError, RSGenWarning
from ..raster.files import whole_or_not
from ..raster.grid import Grid
from ..raster.writer import geotiff
from .assembly import StaleBlockError, check_blocks, put_blocks
from .blocks import drop_blocks, path_of, room, write_block
from .engines import JobEngine
from .identity import identity_of
from .manifest import Block, Manifest, Source
from .planning import Cut
from .tags import made_by
from .translator import Translator, quiet
from .work import Done, Order, Pixels, Prepared, Task

log = logging.getLogger(__name__)

ATTEMPTS = 3  # of a block whose worker was lost, before it counts as failed
_SHOWN = 5  # failures that an error lists


@dataclass
class Job:
    """A job whose manifest is open, run by this process alone.

    Attributes:
        folder: Of the manifest and the blocks.
        manifest: The record.
        translator: For planning and assembling; workers have their own.
        order: For the workers.
        wanted: State of the blocks to compute: "pending", or "retry" where only those that failed
            are to be tried again.
        allow_gaps: Assemble rasters of which blocks failed.
        polygons: Write classes as polygons beside each output.
        cancel: Asked after each block; True stops.
    """

    folder: Path
    manifest: Manifest
    translator: Translator
    order: Order
    wanted: str = "pending"
    allow_gaps: bool = False
    polygons: bool = False
    cancel: Callable[[], bool] | None = None
    _left: dict[int, int] = field(default_factory=dict)
    _grids: dict[int, tuple[Cut, Grid]] = field(default_factory=dict)

    def run(self, engine: JobEngine, progress: Callable[..., Iterable[Any]] = quiet) -> None:
        """Do all there is to do.

        Args:
            engine: Where.
            progress: Wraps what takes long. One that ends the loop early stops the job.

        Raises:
            Cancelled: Somebody stopped it; it can go on.
            DiskFullError: There is no room; likewise.
            JobError: The workers are not alike, or there are none.
        """
        self._prepare(engine, progress)
        while True:
            while total := self.manifest.count().get(self.wanted, 0):
                label = "Translating blocks"
                done = progress(engine.run(self._tasks()), total=total, label=label)
                self._through(done, self._keep, total)
            for source in self.manifest.sources("prepared"):
                self._assemble(source)
            if not self.manifest.count().get(self.wanted, 0):
                return

    # ---- rasters -------------------------------------------------------------------------------

    def _prepare(self, engine: JobEngine, progress: Callable[..., Iterable[Any]]) -> None:
        """Have every raster looked at and its statistics gathered, once for all its blocks."""
        waiting = [s.id for s in self.manifest.sources("planned") if self._is_wanted(s.id)]
        found = map(self.manifest.source, waiting)
        tasks = (Task(s.id, s.path, (s.plan or {})["tiles"]) for s in found)
        if waiting:
            done = progress(engine.run(tasks), total=len(waiting), label="Preparing rasters")
            self._through(done, self._keep_prepared, len(waiting))

    def _is_wanted(self, number: int) -> bool:
        count = self.manifest.count(number)
        return bool(count.get(self.wanted)) or not (count.get("pending") or count.get("failed"))

    def _through(self, results: Iterable[Done], keep: Callable[[Done], None], total: int) -> None:
        count = 0
        for done in results:
            keep(done)
            count += 1
            if self.cancel is not None and self.cancel():
                break
        if count < total:
            raise Cancelled(f"stopped after {count} of {total}; go on with --resume")

    def _keep_prepared(self, done: Done) -> None:
        number, result = done.task.source, done.result
        source = self.manifest.source(number)
        if not isinstance(result, Prepared):
            self._leave_out(source, done.error or "")
            return
        self._pin(result.device)
        for kind, text in result.warnings:
            warnings.warn(text, getattr(errors, kind, RSGenWarning), stacklevel=2)
        with self.manifest.writing():
            self.manifest.set_source(
                number, state="prepared", statistics=result.statistics, seconds=done.seconds,
                note=None,
            )  # fmt: skip

    def _leave_out(self, source: Source, why: str) -> None:
        log.warning("%s is left out: %s", source.path, why)
        with self.manifest.writing():
            self.manifest.set_source(source.id, state="failed", note=why)
            for state in ("pending", "retry"):
                self.manifest.set_blocks("failed", was=state, source=source.id)

    def _pin(self, device: str) -> None:
        """Hold all workers, of a resumed job too, to one kind of device and precision."""
        pinned = self.manifest.get("device")
        if pinned is None:
            with self.manifest.writing():
                self.manifest.put("device", device)
        elif pinned != device:
            raise JobError(
                f"blocks of this job were computed on {pinned} and a worker now computes on "
                f"{device}, whose pixels can differ; choose the same for all with --device"
            )

    # ---- blocks --------------------------------------------------------------------------------

    def _tasks(self) -> Iterator[Task]:
        source: Source | None = None
        for block in self.manifest.blocks(self.wanted):
            if source is None or source.id != block.source:
                source = self.manifest.source(block.source)
            window = (block.row, block.col, block.height, block.width)
            tiles = (source.plan or {})["tiles"]
            yield Task(source.id, source.path, tiles, window, source.statistics)

    def _keep(self, done: Done) -> None:
        """Write down what came of a block; its file first."""
        assert done.task.window is not None
        number = done.task.source
        block = self.manifest.block(number, *done.task.window[:2])
        attempts = block.attempts + 1
        facts: dict[str, Any] = {
            "attempts": attempts, "seconds": done.seconds, "worker": done.worker,
            "note": done.error, "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        }  # fmt: skip
        if done.error is not None:
            over = not done.again or attempts >= ATTEMPTS
            facts["state"] = "failed" if over else self.wanted
            if over:
                log.warning("%s, %s failed: %s", *self._named(block), done.error)
        elif isinstance(done.result, Pixels):
            plan, grid = self._grid(number)
            path, at = path_of(self.folder, block), _window(block)
            facts["digest"] = write_block(path, done.result, grid.crop(at), plan.stored)
            facts |= {"state": "done", "valid": int(done.result.valid.sum())}
        else:
            facts |= {"state": "empty", "valid": 0}
        with self.manifest.writing():
            self.manifest.set_block(block, **facts)
        if facts["state"] != self.wanted:
            self._count_down(number)

    def _count_down(self, number: int) -> None:
        """Put a raster together once its last block is there."""
        if number not in self._left:
            count = self.manifest.count(number)
            self._left[number] = count.get("pending", 0) + count.get("retry", 0)
        else:
            self._left[number] -= 1
        if not self._left[number]:
            del self._left[number]
            self._assemble(self.manifest.source(number))

    def _grid(self, number: int) -> tuple[Cut, Grid]:
        if number not in self._grids:
            source = self.manifest.source(number)
            with _quietly(), self.translator.flow(source.path, **self.order.options) as flow:
                self._grids = {number: (Cut(**(source.plan or {})), flow.canvas.reader.grid)}
        return self._grids[number]

    def _assemble(self, source: Source) -> None:
        """Write the output of a raster of which no block is missing, then remove its blocks."""
        count = self.manifest.count(source.id)
        if count.get("pending", 0) or count.get("retry", 0):
            return
        if count.get("failed", 0) and not self.allow_gaps:
            return
        if identity_of(Path(source.path)) != source.identity:
            self._leave_out(source, "it changed while the job ran")
            return
        plan, _ = self._grid(source.id)
        try:
            self._write(source, plan)
        except StaleBlockError as stale:
            name, place = self._named(stale.block)
            log.warning("%s, %s is not on the disk as it was written; once more", name, place)
            with self.manifest.writing():
                self.manifest.set_block(stale.block, state=self.wanted)
            return
        with self.manifest.writing():
            self.manifest.set_source(source.id, state="assembled", note=None)
        drop_blocks(self.folder, source.id)

    def _write(self, source: Source, plan: Cut) -> None:
        out, translator = Path(source.out), self.translator
        with _quietly(), translator.flow(source.path, **self.order.options) as flow:
            if self.polygons:
                beside = replace(flow.storage, polygons=out.with_suffix(".gpkg"))
                flow = replace(flow, storage=beside)
            tags = made_by(
                translator, source.path, flow.engine, flow.plan, self.order.statistics,
                asked=flow.asked,
            )  # fmt: skip
            tags["RS_GEN_PRECISION"] = str(self.manifest.get("device")).split()[-1]  # of workers
            gaps = plan.stored.nodata is None and self.manifest.count(source.id).get("failed")
            writing = {**flow.writing, "mask": bool(gaps) or plan.stored.mask}
            blocks = partial(self.manifest.blocks, source=source.id)
            with room(out.parent, 2**20), whole_or_not(out, durable=True) as part:
                with geotiff(part, flow.grid, tags=tags, **writing) as writer:
                    put_blocks(writer, self.folder, plan, blocks())
                check_blocks(part, self.folder, plan, blocks("done"))
            flow.finish(out)

    def _named(self, block: Block) -> tuple[str, str]:
        """The raster and the place of a block, in words."""
        name = Path(self.manifest.source(block.source).path).name
        bottom, right = block.row + block.height - 1, block.col + block.width - 1
        return name, f"rows {block.row} to {bottom}, columns {block.col} to {right}"

    # ---- the end -------------------------------------------------------------------------------

    def check(self) -> None:
        """Say what failed.

        Raises:
            PartlyDoneError: Something did; names the first few and the remedies.
        """
        lost = [f"{Path(s.path).name}: {s.note}" for s in self.manifest.sources("failed")]
        lost += [
            f"{', '.join(self._named(block))}: {block.note}"
            for block in islice((b for b in self.manifest.blocks("failed") if b.note), _SHOWN)
        ]
        if not lost:
            return
        count, made = self.manifest.count(), len(list(self.manifest.sources("assembled")))
        shown = "; ".join(lost[:_SHOWN]) + ("; ..." if len(lost) > _SHOWN else "")
        gaps = "" if self.allow_gaps else "leave them out with --allow-gaps, or "
        raise PartlyDoneError(
            f"{count.get('failed', 0)} of {sum(count.values())} blocks failed and {made} rasters "
            f"are there ({self.folder.parent}). {shown}. What to do: {gaps}try them again with "
            "--only-failed; a source that was mended needs --redo-changed"
        )


def _window(block: Block) -> Window:
    return Window(block.col, block.row, block.width, block.height)


@contextmanager
def _quietly() -> Iterator[None]:
    """Warnings about a raster were given when it was prepared."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
