"""How far two rasters agree, as sums over pixels: a region's scores are those of its pixels.

Sums can be added, so blocks, areas and cells of any shape are scored alike, and a spatial
bootstrap draws blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
import torch
from rasterio.windows import Window

from ..errors import GridMismatchError
from ..metrics.image import spectral_angle_map, ssim_map
from ..metrics.protocol import Score, bootstrap
from ..raster.pixels import is_integer, limits
from ..raster.reader import RasterReader
from ..raster.tiles import count, walk

MARGIN = 5  # pixels that SSIM looks past a block
WITHIN = (5, 10)  # of 256 levels
SUMS = ("n", "absolute", "squared", "within_5", "within_10", "ssim_n", "ssim", "angle_n", "angle")


class Scale(NamedTuple):
    """What differences are measured against.

    Attributes:
        low: Least value that the data can take.
        high: Greatest value.
        rounding: Mean squared error of rounding alone, to whole numbers or to float32. Rasters
            that are closer count as so far apart, or a PSNR would be infinite.
    """

    low: float
    high: float
    rounding: float = 0.0

    @property
    def span(self) -> float:
        """Greatest less least value."""
        return self.high - self.low


class Pair:
    """A translated raster and a measured one on its grid.

    Args:
        made: The translated raster, open.
        real: The measured one, open, on the same grid.
        scale: Of the data.

    Raises:
        GridMismatchError: They have unlike bands.
    """

    def __init__(self, made: RasterReader, real: RasterReader, scale: Scale):
        if made.count != real.count:
            raise GridMismatchError(
                f"{made.path} has {made.count} bands and {real.path} has {real.count}; "
                f"compare rasters with the same bands"
            )
        self.made, self.real, self.scale = made, real, scale
        self.grid = made.grid

    def read(self, window: Window) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(C, H, W) of both in float64, and (H, W) where both measured every band."""
        made, real = self.made.read(window), self.real.read(window)
        valid = ~(np.ma.getmaskarray(made).any(axis=0) | np.ma.getmaskarray(real).any(axis=0))
        a, b = (np.where(valid, x.data, 0).astype(np.float64) for x in (made, real))
        return a, b, valid

    def planes(self, window: Window) -> np.ndarray:
        """(9, H, W): what each pixel adds to each of ``SUMS``; 0 where it does not count."""
        wider = Window(
            window.col_off - MARGIN, window.row_off - MARGIN,
            window.width + 2 * MARGIN, window.height + 2 * MARGIN,
        )  # fmt: skip
        a, b, valid = self.read(wider)
        difference = np.abs(a - b)
        planes = np.zeros((len(SUMS), *valid.shape))
        planes[0] = valid
        planes[1], planes[2] = difference.mean(0), np.square(difference).mean(0)
        for i, levels in enumerate(WITHIN, start=3):
            planes[i] = (difference <= levels * self.scale.span / 255).all(0) & valid
        fake, truth, known = (torch.from_numpy(x[None]) for x in (a, b, valid))
        similar, seen = ssim_map(fake, truth, data_range=self.scale[:2], valid=known)
        planes[5] = seen[0].numpy()
        planes[6] = np.where(seen[0].numpy(), similar[0].numpy(), 0)
        if len(a) > 1:
            angle, lit = (x[0].numpy() for x in spectral_angle_map(fake, truth))
            planes[7], planes[8] = lit & valid, np.where(lit & valid, angle, 0)
        return planes[:, MARGIN:-MARGIN, MARGIN:-MARGIN]


def scores_of(
    table: np.ndarray, scale: Scale, block: int, *, draws: int = 1000
) -> dict[str, Score]:
    """Each score with its n, protocol and interval.

    Args:
        table: (blocks, 9) of ``SUMS``.
        scale: Of the data.
        block: Side of a block in pixels, which the interval's resamples draw.
        draws: Resamples; 0 for no interval.
    """
    held = {}
    for name, (which, protocol) in _SCORES.items():
        total = table.sum(0)
        n = int(total[SUMS.index(which)])
        if not n:
            continue
        used = table[table[:, SUMS.index(which)] > 0]
        value = values_of(total, scale)[name]
        low, high = bootstrap(
            len(used), lambda i, u=used, k=name: values_of(u[i].sum(0), scale)[k], draws=draws
        )
        about = f"{protocol}; interval by blocks of {block} px ({len(used)})"
        held[name] = Score(value, n, about, low, high)
    return held


def values_of(sums: np.ndarray, scale: Scale) -> dict[str, float]:
    """Each score from the sums over a region; NaN where nothing counts."""
    held = dict(zip(SUMS, (float(v) for v in sums), strict=True))
    n = held["n"] or np.nan
    squared = held["squared"] / n
    return {
        "PSNR of all pixels": 10 * float(np.log10(scale.span**2 / max(squared, scale.rounding))),
        "SSIM": held["ssim"] / (held["ssim_n"] or np.nan),
        "L1": held["absolute"] / n,
        "RMSE": squared**0.5,
        "within 5 of 256 levels": held["within_5"] / n,
        "within 10 of 256 levels": held["within_10"] / n,
        "spectral angle": held["angle"] / (held["angle_n"] or np.nan),
    }


_SCORES = {
    "PSNR of all pixels": ("n", "dB from the mean squared error over all pixels measured in both"),
    "SSIM": ("ssim_n", "mean over pixels whose 11 px Gaussian window is measured in both"),
    "L1": ("n", "mean absolute difference over pixels and bands, in stored values"),
    "RMSE": ("n", "root of the mean squared difference, in stored values"),
    "within 5 of 256 levels": ("n", "share of pixels with every band so close"),
    "within 10 of 256 levels": ("n", "share of pixels with every band so close"),
    "spectral angle": ("angle_n", "degrees between stored spectra, mean over pixels"),
}


def range_of(reader: RasterReader, steps: Callable[..., Iterable]) -> Scale:
    """Least and greatest value: of the dtype for 8 bits, else of what was measured."""
    if is_integer(reader.dtype) and np.dtype(reader.dtype).itemsize == 1:
        low, high = limits(reader.dtype)
        return Scale(low, high, 1 / 12)
    low, high = np.inf, -np.inf
    total = count(reader.grid.shape, 1024)
    for tile in steps(walk(reader.grid.shape, 1024), total=total, label="range of the truth"):
        pixels = reader.read(tile.write).compressed()
        if pixels.size:
            low, high = min(low, float(pixels.min())), max(high, float(pixels.max()))
    if not np.isfinite(high):
        return Scale(0.0, 1.0)
    high = max(high, low + 1e-12)
    step = 1.0 if is_integer(reader.dtype) else (high - low) * float(np.finfo("float32").eps)
    return Scale(low, high, step**2 / 12)
