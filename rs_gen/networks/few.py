"""Convolutions over few positions, or to few channels, in ways that a CPU trains quicker.

Where an image is a few pixels wide and has hundreds of channels, as at the deep end of a U-Net, a
convolution is all weights: oneDNN spends such a step turning them and their gradients into its own
layout and back. A matrix product takes them as they lie (``benchmarks/train_step.py``). That is
only for training: while applying, a tile and the whole image must be computed one way, whatever
their size. For few channels see ``narrow``.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .layers import two
from .narrow import four_biases, four_kernels, is_narrow

FEW = 256  # positions, over the batch; above, a convolution is as fast or faster


class Conv2d(nn.Conv2d):
    """``nn.Conv2d`` with the same weights and results; see the module."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) to (B, out, H', W')."""
        step, pad, size = self.stride[0], int(self.padding[0]), self.kernel_size[0]
        if not _pays(x, x.shape[0] * (x.shape[2] // step) * (x.shape[3] // step)):
            return self._four_at_once(x) if self._is_narrow(x) else super().forward(x)
        x = F.pad(x.permute(0, 2, 3, 1), (0, 0, pad, pad, pad, pad))
        seen = x.unfold(1, size, step).unfold(2, size, step)  # (B, H', W', in, k, k)
        seen = seen.permute(0, 1, 2, 4, 5, 3)
        batch, rows, cols = seen.shape[:3]
        weight = self.weight.permute(0, 2, 3, 1).flatten(1)
        y = F.linear(seen.reshape(batch * rows * cols, -1), weight, self.bias)
        return y.view(batch, rows, cols, -1).permute(0, 3, 1, 2)

    def _is_narrow(self, x: Tensor) -> bool:
        """Whether four pixels are to be computed at once, and come out even."""
        pad, size = int(self.padding[0]), self.kernel_size[0]
        even = all((n + 2 * pad - size + 1) % 2 == 0 for n in x.shape[2:])
        return even and _trains(x) and is_narrow(self.weight, self.stride, self.dilation)

    def _four_at_once(self, x: Tensor) -> Tensor:
        bias = None if self.bias is None else four_biases(self.bias)
        y = F.conv2d(x, four_kernels(self.weight), bias, 2, int(self.padding[0]))
        return F.pixel_shuffle(y, 2)


class ConvTranspose2d(nn.ConvTranspose2d):
    """``nn.ConvTranspose2d`` with the same weights and results; see the module."""

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """(B, in, H, W) to (B, out, H', W')."""
        batch, channels, rows, cols = x.shape
        if output_size is not None or not _pays(x, batch * rows * cols):
            return super().forward(x, output_size)
        step, pad, size = self.stride[0], int(self.padding[0]), self.kernel_size[0]
        weight = self.weight.permute(0, 2, 3, 1).flatten(1)  # (in, k * k * out)
        parts = x.permute(0, 2, 3, 1).reshape(-1, channels) @ weight
        parts = parts.view(batch, rows * cols, size * size, -1).permute(0, 3, 2, 1).flatten(1, 2)
        shape = [(n - 1) * step - 2 * pad + size for n in (rows, cols)]
        y = F.fold(parts, shape, size, padding=pad, stride=step)
        return y if self.bias is None else y + self.bias[:, None, None]


_QUICK: dict[type, type] = {nn.Conv2d: Conv2d, nn.ConvTranspose2d: ConvTranspose2d}


def quicken(net: nn.Module) -> None:
    """Let the convolutions of a network take the quicker way while it trains, where they can."""
    for layer in net.modules():
        if type(layer) in _QUICK and _simple(layer):
            layer.__class__ = _QUICK[type(layer)]


def calm(net: nn.Module) -> None:
    """Undo ``quicken``."""
    for layer in net.modules():
        if isinstance(layer, Conv2d | ConvTranspose2d):
            layer.__class__ = type(layer).__base__


def _simple(conv: nn.Module) -> bool:
    """Square, dense, wider than one position, and padded with zeros by a number."""
    options = [two(getattr(conv, name)) for name in ("kernel_size", "stride", "padding")]
    square = all(a == b and isinstance(a, int) for a, b in options)
    dense = two(conv.dilation) == (1, 1) and conv.groups == 1 and conv.padding_mode == "zeros"
    whole = two(getattr(conv, "output_padding", 0)) == (0, 0)
    return square and dense and whole and conv.kernel_size[0] > 1


def _pays(x: Tensor, positions: int) -> bool:
    return _trains(x) and positions <= FEW


def _trains(x: Tensor) -> bool:
    return torch.is_grad_enabled() and x.device.type == "cpu"
