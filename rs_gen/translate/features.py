"""What a generator itself makes of a raster half-way through: a vector for each block of ground."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..errors import SettingError
from ..networks.blocks import smallest_side
from ..networks.norm import ChannelNorm, InstanceNorm
from .canvas import round_up

COARSEST = 16  # pixels: a layer of larger steps sees too few places of a block
BLOCK = 32  # pixels along the side of a block, or the layer's step where that is more
_NORMS = (InstanceNorm, _BatchNorm, ChannelNorm, nn.InstanceNorm2d, nn.GroupNorm)


class Encoder(nn.Module):
    """A generator that stops half-way: (B, C, H, W) to (B, D, H / step, W / step).

    It stops in the middle of the normalisations (or, without any, of the convolutions) at the
    coarsest resolution of at most 16 px a step: inside the bottleneck of a ResNet, at the end of
    the encoder of a U-Net.

    Args:
        net: The generator, in evaluation mode; not copied.
        bands: That it takes.
        phase: Of the generator, in pixels.

    Attributes:
        layer: Dotted name of where it stops.
        step: Pixels from one position to the next.
        features: D.
    """

    def __init__(self, net: nn.Module, bands: int, phase: int):
        super().__init__()
        self.net = net
        self.layer, self.step, self.features = _bottleneck(net, bands, smallest_side(net, phase))

    @property
    def block(self) -> int:
        """Side of a block in pixels."""
        return round_up(BLOCK, self.step)

    def forward(self, images: Tensor) -> Tensor:
        """The features, before anything else could change them in place."""
        found: list[Tensor] = []

        def stop(_: nn.Module, __: object, out: Tensor) -> None:
            found.append(out)
            raise _FarEnough

        handle = self.net.get_submodule(self.layer).register_forward_hook(stop)
        try:
            self.net(images)
        except _FarEnough:
            pass
        finally:
            handle.remove()
        return found[0]


class _FarEnough(Exception):  # noqa: N818 - a signal
    """The features are there, the rest of the network need not run."""


def block_vectors(
    features: np.ndarray, valid: np.ndarray, step: int, block: int
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of every feature over each block.

    Args:
        features: (D, h, w), one position for ``step`` pixels.
        valid: (H, W) of the pixels; a position counts by its share of valid ones.
        step: In pixels.
        block: Side of a block in pixels, a multiple of ``step``; the last ones may be cut short.

    Returns:
        (rows, cols, 2 D) float64, and (rows, cols) the valid share of each block's positions:
        0 where nothing was measured, and the vector means nothing.
    """
    share = _pooled(valid.astype(np.float64), step)[: features.shape[1], : features.shape[2]]
    side = block // step
    total = _sums(share, side)
    safe = np.maximum(total, 1e-12)
    mean = _sums(features * share, side) / safe
    square = _sums(np.square(features, dtype=np.float64) * share, side) / safe
    deviation = np.sqrt(np.maximum(square - np.square(mean), 0))
    return np.moveaxis(np.concatenate([mean, deviation]), 0, -1), total / side**2


def _pooled(values: np.ndarray, step: int) -> np.ndarray:
    """(H, W) to the mean of each ``step`` x ``step`` pixels; beyond the edge lies 0."""
    return _sums(values, step) / step**2


def _sums(values: np.ndarray, side: int) -> np.ndarray:
    """(..., H, W) to the sum of each ``side`` x ``side``, in float64."""
    *rest, height, width = values.shape
    rows, cols = round_up(height, side), round_up(width, side)
    padding = [(0, 0)] * len(rest) + [(0, rows - height), (0, cols - width)]
    whole = np.pad(values, padding) if (rows, cols) != (height, width) else values
    parts = whole.reshape(*rest, rows // side, side, cols // side, side)
    summed: np.ndarray = parts.sum(axis=(-3, -1), dtype=np.float64)
    return summed


@torch.inference_mode()
def _bottleneck(net: nn.Module, bands: int, side: int) -> tuple[str, int, int]:
    """Name, step and features of the layer to stop at, found by an empty image."""
    found: dict[str, tuple[int, int]] = {}
    names = {module: name for name, module in net.named_modules()}

    def look(module: nn.Module, _: object, out: object) -> None:
        if isinstance(out, Tensor) and out.dim() == 4:
            found[names[module]] = max(1, round(side / out.shape[-1])), out.shape[1]

    hooks = [module.register_forward_hook(look) for module in net.modules()]
    try:
        parameter = next(net.parameters(), torch.zeros(()))
        net(torch.zeros(1, bands, side, side, device=parameter.device))
    finally:
        for hook in hooks:
            hook.remove()
    for kinds in (_NORMS, (nn.Conv2d,), (nn.Module,)):
        fine = {
            name: step
            for name, (step, _) in found.items()
            if step <= COARSEST and isinstance(net.get_submodule(name), kinds)
        }
        if fine:
            coarsest = [name for name, step in fine.items() if step == max(fine.values())]
            chosen = coarsest[(len(coarsest) - 1) // 2]
            return chosen, *found[chosen]
    raise SettingError(f"{type(net).__name__} has no layer of at most {COARSEST} px a step")
