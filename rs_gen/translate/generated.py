"""Generated images as GeoTIFFs on a grid, in class folders that can be trained on.

The place is made up: it gives tiles a size on the ground and lets a GIS show them side by side.
Every file says that it is synthetic.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from affine import Affine
from rasterio.errors import NotGeoreferencedWarning
from rasterio.windows import Window
from torch import Tensor

from .. import __version__
from ..chips.index import read_card, write_card, write_index
from ..chips.progress import Progress, quiet
from ..errors import LayoutError, SettingError
from ..raster.files import whole_folder_or_not
from ..raster.grid import Grid
from ..raster.mosaic import Placed, write_vrt
from ..raster.reader import RasterReader
from ..raster.writer import geotiff
from .laying import columns_of, corner_of, files_of, names_of
from .sides import Side
from .tags import SYNTHETIC

MOSAICS = ("vrt", "tif", None)


class Tiles(NamedTuple):
    """What was written.

    Attributes:
        folder: With a folder for each class; ``prepare_data`` reads it.
        files: One an image, in the order of the images.
        mosaic: All of them as one raster, or None.
        grid: Of the mosaic.
    """

    folder: Path
    files: tuple[Path, ...]
    mosaic: Path | None
    grid: Grid


def export_tiles(
    images: Tensor,
    out: str | Path,
    side: Any,
    *,
    like: str | Path | Grid | None = None,
    crs: Any = None,
    transform: Affine | None = None,
    labels: Tensor | Sequence[int] | Sequence[str] | None = None,
    classes: Sequence[str] | None = None,
    columns: int | None = None,
    mosaic: str | None = "vrt",
    dtype: str | None = None,
    compress: str = "deflate",
    tags: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    progress: Progress = quiet,
) -> Tiles:
    """Write generated images as GeoTIFFs that lie side by side on a grid.

    Values are those that the training chips were stored with: the stretch run backwards, rounded,
    never nodata. The folder gets a card and an index, so ``prepare_data`` reads it back with the
    same stretch. It is there whole or not at all.

    Args:
        images: (N, C, H, W); values beyond [-1, 1] are held at the ends.
        out: Folder for the tiles.
        side: What the images are: ``data.a``, a side of a card, or a ``Stretch``.
        like: Raster, or grid, on whose pixels the tiles are laid, from its upper left corner on.
        crs: Coordinate reference system instead, in any form that rasterio knows.
        transform: Of ``crs``: where the corner is and how large a pixel is. Without ``like``,
            ``crs`` and ``transform`` the tiles have the pixel size of the training chips and no
            place.
        labels: Class of each image, as a name or as an index into ``classes``; None puts all of
            them into ``out`` itself.
        classes: Names of the classes.
        columns: Tiles side by side; None fills the width of ``like``, or makes a square.
        mosaic: "vrt" writes ``out.vrt`` beside the folder, "tif" a GeoTIFF of all pixels, None
            neither.
        dtype: Stored type; None is that of the training chips.
        compress: As for ``geotiff``.
        tags: More to say in each file, such as ``{"model": "name", "seed": 0}``; a key becomes
            ``RS_GEN_KEY``.
        overwrite: Replace the tiles of an earlier export.
        progress: Wrapper that shows how far it has come.

    Raises:
        SettingError: Options contradict each other, labels do not fit, or ``out`` holds something
            else than such tiles.
        ValueRangeError: An image has a value that is not a number, or other bands than ``side``.
        RasterError: ``like`` can't be read, or a file can't be written.

    Warns:
        GridWarning: Pixels of the grid are larger or smaller than those of the training chips.
    """
    if mosaic not in MOSAICS:
        raise SettingError(f"mosaic={mosaic!r} is none of {MOSAICS}")
    out, known = Path(out), _known(side, dtype)
    count, height, width = _checked(images)
    names = names_of(labels, classes, count)
    _refuse_others(out, overwrite)
    corner, across = corner_of(known, like, crs, transform)
    wide = columns_of(columns, across, count, width)
    shape = -(-count // wide) * height, min(wide, count) * width
    grid = Grid(shape, corner.transform, corner.crs)
    windows = [Window((i % wide) * width, i // wide * height, width, height) for i in range(count)]
    files = files_of(names, count)
    said = {f"RS_GEN_{k.upper()}": v for k, v in _said(tags).items()}
    rows, sums = [], _Sums(known.count)
    with whole_folder_or_not(out) as part, warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)  # where no place was asked for
        for i in progress(range(count), total=count, label="tiles"):
            pixels = _stored(images[i], known)
            sums.add(pixels)
            cut = grid.crop(windows[i])
            own = said if names is None else {**said, "RS_GEN_CLASS": names[i]}
            with geotiff(
                part / files[i], cut, count=known.count, dtype=str(known.dtype),
                nodata=known.nodata, names=known.names or None, tags=own, compress=compress,
            ) as file:  # fmt: skip
                file.write(pixels)
            rows.append(_row(files[i], windows[i], cut, names[i] if names else None, said))
        write_index(part, rows, grid.crs)
        write_card(part, _card(known, grid, sums, (height, width), count, names, said))
    written = tuple(out / name for name in files)
    whole = _write_mosaic(mosaic, out, grid, written, windows, known, said)
    return Tiles(out, written, whole, grid)


def _known(side: Any, dtype: str | None) -> Side:
    known = Side.of(side, dtype=dtype)
    if known.dtype is None:
        raise SettingError("a stretch alone does not tell how values are stored; pass dtype=")
    if known.nodata is None:
        return known
    return Side(known.stretch, known.dtype, float(known.nodata), known.names, known.resolution)


def _checked(images: Tensor) -> tuple[int, int, int]:
    if not isinstance(images, Tensor) or images.dim() != 4 or not len(images):
        shape = tuple(getattr(images, "shape", ())) or type(images).__name__
        raise SettingError(f"images must be one (N, C, H, W) tensor of at least one; got {shape}")
    return len(images), images.shape[2], images.shape[3]


def _stored(image: Tensor, known: Side) -> np.ndarray:
    encoded = image.detach().to("cpu", torch.float32).clamp(-1, 1).numpy()
    return known.stretch.decode(encoded, str(known.dtype), known.nodata)


def _said(tags: Mapping[str, Any] | None) -> dict[str, Any]:
    return {"synthetic": SYNTHETIC, "version": __version__, **(tags or {})}


class _Sums:
    """Mean and deviation of all pixels, band by band."""

    def __init__(self, bands: int):
        self._n, self._sum, self._squares = 0, np.zeros(bands), np.zeros(bands)

    def add(self, pixels: np.ndarray) -> None:
        flat = pixels.reshape(len(pixels), -1).astype("float64")
        self._n += flat.shape[1]
        self._sum += flat.sum(1)
        self._squares += np.square(flat).sum(1)

    def result(self) -> tuple[list[float], list[float]]:
        mean = self._sum / self._n
        variance = np.maximum(self._squares / self._n - mean**2, 0)
        return mean.tolist(), np.sqrt(variance).tolist()


def _row(
    name: str, window: Window, grid: Grid, label: str | None, said: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "stem": Path(name).stem, "a": name, "source": str(said.get("RS_GEN_MODEL", "generated")),
        "col_off": int(window.col_off), "row_off": int(window.row_off),
        "width": int(window.width), "height": int(window.height), "valid_share": 1.0,
        "split": "train", "label": label, "geometry": grid.polygon,
    }  # fmt: skip


def _card(
    known: Side, grid: Grid, sums: _Sums, size: tuple[int, int], count: int,
    names: list[str] | None, said: Mapping[str, Any],
) -> dict[str, Any]:  # fmt: skip
    mean, std = sums.result()
    ground = grid.ground_resolution
    nodata = known.nodata
    side = {
        "count": known.count, "dtype": str(known.dtype),
        "nodata": nodata if nodata is None or math.isfinite(nodata) else str(nodata),
        "names": list(known.names) or [""] * known.count, "stretch": known.stretch.to_dict(),
        "resolution": known.resolution if math.isnan(ground) else ground,
        "crs": None if grid.crs is None else grid.crs.to_string(),
        "mean": mean, "std": std, "sizes": [[size[1], size[0]]], "n": count,
    }  # fmt: skip
    return {
        "size": max(size), "stride": max(size), "paired": False,
        "style": "classes" if names is not None else "rs_gen", "a": side, "b": None,
        "provenance": {"rs_gen": __version__, "synthetic": SYNTHETIC, "tags": dict(said)},
    }  # fmt: skip


def _write_mosaic(
    kind: str | None, out: Path, grid: Grid, files: Sequence[Path], windows: Sequence[Window],
    known: Side, said: Mapping[str, Any],
) -> Path | None:  # fmt: skip
    if kind is None:
        return None
    path = out.with_name(f"{out.name}.{kind}")
    if kind == "vrt":
        return write_vrt(path, grid, list(map(Placed, files, windows)), said)
    gaps = len(files) * windows[0].width * windows[0].height < grid.shape[0] * grid.shape[1]
    with geotiff(
        path, grid, count=known.count, dtype=str(known.dtype), nodata=known.nodata,
        mask=gaps and known.nodata is None, names=known.names or None, tags=said,
    ) as mosaic:  # fmt: skip
        for file, window in zip(files, windows, strict=True):
            with RasterReader(file) as reader:
                mosaic.write(reader.read(reader.grid.window), window)
    return path


def _refuse_others(out: Path, overwrite: bool) -> None:
    """Leave a folder alone that is not an earlier export of tiles, whatever ``overwrite`` says."""
    if not out.is_dir() or not any(out.iterdir()):
        return
    try:
        card = read_card(out) or {}
    except LayoutError:
        card = {}
    if "synthetic" not in card.get("provenance", {}):
        raise SettingError(f"{out} holds files that are not generated tiles; give another folder")
    if not overwrite:
        raise SettingError(
            f"{out} holds generated tiles already; pass overwrite=True to replace them"
        )
