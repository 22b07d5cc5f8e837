"""The statistics of a whole raster, layer by layer, streamed.

Instance norm divides an image by its own mean and deviation. To know those of a raster that is
larger than memory, tiles go through the network as far as its first norm, whose mean and variance
are merged over all of them; with these held, tiles go as far as the second; and so on.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import TranslationError
from ..networks.norm import Statistics, asking
from ..networks.reach import norm_sights
from ..raster.tiles import Tile, count, inside, walk
from .canvas import Canvas, Encoded, round_up
from .flow import drive
from .pipeline import ahead
from .windows import not_empty

_CORE = 512  # px; larger ones hardly save halo, smaller ones keep activations in the cache
_ALIVE = 3  # activations that live at once, in units of the largest
_CHANNELS = 16  # brought to float64 together


@dataclass
class Moments:
    """Count, mean and sum of squared deviations of a stream, channel by channel, in float64.

    Two streams are merged by the update of Chan, Golub & LeVeque 1983 ("Algorithms for Computing
    the Sample Variance", eq. 2.1), which does not subtract large numbers that are nearly alike.

    Attributes:
        total: Sum of the weights.
        mean: (C,), or None before anything came.
        squares: (C,) sum of weighted squared deviations from the mean.
    """

    total: float = 0.0
    mean: Tensor | None = None
    squares: Tensor | None = None

    def add(self, values: Tensor, weights: Tensor) -> None:
        """Merge (C, H, W) values, each position counted by its weight in (H, W)."""
        weights = weights.double()
        total = float(weights.sum())
        if not total:
            return
        parts = [_deviations(part.double(), weights, total) for part in values.split(_CHANNELS)]
        mean, squares = (torch.cat(side) for side in zip(*parts, strict=True))
        if self.mean is None or self.squares is None:
            self.total, self.mean, self.squares = total, mean, squares
            return
        both = self.total + total
        apart = mean - self.mean
        self.squares = self.squares + squares + apart**2 * (self.total * total / both)
        self.mean = self.mean + apart * (total / both)
        self.total = both

    def result(self) -> tuple[Tensor, Tensor]:
        """(mean, biased variance), (1, C, 1, 1) each in float32."""
        assert self.mean is not None
        assert self.squares is not None
        shown = self.mean, self.squares / self.total
        return shown[0].float().view(1, -1, 1, 1), shown[1].float().view(1, -1, 1, 1)


@torch.inference_mode()
def exact_statistics(
    net: nn.Module,
    canvas: Canvas,
    *,
    floats: float,
    device: torch.device,
    memory: int,
    progress: Callable[..., Iterable[Any]],
    cancel: Callable[[], bool] | None = None,
) -> Statistics | None:
    """Mean and variance of every instance norm, as the network run on the whole canvas takes them.

    Only valid pixels count, a coarse position by its share of them; what lies in a tile's halo is
    seen and not counted. The cost is one pass for each norm layer, each only as far as that layer.

    Args:
        net: In evaluation mode, on ``device``.
        canvas: Of the whole raster.
        floats: Numbers in the network's largest activation for each pixel of its input.
        device: Where to compute, in float32.
        memory: Bytes that a tile's activations may take.
        progress: Wraps the walk over all tiles of all passes.
        cancel: Asked after each tile; True stops.

    Returns:
        By layer name, (1, C, 1, 1) each; None where the raster has no valid pixel at all.

    Raises:
        TranslationError: A layer's positions do not divide the image evenly.
        Cancelled: Someone asked to stop.
    """
    if next(not_empty(canvas, _CORE), None) is None:
        return None
    found: Statistics = {}
    passes = []
    for name, spans in norm_sights(net).items():
        halo = max(round_up(max(span.left, span.right), canvas.phase) for span in spans)
        core = _core(canvas.phase, halo, floats, memory)
        passes.append(_Pass(net, canvas, device, name, found, core, halo))
    drive(
        _all(passes), sum(len(one) for one in passes), progress, cancel,
        label="Gathering statistics",
    )  # fmt: skip
    return found


def _all(passes: list[_Pass]) -> Generator[Tile, None, None]:
    for one in passes:
        yield from one.run()


def _core(phase: int, halo: int, floats: float, memory: int) -> int:
    """Side of a tile: twice its halo where that is large, less where memory is short."""
    core = round_up(max(_CORE, 2 * halo), phase)
    while core > phase and (core + 2 * halo) ** 2 * floats * 4 * _ALIVE > memory:
        core = round_up(core // 2, phase)
    return core


class _Enough(Exception):  # noqa: N818 - not an error: the pass has what it came for
    """The layer whose statistics are wanted was reached."""


@dataclass
class _Pass:
    """All tiles through a network, as far as one norm layer."""

    net: nn.Module
    canvas: Canvas
    device: torch.device
    name: str
    found: Statistics
    core: int
    halo: int

    def __len__(self) -> int:
        return count(self.canvas.padded, self.core)

    def run(self) -> Generator[Tile, None, None]:
        """Each tile once it is counted; the layer's statistics are found once this is exhausted."""
        moments = Moments()
        tiles = walk(self.canvas.padded, self.core, self.halo, phase=self.canvas.phase)
        with ahead(map(self._read, tiles), 2) as loaded:
            for tile, encoded in loaded:
                if encoded.valid[inside(tile)].any():
                    self._count(tile, encoded, moments)
                yield tile
        self.found[self.name] = moments.result()

    def _read(self, tile: Tile) -> tuple[Tile, Encoded]:
        return tile, self.canvas.read(tile.read)

    def _count(self, tile: Tile, encoded: Encoded, moments: Moments) -> None:
        def ask(name: str, x: Tensor) -> tuple[Tensor, Tensor]:
            if name != self.name:
                return self.found[name]
            rows, cols = (
                _scaled(part, n, size, self.name)
                for part, n, size in zip(
                    inside(tile), x.shape[-2:], encoded.valid.shape, strict=True
                )
            )
            core = x[0, :, rows, cols]
            valid = torch.from_numpy(np.ascontiguousarray(encoded.valid[inside(tile)])).to(x.device)
            share = F.adaptive_avg_pool2d(valid.float()[None, None], core.shape[-2:])[0, 0]
            moments.add(core, share)
            raise _Enough

        images = torch.from_numpy(encoded.pixels[None])
        images = images.to(self.device, memory_format=torch.channels_last)
        try:
            with asking(self.net, ask):
                self.net(images)
        except _Enough:
            return


def _deviations(values: Tensor, weights: Tensor, total: float) -> tuple[Tensor, Tensor]:
    mean = (values * weights).sum((1, 2)) / total
    squares = ((values - mean[:, None, None]).square_() * weights).sum((1, 2))
    return mean, squares


def _scaled(part: slice, positions: int, pixels: int, name: str) -> slice:
    """A slice of pixels as one of a layer's positions.

    Raises:
        TranslationError: It cuts a position.
    """
    if part.start * positions % pixels or part.stop * positions % pixels:
        raise TranslationError(
            f"norm layer {name} has {positions} positions for {pixels} px, so its statistics can't "
            "be gathered exactly in tiles; use statistics='sampled'"
        )
    return slice(part.start * positions // pixels, part.stop * positions // pixels)
