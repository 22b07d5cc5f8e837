from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner
from rasterio.transform import from_origin

from rs_gen import __version__, tools
from rs_gen.cli.main import cli

COMMAND = str(Path(sys.executable).with_name("rs-gen"))


def raster(path: Path, seed: int = 0, size: int = 192) -> Path:
    pixels = np.random.default_rng(seed).integers(0, 255, (3, size, size), dtype="uint8")
    profile = {"driver": "GTiff", "count": 3, "dtype": "uint8", "height": size, "width": size,
               "crs": "EPSG:32633", "transform": from_origin(5e5, 5e6, 2, 2)}  # fmt: skip
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.write(pixels)
    return path


def best_seconds(command: list[str], tries: int = 4) -> float:
    """The least CPU time of a few runs: the machine may be busy with other things."""
    seconds = []
    for _ in range(tries):
        before = os.times()
        subprocess.run(command, check=True, capture_output=True)
        after = os.times()
        seconds.append(sum(after[2:4]) - sum(before[2:4]))
    return min(seconds)


def test_importing_the_package_costs_milliseconds():
    bare = best_seconds([sys.executable, "-c", "pass"])
    assert best_seconds([sys.executable, "-c", "import rs_gen"]) - bare < 0.15


def test_help_comes_in_half_a_second():
    assert best_seconds([COMMAND, "--help"]) < 0.5


def test_help_imports_nothing_heavy():
    code = (
        "import sys, rs_gen.cli.main; "
        "print([m for m in ('torch', 'rasterio', 'numpy', 'fastai', 'rich') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", tools.TOOLS)
def test_every_tool_has_a_command_with_help_for_each_option(name):
    result = CliRunner().invoke(cli, [name.replace("_", "-"), "--help"])
    assert result.exit_code == 0
    for parameter in tools.parameters(tools.TOOLS[name]):
        shown = parameter.name.upper() if parameter.required else parameter.name.replace("_", "-")
        assert shown in result.output


def test_the_version_is_told_as_text_and_as_json():
    assert CliRunner().invoke(cli, ["--version"]).output.strip() == __version__


def test_chips_are_cut_from_the_command_line(tmp_path):
    a, b = raster(tmp_path / "a.tif"), raster(tmp_path / "b.tif", 1)
    result = CliRunner().invoke(
        cli, ["export-chips", str(a), str(b), str(tmp_path / "chips"), "--size", "64",
              "--valid-share", "0"],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert result.stdout.strip().endswith("chips")
    assert len(list((tmp_path / "chips" / "train_b").glob("*.tif"))) == 9


def test_a_program_gets_one_json_object_a_line(tmp_path):
    a, b = raster(tmp_path / "a.tif"), raster(tmp_path / "b.tif", 1)
    done = subprocess.run(
        [COMMAND, "export-chips", str(a), str(b), str(tmp_path / "c"), "--size", "64", "--json",
         "--valid-share", "0"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert (events[0]["event"], events[0]["tool"]) == ("start", "export-chips")
    assert events[-1] == {"event": "end", "code": 0}
    (output,) = (e for e in events if e["event"] == "output")
    assert output["path"].endswith("c")
    progress = [e for e in events if e["event"] == "progress"]
    assert progress[-1]["done"] == progress[-1]["total"]


def test_an_error_of_ours_is_one_line_and_exit_code_1(tmp_path):
    arguments = ["inspect", str(tmp_path / "missing.tif")]
    done = subprocess.run([COMMAND, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "missing.tif" in done.stderr
    assert "Traceback" not in done.stderr
    done = subprocess.run(
        [COMMAND, *arguments, "--json"], capture_output=True, text=True, check=False
    )
    error = json.loads(done.stdout.splitlines()[1])
    assert error["event"] == "error"
    assert error["type"] == "RasterError"


def test_a_misspelt_command_line_is_exit_code_2():
    assert CliRunner().invoke(cli, ["translate", "--tile-sise", "3"]).exit_code == 2
    assert CliRunner().invoke(cli, ["export-chips", "a", "b", "c", "--size", "2"]).exit_code == 2


@pytest.mark.parametrize("with_signal", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_says_so_and_leaves_nothing_half_written(tmp_path, with_signal):
    a, b = raster(tmp_path / "a.tif", size=512), raster(tmp_path / "b.tif", 1, size=512)
    out = tmp_path / "chips"
    child = subprocess.Popen(
        [COMMAND, "export-chips", str(a), str(b), str(out), "--size", "16", "--stride", "2",
         "--valid-share", "0", "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    for line in child.stdout:
        if '"progress"' in line:
            child.send_signal(with_signal)
            break
    rest, errors = child.communicate(timeout=60)
    assert child.returncode == 130, errors
    assert '"cancelled"' in rest
    assert not [p for p in out.rglob("*") if ".part" in p.name]
    assert not (out / "chips.json").exists()


def test_a_closed_pipe_counts_as_a_wish_to_stop(tmp_path):
    a, b = raster(tmp_path / "a.tif", size=512), raster(tmp_path / "b.tif", 1, size=512)
    child = subprocess.Popen(
        [COMMAND, "export-chips", str(a), str(b), str(tmp_path / "chips"), "--size", "16",
         "--stride", "2", "--valid-share", "0", "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    child.stdout.readline()
    child.stdout.close()
    assert child.wait(timeout=60) == 130
    assert "Traceback" not in child.stderr.read()
