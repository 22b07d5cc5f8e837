from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from rs_gen.errors import SettingError
from rs_gen.games.hosted.rs_gen_model import run
from rs_gen.networks.efficient import efficient_unet
from rs_gen.networks.norm import freeze, gathering, norm_layers
from rs_gen.networks.program import program_of
from rs_gen.networks.resnet import resnet_generator
from rs_gen.networks.unet import unet_generator

NETS = {
    "resnet": lambda: resnet_generator(3, 2, width=4, blocks=2),
    "antialiased": lambda: resnet_generator(3, 2, width=4, blocks=1, antialias=True, dropout=0.5),
    "channel norm": lambda: resnet_generator(3, 2, width=4, blocks=1, norm="pixel"),
    "no norm": lambda: resnet_generator(3, 2, width=4, blocks=1, norm="none"),
    "u-net": lambda: unet_generator(3, 2, width=4, depth=5),
    "instance u-net": lambda: unet_generator(3, 2, width=4, depth=5, norm="instance"),
    "efficient": lambda: efficient_unet(3, 2, pretrained=False, widths=(16, 8)),
}


def kept(net: nn.Module) -> dict[str, torch.Tensor]:
    """The weights as a saved model names them, with the statistics of its norms."""
    held = {f"generators.AtoB.{name}": tensor for name, tensor in net.state_dict().items()}
    for name, layer in norm_layers(net).items():
        held[f"statistics.AtoB.{name}.mean"] = layer.frozen_mean
        held[f"statistics.AtoB.{name}.var"] = layer.frozen_var
    return held


@pytest.mark.parametrize("name", NETS)
@torch.no_grad()
def test_the_steps_compute_what_the_network_does(name):
    torch.manual_seed(0)
    net = NETS[name]().eval()
    images = torch.rand(2, 3, 64, 32) * 2 - 1
    with gathering(net) as statistics:
        net(torch.rand(2, 3, 64, 64))
    freeze(net, statistics)
    steps = json.loads(json.dumps(program_of(net, "generators.AtoB")))
    assert torch.allclose(run(steps, kept(net), images, "AtoB"), net(images), atol=1e-6)


def test_a_single_layer_is_a_program():
    assert program_of(nn.Tanh()) == [{"op": "tanh", "in": [0]}]
    assert program_of(nn.Identity()) == []


def test_a_network_keeps_its_mode():
    net = resnet_generator(1, 1, width=2, blocks=0).train()
    program_of(net)
    assert net.training


@pytest.mark.parametrize("net", [nn.GroupNorm(1, 3), nn.Conv2d(3, 3, 3, padding="same"),
                                 nn.Upsample(scale_factor=2, mode="bicubic")])  # fmt: skip
def test_a_layer_that_can_not_be_written_down_is_named(net):
    with pytest.raises(SettingError, match=r"(GroupNorm|Conv2d|Upsample).* can't be written as a"):
        program_of(net)


def test_an_operation_that_can_not_be_written_down_is_named():
    class Doubled(nn.Module):
        def forward(self, x):
            return torch.fft.fft2(x).abs()

    with pytest.raises(SettingError, match="can't be written as a step"):
        program_of(Doubled())
