"""The plugin in QGIS's window, on a screen that nobody sees."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio
from conftest import need
from PIL import Image

from scripts.qgis_host import PATH, Qgis

PICTURE = Path(__file__).parents[2] / "docs" / "pictures" / "qgis.png"


@pytest.mark.slow  # starts QGIS with its window
def test_the_window_shows_the_tools_and_the_result_on_the_map(qgis, trained, satellite, tmp_path):
    need(shutil.which("xvfb-run", path=PATH), "xvfb-run", "xvfb xauth")
    need(Qgis.desktop_program(), "qgis", "qgis")
    out = tmp_path / "window.png"
    seen = qgis.picture(trained, satellite, out, {"TRUST": ["disagreement"]})
    assert set(seen["layers"]) == {"Satellite", "Area", "Translated raster", "Trust layers"}
    assert all(valid for _, valid in seen["layers"].values())
    assert {"Translate Raster", "Train Image Translation Model"} <= set(seen["tools"])
    window = Image.open(out).convert("RGB")
    left, top, right, bottom = seen["place"]
    assert 0 < left < right < window.width
    drawn = np.asarray(window.crop((left, top, right, bottom)), float)
    with rasterio.open(out.with_suffix(".tif")) as dataset:
        result = dataset.read(out_shape=(3, *drawn.shape[:2])).transpose(1, 2, 0)
        valid = dataset.dataset_mask(out_shape=drawn.shape[:2]) > 0
    assert 0.2 < valid.mean() < 0.8
    bare = (drawn == 255).all(axis=2)  # the map's white ground, where the satellite has a hole
    assert (bare == ~valid).mean() > 0.97
    assert np.abs(drawn[valid].mean(0) - result[valid].mean(0)).max() < 8  # levels of 255


def test_the_picture_in_the_docs_is_small():
    assert PICTURE.stat().st_size < 400_000
