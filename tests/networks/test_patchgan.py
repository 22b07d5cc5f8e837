import pytest
import torch
from torch import nn

from rs_gen.errors import SettingError, UnknownNameError
from rs_gen.networks.patchgan import patchgan
from rs_gen.networks.reach import patch


def parameters(net):
    return sum(p.numel() for p in net.parameters())


def test_the_published_networks_have_their_published_size():
    assert parameters(patchgan(6)) == 2_768_705
    assert parameters(patchgan(3, norm="instance")) == 2_764_737


def test_the_weights_have_their_published_names():
    keys = [key for key in patchgan(6, 2).state_dict() if key.endswith("weight")]
    assert keys == [f"{i}.weight" for i in (0, 2, 3, 5, 6, 8, 9, 11)]


@torch.inference_mode()
def test_256_pixels_give_30_by_30_logits():
    assert patchgan(6, 8)(torch.randn(2, 6, 256, 256)).shape == (2, 1, 30, 30)
    assert patchgan(3, 8)(torch.randn(1, 3, 128, 64)).shape == (1, 1, 14, 6)


@pytest.mark.parametrize(("depth", "side"), [(1, 16), (2, 34), (3, 70), (4, 142)])
def test_each_logit_sees_the_patch_of_the_paper(depth, side):
    assert patch(patchgan(3, 2, depth)) == (side, side)


def test_logits_are_not_squashed():
    net = patchgan(1, 4, norm="none")
    nn.init.constant_(net[-1].bias, 7.0)
    assert net(torch.zeros(1, 1, 64, 64)).mean() > 5


@torch.inference_mode()
def test_spectral_norm_bounds_every_weight():
    net = patchgan(3, 4, norm="none", spectral=True)
    for _ in range(30):
        net(torch.randn(1, 3, 32, 32))
    weights = [layer.weight for layer in net if isinstance(layer, nn.Conv2d)]
    assert len(weights) == 5
    for weight in weights:
        assert torch.linalg.matrix_norm(weight.flatten(1), 2).item() == pytest.approx(1, rel=2e-2)


def test_spectral_norm_trains_on_real_and_fake():
    net = patchgan(1, 4, 2, norm="instance", spectral=True)
    (net(torch.randn(1, 1, 32, 32)).mean() - net(torch.randn(1, 1, 32, 32)).mean()).backward()
    assert all(p.grad.isfinite().all() for p in net.parameters())


def test_settings_that_can_not_work_are_told():
    with pytest.raises(SettingError, match="in_channels=3, width=64 and depth=0 must be"):
        patchgan(3, depth=0)
    with pytest.raises(UnknownNameError, match="no norm named 'group'"):
        patchgan(3, norm="group")


def test_chips_too_small_for_the_statistics_are_told():
    with pytest.raises(SettingError, match="single pixel; use larger chips"):
        patchgan(3, 4, norm="instance")(torch.zeros(1, 3, 16, 16))
