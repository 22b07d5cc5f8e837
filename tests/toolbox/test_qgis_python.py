"""The plugin in QGIS's own Python: what the desktop does, without its window (see pyqgis.py)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from conftest import need

from scripts.qgis_host import Qgis

SCRIPT = Path(__file__).with_name("pyqgis.py")
COLOURS = [["water", "#aadaff"], ["road", "#ffffff"], ["green", "#c8e6a0"]]
PALETTE = ",".join("=".join(pair) for pair in COLOURS)
pytestmark = pytest.mark.slow  # each starts QGIS, and torch in rs-gen


def seen(qgis: Qgis, act: str, given: Any, **env: str) -> Any:
    """What an act of pyqgis.py saw."""
    python = need(Qgis.python_program(), "PyQGIS", "python3-qgis")
    done = qgis.run(python, "-X", "faulthandler", SCRIPT, act, json.dumps(given), **env)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def asked(satellite: Path, trained: Path) -> dict[str, Any]:
    return {"RASTER": str(satellite), "MODEL": str(trained)}


def test_what_a_run_made_is_loaded_and_styled(qgis, asked, tmp_path):
    values = {**asked, "OUT": str(tmp_path / "map.tif"), "POLYGONS": str(tmp_path / "map.gpkg"),
              "PALETTE": PALETTE, "TRUST": ["cycle", "disagreement"]}  # fmt: skip
    told = seen(qgis, "load", {"values": values, "load": ["OUT", "POLYGONS"]})
    layers, trust = told["layers"], str(tmp_path / "map_trust.tif")
    assert told["results"]["TRUST_LAYERS"] == trust
    assert set(layers) == {"Translated raster", "Polygons", "Trust layers"}
    assert layers["Translated raster"]["renderer"] == "paletted"
    assert layers["Translated raster"]["legend"] == COLOURS
    assert layers["Polygons"]["legend"] == COLOURS
    assert layers["Trust layers"]["source"] == trust
    assert layers["Trust layers"]["bands"] == {"default": 1, "disagreement": 2}
    assert layers["Trust layers"]["legend"][0][1] == "#1a9850"
    assert max(told["bars"]) == 100
    assert told["texts"][:2] == ["Translating", "Judging"]


def test_a_layer_that_is_only_in_memory_can_be_the_area(qgis, asked, satellite, tmp_path):
    with rasterio.open(satellite) as dataset:
        left, top = dataset.xy(40, 60, offset="ul")
    right, bottom = left + 100, top - 80  # metres
    ring = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
    square = f"POLYGON(({', '.join(f'{x} {y}' for x, y in ring)}))"
    out = tmp_path / "out.tif"
    seen(qgis, "areas", {"squares": [square], "values": {**asked, "OUT": str(out)}})
    whole = tmp_path / "whole.tif"
    subprocess.run(
        [sys.executable, "-m", "rs_gen.cli.main", "translate", satellite, asked["MODEL"], whole],
        check=True, capture_output=True,
    )  # fmt: skip
    with rasterio.open(out) as part, rasterio.open(whole) as all_of_it:
        assert part.bounds == (left, bottom, right, top)
        assert np.array_equal(part.read(), all_of_it.read()[:, 40:80, 60:110])


def test_the_tools_can_be_joined_in_the_model_designer(qgis, asked, satellite, tmp_path):
    given = {
        "file": str(tmp_path / "two.model3"), "raster": str(satellite),
        "first": {"MODEL": asked["MODEL"]}, "report": str(tmp_path / "report.json"),
    }  # fmt: skip
    told = seen(qgis, "model", given)
    assert told["results"]["second:report"] == given["report"]
    scores = json.loads(Path(given["report"]).read_text())
    assert scores["L1"]["value"] == 0  # the result is held against itself


def test_the_batch_dialog_runs_a_row_after_the_other(qgis, asked, tmp_path):
    outs = [str(tmp_path / f"{number}.tif") for number in range(3)]
    palettes = ("'#aadaff,#ffffff'", "'model'", "''")  # the second can't be had of this model
    rows = [
        {"PARAMETERS": {**{k: repr(v) for k, v in asked.items()}, "PALETTE": palette},
         "OUTPUTS": {"OUT": out}}
        for palette, out in zip(palettes, outs, strict=True)
    ]  # fmt: skip
    (tmp_path / "batch.json").write_text(json.dumps(rows))
    told = seen(qgis, "batch", {"file": str(tmp_path / "batch.json")})
    assert [row["OUT"] for row in told["results"]] == [outs[0], outs[2]]
    assert "this model has none" in str(told["errors"])


def test_cancel_stops_a_run_in_the_desktops_thread(qgis, satellite, tmp_path):
    values = {"SOURCE": str(satellite), "TARGET": str(satellite), "OUT": str(tmp_path / "chips"),
              "SIZE": 32, "STRIDE": 1, "MIN_VALID": 0}  # fmt: skip
    told = seen(qgis, "cancel", {"values": values})
    assert told["seen"] == [[False, {}]]
    assert "cancelled: stopped" in told["log"]
    assert not list((tmp_path / "chips").rglob("*.part"))


def test_the_options_page_tries_a_command_and_keeps_it(qgis):
    works = f"{sys.executable} -m rs_gen.cli.main"
    told = seen(qgis, "settings", {"commands": ["/nowhere/rs-gen", works]}, RS_GEN_COMMAND="")
    assert told["told"][0].startswith("This does not work.")
    assert "/nowhere/rs-gen is no program" in told["told"][0]
    assert told["told"][1].startswith(f"This works.\ncommand: {works}")
    assert "advice:" in told["told"][1]
    assert told["kept"] == works
    assert told["run"] == works.split()


def test_choices_may_be_numbers_and_what_is_no_file_is_refused(qgis, asked, tmp_path):
    tries = [
        {**asked, "OUT": str(tmp_path / "a.tif"), "STATISTICS": "model"},
        {**asked, "OUT": str(tmp_path / "b.tif"), "STATISTICS": 3},
        {**asked, "OUT": str(tmp_path / "c.tif"), "STATISTICS": "7"},
        {**asked, "OUT": str(tmp_path / "d.tif"), "RASTER": "/nowhere.tif"},
        {**asked, "OUT": str(tmp_path / "e.tif"),
         "RASTER": "type=xyz&url=file:///nowhere/{z}/{x}/{y}.png&zmax=1&zmin=0"},
    ]  # fmt: skip
    said = seen(qgis, "refused", {"tries": tries})
    assert [ok for ok, _ in said] == [False] * 5
    assert "has no stored statistics" in said[0][1]
    assert "has no stored statistics" in said[1][1]
    assert "STATISTICS" in said[2][1]
    assert "/nowhere.tif" in said[3][1]
    assert not list(tmp_path.iterdir())
