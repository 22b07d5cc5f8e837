"""A generator as it is applied: the same function in fewer steps.

With its statistics frozen a norm is an affine map, so it folds into the convolution before it and
vanishes; so do padding and activation. Layers of other kinds, and patterns that would not be
exact, stay as they are. ``trimming`` then leaves out what a tile's halo is not needed for.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx, nn

from .fused import Activation, Fused, FusedTransposed
from .norm import InstanceNorm
from .reach import Tracer


def fold(net: nn.Module, dtype: torch.dtype | None = None) -> fx.GraphModule:
    """A network of the same function in fewer layers; ``net`` is left alone.

    Norms fold where their statistics are one number a channel (batch norms in eval mode, frozen
    instance norms) and a convolution stands right before them.

    Args:
        net: In eval mode; one that ``reach`` can follow.
        dtype: That the convolutions' weights are kept in; None is what they are in. Call the
            result under autocast to the same, for the layers that stay.
    """
    root = nn.Sequential(getattr(net, "_orig_mod", net))
    module = fx.GraphModule(root, Tracer().trace(root))
    for node in list(module.graph.nodes):
        conv = _layer(module, node)
        if isinstance(conv, nn.Conv2d | nn.ConvTranspose2d) and _plain(conv):
            _fuse(module, node, conv)
    _finish(module, dtype)
    if dtype is not None:
        _end_in_float32(module)
    module.graph.lint()
    module.recompile()
    return module


def _fuse(module: fx.GraphModule, node: fx.Node, conv: Any) -> None:
    """Put one layer in the place of a convolution, its padding, its norm and its activation."""
    if isinstance(conv, nn.ConvTranspose2d):
        fused: Fused = FusedTransposed(conv)
    else:
        pad = node.args[0]
        pads = _pads(_layer(module, pad)) if len(pad.users) == 1 else None  # type: ignore[union-attr]
        if pads is not None and conv.padding == (0, 0):
            fused = Fused(conv, pads, isinstance(_layer(module, pad), nn.ReflectionPad2d))
            node.args = (pad.args[0],)  # type: ignore[union-attr]
            module.graph.erase_node(pad)  # type: ignore[arg-type]
        else:
            fused = Fused(conv)
    name = f"fused_{node.name}"
    module.add_module(name, fused)
    node.target = name
    while (follower := _follower(module, node)) is not None:
        if not _absorb(fused, _layer(module, follower)):
            return
        follower.replace_all_uses_with(node)
        module.graph.erase_node(follower)


def _absorb(fused: Fused, layer: Any) -> bool:
    """Whether a layer could be taken into the one before it."""
    if isinstance(layer, nn.Identity) or _idle(layer):
        return True
    if fused.activation.name != "none":
        return False
    affine, activation = _affine(layer), Activation.of(layer)
    if affine is not None:
        fused.scale(*affine)
    elif activation is not None:
        fused.activation = activation
    return affine is not None or activation is not None


def _follower(module: fx.GraphModule, node: fx.Node) -> fx.Node | None:
    """The layer that everything behind a node reads through, if there is one.

    A layer that works in place changes what those read that come after it; so if it comes first,
    all read through it.
    """
    order = [n for n in module.graph.nodes if n in node.users]
    if not order or _layer(module, order[0]) is None:
        return None
    if len(order) == 1:
        return order[0]
    if not getattr(_layer(module, order[0]), "inplace", False):
        return None
    for other in order[1:]:
        other.replace_input_with(node, order[0])
    return order[0]


def _affine(layer: Any) -> tuple[Tensor, Tensor] | None:
    """(gain, offset) in float64, (C,) each, of a norm that no longer looks at the image."""
    if isinstance(layer, InstanceNorm) and layer.frozen:
        mean, var = layer.frozen_mean, layer.frozen_var
    elif isinstance(layer, nn.BatchNorm2d) and layer.track_running_stats and not layer.training:
        mean, var = layer.running_mean, layer.running_var
    else:
        return None
    channels = getattr(layer, "channels", None) or layer.num_features
    if mean is None or var is None or not mean.numel() == var.numel() == channels:
        return None  # one number for each pixel
    if (var < layer.eps).any():
        return None  # a channel that never varies: only rounding is left, times 300 a layer
    gain = torch.rsqrt(var.detach().double().flatten() + layer.eps)
    if layer.weight is not None:
        gain = gain * layer.weight.detach().double()
    offset = -mean.detach().double().flatten() * gain
    if layer.bias is not None:
        offset = offset + layer.bias.detach().double()
    return gain, offset


def _idle(layer: Any) -> bool:
    """Whether this is a dropout in eval mode."""
    return isinstance(layer, nn.modules.dropout._DropoutNd) and not layer.training


def _plain(conv: Any) -> bool:
    """Whether a convolution pads alike on all four sides, with zeros, and is square."""
    return (
        type(conv).forward in (nn.Conv2d.forward, nn.ConvTranspose2d.forward)
        or getattr(conv, "plain_in_eval", False)
    ) and (
        conv.padding_mode == "zeros"
        and not isinstance(conv.padding, str)
        and all(len(set(pair)) == 1 for pair in (conv.kernel_size, conv.stride, conv.padding,
                                                 conv.dilation))
        and not conv._forward_hooks
        and not conv._forward_pre_hooks
    )  # fmt: skip


def _pads(layer: Any) -> tuple[int, int] | None:
    """(before, behind) of a padding layer that a convolution can take over."""
    zeros = isinstance(layer, nn.ConstantPad2d) and layer.value == 0  # ZeroPad2d is one
    if not (zeros or isinstance(layer, nn.ReflectionPad2d)):
        return None
    left, right, top, bottom = layer.padding
    return (top, bottom) if (left, right) == (top, bottom) and min(left, right) >= 0 else None


def _end_in_float32(module: fx.GraphModule) -> None:
    """Take a last tanh in float32, which has more than 8 bits near its ends."""
    (end,) = (node for node in module.graph.nodes if node.op == "output")
    last = end.args[0]
    if isinstance(last, fx.Node) and (
        isinstance(_layer(module, last), nn.Tanh) or last.target is torch.tanh
    ):
        with module.graph.inserting_before(last):
            wide = module.graph.call_method("float", (last.args[0],))
        last.replace_input_with(last.args[0], wide)  # type: ignore[arg-type]


def _finish(module: fx.GraphModule, dtype: torch.dtype | None) -> None:
    for layer in module.modules():
        if isinstance(layer, Fused):
            layer.pack(dtype or layer.weight.dtype)
    module.delete_all_unused_submodules()


def _layer(module: fx.GraphModule, node: Any) -> nn.Module | None:
    """The layer that a node calls."""
    if not isinstance(node, fx.Node) or node.op != "call_module":
        return None
    return module.get_submodule(str(node.target))
