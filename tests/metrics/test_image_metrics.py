from __future__ import annotations

import math
import sys

import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from rs_gen.errors import MissingPackageError, SettingError
from rs_gen.metrics.image import (
    ImageScores,
    copy_ratio,
    each_band,
    l1,
    psnr,
    score,
    spectral_angle,
    ssim,
    within,
)


def images(seed: int = 0, count: int = 3, bands: int = 3, side: int = 24) -> torch.Tensor:
    dice = torch.Generator().manual_seed(seed)
    return torch.rand(count, bands, side, side, generator=dice) * 2 - 1


def test_psnr_of_a_known_error_is_known():
    real = torch.zeros(1, 1, 4, 4)
    assert psnr(real + 0.2, real, data_range=(-1, 1)).item() == pytest.approx(20.0, abs=1e-5)


def test_psnr_and_ssim_agree_with_scikit_image():
    fake, real = images(0), images(1) * 0.5
    for i in range(len(real)):
        a, b = fake[i].numpy() + 1, real[i].numpy() + 1  # skimage wants them from 0
        assert psnr(fake, real, data_range=(-1, 1))[i].item() == pytest.approx(
            peak_signal_noise_ratio(b, a, data_range=2), abs=1e-5
        )
        _, ours = structural_similarity(
            b, a, data_range=2, channel_axis=0, gaussian_weights=True, sigma=1.5,
            use_sample_covariance=False, full=True,
        )  # fmt: skip
        # away from the edge, where the two pad differently
        inner = torch.zeros(1, 24, 24, dtype=torch.bool)
        inner[:, 5:-5, 5:-5] = True
        everything_read = torch.ones_like(inner)
        mine = ssim(fake[i : i + 1], real[i : i + 1], data_range=(-1, 1), valid=everything_read)
        assert mine.item() == pytest.approx(float(ours.mean()), abs=0.02)
    assert ssim(real, real, data_range=(-1, 1)).tolist() == pytest.approx([1.0] * 3)


def test_psnr_is_taken_an_image_then_averaged():
    real = torch.zeros(2, 1, 8, 8)
    fake = real.clone()
    fake[0] += 0.02
    fake[1] += 0.2
    each = psnr(fake, real, data_range=(-1, 1))
    assert each.tolist() == pytest.approx([40.0, 20.0], abs=1e-4)
    pooled = 10 * math.log10(4 / ((0.02**2 + 0.2**2) / 2))
    assert score(each, "dB").value == pytest.approx(30.0, abs=1e-4)
    assert pooled == pytest.approx(22.97, abs=0.01), "what averaging the error first would give"


def test_a_score_does_not_depend_on_the_unit_of_the_data():
    fake, real = images(0), images(1)
    stored = [(x + 1) * 127.5 for x in (fake, real)]
    for metric in (psnr, ssim, l1):
        assert torch.allclose(
            metric(fake, real, data_range=(-1, 1)), metric(*stored, data_range=(0, 255)), atol=1e-5
        )


def test_psnr_is_from_the_squared_error_not_the_absolute():
    fake, real = images(0), images(1)
    absolute = 10 * torch.log10(1 / (fake - real).abs().double().flatten(1).mean(1))
    assert not torch.isclose(psnr(fake, real, data_range=(-1, 1)), absolute).any()


def test_a_range_too_small_for_the_data_is_refused():
    for metric in (psnr, ssim):
        with pytest.raises(
            SettingError, match=r"the truth lies in -0\.99\d* to .*beyond data_range=0 to 1"
        ):
            metric(images(0), images(1), data_range=(0, 1))


def test_the_difference_of_a_range_will_do_for_stored_values():
    fake, real = ((images(i) + 1) * 127.5 for i in range(2))
    for metric in (psnr, ssim, l1):
        whole = metric(fake, real, data_range=(0, 255))
        assert torch.allclose(metric(fake, real, data_range=255), whole)
    with pytest.raises(SettingError, match="beyond data_range=100"):
        psnr(fake, real, data_range=100)
    with pytest.raises(SettingError, match="data_range=1 to -1 is empty; the least value comes"):
        psnr(fake, real, data_range=(1, -1))


def test_a_wrong_denormalisation_does_not_pass_for_a_good_score():
    fake, real = images(0), images(1)
    right = psnr((fake + 1) / 2, (real + 1) / 2, data_range=(0, 1))
    assert torch.allclose(right, psnr(fake, real, data_range=(-1, 1)), atol=1e-4)
    with pytest.raises(SettingError, match=r"beyond data_range=0 to 1"):
        psnr(fake + 0.5, real + 0.5, data_range=(0, 1))


def test_equal_images_are_infinitely_good_and_have_no_interval():
    real = images(0)
    assert psnr(real, real, data_range=(-1, 1)).isinf().all()
    assert score(psnr(real, real, data_range=(-1, 1)), "dB").low is None
    assert l1(real, real).tolist() == [0, 0, 0]
    assert within(real, real, 0).tolist() == [1, 1, 1]


def test_l1_is_in_8_bit_levels():
    real = torch.zeros(1, 3, 4, 4)
    assert l1(real + 2 * 10 / 255, real).item() == pytest.approx(10.0, abs=1e-4)


