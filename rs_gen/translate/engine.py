"""A generator made ready to be applied: on its device, in its precision, with frozen statistics."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from rasterio.windows import Window
from torch import nn

from ..errors import TranslationError
from ..networks.digest import digest
from ..networks.folding import fold
from ..networks.fused import CLOSED, Sides
from ..networks.norm import freeze, unfreeze
from ..networks.trimming import trim
from .statistics import Statistics

__all__ = ["Engine", "digest", "ready", "uniform"]


def ready(net: nn.Module, device: torch.device) -> nn.Module:
    """A copy of a network in evaluation mode, on a device, laid out for fast convolution.

    A copy, so that freezing statistics here never reaches a network that is still trained.
    """
    net = copy.deepcopy(net).eval().requires_grad_(False)
    return net.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]


class Engine:
    """Encoded images in, encoded images out.

    Args:
        net: As ``ready`` gives it.
        device: Where it is.
        dtype: To autocast to; None stays in float32.
        halo: Pixels read around the cores of tiles. While statistics are frozen, the network is
            then run with its norms folded away, its activations fused and without the arithmetic
            that a core does not need. None runs it as it is.

    Attributes:
        spent: Pixels that an answer lacks at each open side of a tile, (before, behind); None
            where all sides must be closed.
    """

    def __init__(
        self,
        net: nn.Module,
        device: torch.device,
        dtype: torch.dtype | None = None,
        *,
        halo: int | None = None,
    ):
        self.net, self.device, self.dtype, self.halo = net, device, dtype, halo
        self.spent: tuple[int, int] | None = None
        self._applied = net

    def __call__(self, pixels: np.ndarray, origins: Sequence[tuple[int, int]] = ()) -> np.ndarray:
        """(B, C_in, H, W) float32 in [-1, 1] to (B, C_out, H, W) float32 in [-1, 1].

        Args:
            pixels: Encoded windows of a canvas.
            origins: (row, col) of each on the canvas, for engines to which the place matters; to
                this one it does not.

        Raises:
            TranslationError: The network gave NaN or infinity.
        """
        return self._run(pixels, (slice(None), slice(None)))

    def cores(
        self,
        pixels: np.ndarray,
        keep: tuple[slice, slice],
        sides: Sides = CLOSED,
        origins: Sequence[tuple[int, int]] = (),
    ) -> np.ndarray:
        """What a call gives, of these rows and columns alone.

        Args:
            pixels: (B, C_in, H, W), read windows of tiles.
            keep: Rows and columns of ``pixels`` to answer for.
            sides: Which sides were cut through the raster, at least a halo away from ``keep``;
                what is padded at the others is the raster's own edge.
            origins: As for a call.

        Raises:
            TranslationError: The network gave NaN or infinity.
        """
        if self.spent is None or not any(sides):
            return self(pixels, origins)[:, :, keep[0], keep[1]]
        top, left = (self.spent[0] if is_open else 0 for is_open in (sides[0], sides[2]))
        return self._run(pixels, (_shifted(keep[0], top), _shifted(keep[1], left)), sides)

    def as_trained(self, pixels: np.ndarray, origins: Sequence[tuple[int, int]] = ()) -> np.ndarray:
        """A call of the network as it is, with nothing folded: what all else must equal."""
        applied, self._applied = self._applied, self.net
        try:
            return self(pixels, origins)
        finally:
            self._applied = applied

    @torch.inference_mode()
    def _run(self, pixels: np.ndarray, keep: tuple[slice, slice], *sides: Sides) -> np.ndarray:
        images = torch.from_numpy(pixels).to(self.device, memory_format=torch.channels_last)
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype is not None):
            fake = self._applied(images, *sides)[:, :, keep[0], keep[1]]
        if not torch.isfinite(fake).all():
            remedy = "; try mixed_precision=False" if self.dtype else ": its weights are broken"
            raise TranslationError(f"the generator gave values that are not numbers{remedy}")
        return fake.float().cpu().numpy()

    @contextmanager
    def frozen(self, statistics: Statistics | None) -> Iterator[Engine]:
        """Inside, every normalisation layer uses these statistics; None: those of each image."""
        if statistics:
            freeze(self.net, statistics)
        try:
            if self.halo is not None and statistics is not None and uniform(statistics):
                folded = fold(self.net, self.dtype)
                left = trim(folded, self.halo)
                self.spent = left and (self.halo - left[0], self.halo - left[1])
                self._applied = folded
            yield self
        finally:
            unfreeze(self.net)
            self._applied, self.spent = self.net, None


def open_sides(read: Window, shape: tuple[int, int]) -> Sides:
    """Which sides of a window lie inside a raster: top, bottom, left, right."""
    return (
        read.row_off > 0, read.row_off + read.height < shape[0],
        read.col_off > 0, read.col_off + read.width < shape[1],
    )  # fmt: skip


def uniform(statistics: Statistics) -> bool:
    """Whether every layer has one mean and one variance a channel, for all places."""
    return all(each.numel() == each.shape[1] for pair in statistics.values() for each in pair)


def _shifted(part: slice, by: int) -> slice:
    return slice(part.start - by, part.stop - by)
