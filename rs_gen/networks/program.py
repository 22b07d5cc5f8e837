"""A generator written down as steps, so that a host with nothing but torch can run it.

``program_of`` follows the layers as ``reach`` does and lists what they compute, with the names of
the weights rather than the weights: they stay where they are saved. The function ``run`` in
``games/hosted/rs_gen_model.py`` runs such a list, also inside ArcGIS Pro.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import singledispatch
from typing import Any

import torch
from torch import fx, nn

from ..errors import SettingError
from .blocks import BlurPool, multiple_of
from .norm import ChannelNorm, InstanceNorm
from .reach import Tracer, in_eval

Step = dict[str, Any]


def program_of(net: nn.Module, prefix: str = "") -> list[Step]:
    """What a network computes, step by step, as it is applied: plain JSON.

    A step has ``op``, ``in`` (numbers of earlier values; 0 is the image) and what the operation
    needs; weights are named as in ``net.state_dict()``, with ``prefix`` before them. A value's
    number is its step's place, counted from 1. The last step gives the answer.

    Args:
        net: Any network that ``reach`` can follow.
        prefix: Of the weights' names.

    Raises:
        SettingError: A layer can't be written down.
    """
    root = nn.Sequential(getattr(net, "_orig_mod", net))
    try:
        with in_eval(root):
            graph = Tracer().trace(root)
    except Exception as error:  # whatever the network's own code makes of a tracer
        raise SettingError(f"{type(net).__name__} can't be written as steps: {error}") from error
    return _Writer(root, prefix).written(graph)


class _Writer:
    """Goes through a graph and lists its steps."""

    def __init__(self, root: nn.Module, prefix: str):
        self.root, self.prefix = root, prefix
        self.steps: list[Step] = []
        self.at: dict[fx.Node, int] = {}

    def written(self, graph: fx.Graph) -> list[Step]:
        for node in graph.nodes:
            if node.op == "placeholder":
                self.at[node] = 0
            elif node.op == "output":
                last = self.at[node.args[0]]
                if last != len(self.steps):
                    self.steps.append({"op": "same", "in": [last]})
            elif not _tells_a_dtype(node):
                self._write(node)
        return self.steps

    def _write(self, node: fx.Node) -> None:
        made = self._layer(node) if node.op == "call_module" else self._function(node)
        if made is None:  # it changes nothing
            self.at[node] = self.at[node.args[0]]  # type: ignore[index]
            return
        sources, step = made
        self.steps.append({"op": step.pop("op"), "in": sources, **step})
        self.at[node] = len(self.steps)
        if node.op == "call_module" and getattr(self._named(node), "inplace", False):
            self.at[node.args[0]] = len(self.steps)  # type: ignore[index]  # read on, it has changed

    def _named(self, node: fx.Node) -> nn.Module:
        return self.root.get_submodule(str(node.target))

    def _layer(self, node: fx.Node) -> tuple[list[int], Step] | None:
        layer = self._named(node)
        step = _step(layer)
        if step is None:
            return None
        path = str(node.target).partition(".")[2]
        names = {
            name: ".".join(filter(None, [self.prefix, path, name]))
            for name in step.pop("weights", ())
        }
        if isinstance(layer, InstanceNorm):
            step["layer"] = path
        return [self.at[node.args[0]]], {**step, **names}  # type: ignore[index]

    def _function(self, node: fx.Node) -> tuple[list[int], Step] | None:
        target = node.target
        if target is multiple_of or (node.op, target) == ("call_method", "to"):
            return None
        images = node.args[0] if target is torch.cat else node.args
        axis = (node.args[1:] or [node.kwargs.get("dim", 0)])[0] if target is torch.cat else 1
        known = _FUNCTIONS.get(target) or _FUNCTIONS.get(str(target))
        listed = isinstance(images, list | tuple) and all(i in self.at for i in images)
        if known is None or not listed or axis not in (1, -3):
            raise SettingError(f"{target} can't be written as a step")
        return [self.at[image] for image in images], {"op": known}  # type: ignore[union-attr, index]


_FUNCTIONS: dict[Any, str] = {
    operator.add: "add", operator.iadd: "add", torch.add: "add", "add": "add", torch.cat: "cat",
    torch.tanh: "tanh", torch.relu: "relu", torch.sigmoid: "sigmoid", "tanh": "tanh",
}  # fmt: skip


def _tells_a_dtype(node: fx.Node) -> bool:
    """Whether a node only asks for the dtype that a tensor already has."""
    return node.op == "call_function" and node.target is getattr and node.args[1] == "dtype"


@singledispatch
def _step(layer: nn.Module) -> Step | None:
    """What a layer computes; None where it changes nothing."""
    raise SettingError(f"{type(layer).__name__} can't be written as a step")


@_step.register(nn.Conv2d)
def _conv(layer: nn.Conv2d) -> Step:
    if layer.padding_mode != "zeros" or isinstance(layer.padding, str):
        raise SettingError(f"{layer} can't be written as a step")
    return {"op": "conv", "weights": _weights(layer), "stride": list(layer.stride),
            "padding": list(layer.padding), "dilation": list(layer.dilation),
            "groups": layer.groups}  # fmt: skip


@_step.register(nn.ConvTranspose2d)
def _transposed(layer: nn.ConvTranspose2d) -> Step:
    return {"op": "transposed", "weights": _weights(layer), "stride": list(layer.stride),
            "padding": list(layer.padding), "dilation": list(layer.dilation),
            "groups": layer.groups, "more": list(layer.output_padding)}  # fmt: skip


@_step.register(nn.BatchNorm2d)
def _batch_norm(layer: nn.BatchNorm2d) -> Step:
    if not layer.track_running_stats:
        raise SettingError("a batch norm without running statistics can't be written as a step")
    names = ("running_mean", "running_var", *_weights(layer))
    return {"op": "batch_norm", "weights": names, "eps": layer.eps}


@_step.register(InstanceNorm)
def _instance_norm(layer: InstanceNorm) -> Step:
    return {"op": "instance_norm", "weights": _weights(layer), "eps": layer.eps}


@_step.register(ChannelNorm)
def _channel_norm(layer: ChannelNorm) -> Step:
    return {"op": "channel_norm", "weights": _weights(layer), "eps": layer.eps}


@_step.register(nn.Upsample)
def _upsample(layer: nn.Upsample) -> Step:
    if (
        layer.scale_factor is None
        or layer.align_corners
        or layer.mode not in ("nearest", "bilinear")
    ):
        raise SettingError(f"{layer} can't be written as a step")
    return {"op": "upsample", "factor": float(layer.scale_factor), "mode": layer.mode}  # type: ignore[arg-type]


def _plain(kind: type[nn.Module], make: Callable[[Any], Step | None]) -> None:
    _step.register(kind, make)


_plain(nn.ReflectionPad2d, lambda layer: {"op": "mirror", "pad": list(layer.padding)})
_plain(nn.ReplicationPad2d, lambda layer: {"op": "repeat", "pad": list(layer.padding)})
_plain(nn.ConstantPad2d, lambda layer: {"op": "pad", "pad": list(layer.padding),
                                        "value": float(layer.value)})  # fmt: skip
_plain(BlurPool, lambda layer: {"op": "blur"})
_plain(nn.PixelShuffle, lambda layer: {"op": "shuffle", "factor": layer.upscale_factor})
_plain(nn.PixelUnshuffle, lambda layer: {"op": "unshuffle", "factor": layer.downscale_factor})
_plain(nn.LeakyReLU, lambda layer: {"op": "leaky", "slope": layer.negative_slope})
_plain(nn.Hardtanh, lambda layer: {"op": "clamp", "low": layer.min_val, "high": layer.max_val})
_plain(nn.ReLU, lambda layer: {"op": "relu"})
_plain(nn.Tanh, lambda layer: {"op": "tanh"})
_plain(nn.Sigmoid, lambda layer: {"op": "sigmoid"})
_plain(nn.SiLU, lambda layer: {"op": "silu"})
_plain(nn.Identity, lambda layer: None)
_plain(nn.modules.dropout._DropoutNd, lambda layer: None)


def _weights(layer: nn.Module) -> tuple[str, ...]:
    """Names of the parameters that a layer has."""
    return tuple(name for name in ("weight", "bias") if getattr(layer, name) is not None)
