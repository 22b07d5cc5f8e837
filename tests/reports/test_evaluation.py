from __future__ import annotations

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from affine import Affine
from scipy.ndimage import gaussian_filter, shift
from shapely.geometry import box

from rs_gen.errors import GridMismatchError, SettingError, TranslationError
from rs_gen.reports import evaluation
from rs_gen.tools import quiet

METRES = 2.0


def write(path, pixels, nodata=None, left=5e5):
    count, height, width = pixels.shape
    with rasterio.open(
        path, "w", driver="GTiff", count=count, height=height, width=width, dtype=pixels.dtype,
        crs="EPSG:32633", transform=Affine(METRES, 0, left, 0, -METRES, 5e6), nodata=nodata,
    ) as dataset:  # fmt: skip
        dataset.write(pixels)
    return path


def evaluate(*paths, **options):
    return evaluation.evaluate_rasters(*paths, progress=quiet, **options)


@pytest.fixture
def truth():
    return np.random.default_rng(0).integers(20, 200, (3, 200, 150), dtype="uint8")


def test_a_raster_agrees_with_itself(tmp_path, truth):
    path = write(tmp_path / "a.tif", truth)
    scores = evaluate(path, path, block=64)
    n = 200 * 150
    assert scores["SSIM"]["value"] == pytest.approx(1)
    assert scores["SSIM"]["n"] == (200 - 10) * (150 - 10)
    exact = pytest.approx(10 * np.log10(12 * 255**2))
    assert scores["PSNR of all pixels"]["value"] == exact
    assert (scores["PSNR"]["value"], scores["PSNR"]["n"]) == (exact, 6)
    assert scores["PSNR"]["unit"] == "windows of 64 px"
    assert scores["spectral angle"]["value"] == 0
    assert (scores["L1"]["value"], scores["L1"]["n"], scores["L1"]["low"]) == (0, n, 0)
    assert scores["L1"]["protocol"].endswith("interval by blocks of 64 px (12)")
    assert scores["shift right (px)"]["value"] == 0


def test_a_known_difference_gives_known_scores(tmp_path, truth):
    truth[0] = 100
    made = truth.copy()
    made[0] += 8
    scores = evaluate(write(tmp_path / "a.tif", made), write(tmp_path / "b.tif", truth))
    assert scores["L1"]["value"] == pytest.approx(8 / 3)
    assert scores["RMSE"]["value"] == pytest.approx(8 / 3**0.5)
    assert scores["PSNR of all pixels"]["value"] == pytest.approx(20 * np.log10(255 / (8 / 3**0.5)))
    assert scores["PSNR"]["value"] is None, "no window of 256 px"
    assert scores["within 5 of 256 levels"]["value"] == 0
    assert scores["within 10 of 256 levels"]["value"] == 1
    grey = [np.full((2, 32, 32), v, "uint8") for v in (50, 100)]
    grey[0][1] = 0
    angle = evaluate(write(tmp_path / "c.tif", grey[0]), write(tmp_path / "d.tif", grey[1]))
    assert angle["spectral angle"]["value"] == pytest.approx(45)


def test_a_window_met_exactly_counts_as_rounding_and_not_as_infinity(tmp_path, truth):
    made = truth.copy()
    made[:, :, 64:128] += 8
    paths = write(tmp_path / "a.tif", made), write(tmp_path / "b.tif", truth)
    exact, off = 10 * np.log10(12 * 255**2), 20 * np.log10(255 / 8)
    found = evaluate(*paths, block=64)["PSNR"]
    assert found["value"] == pytest.approx((exact + off) / 2)
    floats = write(tmp_path / "c.tif", truth.astype("float32"))
    assert np.isfinite(evaluate(floats, floats, block=64)["PSNR"]["value"])


def test_blocks_change_intervals_but_no_score(tmp_path, truth):
    noisy = (truth + np.random.default_rng(1).integers(0, 20, truth.shape)).astype("uint8")
    paths = write(tmp_path / "a.tif", noisy), write(tmp_path / "b.tif", truth)
    small, large = (evaluate(*paths, block=side) for side in (32, 256))
    for name in (
        "PSNR of all pixels",
        "SSIM",
        "L1",
        "RMSE",
        "within 5 of 256 levels",
        "spectral angle",
    ):
        assert small[name]["value"] == pytest.approx(large[name]["value"])
        assert small[name]["n"] == large[name]["n"]
        assert small[name]["low"] <= small[name]["value"] <= small[name]["high"]
        assert large[name]["low"] is None, "one block has no interval"


def test_the_interval_covers_what_it_should(tmp_path):
    """Blocks of unlike error: the mean's interval is that of a bootstrap over blocks."""
    dice = np.random.default_rng(3)
    truth = np.full((1, 256, 256), 100, "uint8")
    errors = dice.integers(0, 40, (8, 8))
    made = truth + np.kron(errors, np.ones((32, 32))).astype("uint8")
    scores = evaluate(write(tmp_path / "a.tif", made), write(tmp_path / "b.tif", truth), block=32)
    spread = errors.std(ddof=1) / 8
    low, high = scores["L1"]["low"], scores["L1"]["high"]
    assert (high - low) == pytest.approx(2 * 1.96 * spread, rel=0.15)
    assert low < errors.mean() < high


