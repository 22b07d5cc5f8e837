"""Tiles that fade into each other: shares sum to one, order is no matter, nothing is left."""

import shutil

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from rasterio.windows import Window
from torch import nn
from translating import BYTES, scene, to_float, write

from rs_gen.errors import RasterError, SettingError
from rs_gen.networks.reach import Reach
from rs_gen.raster.tiles import inside
from rs_gen.translate import blend
from rs_gen.translate.blend import (
    answers,
    overlapping,
    portions,
    read_around,
    scratch,
    weights,
)
from rs_gen.translate.plan import Plan


def plan_of(core, halo, phase=4):
    return Plan(core, halo, phase, 1, 0, 1.0)


def read(path):
    with rasterio.open(path) as dataset:
        return dataset.read(masked=True)


@given(
    shape=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    core=st.integers(1, 6).map(lambda n: 4 * n),
    halo=st.integers(0, 6).map(lambda n: 4 * n),
    before=st.integers(0, 5).map(lambda n: 4 * n),
)
def test_shares_sum_to_one_in_every_pixel(shape, core, halo, before):
    plan, total = plan_of(core, halo), np.zeros(shape)
    before = before % core
    for tile in overlapping(shape, plan, before=before):
        weight = weights(tile, shape, plan)
        assert weight.shape == (tile.write.height, tile.write.width)
        assert weight.min() >= 0
        total[tile.write.toslices()] += weight
        assert tile.read.row_off % 4 == tile.read.col_off % 4 == 0
        inside(tile)
    np.testing.assert_allclose(total, 1, atol=1e-12)


def test_sums_are_the_same_in_any_order():
    rng = np.random.default_rng(0)
    fakes, shares = rng.uniform(-1, 1, (4, 3, 8, 8)), rng.dirichlet([1] * 4, (8, 8))
    parts = [portions(fake, shares[..., i]) for i, fake in enumerate(fakes)]
    there, back = sum(parts), sum(parts[::-1])
    assert (there == back).all()
    expected = sum(fake * shares[..., i] for i, fake in enumerate(fakes))
    assert np.abs(answers(there) - expected).max() < 1e-7
    assert np.abs(answers(portions(np.array([[[1e9]]]), np.ones((1, 1))))).max() == 16


@pytest.mark.parametrize("nodata", [None, 0])
def test_blending_the_identity_gives_the_raster_back(tmp_path, nodata):
    pixels = scene((203, 261))
    pixels[:, 40:90, 60:150] = 0
    path = write(tmp_path / "in.tif", pixels, nodata=nodata)
    translate = to_float(nn.Identity(), nodata=-9.0)
    got = read(translate(path, tmp_path / "out.tif", overlap="blend", tile_size=64))
    expected = np.ma.array(BYTES.encode(np.ma.array(pixels)))
    if nodata == 0:
        expected.mask = pixels == 0
        assert (got.mask == expected.mask).all()
    assert np.abs(got - expected).max() < 1e-6
    assert sorted(p.suffix for p in tmp_path.iterdir()) == [".json", ".tif", ".tif"]


def test_an_area_gives_the_pixels_of_the_whole(tmp_path, nets):
    translate = to_float(nets("unet-batch-5"), nodata=-9.0)
    path = write(tmp_path / "in.tif", scene((300, 330)))
    options = {"overlap": "blend", "tile_size": 96}
    full = read(translate(path, tmp_path / "full.tif", **options))
    window = Window(90, 70, 120, 100)
    part = read(translate(path, tmp_path / "part.tif", window=window, **options))
    assert (part == full[:, 70:170, 90:210]).all()


def test_it_is_close_smoother_than_a_crop_and_says_that_it_is_approximate(tmp_path, nets):
    net = nets("unet-batch-5")
    path = write(tmp_path / "in.tif", scene((300, 330)))
    translate = to_float(net)
    exact = read(translate(path, tmp_path / "exact.tif"))
    out = translate(path, tmp_path / "out.tif", overlap="blend", tile_size=96)
    error = np.abs(read(out) - exact)
    assert 0 < error.mean() < 0.05
    with rasterio.open(out) as dataset:
        tags = dataset.tags()
    assert tags["RS_GEN_TILING"] == "approximate: read 32 px around, blended over 32 px"
    assert (tags["RS_GEN_TILE_SIZE"], tags["RS_GEN_HALO"]) == ("96", "32")
    assert len(tags["RS_GEN_SEAM_RATIO"].split(", ")) == 3
    for low, high in (i.split(" to ") for i in tags["RS_GEN_SEAM_INTERVAL"].split(", ")):
        assert float(low) < float(high)


def test_the_order_of_the_tiles_changes_no_bit(tmp_path, nets, monkeypatch):
    translate = to_float(nets("resnet-batch"))
    path = write(tmp_path / "in.tif", scene((150, 200)))
    options = {"overlap": "blend", "tile_size": 64, "batch_size": 1, "stac": False}
    one = read(translate(path, tmp_path / "1.tif", **options))
    straight = blend.overlapping
    monkeypatch.setattr(blend, "overlapping", lambda *a, **o: reversed(list(straight(*a, **o))))
    assert (read(translate(path, tmp_path / "2.tif", **options)) == one).all()


def test_the_certificate_tells_how_far_blending_is_off(tmp_path, nets):
    path = write(tmp_path / "in.tif", scene((300, 330)))
    found = to_float(nets("unet-batch-5")).verify(path, overlap="blend", tile_size=96)
    assert found.core == 96
    assert 1e-4 < found.difference < 1
    assert not found.passed
    exact = to_float(nets("resnet-batch")).verify(path, overlap="blend", tile_size=256)
    assert exact.difference <= 1e-4, "32 px around what a tile has a share in, and it sees 28"


def test_a_failure_leaves_neither_output_nor_scratch(tmp_path, nets, monkeypatch):
    translate = to_float(nets("resnet-batch"))
    path = write(tmp_path / "in.tif", scene((150, 200)))

    def fail(*_):
        assert list(tmp_path.glob(".*blend")), "it was there"
        raise OSError("the disk is gone")

    monkeypatch.setattr(blend.Scratch, "add", fail)
    with pytest.raises(OSError, match="the disk is gone"):
        translate(path, tmp_path / "out.tif", overlap="blend", tile_size=64)
    assert [p.name for p in tmp_path.iterdir()] == ["in.tif"]


def test_a_disk_without_room_is_told_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(9, 9, 2**30))
    with (
        pytest.raises(RasterError, match=r"needs 2\.0 GiB beside .*out\.tif .* 1\.0 GiB are free"),
        scratch(tmp_path / "out.tif", (2, 16384, 16384)),
    ):
        pass


def test_an_unknown_overlap_is_refused_with_those_there_are(tmp_path):
    path = write(tmp_path / "in.tif", scene((20, 20)))
    with pytest.raises(SettingError, match="overlap='hann' is not known; there are exact, blend"):
        to_float(nn.Identity())(path, tmp_path / "out.tif", overlap="hann")


def test_a_quarter_of_a_tile_is_read_around_it_in_whole_steps():
    deep = Reach(765, 765, 256)
    assert read_around(deep, "exact", 1024) == deep
    assert read_around(deep, "blend", 1024) == Reach(256, 256, 256)
    assert read_around(Reach(84, 84, 4), "blend", 100) == Reach(28, 28, 4)
