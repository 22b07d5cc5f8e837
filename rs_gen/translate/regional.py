"""Normalisation statistics that change over a raster, smoothly, and never with its tiles.

Instance norms learn on chips: a street on a chip of a city, a wave on a chip of water. One set of
numbers for a raster that holds both suits neither. Here they are taken at the nodes of a lattice
that is fixed on the ground, each from a window as large as a training chip, and every pixel
divides by what lies between the four nodes around it. Place alone decides, so tiles agree.
"""

from __future__ import annotations

import math
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import NamedTuple, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from rasterio.windows import Window
from torch import Tensor, nn

from ..networks.norm import asking, norm_layers
from ..raster.grid import Grid
from .canvas import Canvas, round_up
from .engine import Engine
from .statistics import gather, sampled_statistics

T = TypeVar("T")
Origin = tuple[int, int]  # (row, col)
Node = tuple[int, int]  # (u, v), in steps of the lattice

_SPACING = 2  # windows from a node to the next, about: a window sees a quarter of its cell
_GOOD, _LEAST = 0.5, 1 / 16  # valid share of a window that is as good as any; that is of some use
_RINGS = 2  # of nodes around an empty one that it borrows from
_NINE = [(0.0, 0.0)] + [(i, j) for i in (-0.5, 0, 0.5) for j in (-0.5, 0, 0.5) if i or j]
_MEMORY = 2**28  # bytes of nodes that are remembered


class Lattice(NamedTuple):
    """Nodes at whole multiples of a step in CRS units, so that rasters of one CRS share them.

    Attributes:
        grid: Of the raster.
        step: (x, y) in CRS units, powers of two: rasters of nearly one resolution share them too.
    """

    grid: Grid
    step: tuple[float, float]

    @classmethod
    def of(cls, grid: Grid, side: int) -> Lattice:
        """About two windows of ``side`` pixels from a node to the next."""
        t = grid.transform
        pixel = abs(t.a) + abs(t.b), abs(t.d) + abs(t.e)
        x, y = (2.0 ** round(math.log2(_SPACING * side * size)) for size in pixel)
        return cls(grid, (x, y))

    def at(self, rows: np.ndarray, cols: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(u, v) of places in pixel space, in steps: nodes are where both are whole."""
        x, y = self.grid.at(cols, rows)  # type: ignore[arg-type] # arithmetic, so arrays will do
        return x / self.step[0], y / self.step[1]  # type: ignore[return-value]

    def pixel(self, node: Node) -> tuple[float, float]:
        """(row, col), with fractions, of a node (u, v)."""
        col, row = self.grid.pixel_at(node[0] * self.step[0], node[1] * self.step[1])
        return row, col


class Regional:
    """The statistics of a raster's instance norms at any place of it.

    A node's are those of a window around it, put through the network by itself as a training chip
    is. Of nine places in the node's cell the first that is half valid is taken, else the fullest;
    a cell with next to nothing valid borrows the mean of the nodes around it, or takes those of a
    sample of the raster. Nodes are computed when first needed and the latest are remembered, so
    memory does not grow with the raster, and an area costs no more than itself.

    Args:
        net: In evaluation mode, on ``device``.
        canvas: Of the whole raster.
        side: Of a window in pixels; the training chips'.
        floats: Numbers in the network's largest activation for each pixel of its input.
        device: Where to compute, in float32.
    """

    def __init__(
        self, net: nn.Module, canvas: Canvas, *, side: int, floats: float, device: torch.device
    ):
        self.net, self.canvas, self.floats, self.device = net, canvas, floats, device
        self.side = round_up(side, canvas.phase)
        self.lattice = Lattice.of(canvas.reader.grid, self.side)
        self.slices: dict[str, slice] = {}
        channels = 0
        for name, layer in norm_layers(net).items():
            self.slices[name] = slice(channels, channels := channels + layer.channels)
        self._channels = channels
        self._most = max(64, _MEMORY // max(2 * 4 * channels, 1))
        self._own: OrderedDict[Node, Tensor | None] = OrderedDict()
        self._known: OrderedDict[Node, Tensor] = OrderedDict()
        self._sample: Tensor | None = None

    def node(self, node: Node) -> Tensor:
        """(2, C) means and variances of all layers, in order, at a node (u, v)."""
        return _remembered(self._known, node, self._made, self._most)

    def fill(self) -> Regional:
        """Compute all nodes that this raster needs, so that its reader may be closed."""
        self._most = sys.maxsize
        Patch(self, (0, 0), self.canvas.padded)
        return self

    def _made(self, node: Node) -> Tensor:
        own = self._measured(node)
        for ring in range(1, _RINGS + 1):
            if own is None:
                near = [self._measured(other) for other in _ring(node, ring)]
                found = [values for values in near if values is not None]
                own = torch.stack(found).mean(0) if found else None
        return self._of_all() if own is None else own

    def _measured(self, node: Node) -> Tensor | None:
        return _remembered(self._own, node, self._measure, self._most)

    @torch.inference_mode()
    def _measure(self, node: Node) -> Tensor | None:
        """Of the node's window; None where its cell has next to nothing valid."""
        best, share = None, _LEAST
        for window in self.windows(node):
            encoded = self.canvas.read(window)
            found = float(encoded.valid.mean())
            if found > share or (best is None and found == share):
                best, share = encoded, found
            if found >= _GOOD:
                break
        if best is None:
            return None
        pixels = torch.from_numpy(best.pixels[None]).to(self.device)
        valid = torch.from_numpy(best.valid[None, None]).to(self.device)
        return self._joined(gather(self.net, pixels, valid))

    def windows(self, node: Node) -> Iterator[Window]:
        """The window around a node, then those around it in its cell, inside the canvas."""
        row, col = self.lattice.pixel(node)
        seen = set()
        for down, right in _NINE:
            place = []
            for at, move, n in zip((row, col), (down, right), self.canvas.padded, strict=True):
                size = min(self.side, n)
                start = round((at + (move - 0.5) * size) / self.canvas.phase) * self.canvas.phase
                place.append((min(max(start, 0), n - size), size))
            (top, height), (left, width) = place
            if (top, left) not in seen:
                seen.add((top, left))
                yield Window(left, top, width, height)

    def _of_all(self) -> Tensor:
        if self._sample is None:
            found = sampled_statistics(
                self.net, self.canvas, side=self.side, floats=self.floats, device=self.device
            )
            nothing = torch.stack([torch.zeros(self._channels), torch.ones(self._channels)])
            self._sample = nothing if found is None else self._joined(found)
        return self._sample

    def _joined(self, statistics: Mapping[str, tuple[Tensor, Tensor]]) -> Tensor:
        sides = zip(*(statistics[name] for name in self.slices), strict=True)
        return torch.stack([torch.cat([part.flatten() for part in side]) for side in sides]).cpu()


class Patch:
    """Statistics of every layer at every place of a window.

    Args:
        regional: Of the raster.
        origin: (row, col) of the window.
        shape: (height, width) of the window in pixels.
    """

    def __init__(self, regional: Regional, origin: Origin, shape: tuple[int, int]):
        self.regional, self.origin, self.shape = regional, origin, shape
        rows = np.array([[origin[0]], [origin[0] + shape[0]]], float)
        cols = np.array([[origin[1], origin[1] + shape[1]]], float)
        u, v = regional.lattice.at(rows, cols)
        self._first = math.floor(u.min()), math.floor(v.min())
        last = math.floor(u.max()) + 1, math.floor(v.max()) + 1
        self._across = last[0] - self._first[0] + 1
        around = [
            regional.node((i, j))
            for j in range(self._first[1], last[1] + 1)
            for i in range(self._first[0], last[0] + 1)
        ]
        self._nodes = torch.stack(around)  # (nodes, 2, C) of all layers, u fastest
        self._between: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}

    def ask(self, name: str, x: Tensor) -> tuple[Tensor, Tensor]:
        """(1, C, h, w) of means and of variances for a layer's input, (1, C, h, w)."""
        height, width = x.shape[-2:]
        if (height, width) not in self._between:
            index, weight = self.between(height, width)
            self._between[height, width] = index.to(x.device), weight.to(x.device)
        index, weight = self._between[height, width]
        mean, var = (
            # A weighted sum of four nodes a position, with the channels last as x has them.
            F.embedding_bag(index, values.contiguous(), per_sample_weights=weight, mode="sum")
            .view(1, height, width, -1)
            .permute(0, 3, 1, 2)
            for values in self._nodes[:, :, self.regional.slices[name]].to(x.device).unbind(1)
        )
        return mean, var

    def between(self, height: int, width: int) -> tuple[Tensor, Tensor]:
        """(positions, 4) of the nodes around a layer's positions, and their bilinear weights."""
        rows = self.origin[0] + (np.arange(height) + 0.5) * (self.shape[0] / height)
        cols = self.origin[1] + (np.arange(width) + 0.5) * (self.shape[1] / width)
        u, v = self.regional.lattice.at(rows[:, None], cols[None, :])
        left, top = np.floor(u), np.floor(v)
        right, low = u - left, v - top
        corner = (top - self._first[1]) * self._across + left - self._first[0]
        index = [corner, corner + 1, corner + self._across, corner + self._across + 1]
        weight = [(1 - right) * (1 - low), right * (1 - low), (1 - right) * low, right * low]
        return _flat(index, "int64"), _flat(weight, "float32")


