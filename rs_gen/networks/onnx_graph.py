"""A generator's steps as an ONNX graph, written node by node.

Frozen norms are folded into the convolutions before them. Written from ``program_of`` rather than
by torch's exporter, so that the graph is the same whatever version of torch made it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import MissingPackageError
from .program import Step

OPSET, IR_VERSION = 17, 8  # onnxruntime 1.13 and newer read these
Array = np.ndarray[Any, np.dtype[Any]]
Tensors = Mapping[str, Array]


def onnx_package() -> Any:
    """The package onnx.

    Raises:
        MissingPackageError: It is not installed.
    """
    try:
        import onnx
    except ImportError as error:
        raise MissingPackageError(
            "ONNX files need the package onnx: pip install 'rs_gen[onnx]'"
        ) from error
    return onnx


class Graph:
    """Nodes and constants as they are added.

    Attributes:
        nodes: In order.
        constants: By name.
    """

    def __init__(self) -> None:
        self.onnx = onnx_package()
        self.nodes: list[Any] = []
        self.constants: dict[str, Array] = {}

    def add(self, op: str, *inputs: str, **attributes: Any) -> str:
        """A node of one output; the name of that."""
        name = f"{op.lower()}_{len(self.nodes) + 1}"
        self.nodes.append(self.onnx.helper.make_node(op, list(inputs), [name], name, **attributes))
        return name

    def constant(self, values: Any, dtype: str = "float32") -> str:
        """A constant; its name."""
        name = f"constant_{len(self.constants) + 1}"
        self.constants[name] = np.ascontiguousarray(np.asarray(values, dtype))
        return name

    def column(self, values: Any) -> str:
        """One number a channel, that broadcasts over (B, C, H, W)."""
        return self.constant(np.asarray(values, "float64").reshape(1, -1, 1, 1))

    def initializers(self) -> list[Any]:
        """The constants as ONNX has them."""
        return [self.onnx.numpy_helper.from_array(v, name) for name, v in self.constants.items()]


def add_program(
    graph: Graph, steps: Sequence[Step], weights: Tensors, image: str, channels: int
) -> str:
    """Add a generator to a graph; the name of its answer.

    Args:
        graph: To add to.
        steps: Of ``program_of``.
        weights: By the names in the steps; the statistics of instance norms as ``LAYER.mean`` and
            ``LAYER.var``, LAYER being what the step says.
        image: Name of what comes in, encoded.
        channels: Of that.
    """
    writer = _Writer(graph, steps, weights)
    names, wide = {0: image}, {0: channels}
    for number, step in enumerate(steps, 1):
        came = [wide[i] for i in step["in"]]
        inputs = [names[i] for i in step["in"]]
        names[number] = writer.write(number, {**step, "channels": came[0]}, inputs)
        wide[number] = _widened(step, came, weights)
    return names[len(steps)]


def _widened(step: Step, came: list[int], weights: Tensors) -> int:
    """Channels behind a step, from those before it."""
    if step["op"] == "conv":
        return int(weights[step["weight"]].shape[0])
    if step["op"] == "transposed":
        return int(weights[step["weight"]].shape[1]) * int(step["groups"])
    if step["op"] in ("shuffle", "unshuffle"):
        many = int(step["factor"]) ** 2
        return came[0] // many if step["op"] == "shuffle" else came[0] * many
    return sum(came) if step["op"] == "cat" else came[0]


class _Writer:
    def __init__(self, graph: Graph, steps: Sequence[Step], weights: Tensors):
        self.graph, self.steps, self.weights = graph, steps, weights
        readers = Counter(source for step in steps for source in step["in"])
        # A norm right behind a convolution that nobody else reads goes into it.
        self.folded = {
            step["in"][0]: step for step in steps
            if step["op"] in ("instance_norm", "batch_norm") and step["in"][0] > 0
            and readers[step["in"][0]] == 1
            and _takes_a_norm(steps[step["in"][0] - 1])
        }  # fmt: skip

    def write(self, number: int, step: Step, inputs: list[str]) -> str:
        op = step["op"]
        if op in ("conv", "transposed"):
            return self._conv(number, step, inputs[0])
        if op in ("instance_norm", "batch_norm"):
            if step["in"][0] in self.folded:
                return inputs[0]
            gain, offset = self._affine(step)
            scaled = self.graph.add("Mul", inputs[0], self.graph.column(gain))
            return self.graph.add("Add", scaled, self.graph.column(offset))
        if op == "channel_norm":
            last = self.graph.add("Transpose", inputs[0], perm=[0, 2, 3, 1])
            terms = [self.graph.constant(self.weights[step[name]]) for name in ("weight", "bias")]
            normed = self.graph.add("LayerNormalization", last, *terms, axis=-1,
                                    epsilon=step["eps"])  # fmt: skip
            return self.graph.add("Transpose", normed, perm=[0, 3, 1, 2])
        return _PLAIN[op](self.graph, step, inputs)

    def _conv(self, number: int, step: Step, x: str) -> str:
        weight = self.weights[step["weight"]].astype("float64")
        turned = step["op"] == "transposed"
        channels = weight.shape[1] * step["groups"] if turned else weight.shape[0]
        bias = np.zeros(channels)
        if "bias" in step:
            bias = self.weights[step["bias"]].astype("float64")
        if number in self.folded:
            gain, offset = self._affine(self.folded[number])
            shape = (1, -1, 1, 1) if turned else (-1, 1, 1, 1)
            weight, bias = weight * gain.reshape(shape), bias * gain + offset
        held = {"strides": step["stride"], "pads": step["padding"] * 2, "group": step["groups"],
                "dilations": step["dilation"]}  # fmt: skip
        names = self.graph.constant(weight), self.graph.constant(bias)
        if turned:
            return self.graph.add("ConvTranspose", x, *names, output_padding=step["more"], **held)
        return self.graph.add("Conv", x, *names, **held)

    def _affine(self, step: Step) -> tuple[Array, Array]:
        """(gain, offset) of a norm whose statistics are fixed."""
        if step["op"] == "batch_norm":
            mean, var = (self.weights[step[name]] for name in ("running_mean", "running_var"))
        else:
            mean, var = (self.weights[f"{step['layer']}.{name}"] for name in ("mean", "var"))
        gain = 1 / np.sqrt(var.astype("float64").ravel() + step["eps"])
        if "weight" in step:
            gain = gain * self.weights[step["weight"]]
        offset = -mean.astype("float64").ravel() * gain
        return gain, offset + self.weights[step["bias"]] if "bias" in step else offset


def _takes_a_norm(step: Step) -> bool:
    return step["op"] == "conv" or (step["op"] == "transposed" and step["groups"] == 1)


def _pad(graph: Graph, x: str, pad: Sequence[int], **attributes: Any) -> str:
    left, right, top, bottom = pad
    sizes = graph.constant([0, 0, top, left, 0, 0, bottom, right], "int64")
    return graph.add("Pad", x, sizes, **attributes)


def _zero_pad(graph: Graph, step: Step, inputs: list[str]) -> str:
    left, right, top, bottom = step["pad"]
    sizes = graph.constant([0, 0, top, left, 0, 0, bottom, right], "int64")
    return graph.add("Pad", inputs[0], sizes, graph.constant(step["value"]), mode="constant")


def _upsample(graph: Graph, step: Step, inputs: list[str]) -> str:
    scales = graph.constant([1, 1, step["factor"], step["factor"]])
    if step["mode"] == "nearest":
        return graph.add("Resize", inputs[0], "", scales, mode="nearest", nearest_mode="floor",
                         coordinate_transformation_mode="asymmetric")  # fmt: skip
    return graph.add("Resize", inputs[0], "", scales, mode="linear",
                     coordinate_transformation_mode="half_pixel")  # fmt: skip


def _blur(graph: Graph, step: Step, inputs: list[str]) -> str:
    channels = step["channels"]
    kernel = np.outer([1, 2, 1], [1, 2, 1]) / 16
    weight = graph.constant(np.broadcast_to(kernel, (channels, 1, 3, 3)))
    padded = _pad(graph, inputs[0], [1, 1, 1, 1], mode="reflect")
    return graph.add("Conv", padded, weight, strides=[2, 2], group=channels)


def _unshuffle(graph: Graph, step: Step, inputs: list[str]) -> str:
    """As torch orders the channels; ONNX's SpaceToDepth has another order."""
    factor, channels = step["factor"], step["channels"]
    pick = np.eye(factor**2).reshape(factor**2, 1, factor, factor)
    weight = graph.constant(np.tile(pick, (channels, 1, 1, 1)))
    return graph.add("Conv", inputs[0], weight, strides=[factor, factor], group=channels)


