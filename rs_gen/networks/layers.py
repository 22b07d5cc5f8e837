"""What each torch layer reads of the layer before: one rule a kind, for ``reach``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from functools import singledispatch
from typing import Any

from torch import nn
from torch.nn.modules import activation, batchnorm, dropout, padding, pooling

from .blocks import BlurPool
from .norm import ChannelNorm, InstanceNorm
from .spans import Span


@dataclass(frozen=True)
class Field:
    """What the positions of a layer see of the input, along rows and along columns."""

    rows: Span = field(default_factory=Span)
    cols: Span = field(default_factory=Span)

    def each(self, change: Callable[[Span, int], Span]) -> Field:
        """``change(span, axis)`` for axis 0, the rows, and axis 1, the columns."""
        return Field(change(self.rows, 0), change(self.cols, 1))

    def joined(self, other: Field) -> Field:
        """What is seen through either; ValueError where the strides differ."""
        return Field(self.rows.joined(other.rows), self.cols.joined(other.cols))


@dataclass
class Notes:
    """Why a network is not exact, gathered on the way through it.

    Attributes:
        applied: The network is judged in eval mode and with its instance norms frozen.
        at: The layer or operation at hand, as a reader would find it.
    """

    applied: bool = False
    at: str = ""
    reasons: list[str] = field(default_factory=list)

    def whole(self, why: str = "looks at the whole image") -> None:
        """The layer at hand looks at all of space, so a tile is not enough."""
        self.reasons.append(f"{self.at} {why}")

    def random(self) -> None:
        """The layer at hand answers differently each time."""
        self.reasons.append(f"{self.at} is in train mode and drops at random; call eval() first")

    def unknown(self, why: str = "is not one whose reach is known") -> None:
        """Nothing is known about the layer at hand; it is taken to keep every pixel in place."""
        self.reasons.append(f"{self.at} {why}")


@singledispatch
def after(layer: Any, x: Field, notes: Notes) -> Field | None:
    """What the positions of a layer's output see, given those of its input.

    None means that the output no longer depends on the place, as after a global pooling.
    """
    notes.unknown()
    return x


def known(layer: nn.Module) -> bool:
    """Whether there is a rule for this kind of layer."""
    return after.dispatch(type(layer)) is not after.dispatch(object)


def keeps_place(layer: nn.Module) -> bool:
    """Whether a layer reads each position where it writes it, as it is applied."""
    return after.dispatch(type(layer)) in (_in_place, _instance_norm, _batch_norm, _dropout)


def two(value: Any) -> tuple[Any, Any]:
    """(rows, columns) from one value or from a pair."""
    if isinstance(value, tuple | list):
        return (value[0], value[1]) if len(value) > 1 else (value[0], value[0])
    return value, value


def conv_field(
    x: Field, kernel: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1
) -> Field:
    """After a convolution or pooling, from torch's own arguments."""
    k, s, d = two(kernel), two(stride), two(dilation)
    before = [_before(padding if isinstance(padding, str) else two(padding)[i], k[i], d[i])
              for i in range(2)]  # fmt: skip
    return x.each(lambda span, i: span.conv(k[i], s[i], before[i], d[i]))


def transposed_field(
    x: Field, kernel: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1
) -> Field:
    """After a transposed convolution, from torch's own arguments."""
    k, s, p, d = two(kernel), two(stride), two(padding), two(dilation)
    return x.each(lambda span, i: span.transposed(k[i], s[i], p[i], d[i]))


def pad_field(x: Field, pad: Any) -> Field:
    """After padding by (left, right[, top, bottom]), negative to cut off."""
    left, top = pad[0], pad[2] if len(pad) > 2 else 0
    return Field(x.rows.moved(top), x.cols.moved(left))


def resampled_field(
    x: Field, finer: tuple[Fraction, Fraction], mode: str, notes: Notes, antialias: bool = False
) -> Field:
    """After interpolation to ``finer`` positions for each one, along rows and columns."""
    if not all(f.numerator == 1 or f.denominator == 1 for f in finer):
        notes.unknown(f"resamples by {float(finer[0]):g}, which is not a whole factor")
    return x.each(lambda span, i: span.resampled(finer[i], mode, antialias))


