"""What a program reads: every line of real runs, held against the schema."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import rasterio
from click.testing import CliRunner
from rasterio.transform import from_origin

from rs_gen.cli import main as cli_main
from rs_gen.cli.main import cli
from rs_gen.cli.screen import JsonScreen
from rs_gen.cli.stopping import LIFELINE
from rs_gen.errors import Cancelled, ChipError
from rs_gen.games.card import Card
from rs_gen.games.package import save
from rs_gen.games.registry import create_game

SCHEMA = json.loads(Path(cli_main.__file__).with_name("events.schema.json").read_text())
COMMAND = [sys.executable, "-m", "rs_gen.cli.main"]


def checked(text: str) -> list[dict]:
    """The events of a run, each as the schema has it, from a start to an end."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    validator = jsonschema.Draft202012Validator(SCHEMA)
    events = [json.loads(line, parse_constant=pytest.fail) for line in text.splitlines()]
    for event in events:
        validator.validate(event)
    kinds = [event["event"] for event in events]
    assert (kinds[0], kinds[-1]) == ("start", "end")
    assert kinds.count("start") == kinds.count("end") == 1
    return events


def told(*words, code: int = 0) -> list[dict]:
    result = CliRunner().invoke(cli, [*map(str, words), "--json"])
    events = checked(result.stdout)
    assert result.exit_code == events[-1]["code"] == code, result.stdout
    return events