_Plain = Callable[[Graph, Step, list[str]], str]
_PLAIN: dict[str, _Plain] = {
    "add": lambda graph, step, inputs: graph.add("Add", *inputs),
    "cat": lambda graph, step, inputs: graph.add("Concat", *inputs, axis=1),
    "mirror": lambda graph, step, inputs: _pad(graph, inputs[0], step["pad"], mode="reflect"),
    "repeat": lambda graph, step, inputs: _pad(graph, inputs[0], step["pad"], mode="edge"),
    "pad": _zero_pad,
    "upsample": _upsample,
    "blur": _blur,
    "shuffle": lambda graph, step, inputs: graph.add("DepthToSpace", inputs[0],
                                                     blocksize=step["factor"], mode="CRD"),
    "unshuffle": _unshuffle,
    "leaky": lambda graph, step, inputs: graph.add("LeakyRelu", inputs[0], alpha=step["slope"]),
    "clamp": lambda graph, step, inputs: graph.add("Clip", inputs[0], graph.constant(step["low"]),
                                                   graph.constant(step["high"])),
    "relu": lambda graph, step, inputs: graph.add("Relu", inputs[0]),
    "tanh": lambda graph, step, inputs: graph.add("Tanh", inputs[0]),
    "sigmoid": lambda graph, step, inputs: graph.add("Sigmoid", inputs[0]),
    "silu": lambda graph, step, inputs: graph.add("Mul", inputs[0],
                                                  graph.add("Sigmoid", inputs[0])),
    "same": lambda graph, step, inputs: inputs[0],
}  # fmt: skip