def shuffled_field(x: Field, factor: int) -> Field:
    """After a pixel shuffle: ``factor`` times as many positions from the channels."""
    return x.each(lambda span, _: span.through(lambda q: (q // factor,), factor))


@after.register(nn.Conv2d)
def _conv(layer: nn.Conv2d, x: Field, notes: Notes) -> Field:
    if layer.padding_mode == "circular":
        notes.whole("pads with the opposite edge")
    before: Any = layer.padding
    if type(layer).__name__.endswith("Same"):
        # Convolutions that pad by the size of the image, as timm's and TensorFlow's do; fixed
        # where the size is a multiple of the stride, light in front and heavy behind.
        sizes = zip(two(layer.kernel_size), two(layer.stride), two(layer.dilation), strict=True)
        before = tuple(max((k - 1) * d + 1 - s, 0) // 2 for k, s, d in sizes)
    return conv_field(x, layer.kernel_size, layer.stride, before, layer.dilation)


@after.register(nn.ConvTranspose2d)
def _transposed(layer: nn.ConvTranspose2d, x: Field, notes: Notes) -> Field:
    return transposed_field(x, layer.kernel_size, layer.stride, layer.padding, layer.dilation)


@after.register(pooling._MaxPoolNd)
def _max_pool(layer: nn.MaxPool2d, x: Field, notes: Notes) -> Field:
    return conv_field(x, layer.kernel_size, layer.stride, layer.padding, layer.dilation)


@after.register(nn.AvgPool2d)
def _avg_pool(layer: nn.AvgPool2d, x: Field, notes: Notes) -> Field:
    return conv_field(x, layer.kernel_size, layer.stride, layer.padding)


@after.register(BlurPool)
def _blur_pool(layer: BlurPool, x: Field, notes: Notes) -> Field:
    return conv_field(x, layer.kernel.shape[-1], layer.stride, layer.padding)


@after.register(padding._ReflectionPadNd)
@after.register(padding._ReplicationPadNd)
@after.register(padding._ConstantPadNd)
def _pad(layer: nn.ReflectionPad2d, x: Field, notes: Notes) -> Field:
    return pad_field(x, layer.padding)


@after.register(nn.Upsample)
def _upsample(layer: nn.Upsample, x: Field, notes: Notes) -> Field:
    if layer.scale_factor is None:
        notes.unknown("resamples to a fixed size")
        return x
    if layer.align_corners:
        notes.whole("aligns the corners of whatever image it gets")
    rows, cols = two(layer.scale_factor)
    return resampled_field(x, (as_fraction(rows), as_fraction(cols)), layer.mode, notes)


@after.register(nn.PixelShuffle)
def _shuffle(layer: nn.PixelShuffle, x: Field, notes: Notes) -> Field:
    return shuffled_field(x, layer.upscale_factor)


@after.register(nn.PixelUnshuffle)
def _unshuffle(layer: nn.PixelUnshuffle, x: Field, notes: Notes) -> Field:
    return conv_field(x, layer.downscale_factor, layer.downscale_factor)


@after.register(InstanceNorm)
def _instance_norm(layer: InstanceNorm, x: Field, notes: Notes) -> Field:
    if not (layer.frozen or notes.applied):
        notes.whole("takes its statistics from the tile until they are frozen")
    return x


@after.register(nn.InstanceNorm2d)
@after.register(batchnorm._BatchNorm)
def _batch_norm(layer: nn.BatchNorm2d, x: Field, notes: Notes) -> Field:
    if layer.training or not layer.track_running_stats:
        remedy = "; call eval() for the running ones" if layer.track_running_stats else ""
        notes.whole(f"takes its statistics from the tile{remedy}")
    return x


@after.register(nn.GroupNorm)
def _group_norm(layer: nn.GroupNorm, x: Field, notes: Notes) -> Field:
    notes.whole("takes its statistics from the whole image")
    return x


@after.register(pooling._AdaptiveAvgPoolNd)
@after.register(pooling._AdaptiveMaxPoolNd)
def _global_pool(layer: nn.Module, x: Field, notes: Notes) -> None:
    notes.whole()


@after.register(nn.MultiheadAttention)
def _attention(layer: nn.Module, x: Field, notes: Notes) -> Field:
    notes.whole()
    return x


@after.register(dropout._DropoutNd)
def _dropout(layer: nn.Dropout, x: Field, notes: Notes) -> Field:
    if layer.training and layer.p > 0:
        notes.random()
    return x


@after.register(nn.Softmax)
@after.register(nn.LogSoftmax)
def _softmax(layer: nn.Softmax, x: Field, notes: Notes) -> Field:
    if layer.dim not in (1, -3):
        notes.whole()
    return x


def _in_place(layer: nn.Module, x: Field, notes: Notes) -> Field:
    return x


for _kind in (
    nn.Identity, ChannelNorm, nn.Softmax2d, activation.Threshold, nn.ReLU, nn.ReLU6, nn.LeakyReLU,
    nn.PReLU, nn.RReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish, nn.Sigmoid, nn.Tanh,
    nn.Hardswish, nn.Hardsigmoid, nn.Hardtanh, nn.Softplus, nn.Softsign, nn.LogSigmoid,
):  # fmt: skip
    after.register(_kind, _in_place)


def as_fraction(factor: float) -> Fraction:
    """2 or 0.5 as exact fractions."""
    return Fraction(factor).limit_denominator(64)


def _before(padding: Any, kernel: int, dilation: int) -> int:
    """Positions padded in front, also for torch's "same" and "valid"."""
    if padding == "same":
        return dilation * (kernel - 1) // 2
    return 0 if padding == "valid" else int(padding)
