"""Footprints in one common CRS, so that rasters of different CRSs can be compared on the ground."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from rasterio.crs import CRS
from shapely.geometry import Polygon

from ..raster.grid import Grid

if TYPE_CHECKING:
    from ..raster.pixels import Array

_LONLAT = "EPSG:4326"
_PIECES = 16  # into which each edge of a raster is cut, so that it may bend


def common_crs(grids: Sequence[Grid]) -> Any:
    """A CRS in which all these rasters can be laid beside each other; None where none has one.

    The one they share; or else an equal-area plane, in metres, touching the ground in their
    middle, which has no trouble at zone borders, poles or the date line.
    """
    known = [grid for grid in grids if grid.crs is not None]
    if not known:
        return None
    if all(grid.crs == known[0].crs for grid in known):
        return known[0].crs
    lon, lat = _middle(known)
    text = f"+proj=laea +lat_0={lat:.4f} +lon_0={lon:.4f} +datum=WGS84 +units=m +no_defs"
    return Grid((1, 1), known[0].transform, text).crs


def moved(polygons: Array, grid: Grid, crs: Any) -> Array:
    """Polygons in the CRS of ``grid``, in ``crs``: corners move, edges stay straight.

    A polygon that reaches where ``crs`` has no coordinates becomes empty.
    """
    if grid.crs is None or grid.crs == crs:
        return polygons
    points = shapely.get_coordinates(polygons)
    there = _reprojected(points, grid.crs, crs)
    lost = np.zeros(len(polygons), bool)
    broken = ~np.isfinite(there).all(axis=1)
    if broken.any():
        lost[np.repeat(np.arange(len(polygons)), shapely.get_num_coordinates(polygons))[broken]] = 1
        there[broken] = 0
    result: Array = shapely.set_coordinates(polygons.copy(), there)
    result[lost] = Polygon()
    return result


def outline(grid: Grid, crs: Any) -> Polygon:
    """The footprint of a raster in ``crs``, its edges cut into pieces so that they may bend."""
    ring = grid.polygon.segmentize(grid.polygon.length / (4 * _PIECES))
    polygon: Polygon = moved(np.array([ring], dtype=object), grid, crs)[0]
    return polygon if polygon.is_valid else polygon.buffer(0)


def _reprojected(points: Array, crs: Any, wanted: Any) -> Array:
    """(N, 2) points in another CRS; infinite where it has no coordinates for them."""
    import pyproj

    here, there = (
        pyproj.CRS.from_user_input(c.to_wkt() if isinstance(c, CRS) else c) for c in (crs, wanted)
    )
    mover = pyproj.Transformer.from_crs(here, there, always_xy=True)
    return np.column_stack(mover.transform(points[:, 0], points[:, 1]))


def _middle(grids: Sequence[Grid]) -> tuple[float, float]:
    """(longitude, latitude) of the middle of all rasters, taken on the sphere."""
    total = np.zeros(3)
    for grid in grids:
        (lon, lat), *_ = _reprojected(np.array(grid.polygon.centroid.coords), grid.crs, _LONLAT)
        if math.isfinite(lon) and math.isfinite(lat):
            lam, phi = math.radians(lon), math.radians(lat)
            total += math.cos(phi) * math.cos(lam), math.cos(phi) * math.sin(lam), math.sin(phi)
    x, y, z = total
    return math.degrees(math.atan2(y, x)), math.degrees(math.atan2(z, math.hypot(x, y)))
