"""Noise that belongs to a place on the ground, so that it does not matter who asks for it."""

from __future__ import annotations

import numpy as np
from rasterio.windows import Window

from ..raster.grid import Grid

_SPREAD = (4 * (256**2 - 1) / 12) ** 0.5  # deviation of the sum of four even bytes


def ground_noise(grid: Grid, window: Window, bands: int, seed: int) -> np.ndarray:
    """(bands, H, W) float32 of mean 0 and deviation 1 for a window of a raster.

    A pixel's number depends on the seed, its band and its place on the lattice of pixels that the
    grid belongs to: a window, or a raster cut out of another, has the noise of the whole. It is
    close to normal (the sum of four bytes of a hash, so within 3.5 deviations), and exact: all
    arithmetic is on integers.

    Args:
        grid: Of the raster.
        window: Of whole pixels; it may reach past the raster.
        bands: How many.
        seed: Chooses the noise.
    """
    col, row = _origin(grid)
    cols = np.arange(window.col_off, window.col_off + window.width, dtype=np.int64) - col
    rows = np.arange(window.row_off, window.row_off + window.height, dtype=np.int64) - row
    out = np.empty((bands, len(rows), len(cols)), np.float32)
    for band in range(bands):
        start = _mix(np.array([seed & 0xFFFFFFFF], np.uint32) + np.uint32(band))
        across = _mix(_low(cols) + start)
        place = _mix(across[None, :] ^ _mix(_low(rows) * np.uint32(0x9E3779B1) + start)[:, None])
        parts = place.view(np.uint8).reshape(*place.shape, 4)
        out[band] = (parts.sum(-1, dtype=np.int32) - 510) / _SPREAD
    return out


def _origin(grid: Grid) -> tuple[int, int]:
    """Column and row, seen from the raster, of the pixel that holds the CRS's origin."""
    col, row = grid.pixel_at(0.0, 0.0)
    return int(np.floor(col + 0.5)), int(np.floor(row + 0.5))


def _low(numbers: np.ndarray) -> np.ndarray:
    return numbers.astype(np.uint32)  # modulo 2 ** 32, negative ones too


def _mix(values: np.ndarray) -> np.ndarray:
    """Scramble uint32 so that each bit in reaches each bit out (xor, shift, multiply)."""
    h = np.array(values, np.uint32)
    h ^= h >> np.uint32(16)
    h *= np.uint32(0x7FEB352D)
    h ^= h >> np.uint32(15)
    h *= np.uint32(0x846CA68B)
    h ^= h >> np.uint32(16)
    return h
