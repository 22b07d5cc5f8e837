from __future__ import annotations

import json

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from rs_gen.errors import GridMismatchError, RasterError, TranslationError
from rs_gen.reports.evaluation import evaluate_rasters
from rs_gen.reports.examination import examine
from rs_gen.reports.inspection import inspect_path
from rs_gen.reports.writing import write_report
from rs_gen.tools import quiet


def write(path, pixels, nodata=None, left=5e5):
    count, height, width = pixels.shape
    with rasterio.open(
        path, "w", driver="GTiff", count=count, height=height, width=width, dtype=pixels.dtype,
        crs="EPSG:32633", transform=from_origin(left, 5e6, 2, 2), nodata=nodata,
    ) as dataset:  # fmt: skip
        dataset.write(pixels)
    return path


@pytest.fixture
def truth():
    return np.random.default_rng(0).integers(20, 200, (3, 512, 300), dtype="uint8")


def test_a_raster_agrees_with_itself(tmp_path, truth):
    path = write(tmp_path / "a.tif", truth)
    scores = evaluate_rasters(path, path, progress=quiet)
    assert scores["SSIM"]["value"] == pytest.approx(1)
    assert scores["L1"] == {"value": 0, "n": 512 * 300, "unit": "pixels"}
    assert scores["PSNR"]["n"] == 2


def test_a_window_met_exactly_counts_as_rounding_and_not_as_infinity(tmp_path, truth):
    made = truth.copy()
    made[:, 256:] += 8
    scores = evaluate_rasters(
        write(tmp_path / "a.tif", made), write(tmp_path / "b.tif", truth), progress=quiet
    )
    exact, off = 10 * np.log10(12 * 255**2), 20 * np.log10(255 / 8)
    assert scores["PSNR"]["value"] == pytest.approx((exact + off) / 2, abs=1e-3)
    floats = write(tmp_path / "c.tif", truth.astype("float32"))
    assert np.isfinite(evaluate_rasters(floats, floats, progress=quiet)["PSNR"]["value"])


def test_a_known_difference_gives_known_scores(tmp_path, truth):
    made = write(tmp_path / "a.tif", truth + 8)
    scores = evaluate_rasters(made, write(tmp_path / "b.tif", truth), progress=quiet)
    assert scores["L1"]["value"] == pytest.approx(8)
    assert scores["RMSE"]["value"] == pytest.approx(8)
    assert scores["PSNR"]["value"] == pytest.approx(20 * np.log10(255 / 8), abs=1e-3)
    assert scores["within 5 of 256 levels"]["value"] == 0
    assert scores["within 10 of 256 levels"]["value"] == 1


def test_pixels_that_one_side_did_not_measure_do_not_count(tmp_path, truth):
    made = truth.copy()
    made[:, :100] = 0
    scores = evaluate_rasters(
        write(tmp_path / "a.tif", made, nodata=0), write(tmp_path / "b.tif", truth), progress=quiet
    )
    assert scores["L1"] == {"value": 0, "n": 412 * 300, "unit": "pixels"}


def test_rasters_that_can_not_be_compared_are_refused(tmp_path, truth):
    path = write(tmp_path / "a.tif", truth)
    with pytest.raises(GridMismatchError, match="3 bands and"):
        evaluate_rasters(path, write(tmp_path / "b.tif", truth[:1]), progress=quiet)
    with pytest.raises(GridMismatchError):
        evaluate_rasters(path, write(tmp_path / "c.tif", truth, left=9e5), progress=quiet)
    hole = write(tmp_path / "d.tif", np.zeros_like(truth), nodata=0)
    with pytest.raises(TranslationError, match="no pixel that both measured"):
        evaluate_rasters(hole, path, progress=quiet)


def test_a_raster_is_described(tmp_path, truth):
    found = inspect_path(write(tmp_path / "a.tif", truth, nodata=0))
    assert found["size"] == "300 x 512 px"
    assert found["crs"] == "EPSG:32633"
    assert found["ground resolution (m)"] == pytest.approx(2, rel=1e-2)
    assert found["made by rs_gen"] is None
    with pytest.raises(RasterError, match="nothing"):
        inspect_path(tmp_path / "nothing.tif")


def test_a_report_is_written_whole(tmp_path):
    path = tmp_path / "deep" / "report.json"
    assert write_report({"n": 3}, path) == {"n": 3}
    assert json.loads(path.read_text()) == {"n": 3}


def test_the_doctor_names_versions_and_devices():
    found = examine()
    assert found["packages"]["torch"] != "not installed"
    assert found["gdal"]["works"]
    assert found["device"]["device"] in ("cpu", "cuda")
    assert found["advice"]


def test_the_doctor_says_what_to_install(monkeypatch):
    from importlib import metadata

    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    assert "pip install rasterio" in examine()["advice"]


def test_a_report_is_strict_json_also_where_nodata_is_no_number(tmp_path):
    path = write(tmp_path / "a.tif", np.zeros((1, 8, 8), "float32"), nodata=float("nan"))
    report = write_report(inspect_path(path), tmp_path / "r.json")
    assert report["nodata"] == "nan"

    def refuse(word):
        raise ValueError(word)

    held = json.loads((tmp_path / "r.json").read_text(), parse_constant=refuse)
    assert held["nodata"] == "nan"