def test_pixels_that_one_side_did_not_measure_do_not_count(tmp_path, truth):
    made = truth.copy()
    made[:, :100] = 0
    scores = evaluate(write(tmp_path / "a.tif", made, nodata=0), write(tmp_path / "b.tif", truth))
    assert (scores["L1"]["value"], scores["L1"]["n"]) == (0, 100 * 150)
    assert scores["SSIM"]["n"] == 90 * 140


def test_a_shift_is_told_in_pixels_and_metres(tmp_path):
    rough = gaussian_filter(np.random.default_rng(0).normal(size=(300, 300)), 1.5)
    scene = np.uint8(np.clip(127 + 400 * rough, 1, 255))[None]
    moved = np.uint8(np.clip(shift(scene[0].astype(float), (1.5, -3.25)), 1, 255))[None]
    paths = write(tmp_path / "a.tif", moved), write(tmp_path / "b.tif", scene)
    found = evaluate(*paths, block=128)
    assert found["shift down (px)"]["value"] == pytest.approx(1.5, abs=0.05)
    assert found["shift right (px)"]["value"] == pytest.approx(-3.25, abs=0.05)
    assert found["shift right (m)"]["value"] == pytest.approx(-3.25 * METRES, abs=0.1)
    assert found["shift right (m)"]["n"] == 4
    back = evaluate(*paths[::-1], block=128)
    assert back["shift right (px)"]["value"] == pytest.approx(3.25, abs=0.05)


def test_flat_rasters_have_no_shift(tmp_path):
    flat = write(tmp_path / "a.tif", np.full((1, 64, 64), 9, "uint8"))
    found = evaluate(flat, flat)["shift down (px)"]
    assert (found["value"], found["n"], found["unit"]) == (None, 0, "windows")


def test_places_are_scored_one_by_one(tmp_path, truth):
    made = truth.copy()
    made[:, :100] += 6
    paths = write(tmp_path / "a.tif", made), write(tmp_path / "b.tif", truth)
    top, bottom = 5e6, 5e6 - 200 * METRES
    areas = gpd.GeoDataFrame(
        {"town": ["north", "south", "away"], "psnr": ["mine", "mine", "mine"]},
        geometry=[
            box(5e5, top - 100 * METRES, 5e5 + 300, top),
            box(5e5, bottom, 5e5 + 300, top - 100 * METRES),
            box(0, 0, 1, 1),
        ],
        crs="EPSG:32633",
    )
    areas.to_crs(4326).to_file(tmp_path / "areas.gpkg")
    report = evaluate(
        *paths, areas=tmp_path / "areas.gpkg", cell=100, scores=tmp_path / "s.gpkg", block=64
    )
    assert report["layers"] == {"path": str(tmp_path / "s.gpkg"), "areas": 3, "cells": 4}
    scored = gpd.read_file(tmp_path / "s.gpkg", layer="areas").set_index("town")
    assert scored.crs == "EPSG:32633"
    assert scored.l1.north == pytest.approx(6, abs=0.2)  # a line may bend by a fraction of a pixel
    assert scored.l1.south == pytest.approx(0, abs=0.2)
    assert scored.n.north + scored.n.south == pytest.approx(200 * 150, abs=200)
    assert scored.n.away == 0
    assert np.isnan(scored.l1.away)
    cells = gpd.read_file(tmp_path / "s.gpkg", layer="cells")
    assert sorted(cells.n) == [5000, 5000, 10000, 10000]
    assert set(cells[cells.row == 0].l1.round(6)) == {6.0}
    assert set(cells[cells.row == 1].rmse) == {0.0}
    assert cells.n @ cells.l1 / cells.n.sum() == pytest.approx(report["L1"]["value"])


def test_rasters_that_can_not_be_compared_are_refused(tmp_path, truth):
    path = write(tmp_path / "a.tif", truth)
    with pytest.raises(GridMismatchError, match="3 bands and"):
        evaluate(path, write(tmp_path / "b.tif", truth[:1]))
    with pytest.raises(GridMismatchError):
        evaluate(path, write(tmp_path / "c.tif", truth, left=9e5))
    hole = write(tmp_path / "d.tif", np.zeros_like(truth), nodata=0)
    with pytest.raises(TranslationError, match="no pixel that both measured"):
        evaluate(hole, path)


def test_options_that_can_not_work_are_refused(tmp_path, truth):
    path = write(tmp_path / "a.tif", truth)
    with pytest.raises(SettingError, match="name it with scores"):
        evaluate(path, path, cell=64)
    with pytest.raises(SettingError, match="scores is for areas or cells"):
        evaluate(path, path, scores=tmp_path / "s.gpkg")
    with pytest.raises(SettingError, match="cell=0 pixels; it must be at least 1"):
        evaluate(path, path, cell=0, scores=tmp_path / "s.gpkg")


def test_sixteen_bits_are_measured_against_the_range_of_the_truth(tmp_path):
    truth = np.linspace(1000, 3000, 64 * 64).reshape(1, 64, 64).astype("uint16")
    scores = evaluate(write(tmp_path / "a.tif", truth + 20), write(tmp_path / "b.tif", truth))
    assert scores["data range"] == [1000, 3000]
    assert scores["PSNR of all pixels"]["value"] == pytest.approx(20 * np.log10(2000 / 20))
