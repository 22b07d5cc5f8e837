"""How windows of stored values are read, with a mask where nothing was measured."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from rasterio.windows import Window

from ..errors import RasterError, SettingError, UnknownNameError
from .grid import GDAL_ERRORS, Grid, clip, whole
from .opening import opened, warped
from .pixels import equals, holds, is_integer

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

    from .pixels import Array, Mask, Pixels


class Reader(Protocol):
    """Anything that windows of pixels can be read from.

    Attributes:
        grid: Where the pixels lie.
        count: Number of bands, alpha not counted.
        dtype: Name of the stored dtype.
        nodata: Stored value that means "no measurement", if the raster has one for all bands.
        names: Name of each band.
    """

    grid: Grid
    count: int
    dtype: str
    nodata: float | None
    names: tuple[str, ...]

    def read(self, window: Window) -> Pixels:
        """(C, H, W) of the window's own size, masked where there is no measurement.

        A window may reach past the raster; the part outside comes back masked. The mask is always
        a full array.
        """
        ...


class RasterReader:
    """Windows of a raster on disk: GeoTIFF, COG, VRT, JPEG 2000, or what else GDAL reads.

    A pixel is masked if any source says so: the band's nodata value, the dataset's mask (inside
    the file or a .msk beside it), an alpha band at 0, or a float that is not finite. Alpha is no
    band. A band with a colour table gives red, green and blue, unless ``palette="ids"``.
    Stored values come as they are: scale and offset in the file are not applied.

    A fourth band that is no alpha but is labelled so (many 8-bit infrared images are) becomes a
    band again by ``rio edit-info --colorinterp red,green,blue,undefined FILE``.

    Open one reader per thread; close it, or use it in a ``with``.

    Args:
        path: The raster.
        bands: Which to read, and in which order: indices from 0, or names as in ``names``.
        palette: "rgb" or "ids".
        georeferenced: Refuse a raster that has no CRS.

    Attributes:
        path: Of the file.
        has_mask: Whether any pixel could be masked.
        colors: Colour interpretation of each band ("red", "gray", "undefined", ...).
        colormap: id to (red, green, blue, alpha), if the raster is read as ids of a colour table.
        tags: The dataset's metadata.
        block: (height, width) of the blocks in which the file is stored, in pixels.

    Raises:
        RasterError: The file is missing, is no raster, is complex, or is placed by ground control
            points or RPCs only; the text gives the command that helps.
        UnknownNameError: No band has that name.
        SettingError: No band has that index.
    """

    def __init__(
        self,
        path: str | Path,
        bands: Sequence[int | str] | None = None,
        *,
        palette: str = "rgb",
        georeferenced: bool = False,
    ) -> None:
        if palette not in ("rgb", "ids"):
            raise SettingError(f"palette={palette!r} must be 'rgb' or 'ids'")
        self.path = Path(path)
        self._stack = ExitStack()
        try:
            dataset = self._stack.enter_context(opened(path, georeferenced))
            self._describe(dataset, palette)
            self._choose(bands)
        except BaseException:
            self._stack.close()
            raise

    @classmethod
    def aligned(
        cls,
        path: str | Path,
        grid: Grid,
        resampling: str = "bilinear",
        bands: Sequence[int | str] | None = None,
        *,
        palette: str = "rgb",
    ) -> RasterReader:
        """The raster as it looks on another grid, warped window by window.

        Pixels that the raster does not reach are masked, and no measured pixel becomes nodata. A
        raster that is on the grid already is read as it is. Colour tables are always taken from
        the nearest pixel, since ids can't be averaged.

        Args:
            path: The raster.
            grid: Where its pixels should lie.
            resampling: A method of rasterio's ("nearest", "bilinear", "cubic", "average", ...).
            bands: As for the class.
            palette: As for the class.

        Raises:
            RasterError: As for the class; or one of the two has no CRS.
            GridMismatchError: The raster and the grid do not overlap.
            SettingError: No such resampling method.
        """
        reader = cls(path, bands, palette=palette)
        try:
            method = "nearest" if reader._table is not None else resampling
            reader._dataset = reader._stack.enter_context(
                warped(reader._dataset, path, reader.grid, grid, method)
            )
            reader._look_for_masks()
            reader.grid = Grid.of(reader._dataset)
        except BaseException:
            reader.close()
            raise
        return reader

    def read(self, window: Window) -> Pixels:
        """As :meth:`Reader.read` promises."""
        row, col, height, width = whole(window)
        part = clip(window, self.grid.shape)
        if part is not None and (part.height, part.width) == (height, width):
            return self._masked(*self._read(part))
        pixels = np.zeros((self.count, height, width), self.dtype)
        mask = np.ones(pixels.shape, bool)
        if part is not None:
            top, left = part.row_off - row, part.col_off - col
            at = np.s_[:, top : top + part.height, left : left + part.width]
            pixels[at], mask[at] = self._read(part)
        return self._masked(pixels, mask)

    def close(self) -> None:
        """Close the file. Reading afterwards fails."""
        self._stack.close()

    def __enter__(self) -> RasterReader:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"RasterReader({self.path.name}, {self.count} x {self.dtype}, {self.grid})"

    # ---- opening -------------------------------------------------------------------------------

    def _describe(self, dataset: DatasetReader, palette: str) -> None:
        """Sort the file's bands into pictures and alpha, and note what the writer may want."""
        self._dataset, self.grid = dataset, Grid.of(dataset)
        self.tags: dict[str, str] = dict(dataset.tags())
        self.block: tuple[int, int] = dataset.block_shapes[0]
        colors = [c.name for c in dataset.colorinterp]
        self._bands = [i for i, c in enumerate(colors, start=1) if c != "alpha"]
        if not self._bands:
            raise RasterError(f"{self.path} has only an alpha band, so there is nothing to read")
        self.colors = tuple(colors[i - 1] for i in self._bands)
        self.names = _names(dataset, self._bands)
        self.colormap: dict[int, tuple[int, ...]] | None = None
        self._table: Array | None = None
        if self.colors == ("palette",):
            colormap = dataset.colormap(self._bands[0])
            if palette == "ids":
                self.colormap = colormap
            else:
                self._table = _table(colormap, dataset.dtypes[self._bands[0] - 1])
                self.names = self.colors = ("red", "green", "blue")
        self._order: list[int] = list(range(len(self.names)))

    def _choose(self, bands: Sequence[int | str] | None) -> None:
        """Keep the bands asked for, then find out what their pixels can be."""
        if bands is not None:
            self._order = [_index(b, self.names, self.path) for b in bands]
            if not self._order:
                raise SettingError(f"bands=[] leaves nothing of {self.path}")
        self.names = tuple(self.names[i] for i in self._order)
        self.colors = tuple(self.colors[i] for i in self._order)
        if self._table is None:
            self._bands = [self._bands[i] for i in self._order]
        self.count = len(self._order)
        stored = [self._dataset.dtypes[i - 1] for i in self._bands]
        self.dtype = "uint8" if self._table is not None else np.result_type(*stored).name
        self._look_for_masks()

    def _look_for_masks(self) -> None:
        """Which of the four sources of a mask this file has, band by band."""
        dataset = self._dataset  # which may be a warped one by now, with an alpha of its own
        self._alpha = [i for i, c in enumerate(dataset.colorinterp, start=1) if c.name == "alpha"]
        self._nodata: list[float | None] = []
        shared: list[int] = []  # places of bands under one mask
        apart: list[int] = []  # places of bands with a mask of their own
        for place, i in enumerate(self._bands):
            value, flags = (
                dataset.nodatavals[i - 1],
                {f.name for f in dataset.mask_flag_enums[i - 1]},
            )
            fits = value is not None and holds(dataset.dtypes[i - 1], value)
            self._nodata.append(value if fits else None)
            if flags not in ({"all_valid"}, {"nodata"}, {"per_dataset", "alpha"}, {"alpha"}):
                (shared if "per_dataset" in flags else apart).append(place)
        self._file_masks = [*([shared] if shared else []), *([place] for place in apart)]
        same = len({repr(v) for v in self._nodata}) == 1 and self._table is None
        self.nodata: float | None = self._nodata[0] if same else None
        self.has_mask: bool = (
            any(v is not None for v in self._nodata)
            or bool(self._file_masks or self._alpha)
            or not is_integer(self.dtype)
            or (self._table is not None and bool((self._table[3] == 0).any()))
        )

    # ---- reading -------------------------------------------------------------------------------

    def _read(self, part: Window) -> tuple[Array, Mask]:
        """Stored values and mask of a window that lies inside the raster."""
        try:
            pixels = self._stored(part)
            mask = np.zeros(pixels.shape, bool)
            for places in self._file_masks:
                mask[places] |= self._dataset.read_masks(self._bands[places[0]], window=part) == 0
            for i in self._alpha:
                mask |= self._dataset.read(i, window=part) == 0
        except GDAL_ERRORS as error:
            row, col, height, width = whole(part)
            raise RasterError(
                f"{self.path}: rows {row} to {row + height - 1}, columns {col} to "
                f"{col + width - 1} can't be read, so the file is damaged or cut short ({error})"
            ) from error
        for band, hidden, nodata in zip(pixels, mask, self._nodata, strict=True):
            if nodata is not None:
                hidden |= equals(band, nodata)
            if not is_integer(band.dtype):
                hidden |= ~np.isfinite(band)
        return self._coloured(pixels, mask) if self._table is not None else (pixels, mask)

    def _stored(self, part: Window) -> Array:
        """(C, H, W), or (1, H, W) ids of a colour table."""
        if len({self._dataset.dtypes[i - 1] for i in self._bands}) == 1:
            pixels: Array = self._dataset.read(self._bands, window=part)
            return pixels
        bands = (self._dataset.read(i, window=part, out_dtype=self.dtype) for i in self._bands)
        return np.stack(list(bands))

    def _coloured(self, ids: Array, mask: Mask) -> tuple[Array, Mask]:
        """(1, H, W) ids as the colours that their table gives them."""
        assert self._table is not None
        shown = self._table[:, np.minimum(ids[0], self._table.shape[1] - 1)]
        hidden = mask[0] | (shown[3] == 0)
        pixels = np.ascontiguousarray(shown[:3][self._order])
        return pixels, np.repeat(hidden[None], len(pixels), axis=0)

    def _masked(self, pixels: Array, mask: Mask) -> Pixels:
        return _masked(pixels, mask, self.nodata)


