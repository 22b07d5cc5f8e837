"""What of a tile's halo each layer still needs: the rest is not computed.

A tile is read with the whole reach of a network, yet only its first layers need all of it; the
last ones need a few pixels around the core. Past the last downsampling every convolution may
therefore leave out its padding on the sides where a tile was cut from the raster, and whatever
meets there (a skip connection, a residual) is cut to what is still needed. The pixels of the core
stay the same, since what is left out lies outside of all that they see.
"""

from __future__ import annotations

import builtins
import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from .blocks import BlurPool, multiple_of
from .fused import CLOSED, Fused, FusedTransposed, Sides
from .layers import keeps_place

Margin = tuple[int, int]  # positions of a layer before and behind the core


class _UnfitError(Exception):
    """A layer whose needs are not known here."""


class Step(NamedTuple):
    """How a layer moves along an axis, the other axis being alike.

    Attributes:
        needs: The margin that it must be given in order to give a margin.
        gives: The margin around what it makes of an image with a margin.
        coarser: Whether it has fewer positions than it is given.
        spends: What leaving out its padding takes off the margin.
    """

    needs: Callable[[Margin], Margin] = lambda margin: margin
    gives: Callable[[Margin], Margin] = lambda margin: margin
    coarser: bool = False
    spends: Margin = (0, 0)


def trim(module: fx.GraphModule, halo: int) -> Margin | None:
    """Let a folded network leave out, on open sides, what the core of a tile does not need.

    The network then takes a second argument, which sides are open; without it nothing changes.

    Args:
        module: As ``fold`` makes it. It is changed.
        halo: Pixels around the core on each open side, a multiple of the phase.

    Returns:
        Pixels around the core that are left at an open side of the output, (before, behind);
        None, and nothing changed, where a layer's needs are not known or the halo is too small.
    """
    try:
        steps = {node: _step(module, node) for node in module.graph.nodes}
        needs = _needs(module.graph, steps)
        margins = _margins(module.graph, steps, needs, halo)
    except _UnfitError:
        return None
    _rewrite(module, steps, needs, margins)
    (end,) = (node for node in module.graph.nodes if node.op == "output")
    return margins[end]


@fx.wrap
def cut(x: Tensor, before: int, behind: int, sides: Sides) -> Tensor:
    """(B, C, H, W) without so many positions at each open side; a view."""
    top, bottom, left, right = (
        n if is_open else 0 for n, is_open in zip((before, behind) * 2, sides, strict=True)
    )
    return x[:, :, top : x.shape[2] - bottom, left : x.shape[3] - right]


def _needs(graph: fx.Graph, steps: dict[fx.Node, Step | None]) -> dict[fx.Node, Margin]:
    """The margin that each layer's output must have for the core to be right."""
    needs: dict[fx.Node, Margin] = {}
    for node in reversed(graph.nodes):
        step = steps[node]
        if step is None:
            continue
        asked = step.needs(needs.setdefault(node, (0, 0)))
        for source in _images(node, steps):
            before, behind = needs.get(source, (0, 0))
            needs[source] = max(before, asked[0]), max(behind, asked[1])
    return needs


def _margins(
    graph: fx.Graph, steps: dict[fx.Node, Step | None], needs: dict[fx.Node, Margin], halo: int
) -> dict[fx.Node, Margin]:
    """The margin that each layer's output will have at an open side."""
    margins: dict[fx.Node, Margin] = {}
    fine = _past_the_last_downsampling(graph, steps)
    for node in graph.nodes:
        step = steps[node]
        if step is None:
            continue
        given = [margins[source] for source in _images(node, steps)] or [(halo, halo)]
        if len(set(given)) > 1 and node not in fine:
            raise _UnfitError
        margin = step.gives(given[0])
        if node in fine and _meets(node):
            margin = needs[node]
        elif node in fine:
            margin = margin[0] - step.spends[0], margin[1] - step.spends[1]
        if margin[0] < needs[node][0] or margin[1] < needs[node][1]:
            raise _UnfitError
        margins[node] = margin
    return margins


def _rewrite(
    module: fx.GraphModule,
    steps: dict[fx.Node, Step | None],
    needs: dict[fx.Node, Margin],
    margins: dict[fx.Node, Margin],
) -> None:
    """Tell the layers which sides are open, and cut what meets."""
    graph = module.graph
    fine = _past_the_last_downsampling(graph, steps)
    image = next(node for node in graph.nodes if node.op == "placeholder")
    with graph.inserting_after(image):
        sides = graph.placeholder("sides", default_value=CLOSED)
    for node in list(fine):
        if node.op == "call_module" and steps[node].spends != (0, 0):  # type: ignore[union-attr]
            module.get_submodule(str(node.target)).valid = True  # type: ignore[assignment]
            node.args = (*node.args, sides)
        elif _meets(node):
            for source in _images(node, steps):
                extra = [a - b for a, b in zip(margins[source], needs[node], strict=True)]
                if any(extra):
                    with graph.inserting_before(node):
                        less = graph.call_function(cut, (source, *extra, sides))
                    node.replace_input_with(source, less)
    graph.lint()
    module.recompile()


