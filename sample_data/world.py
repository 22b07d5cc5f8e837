"""A seeded world: vectors and pictures of any place in it, at any resolution."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from rs_gen.errors import SettingError, UnknownNameError
from rs_gen.raster.grid import Grid
from sample_data.block import SIDE, Block
from sample_data.features import Bounds, Land
from sample_data.kinds import CLASSES, INDEX, KINDS
from sample_data.options import Options
from sample_data.sar import sar
from sample_data.satellite import satellite
from sample_data.webmap import webmap

if TYPE_CHECKING:
    import geopandas

CRS = "EPSG:32633"
LOOKS = {
    "satellite": satellite,
    "map": lambda block, options: webmap(block),
    "sar": sar,
    "classes": lambda block, options: block.classes(),
}


class World:
    """An endless land in metres, the same for the same seed.

    Everything at a place depends on the seed and the place alone; what is drawn depends on the
    resolution too. A window drawn alone equals the same pixels of a larger drawing, exactly.

    Args:
        seed: Chooses the world; any int from 0.
        crs: Coordinate reference system of what is drawn, in metres.
    """

    def __init__(self, seed: int = 0, crs: Any = CRS):
        if seed < 0:
            raise SettingError(f"seed={seed} must be 0 or more")
        self.seed, self.crs = int(seed), crs
        self.land = Land(int(seed))
        self._drawn = lru_cache(maxsize=6)(self._draw_block)

    def draw(
        self,
        place: Grid | Bounds,
        looks: Sequence[str] = ("satellite", "map", "sar", "classes"),
        *,
        resolution: float = 1.0,
        **options: Any,
    ) -> dict[str, np.ndarray]:
        """Pictures of a place, all on one grid.

        Args:
            place: A north-up grid with square pixels, or (left, bottom, right, top) in metres.
            looks: Of "satellite" (uint16, reflectance x 10,000, nodata 0), "map" (uint8 red,
                green, blue), "sar" (float32 dB, nodata NaN) and "classes" (uint8, the keys of
                ``kinds.CLASSES``).
            resolution: Side of a pixel in metres, when ``place`` is bounds.
            options: Fields of ``Options``: season, clouds, haze, noise, bands, ...

        Returns:
            look to (C, H, W) array.

        Raises:
            SettingError: The grid is turned, its pixels are not square, or an option can't work.
            UnknownNameError: A look, season or polarisation that does not exist.
        """
        for look in looks:
            if look not in LOOKS:
                raise UnknownNameError("look", look, LOOKS)
        chosen, grid = Options(**options), self.grid(place, resolution)
        drawn: dict[str, np.ndarray] = {}
        for index, target, source in _blocks(grid):
            pictures = self._drawn(index, tuple(looks), chosen)
            for look, picture in pictures.items():
                if look not in drawn:
                    drawn[look] = np.empty((len(picture), *grid.shape), picture.dtype)
                drawn[look][:, *target] = picture[:, *source]
        return drawn

    def vectors(self, bounds: Bounds) -> geopandas.GeoDataFrame:
        """Features that meet (left, bottom, right, top) in metres, in painting order.

        Returns:
            Columns class, kind, layer (0 is painted first), width of roads and height of buildings
            in metres (NaN elsewhere), geometry: lines for roads, else polygons. They overlap as
            they are painted: a field goes on below the wood that hides a part of it.
        """
        import geopandas

        found = self.land.features(bounds)
        kinds = [KINDS[k] for k in found.kind]
        geometry = np.where(found.line == None, found.shape, found.line)  # noqa: E711 - elementwise
        table = geopandas.GeoDataFrame(
            {
                "class": [CLASSES[kind.label][0] for kind in kinds],
                "kind": [kind.name for kind in kinds],
                "layer": [kind.layer for kind in kinds],
                "width": [kind.width or np.nan for kind in kinds],
                "height": np.where(found.number[:, 2] > 0, found.number[:, 2], np.nan),
            },
            geometry=geometry,
            crs=self.crs,
        )
        meets = shapely.intersects(geometry, shapely.box(*bounds))
        return table[meets & (found.kind != INDEX["median"])].reset_index(drop=True)

    def grid(self, place: Grid | Bounds, resolution: float = 1.0) -> Grid:
        """The north-up grid of a place; bounds are met by whole pixels from the upper left."""
        from affine import Affine

        if isinstance(place, Grid):
            t = place.transform
            if t.b or t.d or t.e >= 0 or t.a <= 0 or abs(t.a + t.e) > 1e-9 * t.a:
                raise SettingError(
                    f"the transform {tuple(t)[:6]} is turned, south-up or not square; draw a "
                    "north-up grid with square pixels and warp it"
                )
            return place
        left, bottom, right, top = place
        if not (left < right and bottom < top and resolution > 0):
            raise SettingError(
                f"bounds={tuple(place)} at resolution={resolution} hold no pixel; give (left, "
                "bottom, right, top) in metres"
            )
        shape = (
            max(1, round((top - bottom) / resolution)),
            max(1, round((right - left) / resolution)),
        )
        return Grid(shape, Affine(resolution, 0, left, 0, -resolution, top), self.crs)

    def _draw_block(
        self, index: tuple, looks: tuple[str, ...], options: Options
    ) -> dict[str, np.ndarray]:
        block = Block(self.land, *index)
        return {look: LOOKS[look](block, options) for look in looks}


def _blocks(grid: Grid) -> Iterator[tuple[tuple, tuple[slice, slice], tuple[slice, slice]]]:
    """The blocks that a grid meets: their index, where they go, and which part of them."""
    size = grid.transform.a
    col, phase_x = _whole(grid.transform.c, size)
    row, phase_y = _whole(-grid.transform.f, size)
    height, width = grid.shape
    for j in range(row // SIDE, (row + height - 1) // SIDE + 1):
        for i in range(col // SIDE, (col + width - 1) // SIDE + 1):
            top, left = max(j * SIDE, row), max(i * SIDE, col)
            bottom = min((j + 1) * SIDE, row + height)
            right = min((i + 1) * SIDE, col + width)
            target = slice(top - row, bottom - row), slice(left - col, right - col)
            source = (
                slice(top - j * SIDE, bottom - j * SIDE),
                slice(left - i * SIDE, right - i * SIDE),
            )
            yield (size, (phase_x, -phase_y), i, j), target, source


def _whole(at: float, size: float) -> tuple[int, float]:
    """A position as whole pixels and a rest in metres, the same for all windows of a lattice."""
    index = int(np.floor(at / size + 1e-6))
    rest = round(at - index * size, 6)
    return index, 0.0 if abs(rest) < 1e-5 * size else rest
