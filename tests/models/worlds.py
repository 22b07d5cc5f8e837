"""Small worlds of chips, drawn for a test."""

from __future__ import annotations

import numpy as np
from affine import Affine

from rs_gen.raster.grid import Grid
from rs_gen.raster.writer import geotiff

CRS = "EPSG:32633"


def grid(height, width, col=0):
    return Grid((height, width), Affine(10, 0, 5e5 + 10 * col, 0, -10, 5e6), _crs())


def _crs():
    from rasterio.crs import CRS as Crs

    return Crs.from_string(CRS)


def blocks(dice, bands, height, width, low, high):
    """Coloured blocks, so that there is something to learn and to compare."""
    coarse = dice.uniform(low, high, (bands, height // 8, width // 8))
    return np.kron(coarse, np.ones((8, 8)))


def write(path, pixels, at, nodata=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    with geotiff(path, at, count=len(pixels), dtype=str(pixels.dtype), nodata=nodata) as writer:
        writer.write(pixels)


def chips(folder, count=8, size=32, bands=(2, 3), seed=0):
    """Pairs under train_a, train_b: uint16 with nodata 0, and uint8 that is its inverse."""
    dice = np.random.default_rng(seed)
    for i in range(count):
        a = blocks(dice, bands[0], size, size, 200, 4000).astype("uint16")
        b = np.resize(255 - a / 16, (bands[1], size, size)).astype("uint8")
        write(folder / "train_a" / f"{i:03d}.tif", a, grid(size, size, i * size), nodata=0)
        write(folder / "train_b" / f"{i:03d}.tif", b, grid(size, size, i * size))
    return folder


def scene(path, height=88, width=104, bands=2):
    """A raster with a wedge of nodata."""
    dice = np.random.default_rng(9)
    pixels = blocks(dice, bands, height, width, 200, 4000).astype("uint16")
    pixels[:, :20, :30] = 0
    write(path, pixels, grid(height, width), nodata=0)
    return path
