import math

import pytest
import torch

from rs_gen.errors import UnknownNameError
from rs_gen.losses.adversarial import ADVERSARIAL, adversarial


@pytest.mark.parametrize("loss", ADVERSARIAL.values(), ids=ADVERSARIAL)
class TestEveryPair:
    def test_the_generator_gains_when_its_images_convince(self, loss):
        assert loss.generator(torch.tensor([0.9])) < loss.generator(torch.tensor([-0.9]))

    def test_the_discriminator_gains_when_it_tells_real_from_fake(self, loss):
        low, high = torch.tensor([-0.9]), torch.tensor([0.9])
        assert loss.discriminator(high, low) < loss.discriminator(low, high)

    def test_gradients_are_those_of_the_formula(self, loss):
        real, fake = torch.randn(2, 3, 1, 2, 2, dtype=torch.float64).requires_grad_().unbind()
        real, fake = real.detach().requires_grad_(), fake.detach().requires_grad_()
        assert torch.autograd.gradcheck(loss.generator, (fake,))
        assert torch.autograd.gradcheck(loss.discriminator, (real, fake))

    def test_half_precision_logits_give_a_float32_loss(self, loss):
        logits = (torch.randn(1, 1, 100, 100) + 1).bfloat16()
        for half, full in (
            (loss.generator(logits), loss.generator(logits.float())),
            (loss.discriminator(logits, -logits),
             loss.discriminator(logits.float(), -logits.float())),
        ):  # fmt: skip
            assert half.dtype == torch.float32
            assert half == full

    def test_autocast_does_not_lower_the_precision(self, loss):
        logits = torch.randn(1, 1, 30, 30)
        with torch.autocast("cpu", torch.bfloat16):
            inside = loss.discriminator(logits, -logits)
        assert inside == loss.discriminator(logits, -logits)

    def test_huge_logits_stay_finite(self, loss):
        huge = torch.tensor([1e4, -1e4])
        assert loss.generator(huge).isfinite()
        assert loss.discriminator(huge, -huge).isfinite()


def values(name, real, fake):
    loss = ADVERSARIAL[name]
    real, fake = torch.tensor(real), torch.tensor(fake)
    return loss.discriminator(real, fake).item(), loss.generator(fake).item()


def test_lsgan_of_one_and_zero_against_zero_and_one_is_a_half():
    assert values("lsgan", [1.0, 0.0], [0.0, 1.0]) == (0.5, 0.5)
    assert values("lsgan", [1.0], [0.0]) == (0.0, 1.0)


def test_vanilla_of_an_undecided_discriminator_is_log_two():
    assert values("vanilla", [0.0], [0.0]) == pytest.approx((math.log(2), math.log(2)))


def test_vanilla_is_cross_entropy_with_logits():
    real, fake = torch.randn(5), torch.randn(5)
    entropy = torch.nn.functional.binary_cross_entropy_with_logits
    one, zero = torch.ones(5), torch.zeros(5)
    expected = (entropy(real, one) + entropy(fake, zero)) / 2
    loss = ADVERSARIAL["vanilla"]
    torch.testing.assert_close(loss.discriminator(real, fake), expected)
    torch.testing.assert_close(loss.generator(fake), entropy(fake, one))


def test_hinge_stops_at_its_margin():
    assert values("hinge", [2.0], [-3.0]) == (0.0, 3.0)
    assert values("hinge", [0.5], [0.5]) == (2.0, -0.5)


def test_wasserstein_is_the_difference_of_means():
    assert values("wasserstein", [3.0, 1.0], [0.5, -0.5]) == (-2.0, 0.0)


def test_an_unknown_pair_is_named_with_those_there_are():
    assert adversarial("hinge") is ADVERSARIAL["hinge"]
    with pytest.raises(UnknownNameError, match="no adversarial loss named 'wgan'; there are hinge"):
        adversarial("wgan")
