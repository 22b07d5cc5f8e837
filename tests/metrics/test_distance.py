from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

from rs_gen.errors import SettingError
from rs_gen.metrics.distance import cubic_kernel, frechet_distance, kernel_distance, squared_mmd


def features(seed: int, n: int, d: int = 8, shift: float = 0.0) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed)).double() + shift


def kernel(x, y, **options):
    return kernel_distance(x, y, extractor="test", **options)


def dumb_mmd(x: np.ndarray, y: np.ndarray) -> float:
    def k(a, b):
        return (a @ b / len(a) + 1) ** 3

    def mean(values):
        return sum(values) / len(values)

    xx = mean([k(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j])
    yy = mean([k(a, b) for i, a in enumerate(y) for j, b in enumerate(y) if i != j])
    return xx + yy - 2 * mean([k(a, b) for a in x for b in y])


def test_the_distance_agrees_with_the_sum_written_out():
    x, y = features(0, 7).numpy(), features(1, 5, shift=0.5).numpy()
    assert squared_mmd(x, y) == pytest.approx(dumb_mmd(x, y))
    assert squared_mmd(y, x) == pytest.approx(dumb_mmd(x, y))
    assert kernel(features(0, 7), features(1, 5, shift=0.5)).value == pytest.approx(dumb_mmd(x, y))


def test_it_agrees_with_torchmetrics():
    from torchmetrics.image.kid import poly_mmd

    x, y = features(0, 30), features(1, 30, shift=0.3)
    assert squared_mmd(x.numpy(), y.numpy()) == pytest.approx(poly_mmd(x, y).item())


def test_rows_in_parts_are_the_whole(monkeypatch):
    from rs_gen.metrics import distance

    x, y = features(0, 40), features(1, 25)
    whole = kernel(x, y)
    monkeypatch.setattr(distance, "_ROWS", 7)
    assert kernel(x, y)[:2] == pytest.approx(whole[:2])


def test_two_draws_of_one_thing_have_a_distance_around_zero_whatever_their_number():
    for n in (10, 40):
        values = [kernel(features(i, n), features(999 + i, n)).value for i in range(100)]
        error = np.std(values) / 10
        assert abs(np.mean(values)) < 4 * error
        assert min(values) < 0


def test_the_interval_covers_zero_about_as_often_as_it_says():
    scores = [kernel(features(i, 40), features(999 + i, 40)) for i in range(200)]
    covered = np.mean([s.low <= 0 <= s.high for s in scores])
    assert covered > 0.9


def test_unlike_sets_are_apart_and_further_ones_further():
    x = features(0, 60)
    near, far = (kernel(x, features(1, 60, shift=s)) for s in (0.3, 1.0))
    assert 0 < near.value < far.value
    assert far.low > 0


def test_a_jackknife_is_what_leaving_one_out_gives():
    x, y = features(0, 9).numpy(), features(1, 7, shift=0.4).numpy()
    without_x = [squared_mmd(np.delete(x, i, 0), y) for i in range(9)]
    without_y = [squared_mmd(x, np.delete(y, i, 0)) for i in range(7)]
    variance = 8 / 9 * np.sum((without_x - np.mean(without_x)) ** 2)
    variance += 6 / 7 * np.sum((without_y - np.mean(without_y)) ** 2)
    score = kernel(torch.from_numpy(x), torch.from_numpy(y))
    assert score.high - score.value == pytest.approx(1.96 * variance**0.5)


def test_the_size_of_subsets_is_kept_in_the_score_and_never_cut_unsaid():
    x, y = features(0, 30), features(1, 20, shift=1.0)
    score = kernel(x, y, subsets=50)
    assert "50 subsets of 10" in score.protocol
    assert score.protocol.startswith("test, cubic kernel, 30 real and 20 fake")
    assert score.n == 20
    assert score.value == pytest.approx(kernel(x, y).value, rel=0.3)
    with pytest.raises(SettingError, match="size=1000 is not within 2 to 10, half of the smaller"):
        kernel(x, y, subsets=50, size=1000)
    with pytest.raises(SettingError, match="subsets=1 has no spread; take at least 2"):
        kernel(x, y, subsets=1)
    assert kernel(x, y, subsets=5, seed=1) == kernel(x, y, subsets=5, seed=1)


def test_the_kernel_of_known_vectors_is_known():
    a = np.array([[1.0, 1.0]])
    assert cubic_kernel(a, a).item() == 8
    assert cubic_kernel(a, -a).item() == 0


@pytest.mark.parametrize(("m", "n"), [(50, 40), (5, 6), (50, 6)])
def test_frechet_agrees_with_the_root_of_the_covariances(m, n):
    x, y = features(0, m).numpy(), features(1, n, shift=0.5).numpy() * 1.5
    a, b = np.cov(x.T), np.cov(y.T)
    root = np.trace(sqrtm(a @ b + 0j).real)
    expected = np.sum((x.mean(0) - y.mean(0)) ** 2) + np.trace(a) + np.trace(b) - 2 * root
    ours = frechet_distance(torch.from_numpy(x), torch.from_numpy(y), extractor="t", draws=0)
    assert ours.value == pytest.approx(expected, rel=1e-3)


def test_frechet_of_a_set_with_itself_is_zero_and_of_a_shift_its_square():
    x = features(0, 30)
    assert frechet_distance(x, x, extractor="t", draws=0).value == pytest.approx(0, abs=1e-9)
    moved = frechet_distance(x, x + 2, extractor="t", draws=0)
    assert moved.value == pytest.approx(8 * 4)


def test_frechet_says_that_few_images_bias_it():
    few = frechet_distance(features(0, 20), features(1, 20), extractor="t")
    many = frechet_distance(features(0, 2000), features(1, 2000), extractor="t", draws=0)
    assert few.value > 5 * many.value
    assert "biased upwards below 1,000 images" in few.protocol
    assert "biased" not in many.protocol
    assert few.n == 20
    assert few.low is not None


def test_features_that_can_not_be_compared_are_refused():
    with pytest.raises(SettingError, match="real features have 8 numbers an image and fake ones 9"):
        kernel(features(0, 5), features(0, 5, 9))
    with pytest.raises(SettingError, match=r"fake features must be \(N, D\) of at least 2 images"):
        kernel(features(0, 5), features(0, 1))
    with pytest.raises(SettingError, match="real features are not finite"):
        kernel(features(0, 5) * torch.nan, features(0, 5))


def test_both_distances_agree_with_torchmetrics_on_the_same_features():
    from torchmetrics.image.fid import FrechetInceptionDistance
    from torchmetrics.image.kid import KernelInceptionDistance

    class Flat(torch.nn.Module):
        num_features = 12

        def forward(self, x):
            return x.flatten(1)

    dice = torch.Generator().manual_seed(0)
    real, fake = (torch.rand(n, 3, 2, 2, generator=dice) * s for n, s in ((80, 1.0), (60, 0.8)))
    fid = FrechetInceptionDistance(feature=Flat(), normalize=False, input_img_size=(3, 2, 2))
    kid = KernelInceptionDistance(feature=Flat(), subsets=1, subset_size=60)
    for metric in (fid, kid):
        metric.update(real[:60] if metric is kid else real, real=True)
        metric.update(fake, real=False)
    ours = frechet_distance(real.flatten(1), fake.flatten(1), extractor="flat", draws=0)
    assert ours.value == pytest.approx(fid.compute().item(), rel=1e-3, abs=1e-3)
    ours = kernel_distance(real[:60].flatten(1), fake.flatten(1), extractor="flat")
    assert ours.value == pytest.approx(kid.compute()[0].item(), rel=1e-3, abs=1e-5)
