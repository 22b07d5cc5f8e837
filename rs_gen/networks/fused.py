"""Convolutions that pad, normalise and activate in one go, for networks that are only applied.

Where torch was built with oneDNN, as on most CPUs, one kernel convolves, adds a float32 bias and
activates. Elsewhere the same layers take the usual steps.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .narrow import four_biases, four_kernels, is_narrow

Sides = tuple[bool, bool, bool, bool]  # top, bottom, left, right
CLOSED: Sides = (False, False, False, False)


class Activation(NamedTuple):
    """What follows a convolution: a oneDNN post-op by name, and its numbers."""

    name: str = "none"
    numbers: tuple[float, ...] = ()

    @classmethod
    def of(cls, layer: Any) -> Activation | None:
        """That of a layer; None where there is no such post-op."""
        if isinstance(layer, nn.LeakyReLU):
            return cls("leaky_relu", (layer.negative_slope,))
        if isinstance(layer, nn.Hardtanh):  # ReLU6 is one
            return cls("hardtanh", (layer.min_val, layer.max_val))
        return cls("relu") if isinstance(layer, nn.ReLU) else None

    def __call__(self, x: Tensor) -> Tensor:
        """The same in plain torch, in place."""
        if self.name == "none":
            return x
        return getattr(F, self.name)(x, *self.numbers, inplace=True)


class Fused(nn.Module):
    """A convolution with what stood before and behind it.

    Args:
        conv: Its numbers and weights are taken over; it is left alone.
        pads: (before, behind) along rows and columns alike, in positions.
        reflect: Pads mirror the image rather than hold zeros.

    Attributes:
        valid: On an open side nothing is padded, so that the image becomes smaller there.
        narrow: Four pixels are computed at once; the weights are then those of four.
    """

    def __init__(self, conv: nn.Conv2d, pads: tuple[int, int] | None = None, reflect: bool = False):
        super().__init__()
        self.weight: Tensor
        self.bias: Tensor
        self.register_buffer("weight", conv.weight.detach())
        bias = conv.bias.detach().float() if conv.bias is not None else None
        self.register_buffer(
            "bias", self.weight.new_zeros(conv.out_channels) if bias is None else bias
        )
        self.stride, self.dilation, self.groups = conv.stride, conv.dilation, conv.groups
        self.kernel = conv.kernel_size
        self.pads = pads or (conv.padding[0], conv.padding[0])  # type: ignore[assignment]
        self.reflect, self.valid = reflect, False
        self.activation = Activation()
        self.quick = self.narrow = False

    channel = 0  # of the weights, along which the output's channels lie

    def scale(self, gain: Tensor, offset: Tensor) -> None:
        """Multiply the output's channels, then add; float64 in between."""
        shape = [1, 1, 1, 1]
        shape[self.channel] = -1
        self.weight = (self.weight.double() * gain.view(shape)).to(self.weight.dtype)
        self.bias = (self.bias.double() * gain + offset).to(self.bias.dtype)

    def pack(self, dtype: torch.dtype) -> None:
        """Keep the weights in the precision that they are used in."""
        self.quick = self.weight.device.type == "cpu" and has_post_ops(dtype)
        if self.channel == 0 and self.groups == 1:
            self.narrow = is_narrow(self.weight, self.stride, self.dilation)
        if self.narrow:
            self.weight, self.bias = four_kernels(self.weight), four_biases(self.bias)
        self.weight = self.weight.to(dtype).contiguous(memory_format=torch.channels_last)
        self.bias = self.bias.float() if self.quick else self.bias.to(dtype)

    def forward(self, x: Tensor, sides: Sides = CLOSED) -> Tensor:
        """(B, C, H, W) to (B, C', H', W') in the dtype of the weights.

        Args:
            x: Converted to that dtype.
            sides: Which ones are open: cut through the raster, rather than at its edge.
        """
        x = x.to(self.weight.dtype)
        top, bottom, left, right = (
            0 if self.valid and is_open else pad
            for is_open, pad in zip(sides, self.pads * 2, strict=True)
        )
        padding = (0, 0)
        if self.reflect:
            x = reflected(x, top, bottom, left, right)
        elif top == bottom and left == right:
            padding = (top, left)
        else:
            x = F.pad(x, (left, right, top, bottom))
        return self.convolve(x, padding)

    def convolve(self, x: Tensor, padding: tuple[int, int]) -> Tensor:
        """The arithmetic."""
        if not self.narrow:
            return self._once(x, padding, self.stride)
        height, width = (
            n + 2 * pad - size + 1
            for n, pad, size in zip(x.shape[2:], padding, self.kernel, strict=True)
        )
        if height % 2 or width % 2:  # one way for every size, so that tiles agree
            x = F.pad(x, (0, width % 2, 0, height % 2))
        four = F.pixel_shuffle(self._once(x, padding, (2, 2)), 2)
        return four[..., :height, :width]

    def _once(self, x: Tensor, padding: tuple[int, int], stride: tuple[int, ...]) -> Tensor:
        if self.quick:
            return torch.ops.mkldnn._convolution_pointwise(
                x, self.weight, self.bias, padding, stride, self.dilation, self.groups,
                self.activation.name, list(self.activation.numbers), "",
            )  # fmt: skip
        y = F.conv2d(x, self.weight, self.bias, stride, padding, self.dilation, self.groups)
        return self.activation(y)

    def extra_repr(self) -> str:
        """What ``repr`` shows."""
        return f"{tuple(self.weight.shape)}, stride={self.stride}, {self.activation.name}"