def outputs(events: list[dict]) -> dict[str, str]:
    return {e["role"]: e["path"] for e in events if e["event"] == "output" and "path" in e}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Two rasters and a model that nobody trained, which draws maps of two colours."""
    folder = tmp_path_factory.mktemp("files")
    profile = {"driver": "GTiff", "count": 3, "dtype": "uint8", "height": 96, "width": 128,
               "crs": "EPSG:32633", "transform": from_origin(5e5, 5e6, 2, 2)}  # fmt: skip
    for seed, name in enumerate(("a.tif", "b.tif")):
        with rasterio.open(folder / name, "w", **profile) as dataset:
            dataset.write(np.random.default_rng(seed).integers(0, 255, (3, 96, 128), "uint8"))
    game = create_game("cyclegan", in_channels=3, out_channels=3, width=4, blocks=1, d_width=4)
    stretch = {"low": [0.0] * 3, "high": [255.0] * 3}
    side = {"count": 3, "dtype": "uint8", "nodata": None, "stretch": stretch, "resolution": 2.0}
    palette = {"colours": [[-0.2, 0.0, 0.1], [0.1, 0.0, -0.2]], "shares": [0.6, 0.4]}
    card = Card("cyclegan", game.settings, side, side, 64, palettes={"AtoB": palette})
    save(folder / "town", game, card)
    return folder


def test_a_translation_tells_its_raster_its_trust_layers_and_its_polygons(folder, tmp_path):
    events = told("translate", folder / "a.tif", folder / "town", tmp_path / "out.tif",
                  "--trust", "cycle", "--palette", "model", "--device", "cpu",
                  "--polygons", tmp_path / "out.gpkg")  # fmt: skip
    assert outputs(events) == {
        "result": str(tmp_path / "out.tif"), "trust": str(tmp_path / "out_trust.tif"),
        "polygons": str(tmp_path / "out.gpkg"),
    }  # fmt: skip
    progress = [e for e in events if e["event"] == "progress"]
    assert progress[-1]["done"] == progress[-1]["total"]


def test_a_job_tells_every_raster_that_is_whole(folder, tmp_path):
    events = told("translate-batch", f"{folder}/*.tif", folder / "town", tmp_path / "out",
                  "--device", "cpu")  # fmt: skip
    rasters = [e["path"] for e in events if e.get("role") == "raster"]
    assert rasters == [str(tmp_path / "out" / name) for name in ("a.tif", "b.tif")]
    assert outputs(events)["result"] == str(tmp_path / "out")


def test_a_job_that_is_done_in_part_says_so_with_code_3(folder, tmp_path):
    (tmp_path / "broken.tif").write_bytes(b"no raster")
    events = told("translate-batch", f"{folder}/a.tif;{tmp_path}/broken.tif", folder / "town",
                  tmp_path / "out", "--device", "cpu", code=3)  # fmt: skip
    (error,) = (e for e in events if e["event"] == "error")
    assert error["type"] == "PartlyDoneError"


@pytest.mark.parametrize("words", [["doctor"], ["inspect", "a.tif"], ["inspect", "town"],
                                   ["evaluate", "a.tif", "b.tif"]])  # fmt: skip
def test_a_report_is_a_value_and_a_file_where_one_was_asked_for(folder, tmp_path, words):
    report = tmp_path / "report.json"
    words = [words[0], *(folder / word for word in words[1:])]
    events = told(*words, "--report", report)
    assert any(e.get("role") == "report" and "value" in e for e in events)
    assert outputs(events) == {"report": str(report)}


def test_an_error_tells_what_would_be_right(folder, tmp_path):
    (tmp_path / "other.emd").write_text('{"Framework": "arcgis.learn.models._inferencing"}')
    events = told("export-onnx", tmp_path / "other.emd", tmp_path / "other.onnx", code=1)
    (error,) = (e for e in events if e["event"] == "error")
    assert error["type"] == "PackageError"
    assert error["remedy"] == "train again on the same chips"
    assert ChipError("chips.tif is broken").remedy == ""


def test_a_misspelt_command_line_is_an_event_as_well():
    for words, tool in ((["translate", "--tile-sise", "3"], "translate"), (["translat"], "")):
        done = subprocess.run([*COMMAND, *words, "--json"], capture_output=True, text=True,
                              check=False)  # fmt: skip
        start, error, end = checked(done.stdout)
        assert (done.returncode, end["code"], start["tool"]) == (2, 2, tool)
        assert error["type"] == "UsageError"
        assert words[min(1, len(words) - 1)] in error["message"]


def test_a_fault_of_ours_is_an_event_and_a_traceback(folder, monkeypatch):
    from rs_gen.reports import inspection

    monkeypatch.setattr(inspection, "inspect_path", lambda path: {}["nothing"])
    result = CliRunner().invoke(cli, ["inspect", str(folder / "a.tif"), "--json"])
    (error,) = (e for e in checked(result.stdout) if e["event"] == "error")
    assert error["message"] == "KeyError: 'nothing'"
    assert isinstance(result.exception, KeyError)


def test_what_json_has_no_word_for_is_null():
    stream = io.StringIO()
    JsonScreen("evaluate", stream).done({"psnr": float("inf"), "each": [float("nan"), 1.5]}, [])
    value = checked(stream.getvalue())[1]["value"]
    assert value == {"psnr": None, "each": [None, 1.5]}


def test_a_training_tells_its_losses_and_a_stop_its_end():
    class Steps(list):
        def losses(self):
            return {"l1": 0.5}

    stream = io.StringIO()
    with JsonScreen("train", stream) as screen:
        assert list(screen.progress(Steps([0, 1]), label="training")) == [0, 1]
        screen.say("info", "epoch 1", {"l1": 0.5, "d": float("nan")})
        screen.cancelled()
    events = checked(stream.getvalue())
    assert events[1]["losses"] == {"l1": 0.5}
    assert [e["event"] for e in events[-2:]] == ["cancelled", "end"]
    assert events[-1]["code"] == 130


def test_a_reader_that_has_gone_is_a_wish_to_stop():
    class Pipe(io.StringIO):
        def flush(self):
            if "nobody" in self.getvalue():
                raise BrokenPipeError

    screen = JsonScreen("train", Pipe())
    with pytest.raises(Cancelled, match="has gone"):
        screen.say("info", "a line that nobody reads")
    screen.cancelled()  # says nothing more, to nobody


def test_the_end_of_standard_input_stops_a_run_where_a_host_asked_for_that(folder, tmp_path):
    words = ["export-chips", str(folder / "a.tif"), str(folder / "b.tif"), str(tmp_path / "c"),
             "--size", "8", "--stride", "1", "--valid-share", "0", "--json"]  # fmt: skip
    child = subprocess.Popen(
        [*COMMAND, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, LIFELINE: "stop", "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    first = ""
    for line in child.stdout:
        first += line
        if '"progress"' in line:
            break
    child.stdin.close()
    rest = child.stdout.read()
    assert child.wait(timeout=60) == 130
    assert checked(first + rest)[-2] == {"event": "cancelled"}
    assert not list((tmp_path / "c").rglob("*.part"))
