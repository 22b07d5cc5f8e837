"""The generator of Pix2Pix: an encoder and a decoder that meet at every resolution."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..errors import SettingError
from .blocks import Generator, init_normal, needs_bias
from .norm import norm as norm_of


class UNet(Generator):
    """A U-Net, (B, in, H, W) to (B, out, H, W) in [-1, 1]."""

    def __init__(self, outermost: nn.Module, phase: int, smallest: int):
        super().__init__(phase=phase, smallest=smallest)
        self.model = outermost


class Skip(nn.Module):
    """One level: down, what lies below, up; then joined to what came in along the channels.

    The first layer works in place, so the skip carries the activated input, as in the released
    code. The ReLU that follows every join makes both the same function.
    """

    def __init__(self, *layers: nn.Module):
        super().__init__()
        self.model = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, 2C, H, W)."""
        return torch.cat([x, self.model(x)], 1)


def unet_generator(
    in_channels: int,
    out_channels: int,
    width: int = 64,
    depth: int = 8,
    *,
    norm: str = "batch",
    dropout: float = 0.5,
) -> UNet:
    """Image to image through a bottleneck: (B, in, H, W) to (B, out, H, W) in [-1, 1].

    H and W must be multiples of ``2**depth``. The defaults are the published layers (Isola et
    al. 2017, section 6.1.1), with 54,413,955 parameters from 3 to 3 bands; the weights released
    with that paper load by name once their prefix ``model.`` is dropped.

    Args:
        in_channels: Bands in.
        out_channels: Bands out.
        width: Channels after the first halving; deeper levels have up to 8 times as many.
        depth: Halvings, 5 to 8: 8 for chips of 256 px, 7 for 128 px.
        norm: ``"batch"`` (published; running statistics in eval mode, so tiles agree),
            ``"instance"``, ``"pixel"`` or ``"none"``.
        dropout: Share dropped in the ``depth - 5`` widest decoder levels, 0 to below 1.

    Raises:
        SettingError: ``depth`` or ``dropout`` is out of range, or a count is not positive.
        UnknownNameError: ``norm`` is not one of the four.
    """
    if min(in_channels, out_channels, width) < 1:
        raise SettingError(
            f"in_channels={in_channels}, out_channels={out_channels} and width={width} "
            "must be at least 1"
        )
    if not 5 <= depth <= 8:
        raise SettingError(f"depth={depth} is not in 5 to 8")
    if not 0 <= dropout < 1:
        raise SettingError(f"dropout={dropout} is not in 0 to below 1")
    widths = [width * min(2**i, 8) for i in range(depth)]
    bias = needs_bias(norm)
    level = _innermost(widths[-2], widths[-1], norm, bias)
    for i in range(depth - 2, 0, -1):
        level = _level(widths[i - 1], widths[i], level, norm, bias, dropout * (4 <= i < depth - 1))
    outermost = nn.Sequential(
        nn.Conv2d(in_channels, width, 4, 2, 1, bias=bias),
        level,
        nn.ReLU(inplace=True),
        nn.ConvTranspose2d(2 * width, out_channels, 4, 2, 1),
        nn.Tanh(),
    )
    phase = 2**depth
    # Instance norm needs two positions a side above the bottleneck, which any multiple gives.
    net = UNet(outermost, phase=phase, smallest=phase)
    init_normal(net)
    return net


def _innermost(outer: int, inner: int, norm: str, bias: bool) -> Skip:
    return Skip(
        nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(outer, inner, 4, 2, 1, bias=bias),
        nn.ReLU(inplace=True),
        nn.ConvTranspose2d(inner, outer, 4, 2, 1, bias=bias),
        *norm_of(norm, outer),
    )


def _level(outer: int, inner: int, below: Skip, norm: str, bias: bool, dropout: float) -> Skip:
    return Skip(
        nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(outer, inner, 4, 2, 1, bias=bias),
        *norm_of(norm, inner),
        below,
        nn.ReLU(inplace=True),
        nn.ConvTranspose2d(2 * inner, outer, 4, 2, 1, bias=bias),
        *norm_of(norm, outer),
        *([nn.Dropout(dropout)] if dropout else []),
    )
