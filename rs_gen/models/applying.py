"""A model applied: one chip, or a raster of any size."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import SettingError
from ..games.package import Package
from ..metrics.palette import Palette
from ..raster.grid import Grid
from ..raster.reader import RasterReader
from ..raster.writer import geotiff
from ..translate import checks
from ..translate import trust as trusting
from ..translate.tags import SYNTHETIC
from ..translate.translator import Translator
from . import keeping

if TYPE_CHECKING:
    from .translation import TranslationModel

# Options of a translation that its trust layers share.
_SHARED = ("statistics", "tile_size", "max_memory", "area", "area_mode", "window", "bands",
           "resample", "overwrite", "progress", "cancel")  # fmt: skip


def translator(model: TranslationModel, direction: str = "AtoB", device: Any = None) -> Translator:
    """The model's generator, ready for rasters.

    Raises:
        UnknownNameError: The model does not translate that way.
    """
    sides = (model.a, model.b) if direction == "AtoB" else (model.b, model.a)
    generator = model.game.generator(direction)
    return Translator(
        generator, *sides, direction=direction, device=device or model.device,
        norms=(model.statistics or {}).get(direction), size=model.size, name=model.name,
        palette=palette_of(model, direction),
    )  # fmt: skip


def palette_of(model: TranslationModel, direction: str) -> Palette | None:
    """The colours that the target's chips are drawn in, where they are few."""
    if direction not in model.palettes and model.data is not None:
        model.palettes |= keeping.training_palettes(model)
    held = model.palettes.get(direction)
    return Palette.from_dict(held) if held else None


def translate(
    model: TranslationModel, src: str | Path, dst: str | Path, direction: str, device: Any,
    options: dict[str, Any], *, drift: str, trust: Any, models: Any,
) -> Path:  # fmt: skip
    """A raster translated and, where asked, judged; see ``Model.translate_raster``."""
    package = package_of(model)
    layers = trusting.chosen(trust, package, direction) if trust else []
    trusting.check_drift(
        package, src, drift, direction=direction, bands=options.get("bands"),
        resample=options.get("resample", False), stacklevel=3,
    )  # fmt: skip
    path = translator(model, direction, device)(src, dst, **options)
    if layers:
        shared = {name: options[name] for name in _SHARED if name in options}
        trusting.write_trust(
            package, src, trusting.beside(path), layers, direction=direction, models=models,
            device=device or model.device, **shared,
        )  # fmt: skip
    return path


def package_of(model: TranslationModel) -> Package:
    """The model as if it had been saved and loaded; the networks are its own."""
    card = keeping.card_of(model, "", None)
    return Package(model.game, card, model.statistics or {}, model.references, model.judged)


def predict(
    model: TranslationModel, chip: str | Path | np.ndarray, direction: str, out: str | Path | None
) -> np.ma.MaskedArray:
    """One chip as a whole; see ``Model.predict``."""
    apply = translator(model, direction)
    if isinstance(chip, str | Path):
        pixels, grid = _read(apply, Path(chip))
        made = apply.predict(pixels)
        if out is not None:
            _write(Path(out), made, grid, apply)
        return made
    if out is not None:
        raise SettingError("out needs a chip that has a place on the ground: give its path")
    return apply.predict(np.ma.asarray(chip))


def _read(apply: Translator, path: Path) -> tuple[np.ma.MaskedArray, Grid]:
    with RasterReader(path) as reader:
        bands = checks.choose_bands(reader, apply.source)
    with RasterReader(path, bands) as reader:
        checks.check_count(reader, apply.source)
        return reader.read(reader.grid.window), reader.grid


def _write(out: Path, pixels: np.ma.MaskedArray, grid: Grid, apply: Translator) -> None:
    """With a mask in the file where the target has no nodata value."""
    valid = ~np.ma.getmaskarray(pixels)[0]
    nodata = apply.target.nodata
    options = {"nodata": nodata, "mask": nodata is None and not valid.all()}
    told = {"synthetic": SYNTHETIC, "model": apply.name, "direction": apply.direction}
    tags = {f"RS_GEN_{key.upper()}": value for key, value in told.items()}
    names = apply.target.names or None
    with geotiff(
        out, grid, count=len(pixels), dtype=str(pixels.dtype), names=names, tags=tags, **options
    ) as writer:
        writer.write(pixels.data, grid.window, valid)
