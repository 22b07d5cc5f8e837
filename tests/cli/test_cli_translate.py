"""Translating from the command line: which statistics, how tiles overlap, and the certificate."""

import numpy as np
import pytest
import rasterio
from affine import Affine
from click.testing import CliRunner

from rs_gen.cli.main import cli
from rs_gen.games.package import Card, save
from rs_gen.games.registry import create_game
from rs_gen.raster.grid import Grid
from rs_gen.raster.writer import geotiff

SIDE = {"count": 3, "dtype": "uint8", "names": ["red", "green", "blue"], "resolution": 10.0,
        "stretch": {"low": [0] * 3, "high": [255] * 3}}  # fmt: skip


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A raster of noise and a model that nobody trained."""
    folder = tmp_path_factory.mktemp("files")
    pixels = np.random.default_rng(0).integers(0, 255, (3, 200, 210), "uint8")
    grid = Grid((200, 210), Affine(10, 0, 5e5, 0, -10, 5e6), "EPSG:32633")
    with geotiff(folder / "in.tif", grid, count=3, dtype="uint8", names=SIDE["names"]) as writer:
        writer.write(pixels)
    game = create_game("cyclegan", in_channels=3, out_channels=3, width=2, blocks=1, d_width=2)
    card = Card(model="cyclegan", settings={}, source=SIDE, target=SIDE, size=64)
    return folder / "in.tif", save(folder / "model.dlpk", game, card)


@pytest.mark.parametrize("statistics", ["sampled", "exact", "regional"])
def test_tiles_are_verified_and_the_figures_shown_and_kept(tmp_path, files, statistics):
    raster, model = files
    out = tmp_path / "out.tif"
    options = ["--statistics", statistics, "--verify", "--tile-size", "64", "--device", "cpu"]
    result = CliRunner().invoke(cli, ["translate", str(raster), str(model), str(out), *options])
    assert result.exit_code == 0, result.output
    assert "verified: on 192 x 192 px tiles differ from the whole by at most" in result.output
    with rasterio.open(out) as dataset:
        tags = dataset.tags()
    assert tags["RS_GEN_STATISTICS"] == statistics
    assert tags["RS_GEN_VERIFIED"] == "passed"
    assert tags["RS_GEN_TILING"] == "exact"


def test_blended_tiles_fail_the_certificate_loudly(tmp_path, files):
    raster, model = files
    out = tmp_path / "out.tif"
    options = ["--overlap", "blend", "--verify", "--tile-size", "32", "--device", "cpu"]
    result = CliRunner().invoke(cli, ["translate", str(raster), str(model), str(out), *options])
    assert result.exit_code == 0, result.output
    assert "warning: tiles do not agree: on 64 x 64 px" in result.output
    with rasterio.open(out) as dataset:
        tags = dataset.tags()
    assert tags["RS_GEN_VERIFIED"] == "failed"
    assert tags["RS_GEN_TILING"].startswith("approximate: read 8 px around")
    assert "RS_GEN_SEAM_RATIO" in tags


def test_a_model_without_its_own_statistics_says_what_to_use(tmp_path, files):
    raster, model = files
    arguments = ["translate", str(raster), str(model), str(tmp_path / "out.tif")]
    result = CliRunner().invoke(cli, [*arguments, "--statistics", "model"])
    assert result.exit_code == 1
    assert "use statistics='sampled'" in result.output
