from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

from rs_gen.errors import PackageError, SettingError
from rs_gen.metrics.backbones import BackboneFeatures, InceptionFeatures, before_classifier


def images(bands: int = 3, side: int = 32) -> torch.Tensor:
    dice = torch.Generator().manual_seed(bands)
    return torch.rand(2, bands, side, side, generator=dice) * 2 - 1


class Small(nn.Module):
    """A convolution, an average and a classifier."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5)
        self.fc = nn.Linear(5, 7)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.norm(self.conv(x)).mean((2, 3)))


def test_features_are_what_the_classifier_is_given():
    net = Small().eval()
    x = images()
    expected = net.norm(net.conv(x)).mean((2, 3))
    assert torch.equal(before_classifier(net, x), expected)


@pytest.mark.parametrize("shape", [(2, 5), (2, 9, 5), (2, 5, 3, 3)])
def test_outputs_that_are_no_logits_are_pooled(shape):
    class Given(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.arange(90.0).resize_(shape)

    assert before_classifier(Given(), images()).shape == (2, 5)


def test_a_network_with_linear_layers_inside_but_none_at_the_end_gives_its_output():
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 6), nn.ReLU())
    assert torch.equal(before_classifier(net, images()), net(images()))


def test_a_network_that_gives_no_tensor_is_refused():
    class Two(nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return x, x

    with pytest.raises(SettingError, match="Two gives tuple, not one tensor of features"):
        before_classifier(Two(), images())


def test_images_are_normalised_as_the_network_was_trained():
    class Mean(nn.Module):
        pretrained_cfg = {"mean": (0.5, 0.25, 0.0), "std": (0.5, 0.25, 1.0)}

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.mean((2, 3))

    white = torch.ones(1, 3, 8, 8)
    assert BackboneFeatures(Mean(), "mean", 8)(white).tolist() == [[1, 3, 1]]
    own = BackboneFeatures(Mean(), "mean", 8, mean=(0, 0, 0), std=(1, 1, 1))
    assert own(white).tolist() == [[1, 1, 1]]


def test_it_stays_in_eval_mode_and_is_named_with_size_and_bands():
    net = BackboneFeatures(Small(), "small-mine", 16, bands=(2, 1, 0))
    assert net.name == "small-mine-16-2-1-0"
    net.train()
    assert not net.net.norm.training
    assert net(images(4)).shape == (2, 5)
    with pytest.raises(SettingError, match=r"bands=\(2, 1, 0\) are not all in an image of 1 bands"):
        net(images(1))
    with pytest.raises(SettingError, match=r"bands=\(1, 2\) must be three indices"):
        BackboneFeatures(Small(), "small", bands=(1, 2))


def test_backbones_of_torchvision_and_timm_are_understood():
    timm, models = pytest.importorskip("timm"), pytest.importorskip("torchvision.models")
    resnet = models.resnet18(weights=None)
    assert BackboneFeatures(resnet, "resnet18-random", 32)(images()).shape == (2, 512)
    whole = timm.create_model("resnet18", pretrained=False)
    headless = timm.create_model("resnet18", pretrained=False, num_classes=0)
    headless.load_state_dict(whole.state_dict(), strict=False)
    one, other = (BackboneFeatures(n, "r", 32)(images()) for n in (whole, headless))
    assert one.shape == (2, 512)
    assert torch.allclose(one, other, atol=1e-5)


@pytest.fixture(scope="module")
def inception():
    models = pytest.importorskip("torchvision.models")
    torch.manual_seed(0)
    return lambda classes: models.Inception3(classes, aux_logits=False, init_weights=False).eval()


def test_inception_of_torchvision_is_read_from_a_file_as_it_is(inception, tmp_path):
    net = inception(1000)
    torch.save(net.state_dict(), tmp_path / "w.pth")
    save_file(net.state_dict(), tmp_path / "w.safetensors")
    x = images(side=64)
    rgb = F.interpolate(x, [299] * 2, mode="bilinear")
    mean, std = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])[..., None, None]
    net.fc = nn.Identity()
    with torch.no_grad():
        expected = net(((rgb + 1) / 2 - mean) / std)
        for name in ("w.pth", "w.safetensors"):
            ours = InceptionFeatures(tmp_path / name)
            assert ours.name == "inception-torchvision-299"
            assert torch.allclose(ours(x), expected, atol=1e-4)
    assert expected.shape == (2, 2048)


def test_inception_of_2015_pools_what_lies_inside(inception, tmp_path):
    net = inception(1008)
    torch.save(net.state_dict(), tmp_path / "w.pth")
    ours = InceptionFeatures(tmp_path / "w.pth")
    assert ours.name == "inception-2015-299"
    block, twin = net.Mixed_5b, ours.net.Mixed_5b
    x = torch.rand(1, 192, 6, 6)
    inside = torch.stack([  # the mean over the neighbours that exist, in one corner and the middle
        torch.stack([x[..., :2, :2].mean((2, 3)), x[..., 1:4, 1:4].mean((2, 3))])
    ]).squeeze()[:, None, :, None]  # fmt: skip
    with torch.no_grad():
        pooled = twin(x)[:, -32:]
        expected = [
            F.relu(block.branch_pool.bn(block.branch_pool.conv(v[..., None]))) for v in inside
        ]
        assert torch.allclose(pooled[0, :, 0, 0], expected[0].flatten(), atol=1e-5)
        assert torch.allclose(pooled[0, :, 2, 2], expected[1].flatten(), atol=1e-5)
        last, y = net.Mixed_7c, torch.rand(1, 2048, 3, 3)
        largest = last.branch_pool(F.max_pool2d(y, 3, 1, 1))
        assert torch.allclose(ours.net.Mixed_7c(y)[:, -192:], largest, atol=1e-5)


def test_a_file_of_something_else_is_refused(tmp_path):
    torch.save({"fc.weight": torch.zeros(1008, 2048)}, tmp_path / "other.pth")
    with pytest.raises(PackageError, match=r"other.pth holds no weights of Inception v3"):
        InceptionFeatures(tmp_path / "other.pth")
    with pytest.raises(PackageError, match="there is no file of weights"):
        InceptionFeatures(tmp_path / "none.pth")
    torch.save(Small(), tmp_path / "code.pth")
    with pytest.raises(
        PackageError, match=r"code.pth can't be read as weights \(UnpicklingError\)"
    ):
        InceptionFeatures(tmp_path / "code.pth")
