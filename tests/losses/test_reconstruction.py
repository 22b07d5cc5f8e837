import pytest
import torch
from torchmetrics.functional.image import structural_similarity_index_measure

from rs_gen.errors import SettingError
from rs_gen.losses.reconstruction import l1, rarity, rarity_weights, ssim_loss


def test_l1_is_the_mean_absolute_difference():
    assert l1(torch.tensor([[[[1.0, -1.0]]]]), torch.tensor([[[[0.0, 1.0]]]])).item() == 1.5


def test_only_valid_pixels_count_in_l1():
    fake, real = torch.zeros(1, 2, 1, 2), torch.tensor([[[[1.0, 9.0]], [[3.0, 9.0]]]])
    valid = torch.tensor([[[True, False]]])
    assert l1(fake, real, valid).item() == 2
    assert l1(fake, real, valid[:, None]).item() == 2


def test_a_mask_of_ones_changes_nothing():
    fake, real = torch.randn(2, 2, 3, 4, 4).unbind()
    torch.testing.assert_close(l1(fake, real, torch.ones(2, 4, 4)), l1(fake, real))


def test_nan_under_the_mask_leaves_loss_and_gradient_finite():
    fake = torch.zeros(1, 1, 1, 2, requires_grad=True)
    real = torch.tensor([[[[1.0, float("nan")]]]])
    loss = l1(fake, real, torch.tensor([[[True, False]]]))
    loss.backward()
    assert loss.item() == 1
    assert fake.grad.tolist() == [[[[-1.0, 0.0]]]]


def test_no_valid_pixel_gives_a_loss_of_zero():
    assert l1(torch.ones(1, 1, 2, 2), torch.zeros(1, 1, 2, 2), torch.zeros(1, 2, 2)).item() == 0


def test_half_precision_images_give_a_float32_loss():
    fake, real = torch.randn(2, 1, 3, 16, 16).bfloat16().unbind()
    for loss in (l1, ssim_loss):
        assert loss(fake, real).dtype == torch.float32
        assert loss(fake, real) == loss(fake.float(), real.float())


def test_a_pixel_has_the_weight_of_the_colour_it_is_nearest_to():
    colours, weights = torch.tensor([[-1.0, -1.0], [1.0, 0.5]]), torch.tensor([0.5, 3.0])
    real = torch.tensor([[[[-0.9, 0.9]], [[-0.2, 0.1]]]])
    assert rarity(real, colours, weights).tolist() == [[[[0.5, 3.0]]]]


def test_images_of_other_bands_than_the_colours_are_refused():
    with pytest.raises(SettingError, match="colours have 2 bands and the images 3"):
        rarity(torch.zeros(1, 3, 2, 2), torch.zeros(4, 2), torch.ones(4))


@pytest.mark.parametrize("balance", [0.0, 0.5, 1.0])
def test_weights_of_rarity_have_a_mean_of_one_over_all_pixels(balance):
    shares = torch.tensor([0.64, 0.32, 0.04])
    assert (rarity_weights(shares, balance) * shares).sum().item() == pytest.approx(1)


def test_a_balance_of_zero_counts_each_pixel_alike_and_of_one_each_class():
    shares = torch.tensor([0.64, 0.32, 0.04])
    assert rarity_weights(shares, 0.0).tolist() == [1, 1, 1]
    assert (rarity_weights(shares, 1.0) * shares).tolist() == pytest.approx([1 / 3] * 3)
    assert (rarity_weights(shares, 0.5) ** 2 * shares).diff().abs().max().item() < 1e-6


def test_ssim_of_equal_images_is_a_loss_of_zero():
    image = torch.rand(2, 3, 20, 20) * 2 - 1
    assert ssim_loss(image, image).item() == pytest.approx(0, abs=1e-6)


def test_ssim_agrees_with_torchmetrics_inside_the_image():
    real = torch.rand(2, 3, 48, 40) * 2 - 1
    fake = (real + 0.3 * torch.randn_like(real)).clamp(-1, 1)
    _, full = structural_similarity_index_measure(
        fake, real, data_range=2.0, kernel_size=11, sigma=1.5, return_full_image=True
    )
    inside = full[..., 5:-5, 5:-5]  # windows that need no padding
    torch.testing.assert_close(ssim_loss(fake, real), 1 - inside.mean(), atol=1e-5, rtol=0)


def test_ssim_of_constant_images_is_the_luminance_term():
    a, b = torch.full((1, 1, 11, 11), 0.5), torch.full((1, 1, 11, 11), -0.5)
    c1 = 0.02**2
    expected = 1 - (-0.5 + c1) / (0.5 + c1)
    assert ssim_loss(a, b).item() == pytest.approx(expected, abs=1e-4)


def test_gradients_are_those_of_the_formula():
    fake, real = torch.randn(2, 1, 2, 6, 6, dtype=torch.float64).unbind()
    fake = fake.clone().requires_grad_()
    valid = torch.rand(1, 6, 6, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: l1(x, real, valid), (fake,))
    assert torch.autograd.gradcheck(lambda x: ssim_loss(x, real, window=5), (fake,))


def test_shapes_that_differ_are_told():
    with pytest.raises(SettingError, match=r"fake is \(1, 3, 8, 8\) and real \(1, 1, 8, 8\)"):
        l1(torch.zeros(1, 3, 8, 8), torch.zeros(1, 1, 8, 8))
    with pytest.raises(SettingError, match=r"valid is \(1, 1, 4, 4\) and the images are"):
        l1(torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 8), torch.ones(1, 4, 4))


@pytest.mark.parametrize("window", [4, 9])
def test_a_window_that_does_not_fit_is_told(window):
    with pytest.raises(SettingError, match=f"window={window} must be odd and no larger"):
        ssim_loss(torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 8), window=window)
