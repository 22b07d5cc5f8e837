"""Scores of many places at once: polygons of a file, or the cells of a regular grid."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from rasterio.windows import Window

from ..raster.grid import Grid, clip
from ..raster.vector import attributes, rasterize, write_gpkg
from .agreement import SUMS, Scale, values_of

FIELDS = {
    "PSNR of all pixels": "psnr", "SSIM": "ssim", "L1": "l1", "RMSE": "rmse",
    "within 5 of 256 levels": "within_5", "within 10 of 256 levels": "within_10",
    "spectral angle": "spectral_angle",
}  # fmt: skip


class Places(Protocol):
    """Places that are scored one by one."""

    def add(self, window: Window, planes: np.ndarray) -> None:
        """Add a block's pixels, (9, H, W) of ``SUMS``."""

    def rows(self) -> list[tuple[dict[str, Any], np.ndarray]]:
        """Each place's fields, with its geometry, and its sums."""


class Areas:
    """The polygons of a vector file.

    Args:
        path: In any CRS.
        grid: Of the raster that is scored.

    Raises:
        AreaError: As for ``raster.vector.read_area``.
    """

    def __init__(self, path: str | Path, grid: Grid):
        self.grid = grid
        self.fields = attributes(path, grid.crs)
        self.sums = np.zeros((len(self.fields), len(SUMS)))

    def add(self, window: Window, planes: np.ndarray) -> None:
        """Add a block's pixels to the polygons that their middles lie in."""
        part = self.grid.crop(window)
        outline = part.polygon
        for i, fields in enumerate(self.fields):
            if fields["geometry"].intersects(outline):
                inside = rasterize(fields["geometry"], part)
                self.sums[i] += planes[:, inside].sum(1)

    def rows(self) -> list[tuple[dict[str, Any], np.ndarray]]:
        """Each polygon, also one without a measured pixel."""
        return list(zip(self.fields, self.sums, strict=True))


class Cells:
    """The cells of a regular grid.

    Args:
        side: Of a cell, in pixels.
        grid: Of the raster that is scored.
    """

    def __init__(self, side: int, grid: Grid):
        self.side, self.grid = side, grid
        self.shape = tuple(-(-n // side) for n in grid.shape)
        self.sums = np.zeros((len(SUMS), self.shape[0] * self.shape[1]))

    def add(self, window: Window, planes: np.ndarray) -> None:
        """Add a block's pixels to their cells."""
        rows = (np.arange(planes.shape[1]) + window.row_off) // self.side
        cols = (np.arange(planes.shape[2]) + window.col_off) // self.side
        cells = (rows[:, None] * self.shape[1] + cols[None]).ravel()
        for i, plane in enumerate(planes):
            self.sums[i] += np.bincount(cells, plane.ravel(), self.sums.shape[1])

    def rows(self) -> list[tuple[dict[str, Any], np.ndarray]]:
        """Each cell with a measured pixel."""
        found = []
        for i in np.flatnonzero(self.sums[0]):
            row, col = divmod(int(i), self.shape[1])
            window = Window(col * self.side, row * self.side, self.side, self.side)
            part = clip(window, self.grid.shape)
            assert part is not None
            held = {"row": row, "col": col, "geometry": self.grid.crop(part).polygon}
            found.append((held, self.sums[:, i]))
        return found


def write_scores(
    path: str | Path, layers: Mapping[str, Places | None], scale: Scale, crs: Any
) -> dict[str, Any]:
    """Write each layer with a field a score; where they are and how many places they hold.

    Raises:
        SettingError: The name does not end in .gpkg.
        AreaError: A layer can't be written.
    """
    told: dict[str, Any] = {"path": str(path)}
    for name, places in layers.items():
        if places is None:
            continue
        records = [
            {**_without_scores(fields), **_scores(sums, scale), "geometry": fields["geometry"]}
            for fields, sums in places.rows()
        ]
        write_gpkg(path, name, records, crs)
        told[name] = len(records)
    return told


def _scores(sums: np.ndarray, scale: Scale) -> dict[str, Any]:
    values = {FIELDS[name]: value for name, value in values_of(sums, scale).items()}
    known = {name: v if np.isfinite(v) else None for name, v in values.items()}
    return {"n": int(sums[0]), **known}


def _without_scores(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that a polygon came with, unless a score has the same name."""
    taken = {"n", "geometry", "fid", *FIELDS.values()}
    return {name: value for name, value in fields.items() if name.lower() not in taken}
