import pytest
import torch

from rs_gen.networks.attention import NonLocalFusion


def fusion(joint=False):
    torch.manual_seed(3)
    return NonLocalFusion(6, 5, joint=joint).eval()


def given(k, batch=2, seed=0):
    dice = torch.Generator().manual_seed(seed)
    a = torch.rand(batch, k, generator=dice) + 0.1
    return (
        torch.randn(batch, 6, 4, 4, generator=dice),
        torch.randn(batch, k, 5, 4, 4, generator=dice),
        a / a.sum(1, keepdim=True),
    )


@pytest.mark.parametrize("k", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("joint", [False, True])
def test_any_number_of_support_images_will_do(k, joint):
    assert fusion(joint)(*given(k)).shape == (2, 5, 4, 4)


@pytest.mark.parametrize("joint", [False, True])
def test_the_order_of_the_support_images_does_not_matter(joint):
    phi, supports, a = given(4)
    order = torch.tensor([2, 0, 3, 1])
    net = fusion(joint)
    assert torch.allclose(
        net(phi, supports, a), net(phi, supports[:, order], a[:, order]), atol=1e-6
    )


def test_an_image_of_coefficient_zero_lends_nothing():
    phi, supports, _ = given(3)
    a = torch.tensor([[1.0, 0, 0], [1, 0, 0]])
    other = supports.clone()
    other[:, 1:] = torch.randn(2, 2, 5, 4, 4)
    net = fusion()
    assert torch.allclose(net(phi, supports, a), net(phi, other, a), atol=1e-6)
    assert net(phi, supports, a).abs().max() > 1e-3


def test_each_place_looks_at_a_whole_of_places():
    borrowed = fusion().borrow(*given(3))
    assert borrowed.places.shape == (2, 3, 16, 16)
    assert torch.allclose(borrowed.places.sum(-1), torch.ones(2, 3, 16), atol=1e-5)


def test_jointly_the_whole_is_over_all_support_images():
    borrowed = fusion(joint=True).borrow(*given(3))
    assert torch.allclose(borrowed.places.sum((1, 3)), torch.ones(2, 16), atol=1e-5)


@pytest.mark.parametrize("joint", [False, True])
def test_looking_on_changes_nothing(joint):
    net, all_given = fusion(joint), given(3)
    borrowed = net.borrow(*all_given)
    assert torch.allclose(borrowed.features, net(*all_given), atol=1e-5)
    assert torch.allclose(borrowed.shares.sum(1), torch.ones(2, 16), atol=1e-5)


def test_the_attention_runs_over_the_places_of_a_support_image():
    # One place of the support image stands out for one query: the row of that query finds it.
    net = fusion()
    phi, supports, _ = given(1, batch=1)
    supports = torch.zeros_like(supports)
    supports[0, 0, :, 2, 3] = 30 * torch.randn(5, generator=torch.Generator().manual_seed(1))
    rows = net.borrow(phi, supports, torch.ones(1, 1)).places[0, 0]
    elsewhere = rows.clone()
    elsewhere[:, 11] = 0  # row 2, column 3 of 4 x 4
    # all other places are alike, so every row gives them one and the same share
    kept = elsewhere[:, [i for i in range(16) if i != 11]]
    assert torch.allclose(kept, kept[:, :1].expand_as(kept), atol=1e-6)
    assert (rows[:, 11] - kept[:, 0]).abs().max() > 0.05
