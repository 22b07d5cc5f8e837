"""How a raster is walked in squares. Pure arithmetic on windows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from rasterio.windows import Window

from ..errors import AreaError, SettingError
from .grid import clip


class Tile(NamedTuple):
    """One step of the walk.

    Attributes:
        read: What the network sees. Its origin and its size are multiples of the phase; it may
            reach past the right and the lower edge of the raster by less than one phase.
        write: What this tile answers for, inside ``read`` and inside the raster.
    """

    read: Window
    write: Window


def walk(
    shape: tuple[int, int],
    core: int,
    halo: int = 0,
    *,
    phase: int = 1,
    within: Window | None = None,
) -> Iterator[Tile]:
    """Walk a raster row by row in square tiles.

    The write windows cover the raster (or ``within``) exactly once. Cores lie on multiples of
    ``core`` counted from the raster's origin, also when ``within`` starts elsewhere, so a window
    of interest is cut into the same tiles as the whole raster.

    Args:
        shape: (height, width) of the raster in pixels.
        core: Side of the square that a tile writes, in pixels; a multiple of ``phase``.
        halo: Pixels on each side that are read for context and not written, rounded up to the
            phase. Seams vanish once it covers the generator's reach.
        phase: The generator's total stride, in pixels.
        within: The only part to write; None is the whole raster.

    Raises:
        SettingError: ``core`` is not a positive multiple of ``phase``, or ``halo`` is negative.
        AreaError: ``within`` misses the raster.
    """
    part = _part(shape, core, halo, phase, within)
    return _walk(shape, core, _up(halo, phase), phase, part)


def count(shape: tuple[int, int], core: int, *, within: Window | None = None) -> int:
    """How many tiles :func:`walk` gives, without walking."""
    part = _part(shape, core, 0, 1, within)
    rows = _down(part.row_off, core), _up(part.row_off + part.height, core)
    cols = _down(part.col_off, core), _up(part.col_off + part.width, core)
    return int((rows[1] - rows[0]) // core * ((cols[1] - cols[0]) // core))


def inside(tile: Tile) -> tuple[slice, slice]:
    """Rows and columns of ``tile.write`` inside an array that holds ``tile.read``."""
    top, left = tile.write.row_off - tile.read.row_off, tile.write.col_off - tile.read.col_off
    return slice(top, top + tile.write.height), slice(left, left + tile.write.width)


def _walk(shape: tuple[int, int], core: int, halo: int, phase: int, part: Window) -> Iterator[Tile]:
    ends = _up(shape[0], phase), _up(shape[1], phase)
    for top, height in _steps(part.row_off, part.height, core):
        for left, width in _steps(part.col_off, part.width, core):
            row, rows = _grown(top, height, halo, phase, ends[0])
            col, cols = _grown(left, width, halo, phase, ends[1])
            yield Tile(Window(col, row, cols, rows), Window(left, top, width, height))


def _steps(start: int, length: int, core: int) -> Iterator[tuple[int, int]]:
    """(start, length) of each piece of a line cut at multiples of ``core``."""
    end = start + length
    for cut in range(_down(start, core), end, core):
        first, last = max(cut, start), min(cut + core, end)
        yield first, last - first


def _grown(start: int, length: int, halo: int, phase: int, end: int) -> tuple[int, int]:
    """(start, length) snapped outward to the phase, with its halo, between 0 and ``end``."""
    first = max(_down(start, phase) - halo, 0)
    return first, min(_up(start + length, phase) + halo, end) - first


def _part(
    shape: tuple[int, int], core: int, halo: int, phase: int, within: Window | None
) -> Window:
    """What is to be written, once the numbers are known to make sense."""
    if phase < 1:
        raise SettingError(f"phase={phase} must be at least 1")
    if core < 1 or core % phase:
        better = _up(max(core, 1), phase)
        raise SettingError(f"core={core} is no positive multiple of phase={phase}; try {better}")
    if halo < 0:
        raise SettingError(f"halo={halo} must be at least 0")
    part = clip(within or Window(0, 0, shape[1], shape[0]), shape)
    if part is None:
        raise AreaError(f"{within} misses the raster of {shape[0]} x {shape[1]} px")
    return part


def _down(n: int, phase: int) -> int:
    return n // phase * phase


def _up(n: int, phase: int) -> int:
    return -(-n // phase) * phase
