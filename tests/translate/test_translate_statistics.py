"""The sample of a raster: fixed, spread, and of valid pixels only."""

from itertools import islice

import numpy as np
import pytest
import torch
from torch import nn
from translating import BYTES, grid_of, scene

from rs_gen.errors import SettingError
from rs_gen.networks.norm import InstanceNorm
from rs_gen.raster.reader import ArrayReader
from rs_gen.translate.canvas import Canvas
from rs_gen.translate.statistics import (
    check_kind,
    choose_windows,
    places,
    recorded_kind,
    sampled_statistics,
)

CPU = torch.device("cpu")


def canvas_of(pixels, phase=4):
    return Canvas(ArrayReader(pixels, grid_of(pixels.shape[1:])), BYTES, phase)


def sample(net, canvas, side=64):
    return sampled_statistics(net, canvas, side=side, floats=8, device=CPU)


def test_places_are_different_on_the_phase_and_inside():
    windows = list(islice(places((2000, 3000), 256, 4), 64))
    assert len({(w.row_off, w.col_off) for w in windows}) == 64
    for w in windows:
        assert w.row_off % 4 == w.col_off % 4 == 0
        assert 0 <= w.row_off <= 2000 - w.height
        assert 0 <= w.col_off <= 3000 - w.width


def test_places_are_the_same_each_time_and_spread_at_every_length():
    first, again = (list(islice(places((4000, 4000), 256, 4), 16)) for _ in range(2))
    assert first == again
    quarters = {(w.row_off > 1872, w.col_off > 1872) for w in first[:8]}
    assert len(quarters) == 4


@pytest.mark.parametrize("shape", [(16, 16), (64, 128), (256, 256), (260, 256)])
def test_a_small_raster_has_few_places_and_all_are_found(shape):
    windows = list(places(shape, 256, 4))
    rooms = [max(n - 256, 0) // 4 + 1 for n in shape]
    assert len(windows) == rooms[0] * rooms[1]
    assert all((w.height, w.width) == tuple(min(256, n) for n in shape) for w in windows)


def test_valid_windows_are_preferred():
    pixels = np.ma.array(scene((400, 400)), mask=False)
    pixels[:, :, :330] = np.ma.masked
    canvas = canvas_of(pixels)
    shares = [canvas.read(w).valid.mean() for w in choose_windows(canvas, 64, 8)]
    assert min(shares) > 0.1
    assert max(shares) >= 0.5


def test_a_needle_in_a_haystack_is_found():
    pixels = np.ma.array(scene((1200, 1200)), mask=True)
    pixels[:, 1190, 3] = scene((1, 1))[:, 0, 0]
    canvas = canvas_of(pixels)
    windows = choose_windows(canvas, 32, 4)
    assert len(windows) == 1
    assert canvas.read(windows[0]).valid.sum() == 1


def test_an_empty_raster_has_no_statistics():
    pixels = np.ma.array(scene((100, 100)), mask=True)
    assert choose_windows(canvas_of(pixels), 64, 4) == []
    assert sample(InstanceNorm(3), canvas_of(pixels)) is None


def test_statistics_are_those_of_the_valid_pixels():
    pixels = np.ma.array(scene((64, 64)), mask=False)
    pixels[:, :20] = np.ma.masked
    mean, var = sample(nn.Sequential(InstanceNorm(3)), canvas_of(pixels))["0"]
    encoded = pixels[:, 20:].data.reshape(3, -1) / 127.5 - 1
    assert mean.flatten().numpy() == pytest.approx(encoded.mean(axis=1), abs=1e-5)
    assert var.flatten().numpy() == pytest.approx(encoded.var(axis=1), rel=1e-4)


def test_a_sample_speaks_for_a_large_raster():
    pixels = scene((1000, 1000))
    mean, _ = sample(nn.Sequential(InstanceNorm(3)), canvas_of(pixels))["0"]
    encoded = pixels.reshape(3, -1) / 127.5 - 1
    assert np.abs(mean.flatten().numpy() - encoded.mean(axis=1)).max() < 0.1


def test_what_is_recorded_is_what_was_used():
    norms = {
        "sampled": InstanceNorm(3), "running": nn.BatchNorm2d(3), "none": nn.Conv2d(3, 3, 1),
    }  # fmt: skip
    for expected, layer in norms.items():
        assert recorded_kind(nn.Sequential(layer), "sampled") == expected


def test_an_unknown_kind_is_refused_with_those_there_are():
    with pytest.raises(SettingError, match="statistics='exact' is not known; there are model, sam"):
        check_kind("exact")
