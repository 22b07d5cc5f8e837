"""A seeded world: vectors and pictures of any place in it, at any resolution."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from rasterio.windows import Window

from rs_gen.errors import SettingError, UnknownNameError
from rs_gen.raster.grid import Grid
from sample_data.block import Block, side
from sample_data.features import Bounds, Features
from sample_data.kinds import CLASSES, INDEX, KINDS
from sample_data.land import Land
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
        return self._table(self.land.features(bounds), bounds)

    def vector_parts(self, bounds: Bounds, faces: int = 40) -> Iterator[geopandas.GeoDataFrame]:
        """The rows of ``vectors`` a few ``faces`` at a time, each row once: for large places."""
        parts = self.land.parts(bounds)
        while some := list(islice(parts, faces)):
            yield self._table(Features.join(some), bounds)

    def _table(self, found: Features, bounds: Bounds) -> geopandas.GeoDataFrame:
        import geopandas

        kinds = [KINDS[k] for k in found.kind]
        geometry = np.where(found.line == None, found.shape, found.line)  # noqa: E711 - elementwise
        columns = {
            "class": [CLASSES[kind.label][0] for kind in kinds],
            "kind": [kind.name for kind in kinds],
            "layer": [kind.layer for kind in kinds],
            "width": [kind.width or np.nan for kind in kinds],
            "height": np.where(found.number[:, 2] > 0, found.number[:, 2], np.nan),
        }
        table = geopandas.GeoDataFrame(columns, geometry=geometry, crs=self.crs)
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

    def windows(self, grid: Grid, blocks: int = 2) -> list[Window]:
        """Windows that cover a grid once and cut no block in two, but for those at its edges.

        Drawing a grid by these costs least. Each has a side of at most ``blocks`` blocks.
        """
        size, (height, width) = grid.transform.a, grid.shape
        step = blocks * side(size)
        rows = _steps(_whole(-grid.transform.f, size)[0], height, step)
        cols = _steps(_whole(grid.transform.c, size)[0], width, step)
        return [
            Window(left, top, right - left, bottom - top)
            for top, bottom in pairwise(rows)
            for left, right in pairwise(cols)
        ]

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
    length = side(size)
    (first_row, last_row), (first_col, last_col) = (
        (first, first + count) for first, count in zip((row, col), grid.shape, strict=True)
    )
    for j in range(first_row // length, (last_row - 1) // length + 1):
        for i in range(first_col // length, (last_col - 1) // length + 1):
            rows = _shared(j * length, length, first_row, last_row)
            cols = _shared(i * length, length, first_col, last_col)
            index = (size, (phase_x, -phase_y), i, j)
            yield index, (rows[0], cols[0]), (rows[1], cols[1])


def _shared(start: int, length: int, first: int, last: int) -> tuple[slice, slice]:
    """What a block's side shares with ``first`` to ``last``: there, and inside the block."""
    low, high = max(start, first), min(start + length, last)
    return slice(low - first, high - first), slice(low - start, high - start)


def _steps(first: int, length: int, step: int) -> list[int]:
    """0, the multiples of ``step`` between, and ``length``, when indices begin at ``first``."""
    after = first // step * step + step
    return [0, *(n - first for n in range(after, first + length, step)), length]


def _whole(at: float, size: float) -> tuple[int, float]:
    """A position as whole pixels and a rest in metres, the same for all windows of a lattice."""
    index = int(np.floor(at / size + 1e-6))
    rest = round(at - index * size, 6)
    return index, 0.0 if abs(rest) < 1e-5 * size else rest
