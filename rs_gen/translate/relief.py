"""How a run goes on where memory runs out: in smaller batches, then in smaller tiles.

Neither changes a pixel: a part of a tile is read with its own halo on the same phase, as a smaller
tile would have been.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np
import torch

from ..errors import TranslationError
from ..networks.fused import Sides
from .engine import Engine
from .plan import Plan

log = logging.getLogger(__name__)

Slices = tuple[slice, slice]
_SIGNS = ("out of memory", "can't allocate memory", "not enough memory", "could not allocate")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on a CPU or on a GPU."""
    kinds: tuple[type[BaseException], ...] = (MemoryError, torch.cuda.OutOfMemoryError)
    if isinstance(error, kinds):
        return True
    return isinstance(error, RuntimeError) and any(s in str(error).lower() for s in _SIGNS)


class Relief:
    """What a run has learned about memory so far.

    Attributes:
        most: Tiles that may go through the network together; None while any number may.
        parts: Pieces that a side of a tile is cut into.
    """

    def __init__(self) -> None:
        self.most: int | None = None
        self.parts = 1

    def cores(
        self,
        engine: Engine,
        plan: Plan,
        images: np.ndarray,
        keep: Slices,
        sides: Sides,
        origins: Sequence[tuple[int, int]],
    ) -> Iterator[np.ndarray]:
        """What ``engine.cores`` gives, one image after the other, in pieces that fit.

        Raises:
            TranslationError: Memory does not even suffice for the smallest piece.
        """
        done = 0
        while done < len(images):
            part = slice(done, done + (self.most or len(images)))
            try:
                made = self._once(engine, plan, images[part], keep, sides, origins[part])
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                made = None
            if made is None:  # out of the except, so that what failed is free again
                self._less(len(images[part]), plan)
                continue
            yield from made
            done += len(made)

    def _once(
        self, engine: Engine, plan: Plan, images: np.ndarray, keep: Slices, sides: Sides,
        origins: Sequence[tuple[int, int]],
    ) -> np.ndarray:  # fmt: skip
        if self.parts == 1:
            return engine.cores(images, keep, sides, origins)
        rows = list(pieces(keep[0], self.parts, plan, images.shape[2], (sides[0], sides[1])))
        cols = list(pieces(keep[1], self.parts, plan, images.shape[3], (sides[2], sides[3])))
        out: np.ndarray | None = None
        for row, col in product(rows, cols):
            moved = [(top + row.read.start, left + col.read.start) for top, left in origins]
            fake = engine.cores(
                images[:, :, row.read, col.read], (row.keep, col.keep), row.open + col.open, moved
            )
            if out is None:
                shape = [part.stop - part.start for part in keep]
                out = np.empty((*fake.shape[:2], *shape), fake.dtype)
            out[:, :, row.at, col.at] = fake
        assert out is not None
        return out

    def _less(self, batch: int, plan: Plan) -> None:
        """Take smaller pieces from now on."""
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if batch > 1:
            self.most = batch // 2
            log.warning("out of memory: going on with batches of %d instead of %d tiles",
                        self.most, batch)  # fmt: skip
            return
        if plan.core // (2 * self.parts) < plan.phase:
            raise TranslationError(
                f"out of memory even for a tile of {plan.core // self.parts} px with a halo of "
                f"{plan.halo} px; free some memory or use another device"
            )
        self.parts *= 2
        log.warning("out of memory: going on with tiles of %d instead of %d px",
                    plan.core // self.parts, 2 * plan.core // self.parts)  # fmt: skip


class Piece:
    """A part of a tile along one axis, in positions of what the tile read.

    Attributes:
        read: With its halo.
        keep: What it answers for, inside ``read``.
        at: The same inside what the tile answers for.
        open: Whether its two ends were cut through the raster.
    """

    def __init__(self, read: slice, start: int, stop: int, offset: int, ends: tuple[bool, bool]):
        self.read, self.open = read, ends
        self.keep = slice(start - read.start, stop - read.start)
        self.at = slice(start - offset, stop - offset)


def pieces(
    keep: slice, parts: int, plan: Plan, size: int, ends: tuple[bool, bool]
) -> Iterator[Piece]:
    """The pieces of a tile along one axis, cut on the phase; they cover ``keep`` exactly once.

    Args:
        keep: What the tile answers for, in positions of what it read.
        parts: Of the plan's core, each way.
        plan: Gives core, halo and phase.
        size: Positions that the tile read.
        ends: Whether its two ends were cut through the raster.
    """
    phase, halo = plan.phase, plan.halo
    step = max(plan.core // parts // phase, 1) * phase
    start = keep.start
    while start < keep.stop:
        stop = min(start // phase * phase + step, keep.stop)
        first = max(start // phase * phase - halo, 0)
        last = min(-(-stop // phase) * phase + halo, size)
        yield Piece(
            slice(first, last), start, stop, keep.start,
            (first > 0 or ends[0], last < size or ends[1]),
        )  # fmt: skip
        start = stop
