"""A raster in memory through a generator in one piece: what tiles must equal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from affine import Affine
from rasterio.windows import Window

from ..errors import TranslationError
from ..networks.norm import norm_layers
from ..raster.grid import Grid
from ..raster.reader import ArrayReader
from . import checks
from .fitting import fitted
from .regional import Regional
from .statistics import Statistics, gather

if TYPE_CHECKING:
    from .translator import Translator


def in_one_piece(
    translator: Translator,
    pixels: np.ndarray,
    statistics: Statistics | Regional | None,
    *,
    mixed_precision: str | bool,
    dtype: str | None,
    nodata: float | str | None,
) -> np.ma.MaskedArray:
    """As ``Translator.translate_whole``."""
    reader = ArrayReader(pixels, Grid(pixels.shape[1:], Affine.identity()))
    if reader.count != translator.source.count:
        raise TranslationError(
            f"the pixels have {reader.count} bands and the model needs {translator.source.count}"
        )
    output = checks.choose_output(translator.target, dtype, nodata, holes=True)
    canvas = translator._canvas(reader)
    encoded = canvas.read(Window(0, 0, canvas.padded[1], canvas.padded[0]))
    height, width = canvas.shape
    valid = encoded.valid[:height, :width]
    shape = (translator.target.count, height, width)
    if not valid.any():
        return np.ma.masked_all(shape, output.dtype)
    engine = translator._engine(mixed_precision, output.dtype)
    with translator._lock:
        if statistics is None and norm_layers(translator.generator):
            statistics = gather(
                translator.generator,
                torch.from_numpy(encoded.pixels[None]).to(translator.device),
                torch.from_numpy(encoded.valid[None, None]).to(translator.device),
            )
        with fitted(engine, statistics) as fit_engine:
            fake = fit_engine(encoded.pixels[None])[0, :, :height, :width]
    stored = translator.target.stretch.decode(fake, output.dtype, output.nodata)
    result = np.ma.MaskedArray(stored, np.broadcast_to(~valid, shape))
    if output.nodata is not None:
        result.data[result.mask] = output.nodata
        result.fill_value = output.nodata
    return result
