"""Where each pixel of a raster lies on the ground. A value: it opens nothing and never changes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from affine import Affine
from rasterio._err import CPLE_BaseError
from rasterio.crs import CRS
from rasterio.errors import CRSError, RasterioError
from rasterio.warp import transform as reproject_points
from rasterio.windows import Window
from shapely.geometry import Polygon

from ..errors import SettingError

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

#: What rasterio raises when GDAL or PROJ can't do a thing; the last has no public name.
GDAL_ERRORS = (RasterioError, CRSError, CPLE_BaseError)

_NOMINAL = 0.01  # a projection that stretches less than this keeps the length written in its file
_WGS84_RADIUS, _WGS84_E2 = 6378137.0, 0.00669437999014


@dataclass(frozen=True)
class Grid:
    """A raster's shape and place.

    Attributes:
        shape: (height, width) in pixels.
        transform: Maps (column, row) of a pixel's upper-left corner to CRS coordinates. It may be
            rotated or south-up.
        crs: Coordinate reference system, in whose unit lengths are; anything that rasterio
            understands ("EPSG:32633"). None for a plain image.

    Raises:
        SettingError: The shape is empty, or the transform puts all pixels on one line.
    """

    shape: tuple[int, int]
    transform: Affine
    crs: CRS | None = None

    def __post_init__(self) -> None:
        height, width = (int(n) for n in self.shape)
        if height < 1 or width < 1:
            raise SettingError(f"a grid of {height} x {width} px is empty")
        if self.transform.determinant == 0:
            raise SettingError(f"the transform {tuple(self.transform)[:6]} gives pixels no area")
        object.__setattr__(self, "shape", (height, width))
        if self.crs is not None and not isinstance(self.crs, CRS):
            object.__setattr__(self, "crs", CRS.from_user_input(self.crs))

    @classmethod
    def of(cls, dataset: DatasetReader) -> Grid:
        """The grid of an open rasterio dataset."""
        return cls(dataset.shape, dataset.transform, dataset.crs or None)

    @property
    def resolution(self) -> tuple[float, float]:
        """Size of a pixel along (x, y) of the grid, in CRS units, both positive."""
        t = self.transform
        return math.hypot(t.a, t.d), math.hypot(t.b, t.e)

    @property
    def ground_resolution(self) -> float:
        """Side of a square as large as the pixel in the middle, in metres; NaN without a CRS.

        Degrees are converted, and so are projections whose metre is not a metre on the ground
        (Web Mercator). Where a projection stretches by less than 1 %, as UTM does, the nominal
        length counts: 10 m stay 10 m.
        """
        x, y = self.resolution
        if self.crs is None:
            return math.nan
        nominal = math.sqrt(x * y) * self.crs.linear_units_factor[1] if self._is_projected else 0.0
        measured = self._measured_resolution()
        if math.isnan(measured) or abs(measured - nominal) < _NOMINAL * nominal:
            return nominal or math.nan
        return measured

    @property
    def window(self) -> Window:
        """The whole grid as a window."""
        height, width = self.shape
        return Window(0, 0, width, height)

    def at(self, col: float, row: float) -> tuple[float, float]:
        """(x, y) in CRS units of a place in pixel space; (0, 0) is the first pixel's corner."""
        t = self.transform
        return t.a * col + t.b * row + t.c, t.d * col + t.e * row + t.f

    def pixel_at(self, x: float, y: float) -> tuple[float, float]:
        """(col, row), with fractions, of a place in CRS units: the inverse of :meth:`at`."""
        t = ~self.transform
        return t.a * x + t.b * y + t.c, t.d * x + t.e * y + t.f

    @property
    def corners(self) -> list[tuple[float, float]]:
        """(x, y) of the four true corners, in order round the raster."""
        height, width = self.shape
        return [self.at(*c) for c in ((0, 0), (width, 0), (width, height), (0, height))]

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """(left, bottom, right, top) in CRS units, whichever way the raster is turned."""
        xs, ys = zip(*self.corners, strict=True)
        return min(xs), min(ys), max(xs), max(ys)

    @property
    def polygon(self) -> Polygon:
        """The footprint in CRS units, by its true corners."""
        return Polygon(self.corners)

    def crop(self, window: Window) -> Grid:
        """The same pixels over a smaller (or larger) extent.

        >>> Grid((8, 8), Affine.scale(10, -10)).crop(Window(2, 1, 4, 3)).shape
        (3, 4)
        """
        row, col, height, width = whole(window)
        (x, y), t = self.at(col, row), self.transform
        return Grid((height, width), Affine(t.a, t.b, x, t.d, t.e, y), self.crs)

    def zoom(self, factor: float) -> Grid:
        """The same extent with pixels ``factor`` times smaller, as super-resolution needs."""
        height, width = (max(1, round(n * factor)) for n in self.shape)
        x, y, t = self.shape[1] / width, self.shape[0] / height, self.transform
        moved = Affine(t.a * x, t.b * y, t.c, t.d * x, t.e * y, t.f)
        return Grid((height, width), moved, self.crs)

    def snap(self, window: Window, phase: int) -> Window:
        """``window`` grown outward to multiples of ``phase`` pixels, counted from the origin.

        It may reach past the raster, to the left of 0 too.
        """
        if phase < 1:
            raise SettingError(f"phase={phase} must be at least 1")
        row, col, height, width = whole(window)
        top, left = row // phase * phase, col // phase * phase
        bottom, right = -(-(row + height) // phase) * phase, -(-(col + width) // phase) * phase
        return Window(left, top, right - left, bottom - top)

    def matches(self, other: Grid, tolerance: float = 1e-3) -> bool:
        """Whether both grids have the same pixels, to ``tolerance`` of a pixel at the corners."""
        if self.shape != other.shape or self.crs != other.crs:
            return False
        return all(
            math.dist(self.pixel_at(*mine), self.pixel_at(*theirs)) <= tolerance
            for mine, theirs in zip(self.corners, other.corners, strict=True)
        )

    def __repr__(self) -> str:
        (h, w), (x, y) = self.shape, self.resolution
        return f"Grid({h}x{w}px at {x:g}x{y:g}, {self.crs or 'no CRS'})"

    @property
    def _is_projected(self) -> bool:
        return bool(self.crs is not None and self.crs.is_projected)

    def _measured_resolution(self) -> float:
        """Square root of the middle pixel's area on the WGS 84 ellipsoid, in metres."""
        height, width = self.shape
        steps = [(width / 2, height / 2), (width / 2 + 1, height / 2), (width / 2, height / 2 + 1)]
        xs, ys = zip(*(self.at(*s) for s in steps), strict=True)
        try:
            lons, lats = reproject_points(self.crs, CRS.from_epsg(4326), xs, ys)
        except GDAL_ERRORS:  # an engineering CRS has no place on the globe
            return math.nan
        if not all(map(math.isfinite, (*lons, *lats))):
            return math.nan
        sin2 = math.sin(math.radians(lats[0])) ** 2
        prime = _WGS84_RADIUS / math.sqrt(1 - _WGS84_E2 * sin2)
        meridian = prime * (1 - _WGS84_E2) / (1 - _WGS84_E2 * sin2)
        east = [math.radians((lon - lons[0] + 180) % 360 - 180) for lon in lons[1:]]
        north = [math.radians(lat - lats[0]) for lat in lats[1:]]
        area = abs(east[0] * north[1] - east[1] * north[0])
        return math.sqrt(area * prime * math.cos(math.radians(lats[0])) * meridian)


def whole(window: Window) -> tuple[int, int, int, int]:
    """(row, col, height, width) of a window in whole pixels.

    Raises:
        SettingError: The window cuts pixels, or is empty.
    """
    parts: list[Any] = [window.row_off, window.col_off, window.height, window.width]
    row, col, height, width = (round(p) for p in parts)
    if max(abs(r - p) for r, p in zip((row, col, height, width), parts, strict=True)) > 1e-6:
        raise SettingError(f"{window} cuts pixels; round it to whole ones first")
    if height < 1 or width < 1:
        raise SettingError(f"{window} is empty")
    return row, col, height, width


def clip(window: Window, shape: tuple[int, int]) -> Window | None:
    """The part of ``window`` inside a raster of this shape; None when there is none."""
    row, col, height, width = whole(window)
    top, left = max(row, 0), max(col, 0)
    bottom, right = min(row + height, shape[0]), min(col + width, shape[1])
    if bottom <= top or right <= left:
        return None
    return Window(left, top, right - left, bottom - top)
