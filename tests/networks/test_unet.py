import pytest
import torch
from torch import nn

from rs_gen.errors import SettingError, UnknownNameError
from rs_gen.networks.unet import unet_generator


def parameters(net):
    return sum(p.numel() for p in net.parameters())


def test_the_published_network_has_its_published_size():
    with torch.device("meta"):  # shapes alone
        assert parameters(unet_generator(3, 3)) == 54_413_955
        assert parameters(unet_generator(3, 3, depth=7)) == 41_828_995


def test_the_weights_have_their_published_names():
    keys = set(unet_generator(3, 3, 2, 5).state_dict())
    norm = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
    expected = {"model.0.weight", "model.3.weight", "model.3.bias"}
    level = "model.1"
    for _ in range(3):
        expected |= {f"{level}.model.1.weight", f"{level}.model.5.weight"}
        expected |= {f"{level}.model.{layer}.{part}" for layer in (2, 6) for part in norm}
        level += ".model.3"
    expected |= {f"{level}.model.1.weight", f"{level}.model.3.weight"}
    expected |= {f"{level}.model.4.{part}" for part in norm}
    assert keys == expected


@pytest.mark.parametrize("depth", [5, 6, 7, 8])
def test_the_bottleneck_is_one_position_at_the_phase(depth):
    net = unet_generator(1, 2, 2, depth).eval()
    assert net.phase == 2**depth
    sizes = []
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda m, i, out: sizes.append(out.shape[-1]))
    assert net(torch.randn(1, 1, 2**depth, 2**depth)).shape == (1, 2, 2**depth, 2**depth)
    assert sizes == [2**i for i in range(depth)][::-1]


@pytest.mark.parametrize(("depth", "layers"), [(5, 0), (6, 1), (7, 2), (8, 3)])
def test_dropout_lies_in_the_widest_decoder_levels(depth, layers):
    net = unet_generator(1, 1, 2, depth)
    assert sum(isinstance(m, nn.Dropout) for m in net.modules()) == layers
    none = unet_generator(1, 1, 2, depth, dropout=0)
    assert not any(isinstance(m, nn.Dropout) for m in none.modules())


def test_dropout_is_random_in_training_and_off_in_eval():
    net = unet_generator(1, 1, 4, 6, norm="none")
    for p in net.parameters():
        nn.init.normal_(p, 0, 0.3)
    image = torch.randn(1, 1, 64, 64)
    assert not torch.equal(net(image), net(image))
    net.eval()
    assert torch.equal(net(image), net(image))


def test_skips_carry_detail_past_the_bottleneck():
    net = unet_generator(1, 1, 2, 5).eval()
    for module in net.modules():  # cut the innermost level off
        if isinstance(module, nn.Conv2d) and module.in_channels == module.out_channels:
            nn.init.zeros_(module.weight)
    a = torch.randn(1, 1, 32, 32)
    b = a.clone()
    b[..., 0, 0] += 5
    assert not torch.equal(net(a), net(b))


def test_the_skip_is_activated_as_in_the_released_code():
    net = unet_generator(1, 1, 2, 5, norm="none").eval()
    image = torch.randn(1, 1, 32, 32)
    level = net.model[1]
    x = net.model[0](image)
    below = level.model(x.clone())
    joined = torch.cat([x, below], 1)  # not activated: the ReLU that follows makes it the same
    expected = torch.tanh(net.model[3](torch.relu(joined)))
    torch.testing.assert_close(net(image), expected)


def test_settings_that_can_not_work_are_told():
    for depth in (4, 9):
        with pytest.raises(SettingError, match=f"depth={depth} is not in 5 to 8"):
            unet_generator(3, 3, depth=depth)
    with pytest.raises(SettingError, match="dropout=1 is not in 0 to below 1"):
        unet_generator(3, 3, dropout=1)
    with pytest.raises(SettingError, match="in_channels=3, out_channels=0 and width=64 must be"):
        unet_generator(3, 0)
    with pytest.raises(UnknownNameError, match="no norm named 'layer'"):
        unet_generator(3, 3, norm="layer")
