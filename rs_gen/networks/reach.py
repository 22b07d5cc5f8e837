"""How far a generator looks, computed from its layers and never typed.

A tile read with a halo of this reach, on this phase, gives the pixels of the whole raster. The
network is traced with ``torch.fx``; each layer then says which positions it reads, by the rules
of ``layers`` and ``operations``, and ``spans`` adds them up.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

from torch import fx, nn

from ..errors import SettingError
from .layers import Field, Notes, after, known
from .norm import InstanceNorm
from .operations import FUNCTIONS, METHODS, join, unknown
from .spans import Span


@dataclass(frozen=True)
class Reach:
    """How far a network looks and how it steps, in input pixels.

    Attributes:
        left: Most pixels that an output pixel sees to its left, or above.
        right: Most pixels that it sees to its right, or below.
        phase: A shift of the input by this many pixels shifts the output alike.
        exact: Whether tiles with this halo, on this phase, equal the whole image.
        reason: Why not, naming the layer; empty where exact.
    """

    left: int
    right: int
    phase: int
    exact: bool = True
    reason: str = ""


def reach(net: nn.Module, *, applied: bool = False) -> Reach:
    """How far a network looks and how it steps, from its layers.

    Layers that look at all of space (global pooling, attention, group norm, an instance norm that
    is not frozen, a batch norm in train mode), dropout in train mode and operations not known
    here leave ``exact=False`` with the reason; the numbers are then those of the other layers.

    Args:
        net: (B, C, H, W) to (B, C', H, W). What it computes must not depend on pixel values.
        applied: Judge it as it will be applied, in eval mode with its instance norms frozen,
            rather than as it stands.

    Raises:
        SettingError: The network can't be traced, or gives no single image.
    """
    notes = Notes(applied=applied)
    found = _follow(net, notes)
    if (found.rows.stride, found.cols.stride) != (1, 1):
        notes.at = "the output"
        notes.unknown(f"has one position for {float(found.cols.stride):g} px of the input")
    return Reach(
        left=max(found.rows.left, found.cols.left),
        right=max(found.rows.right, found.cols.right),
        phase=math.lcm(found.rows.phase, found.cols.phase),
        exact=not notes.reasons,
        reason=_first(notes.reasons),
    )


def patch(net: nn.Module) -> tuple[int, int]:
    """(height, width) in input pixels that one output position sees: 70 for the usual PatchGAN.

    Raises:
        SettingError: As ``reach``.
    """
    rows, cols = sight(net)
    return rows.width, cols.width


def sight(net: nn.Module) -> tuple[Span, Span]:
    """What each output position sees along the rows and along the columns, as it is applied.

    Raises:
        SettingError: As ``reach``.
    """
    found = _follow(net, Notes(applied=True))
    return found.rows, found.cols


def norm_sights(net: nn.Module) -> dict[str, tuple[Span, Span]]:
    """What each position of every instance norm sees, by dotted name, in the order they run.

    Along the rows and along the columns, as the network is applied.

    Raises:
        SettingError: As ``reach``.
    """
    seen: dict[str, Field] = {}
    _follow(net, Notes(applied=True), seen)
    return {name: (field.rows, field.cols) for name, field in seen.items()}


class Tracer(fx.Tracer):
    """torch.fx's tracer, which takes layers with a rule of their own as they are."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Whether to step over a module rather than into it."""
        return known(m) or super().is_leaf_module(m, module_qualified_name)


def _follow(net: nn.Module, notes: Notes, norms: dict[str, Field] | None = None) -> Field:
    """What the positions of the output see; those of instance norms are put into ``norms``."""
    net = getattr(net, "_orig_mod", net)  # what torch.compile wraps
    root = nn.Sequential(net)  # so that a single layer is a layer, not a function
    with in_eval(root) if notes.applied else nullcontext():
        try:
            graph = Tracer().trace(root)
        except Exception as error:  # whatever the network's own code makes of a tracer
            raise SettingError(
                f"the reach of {type(net).__name__} can't be read from its layers: {error}"
            ) from error
        values: dict[fx.Node, Any] = {}
        for node in graph.nodes:
            notes.at = _label(node, root)
            try:
                values[node] = _value(node, root, values, notes)
            except ValueError as error:
                raise SettingError(f"{notes.at}: {error}") from error
            if norms is not None and _is_norm(node, root):
                norms[str(node.target).partition(".")[2]] = values[node]
    found = values[node]
    if found is None:
        raise SettingError(f"{type(net).__name__} gives no image, so it has no reach")
    return found


def _value(node: fx.Node, root: nn.Module, values: dict[fx.Node, Any], notes: Notes) -> Any:
    """What a node of the graph sees: a field, or None where it holds no image."""
    args = fx.node.map_arg(node.args, values.__getitem__)
    kwargs = fx.node.map_arg(node.kwargs, values.__getitem__)
    if node.op == "placeholder":
        return Field()
    if node.op == "get_attr":
        return _attribute(root, str(node.target))
    if node.op == "output":
        return join(args)
    if node.op == "call_module":
        x = join([args, kwargs])
        return None if x is None else after(root.get_submodule(str(node.target)), x, notes)
    rules: dict[Any, Any] = METHODS if node.op == "call_method" else FUNCTIONS
    return rules.get(node.target, unknown)(notes, *args, **kwargs)


def _is_norm(node: fx.Node, root: nn.Module) -> bool:
    return node.op == "call_module" and isinstance(
        root.get_submodule(str(node.target)), InstanceNorm
    )


def _label(node: fx.Node, root: nn.Module) -> str:
    if node.op == "call_module":
        kind = type(root.get_submodule(str(node.target))).__name__
        return f"layer {str(node.target).removeprefix('0.')!r} ({kind})"
    return f"operation {node.name!r}"


def _attribute(root: nn.Module, path: str) -> Any:
    found: Any = root
    for name in path.split("."):
        found = getattr(found, name)
    return found


def _first(reasons: list[str]) -> str:
    if not reasons:
        return ""
    return reasons[0] + (f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else "")


@contextmanager
def in_eval(net: nn.Module) -> Iterator[None]:
    """The network in eval mode; every part is in its own mode again afterwards."""
    modes = [(module, module.training) for module in net.modules()]
    net.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
