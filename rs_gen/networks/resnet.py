"""The generator of CycleGAN: down twice, residual blocks, up twice."""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from ..errors import SettingError
from .blocks import (
    BlurPool,
    Generator,
    Residual,
    init_normal,
    needs_bias,
    norm_relu,
    reflect_conv,
)
from .norm import norm as norm_of


def resnet_generator(
    in_channels: int,
    out_channels: int,
    width: int = 64,
    blocks: int = 9,
    downsamplings: int = 2,
    *,
    norm: str = "instance",
    antialias: bool = False,
    dropout: float = 0.0,
) -> Generator:
    """Image to image at one resolution: (B, in, H, W) to (B, out, H, W) in [-1, 1].

    H and W must be multiples of ``2**downsamplings``. The defaults are the published layers,
    c7s1-64, d128, d256, R256 x 9, u128, u64, c7s1-3 (Zhu et al. 2017, appendix 7.2), with
    11,378,179 parameters from 3 to 3 bands; the weights released with that paper load by name
    once their prefix ``model.`` is dropped.

    Args:
        in_channels: Bands in.
        out_channels: Bands out.
        width: Channels at full resolution; each halving doubles them.
        blocks: Residual blocks; 9 for chips of 256 px, 6 for 128 px.
        downsamplings: Halvings of the resolution before the blocks.
        norm: ``"instance"`` (published), ``"batch"``, ``"pixel"`` (over the channels of a
            position, so tiles need no statistics) or ``"none"``.
        antialias: Blur before subsampling and upsample bilinearly before a convolution, instead
            of strided and transposed convolutions (Zhang 2019). No checkerboard, more arithmetic.
        dropout: Share dropped between the two convolutions of a block, 0 to below 1.

    Raises:
        SettingError: A count is not positive or ``dropout`` is out of range.
        UnknownNameError: ``norm`` is not one of the four.
    """
    if min(in_channels, out_channels, width) < 1 or min(blocks, downsamplings) < 0:
        raise SettingError(
            f"in_channels={in_channels}, out_channels={out_channels} and width={width} must be "
            f"at least 1, blocks={blocks} and downsamplings={downsamplings} at least 0"
        )
    if not 0 <= dropout < 1:
        raise SettingError(f"dropout={dropout} is not in 0 to below 1")
    widths = [width * 2**i for i in range(downsamplings + 1)]
    layers = reflect_conv(in_channels, width, 7, bias=needs_bias(norm)) + norm_relu(norm, width)
    for a, b in pairwise(widths):
        layers += _down(a, b, norm, antialias)
    layers += [_residual(widths[-1], norm, dropout) for _ in range(blocks)]
    for a, b in pairwise(widths[::-1]):
        layers += _up(a, b, norm, antialias)
    layers += [*reflect_conv(width, out_channels, 7), nn.Tanh()]
    phase = 2**downsamplings
    # A reflection of n pixels needs n + 1 of them: 4 px at full resolution, 2 inside the blocks.
    net = Generator(*layers, phase=phase, smallest=max(2 * phase, 4))
    init_normal(net)
    return net


def _residual(width: int, norm: str, dropout: float) -> Residual:
    conv = reflect_conv(width, width, bias=needs_bias(norm))
    again = reflect_conv(width, width, bias=needs_bias(norm))
    drop = [nn.Dropout(dropout)] if dropout else []
    return Residual(*conv, *norm_relu(norm, width), *drop, *again, *norm_of(norm, width))


def _down(a: int, b: int, norm: str, antialias: bool) -> list[nn.Module]:
    stride = 1 if antialias else 2
    conv = nn.Conv2d(a, b, 3, stride, padding=1, bias=needs_bias(norm))
    return [conv, *norm_relu(norm, b), *([BlurPool(b)] if antialias else [])]


def _up(a: int, b: int, norm: str, antialias: bool) -> list[nn.Module]:
    bias = needs_bias(norm)
    if antialias:
        up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
        return [up, nn.Conv2d(a, b, 3, padding=1, bias=bias), *norm_relu(norm, b)]
    conv = nn.ConvTranspose2d(a, b, 3, 2, padding=1, output_padding=1, bias=bias)
    return [conv, *norm_relu(norm, b)]
