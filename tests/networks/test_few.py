"""Convolutions over few positions or to few channels go another way to the same results."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from rs_gen.networks import few
from rs_gen.networks.unet import unet_generator

KINDS = [
    (few.Conv2d, nn.Conv2d, {"kernel_size": 4, "stride": 2, "padding": 1}),
    (few.Conv2d, nn.Conv2d, {"kernel_size": 3, "padding": 1}),
    (few.ConvTranspose2d, nn.ConvTranspose2d, {"kernel_size": 4, "stride": 2, "padding": 1}),
]


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("side", [(2, 2), (4, 8), (16, 16)])
@pytest.mark.parametrize(("ours", "theirs", "options"), KINDS)
def test_results_and_gradients_are_those_of_the_convolution(ours, theirs, options, side, layout):
    torch.manual_seed(0)
    layer = ours(5, 7, **options).double().to(memory_format=layout)
    plain = theirs(5, 7, **options).double()
    plain.load_state_dict(layer.state_dict())
    x = torch.randn(2, 5, *side, dtype=torch.float64, requires_grad=True)
    twin = x.detach().clone().requires_grad_()
    y, expected = layer(x), plain(twin)
    assert few._pays(x, 2 * side[0] * side[1]) == (side != (16, 16))
    torch.testing.assert_close(y, expected)
    down = torch.randn_like(y)
    y.backward(down)
    expected.backward(down)
    torch.testing.assert_close(x.grad, twin.grad)
    for name, weight in layer.named_parameters():
        torch.testing.assert_close(weight.grad, plain.get_parameter(name).grad, msg=name)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("size", "pad", "side", "channels", "four"), [
    (7, 0, (30, 38), 3, True), (5, 2, (24, 24), 4, True), (4, 1, (31, 31), 1, True),
    (4, 1, (31, 32), 1, False), (7, 0, (30, 38), 5, False), (3, 1, (24, 24), 3, False),
])  # fmt: skip
def test_four_pixels_at_once_are_those_of_the_convolution(size, pad, side, channels, four, layout):
    torch.manual_seed(0)
    layer = few.Conv2d(6, channels, size, padding=pad).double().to(memory_format=layout)
    plain = nn.Conv2d(6, channels, size, padding=pad).double()
    plain.load_state_dict(layer.state_dict())
    x = torch.randn(2, 6, *side, dtype=torch.float64).to(memory_format=layout).requires_grad_()
    twin = x.detach().clone().requires_grad_()
    assert layer._is_narrow(x) == four
    y, expected = layer(x), plain(twin)
    torch.testing.assert_close(y, expected)
    down = torch.randn_like(expected)
    y.backward(down)
    expected.backward(down)
    torch.testing.assert_close(x.grad, twin.grad)
    for name, weight in layer.named_parameters():
        torch.testing.assert_close(weight.grad, plain.get_parameter(name).grad, msg=name)


@pytest.mark.parametrize(("layer", "side"), [
    (few.Conv2d(3, 4, 4, 2, 1), 4), (few.Conv2d(3, 3, 7), 40),
])  # fmt: skip
def test_applying_goes_one_way_for_every_size(layer, side, monkeypatch):
    usual, called = nn.Conv2d._conv_forward, []
    monkeypatch.setattr(nn.Conv2d, "_conv_forward", lambda *a: (called.append(a), usual(*a))[1])
    with torch.no_grad():
        layer(torch.zeros(1, 3, side, side))
    assert len(called) == 1
    layer(torch.zeros(1, 3, side, side))
    assert len(called) == 1


def test_a_u_net_trains_the_same_and_is_given_back_as_it_was():
    torch.manual_seed(0)
    plain = unet_generator(3, 3, width=4, depth=5, dropout=0.0).double()
    ours = copy.deepcopy(plain)
    few.quicken(ours)
    assert [type(m) for m in ours.modules()] != [type(m) for m in plain.modules()]
    x = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    for net in (ours, plain):
        net(x).square().mean().backward()
    for (name, a), b in zip(ours.named_parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, msg=name)
    few.calm(ours)
    assert [type(m) for m in ours.modules()] == [type(m) for m in plain.modules()]


@pytest.mark.parametrize("options", [
    {"groups": 5}, {"dilation": 2}, {"padding_mode": "reflect"}, {"padding": "same", "stride": 1},
    {"kernel_size": (3, 5)}, {"kernel_size": 1},
])  # fmt: skip
def test_convolutions_of_other_kinds_stay(options):
    layer = nn.Conv2d(5, 5, **{"kernel_size": 3, **options})
    few.quicken(layer)
    assert type(layer) is nn.Conv2d
