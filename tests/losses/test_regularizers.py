"""Uniformity (U1-U4) and entropy (E1-E3) of the reference, and what is refused."""

import math

import pytest
import torch

from rs_gen.errors import SettingError, UnknownNameError
from rs_gen.losses.regularizers import directions, entropy, uniformity


def simplex(count, space=64):
    """Corners of a regular simplex."""
    corners = torch.eye(count, dtype=torch.float64)
    corners = corners - corners.mean(0)
    return torch.cat([corners, torch.zeros(count, space - count, dtype=torch.float64)], 1)


def by_distances(features, t=2.0):
    return torch.pdist(directions(features)).square().mul(-t).exp().mean().log()


class TestUniformity:
    @pytest.mark.parametrize("count", [2, 4, 8, 16, 32])
    def test_a_regular_simplex_reaches_the_lower_bound(self, count):
        for t in (1.0, 2.0):
            found = uniformity(simplex(count), t)
            assert found.item() == pytest.approx(-2 * t * count / (count - 1), abs=1e-4)

    def test_rows_that_point_one_way_give_zero_whatever_their_length(self):
        row = torch.randn(1, 3, 4, 4)
        assert uniformity(row * torch.rand(8, 1, 1, 1).add(0.1)).item() == pytest.approx(
            0, abs=1e-5
        )

    def test_orthogonal_rows_give_minus_2t(self):
        assert uniformity(torch.eye(8), 2.0).item() == pytest.approx(-4, abs=1e-5)
        assert uniformity(3 * torch.eye(8), 1.5).item() == pytest.approx(-3, abs=1e-5)

    def test_scale_rotation_and_order_within_a_chunk_do_not_matter(self):
        x = torch.randn(16, 12, dtype=torch.float64)
        turn, _ = torch.linalg.qr(torch.randn(12, 12, dtype=torch.float64))
        order = torch.cat([torch.randperm(8), 8 + torch.randperm(8)])
        expected = uniformity(x, chunks=2)
        for same in (7 * x, x @ turn, x[order]):
            torch.testing.assert_close(uniformity(same, chunks=2), expected, atol=1e-5, rtol=0)
        assert not torch.isclose(uniformity(x[torch.randperm(16)], chunks=2), expected)

    def test_it_is_the_form_with_pairwise_distances_in_value_and_gradient(self):
        x = torch.randn(16, 40, dtype=torch.float64, requires_grad=True)
        (ours,) = torch.autograd.grad(uniformity(x), x)
        (theirs,) = torch.autograd.grad(by_distances(x), x)
        torch.testing.assert_close(uniformity(x), by_distances(x), atol=1e-5, rtol=0)
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)

    def test_chunks_are_averaged(self):
        x = torch.randn(16, 5)
        halves = (uniformity(x[:8]) + uniformity(x[8:])) / 2
        torch.testing.assert_close(uniformity(x, chunks=2), halves)

    def test_free_vectors_spread_out_to_the_simplex(self):
        dice = torch.Generator().manual_seed(0)
        x = torch.ones(16, 64) + 0.01 * torch.randn(16, 64, generator=dice)
        x.requires_grad_()
        adam = torch.optim.Adam([x], 0.05)
        for _ in range(200):
            adam.zero_grad()
            uniformity(x).backward()
            adam.step()
        assert uniformity(x).item() == pytest.approx(-64 / 15, abs=1e-3)
        n = directions(x.detach())
        cosines = (n @ n.T)[~torch.eye(16, dtype=torch.bool)]
        assert cosines.mean().item() == pytest.approx(-1 / 15, abs=1e-3)

    def test_coincident_rows_and_zeros_have_finite_gradients(self):
        for x in (torch.ones(4, 6), torch.zeros(4, 6)):
            x.requires_grad_()
            uniformity(x).backward()
            assert torch.isfinite(x.grad).all()

    def test_half_precision_is_computed_in_float32(self):
        assert uniformity(torch.randn(8, 64).bfloat16()).dtype == torch.float32

    @pytest.mark.parametrize(
        ("count", "chunks", "text"),
        [
            (3, 2, "a batch of 3 can't be parted into 2 equal chunks .* multiple of 2"),
            (5, 2, "a batch of 5 can't be parted"),
            (2, 2, "a batch of 2 in 2 chunks has none; use a batch_size of at least 4"),
            (1, 1, "a batch of 1 in 1 chunks has none; use a batch_size of at least 2"),
            (4, 0, "into 0 equal chunks"),
        ],
    )
    def test_odd_and_small_batches_are_refused_with_the_reason(self, count, chunks, text):
        with pytest.raises(SettingError, match=text):
            uniformity(torch.randn(count, 5), chunks=chunks)


class TestEntropy:
    def test_gaussian_is_the_entropy_of_a_normal_number_of_the_rows_variance(self):
        x = 3 * torch.randn(5, 200, dtype=torch.float64) + 1
        expected = 0.5 * torch.log(2 * math.pi * math.e * x.var(1))
        torch.testing.assert_close(entropy(x), expected, atol=1e-6, rtol=0)

    def test_code_takes_half_of_the_deviations_logarithm(self):
        x = torch.randn(5, 200, dtype=torch.float64)
        shape = directions(x).std(1).log()
        expected = entropy(x) - shape / 2 - 0.5 * math.log(2 * math.pi * math.e)
        torch.testing.assert_close(entropy(x, "code"), expected, atol=1e-6, rtol=0)

    @pytest.mark.parametrize("mode", ["gaussian", "code"])
    def test_scale_alone_raises_it_by_its_logarithm(self, mode):
        x = torch.randn(4, 50, dtype=torch.float64, requires_grad=True)
        found = entropy(x, mode)
        torch.testing.assert_close(entropy(2.5 * x, mode), found + math.log(2.5), atol=1e-5, rtol=0)
        (gradient,) = torch.autograd.grad(found.sum(), x)
        along = (gradient * x).sum(1)
        torch.testing.assert_close(along, torch.ones_like(along), atol=1e-5, rtol=0)

    def test_what_all_coordinates_share_lowers_the_shape_term(self):
        x = torch.randn(4, 50)
        before, after = (directions(v).std(1) for v in (x, x + 5))
        assert (after < before).all()

    def test_it_can_not_tell_one_coordinate_from_normal_numbers(self):
        spread = torch.randn(1, 4096, dtype=torch.float64)
        one = torch.zeros(1, 4096, dtype=torch.float64)
        one[0, 7] = spread.norm()
        torch.testing.assert_close(entropy(one), entropy(spread), atol=1e-3, rtol=0)

    def test_constant_rows_have_finite_gradients(self):
        for x in (torch.ones(3, 8), torch.zeros(3, 8)):
            x.requires_grad_()
            entropy(x).sum().backward()
            assert torch.isfinite(x.grad).all()

    def test_an_unknown_mode_is_refused(self):
        with pytest.raises(UnknownNameError, match="no entropy mode named 'paper'; there are code"):
            entropy(torch.randn(2, 4), "paper")