class ArrayReader:
    """Windows of an array, for tests and for pixels that are in memory anyway.

    Args:
        pixels: (C, H, W); a plain array counts as measured everywhere, but for floats that are
            not finite.
        grid: Where they lie.
        names: Name of each band; "band_1" and so on when left out.

    Raises:
        SettingError: The array is not (C, H, W) of the grid's shape.
    """

    def __init__(
        self, pixels: Pixels | Array, grid: Grid, names: Sequence[str] | None = None
    ) -> None:
        if pixels.ndim != 3 or pixels.shape[1:] != grid.shape:
            raise SettingError(f"pixels of shape {pixels.shape} are not (C, *{grid.shape})")
        self._pixels, self._hidden = np.ma.getdata(pixels), np.ma.getmaskarray(pixels).copy()
        if not is_integer(pixels.dtype):
            self._hidden |= ~np.isfinite(self._pixels)
        self.grid, self.count, self.dtype = grid, len(pixels), pixels.dtype.name
        self.nodata: float | None = None
        self.has_mask = bool(self._hidden.any())
        self.names = tuple(names or (f"band_{i}" for i in range(1, self.count + 1)))

    def read(self, window: Window) -> Pixels:
        """As :meth:`Reader.read` promises."""
        row, col, height, width = whole(window)
        pixels = np.zeros((self.count, height, width), self.dtype)
        mask = np.ones(pixels.shape, bool)
        part = clip(window, self.grid.shape)
        if part is not None:
            r, c, h, w = whole(part)
            at, of = (
                np.s_[:, r - row : r - row + h, c - col : c - col + w],
                np.s_[:, r : r + h, c : c + w],
            )
            pixels[at], mask[at] = self._pixels[of], self._hidden[of]
        return _masked(pixels, mask, None)


