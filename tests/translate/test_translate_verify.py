"""The certificate: it passes what is exact and fails what is not."""

import logging

import numpy as np
import pytest
import rasterio
import torch
from torch import nn
from translating import BYTES, scene, to_float, write

from rs_gen.errors import SeamWarning
from rs_gen.raster.tiles import walk
from rs_gen.translate.translator import Translator
from rs_gen.translate.verify import _moved


class Global(nn.Module):
    def forward(self, x):
        return x - x.mean((2, 3), keepdim=True)


def tags_of(path):
    with rasterio.open(path) as dataset:
        return dataset.tags()


@pytest.mark.parametrize("kind", ["resnet-instance", "unet-batch-5"])
def test_an_exact_translation_passes(tmp_path, nets, kind):
    path = write(tmp_path / "in.tif", scene((300, 290)))
    found = to_float(nets(kind)).verify(path)
    assert found.passed
    assert "differ from the whole by at most" in str(found)
    assert found.difference <= 1e-4
    assert found.shift <= 1e-4
    assert min(found.window.height, found.window.width) > 2 * found.core


@pytest.mark.parametrize("kind", ["sampled", "exact", "regional"])
def test_every_kind_of_statistics_passes_and_the_output_says_so(tmp_path, nets, caplog, kind):
    path = write(tmp_path / "in.tif", scene((300, 290)))
    translate = to_float(nets("resnet-instance"), size=32)
    with caplog.at_level(logging.INFO, "rs_gen"):
        out = translate(path, tmp_path / "out.tif", statistics=kind, verify=True, tile_size=128)
    assert "verified: on 192 x 192 px tiles differ from the whole by at most" in caplog.text
    tags = tags_of(out)
    assert tags["RS_GEN_VERIFIED"] == "passed"
    assert float(tags["RS_GEN_VERIFY_DIFFERENCE"]) <= 1e-4
    assert float(tags["RS_GEN_VERIFY_SHIFT"]) <= 1e-4
    assert len(tags["RS_GEN_VERIFY_WINDOW"].split(",")) == 4
    ratios = [float(part) for part in tags["RS_GEN_VERIFY_SEAM_RATIO"].split(",")]
    intervals = tags["RS_GEN_VERIFY_SEAM_INTERVAL"].split(", ")
    assert len(ratios) == len(intervals) == 3
    for ratio, interval in zip(ratios, intervals, strict=True):
        low, high = (float(end) for end in interval.split(" to "))
        assert low <= ratio <= high


def test_a_network_that_looks_everywhere_warns_and_fails_and_says_approximate(tmp_path):
    path = write(tmp_path / "in.tif", scene((300, 320)))
    with pytest.warns(SeamWarning, match="tiles of generator can differ: operation 'mean' looks"):
        translate = to_float(Global())
    assert not translate.reach.exact
    assert not translate.verify(path).passed
    with pytest.warns(SeamWarning, match="tiles do not agree: on 192 x 192 px tiles differ"):
        out = translate(path, tmp_path / "out.tif", verify=True)
    assert tags_of(out)["RS_GEN_VERIFIED"] == "failed"
    assert tags_of(out)["RS_GEN_TILING"].startswith("approximate: operation 'mean' looks at the")


def test_seams_that_show_fail_the_certificate_and_those_of_the_picture_do_not(tmp_path):
    """A grid painted into the raster along the tile lines is content, not a seam."""
    pixels = np.full((3, 192, 192), 100, "uint8")
    pixels[:, 64:] += 40
    pixels[:, 128:] += 40
    pixels[:, :, ::2] += 3
    path = write(tmp_path / "in.tif", pixels)
    found = to_float(nn.Conv2d(3, 3, 1)).verify(path)
    assert found.seams is not None
    assert not found.seams.passes
    assert found.passed
    with pytest.warns(SeamWarning):
        translate = to_float(Global())
    seen = translate.verify(write(tmp_path / "slope.tif", scene((192, 192))))
    assert seen.shows
    assert max(band.value for band in seen.seams.bands) > 1.05


def test_a_sample_without_a_measurement_is_not_taken(tmp_path, nets):
    pixels = scene((300, 900))
    pixels[:, :, 200:] = 0
    path = write(tmp_path / "in.tif", pixels, nodata=0)
    window = to_float(nets("resnet-instance")).verify(path).window
    assert window.col_off < 200


def test_a_raster_smaller_than_a_tile_has_no_seam_to_measure(tmp_path, nets):
    found = to_float(nets("resnet-instance")).verify(write(tmp_path / "in.tif", scene((40, 50))))
    assert found.passed
    assert found.seams is None
    assert "seam ratio" not in str(found)


def test_nothing_is_verified_where_nothing_is_measured(tmp_path, nets):
    path = write(tmp_path / "in.tif", np.zeros((3, 90, 90), "uint8"), nodata=0)
    for kind in ("sampled", "regional"):
        translate = to_float(nets("resnet-instance"), nodata=-9.0)
        out = translate(path, tmp_path / "out.tif", verify=True, statistics=kind)
        assert "RS_GEN_VERIFIED" not in tags_of(out)


def test_dropout_that_is_left_on_is_warned_of_and_labelled(tmp_path):
    class Noisy(nn.Module):
        def forward(self, x):
            return torch.nn.functional.dropout(x, 0.5, training=True)

    path = write(tmp_path / "in.tif", scene((80, 80)))
    with pytest.warns(SeamWarning, match="is in train mode and drops at random") as seen:
        translate = Translator(Noisy(), BYTES, BYTES, device="cpu")
    assert seen[0].filename == __file__
    tags = tags_of(translate(path, tmp_path / "out.tif"))
    assert tags["RS_GEN_TILING"].startswith("approximate: operation 'dropout'")


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (nn.GroupNorm(3, 3), "(GroupNorm) takes its statistics from the whole image"),
        (nn.BatchNorm2d(3, track_running_stats=False), "(BatchNorm2d) takes its statistics from"),
        (nn.Softmax(dim=3), "(Softmax) looks at the whole image"),
    ],
    ids=["group norm", "batch norm", "attention"],
)
def test_layers_that_break_exactness_are_named(layer, reason):
    with pytest.warns(SeamWarning) as seen:
        to_float(nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), layer))
    assert reason in str(seen[0].message)


def test_moved_tiles_cover_everything_once_on_the_phase():
    shape, seen = (96, 80), torch.zeros(96, 80)
    tiles = list(_moved(shape, 32, 8, 4, 12))
    for tile in tiles:
        seen[tile.write.toslices()] += 1
        assert tile.read.row_off % 4 == tile.read.col_off % 4 == 0
        assert tile.read.row_off <= tile.write.row_off
    assert (seen == 1).all()
    straight = {(t.write.row_off, t.write.col_off) for t in walk(shape, 32, 8, phase=4)}
    assert {(t.write.row_off, t.write.col_off) for t in tiles} - straight