def _past_the_last_downsampling(
    graph: fx.Graph, steps: dict[fx.Node, Step | None]
) -> dict[fx.Node, None]:
    """The layers from which on a cut can't put anything off its phase, in order."""
    coarse: set[fx.Node] = set()
    for node in reversed(graph.nodes):
        step = steps[node]
        if step is not None and (step.coarser or node in coarse):
            coarse.update(_images(node, steps))
    ends = ("placeholder", "output")
    nodes = (node for node in graph.nodes if steps[node] is not None and node.op not in ends)
    return {node: None for node in nodes if node not in coarse}


def _images(node: fx.Node, steps: dict[fx.Node, Step | None]) -> list[fx.Node]:
    """What a layer looks at."""
    return [source for source in node.all_input_nodes if steps[source] is not None]


def _meets(node: fx.Node) -> bool:
    return node.target in (operator.add, operator.iadd, torch.add, torch.cat)


def _step(module: fx.GraphModule, node: fx.Node) -> Step | None:
    """How a node moves; None where it holds no image."""
    if node.op in ("placeholder", "output"):
        return Step()
    if node.op == "call_module":
        return _of_layer(module.get_submodule(str(node.target)))
    if node.target is builtins.getattr and node.args[1] == "dtype":
        return None
    if node.target is torch.cat:
        dim = node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else 0)
        if dim in (1, -3):
            return Step()
    elif _meets(node) or node.target in (
        torch.tanh, torch.relu, F.relu, F.leaky_relu, multiple_of, "to", "float", "tanh", "relu"
    ):  # fmt: skip
        return Step()
    raise _UnfitError


def _of_layer(layer: Any) -> Step:
    if isinstance(layer, FusedTransposed):
        return _transposed(layer)
    if isinstance(layer, Fused):
        return _conv(layer.kernel[0], layer.stride[0], layer.dilation[0], *layer.pads)
    if isinstance(layer, BlurPool):
        return _conv(layer.kernel.shape[-1], layer.stride, 1, layer.padding, layer.padding)
    if isinstance(layer, nn.PixelUnshuffle):
        return _conv(layer.downscale_factor, layer.downscale_factor, 1, 0, 0)
    if isinstance(layer, nn.PixelShuffle):
        return _upsampled(layer.upscale_factor, more=0)
    if isinstance(layer, nn.PixelUnshuffle):
        return _conv(layer.downscale_factor, layer.downscale_factor, 1, 0, 0)
    if isinstance(layer, nn.PixelShuffle):
        return _upsampled(layer.upscale_factor, more=0)
    if isinstance(layer, nn.Upsample) and _doubles(layer):
        return _upsampled(2, more=layer.mode == "bilinear")
    if keeps_place(layer):
        return Step()
    raise _UnfitError


def _doubles(layer: nn.Upsample) -> bool:
    plain = layer.mode in ("nearest", "bilinear") and not layer.align_corners
    return plain and layer.scale_factor in (2, (2, 2))


def _conv(kernel: int, stride: int, dilation: int, before: int, behind: int) -> Step:
    """Position q reads from ``stride * q - before`` on."""
    wide = (kernel - 1) * dilation
    if not 0 <= wide - before - behind < stride:
        raise _UnfitError  # the image would change its size otherwise than by the stride
    last = wide - before - (stride - 1)
    return Step(
        lambda m: (m[0] * stride + before, max(m[1] * stride + last, 0)),
        lambda m: (m[0] // stride, m[1] // stride),
        coarser=stride > 1,
        spends=(before, behind) if stride == 1 else (0, 0),
    )


def _transposed(layer: FusedTransposed) -> Step:
    """Position q reads ``(q + padding - tap) / stride`` where that is whole."""
    kernel, stride, padding = layer.kernel[0], layer.stride[0], layer.padding[0]
    if layer.dilation[0] != 1 or kernel + layer.more[0] - 2 * padding != stride:
        raise _UnfitError
    reach = kernel - 1 - padding
    return Step(
        lambda m: (max((m[0] + reach) // stride, 0), (m[1] - 1 + padding) // stride + 1),
        lambda m: (m[0] * stride, m[1] * stride),
    )


def _upsampled(factor: int, more: int) -> Step:
    return Step(
        lambda m: (-(-m[0] // factor) + more, -(-m[1] // factor) + more),
        lambda m: (m[0] * factor, m[1] * factor),
    )