def _masked(pixels: Array, mask: Mask, nodata: float | None) -> Pixels:
    fill: Any = None if nodata is None else pixels.dtype.type(nodata)
    return np.ma.MaskedArray(pixels, mask, fill_value=fill)


def _names(dataset: DatasetReader, bands: list[int]) -> tuple[str, ...]:
    """Descriptions where they tell bands apart, else colours, else numbers."""
    described = [dataset.descriptions[i - 1] or "" for i in bands]
    colors = [dataset.colorinterp[i - 1].name for i in bands]
    for names in (described, colors):
        if all(names) and len(set(names)) == len(names) and "undefined" not in names:
            return tuple(names)
    return tuple(f"band_{i}" for i in range(1, len(bands) + 1))


def _index(band: int | str, names: tuple[str, ...], path: Path) -> int:
    if isinstance(band, str):
        known = [n.casefold() for n in names]
        if band.casefold() not in known:
            raise UnknownNameError(f"band of {path.name}", band, names)
        return known.index(band.casefold())
    if not 0 <= band < len(names):
        raise SettingError(
            f"{path.name} has no band {band}; its {len(names)} bands are 0 to {len(names) - 1} "
            f"({', '.join(names)})"
        )
    return int(band)


def _table(colormap: dict[int, tuple[int, ...]], dtype: str) -> Array:
    """(4, N) red, green, blue and alpha of every id; ids without a colour are black."""
    table = np.zeros((4, 256 if dtype == "uint8" else 65536), np.uint8)
    table[3] = 255
    for i, color in colormap.items():
        table[:, i] = (*color, 255)[:4]
    return table


# Both are Readers: the type checker proves it here rather than at some far-off call.
_disk: type[Reader] = RasterReader
_memory: type[Reader] = ArrayReader
