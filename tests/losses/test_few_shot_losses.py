import math

import pytest
import torch

from rs_gen.losses.few_shot import (
    bernoulli_nats,
    interpolation_l1,
    laplace_nats,
    matching_l1,
    mode_ratio,
    mode_seeking,
    normal_kl,
    weighted_l1,
)


def test_the_weighted_l1_is_that_of_each_image_times_its_coefficient():
    supports = torch.stack([torch.zeros(1, 2, 2), torch.ones(1, 2, 2)])[None]
    fake = torch.full((1, 1, 2, 2), 0.25)
    assert weighted_l1(fake, supports, torch.tensor([[0.75, 0.25]])).item() == pytest.approx(
        0.75 * 0.25 + 0.25 * 0.75
    )


def test_an_image_is_not_compared_with_dimmed_ones():
    # The released code compares with a_k x_k, for which two equal images at a half each are not
    # reproduced by the image itself.
    image = torch.rand(1, 1, 4, 4)
    supports = torch.stack([image, image], 1)
    assert weighted_l1(image, supports, torch.tensor([[0.5, 0.5]])).item() == pytest.approx(0)


def test_a_coarse_l1_leaves_detail_free():
    flat = torch.zeros(1, 1, 8, 8)
    stripes = flat.clone()
    stripes[..., ::2], stripes[..., 1::2] = 1, -1
    a = torch.ones(1, 1)
    assert weighted_l1(stripes, flat[:, None], a).item() == pytest.approx(1)
    assert weighted_l1(stripes, flat[:, None], a, side=4).item() == pytest.approx(0)


def test_mode_seeking_pushes_results_apart():
    # The sign that the released F2GAN code has the wrong way round.
    torch.manual_seed(0)
    x = torch.randn(3, 5, requires_grad=True)
    y = torch.randn(3, 5)
    a, b = torch.rand(3, 4), torch.rand(3, 4)
    (slope,) = torch.autograd.grad(mode_seeking(x, y, a, b), x)
    after = x.detach() - 0.01 * slope
    assert ((after - y).abs().sum(1) > (x.detach() - y).abs().sum(1)).all()
    assert mode_seeking(after, y, a, b) < mode_seeking(x, y, a, b)


def test_beyond_its_ceiling_mode_seeking_asks_for_nothing():
    x = torch.full((1, 2), 9.0, requires_grad=True)
    loss = mode_seeking(x, torch.zeros(1, 2), torch.zeros(1, 2), torch.ones(1, 2), ceiling=5)
    assert loss.item() == -5
    assert torch.autograd.grad(loss, x)[0].abs().max() == 0


def test_the_ratio_is_of_mean_distances():
    x, y = torch.zeros(1, 4), torch.full((1, 4), 3.0)
    assert mode_ratio(x, y, torch.zeros(1, 2), torch.full((1, 2), 0.5)).item() == pytest.approx(6)


def test_alike_codes_do_not_blow_the_ratio_up():
    x, same = torch.ones(1, 2), torch.rand(1, 3)
    assert torch.isfinite(mode_ratio(x, -x, same, same)).all()


def test_coefficients_read_off_rightly_cost_nothing():
    a = torch.tensor([[0.2, 0.3, 0.5]])
    assert interpolation_l1(a, a).item() == 0
    assert interpolation_l1(torch.tensor([[0.0, 0, 1]]), a).item() == pytest.approx(1)


def test_features_are_matched_with_the_mix():
    supports = torch.tensor([[[1.0, 0], [0, 2]]])
    a = torch.tensor([[0.5, 0.5]])
    assert matching_l1(torch.tensor([[0.5, 1.0]]), supports, a).item() == 0
    assert matching_l1(torch.tensor([[0.5, 3.0]]), supports, a).item() == pytest.approx(1)


def test_the_divergence_of_normals_is_torchs():
    torch.manual_seed(0)
    values = [torch.randn(3, 4) for _ in range(4)]
    mean, log_var, prior, prior_log_var = values
    ours = normal_kl(*values)
    normal = torch.distributions.Normal
    theirs = torch.distributions.kl_divergence(
        normal(mean, (0.5 * log_var).exp()), normal(prior, (0.5 * prior_log_var).exp())
    ).sum(-1)
    assert torch.allclose(ours, theirs, atol=1e-5)
    assert torch.allclose(normal_kl(mean, log_var, mean, log_var), torch.zeros(3), atol=1e-6)


def test_nats_are_log_probabilities_of_whole_images():
    image = torch.tensor([[[[1.0, -1.0]]]])
    assert bernoulli_nats(torch.zeros(1, 1, 1, 2), image).item() == pytest.approx(2 * math.log(0.5))
    assert bernoulli_nats(torch.tensor([[[[9.0, -9.0]]]]), image).item() > -0.001
    scale = torch.tensor([0.3])
    ours = laplace_nats(torch.zeros(1, 1, 1, 2), scale, image)
    theirs = torch.distributions.Laplace(torch.zeros(1, 1, 1, 2), scale.exp()).log_prob(image)
    assert torch.allclose(ours, theirs.sum(), atol=1e-5)
