import copy

import pytest
import torch
from torch import nn

from rs_gen.errors import SettingError, UnknownNameError
from rs_gen.networks.norm import (
    ChannelNorm,
    InstanceNorm,
    asking,
    freeze,
    gathering,
    norm,
    norm_layers,
    unfreeze,
)
from rs_gen.networks.resnet import resnet_generator

LAYOUTS = [torch.contiguous_format, torch.channels_last]


def net_of_two():
    return nn.Sequential(nn.Conv2d(2, 4, 1), InstanceNorm(4), nn.ReLU(), InstanceNorm(4))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("batch", [1, 2])
class TestUnfrozen:
    def test_it_is_torchs_instance_norm(self, batch, affine, layout):
        ours, theirs = InstanceNorm(5, affine), nn.InstanceNorm2d(5, affine=affine)
        if affine:
            for layer in (ours, theirs):
                layer.load_state_dict({"weight": torch.arange(5.0), "bias": torch.arange(5.0) - 2})
        x = (torch.randn(batch, 5, 7, 9) * 3 + 20).to(memory_format=layout)
        torch.testing.assert_close(ours(x), theirs(x), atol=1e-4, rtol=1e-4)

    def test_the_layout_stays(self, batch, affine, layout):
        x = torch.randn(batch, 5, 7, 9).to(memory_format=layout)
        assert InstanceNorm(5, affine)(x).is_contiguous(memory_format=layout)

    def test_the_gradient_is_that_of_the_formula(self, batch, affine, layout):
        layer = InstanceNorm(2, affine).double()
        x = torch.randn(batch, 2, 2, 3, dtype=torch.float64).to(memory_format=layout)
        assert torch.autograd.gradcheck(layer, (x.requires_grad_(),), fast_mode=True)
        assert torch.autograd.gradgradcheck(layer, (x,), fast_mode=True)

    def test_bfloat16_images_get_float32_statistics(self, batch, affine, layout):
        x = (torch.randn(batch, 3, 64, 64) * 0.1 + 4).bfloat16().to(memory_format=layout)
        layer = InstanceNorm(3, affine)
        out = layer(x)
        assert out.dtype == torch.bfloat16
        # The sum of 4096 values near 4 would lose everything in bfloat16.
        torch.testing.assert_close(out.float(), layer(x.float()), atol=2e-2, rtol=1e-2)


def test_a_single_pixel_is_refused():
    with pytest.raises(SettingError, match="an image of a single pixel; use larger chips"):
        InstanceNorm(3)(torch.zeros(2, 3, 1, 1))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_frozen_it_is_an_affine_map(dtype, affine, layout):
    layer = InstanceNorm(3, affine)
    if affine:
        nn.init.normal_(layer.weight)
        nn.init.normal_(layer.bias)
    if dtype == torch.float64:
        layer = layer.double()
    mean, var = torch.randn(1, 3, 1, 1), torch.rand(1, 3, 1, 1) + 0.1
    freeze(layer, {"": (mean, var)})
    x = torch.randn(2, 3, 4, 5).to(dtype).to(memory_format=layout)
    expected = (x.double() - mean) / (var.double() + 1e-5).sqrt()
    if affine:
        expected = expected * layer.weight.view(1, 3, 1, 1) + layer.bias.view(1, 3, 1, 1)
    out = layer(x)
    assert out.dtype == dtype
    assert out.is_contiguous(memory_format=layout)
    tolerance = 5e-2 if dtype == torch.bfloat16 else 1e-5
    torch.testing.assert_close(out.double(), expected.double(), atol=tolerance, rtol=tolerance)


def test_statistics_may_be_a_map_over_the_pixels():
    layer = InstanceNorm(3, affine=True)
    nn.init.normal_(layer.weight)
    mean, var = torch.randn(2, 3, 4, 5), torch.rand(2, 3, 4, 5) + 0.1
    freeze(layer, {"": (mean, var)})
    x = torch.randn(2, 3, 4, 5)
    expected = (x - mean) / (var + 1e-5).sqrt() * layer.weight.view(1, 3, 1, 1)
    torch.testing.assert_close(layer(x), expected)
    assert layer(x.bfloat16()).dtype == torch.bfloat16


def test_frozen_statistics_are_no_part_of_the_weights():
    net = resnet_generator(2, 2, 4, 1)
    keys = list(net.state_dict())
    with gathering(net) as statistics, torch.inference_mode():
        net(torch.randn(1, 2, 16, 16))
    freeze(net, statistics)
    assert list(net.state_dict()) == keys
    assert all("frozen" not in key for key in keys)


def test_frozen_statistics_follow_the_network_and_its_copies():
    layer = InstanceNorm(2)
    freeze(layer, {"": (torch.ones(1, 2, 1, 1), torch.ones(1, 2, 1, 1))})
    twin = copy.deepcopy(layer).double()
    unfreeze(layer)
    assert not layer.frozen
    assert twin.frozen
    assert twin.frozen_mean.dtype == torch.float64


