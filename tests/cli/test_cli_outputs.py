"""What an analyst asks of an output, from the command line to the files."""

from __future__ import annotations

import json
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from click.testing import CliRunner
from rasterio.transform import from_origin
from shapely.geometry import box

from rs_gen.cli.main import cli
from rs_gen.games.card import Card
from rs_gen.games.package import save
from rs_gen.games.registry import create_game
from tests.stac import valid


def run(*words) -> str:
    result = CliRunner().invoke(cli, [str(w) for w in words])
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def model(tmp_path) -> Path:
    game = create_game("cyclegan", in_channels=3, out_channels=3, width=4, blocks=1, d_width=4)
    stretch = {"low": [0.0] * 3, "high": [255.0] * 3}
    side = {"count": 3, "dtype": "uint8", "nodata": None, "stretch": stretch, "resolution": 2.0}
    palette = {"colours": [[-0.2, 0.0, 0.1], [0.1, 0.0, -0.2]], "shares": [0.6, 0.4]}
    card = Card("cyclegan", game.settings, side, side, 64, palettes={"BtoA": palette})
    return save(tmp_path / "town", game, card)


@pytest.fixture
def raster(tmp_path) -> Path:
    path = tmp_path / "in.tif"
    pixels = np.random.default_rng(0).integers(0, 255, (3, 96, 128), dtype="uint8")
    profile = {"driver": "GTiff", "count": 3, "dtype": "uint8", "height": 96, "width": 128,
               "crs": "EPSG:32633", "transform": from_origin(5e5, 5e6, 2, 2)}  # fmt: skip
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.write(pixels)
    return path


def test_classes_in_two_areas_with_polygons_and_an_item(tmp_path, raster, model):
    for i, left in enumerate((5e5 + 20, 5e5 + 150)):
        area = gpd.GeoDataFrame(geometry=[box(left, 5e6 - 80, left + 60, 5e6 - 20)], crs=32633)
        area.to_file(tmp_path / f"{i}.gpkg")
    out = tmp_path / "out.tif"
    run("translate", raster, model, out, "--direction", "BtoA", "--area", tmp_path / "0.gpkg",
        "--area", tmp_path / "1.gpkg", "--area-mode", "mask", "--palette", "model",
        "--polygons", tmp_path / "out.gpkg", "--compress", "lzw", "--overviews", "2,4",
        "--device", "cpu")  # fmt: skip
    with rasterio.open(out) as made:
        assert made.shape == (96, 128)
        assert (made.read_masks(1) > 0).sum() == 2 * 30 * 30
        assert made.compression.name == "lzw"
        assert made.overviews(1) == [2, 4]
        assert len(set(made.read(1)[made.read_masks(1) > 0])) == 2
    polygons = gpd.read_file(tmp_path / "out.gpkg", layer="classes")
    assert polygons.pixels.sum() == 2 * 30 * 30
    valid(json.loads((tmp_path / "out.stac.json").read_text()))

    told = run("inspect", out)
    assert "synthetic imagery: True" in told
    assert "is of this file: True" in told
    events = [json.loads(line) for line in run("inspect", out, "--json").splitlines()]
    (report,) = (e["value"] for e in events if e["event"] == "output")
    made_by, item = report["made by rs_gen"], report["STAC item"]
    assert made_by["direction"] == "BtoA"
    assert made_by["parameters"]["area_mode"] == "mask"
    assert report["classes"] == {"0": "class 0", "1": "class 1"}
    assert item["source"] == "in.tif"
    held = [json.loads(line) for line in run("inspect", model, "--json").splitlines()]
    (card,) = (e["value"] for e in held if e["event"] == "output")
    assert card["makes synthetic imagery"] is True
    assert card["model digest"]["BtoA"] == made_by["model_digest"]


def test_a_file_that_was_changed_is_told_from_its_item(tmp_path, raster, model):
    out = tmp_path / "out.tif"
    run("translate", raster, model, out, "--device", "cpu")
    with rasterio.open(out, "r+") as dataset:
        dataset.write(np.zeros((1, 2, 2), "uint8"), [1], window=rasterio.windows.Window(0, 0, 2, 2))
    assert "is of this file: False" in run("inspect", out)
    run("translate", raster, model, out, "--device", "cpu", "--overwrite", "--no-stac")
    assert "STAC item: -" in run("inspect", out)


def test_a_coarser_raster_is_resampled_on_request(tmp_path, raster, model):
    coarse = tmp_path / "coarse.tif"
    with rasterio.open(raster) as source:
        profile = source.profile | {"transform": from_origin(5e5, 5e6, 4, 4)}
        with rasterio.open(coarse, "w", **profile) as dataset:
            dataset.write(source.read())
    out = tmp_path / "out.tif"
    run("translate", coarse, model, out, "--resample", "--cog", "--device", "cpu")
    with rasterio.open(out) as made:
        assert made.shape == (192, 256)
        assert made.res == (2, 2)


def test_scores_go_to_a_report_and_a_geopackage(tmp_path, raster):
    area = gpd.GeoDataFrame(geometry=[box(5e5, 5e6 - 100, 5e5 + 100, 5e6)], crs=32633)
    area.to_file(tmp_path / "area.gpkg")
    run("evaluate", raster, raster, "--areas", tmp_path / "area.gpkg", "--cell", 32, "--block", 32,
        "--scores", tmp_path / "s.gpkg", "--report", tmp_path / "s.json")  # fmt: skip
    report = json.loads((tmp_path / "s.json").read_text())
    assert report["L1"] == {**report["L1"], "value": 0, "n": 96 * 128, "low": 0, "high": 0}
    assert report["layers"] == {"path": str(tmp_path / "s.gpkg"), "areas": 1, "cells": 12}
    assert len(gpd.read_file(tmp_path / "s.gpkg", layer="cells")) == 12
