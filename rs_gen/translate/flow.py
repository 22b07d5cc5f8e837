"""How tiles flow from a canvas through an engine to a GeoTIFF.

One thread reads and encodes, the caller's computes, one decodes and writes: all three at once.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rasterio.windows import Window

from ..errors import Cancelled
from ..networks.fused import Sides
from ..raster.grid import Grid
from ..raster.tiles import Tile, count, inside, walk
from ..raster.vector import rasterize
from ..raster.writer import RasterWriter
from .canvas import Canvas
from .checks import Output
from .classes import Classes
from .engine import Engine, open_sides
from .pipeline import Behind, ahead
from .plan import Plan
from .relief import Relief
from .sides import Side
from .storage import Storage


class Loaded(NamedTuple):
    """A tile that was read.

    Attributes:
        tile: Where it lies.
        pixels: (C, H, W) of ``tile.read``, encoded; None where nothing of the tile is wanted.
        valid: (H, W) of ``tile.write``, True where the output has a measurement.
    """

    tile: Tile
    pixels: np.ndarray | None
    valid: np.ndarray


Done = tuple[Loaded, np.ndarray | None]


@dataclass(frozen=True)
class Flow:
    """One raster on its way through a network.

    Attributes:
        canvas: Of the source.
        engine: With its statistics frozen.
        plan: Of the walk.
        target: How the network's answers are decoded.
        output: How they are stored.
        part: Window of the raster to write.
        area: Polygon outside which the output is nodata, in the raster's CRS; None for all.
        storage: What else was asked of the output.
        classes: That ``target`` snaps to; None for a picture.
        asked: Options that change pixels, for the output's tags.
        relief: What the run has learned about memory.
    """

    canvas: Canvas
    engine: Engine
    plan: Plan
    target: Side
    output: Output
    part: Window
    area: Any = None
    storage: Storage = field(default_factory=Storage)
    classes: Classes | None = None
    asked: Mapping[str, Any] = field(default_factory=dict)
    relief: Relief = field(default_factory=Relief)

    @property
    def writing(self) -> dict[str, Any]:
        """Arguments of ``raster.writer.geotiff``, but for path, grid and tags."""
        return {
            "count": self.target.count, **self.output._asdict(),
            "names": self.target.names or None, **self.storage.writing(self.classes),
        }  # fmt: skip

    @property
    def tags(self) -> dict[str, str]:
        """What this way of tiling adds to the output's tags."""
        return {}

    def finish(self, out: Path) -> None:
        """Write what goes beside the output once it is whole: polygons, a STAC item."""
        self.storage.finish(out, self.classes, self.canvas.reader.path)

    @property
    def grid(self) -> Grid:
        """Of what is written."""
        return self.canvas.reader.grid.crop(self.part)

    def __len__(self) -> int:
        """Number of tiles."""
        return count(self.canvas.padded, self.plan.core, within=self.part)

    def tiles(self) -> Iterator[Tile]:
        """The walk."""
        plan = self.plan
        return walk(self.canvas.padded, plan.core, plan.halo, phase=plan.phase, within=self.part)

    def into(self, writer: RasterWriter) -> Generator[Tile, None, None]:
        """Each tile once it is computed; all are written once this is exhausted.

        Closing it early stops both threads, so that the writer can be closed after it.
        """
        yield from self.through(partial(self._write, writer))

    def through(self, done: Callable[[Done], object]) -> Generator[Tile, None, None]:
        """Each tile once it is computed; ``done`` gets it, in a thread of its own."""
        depth = self.plan.batch
        with (
            Behind(done, depth) as put,
            ahead(map(self.read, self.tiles()), depth) as loaded,
        ):
            for batch in batches(loaded, depth, self.sides):
                for item, fake in zip(batch, self.compute(batch), strict=True):
                    put((item, fake))
                    yield item.tile

    def read(self, tile: Tile) -> Loaded:
        """A tile, encoded. Without pixels if its write window holds nothing to translate."""
        wanted = None
        if self.area is not None:
            wanted = rasterize(self.area, self.canvas.reader.grid.crop(tile.write))
            if not wanted.any():
                return Loaded(tile, None, wanted)  # not even read
        pixels, known = self.canvas.read(tile.read)
        valid = known[inside(tile)] if wanted is None else known[inside(tile)] & wanted
        return Loaded(tile, pixels if valid.any() else None, valid)

    def compute(self, batch: list[Loaded]) -> list[np.ndarray | None]:
        """(C, H, W) of each write window, in [-1, 1]; None for a tile without pixels."""
        pixels = [item.pixels for item in batch if item.pixels is not None]
        if not pixels:
            return [None] * len(batch)
        images = np.stack(pixels) if len(pixels) > 1 else pixels[0][None]
        tile = batch[0].tile  # the others are alike
        origins = [(item.tile.read.row_off, item.tile.read.col_off) for item in batch]
        return list(
            self.relief.cores(
                self.engine, self.plan, images, inside(tile), self.sides(tile), origins
            )
        )

    def sides(self, tile: Tile) -> Sides:
        """Which sides of what a tile reads lie inside the canvas: top, bottom, left, right."""
        return open_sides(tile.read, self.canvas.padded)

    def _write(self, writer: RasterWriter, done: Done) -> None:
        """Decode a tile and write it where it belongs."""
        item, fake = done
        write = item.tile.write
        if fake is None:
            empty = 0 if self.output.nodata is None else self.output.nodata
            shape = (self.target.count, write.height, write.width)
            pixels = np.full(shape, empty, self.output.dtype)
        else:
            core = np.ascontiguousarray(fake)
            pixels = self.target.stretch.decode(core, self.output.dtype, self.output.nodata)
        at = Window(
            write.col_off - self.part.col_off,
            write.row_off - self.part.row_off,
            write.width,
            write.height,
        )
        with self.canvas.lock:
            writer.write(pixels, window=at, valid=item.valid)


def drive(
    tiles: Generator[Any, None, None],
    total: int,
    progress: Callable[..., Iterable[Any]],
    cancel: Callable[[], bool] | None,
    *,
    label: str = "Translating",
) -> None:
    """Run through all tiles, unless someone asks to stop.

    Args:
        tiles: What ``Flow.into`` gives; it is closed, whatever happens.
        total: How many there are.
        progress: Wraps the tiles.
        cancel: Asked after each tile; True stops.
        label: What is being done, for ``progress``.

    Raises:
        Cancelled: Someone did.
    """
    done = 0
    with closing(tiles):
        for _ in progress(tiles, total=total, label=label):
            done += 1
            if cancel is not None and cancel():
                break
    if done < total:  # a progress that ends the loop early means the same
        raise Cancelled(f"stopped after {done} of {total} tiles; no file was written")


def batches(
    loaded: Iterable[Loaded], size: int, sides: Callable[[Tile], Sides]
) -> Iterator[list[Loaded]]:
    """Tiles in their order, at most ``size`` alike together; empty ones by themselves.

    Alike are those that read and write windows of the same shapes and lie at the same edges of the
    raster. Only neighbours in the walk are put together, so no tile waits long for its like.
    """
    batch: list[Loaded] = []
    held: Any = None
    for item in loaded:
        if item.pixels is None:
            yield [item]
            continue
        kind = item.pixels.shape, inside(item.tile), sides(item.tile)
        if batch and kind != held:
            yield batch
            batch = []
        held = kind
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
