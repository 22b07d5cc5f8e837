from __future__ import annotations

import numpy as np
import pytest
import shapely
from affine import Affine
from pyproj import Transformer
from rasterio.crs import CRS
from shapely.geometry import box

from rs_gen.chips.places import common_crs, moved, outline
from rs_gen.raster.grid import Grid


def _grid(epsg: int, x: float, y: float, step: float = 10) -> Grid:
    return Grid((100, 100), Affine(step, 0, x, 0, -step, y), f"EPSG:{epsg}")


def test_rasters_of_one_crs_are_compared_in_it():
    assert common_crs([_grid(32633, 5e5, 5e6)] * 2) == CRS.from_epsg(32633)
    assert common_crs([Grid((2, 2), Affine.identity())]) is None


def test_the_same_ground_in_two_zones_coincides_in_the_common_crs():
    grids = []
    for epsg in (32632, 32633):
        x, y = Transformer.from_crs(4326, epsg, always_xy=True).transform(12.0, 45.0)
        grids.append(_grid(epsg, x - 500, y + 500))
    crs = common_crs(grids)
    a, b = (outline(g, crs) for g in grids)
    assert a.area == pytest.approx(1e6, rel=2e-3)
    assert a.centroid.distance(b.centroid) < 0.1
    assert a.intersection(b).area > 0.9e6  # the zones' norths are turned against each other


def test_neighbours_across_the_date_line_are_neighbours():
    west = Grid((100, 100), Affine(0.01, 0, 179, 0, -0.01, 1), "EPSG:4326")
    east = Grid((100, 100), Affine(1000, 0, -20037508, 0, -1000, 110000), "EPSG:3857")
    crs = common_crs([west, east])
    assert outline(west, crs).distance(outline(east, crs)) < 2000


def test_a_polygon_without_coordinates_there_becomes_empty():
    grid = Grid((1, 1), Affine.identity(), "EPSG:4326")
    polygons = np.array([box(10, 10, 11, 11), box(10, 200, 11, 201)])
    assert shapely.is_empty(moved(polygons, grid, CRS.from_epsg(3857))).tolist() == [False, True]