def test_statistics_gathered_without_gradients_can_be_trained_through():
    net = net_of_two()
    with gathering(net) as statistics, torch.inference_mode():
        net(torch.randn(1, 2, 8, 8))
    freeze(net, statistics)
    net(torch.randn(1, 2, 8, 8)).sum().backward()
    assert net[0].weight.grad is not None


class TestGathering:
    def test_one_image_gathered_and_frozen_gives_its_own_output(self):
        net = resnet_generator(3, 3, 4, 2)
        image = torch.randn(1, 3, 32, 40)
        expected = net(image)
        with gathering(net) as statistics:
            inside = net(image)
        freeze(net, statistics)
        torch.testing.assert_close(inside, expected, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(net(image), expected, atol=1e-5, rtol=1e-5)

    def test_every_layer_normalises_the_batch_as_one_image_in_a_single_pass(self):
        net = net_of_two()
        batch = torch.randn(4, 2, 6, 5)
        with gathering(net) as statistics:
            out = net(batch)
        assert list(statistics) == list(norm_layers(net)) == ["1", "3"]
        # The oracle: the four windows side by side are one image.
        side_by_side = torch.cat(batch.unbind()[:], dim=-1)[None]
        expected = net(side_by_side)
        torch.testing.assert_close(torch.cat(out.unbind(), dim=-1)[None], expected)
        mean, var = statistics["1"]
        assert mean.shape == var.shape == (1, 4, 1, 1)
        x = net[0](side_by_side)
        torch.testing.assert_close(mean, x.mean((0, 2, 3), keepdim=True))
        torch.testing.assert_close(var, x.var((0, 2, 3), correction=0, keepdim=True))

    @pytest.mark.parametrize("with_channel", [False, True])
    def test_only_valid_pixels_count(self, with_channel):
        net = net_of_two()
        image = torch.randn(2, 2, 6, 6)
        valid = torch.zeros(2, 6, 6, dtype=torch.bool)
        valid[:, :, :4] = True
        spoiled = image.clone()
        spoiled[:, :, :, 4:] = 1e3
        with gathering(net) as expected:
            net(image[:, :, :, :4])
        with gathering(net, valid[:, None] if with_channel else valid) as statistics:
            net(spoiled)
        for name in expected:
            torch.testing.assert_close(statistics[name], expected[name])

    def test_a_coarse_position_counts_by_its_share_of_valid_pixels(self):
        net = nn.Sequential(nn.AvgPool2d(2), InstanceNorm(1))
        image = torch.tensor([[[[0.0, 0, 8, 8], [0, 0, 8, 8]]]])
        valid = torch.tensor([[[True, True, True, False], [True, True, False, False]]])
        with gathering(net, valid) as statistics:
            net(image)
        mean, var = statistics["1"]
        assert mean.item() == pytest.approx((4 * 0 + 1 * 8) / 5)
        assert var.item() == pytest.approx((4 * 1.6**2 + 1 * 6.4**2) / 5)

    def test_a_mask_of_ones_changes_nothing(self):
        net = resnet_generator(1, 1, 4, 1)
        image = torch.randn(2, 1, 16, 16)
        with gathering(net) as expected:
            net(image)
        with gathering(net, torch.ones(2, 16, 16)) as statistics:
            net(image)
        for name in expected:
            torch.testing.assert_close(statistics[name], expected[name], atol=1e-5, rtol=1e-4)

    def test_statistics_are_float32_under_autocast(self):
        net = resnet_generator(1, 1, 4, 1)
        image = torch.rand(1, 1, 16, 16)
        with gathering(net) as statistics, torch.autocast("cpu", torch.bfloat16):
            net(image)
        for mean, var in statistics.values():
            assert mean.dtype == var.dtype == torch.float32

    def test_large_offsets_do_not_spoil_the_variance(self):
        net = nn.Sequential(InstanceNorm(1))
        image = 1000 + torch.randn(1, 1, 100, 100)
        for valid in (None, torch.ones(1, 100, 100)):
            with gathering(net, valid) as statistics:
                net(image)
            assert statistics["0"][1].item() == pytest.approx(
                image.double().var(correction=0).item(), rel=1e-4
            )

    def test_frozen_layers_are_gathered_anew(self):
        net = net_of_two()
        zeros, ones = torch.zeros(1, 4, 1, 1), torch.ones(1, 4, 1, 1)
        freeze(net, {"1": (zeros, ones), "3": (zeros, ones)})
        with gathering(net) as statistics:
            net(torch.randn(1, 2, 8, 8))
        assert not torch.equal(statistics["1"][0], zeros)

    def test_it_ends_even_when_the_pass_fails(self):
        net = net_of_two()
        with pytest.raises(ZeroDivisionError), gathering(net):
            raise ZeroDivisionError
        image = torch.randn(2, 2, 4, 4)
        # Image by image again: what one image is does not change the other.
        torch.testing.assert_close(net(image)[:1], net(image[:1]))

    def test_no_valid_pixel_is_told(self):
        with (
            pytest.raises(SettingError, match="no pixel of these windows is valid"),
            gathering(InstanceNorm(1), torch.zeros(1, 2, 2)),
        ):
            pass

    def test_a_mask_of_another_shape_is_told(self):
        with (
            pytest.raises(SettingError, match=r"valid must be \(B, H, W\), not \(1, 3, 2, 2\)"),
            gathering(InstanceNorm(1), torch.ones(1, 3, 2, 2)),
        ):
            pass
        net = nn.Sequential(InstanceNorm(1))
        with (
            pytest.raises(SettingError, match="valid holds 1 windows and the batch 2"),
            gathering(net, torch.ones(1, 2, 2)),
        ):
            net(torch.randn(2, 1, 2, 2))


class TestFreezing:
    ok = torch.zeros(1, 4, 1, 1), torch.ones(1, 4, 1, 1)

    def test_a_missing_layer_is_named(self):
        with pytest.raises(SettingError, match="no statistics for the norm layers 3"):
            freeze(net_of_two(), {"1": self.ok})

    def test_an_unknown_layer_is_named(self):
        with pytest.raises(SettingError, match=r"no instance norms: \['0'\]"):
            freeze(net_of_two(), {"0": self.ok, "1": self.ok, "3": self.ok})

    def test_statistics_of_other_channels_are_refused(self):
        wrong = torch.zeros(1, 5, 1, 1), torch.ones(1, 5, 1, 1)
        with pytest.raises(SettingError, match=r"norm layer 3 needs statistics of \(1, 4, 1, 1\)"):
            freeze(net_of_two(), {"1": self.ok, "3": wrong})

    def test_a_refused_freeze_changes_nothing(self):
        net = net_of_two()
        with pytest.raises(SettingError):
            freeze(net, {"1": self.ok, "3": (torch.zeros(3), torch.ones(3))})
        assert not any(layer.frozen for layer in norm_layers(net).values())


@pytest.mark.parametrize("layout", LAYOUTS)
def test_channel_norm_does_not_look_at_space(layout):
    layer = ChannelNorm(6)
    x = torch.randn(2, 6, 4, 5).to(memory_format=layout)
    out = layer(x)
    torch.testing.assert_close(out[:, :, 1:2, 2:3], layer(x[:, :, 1:2, 2:3]))
    torch.testing.assert_close(out.mean(1), torch.zeros(2, 4, 5), atol=1e-5, rtol=0)
    torch.testing.assert_close(out.var(1, correction=0), torch.ones(2, 4, 5), atol=1e-3, rtol=0)
    assert layer(x.bfloat16()).dtype == torch.bfloat16


def test_norms_are_made_by_name():
    kinds = [type(layer) for name in ("instance", "batch", "pixel") for layer in norm(name, 3)]
    assert kinds == [InstanceNorm, nn.BatchNorm2d, ChannelNorm]
    assert norm("none", 3) == []
    with pytest.raises(UnknownNameError, match="no norm named 'group'; there are batch, instance"):
        norm("group", 3)


def test_norms_ask_whatever_is_frozen_until_the_block_ends():
    net = net_of_two()
    zeros, ones = torch.zeros(1, 4, 1, 1), torch.ones(1, 4, 1, 1)
    freeze(net, {"1": (zeros, ones), "3": (zeros, ones)})
    asked = []

    def ask(name, x):
        asked.append((name, tuple(x.shape)))
        if name == "3":
            raise LookupError
        return zeros, ones

    with pytest.raises(LookupError), asking(net, ask):
        net(torch.randn(2, 2, 3, 5))
    assert asked == [("1", (2, 4, 3, 5)), ("3", (2, 4, 3, 5))]
    net(torch.randn(2, 2, 3, 5))
    assert len(asked) == 2


@pytest.mark.parametrize("affine", [False, True])
def test_a_channel_that_does_not_vary_passes_no_gradient_in_bfloat16(affine):
    layer = InstanceNorm(2, affine=affine)
    if affine:
        torch.nn.init.constant_(layer.bias, 0.5)
    rough = torch.tensor([1.0, 1.0 + 2**-7]).repeat(32)  # the two are neighbours in bfloat16
    image = torch.stack([rough * 1e-3, torch.linspace(-1, 1, 64)]).view(1, 2, 8, 8).bfloat16()
    image = image.contiguous(memory_format=torch.channels_last).requires_grad_()
    out = layer(image)
    (out * torch.linspace(-1, 1, 64).square().view(8, 8).bfloat16()).sum().backward()
    assert (out[:, 0] == (0.5 if affine else 0)).all()
    assert (image.grad[:, 0] == 0).all()
    assert image.grad[:, 1].abs().max() > 0
    torch.testing.assert_close(out[:, 1].float(), layer(image.float())[:, 1], atol=2e-2, rtol=0)
