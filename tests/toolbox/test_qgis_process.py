"""The plugin in a real QGIS, from ``qgis_process``."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import rasterio

from rs_gen import tools
from rs_gen.listing import label_of


def run_here(*arguments: object) -> None:
    command = [sys.executable, "-m", "rs_gen.cli.main", *map(str, arguments)]
    subprocess.run(command, check=True, capture_output=True)


def test_every_tool_is_listed_by_its_title(qgis):
    listed = qgis.process("list").stdout
    for name in tools.TOOLS:
        assert f"rsgen:{name.replace('_', '')}\t{label_of(name)[0]}" in listed


def test_the_help_of_a_tool_tells_each_of_its_parameters(qgis):
    told = qgis.process("help", "rsgen:translate").stdout
    for parameter in tools.parameters(tools.TOOLS["translate"]):
        assert f"\n{parameter.name.upper()}: " in told
        assert parameter.input.help in told
    assert "- 2: regional" in told


def test_pixels_tags_and_grid_are_those_of_the_command_line(qgis, trained, satellite, tmp_path):
    ours, theirs = tmp_path / "ours.tif", tmp_path / "theirs.tif"
    # A host's own PROJ and GDAL must not reach the tool: its output would lose the EPSG code.
    done = qgis.process(
        "--json", "run", "rsgen:translate", f"--RASTER={satellite}", f"--MODEL={trained}",
        f"--OUT={theirs}", "--STATISTICS=exact",
        PROJ_LIB="/usr/share/proj", GDAL_DATA="/usr/share/gdal",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads(done.stdout)["results"]
    assert results == {"OUT": str(theirs), "RESULT": str(theirs)}
    run_here("translate", satellite, trained, ours, "--statistics", "exact")
    with rasterio.open(ours) as a, rasterio.open(theirs) as b:
        assert np.array_equal(a.read(), b.read())
        assert np.array_equal(a.read_masks(), b.read_masks())
        assert 0 < (b.read_masks() == 0).mean() < 0.5
        assert b.crs.to_epsg() == 32633
        assert (a.transform, a.tags()) == (b.transform, b.tags())


def test_a_report_comes_as_json(qgis, satellite, tmp_path):
    report = tmp_path / "report.json"
    done = qgis.process(
        "--json", "run", "rsgen:inspect", f"--FILE={satellite}", f"--REPORT={report}"
    )
    results = json.loads(done.stdout)["results"]
    assert json.loads(results["RESULT"])["size"] == "192 x 192 px"
    assert json.loads(Path(results["REPORT"]).read_text()) == json.loads(results["RESULT"])


@pytest.mark.slow  # starts QGIS, and torch in rs-gen
def test_a_folder_may_stand_for_a_raster(qgis, satellite, tmp_path):
    done = qgis.process(
        "run", "rsgen:exportchips", f"--SOURCE={satellite.parent}", f"--TARGET={satellite.parent}",
        f"--OUT={tmp_path / 'chips'}", "--SIZE=64", "--VALID_SHARE=0", "--MIN_VALID=0",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list((tmp_path / "chips" / "train_a").glob("*.tif"))) == 9


@pytest.mark.slow  # starts QGIS, and torch in rs-gen
def test_a_failure_is_told_with_its_remedy_and_exit_code_1(qgis, trained, satellite, tmp_path):
    out = tmp_path / "out.tif"
    done = qgis.process("run", "rsgen:translate", f"--RASTER={satellite}", f"--MODEL={trained}",
                        f"--OUT={out}", "--PALETTE=model")  # fmt: skip
    assert done.returncode == 1
    assert "this model has none" in done.stdout + done.stderr
    assert not list(tmp_path.iterdir())


def test_a_raster_that_is_none_is_refused_before_anything_runs(qgis, trained, tmp_path):
    broken = tmp_path / "broken.tif"
    broken.write_text("no raster")
    done = qgis.process("run", "rsgen:translate", f"--RASTER={broken}", f"--MODEL={trained}",
                        f"--OUT={tmp_path / 'out.tif'}")  # fmt: skip
    assert done.returncode == 1
    assert "RASTER" in done.stdout + done.stderr
    assert not (tmp_path / "out.tif").exists()


@pytest.mark.slow  # starts QGIS, and torch in rs-gen
def test_an_rs_gen_that_is_nowhere_is_told_with_what_to_do(qgis):
    done = qgis.process("run", "rsgen:doctor", RS_GEN_COMMAND="/nowhere/rs-gen")
    assert done.returncode == 1
    assert "/nowhere/rs-gen can't be started" in done.stdout + done.stderr
    done = qgis.process("run", "rsgen:doctor", RS_GEN_COMMAND="")
    assert done.returncode == 1
    assert "Settings, Options, rs_gen" in done.stdout + done.stderr


@pytest.mark.slow  # starts QGIS, and torch in rs-gen
def test_ctrl_c_stops_the_tool_and_leaves_nothing(qgis, trained, satellite, tmp_path):
    out = tmp_path / "chips"
    child = qgis.start(
        qgis.process_program(), "run", "rsgen:exportchips", f"--SOURCE={satellite}",
        f"--TARGET={satellite}", f"--OUT={out}", "--SIZE=32", "--STRIDE=1", "--MIN_VALID=0",
    )  # fmt: skip
    until = time.monotonic() + 60
    while not list(out.rglob("*.tif")) and time.monotonic() < until:
        time.sleep(0.1)
    child.send_signal(signal.SIGINT)
    told, errors = child.communicate(timeout=60)
    assert child.returncode == 1
    assert "cancelled: stopped; nothing half-written is left" in told + errors
    assert not list(out.rglob("*.part"))
    count = len(list(out.rglob("*.tif")))
    time.sleep(1)
    assert len(list(out.rglob("*.tif"))) == count < 2 * 161**2
