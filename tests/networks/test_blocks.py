import pytest
import torch
from torch import nn

from rs_gen.errors import ChipError, SettingError
from rs_gen.networks.blocks import BlurPool, Residual, check_size, init_normal, start_at
from rs_gen.networks.resnet import resnet_generator
from rs_gen.networks.unet import unet_generator


def test_a_size_that_does_not_fit_is_told_with_the_nearest_that_do():
    net = resnet_generator(3, 3, 2, 1)
    message = "chips are 250 px but this generator needs a multiple of 4; try 248 or 252"
    with pytest.raises(ChipError, match=message):
        check_size(net, 250)
    with pytest.raises(ChipError, match=message):
        net(torch.zeros(1, 3, 250, 250))


def test_both_sides_are_checked():
    net = resnet_generator(3, 3, 2, 1)
    with pytest.raises(ChipError, match=r"chips are 64 x 70 px .* try 64 x 68 or 64 x 72"):
        check_size(net, (64, 70))
    with pytest.raises(ChipError, match=r"chips are 70 x 64 px .* try 68 x 64 or 72 x 64"):
        check_size(net, (70, 64))


def test_a_chip_too_small_for_the_network_is_told_the_smallest_that_does():
    with pytest.raises(ChipError, match=r"chips are 128 px .* multiple of 256 .*; try 256$"):
        check_size(unet_generator(3, 3, 2), 128)
    with pytest.raises(ChipError, match=r"chips are 4 px .* multiple of 4 of at least 8; try 8$"):
        check_size(resnet_generator(3, 3, 2, 1), 4)


@pytest.mark.parametrize(
    "net", [resnet_generator(1, 1, 2, 1), resnet_generator(1, 1, 2, 0, 0),
            resnet_generator(1, 1, 2, 1, 3, antialias=True), unet_generator(1, 1, 2, 5)],
    ids=["resnet", "flat", "antialiased", "unet"],
)  # fmt: skip
def test_the_smallest_size_really_works(net):
    check_size(net, net.smallest)
    assert net(torch.randn(2, 1, net.smallest, net.smallest)).isfinite().all()


def test_any_network_that_can_be_followed_is_checked():
    net = nn.Sequential(nn.Conv2d(1, 1, 3, 2, 1), nn.Upsample(scale_factor=2))
    check_size(net, 10)
    with pytest.raises(ChipError, match="multiple of 2; try 10 or 12"):
        check_size(net, 11)


def test_blur_pool_keeps_a_constant_and_removes_the_finest_stripes():
    stripes = torch.tensor([1.0, -1.0]).repeat(4).expand(1, 1, 8, 8)
    assert BlurPool(1)(torch.full((1, 2, 8, 8), 3.0)[:, :1]).unique().item() == 3
    assert BlurPool(1)(stripes).abs().max() == 0


def test_blur_pool_works_on_every_channel_alone():
    x = torch.randn(2, 3, 8, 6)
    alone = torch.cat([BlurPool(1)(band[:, None]) for band in x.unbind(1)], 1)
    torch.testing.assert_close(BlurPool(3)(x), alone)
    assert alone.shape == (2, 3, 4, 3)
    assert not BlurPool(3).state_dict()


def test_a_residual_of_nothing_doubles():
    x = torch.randn(1, 2, 3, 3)
    torch.testing.assert_close(Residual(nn.Identity())(x), 2 * x)


def test_weights_start_small_and_normal():
    net = init_normal(nn.Sequential(nn.Conv2d(64, 64, 5), nn.BatchNorm2d(4000)))
    assert net[0].weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert net[0].weight.mean().item() == pytest.approx(0, abs=1e-3)
    assert net[0].bias.abs().max() == 0
    assert net[1].weight.mean().item() == pytest.approx(1, abs=1e-2)
    assert net[1].weight.std().item() == pytest.approx(0.02, rel=0.05)


def test_a_generator_can_start_at_a_colour():

    torch.manual_seed(0)
    net = start_at(resnet_generator(3, 2, width=4, blocks=1), (0.8, -0.5)).eval()
    mean = net(torch.rand(1, 3, 32, 32) * 2 - 1).mean((0, 2, 3))
    assert torch.allclose(mean, torch.tensor([0.8, -0.5]), atol=0.1)
    with pytest.raises(SettingError, match="a colour of 3 bands"):
        start_at(net, (0, 0, 0))
