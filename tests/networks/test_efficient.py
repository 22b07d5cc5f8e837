"""The pretrained encoder and the small decoder on top of it."""

import pytest
import torch

from rs_gen.errors import PackageError, SettingError
from rs_gen.networks.blocks import start_at
from rs_gen.networks.efficient import efficient_encoder, efficient_unet


def test_bands_and_size_come_out_as_asked():
    net = efficient_unet(4, 2, pretrained=False, widths=(8, 8, 4)).eval()
    assert net(torch.zeros(2, 4, 32, 48)).shape == (2, 2, 32, 48)


@pytest.mark.parametrize("features", [2, 4, 5])
def test_fewer_features_are_the_first_ones_of_the_pretrained_network(features):
    image = torch.rand(1, 3, 64, 64) * 2 - 1
    whole, part = (efficient_encoder(features=n).eval()(image) for n in (5, features))
    assert [tuple(x.shape[1:]) for x in part] == [
        (c, 64 // 2**i, 64 // 2**i)
        for i, c in enumerate((16, 24, 40, 112, 320)[:features], start=1)
    ]
    for ours, theirs in zip(part, whole, strict=False):
        assert torch.equal(ours, theirs)


def test_an_encoder_that_stops_early_holds_no_layer_that_it_does_not_use():
    image = torch.rand(1, 3, 64, 64)
    net = efficient_unet(3, 1, pretrained=False, widths=(8, 8, 4)).eval()
    net(image).sum().backward()
    assert all(p.grad is not None for p in net.parameters())


@pytest.mark.parametrize("widths", [(), (8, 8, 8, 8, 8)])
def test_widths_that_no_encoder_has_features_for_are_refused(widths):
    with pytest.raises(SettingError, match=f"has {len(widths)} entries; 1 to 4 will do"):
        efficient_unet(3, 3, pretrained=False, widths=widths)


def test_weights_of_another_network_are_refused(tmp_path):
    torch.save({"layer": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(PackageError, match="1 tensors and EfficientNet-Lite0 has"):
        efficient_encoder(pretrained=tmp_path / "other.pth")


def test_it_can_start_at_one_colour_although_four_pixels_share_a_position():
    net = start_at(
        efficient_unet(3, 3, pretrained=False, widths=(8, 8, 4)).eval(), (0.1, 0.5, -0.3)
    )
    mean = net(torch.zeros(1, 3, 64, 64)).mean((0, 2, 3))
    assert mean.tolist() == pytest.approx([0.1, 0.5, -0.3], abs=0.1)


def test_more_bands_than_three_keep_the_response_to_grey():
    image = torch.full((1, 1, 64, 64), 0.3)
    three, five = (
        efficient_encoder(n).eval()(image.expand(-1, n, -1, -1))[0] for n in (3, 5)
    )  # fmt: skip
    torch.testing.assert_close(five, three, rtol=0.05, atol=0.05)
