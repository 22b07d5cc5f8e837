from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import settings

from rs_gen.raster.grid import Grid

settings.register_profile("unhurried", deadline=None)  # a busy machine is no failure
settings.load_profile("unhurried")

NORTH_UP = Affine(10, 0, 500000, 0, -10, 5000000)


@pytest.fixture
def grid() -> Grid:
    return Grid((40, 50), NORTH_UP, "EPSG:32633")


@pytest.fixture
def pixels() -> Callable[..., np.ndarray]:
    """Makes (count, 40, 50) random values of a dtype; integers from 1 to 120."""

    def made(count: int = 3, dtype: str = "uint8", seed: int = 0) -> np.ndarray:
        random = np.random.default_rng(seed)
        if np.dtype(dtype).kind == "f":
            return random.normal(0, 10, (count, 40, 50)).astype(dtype)
        return random.integers(1, 121, (count, 40, 50)).astype(dtype)

    return made


@pytest.fixture
def stored(tmp_path: Path, grid: Grid) -> Callable[..., Path]:
    """Writes pixels with rasterio itself, so that readers are not tested by our own writer."""

    def written(values: np.ndarray, name: str = "scene.tif", **profile: object) -> Path:
        mask = profile.pop("mask", None)
        options = {
            "driver": "GTiff", "count": len(values), "height": values.shape[1],
            "width": values.shape[2], "dtype": values.dtype.name, "crs": grid.crs,
            "transform": grid.transform, "photometric": "MINISBLACK", "ALPHA": "NO",
        }  # fmt: skip
        options.update(profile)
        colors = options.pop("colors", None)
        internal = options.pop("internal", True)
        with (
            rasterio.Env(GDAL_TIFF_INTERNAL_MASK=internal),
            rasterio.open(tmp_path / name, "w", **options) as dataset,
        ):
            if colors:
                dataset.colorinterp = [rasterio.enums.ColorInterp[c] for c in colors]
            dataset.write(values)
            if mask is not None:
                dataset.write_mask(mask)
        return tmp_path / name

    return written