def test_a_pixel_is_within_only_if_every_band_is():
    real = torch.full((1, 3, 2, 2), -1.0)
    fake = real.clone()
    fake[:, :, 0, 0] += 2 * 5 / 255  # all bands 5 levels off
    fake[:, 1, 0, 1] += 2 * 6 / 255  # one band 6 levels off
    assert within(fake, real, 4).item() == 0.5
    assert within(fake, real, 5).item() == 0.75
    assert within(fake, real, 6).item() == 1.0


def test_only_valid_pixels_count():
    fake, real = images(0), images(1)
    valid = torch.zeros(3, 24, 24, dtype=torch.bool)
    valid[:, :16, :16] = True
    for metric in (psnr, l1):
        part = metric(fake[..., :16, :16], real[..., :16, :16], data_range=(-1, 1))
        assert torch.allclose(metric(fake, real, data_range=(-1, 1), valid=valid), part)
    assert torch.allclose(
        within(fake, real, 40, valid=valid), within(fake[..., :16, :16], real[..., :16, :16], 40)
    )
    broken = fake.clone()
    broken[..., 20:, 20:] = 99
    assert torch.equal(
        ssim(fake, real, data_range=(-1, 1), valid=valid),
        ssim(broken, real, data_range=(-1, 1), valid=valid),
    )
    assert psnr(fake, real, data_range=(-1, 1), valid=torch.zeros_like(valid)).isnan().all()


def test_nodata_in_the_truth_does_not_widen_its_range():
    fake, real = images(0), images(1)
    valid = torch.ones(3, 1, 24, 24, dtype=torch.bool)
    real[:, :, 0, 0], valid[..., 0, 0] = -9999, False
    assert psnr(fake, real, data_range=(-1, 1), valid=valid).isfinite().all()


def test_spectral_angles_are_known():
    a = torch.tensor([1.0, 0.0]).view(1, 2, 1, 1)
    for spectrum, angle in (([1, 1], 45), ([0, 3], 90), ([7, 0], 0), ([-1, 0], 180)):
        b = torch.tensor(spectrum, dtype=torch.float32).view(1, 2, 1, 1)
        assert spectral_angle(a, b).item() == pytest.approx(angle, abs=1e-4)
        assert spectral_angle(b, a).item() == pytest.approx(angle, abs=1e-4)


def test_a_spectral_angle_does_not_see_brightness_nor_black():
    real = images(0).abs() + 0.1
    assert spectral_angle(real * 3, real).max() < 1e-4
    fake, real = torch.ones(1, 2, 1, 2), torch.ones(1, 2, 1, 2)
    fake[0, :, 0, 0] = 0
    assert spectral_angle(fake, real).item() == pytest.approx(0)
    with pytest.raises(SettingError, match="a spectral angle needs at least two bands"):
        spectral_angle(fake[:, :1], real[:, :1])


def test_a_model_that_copies_its_input_is_seen():
    source, real = images(0), images(1)
    assert (copy_ratio(source * 0.9, source, real) < 0.2).all()
    assert (copy_ratio(real * 0.9, source, real) > 5).all()


def test_each_band_has_its_own_score():
    fake, real = images(0), images(1)
    fake[:, 1] = real[:, 1]
    bands = each_band(l1, fake, real)
    assert bands.shape == (3, 3)
    assert (bands[:, 1] == 0).all()
    assert torch.allclose(bands.mean(1), l1(fake, real))


def test_batches_add_up_to_the_whole():
    fake, real = images(0, 6), images(1, 6)
    whole, parts = ImageScores(), ImageScores()
    whole.update(fake, real)
    for i in range(0, 6, 4):
        parts.update(fake[i : i + 4], real[i : i + 4])
    assert set(whole.compute()) == {"psnr", "ssim", "l1", "within_5", "within_10"}
    for name, one in whole.compute().items():
        assert one == parts.compute()[name]
        assert one.n == 6
        assert one.low <= one.value <= one.high
    assert "range -1 to 1" in whole.compute()["psnr"].protocol


def test_shapes_that_do_not_meet_are_refused():
    with pytest.raises(SettingError, match=r"of one shape; got \(1, 3, 24, 24\) and \(2, 3, 24"):
        psnr(images(count=1), images(count=2), data_range=(-1, 1))
    with pytest.raises(SettingError, match=r"valid must be \(B, H, W\); got \(1, 1, 2, 2\)"):
        psnr(images(count=1), images(count=1), data_range=(-1, 1), valid=torch.ones(1, 2, 2))
    with pytest.raises(SettingError, match="SSIM looks through windows of 11 px and the images"):
        ssim(images(side=8), images(side=8), data_range=(-1, 1))

    real = torch.rand(2, 3, 64, 64) * 2 - 1
    fake = (real + 0.1 * torch.randn_like(real)).clamp(-1, 1)
    plain = ssim(fake, real, data_range=(-1.0, 1.0))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(ssim(fake, real, data_range=(-1.0, 1.0)), plain)


def test_ssim_says_which_package_it_needs(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchmetrics.functional.image", None)
    with pytest.raises(MissingPackageError, match="pip install torchmetrics"):
        ssim(torch.zeros(1, 1, 16, 16), torch.zeros(1, 1, 16, 16), data_range=(0, 1))
