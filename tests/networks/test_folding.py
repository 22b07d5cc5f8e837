"""A folded network is the same function, in float32 closely and in bfloat16 no worse."""

import copy

import pytest
import torch
from torch import nn

from rs_gen.networks import fused
from rs_gen.networks.efficient import efficient_unet
from rs_gen.networks.folding import fold
from rs_gen.networks.fused import Fused, has_post_ops, reflected
from rs_gen.networks.norm import InstanceNorm, freeze, gathering
from rs_gen.networks.resnet import resnet_generator
from rs_gen.networks.unet import unet_generator

NETS = {
    "resnet": lambda: resnet_generator(3, 3, 6, blocks=2),
    "resnet-batch": lambda: resnet_generator(3, 3, 6, blocks=1, norm="batch", dropout=0.5),
    "resnet-smooth": lambda: resnet_generator(3, 3, 6, blocks=1, antialias=True),
    "resnet-pixel": lambda: resnet_generator(3, 3, 6, blocks=1, norm="pixel"),
    "unet": lambda: unet_generator(3, 3, 4, depth=5),
    "unet-instance": lambda: unet_generator(3, 3, 4, depth=5, norm="instance"),
    "efficient": lambda: efficient_unet(3, 3, pretrained=False, widths=(8, 8, 4)),
}


def applied(name):
    """A network with lively weights, batch norms that met data and frozen instance norms."""
    torch.manual_seed(0)
    net = NETS[name]()
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(module.weight)
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
    images = torch.rand(2, 3, 64, 64) * 2 - 1
    with torch.no_grad():
        net.train()(images)
        with gathering(net.eval()) as statistics:
            net(images)
    freeze(net, statistics)
    return net.requires_grad_(False)


def kinds(net):
    return [type(module).__name__ for module in net.modules()]


@pytest.fixture(params=NETS)
def net(request):
    return applied(request.param)


@pytest.fixture
def images():
    return torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.mark.parametrize("quick", [True, False])
def test_a_folded_network_is_the_same_function(net, images, monkeypatch, quick):
    if not quick:
        monkeypatch.setattr(fused, "has_post_ops", lambda dtype: False)
    before = copy.deepcopy(net.state_dict())
    folded = fold(net)
    wanted, got = net(images), folded(images)
    assert wanted.std() > 0.1
    assert (got - wanted).abs().max() <= 1e-4
    assert not set(kinds(folded)) & {"BatchNorm2d", "InstanceNorm", "ReflectionPad2d", "Dropout"}
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())


def test_half_precision_is_no_worse_for_being_folded(net, images):
    wanted, folded = net(images), fold(net, torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        plain, quick = net(images).float(), folded(images).float()
    assert (quick - wanted).abs().mean() <= 1.05 * (plain - wanted).abs().mean()
    weights = [m.weight.dtype for m in folded.modules() if isinstance(m, Fused)]
    assert set(weights) == {torch.bfloat16}


def test_a_norm_by_hand():
    conv, norm = nn.Conv2d(1, 1, 1), InstanceNorm(1, eps=0)
    nn.init.constant_(conv.weight, 3.0)
    nn.init.constant_(conv.bias, 1.0)
    net = nn.Sequential(conv, norm, nn.LeakyReLU(0.5))
    freeze(net, {"1": (torch.full((1, 1, 1, 1), 5.0), torch.full((1, 1, 1, 1), 4.0))})
    folded = fold(net)  # (3 x + 1 - 5) / 2
    assert kinds(folded)[1:] == ["Fused"]
    assert folded(torch.full((1, 1, 1, 1), 2.0)).item() == pytest.approx(1.0)
    assert folded(torch.zeros(1, 1, 1, 1)).item() == pytest.approx(-1.0)


@pytest.mark.parametrize("side", [(24, 24), (23, 30), (31, 25)])
@pytest.mark.parametrize("layers", [
    (nn.ReflectionPad2d(3), nn.Conv2d(4, 3, 7)), (nn.Conv2d(4, 1, 4, padding=1), nn.LeakyReLU(0.2)),
    (nn.Conv2d(4, 4, 5),),
])  # fmt: skip
def test_four_pixels_at_once_come_out_where_they_belong(layers, side):
    net = nn.Sequential(*layers).eval().requires_grad_(False)
    folded = fold(net)
    assert [m.narrow for m in folded.modules() if isinstance(m, Fused)] == [True]
    x = torch.rand(2, 4, *side)
    assert folded(x).shape == net(x).shape
    assert torch.allclose(folded(x), net(x), atol=1e-6)
    crop = x[..., 1:, 1:]  # a tile that begins at an odd pixel meets its neighbour
    if layers[0].__class__ is nn.Conv2d and layers[0].padding == (0, 0):
        assert torch.allclose(folded(crop), folded(x)[..., 1:, 1:], atol=1e-6)


@pytest.mark.parametrize("conv", [
    nn.Conv2d(4, 5, 7), nn.Conv2d(4, 3, 3), nn.Conv2d(4, 3, 7, stride=2),
    nn.Conv2d(4, 4, 7, groups=4), nn.Conv2d(4, 3, 7, dilation=2), nn.ConvTranspose2d(4, 3, 7),
])  # fmt: skip
def test_other_convolutions_are_computed_as_ever(conv):
    folded = fold(nn.Sequential(conv).eval().requires_grad_(False))
    assert [m.narrow for m in folded.modules() if isinstance(m, Fused)] == [False]


def test_what_reads_beside_a_layer_in_place_reads_behind_it():
    class Skipping(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.act = nn.Conv2d(1, 1, 1), nn.ReLU(inplace=True)

        def forward(self, x):
            y = self.conv(x)
            return torch.cat([self.act(y), y], 1)

    net = Skipping().eval().requires_grad_(False)
    x = torch.linspace(-5, 5, 9).view(1, 1, 3, 3)
    assert torch.allclose(fold(net)(x), net(x))
    net.act.inplace = False  # now the second reads what was before
    folded = fold(net)
    assert torch.allclose(folded(x), net(x))
    assert "ReLU" in kinds(folded)


def test_norms_that_look_at_the_image_stay():
    net = resnet_generator(3, 3, 4, blocks=1).eval()
    assert kinds(fold(net)).count("InstanceNorm") == 7
    training = nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1), nn.Dropout(0.5)).train()
    assert set(kinds(fold(training))) >= {"Fused", "BatchNorm2d", "Dropout"}


