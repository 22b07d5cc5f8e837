import pytest
import torch
from torch import nn

from rs_gen.errors import SettingError, UnknownNameError
from rs_gen.networks.blocks import BlurPool
from rs_gen.networks.resnet import resnet_generator


def parameters(net):
    return sum(p.numel() for p in net.parameters())


def test_the_published_network_has_its_published_size():
    with torch.device("meta"):  # shapes alone
        assert parameters(resnet_generator(3, 3)) == 11_378_179
        assert parameters(resnet_generator(3, 3, blocks=6)) == 7_837_699


def test_the_weights_have_their_published_names():
    keys = set(resnet_generator(3, 3, 2).state_dict())
    blocks = {f"{10 + i}.conv_block.{j}" for i in range(9) for j in (1, 5)}
    layers = {"1", "4", "7", *blocks, "19", "22", "26"}
    assert keys == {f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")}


def test_the_published_layers_are_laid():
    net = resnet_generator(3, 1, blocks=1)
    convs = [m for m in net.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    shapes = [(m.in_channels, m.out_channels, m.kernel_size[0], m.stride[0]) for m in convs]
    assert shapes == [
        (3, 64, 7, 1), (64, 128, 3, 2), (128, 256, 3, 2), (256, 256, 3, 1), (256, 256, 3, 1),
        (256, 128, 3, 2), (128, 64, 3, 2), (64, 1, 7, 1),
    ]  # fmt: skip


@pytest.mark.parametrize("bands", [(1, 3), (13, 1), (4, 10)])
def test_bands_in_and_out_may_differ(bands):
    c_in, c_out = bands
    assert resnet_generator(c_in, c_out, 2, 1)(torch.randn(1, c_in, 16, 20)).shape[1] == c_out


@pytest.mark.parametrize("downsamplings", [0, 1, 3])
def test_the_phase_follows_the_downsamplings(downsamplings):
    net = resnet_generator(1, 1, 2, 1, downsamplings)
    assert net.phase == 2**downsamplings
    assert net(torch.randn(1, 1, 32, 32)).shape == (1, 1, 32, 32)


def test_antialiasing_replaces_every_strided_layer():
    net = resnet_generator(1, 1, 2, 1, antialias=True)
    assert not any(isinstance(m, nn.ConvTranspose2d) for m in net.modules())
    assert all(m.stride == (1, 1) for m in net.modules() if isinstance(m, nn.Conv2d))
    assert sum(isinstance(m, BlurPool) for m in net.modules()) == 2


def test_antialiasing_shifts_more_smoothly():
    def wobble(antialias):
        torch.manual_seed(1)
        net = resnet_generator(1, 1, 8, 1, norm="none", antialias=antialias).eval()
        for p in net.parameters():
            if p.dim() == 4:
                nn.init.kaiming_normal_(p)
        image = torch.randn(1, 1, 65, 64)
        with torch.inference_mode():
            a, b = net(image[:, :, :64]), net(image[:, :, 1:])
        return (a[:, :, 17:48] - b[:, :, 16:47]).abs().mean() / a.std()

    assert wobble(True) < 0.7 * wobble(False)


def test_dropout_lies_between_the_convolutions_of_a_block():
    net = resnet_generator(1, 1, 2, 3, dropout=0.5)
    assert sum(isinstance(m, nn.Dropout) for m in net.modules()) == 3
    image = torch.randn(1, 1, 16, 16)
    assert not torch.equal(net(image), net(image))
    net.eval()
    assert torch.equal(net(image), net(image))


def test_batch_norm_brings_its_own_offset():
    net = resnet_generator(1, 1, 2, 1, norm="batch")
    inner = [m for m in net.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)][:-1]
    assert all(m.bias is None for m in inner)


def test_settings_that_can_not_work_are_told():
    with pytest.raises(SettingError, match="in_channels=0, out_channels=3 and width=64 must be"):
        resnet_generator(0, 3)
    with pytest.raises(SettingError, match="blocks=-1 and downsamplings=2 at least 0"):
        resnet_generator(3, 3, blocks=-1)
    with pytest.raises(SettingError, match=r"dropout=1.5 is not in 0 to below 1"):
        resnet_generator(3, 3, dropout=1.5)
    with pytest.raises(UnknownNameError, match="no norm named 'layer'"):
        resnet_generator(3, 3, norm="layer")
