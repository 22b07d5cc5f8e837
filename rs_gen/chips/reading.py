"""One chip's pixels, or only its size. GeoTIFF, JPEG 2000 and others through ``raster``.

Plain 8-bit JPEG and PNG take a short way through Pillow, three times faster than GDAL's: a training
loader reads such chips by the hundred thousand.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..errors import ChipError, RasterError
from ..raster.reader import RasterReader

if TYPE_CHECKING:
    from ..raster.grid import Grid
    from ..raster.pixels import Array, Pixels

_PLAIN = (".jpg", ".jpeg", ".png")
_COLOURS = {"L": None, "RGB": None, "P": "RGB"}  # Pillow's mode: what to turn it into


class Head(NamedTuple):
    """What a chip's file says of it.

    Attributes:
        names: Of the bands read.
        nodata: Stored value that means "not measured"; None without one.
        grid: Where it lies; None for a plain JPEG or PNG.
    """

    names: tuple[str, ...]
    nodata: float | None
    grid: Grid | None


def read_chip(path: str | Path, bands: Sequence[int | str] | None = None) -> Pixels:
    """(C, H, W) stored values of a chip, masked where nothing was measured.

    The mask is a full array. Alpha is no band; a colour table is applied (red, green, blue).

    Args:
        path: The chip.
        bands: Indices from 0, or names, in the order wanted; None gives all.

    Raises:
        ChipError: It is missing, broken, or no image; the file is named.
        UnknownNameError: No band has that name.
        SettingError: No band has that index.
    """
    return open_chip(path, bands)[0]


def open_chip(path: str | Path, bands: Sequence[int | str] | None = None) -> tuple[Pixels, Head]:
    """As :func:`read_chip`, with what the file says beside the pixels."""
    plain = _read_plain(path, bands)
    if plain is not None:
        pixels, names = plain
        return np.ma.MaskedArray(pixels, np.zeros(pixels.shape, bool)), Head(names, None, None)
    try:
        with RasterReader(path, bands) as reader:
            head = Head(reader.names, reader.nodata, reader.grid)
            return reader.read(reader.grid.window), head
    except RasterError as error:
        raise _broken(path, error) from error


def size_of(path: str | Path) -> tuple[int, int]:
    """(width, height) of a chip in pixels, from its header.

    Raises:
        ChipError: It is missing, broken, or no image.
    """
    if str(path).lower().endswith(_PLAIN):
        from PIL import Image

        try:
            with Image.open(path) as image:
                return image.size
        except OSError:  # Pillow does not know all that GDAL reads
            pass
    height, width = grid_of(path).shape
    return width, height


def grid_of(path: str | Path) -> Grid:
    """Where a chip lies.

    Raises:
        ChipError: It is missing, broken, or no image.
    """
    try:
        with RasterReader(path) as reader:
            return reader.grid
    except RasterError as error:
        raise _broken(path, error) from error


def halves(pixels: Pixels) -> tuple[Pixels, Pixels]:
    """(A, B) of an aligned image: its left and its right half, (C, H, W / 2) each.

    Raises:
        ChipError: The width is odd, so that the halves differ.
    """
    width = pixels.shape[-1]
    if width % 2:
        raise ChipError(f"an aligned image of {width} px width has no equal halves; crop it")
    return pixels[..., : width // 2], pixels[..., width // 2 :]


def _read_plain(
    path: str | Path, bands: Sequence[int | str] | None
) -> tuple[Array, tuple[str, ...]] | None:
    """(C, H, W) and names of a JPEG or PNG with nothing special; None leaves it to GDAL."""
    name = str(path)
    if not name.lower().endswith(_PLAIN) or any(isinstance(b, str) for b in bands or ()):
        return None
    if any(
        Path(name + end).exists() for end in (".aux.xml", ".msk")
    ):  # may hold nodata, or be a mask
        return None
    from PIL import Image

    try:
        image = Image.open(path)
    except (OSError, SyntaxError):  # GDAL says better what is wrong
        return None
    with image:
        if image.mode not in _COLOURS or "transparency" in image.info:
            return None
        target = _COLOURS[image.mode]
        try:
            pixels = np.asarray(image.convert(target) if target else image)
        except (OSError, SyntaxError) as error:  # GDAL would read the rest of a PNG as black
            raise ChipError(
                f"chip {path} is damaged or cut short ({error}); remove it, or write it again"
            ) from error
    pixels = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
    names = ("gray",) if len(pixels) == 1 else ("red", "green", "blue")
    if bands is None:
        return pixels, names
    if not all(0 <= int(b) < len(pixels) for b in bands):
        return None
    order = [int(b) for b in bands]
    return pixels[order], tuple(names[i] for i in order)


def _broken(path: str | Path, error: RasterError) -> ChipError:
    text = str(error).removeprefix(f"{path}: ").removeprefix(f"{path} can't be read as a raster: ")
    return ChipError(f"chip {path} can't be read: {text}; remove it, or write it again")