class RegionalEngine(Engine):
    """An engine whose norms divide by what holds at each pixel's place.

    Args:
        engine: Whose network, device and precision it uses.
        regional: Statistics of the raster.
    """

    def __init__(self, engine: Engine, regional: Regional):
        super().__init__(engine.net, engine.device, engine.dtype)
        self.regional = regional

    def __call__(self, pixels: np.ndarray, origins: Sequence[Origin] = ()) -> np.ndarray:
        """As an engine, for windows of the canvas at ``origins``; none is its first pixel."""
        made = []
        for image, origin in zip_longest(pixels, origins, fillvalue=(0, 0)):
            patch = Patch(self.regional, origin, image.shape[-2:])
            with asking(self.net, patch.ask):
                made.append(super().__call__(image[None]))
        return np.concatenate(made)


def _flat(corners: list[np.ndarray], dtype: str) -> Tensor:
    """Four (h, w) as (h * w, 4)."""
    return torch.from_numpy(np.stack(corners, -1).reshape(-1, 4).astype(dtype))


def _ring(node: Node, radius: int) -> Iterator[Node]:
    """Nodes around a node, in an order of their own."""
    steps = range(-radius, radius + 1)
    for j in steps:
        for i in steps:
            if max(abs(i), abs(j)) == radius:
                yield node[0] + i, node[1] + j


def _remembered(held: OrderedDict[Node, T], node: Node, make: Callable[[Node], T], most: int) -> T:
    """What is held for a node, or made now; the ones not wanted for longest are forgotten."""
    if node not in held:
        held[node] = make(node)
        while len(held) > most:
            held.popitem(last=False)
    held.move_to_end(node)
    return held[node]
