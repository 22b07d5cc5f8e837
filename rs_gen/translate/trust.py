"""Trust: rasters beside a translation that say how far each of its pixels may be believed.

Four layers, each with a weakness of its own (docs/trust.md): what the way back can't find again
(``cycle``), where answers differ (``disagreement``), where the source is unlike the training chips
(``drift``), and what the discriminator makes of the result (``realness``). Like a translation, none
depends on the tiles it is computed in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from rasterio.windows import Window

from .. import __version__
from ..errors import Cancelled, GridMismatchError, SettingError, UnknownNameError
from ..games.package import Package
from ..networks.reach import Reach
from ..raster.cache import block_cache
from ..raster.reader import RasterReader
from ..raster.tiles import count, inside, walk
from ..raster.vector import rasterize
from ..raster.writer import RasterWriter, geotiff
from . import checks
from .canvas import Canvas
from .cycle import NOISE
from .drift import BandDrift, band_drift, check_mode, judge_drift, reference_of
from .opening import suitable
from .pipeline import ahead
from .plan import Bound, make_plan, memory_of
from .seen import Layer
from .setting import Setting, available, canvas_of, opened, translator_of
from .shades import write_styles
from .statistics import check_kind
from .translator import Translator, quiet

_TILE = 512  # pixels: eight answers to a tile of this side fit anywhere
LAYERS = ("cycle", "disagreement", "drift", "realness")


def write_trust(
    package: str | Path | Package,
    raster: str | Path,
    out: str | Path,
    layers: str | Sequence[str] = "all",
    *,
    direction: str = "AtoB",
    models: Sequence[str | Path | Package] = (),
    translation: str | Path | None = None,
    statistics: str = "sampled",
    noise: float = NOISE,
    seed: int = 42,
    tile_size: int | str = "auto",
    max_memory: float | str | None = None,
    area: Any = None,
    area_mode: str = "clip",
    window: Window | None = None,
    bands: Sequence[int | str] | None = None,
    resample: bool = False,
    device: Any = None,
    overwrite: bool = True,
    progress: Callable[..., Iterable[Any]] = quiet,
    cancel: Callable[[], bool] | None = None,
) -> Path:
    """Write how far a translation may be believed, a named band a layer; returns its path.

    The raster is float32 on the grid of the source, NaN where the translation has no measurement.
    Beside it lie QGIS styles: one of its own name, which shows the first band, and one for each
    further band. Tags (``RS_GEN_...``) say how it was made.

    Args:
        package: A saved model, or what ``games.package.load`` gave.
        raster: The source.
        out: The GeoTIFF to write.
        layers: Of ``cycle``, ``disagreement``, ``drift`` and ``realness``, as a list or separated
            by commas; ``"all"`` is all that the model can give.
        direction: Of the translation.
        models: More models of the same task: disagreement is then over all of them, else over the
            eight flips and quarter turns.
        translation: A translation of the whole raster on disk, for ``cycle`` and ``realness`` to
            judge; None makes it again, in float32.
        statistics: As for the translation. The way back and the discriminator, where not
            ``"model"``, take theirs from a sample of the translation.
        noise: Deviation of the noise before the way back, as a share of the target's range.
        seed: Of that noise.
        tile_size: Side of a tile in pixels, or ``"auto"`` for 512; changes speed and memory, not
            the result.
        max_memory: As for the translation.
        area: As for the translation.
        area_mode: As for the translation.
        window: As for the translation.
        bands: As for the translation.
        resample: As for the translation.
        device: As for the translation.
        overwrite: Replace an existing file.
        progress: Wraps the walk over the tiles.
        cancel: Asked after each tile; True stops.

    Raises:
        UnknownNameError: There is no such layer.
        SettingError: The model can't give a layer, or an option can't work.
        TranslationError: The raster does not suit the model, or ``out`` is there already.
        GridMismatchError: ``translation`` lies on another grid.
        RasterError: The raster can't be read, or the output not written.
        Cancelled: ``cancel`` said so; no file is left.
    """
    check_kind(statistics)
    if not 0 <= noise < 1:
        raise SettingError(f"noise={noise:g} is a share of the range, from 0 to below 1")
    out = checks.destination(raster, out, overwrite)
    held, name = opened(package)
    names = chosen(layers, held, direction)
    there = translator_of(held, direction, device, name)
    with ExitStack() as stack:
        stack.enter_context(block_cache())
        reader = stack.enter_context(suitable(raster, there.source, bands, resample=resample))
        part, polygon = checks.part_of(reader.grid, area, window, area_mode)
        canvas = canvas_of(held, there, reader, names)
        setting = Setting(
            held, direction, there, canvas, statistics, stack, noise=noise, seed=seed,
            judged=_judged(translation, canvas, there, stack), others=_others(models, direction),
        )  # fmt: skip
        made = [setting.layer(name) for name in names]
        tags = _tags(there, raster, translation, made, setting)
        writer = stack.enter_context(
            geotiff(
                out, reader.grid.crop(part), count=len(made), dtype="float32", nodata=math.nan,
                names=[layer.title for layer in made], tags=tags,
            )
        )  # fmt: skip
        total, tiles = _tiles(
            setting, made, part, polygon, tile_size=tile_size, max_memory=max_memory
        )
        _write_all(writer, tiles, total, part, progress, cancel)
    write_styles(out, names, held.references.get(direction))
    return out


def beside(out: str | Path) -> Path:
    """Where the trust layers of a translation go: ``map.tif`` has ``map_trust.tif``."""
    out = Path(out)
    return out.with_name(f"{out.stem}_trust.tif")


def chosen(
    layers: str | Sequence[str], package: str | Path | Package, direction: str = "AtoB"
) -> list[str]:
    """The layers asked for, in their usual order, as a model can give them.

    Raises:
        UnknownNameError: There is no such layer.
        SettingError: None is asked for, or the model can't give one; the text says why.
    """
    asked = layers.split(",") if isinstance(layers, str) else layers
    names = {name.strip() for name in asked if name.strip()}
    reasons = available(opened(package)[0], direction)
    if names == {"all"}:
        return [name for name in LAYERS if not reasons[name]]
    for name in sorted(names):
        if name not in LAYERS:
            raise UnknownNameError("trust layer", name, [*LAYERS, "all"])
        if reasons[name]:
            raise SettingError(f"no trust layer {name!r}: {reasons[name]}")
    if not names:
        raise SettingError(f"no trust layer is asked for; there are {', '.join(LAYERS)}, all")
    return [name for name in LAYERS if name in names]


def check_drift(
    package: str | Path | Package,
    raster: str | Path,
    mode: str = "warn",
    *,
    direction: str = "AtoB",
    bands: Sequence[int | str] | None = None,
    resample: bool = False,
    stacklevel: int = 2,
) -> list[BandDrift]:
    """Compare a raster's bands with the training chips, before anything is computed.

    Args:
        package: A saved model, or what ``games.package.load`` gave.
        raster: The source.
        mode: ``"warn"`` gives a ``DriftWarning``, ``"refuse"`` an error, ``"off"`` does nothing.
        direction: Of the translation.
        bands: As for the translation.
        resample: As for the translation.
        stacklevel: Of the warning, as ``warnings.warn`` counts.

    Returns:
        Every band's drift; empty where it is off, nothing is known or no pixel is valid.

    Raises:
        TranslationError: A band drifted and ``mode`` is ``"refuse"``, or nothing is known then.
    """
    if check_mode(mode) == "off":
        return []
    held, name = opened(package)
    if direction not in held.references:
        if mode == "refuse":
            reference_of(held.references, direction)
        return []
    there = translator_of(held, direction, "cpu", name)
    with block_cache(), suitable(raster, there.source, bands, resample=resample) as reader:
        found = _bands(there, there._canvas(reader), held, direction)
    judge_drift(found, mode, Path(raster).name, stacklevel=stacklevel + 1)
    return found


def _bands(there: Translator, canvas: Canvas, held: Package, direction: str) -> list[BandDrift]:
    reference = reference_of(held.references, direction)
    return band_drift(canvas, reference, there.size, there.source.names)


def _others(models: Sequence[str | Path | Package], direction: str) -> list[Translator]:
    held = [opened(model) for model in models]
    return [translator_of(package, direction, None, name) for package, name in held]


def _judged(
    translation: str | Path | None, canvas: Canvas, there: Translator, stack: ExitStack
) -> Canvas | None:
    """A translation on disk as the networks read it."""
    if translation is None:
        return None
    reader = stack.enter_context(RasterReader(translation))
    grid = canvas.reader.grid
    if reader.grid.shape != grid.shape or not reader.grid.matches(grid):
        raise GridMismatchError(
            f"{translation} is {reader.grid} and the raster {grid}; give the translation of the "
            "whole raster"
        )
    checks.check_count(reader, there.target)
    return Canvas(reader, there.target.stretch, canvas.phase, min(canvas.padded))


def _tiles(
    setting: Setting,
    layers: Sequence[Layer],
    part: Window,
    polygon: Any,
    *,
    tile_size: int | str,
    max_memory: float | str | None,
) -> tuple[int, Iterator[tuple[Window, np.ndarray]]]:
    """How many tiles there are, and where each lies with its (layers, H, W)."""
    canvas = setting.canvas
    phase = math.lcm(canvas.phase, *(layer.phase for layer in layers))
    halo = max(layer.reach for layer in layers)
    there = setting.there
    plan = make_plan(
        canvas.padded, Reach(halo, halo, phase), checked_size(tile_size), floats=there._floats,
        memory=memory_of(there.device), bands=there.source.count + there.target.count,
        bound=None if max_memory is None else Bound.of(max_memory, there.device),
    )  # fmt: skip

    def computed() -> Iterator[tuple[Window, np.ndarray]]:
        steps = walk(canvas.padded, plan.core, plan.halo, phase=phase, within=part)
        whole = Window(0, 0, canvas.padded[1], canvas.padded[0])
        reads = ((tile, tile.read.intersection(whole)) for tile in steps)
        with ahead(((tile, read, canvas.read(read)) for tile, read in reads), 1) as loaded:
            for tile, read, encoded in loaded:
                core = inside(tile)
                valid = encoded.valid[core]
                if polygon is not None:
                    valid = valid & rasterize(polygon, canvas.reader.grid.crop(tile.write))
                values = np.full((len(layers), *valid.shape), np.nan, np.float32)
                if valid.any():
                    seen = setting.seen(read, encoded)
                    for band, layer in zip(values, layers, strict=True):
                        band[valid] = layer(seen)[core][valid]
                yield tile.write, values

    return count(canvas.padded, plan.core, within=part), computed()


def checked_size(tile_size: int | str) -> int:
    """Side of a tile in pixels.

    Raises:
        SettingError: It is neither a whole number nor ``"auto"``.
    """
    if tile_size == "auto":
        return _TILE
    try:
        return int(tile_size)
    except ValueError as error:
        raise SettingError(f"tile_size={tile_size!r} is no number of pixels or 'auto'") from error


def _write_all(
    writer: RasterWriter, tiles: Iterator[tuple[Window, np.ndarray]], total: int, part: Window,
    progress: Callable[..., Iterable[Any]], cancel: Callable[[], bool] | None,
) -> None:  # fmt: skip
    done = 0
    for write, values in progress(tiles, total=total, label="Judging"):
        at = Window(
            write.col_off - part.col_off, write.row_off - part.row_off, write.width, write.height
        )
        writer.write(values, at)
        done += 1
        if cancel is not None and cancel():
            break
    if done < total:  # a progress that ends the loop early means the same
        raise Cancelled(f"stopped after {done} of {total} tiles; no file was written")


def _tags(
    there: Translator, raster: str | Path, translation: str | Path | None,
    layers: Sequence[Layer], setting: Setting,
) -> dict[str, str]:  # fmt: skip
    """How the layers were made, for whoever finds them."""
    names = [layer.name for layer in layers]
    tags = {
        "version": __version__, "trust": ", ".join(layer.title for layer in layers),
        "model": there.name, "direction": there.direction, "source": Path(raster).name,
        "statistics": setting.kind,
    }  # fmt: skip
    if translation is not None:
        tags["judged"] = Path(translation).name
    if "cycle" in names:
        tags |= {"noise": f"{setting.noise:g}", "seed": str(setting.seed)}
    held, direction = setting.package, setting.direction
    if direction in held.references:
        found = _bands(there, setting.canvas, held, direction)
        tags["drift"] = ", ".join(map(str, found))
        real = held.references[direction].real
        if "realness" in names and len(real):
            low, middle, high = real.tolist()
            tags["real_chips"] = f"{low:.4g} (5 %), {middle:.4g} (median), {high:.4g} (95 %)"
    else:
        tags["drift"] = "not known: the model keeps nothing of its training chips"
    return {f"RS_GEN_{key.upper()}": value for key, value in tags.items()}
