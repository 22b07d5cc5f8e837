"""How a job is begun, gone on with, or looked at: what ``rs-gen translate-batch`` does."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from ..errors import JobError, RSGenError, SettingError
from ..raster.files import whole_or_not
from .blocks import drop_blocks
from .engines import Here, JobEngine, Local
from .identity import changes, facts_of, identity_of
from .job import Job
from .manifest import FOLDER, NAME, Manifest, alone
from .planning import cut
from .sources import Given, find_sources, output_names
from .translator import Translator, quiet
from .work import Order

log = logging.getLogger(__name__)

BLOCK_SIZE = 2048


@dataclass
class Batch:
    """Rasters, a model and a folder, with the options that decide about pixels.

    Attributes:
        sources: As ``sources.find_sources`` takes them.
        model: Folder, .emd or .dlpk.
        out: Folder for the outputs, and for the job itself (``job/``).
        direction: Which way to translate.
        statistics: Which numbers instance norms divide by; each raster its own.
        block_size: Side of a block in pixels, rounded to whole tiles. A block is what is done or
            not done, so it is also what is lost when a job is stopped.
        options: Of ``Translator.flow``: ``tile_size``, ``area``, ``bands``, ``cog``, ...
        polygons: Also write the classes of each raster as polygons, in a GeoPackage beside it.
        key: Column of an index, or asset of a STAC item, that holds the rasters.
        device: Where to compute; None to choose.
    """

    sources: Given
    model: str | Path
    out: Path
    direction: str = "AtoB"
    statistics: str = "sampled"
    block_size: int = BLOCK_SIZE
    options: Mapping[str, Any] = field(default_factory=dict)
    polygons: bool = False
    key: str = ""
    device: str | None = None

    def __post_init__(self) -> None:
        self.out = Path(self.out)
        if self.block_size < 1:
            raise SettingError(f"block_size={self.block_size} is below 1")
        if self.polygons:
            self.options = {"palette": "model", **self.options}

    @property
    def folder(self) -> Path:
        """Of the manifest and the blocks."""
        return self.out / FOLDER

    @cached_property
    def rasters(self) -> list[Path]:
        """The rasters that there are to translate."""
        return find_sources(self.sources, self.key, besides=self.out)

    @cached_property
    def translator(self) -> Translator:
        """For planning and assembling, which need no GPU."""
        return Translator.of(self.model, self.direction, "cpu")

    @property
    def order(self) -> Order:
        """What workers must know."""
        model = str(Path(self.model).resolve())
        return Order(model, self.direction, self.device, self.statistics, self.options)

    @property
    def facts(self) -> dict[str, Any]:
        """What must not change while the job is under way."""
        own = {
            "direction": self.direction, "statistics": self.statistics, "device": self.device,
            "block_size": self.block_size,
        }  # fmt: skip
        told = {key: _plain(value) for key, value in {**own, **self.options}.items()}
        areas = self.options.get("area") or []
        for area in areas if isinstance(areas, list | tuple) else [areas]:
            if isinstance(area, str | Path) and Path(area).is_file():
                told[f"content of {area}"] = identity_of(Path(area))["digest"]
        return facts_of(self.translator, told)

    # ---- beginning -----------------------------------------------------------------------------

    def run(
        self,
        *,
        workers: int = 1,
        scheduler: str = "",
        resume: bool = False,
        only_failed: bool = False,
        redo_changed: bool = False,
        allow_gaps: bool = False,
        overwrite: bool = False,
        progress: Callable[..., Iterable[Any]] = quiet,
        cancel: Callable[[], bool] | None = None,
    ) -> Path:
        """Translate all rasters; returns the folder of the outputs.

        Args:
            workers: Processes on this machine; 1 computes in this one.
            scheduler: Address of a Dask cluster that computes instead; ``"local"`` starts one.
            resume: Go on with a job that was stopped or failed in part; begin it if there is none.
            only_failed: Go on, but try only again what failed.
            redo_changed: Go on, and do rasters that changed since from the start.
            allow_gaps: Write outputs also where blocks failed, which are nodata there.
            overwrite: Start anew, whatever lies in the folder.
            progress: Wraps rasters and blocks.
            cancel: Asked after each block; True stops.

        Raises:
            JobError: There is a job already, it is another one, or another process is at it.
            PartlyDoneError: It is over, and some of it failed.
            DiskFullError: There is no room; nothing that was finished is lost.
            Cancelled: It was stopped, and can go on.
        """
        if workers < 1:
            raise SettingError(f"workers={workers} is below 1; 1 computes in this process")
        resume = resume or only_failed or redo_changed
        self.folder.mkdir(parents=True, exist_ok=True)
        with alone(self.folder):
            path = self.folder / NAME
            if overwrite and path.exists():
                shutil.rmtree(self.folder / "blocks", ignore_errors=True)
                path.unlink()
            if not path.exists():
                self._plan(path, overwrite)
            elif not resume:
                raise JobError(_told(path))
            with Manifest(path) as manifest:
                if resume:
                    self._guard(manifest, redo_changed)
                    self._wake(manifest, only_failed)
                job = Job(
                    self.folder, manifest, self.translator, self.order,
                    "retry" if only_failed else "pending", allow_gaps, self.polygons, cancel,
                )  # fmt: skip
                try:
                    with self._engine(workers, scheduler) as engine:
                        job.run(engine, progress)
                except KeyboardInterrupt:
                    log.info("%d blocks are done; go on with --resume", _done(manifest))
                    raise
                job.check()
        return self.out

    @contextmanager
    def _engine(self, workers: int, scheduler: str) -> Iterator[JobEngine]:
        engine: JobEngine
        if scheduler:
            from .engine_dask import Cluster

            engine = Cluster(self.order, scheduler, workers)
        elif workers > 1:
            engine = Local(self.order, workers)
        else:
            engine = Here(self.order)
        with engine:
            yield engine

    def _plan(self, path: Path, overwrite: bool) -> None:
        """Make the manifest, whole or not at all."""
        names = output_names(self.rasters)
        there = [name for name in names if (self.out / name).exists()]
        if there and not overwrite:
            raise JobError(
                f"{self.out / there[0]} is there already, and no job that made it; choose another "
                "folder, or --overwrite"
            )
        with whole_or_not(path, durable=True) as part, Manifest(part, fresh=True) as manifest:
            with manifest.writing():
                manifest.put("facts", self.facts)
                for raster, name in zip(self.rasters, names, strict=True):
                    self._add(manifest, raster, self.out / name)
            first = next(manifest.sources("failed"), None)
            if first is not None and not any(True for _ in manifest.sources("planned")):
                raise JobError(f"no raster can be translated; the first: {first.note}")

    def _add(self, manifest: Manifest, raster: Path, out: Path) -> None:
        number = manifest.add_source(raster, out.absolute(), identity_of(raster))
        self._cut(manifest, number, raster)

    def _cut(self, manifest: Manifest, number: int, raster: Path) -> None:
        manifest.drop_blocks(number)
        try:
            plan, blocks = cut(self.translator, raster, self.options, self.block_size, number)
        except RSGenError as error:
            manifest.set_source(number, state="failed", note=str(error))
            return
        manifest.set_source(number, state="planned", plan=plan.dict(), note=None, statistics=None)
        manifest.add_blocks(blocks)

    # ---- going on ------------------------------------------------------------------------------

    def _guard(self, manifest: Manifest, redo_changed: bool) -> None:
        """Refuse to put blocks of two different jobs together."""
        found = list(changes(manifest.get("facts"), self.facts))
        if found:
            raise JobError(
                f"{self.out} holds a job that differs: {'; '.join(found)}. Give what it was begun "
                "with, choose another folder, or start anew with --overwrite"
            )
        for source in manifest.sources():
            found = list(changes(source.identity, identity_of(Path(source.path))))
            if found and not redo_changed:
                raise JobError(
                    f"{source.path} changed since the job began: {'; '.join(found)}. Bring the old "
                    "file back, do it from the start with --redo-changed, or all with --overwrite"
                )
            if found:
                log.info("%s changed and is done from the start", source.path)
                self._redo(manifest, source.id, Path(source.path))

    def _redo(self, manifest: Manifest, number: int, raster: Path) -> None:
        drop_blocks(self.folder, number)
        with manifest.writing():
            manifest.set_source(number, identity=identity_of(raster))
            self._cut(manifest, number, raster)

    def _wake(self, manifest: Manifest, only_failed: bool) -> None:
        """Bring the manifest's states to what there is to do now."""
        known = {source.path for source in manifest.sources()}
        new = [r for r in self.rasters if str(r) not in known]
        if new:
            log.info("%d rasters are new in this job", len(new))
        names = dict(zip(self.rasters, output_names(self.rasters), strict=True))
        with manifest.writing():
            for raster in new:
                self._add(manifest, raster, self.out / names[raster])
            manifest.set_blocks("failed", was="retry")
            manifest.set_blocks("retry" if only_failed else "pending", was="failed")
        for source in list(manifest.sources("failed")):
            with manifest.writing():
                if source.plan is None:
                    self._cut(manifest, source.id, Path(source.path))
                else:
                    manifest.set_source(source.id, state="planned", note=None)
        for source in list(manifest.sources("assembled")):
            if not Path(source.out).exists():
                log.info("%s is gone and is made again", source.out)
                self._redo(manifest, source.id, Path(source.path))
            drop_blocks(self.folder, source.id)


def translate_batch(sources: Given, model: str | Path, out: str | Path, **options: Any) -> Path:
    """Translate many rasters, or a huge one, block by block; returns the folder of the outputs.

    Args:
        sources: Files, folders, patterns, an index, a STAC collection; a list of these.
        model: Folder, .emd or .dlpk.
        out: Folder for the outputs.
        options: Fields of ``Batch``, and arguments of ``Batch.run``.
    """
    own = {name: options.pop(name) for name in list(options) if name in Batch.__annotations__}
    return Batch(sources, model, Path(out), **own).run(**options)


def _told(path: Path) -> str:
    with Manifest(path) as manifest:
        count = manifest.count()
    done = count.get("done", 0) + count.get("empty", 0)
    return (
        f"{path.parent.parent} holds a job of which {done} of {sum(count.values())} blocks are "
        "done; go on with --resume, or start anew with --overwrite"
    )


def _done(manifest: Manifest) -> int:
    count = manifest.count()
    return count.get("done", 0) + count.get("empty", 0)


def _plain(value: Any) -> Any:
    """An option as JSON gives it back."""
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
