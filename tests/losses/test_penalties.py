import pytest
import torch
from torch import nn

from rs_gen.losses.penalties import gradient_penalty, input_gradient, r1
from rs_gen.networks.patchgan import patchgan


@pytest.fixture
def linear():
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 1, bias=False))
    nn.init.constant_(net[1].weight, 0.5)  # gradient norm is sqrt(12 / 4) everywhere
    return net


def test_penalties_of_a_linear_discriminator_are_known(linear):
    images = torch.randn(2, 3, 2, 2)
    assert r1(linear, images).item() == pytest.approx(3 / 2)
    assert gradient_penalty(linear, images, -images).item() == pytest.approx((3**0.5 - 1) ** 2)


def test_the_gradient_of_a_quadratic_is_known():
    images = torch.randn(2, 1, 3, 3, requires_grad=True)
    torch.testing.assert_close(input_gradient(images.square().sum((1, 2, 3)), images), 2 * images)


def test_r1_of_a_quadratic_is_twice_the_squared_norm():
    images = torch.randn(4, 1, 3, 3)
    expected = 2 * images.square().flatten(1).sum(1).mean()
    torch.testing.assert_close(r1(lambda x: x.square().flatten(1).sum(1), images), expected)


def test_the_gradient_penalty_is_taken_between_real_and_fake():
    seen = []

    def judge(images):
        seen.append(images.detach())
        return images.flatten(1).sum(1)

    gradient_penalty(judge, torch.ones(50, 1, 2, 2), -torch.ones(50, 1, 2, 2))
    inside = seen[0]
    assert inside.min() >= -1
    assert inside.max() <= 1
    assert inside.std() > 0.3
    assert (inside.flatten(1).std(1) == 0).all()  # one place a pair of images, not a pixel


def test_a_seeded_generator_gives_the_same_penalty():
    judge = lambda x: x.pow(3).flatten(1).sum(1)  # noqa: E731
    real, fake = torch.randn(2, 4, 1, 3, 3).unbind()
    draws = [
        gradient_penalty(judge, real, fake, generator=torch.Generator().manual_seed(seed))
        for seed in (1, 1, 2)
    ]
    assert draws[0] == draws[1] != draws[2]


def test_a_flat_discriminator_has_a_finite_slope():
    layer = nn.Conv2d(1, 1, 1)
    nn.init.zeros_(layer.weight)
    penalty = gradient_penalty(layer, torch.randn(2, 1, 2, 2), torch.randn(2, 1, 2, 2))
    penalty.backward()
    assert penalty.item() == pytest.approx(1, abs=1e-5)
    assert layer.weight.grad.isfinite().all()


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("norm", ["instance", "pixel", "none"])
def test_penalties_train_a_patchgan(norm, layout):
    net = patchgan(2, 4, 2, norm=norm).to(memory_format=layout)
    real, fake = torch.randn(2, 2, 2, 32, 32).unbind()
    real, fake = real.to(memory_format=layout), fake.to(memory_format=layout)
    (r1(net, real) + gradient_penalty(net, real, fake)).backward()
    gradients = [p.grad for name, p in net.named_parameters() if "weight" in name]
    assert all(g is not None and g.isfinite().all() and g.abs().sum() > 0 for g in gradients)


def test_penalties_send_no_gradient_to_the_images(linear):
    real = torch.randn(2, 3, 2, 2, requires_grad=True)
    fake = torch.randn(2, 3, 2, 2, requires_grad=True)
    (r1(linear, real) + gradient_penalty(linear, real, fake)).backward()
    assert real.grad is None
    assert fake.grad is None


def test_the_penalty_passes_a_gradient_check():
    weight = torch.randn(1, 1, 2, 2, dtype=torch.float64, requires_grad=True)
    real = torch.randn(2, 1, 3, 3, dtype=torch.float64)

    def penalty(weight):
        judge = lambda x: torch.tanh(nn.functional.conv2d(x, weight))  # noqa: E731
        return r1(judge, real) + gradient_penalty(
            judge, real, -real, generator=torch.Generator().manual_seed(0)
        )

    assert torch.autograd.gradcheck(penalty, (weight,))
