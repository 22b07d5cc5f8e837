import numpy as np
import pytest
import torch
from torch import nn
from translating import make_net

from rs_gen.networks.unet import unet_generator
from rs_gen.translate.features import Encoder, block_vectors


def test_features_are_taken_in_the_bottleneck_of_a_resnet(nets):
    encoder = Encoder(nets("resnet-batch"), 3, 4)
    assert (encoder.step, encoder.features, encoder.block) == (4, 16, 32)
    features = encoder(torch.rand(2, 3, 64, 96))
    assert features.shape == (2, 16, 16, 24)
    norms = [n for n, m in encoder.net.named_modules() if isinstance(m, nn.BatchNorm2d)]
    assert encoder.layer == norms[4], "the middle of the norms at a quarter of the resolution"


def test_features_of_a_deep_unet_are_no_coarser_than_16_pixels():
    encoder = Encoder(unet_generator(2, 2, 4, depth=6).eval(), 2, 64)
    assert encoder.step == 16
    assert encoder(torch.rand(1, 2, 64, 128)).shape[-2:] == (4, 8)


def test_nothing_that_follows_changes_the_features():
    net = make_net("resnet-batch")
    encoder, kept = Encoder(net, 3, 4), []
    layer = net.get_submodule(encoder.layer)
    layer.register_forward_hook(lambda m, i, out: kept.append(out.clone()))
    images = torch.rand(1, 3, 32, 32)
    assert torch.equal(encoder(images), kept[0])
    net(images)
    assert torch.equal(kept[1], kept[0])


def test_a_network_without_norms_gives_features_of_its_convolutions():
    net = nn.Sequential(nn.Conv2d(1, 3, 4, 2, 1), nn.ConvTranspose2d(3, 1, 4, 2, 1))
    assert Encoder(net, 1, 2).layer == "0"


def test_block_vectors_are_means_and_deviations_by_hand():
    features = np.random.default_rng(0).normal(size=(5, 8, 12)).astype("float32")
    vectors, share = block_vectors(features, np.ones((32, 48), bool), 4, 16)
    assert vectors.shape == (2, 3, 10)
    assert (share == 1).all()
    block = features[:, 4:8, 8:12].reshape(5, -1)
    assert vectors[1, 2] == pytest.approx(np.r_[block.mean(1), block.std(1)], abs=1e-6)


def test_what_was_not_measured_does_not_count():
    features = np.ones((1, 4, 4), "float32")
    features[:, :, 2:] = 99
    valid = np.ones((16, 16), bool)
    valid[:, 8:] = False
    vectors, share = block_vectors(features, valid, 4, 16)
    assert vectors[0, 0] == pytest.approx([1, 0])
    assert share == 0.5
    assert block_vectors(features, ~valid & valid, 4, 16)[1] == 0


def test_a_block_cut_short_is_the_mean_of_what_there_is():
    vectors, share = block_vectors(np.ones((1, 5, 4), "float32"), np.ones((20, 16), bool), 4, 16)
    assert vectors[..., 0] == pytest.approx(np.ones((2, 1)))
    assert share.ravel() == pytest.approx([1, 0.25])
