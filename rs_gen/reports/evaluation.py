"""How well a translated raster agrees with a measured one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..errors import GridMismatchError, TranslationError
from ..metrics.image import psnr, ssim
from ..raster.pixels import is_integer, limits
from ..raster.reader import RasterReader
from ..raster.tiles import count, walk

WINDOW = 256  # px; the side of the windows that PSNR and SSIM are means over
_WITHIN = (5, 10)  # of 256 levels


def evaluate_rasters(
    output: str | Path, truth: str | Path, *, progress: Callable[..., Iterable]
) -> dict[str, Any]:
    """Scores of ``output`` against ``truth``, brought onto the output's grid.

    PSNR and SSIM are means over windows of 256 px that are measured throughout on both sides; a
    window that is met exactly counts as if rounding were its error, or one would make the mean
    infinite. The other scores are over all pixels measured on both. The data range is that of the
    dtype for 8 bits, else that of the truth.

    Raises:
        GridMismatchError: The rasters do not overlap, or differ in band count.
        TranslationError: No pixel is measured in both.
    """
    with RasterReader(output) as made, RasterReader.aligned(truth, made.grid) as real:
        if made.count != real.count:
            raise GridMismatchError(
                f"{output} has {made.count} bands and {truth} has {real.count}; "
                f"compare rasters with the same bands"
            )
        ends = _range(real, progress)
        sums = _Sums(ends, _best_psnr(ends, real.dtype))
        tiles = walk(made.grid.shape, WINDOW)
        total = count(made.grid.shape, WINDOW)
        for tile in progress(tiles, total=total, label="windows"):
            sums.add(made.read(tile.write), real.read(tile.write))
    if not sums.pixels:
        raise TranslationError(f"{output} and {truth} have no pixel that both measured")
    return {"output": str(output), "truth": str(truth), "data range": list(ends), **sums.scores()}


class _Sums:
    """What has been seen so far, of one raster against another."""

    def __init__(self, ends: tuple[float, float], best: float):
        self.ends, self.span, self.pixels = ends, ends[1] - ends[0], 0
        self.best = best
        self.absolute = self.squared = 0.0
        self.within = dict.fromkeys(_WITHIN, 0)
        self.windows: dict[str, list[float]] = {"PSNR": [], "SSIM": []}

    def add(self, made: np.ma.MaskedArray, real: np.ma.MaskedArray) -> None:
        valid = ~(made.mask.any(axis=0) | real.mask.any(axis=0))
        if not valid.any():
            return
        a, b = made.data.astype("float64"), real.data.astype("float64")
        difference = np.abs(a - b)[:, valid]
        self.pixels += difference.shape[1]
        self.absolute += float(difference.mean(axis=0).sum())
        self.squared += float((difference**2).mean(axis=0).sum())
        for levels in _WITHIN:
            near = (difference <= levels * self.span / 255).all(axis=0)
            self.within[levels] += int(near.sum())
        if valid.all() and min(valid.shape) == WINDOW:
            pair = [torch.from_numpy(x[None]).float() for x in (a, b)]
            noise = float(psnr(*pair, data_range=self.ends))
            self.windows["PSNR"].append(min(noise, self.best))
            self.windows["SSIM"].append(float(ssim(*pair, data_range=self.ends)))

    def scores(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, values in self.windows.items():
            unit = f"windows of {WINDOW} px"
            mean = float(np.mean(values)) if values else None
            found[name] = {"value": mean, "n": len(values), "unit": unit}
        over = {"n": self.pixels, "unit": "pixels"}
        found["L1"] = {"value": self.absolute / self.pixels, **over}
        found["RMSE"] = {"value": (self.squared / self.pixels) ** 0.5, **over}
        for levels, near in self.within.items():
            found[f"within {levels} of 256 levels"] = {"value": near / self.pixels, **over}
        return found


def _best_psnr(ends: tuple[float, float], dtype: str) -> float:
    """PSNR in dB where nothing but rounding, to whole numbers or to float32, is wrong."""
    span = ends[1] - ends[0]
    step = 1.0 if is_integer(dtype) else span * float(np.finfo("float32").eps)
    return float(10 * np.log10(12 * (span / step) ** 2))  # rounding errs by step² / 12


def _range(reader: RasterReader, progress: Callable[..., Iterable]) -> tuple[float, float]:
    """Least and greatest value: of the dtype for 8 bits, else of what was measured."""
    if is_integer(reader.dtype) and np.dtype(reader.dtype).itemsize == 1:
        low, high = limits(reader.dtype)
        return float(low), float(high)
    low, high = np.inf, -np.inf
    total = count(reader.grid.shape, 1024)
    for tile in progress(walk(reader.grid.shape, 1024), total=total, label="range of the truth"):
        pixels = reader.read(tile.write).compressed()
        if pixels.size:
            low, high = min(low, float(pixels.min())), max(high, float(pixels.max()))
    return (low, max(high, low + 1e-12)) if np.isfinite(high) else (0.0, 1.0)