class FusedTransposed(Fused):
    """The same of a transposed convolution, whose own padding cuts rather than pads."""

    channel = 1

    def __init__(self, conv: nn.ConvTranspose2d):
        super().__init__(conv, pads=(0, 0))  # type: ignore[arg-type]
        self.padding, self.more = conv.padding, conv.output_padding

    def convolve(self, x: Tensor, padding: tuple[int, int]) -> Tensor:
        """The arithmetic."""
        y = F.conv_transpose2d(
            x, self.weight, self.bias.to(x.dtype), self.stride, self.padding,  # type: ignore[arg-type]
            self.more, self.groups, self.dilation,
        )  # fmt: skip
        return self.activation(y)


def reflected(x: Tensor, top: int, bottom: int, left: int, right: int) -> Tensor:
    """Reflection padding that keeps channels_last; torch's own goes through a copy without it."""
    if not (top or bottom or left or right):
        return x
    b, c, h, w = x.shape
    y = torch.empty(
        (b, c, h + top + bottom, w + left + right), dtype=x.dtype, device=x.device,
        memory_format=torch.channels_last,
    )  # fmt: skip
    y[:, :, top : top + h, left : left + w] = x
    rows = slice(top, top + h)
    for i in range(1, left + 1):
        y[:, :, rows, left - i] = y[:, :, rows, left + i]
    for i in range(right):
        y[:, :, rows, left + w + i] = y[:, :, rows, left + w - 2 - i]
    for i in range(1, top + 1):
        y[:, :, top - i] = y[:, :, top + i]
    for i in range(bottom):
        y[:, :, top + h + i] = y[:, :, top + h - 2 - i]
    return y


@cache
def has_post_ops(dtype: torch.dtype) -> bool:
    """Whether this torch convolves and activates in one kernel on this CPU, and rightly so."""
    if dtype == torch.float64 or not torch.backends.mkldnn.is_available():
        return False
    x = torch.linspace(-1, 1, 2 * 4 * 5 * 5).view(2, 4, 5, 5).to(dtype)
    weight = torch.linspace(-1, 1, 4 * 4 * 3 * 3).view(4, 4, 3, 3).to(dtype)
    bias = torch.linspace(-1, 1, 4)
    try:
        got = torch.ops.mkldnn._convolution_pointwise(
            x, weight, bias, (1, 1), (1, 1), (1, 1), 1, "leaky_relu", [0.2], ""
        )
    except (AttributeError, RuntimeError, TypeError):  # another torch, another CPU
        return False
    wanted = F.leaky_relu(F.conv2d(x.float(), weight.float(), bias, padding=1), 0.2)
    return bool(got.dtype == dtype and torch.allclose(got.float(), wanted, atol=0.02, rtol=0.02))
