"""What all generators promise. Their own layers are in test_resnet.py and test_unet.py."""

from functools import partial

import pytest
import torch

from rs_gen.networks.norm import freeze, gathering
from rs_gen.networks.reach import reach
from rs_gen.networks.resnet import resnet_generator
from rs_gen.networks.unet import unet_generator

NORMS = ("instance", "batch", "pixel", "none")
MAKERS = {
    **{f"resnet-{norm}": partial(resnet_generator, 2, 3, 4, 1, norm=norm) for norm in NORMS},
    "resnet-antialiased": partial(resnet_generator, 2, 3, 4, 1, antialias=True),
    **{f"unet-{norm}": partial(unet_generator, 2, 3, 4, 5, norm=norm) for norm in NORMS},
}


@pytest.fixture(params=MAKERS)
def net(request):
    return MAKERS[request.param]()


def frozen(net, image):
    with gathering(net) as statistics, torch.inference_mode():
        net(image)
    freeze(net, statistics)
    return net


def difference(net, image, whole, core, halo):
    """Largest difference from the whole image in cores read with a halo: corner, edge, middle."""
    height, width = image.shape[-2:]
    middle = width // 2 // core * core
    worst = 0.0
    for row, col in ((0, 0), (height // 2 // core * core, middle), (height - core, middle)):
        top, left = max(row - halo, 0), max(col - halo, 0)
        bottom, right = min(row + core + halo, height), min(col + core + halo, width)
        tile = net(image[:, :, top:bottom, left:right])
        inside = tile[:, :, row - top : row - top + core, col - left : col - left + core]
        expected = whole[:, :, row : row + core, col : col + core]
        worst = max(worst, (inside - expected).abs().max().item())
    return worst


def livelier(net):
    """Weights as a trained network might have, so that what is far away matters."""
    for name, parameter in net.named_parameters():
        if parameter.dim() == 4:
            torch.nn.init.kaiming_normal_(parameter)
        elif "bias" in name:
            torch.nn.init.normal_(parameter, 0, 0.1)
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_var.uniform_(0.5, 2)
            module.running_mean.normal_()
    return net


@torch.inference_mode()
def test_tiles_with_the_halo_equal_the_whole_image(net):
    net = livelier(net).eval()
    found = reach(net, applied=True)
    assert found.exact, found.reason
    image = torch.rand(1, 2, 224, 160) if found.phase == 32 else torch.rand(1, 2, 112, 96)
    net = frozen(net, image * 2 - 1)
    assert reach(net) == found
    halo = -(-max(found.left, found.right) // found.phase) * found.phase
    whole = net(image)
    assert whole.std() > 1e-2  # the promise would be cheap for a flat image
    assert difference(net, image, whole, 32, halo) <= 1e-5
    assert difference(net, image, whole, 32, 0) > 1e-3


@torch.inference_mode()
def test_without_freezing_tiles_of_an_instance_norm_disagree():
    net = livelier(resnet_generator(2, 3, 4, 2)).eval()
    image = torch.rand(1, 2, 128, 128)
    image[..., 64:] *= 0.3
    assert difference(net, image, net(image), 64, 32) > 1e-2


def test_the_output_has_the_input_size_and_stays_in_range(net):
    out = livelier(net).eval()(torch.randn(2, 2, 64, 32) * 3)
    assert out.shape == (2, 3, 64, 32)
    assert out.abs().max() <= 1


def test_torch_fx_traces_it(net):
    net = net.eval()
    image = torch.randn(1, 2, 64, 32)
    torch.testing.assert_close(torch.fx.symbolic_trace(net)(image), net(image))


def test_torch_fx_traces_it_frozen(net):
    image = torch.randn(1, 2, 64, 32)
    net = frozen(net.eval(), image)
    torch.testing.assert_close(torch.fx.symbolic_trace(net)(image), net(image))


def test_torch_compile_takes_it_in_one_graph(net):
    torch._dynamo.reset()
    net = net.eval()
    image = torch.randn(2, 2, 64, 32)
    compiled = torch.compile(net, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(image), net(image))
    assert reach(compiled, applied=True) == reach(net, applied=True)


def test_channels_last_comes_back_as_channels_last(net):
    image = torch.randn(2, 2, 64, 32)
    net = net.eval()
    expected = net(image)
    net = net.to(memory_format=torch.channels_last)
    out = net(image.to(memory_format=torch.channels_last))
    assert out.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(out, expected, atol=1e-4, rtol=1e-4)


def test_it_trains_under_bfloat16_autocast(net):
    with torch.autocast("cpu", torch.bfloat16):
        out = net(torch.randn(2, 2, 64, 32))
    out.float().square().mean().backward()
    assert all(p.grad.isfinite().all() for p in net.parameters())


def test_the_same_seed_draws_the_same_weights():
    for make in MAKERS.values():
        states = []
        for _ in range(2):
            torch.manual_seed(5)
            states.append(make().state_dict())
        assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
