"""Convolutions to few channels, such as the last one of a generator, four pixels at once.

On a CPU oneDNN computes at least 16 channels, and an image has three. With each kernel moved by
none or one pixel, down and across, four pixels become 12 channels at half the resolution: the same
sums, in half the time.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

CHANNELS = 4  # at most; four pixels of them are the 16 that are computed anyway
KERNEL = 4  # pixels at least: a kernel grows by one, and a small one by too large a share


def is_narrow(weight: Tensor, stride: tuple[int, ...], dilation: tuple[int, ...]) -> bool:
    """Whether four pixels at once are quicker.

    Args:
        weight: (C', C, k, k) of a convolution that is not grouped.
        stride: Of its rows and columns.
        dilation: Likewise.
    """
    plain = set(stride) == set(dilation) == {1} and weight.device.type == "cpu"
    return plain and len(weight) <= CHANNELS and min(weight.shape[2:]) >= KERNEL


def four_kernels(weight: Tensor) -> Tensor:
    """(C', C, k, k) to (4C', C, k + 1, k + 1), in the order of ``F.pixel_shuffle``."""
    moved = [F.pad(weight, (j, 1 - j, i, 1 - i)) for i in (0, 1) for j in (0, 1)]
    return torch.stack(moved, 1).flatten(0, 1)


def four_biases(bias: Tensor) -> Tensor:
    """(C',) to (4C',)."""
    return bias.repeat_interleave(4)
