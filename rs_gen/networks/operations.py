"""What functions and methods of tensors read, for ``reach``: arguments are those of torch."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import torch
import torch.nn.functional as F

from .blocks import multiple_of
from .layers import (
    Field,
    Notes,
    as_fraction,
    conv_field,
    pad_field,
    resampled_field,
    shuffled_field,
    transposed_field,
    two,
)

Rule = Callable[..., Any]


@dataclass(frozen=True)
class Size:
    """(Part of) the shape of a field: 0 for its rows, 1 for its columns, None for the others."""

    of: Field
    axes: tuple[int | None, ...] = (None, None, 0, 1)


@dataclass(frozen=True)
class Parts:
    """A field split along its channels."""

    of: Field


def fields(value: Any) -> Iterator[Field]:
    """Every field inside nested arguments."""
    if isinstance(value, Field):
        yield value
    elif isinstance(value, Parts):
        yield value.of
    elif isinstance(value, dict):
        yield from fields(list(value.values()))
    elif isinstance(value, tuple | list):
        for item in value:
            yield from fields(item)


def join(value: Any) -> Field | None:
    """What is seen through any of the fields inside; None without one.

    Raises:
        ValueError: Their strides differ.
    """
    found: Field | None = None
    for item in fields(value):
        found = item if found is None else found.joined(item)
    return found


def in_place(notes: Notes, *args: Any, **kwargs: Any) -> Any:
    """A position reads that same position of every argument."""
    found = join([args, kwargs])
    # A constant stays at hand: its shape may be that of a kernel.
    return args[0] if found is None and isinstance(args[0], torch.Tensor) else found


def unknown(notes: Notes, *args: Any, **kwargs: Any) -> Field | None:
    """Nothing is known; taken to keep every pixel in place."""
    found = join([args, kwargs])
    if found is not None:
        notes.unknown()
    return found


def _cat(notes: Notes, tensors: Any, dim: int = 0, **_: Any) -> Field | None:
    if dim not in (0, 1, -4, -3):
        notes.unknown("joins images side by side")
    return join(tensors)


def _split(notes: Notes, x: Any, size: Any, dim: int = 0) -> Any:
    if not isinstance(x, Field):
        return None
    if dim not in (1, -3):
        notes.unknown("splits space")
    return Parts(x)


def _reduce(notes: Notes, x: Any, dim: Any = None, keepdim: bool = False, **_: Any) -> Any:
    if not isinstance(x, Field):
        return None
    dims = set(dim if isinstance(dim, tuple | list) else [dim])
    if dims <= {1, -3}:
        return x if keepdim else unknown(notes, x)
    notes.whole()
    return None


def _softmax(notes: Notes, x: Any, dim: Any = None, **_: Any) -> Any:
    if isinstance(x, Field) and dim not in (1, -3):
        notes.whole()
    return x


def _attention(notes: Notes, *args: Any, **kwargs: Any) -> Any:
    if join([args, kwargs]) is not None:
        notes.whole("compares all positions of the image")
    return join([args, kwargs])


def _known_kernel(notes: Notes, weight: Any) -> bool:
    if isinstance(weight, torch.Tensor):
        return True
    notes.unknown("has a kernel that is computed")
    return False


def _conv(
    notes: Notes, input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0,
    dilation: Any = 1, groups: int = 1,
) -> Any:  # fmt: skip
    if not isinstance(input, Field):
        return None
    if not _known_kernel(notes, weight):
        return input
    return conv_field(input, tuple(weight.shape[-2:]), stride, padding, dilation)


def _transposed(
    notes: Notes, input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0,
    output_padding: Any = 0, groups: int = 1, dilation: Any = 1,
) -> Any:  # fmt: skip
    if not isinstance(input, Field):
        return None
    if not _known_kernel(notes, weight):
        return input
    return transposed_field(input, tuple(weight.shape[-2:]), stride, padding, dilation)


def _avg_pool(
    notes: Notes, x: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, *_: Any, **__: Any
) -> Any:
    return conv_field(x, kernel_size, stride or kernel_size, padding) if x else None


def _max_pool(
    notes: Notes, x: Any, kernel_size: Any, stride: Any = None, padding: Any = 0,
    dilation: Any = 1, *_: Any, **__: Any,
) -> Any:  # fmt: skip
    return conv_field(x, kernel_size, stride or kernel_size, padding, dilation) if x else None


def _global(notes: Notes, *args: Any, **kwargs: Any) -> None:
    if join([args, kwargs]) is not None:
        notes.whole()


def _pad(notes: Notes, x: Any, pad: Any, mode: str = "constant", value: Any = None) -> Any:
    if not isinstance(x, Field):
        return None
    if not all(isinstance(n, int) for n in pad) or len(pad) > 4:
        return unknown(notes, x)
    if mode == "circular":
        notes.whole("pads with the opposite edge")
    return pad_field(x, pad)


def _interpolate(
    notes: Notes, x: Any, size: Any = None, scale_factor: Any = None, mode: str = "nearest",
    align_corners: bool | None = None, recompute_scale_factor: Any = None, antialias: bool = False,
) -> Any:  # fmt: skip
    if not isinstance(x, Field):
        return None
    if align_corners:
        notes.whole("aligns the corners of whatever image it gets")
    if scale_factor is not None:
        finer = two(scale_factor)
        factors = as_fraction(finer[0]), as_fraction(finer[1])
    else:
        wanted = _target(size)
        if wanted is None:
            notes.unknown("resamples to a size that is computed")
            return x
        factors = x.rows.stride / wanted[0], x.cols.stride / wanted[1]
    return resampled_field(x, factors, mode, notes, antialias)


def _target(size: Any) -> tuple[Fraction, Fraction] | None:
    """Strides of the layer that a size was taken from, such as ``skip.shape[-2:]``."""
    parts: Iterable[Any] = [size] if isinstance(size, Size) else size or []
    if not all(isinstance(part, Size) for part in parts):
        return None
    axes = [(part.of, axis) for part in parts for axis in part.axes]
    if [axis for _, axis in axes] != [0, 1]:
        return None
    return axes[0][0].rows.stride, axes[1][0].cols.stride


def _getattr(notes: Notes, x: Any, name: str) -> Any:
    if not isinstance(x, Field) or name in ("device", "dtype", "ndim", "requires_grad"):
        return None
    return Size(x) if name == "shape" else unknown(notes, x)


def _size(notes: Notes, x: Any, dim: int | None = None) -> Any:
    if not isinstance(x, Field):
        return None
    return Size(x) if dim is None else Size(x, (Size(x).axes[dim],))


def _getitem(notes: Notes, x: Any, index: Any) -> Any:
    if isinstance(x, Parts):
        return x.of
    if isinstance(x, Size):
        part = x.axes[index]
        return Size(x.of, part if isinstance(index, slice) else (part,))
    if not isinstance(x, Field):
        return None
    slices = _four_slices(index)
    if slices is None:
        return unknown(notes, x)
    return x.each(lambda span, axis: _cut(span, slices[axis + 2]))


def _cut(span: Any, part: slice) -> Any:
    start, step = part.start or 0, part.step or 1
    return span.through(lambda q: (q * step + start,), Fraction(1, step))


def _four_slices(index: Any) -> list[slice] | None:
    """An index of (B, C, H, W) as four slices; None where it is anything else."""
    items = list(index) if isinstance(index, tuple) else [index]
    if Ellipsis in items:
        at = items.index(Ellipsis)
        items[at : at + 1] = [slice(None)] * (5 - len(items))
    items += [slice(None)] * (4 - len(items))
    if len(items) != 4 or not all(isinstance(item, slice) for item in items):
        return None
    for part in items[2:]:
        ends = (part.start, part.step)
        if not all(n is None or (isinstance(n, int) and n >= 0) for n in ends):
            return None
    return items


def _dropout(
    notes: Notes, x: Any, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Any:
    if isinstance(x, Field) and training and p > 0:
        notes.random()
    return x


def _nothing(notes: Notes, *args: Any, **kwargs: Any) -> None:
    return None


def _shuffle(notes: Notes, x: Any, factor: int) -> Any:
    return shuffled_field(x, factor) if isinstance(x, Field) else None


def _unshuffle(notes: Notes, x: Any, factor: int) -> Any:
    return conv_field(x, factor, factor) if isinstance(x, Field) else None


_IN_PLACE = [
    "add", "sub", "mul", "div", "true_divide", "neg", "abs", "square", "sqrt", "rsqrt", "exp",
    "log", "pow", "clamp", "maximum", "minimum", "where", "lerp", "addcmul", "relu", "relu6",
    "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish", "hardswish", "hardsigmoid",
    "hardtanh", "softplus", "sigmoid", "tanh", "prelu",
]  # fmt: skip
_OPERATORS = [
    operator.add, operator.sub, operator.mul, operator.truediv, operator.neg, operator.pow,
    operator.iadd, operator.isub, operator.imul, operator.itruediv,
]  # fmt: skip
_IN_PLACE_METHODS = [
    *_IN_PLACE, *(f"{name}_" for name in _IN_PLACE), "to", "float", "half", "double", "bfloat16",
    "type", "type_as", "contiguous", "clone", "detach",
]  # fmt: skip
_REDUCTIONS = ("mean", "sum", "amax", "amin", "std", "var")

METHODS: dict[str, Rule] = {
    **dict.fromkeys(_IN_PLACE_METHODS, in_place),
    **dict.fromkeys(_REDUCTIONS, _reduce),
    "chunk": _split,
    "split": _split,
    "size": _size,
    "softmax": _softmax,
    "matmul": _attention,
    "bmm": _attention,
}

FUNCTIONS: dict[Any, Rule] = {
    **{getattr(torch, n): in_place for n in _IN_PLACE if hasattr(torch, n)},
    **{getattr(F, n): in_place for n in _IN_PLACE if hasattr(F, n)},
    **{getattr(torch, n): _reduce for n in _REDUCTIONS},
    **dict.fromkeys(_OPERATORS, in_place),
    multiple_of: in_place,
    getattr: _getattr,
    operator.getitem: _getitem,
    torch.cat: _cat,
    torch.concat: _cat,
    torch.chunk: _split,
    torch.split: _split,
    torch._assert: _nothing,
    torch.matmul: _attention,
    torch.bmm: _attention,
    operator.matmul: _attention,
    F.scaled_dot_product_attention: _attention,
    torch.softmax: _softmax,
    F.softmax: _softmax,
    torch.conv2d: _conv,
    F.conv2d: _conv,
    F.conv_transpose2d: _transposed,
    F.avg_pool2d: _avg_pool,
    F.max_pool2d: _max_pool,
    F.adaptive_avg_pool2d: _global,
    F.adaptive_max_pool2d: _global,
    F.group_norm: _attention,
    F.pad: _pad,
    F.interpolate: _interpolate,
    F.pixel_shuffle: _shuffle,
    F.pixel_unshuffle: _unshuffle,
    F.dropout: _dropout,
    F.dropout2d: _dropout,
}
