"""Tiles that overlap and fade into each other, for networks whose exact halo is too dear.

A deep U-Net looks further than a tile is wide. Here a tile is read with a modest margin instead
and its answer is faded in and out across the border of its core, by weights that are a function of
the place and sum to one. The result is approximate, and says so; the border shows as a gradual
change instead of a step. Sums are kept on disk as whole numbers, so they are the same in any order.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rasterio.windows import Window

from ..errors import RasterError, SettingError
from ..metrics.seams import Seams, seam_ratio
from ..networks.reach import Reach
from ..raster.grid import clip
from ..raster.tiles import Tile, walk
from ..raster.writer import RasterWriter
from .canvas import round_up
from .flow import Done, Flow
from .plan import Plan
from .tiling import check_tile_size

OVERLAPS = ("exact", "blend")
_USUAL = 1024  # px of a tile whose size is still to be found
_ONE = 2**26  # whole numbers to 1.0; answers up to 16 leave room for four of them in 32 bits
_MOST = 16.0
_BLOCK = 1024  # px written at once
_SAMPLE = 2048  # px of the square that the seam ratio is measured on, at least two tiles


class Faded(NamedTuple):
    """A tile that fades into its neighbours.

    Attributes:
        read: What the network sees.
        write: What the tile has a share in, inside the raster.
        core: What it would answer for alone; it may reach past the raster.
    """

    read: Window
    write: Window
    core: Window


def read_around(reach: Reach, overlap: str, tile_size: int | str) -> Reach:
    """How far around its core a tile is read: the reach, or a quarter of its side to blend.

    Raises:
        SettingError: The kind of overlap is not known.
    """
    if overlap not in OVERLAPS:
        raise SettingError(f"overlap={overlap!r} is not known; there are {', '.join(OVERLAPS)}")
    if overlap == "exact":
        return reach
    margin = round_up(max((check_tile_size(tile_size) or _USUAL) // 4, 1), reach.phase)
    return replace(reach, left=margin, right=margin)


def fade_of(plan: Plan) -> int:
    """Pixels on either side of a core's border across which tiles fade: half of the margin."""
    return min(plan.halo, plan.core) // 2


def overlapping(
    shape: tuple[int, int], plan: Plan, *, within: Window | None = None, before: int = 0
) -> Iterator[Faded]:
    """Walk a raster in tiles whose write windows overlap by the fade on each side.

    Args:
        shape: (height, width) of the raster in pixels.
        plan: Gives core, halo and phase.
        within: Only the tiles that reach into this window, each as large as without it.
        before: The walk begins this many pixels before the first row and column.
    """
    fade, whole = fade_of(plan), Window(0, 0, shape[1], shape[0])
    part = within or whole
    ends = tuple(round_up(n, plan.phase) for n in shape)
    for top in _starts(part.row_off, part.height, plan.core, fade, before, shape[0]):
        for left in _starts(part.col_off, part.width, plan.core, fade, before, shape[1]):
            core = Window(left, top, plan.core, plan.core)
            read = clip(_grown(core, plan.halo), (ends[0], ends[1]))
            write = clip(_grown(core, fade), shape)
            assert read is not None
            assert write is not None
            yield Faded(read, write, core)


def weights(tile: Faded, shape: tuple[int, int], plan: Plan) -> np.ndarray:
    """(H, W) of ``tile.write``: a tile's share in each pixel. Over a walk they sum to one."""
    core, write, fade = tile.core, tile.write, fade_of(plan)
    rows, cols = (
        _ramp(start, start + plan.core, first, length, size, fade)
        for start, first, length, size in (
            (core.row_off, write.row_off, write.height, shape[0]),
            (core.col_off, write.col_off, write.width, shape[1]),
        )
    )
    return rows[:, None] * cols[None, :]


