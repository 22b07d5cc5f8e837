"""How much of a raster GDAL may keep in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import rasterio

from ..errors import SettingError


@contextmanager
def block_cache(megabytes: int = 64) -> Iterator[None]:
    """Hold GDAL's cache of blocks, read and written, to a size; for all threads.

    GDAL's own limit is a share of the machine's memory (5 %), so a job's memory would seem to
    grow with its rasters until that is full. A tile with its halo needs some dozen megabytes.

    Args:
        megabytes: At least 16.

    Raises:
        SettingError: Fewer than 16 megabytes.
    """
    if megabytes < 16:
        raise SettingError(f"megabytes={megabytes} is too little to work with; give 16 or more")
    with rasterio.Env(GDAL_CACHEMAX=megabytes * 2**20):  # rasterio hands on bytes, not megabytes
        yield
