from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from torch import nn

from rs_gen.errors import MissingPackageError
from rs_gen.networks.norm import InstanceNorm, freeze, gathering
from rs_gen.networks.onnx_graph import IR_VERSION, OPSET, Graph, add_program, onnx_package
from rs_gen.networks.program import program_of


def graph_of(net: nn.Module, channels: int) -> tuple[Graph, str]:
    weights = {name: tensor.numpy() for name, tensor in net.state_dict().items()}
    for name, layer in net.named_modules():
        if isinstance(layer, InstanceNorm):
            weights |= {f"{name}.mean": layer.frozen_mean.numpy(),
                        f"{name}.var": layer.frozen_var.numpy()}  # fmt: skip
    graph = Graph()
    return graph, add_program(graph, program_of(net), weights, "image", channels)


def run(graph: Graph, last: str, image: torch.Tensor) -> np.ndarray:
    import onnxruntime

    helper, kind = graph.onnx.helper, graph.onnx.TensorProto.FLOAT
    shape = ["b", None, "h", "w"]
    shapes = [helper.make_tensor_value_info(name, kind, shape) for name in ("image", last)]
    held = helper.make_graph(graph.nodes, "g", shapes[:1], shapes[1:], graph.initializers())
    proto = helper.make_model(held, ir_version=IR_VERSION,
                              opset_imports=[helper.make_opsetid("", OPSET)])  # fmt: skip
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    return session.run(None, {"image": image.numpy()})[0]


def frozen(net: nn.Module, channels: int) -> nn.Module:
    net.eval()
    with torch.no_grad(), gathering(net) as statistics:
        net(torch.randn(2, channels, 16, 16) + 1)
    freeze(net, statistics)
    return net


@torch.no_grad()
@pytest.mark.parametrize("conv", [nn.Conv2d(3, 4, 3, 2, 1, bias=False),
                                  nn.ConvTranspose2d(3, 4, 3, 2, 1, 1)])  # fmt: skip
def test_a_frozen_norm_disappears_into_the_convolution_before_it(conv):
    net = frozen(nn.Sequential(conv, InstanceNorm(4, affine=True), nn.SiLU()), 3)
    nn.init.normal_(net[1].weight)
    graph, last = graph_of(net, 3)
    assert [node.op_type for node in graph.nodes][1:] == ["Sigmoid", "Mul"]
    image = torch.randn(1, 3, 8, 8)
    assert np.allclose(run(graph, last, image), net(image).numpy(), atol=1e-5)


@torch.no_grad()
def test_a_norm_whose_convolution_has_other_readers_stays_a_step():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm = nn.Conv2d(2, 2, 1), InstanceNorm(2)

        def forward(self, x):
            x = self.conv(x)
            return x + self.norm(x)

    net = frozen(Twice(), 2)
    graph, last = graph_of(net, 2)
    assert [node.op_type for node in graph.nodes] == ["Conv", "Mul", "Add", "Add"]
    image = torch.randn(1, 2, 5, 7)
    assert np.allclose(run(graph, last, image), net(image).numpy(), atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("layer", [
    nn.PixelUnshuffle(2), nn.PixelShuffle(2), nn.Upsample(scale_factor=2, mode="bilinear"),
    nn.Upsample(scale_factor=2), nn.ReplicationPad2d((1, 2, 3, 0)), nn.ReLU6(), nn.Sigmoid(),
    nn.ReflectionPad2d((1, 2, 3, 0)), nn.ConstantPad2d((1, 2, 3, 0), 0.5),
])  # fmt: skip
def test_layers_mean_the_same_to_onnx(layer):
    image = torch.randn(2, 4, 6, 8) * 5
    graph, last = graph_of(nn.Sequential(layer), 4)
    assert np.allclose(run(graph, last, image), layer(image).numpy(), atol=1e-5)


def test_without_onnx_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'rs_gen\[onnx\]'"):
        onnx_package()