def portions(fake: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(C, H, W) of weighted answers as whole numbers, which add up alike in any order."""
    return np.rint(np.clip(fake, -_MOST, _MOST) * (weight * _ONE)).astype("int32")


def answers(sums: np.ndarray) -> np.ndarray:
    """Float32 from sums of ``portions``."""
    return (sums / _ONE).astype("float32")


@dataclass(frozen=True)
class Scratch:
    """Sums of an image on disk, (C, H, W) of 32-bit whole numbers, zero at first.

    Attributes:
        path: The file, which is there while ``scratch`` is entered.
        shape: (C, H, W).
    """

    path: Path
    shape: tuple[int, int, int]

    def add(self, row: int, col: int, sums: np.ndarray) -> None:
        """Add (C, h, w) at a place."""
        held = self._open("r+")  # each time anew, so that the pages do not stay in memory
        held[:, row : row + sums.shape[1], col : col + sums.shape[2]] += sums

    def read(self, row: int, col: int, height: int, width: int) -> np.ndarray:
        """(C, height, width) of sums at a place."""
        return np.array(self._open("r")[:, row : row + height, col : col + width])

    def _open(self, mode: str) -> np.memmap:
        return np.memmap(self.path, "int32", mode, shape=self.shape)  # type: ignore[call-overload]


@contextmanager
def scratch(out: Path, shape: tuple[int, int, int]) -> Iterator[Scratch]:
    """A scratch file beside ``out`` that is gone afterwards, whatever happens.

    Raises:
        RasterError: The disk has no room for it.
    """
    path = out.with_name(f".{out.stem}.blend")
    size = 4 * int(np.prod(shape))
    out.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(out.parent).free
    if free < size:
        raise RasterError(
            f"blending needs {_gib(size)} beside {out} for a while and {_gib(free)} are free; free "
            "the rest, write elsewhere, translate an area of it, or use overlap='exact'"
        )
    try:
        try:
            with path.open("wb") as file:
                if hasattr(os, "posix_fallocate"):
                    os.posix_fallocate(file.fileno(), 0, size)  # or a full disk ends the process
                file.truncate(size)
        except OSError as error:
            raise RasterError(f"{path} can't be written: {error}") from error
        yield Scratch(path, shape)
    finally:
        path.unlink(missing_ok=True)


@dataclass(frozen=True)
class Blend(Flow):
    """A flow whose tiles fade into each other.

    Their shares are added up on disk; the output is written from the sums once all are in. Its tags
    say how much the borders show in a sample of it.
    """

    @property
    def tags(self) -> dict[str, str]:
        """How tiles overlap."""
        plan = self.plan
        told = f"approximate: read {plan.halo} px around, blended over {2 * fade_of(plan)} px"
        return {"RS_GEN_TILING": told}

    def __len__(self) -> int:
        """Number of tiles."""
        return sum(1 for _ in self.tiles())

    def tiles(self) -> Iterator[Any]:
        """The overlapping walk."""
        return overlapping(self.canvas.shape, self.plan, within=self.part)

    def into(self, writer: RasterWriter) -> Generator[Tile, None, None]:
        """Each tile once it is computed; all are written once this is exhausted."""
        shape = self.target.count, int(self.part.height), int(self.part.width)
        with scratch(writer.path, shape) as sums:
            yield from self.through(partial(self._add, sums))
            for block in walk(shape[1:], _BLOCK):
                self._finish(writer, sums, block.write)
            writer.tag(**told(self._seams(sums)))

    def _add(self, sums: Scratch, done: Done) -> None:
        """Add a tile's portions to the sums."""
        item, fake = done
        if fake is None:
            return
        weight = weights(item.tile, self.canvas.shape, self.plan)  # type: ignore[arg-type]
        share = portions(fake, weight)
        write, part = item.tile.write, self.part
        top, left = max(write.row_off, part.row_off), max(write.col_off, part.col_off)
        bottom = min(write.row_off + write.height, part.row_off + part.height)
        right = min(write.col_off + write.width, part.col_off + part.width)
        share = share[:, top - write.row_off : bottom - write.row_off,
                      left - write.col_off : right - write.col_off]  # fmt: skip
        sums.add(top - part.row_off, left - part.col_off, share)

    def _finish(self, writer: RasterWriter, sums: Scratch, block: Window) -> None:
        """Decode a block of the sums and write it."""
        row, col, part = int(block.row_off), int(block.col_off), self.part
        place = Window(part.col_off + col, part.row_off + row, block.width, block.height)
        whole = Tile(place, place)
        item = self.read(whole)
        fake = None
        if item.pixels is not None:
            fake = answers(sums.read(row, col, int(block.height), int(block.width)))
        self._write(writer, (item, fake))

    def _seams(self, sums: Scratch) -> Seams | None:
        """The seam ratio of a sample of what was made, around a corner of cores in its middle."""
        core, part = self.plan.core, self.part
        side = max(2 * core, _SAMPLE // (2 * core) * 2 * core)
        row, col = (
            round((start + n / 2) / core) * core - side // 2 - start
            for start, n in ((part.row_off, part.height), (part.col_off, part.width))
        )
        window = clip(Window(col, row, side, side), (part.height, part.width))
        if window is None:
            return None
        row, col = int(window.row_off), int(window.col_off)
        fake = answers(sums.read(row, col, int(window.height), int(window.width)))
        place = Window(part.col_off + col, part.row_off + row, window.width, window.height)
        known = np.broadcast_to(self.read(Tile(place, place)).valid, fake.shape)
        try:
            return seam_ratio(
                np.ma.array(fake, mask=~known), core, offset=(-place.row_off, -place.col_off)
            )
        except SettingError:  # no border of two cores in what was made
            return None


def told(seams: Seams | None, name: str = "SEAM") -> dict[str, str]:
    """The seam ratio of each band and its interval as tags; none where there is no tile line."""
    if seams is None:
        return {}
    intervals = (
        "none" if band.low is None else f"{band.low:.4f} to {band.high:.4f}" for band in seams.bands
    )
    return {
        f"RS_GEN_{name}_RATIO": ", ".join(f"{band.value:.4f}" for band in seams.bands),
        f"RS_GEN_{name}_INTERVAL": ", ".join(intervals),
    }


def _starts(first: int, length: int, core: int, fade: int, before: int, size: int) -> Iterator[int]:
    """Where cores begin whose faded borders reach into a piece of a line of ``size`` pixels."""
    low, high = max(first - fade, 0), min(first + length + fade, size)
    yield from range((low + before) // core * core - before, high, core)


def _grown(window: Window, by: int) -> Window:
    return Window(
        window.col_off - by, window.row_off - by, window.width + 2 * by, window.height + 2 * by
    )


def _ramp(core: float, end: float, first: float, length: float, size: int, fade: int) -> np.ndarray:
    """Weights of ``length`` pixels from ``first`` for the tile whose core is [core, end).

    Half a cosine across each border between two cores; none at the ends of the raster.
    """
    at = first + np.arange(length) + 0.5
    rise = _rise(at - core, fade) if core > 0 else np.ones(int(length))
    return rise if end >= size else rise * (1 - _rise(at - end, fade))


def _rise(distance: np.ndarray, fade: int) -> np.ndarray:
    """0 to 1 over ``fade`` pixels before and behind a border."""
    if not fade:
        return (distance > 0).astype(float)
    share = np.clip((distance + fade) / (2 * fade), 0, 1)
    return 0.5 - 0.5 * np.cos(np.pi * share)


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"
