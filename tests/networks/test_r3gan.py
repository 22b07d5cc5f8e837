"""Both bases: sizes, hooks, classes, and gradients of gradients."""

import pytest
import torch

from rs_gen.networks.dcgan import PlainDiscriminator, PlainGenerator
from rs_gen.networks.r3gan import Block, R3Discriminator, R3Generator, down, up

PAIRS = {"r3gan": (R3Generator, R3Discriminator), "dcgan": (PlainGenerator, PlainDiscriminator)}


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.fixture(params=PAIRS.values(), ids=PAIRS)
def pair(request):
    return request.param


@pytest.mark.parametrize("size", [32, 64, 128, 256])
def test_images_have_the_size_of_the_stages_and_features_that_of_the_hook(pair, size):
    widths = [8] * (size.bit_length() - 2)
    hook = min(32, size // 2)
    G, D = pair[0](5, widths, hook=hook), pair[1](5, widths, hook=hook)
    images, fg = G.run(torch.randn(2, 64))
    logits, fd = D.run(images)
    assert images.shape == (2, 5, size, size)
    assert fg.shape == (2, 8, hook, hook)
    assert logits.shape == (2,)
    assert fd.shape == (2, 8, hook // 2, hook // 2)
    assert torch.equal(G(torch.zeros(1, 64)), G.run(torch.zeros(1, 64))[0])


def test_a_class_changes_the_image_and_the_answer(pair):
    G, D = pair[0](3, [16] * 4, classes=3), pair[1](3, [16] * 4, classes=3)
    z = torch.randn(1, 64).expand(3, -1)
    labels = torch.arange(3)
    images = G(z, labels)
    assert not torch.allclose(images[0], images[1])
    answers = D(images[:1].expand(3, -1, -1, -1), labels)
    assert len(answers.unique()) == 3


def test_no_image_depends_on_the_others_of_its_batch(pair):
    G, D = pair[0](3, [16] * 4), pair[1](3, [16] * 4)
    z = torch.randn(4, 64)
    torch.testing.assert_close(G(z)[2:3], G(z[2:3]), atol=1e-5, rtol=1e-4)
    images = torch.randn(4, 3, 32, 32)
    torch.testing.assert_close(D(images)[:1], D(images[:1]), atol=1e-5, rtol=1e-4)


def test_a_gradient_of_the_images_gradient_reaches_every_weight_that_can_have_one(pair):
    D = pair[1](2, [8] * 3, hook=8)
    for p in D.parameters():  # blocks begin as the identity, so let them do something
        torch.nn.init.normal_(p, std=0.1)
    images = torch.randn(2, 2, 16, 16, requires_grad=True)
    (gradient,) = torch.autograd.grad(D(images).sum(), images, create_graph=True)
    gradient.square().sum().backward()
    weights = [p.grad for name, p in D.named_parameters() if not name.endswith("bias")]
    assert all(g is not None and torch.isfinite(g).all() and g.any() for g in weights)


def test_a_new_block_is_the_identity():
    x = torch.randn(2, 16, 8, 8)
    assert torch.equal(Block(16, 4)(x), x)


def test_resampling_keeps_a_constant_image_away_from_the_edge():
    x = torch.ones(1, 3, 8, 8)
    assert up(x).shape == (1, 3, 16, 16)
    assert down(x).shape == (1, 3, 4, 4)
    torch.testing.assert_close(up(x)[..., 1:-1, 1:-1], torch.ones(1, 3, 14, 14))
    torch.testing.assert_close(down(x)[..., 1:-1, 1:-1], torch.ones(1, 3, 2, 2))


def test_resampling_is_the_filter_1_3_3_1():
    point = torch.zeros(1, 1, 8, 8)
    point[..., 4, 4] = 1
    line = torch.tensor([1.0, 3.0, 3.0, 1.0])
    torch.testing.assert_close(up(point)[0, 0, 7:11, 7:11], line[:, None] * line / 16)
    assert down(point).sum().item() == pytest.approx(0.25)