def test_norms_with_a_number_for_each_pixel_stay():
    net = nn.Sequential(nn.Conv2d(1, 2, 1), InstanceNorm(2))
    maps = torch.rand(1, 2, 4, 4) + 0.5
    freeze(net, {"1": (maps, maps)})
    x = torch.rand(1, 1, 4, 4)
    assert torch.allclose(fold(net)(x), net(x), atol=1e-6)


def test_a_channel_that_never_varies_is_not_blown_up():
    net = nn.Sequential(nn.Conv2d(1, 2, 1), InstanceNorm(2))
    mean, var = torch.ones(1, 2, 1, 1), torch.tensor([1.0, 0.0]).view(1, 2, 1, 1)
    freeze(net, {"1": (mean, var)})
    assert "InstanceNorm" in kinds(fold(net))


def test_convolutions_of_other_kinds_stay_as_they_are():
    class Own(nn.Conv2d):
        def forward(self, x):
            return super().forward(x) + 1

    net = nn.Sequential(
        nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect"), nn.Conv2d(1, 1, 3, padding="same"),
        nn.Conv2d(1, 1, (3, 1), padding=(1, 0)), Own(1, 1, 1), nn.ReLU(),
    ).eval()  # fmt: skip
    x = torch.rand(1, 1, 6, 6)
    folded = fold(net)
    assert "Fused" not in kinds(folded)
    assert torch.allclose(folded(x), net(x))


def test_padding_that_others_read_too_is_kept():
    class Shared(nn.Module):
        def __init__(self):
            super().__init__()
            self.pad, self.conv = nn.ReflectionPad2d(1), nn.Conv2d(1, 1, 3)

        def forward(self, x):
            padded = self.pad(x)
            return self.conv(padded) + padded[:, :, 1:-1, 1:-1]

    net, x = Shared().eval(), torch.rand(1, 1, 5, 5)
    assert torch.allclose(fold(net)(x), net(x), atol=1e-6)


@pytest.mark.parametrize("pads", [(1, 2, 0, 3), (0, 0, 2, 0), (0, 0, 0, 0)])
def test_reflection_is_that_of_torch(pads):
    top, bottom, left, right = pads
    x = torch.rand(2, 3, 5, 6).contiguous(memory_format=torch.channels_last)
    got = reflected(x, *pads)
    assert torch.equal(got, nn.functional.pad(x, (left, right, top, bottom), mode="reflect"))
    assert got.is_contiguous(memory_format=torch.channels_last)


def test_a_torch_without_the_kernel_takes_the_usual_steps(monkeypatch):
    has_post_ops.cache_clear()
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert not has_post_ops(torch.float32)
    has_post_ops.cache_clear()
