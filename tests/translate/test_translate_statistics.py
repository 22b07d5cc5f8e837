"""The sample of a raster speaks for it, and of valid pixels only."""

import numpy as np
import pytest
import torch
from torch import nn
from translating import BYTES, grid_of, scene

from rs_gen.errors import SettingError
from rs_gen.networks.norm import InstanceNorm
from rs_gen.raster.reader import ArrayReader
from rs_gen.translate.canvas import Canvas
from rs_gen.translate.statistics import check_kind, recorded_kind, sampled_statistics

CPU = torch.device("cpu")


def canvas_of(pixels, phase=4):
    return Canvas(ArrayReader(pixels, grid_of(pixels.shape[1:])), BYTES, phase)


def sample(net, canvas, side=64):
    return sampled_statistics(net, canvas, side=side, floats=8, device=CPU)


def test_an_empty_raster_has_no_statistics():
    pixels = np.ma.array(scene((100, 100)), mask=True)
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
    with pytest.raises(SettingError, match="statistics='tile' is not known; there are model, sam"):
        check_kind("tile")
