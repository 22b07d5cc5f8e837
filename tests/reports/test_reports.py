from __future__ import annotations

import json

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from rs_gen.errors import RasterError
from rs_gen.reports.examination import examine
from rs_gen.reports.inspection import inspect_path
from rs_gen.reports.writing import write_report


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
