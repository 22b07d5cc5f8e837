"""Raster in, GeoTIFF out: equal to the whole-image run, in the memory of a few tiles.

A tiled run equals the whole one because nothing in it looks at the tile. Nodata is filled with the
middle of the stretch, the raster is mirrored to a multiple of the network's phase, normalisation
statistics are gathered once and frozen, and every tile is read with the reach that the network's
layers have, on their phase.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import InitVar, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rasterio.windows import Window
from torch import nn

from ..errors import SeamWarning, TranslationError
from ..metrics.palette import Palette
from ..networks.blocks import smallest_side
from ..networks.device import autocast_dtype, pick_device, returned_memory
from ..networks.reach import Reach, reach
from ..raster.cache import block_cache
from ..raster.reader import Reader
from ..raster.writer import geotiff
from . import checks
from .blend import Blend, read_around
from .canvas import Canvas
from .classes import palette_in
from .engine import Engine, ready
from .fitting import fit, fitted
from .flow import Flow, drive
from .opening import suitable
from .plan import floats_per_pixel, halo_of, memory_of
from .regional import Regional
from .sides import Side
from .statistics import Statistics, check_kind
from .storage import Storage
from .tags import asked_for, made_by
from .tiling import plan_tiles
from .verify import Verification, verify, warned
from .whole import in_one_piece


def quiet(iterable: Iterable[Any], total: int | None = None, label: str = "") -> Iterable[Any]:
    """Progress that shows nothing."""
    return iterable


@dataclass(frozen=True, eq=False)
class Translator:
    """A trained generator that is applied to rasters of any size.

    Attributes:
        generator: (B, C_in, H, W) to (B, C_out, H, W), both in [-1, 1]. It is copied.
        source: Of the rasters that come in: a card's side, or a Stretch.
        target: Of the rasters that go out, likewise.
        direction: Written into the output.
        device: Where to compute; None is CUDA where it works, else the CPU.
        norms: Statistics of the generator's instance norms over the training chips, by layer name;
            what ``statistics="model"`` uses.
        size: Side of the training chips in pixels, and of the windows of ``"sampled"``.
        name: Of the model, written into the output.
        dtype: Of the output, where ``target`` does not say.
        nodata: Likewise.
        names: Likewise, one for each band.
        palette: Colours that the target's training chips are drawn in, where they are few.
        reach: How far the generator looks and how it steps, from its layers.

    Raises:
        SettingError: A side, the device or the generator can't work.
        TranslationError: The generator changes the size of an image.
    """

    generator: nn.Module
    source: Side
    target: Side
    direction: str = "AtoB"
    device: torch.device = None  # type: ignore[assignment]
    norms: Statistics | None = None
    size: int = 256
    name: str = "generator"
    dtype: InitVar[str | None] = None
    nodata: InitVar[float | None] = None
    names: InitVar[Sequence[str] | None] = None
    palette: Palette | None = None
    reach: Reach = field(init=False)
    _lock: threading.RLock = field(init=False, repr=False, default_factory=threading.RLock)

    def __post_init__(self, dtype: Any, nodata: Any, names: Any) -> None:
        device = pick_device(self.device)
        put = object.__setattr__  # the dataclass is frozen for everyone else
        put(self, "device", device)
        put(self, "source", Side.of(self.source))
        put(self, "target", Side.of(self.target, dtype=dtype, nodata=nodata, names=names))
        put(self, "generator", ready(self.generator, device))
        put(self, "reach", reach(self.generator, applied=True))
        if not self.reach.exact:
            warnings.warn(
                f"tiles of {self.name} can differ: {self.reach.reason}", SeamWarning, stacklevel=3
            )

    @classmethod
    def of(
        cls,
        package: Any,
        direction: str = "AtoB",
        device: torch.device | str | None = None,
    ) -> Translator:
        """The translator of a saved model.

        Args:
            package: Its folder, .emd or .dlpk; or what ``games.package.load`` gave.
            direction: ``"AtoB"``, or ``"BtoA"`` for a model that goes back as well.
            device: As for the class.

        Raises:
            PackageError: It is no saved model, or one that this version can't read.
            UnknownNameError: The model does not translate that way.
        """
        name = "model"
        if isinstance(package, str | Path):
            from ..games.package import load

            name = Path(package).stem
            package = load(package, discriminators=False)
        card = package.card
        sides = (card.source, card.target) if direction == "AtoB" else (card.target, card.source)
        return cls(
            package.game.generator(direction),
            *sides,
            direction=direction,
            device=device,
            norms=(package.statistics or {}).get(direction),
            size=card.size,
            name=name,
            palette=palette_in(card, direction),
        )

    def __call__(
        self,
        raster: str | Path,
        out: str | Path,
        *,
        statistics: str = "sampled",
        verify: bool = False,
        overwrite: bool = True,
        progress: Callable[..., Iterable[Any]] = quiet,
        cancel: Callable[[], bool] | None = None,
        **options: Any,
    ) -> Path:
        """Translate a raster into a GeoTIFF on the same grid; returns its path.

        A pixel that any of the source's bands did not measure is nodata in every band of the
        output, and no other is. The file appears once it is whole. Its tags (``RS_GEN_...``) say
        which model made it and how.

        Args:
            raster: What GDAL reads.
            out: The GeoTIFF to write.
            statistics: Which numbers instance norms divide by: ``"sampled"`` from windows spread
                over this raster, ``"exact"`` from all of it, ``"regional"`` from windows around
                each place, ``"model"`` from the training chips. Never those of a tile.
            verify: Measure on a sample first whether tiles agree, tell it and write it into the
                tags; a ``SeamWarning`` says that they do not.
            overwrite: Replace an existing file.
            progress: Wraps the walk over the tiles.
            cancel: Asked after each tile; True stops.
            **options: Of ``flow``: ``overlap``, ``tile_size``, ``batch_size``, ``max_memory``,
                ``area``, ``area_mode``, ``window``, ``bands``, ``resample``,
                ``mixed_precision``; and of ``Storage``: ``dtype``, ``nodata``, ``cog``,
                ``compress``, ``overviews``, ``palette``, ``polygons``, ``least_area``, ``stac``.

        Raises:
            RasterError: The raster can't be read, or the output not written.
            TranslationError: The raster does not suit the model, or ``out`` is there already.
            SettingError, ValueRangeError, UnknownNameError: An option can't work.
            AreaError: The area or the window misses the raster.
            Cancelled: ``cancel`` said so; no file is left.
        """
        check_kind(statistics)
        out = checks.destination(raster, out, overwrite)
        with self.flow(raster, **options) as flow:
            found = self._statistics(flow.canvas, statistics, flow.plan.limit, progress, cancel)
            tags = made_by(self, raster, flow.engine, flow.plan, statistics, asked=flow.asked)
            tags |= flow.tags
            if verify and (certificate := self._certified(flow, found)) is not None:
                tags |= warned(certificate).tags()
            with (
                fitted(flow.engine, found) as engine,
                geotiff(out, flow.grid, tags=tags, **flow.writing) as writer,
            ):
                drive(replace(flow, engine=engine).into(writer), len(flow), progress, cancel)
        flow.finish(out)
        return out

    @contextmanager
    def flow(
        self,
        raster: str | Path,
        *,
        overlap: str = "exact",
        tile_size: int | str = "auto",
        batch_size: int = 4,
        max_memory: float | str | None = None,
        area: Any = None,
        area_mode: str = "clip",
        window: Window | None = None,
        bands: Sequence[int | str] | None = None,
        resample: bool = False,
        mixed_precision: str | bool = "auto",
        **storage: Any,
    ) -> Generator[Flow, None, None]:
        """An open raster on its way through the generator. Errors as for a call.

        Args:
            raster: What GDAL reads.
            overlap: ``"exact"``: a tile is read as far as the generator looks, and agrees with
                its neighbours. ``"blend"``: with a quarter of its side, and fades into them:
                cheaper for networks that look far, approximate, in need of disk for the sums.
            tile_size: Side of the square that is computed at once, in pixels without its halo,
                rounded to the generator's phase; ``"auto"`` times a few on large rasters and
                takes the fastest. It changes speed and memory, not the result.
            batch_size: Most tiles that go through the generator together; fewer where they are
                so large that this would only take memory.
            max_memory: That the run stays under, as ``"2GB"`` or in GiB; tiles shrink for it.
            area: Only what lies in these polygons: a vector file in any CRS, a shapely geometry
                in the raster's, or a list of these.
            area_mode: ``"clip"``: the output is as large as the bounds of the area; ``"mask"``:
                as large as the raster, with nodata outside the area.
            window: Only these pixels, which are the same as in a translation of everything.
            bands: Which to read, as names or counted from 0; None takes those named as in
                training, or the first ones.
            resample: Bring a raster of another ground resolution to that of the training chips
                first. The output then has the resampled grid.
            mixed_precision: ``"auto"`` computes in bfloat16 where the hardware does so fast and
                the output has 8 bits; True does so always, False never.
            **storage: As ``Storage`` lists them.
        """
        wanted = Storage.of(storage)
        classes = wanted.classes(self.palette, self.target)
        target = classes.side(self.target) if classes else self.target
        with (
            self._lock,
            block_cache(),
            returned_memory(),
            suitable(raster, self.source, bands, resample=resample, stacklevel=6) as reader,
        ):
            part, polygon = checks.part_of(reader.grid, area, window, area_mode)
            output = wanted.output(target, holes=reader.has_mask or polygon is not None)
            canvas = self._canvas(reader)
            around = read_around(self.reach, overlap, tile_size)
            halo = halo_of(self.reach) if overlap == "exact" else 0
            engine = self._engine(mixed_precision, output.dtype, halo=halo)
            plan = plan_tiles(
                engine, canvas, around, part=part, tile_size=tile_size, batch_size=batch_size,
                floats=self._floats, targets=self.target.count, max_memory=max_memory,
            )  # fmt: skip
            asked = asked_for(
                reader, classes, area=area, area_mode=area_mode, window=window, resample=resample
            )
            kind = Blend if overlap == "blend" else Flow
            yield kind(canvas, engine, plan, target, output, part, polygon, wanted, classes, asked)

    def predict(self, pixels: np.ndarray) -> np.ma.MaskedArray:
        """One chip in memory, (C_in, H, W) of stored values to (C_out, H, W) of stored values.

        Any size will do. Instance norms divide by the chip's own statistics, as in training. A
        pixel that is masked in any band is masked in all bands of the result.
        """
        return self.translate_whole(pixels, mixed_precision="auto")

    def translate_whole(
        self,
        pixels: np.ndarray,
        *,
        statistics: Statistics | Regional | None = None,
        mixed_precision: str | bool = False,
        dtype: str | None = None,
        nodata: float | str | None = "auto",
    ) -> np.ma.MaskedArray:
        """A raster in memory, put through the generator in one piece.

        This is what a tiled run must equal.

        Args:
            pixels: (C_in, H, W) of stored values; masked where there is no measurement.
            statistics: For the instance norms, as ``statistics_of`` gives; None: of these pixels.
            mixed_precision: As for a call.
            dtype: As for a call.
            nodata: As for a call.

        Returns:
            (C_out, H, W) of stored values, masked where any band of ``pixels`` is.

        Raises:
            TranslationError: The pixels have another number of bands than the model takes.
        """
        return in_one_piece(
            self, pixels, statistics, mixed_precision=mixed_precision, dtype=dtype, nodata=nodata
        )

    def statistics_of(
        self,
        raster: str | Path,
        kind: str = "sampled",
        *,
        bands: Sequence[int | str] | None = None,
    ) -> Statistics | Regional | None:
        """What a call divides by for a raster: layer name to (mean, variance), (1, C, 1, 1) each.

        For ``"regional"`` a ``Regional`` with all nodes of the raster in memory. None where the
        raster has no valid pixel; empty where the generator has no instance norm.
        """
        with self._lock, suitable(raster, self.source, bands) as reader:
            found = self._statistics(self._canvas(reader), kind)
            return found.fill() if isinstance(found, Regional) else found

    def verify(
        self, raster: str | Path, *, statistics: str = "sampled", **options: Any
    ) -> Verification:
        """Whether tiles agree on a sample of a raster, in float32.

        Args:
            raster: What would be translated.
            statistics: As for a call.
            **options: Of ``flow``.

        Raises:
            TranslationError: The raster has no valid pixel.
        """
        with self.flow(raster, **{"tile_size": self.size, "batch_size": 1, **options}) as flow:
            found = self._statistics(flow.canvas, statistics)
            certificate = self._certified(flow, found)
        if certificate is None:
            raise TranslationError(f"{Path(raster).name} has no valid pixel to verify with")
        return certificate

    def _certified(self, flow: Flow, found: Statistics | Regional | None) -> Verification | None:
        with fitted(self._engine(False, "float32", halo=flow.engine.halo), found) as engine:
            return verify(flow.canvas, engine, flow.plan, blend=isinstance(flow, Blend))

    def _canvas(self, reader: Reader) -> Canvas:
        phase = self.reach.phase
        return Canvas(reader, self.source.stretch, phase, smallest_side(self.generator, phase))

    def _engine(self, mixed_precision: Any, dtype: str, *, halo: int | None = None) -> Engine:
        """In half precision by itself only where bfloat16's 8 bits are enough for the output."""
        if mixed_precision == "auto" and np.dtype(dtype).itemsize > 1:
            mixed_precision = False
        precision = autocast_dtype(self.device, mixed_precision)
        return Engine(self.generator, self.device, precision, halo=halo)

    def _statistics(
        self,
        canvas: Canvas,
        kind: str,
        memory: int | None = None,
        progress: Callable[..., Iterable[Any]] = quiet,
        cancel: Callable[[], bool] | None = None,
    ) -> Statistics | Regional | None:
        memory = memory or memory_of(self.device)
        return fit(
            kind, self.generator, canvas, stored=self.norms, side=self.size, floats=self._floats,
            device=self.device, memory=memory, progress=progress, cancel=cancel,
        )  # fmt: skip

    @cached_property
    @torch.inference_mode()
    def _floats(self) -> float:
        """Numbers in the largest activation for each pixel, once the shapes are known to fit."""
        side = smallest_side(self.generator, self.reach.phase)
        return floats_per_pixel(
            self.generator, (self.source.count, side, side), (self.target.count, side, side)
        )
