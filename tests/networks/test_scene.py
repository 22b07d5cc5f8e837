import pytest
import torch

from rs_gen.errors import SettingError
from rs_gen.networks.scene import SceneNet


@pytest.mark.parametrize(("bands", "size"), [(1, 8), (3, 32), (13, 64)])
def test_any_bands_and_size_give_a_logit_for_each_class(bands, size):
    net = SceneNet(bands, 5, width=8)
    images = torch.rand(2, bands, size, size) * 2 - 1
    assert net(images).shape == (2, 5)
    assert net.features(images).shape == (2, 32)


def test_a_chip_is_judged_alone_whatever_else_is_in_the_batch():
    net = SceneNet(3, 2, width=8).eval()
    one, others = torch.rand(1, 3, 16, 16), torch.rand(5, 3, 16, 16) * 9
    assert torch.allclose(net(one), net(torch.cat([one, others]))[:1], atol=1e-5)


def test_what_can_not_work_is_refused():
    with pytest.raises(SettingError, match="width=0 must be at least 1"):
        SceneNet(3, 2, width=0)
    with pytest.raises(SettingError, match="1 class leaves nothing to tell apart"):
        SceneNet(3, 1)
