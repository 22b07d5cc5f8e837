import numpy as np
import pytest
import torch
from rasterio.windows import Window

from rs_gen.networks.patchgan import patchgan
from rs_gen.translate.engine import Engine, ready
from rs_gen.translate.realness import (
    Judge,
    Realness,
    logit_quantiles,
    patch_reach,
    smallest_image,
    stretched,
)
from rs_gen.translate.seen import Seen

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def judge():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Judge(patchgan(2, 4, norm="none"), bands=3, conditional=False).eval()


def layer_of(judge):
    rows, cols = judge.sight
    return Realness(Engine(ready(judge, CPU), CPU), rows, cols, patch_reach(rows), 8)


def seen(fake):
    height, width = fake.shape[1:]
    source = np.zeros((3, height, width), "float32")
    window = Window(0, 0, width, height)
    return Seen(window, source, np.ones((height, width), bool), lambda p, w: fake)


def test_at_the_middle_of_a_patch_the_layer_is_the_logit(judge):
    fake = np.random.default_rng(0).uniform(-1, 1, (2, 96, 128)).astype("float32")
    with torch.inference_mode():
        logits = judge.discriminator(torch.from_numpy(fake[None]))[0, 0].numpy()
    found = layer_of(judge)(seen(fake))
    assert found.shape == (96, 128)
    # The 70 px patch of the first logit begins 23 px before the image: its middle is at 11.5.
    between = (found[11::8, 11::8] + found[12::8, 12::8]) / 2
    assert between[: len(logits), : logits.shape[1]] == pytest.approx(logits, abs=2e-3)
    assert found[0, 0] == pytest.approx(logits[0, 0])
    assert found[-1, -1] == pytest.approx(logits[-1, -1])


def test_a_changed_pixel_reaches_no_farther_than_is_said(judge):
    fake = np.zeros((2, 256, 256), "float32")
    other = fake.copy()
    other[:, 128, 128] = 1
    moved = np.abs(layer_of(judge)(seen(fake)) - layer_of(judge)(seen(other))) > 0
    rows, cols = np.nonzero(moved)
    reach = layer_of(judge).reach
    assert max(abs(rows - 128).max(), abs(cols - 128).max()) <= reach
    assert reach == 44


def test_a_straight_line_stays_one():
    rows, _ = Judge(patchgan(2, 4), 3, False).sight
    line = stretched(np.arange(10, dtype="float32"), 96, rows)
    assert np.diff(line)[12:80] == pytest.approx(np.full(68, 1 / 8), abs=1e-6)
    assert line[:12] == pytest.approx(np.zeros(12))


def test_a_judge_of_pairs_sees_the_source():
    pairs = Judge(patchgan(5, 4, norm="none"), bands=3, conditional=True)
    images = torch.rand(1, 5, 64, 64)
    other = images.clone()
    other[:, :3] = 0
    assert not torch.equal(pairs(images), pairs(other))


def test_the_smallest_image_has_several_answers(judge):
    side = smallest_image(judge.discriminator)
    assert judge.discriminator(torch.zeros(1, 2, side, side)).shape[-1] >= 8


def test_quantiles_of_logits_rise(judge):
    low, middle, high = logit_quantiles(judge, torch.rand(2, 5, 96, 96)).tolist()
    assert low < middle < high
