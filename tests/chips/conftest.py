"""Rasters and datasets made for these tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from affine import Affine

from rs_gen.raster.grid import Grid
from rs_gen.raster.writer import geotiff

UTM = Affine(10, 0, 500000, 0, -10, 5000000)


@pytest.fixture
def raster(tmp_path: Path) -> Callable[..., Path]:
    """A function that writes a raster and gives its path; its pixels are drawn with a seed."""

    def write(
        name: str = "source.tif",
        shape: tuple[int, int] = (128, 160),
        *,
        count: int = 1,
        dtype: str = "uint16",
        transform: Affine = UTM,
        crs: str | None = "EPSG:32633",
        nodata: float | None = None,
        pixels: np.ndarray | None = None,
        **options: object,
    ) -> Path:
        if pixels is None:
            pixels = np.random.default_rng(0).integers(1, 200, (count, *shape)).astype(dtype)
        grid = Grid(pixels.shape[1:], transform, crs)
        path = tmp_path / name
        with geotiff(
            path, grid, count=len(pixels), dtype=str(pixels.dtype), nodata=nodata, **options
        ) as out:
            out.write(pixels)
        return path

    return write


@pytest.fixture
def empty_files(tmp_path: Path) -> Callable[..., Path]:
    """A function that makes empty files below a folder and gives the folder."""

    def make(*names: str, root: str = "data") -> Path:
        folder = tmp_path / root
        for name in names:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return folder

    return make
