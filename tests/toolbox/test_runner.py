"""The runner: alone, with children that misbehave, and with the command line itself."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

ROOT = Path(__file__).parents[2]
_spec = importlib.util.spec_from_file_location("runner", ROOT / "toolbox" / "runner.py")
runner = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(runner)
REAL = [sys.executable, "-m", "rs_gen.cli.main"]


def script(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "fake.py"
    path.write_text(text)
    return [sys.executable, str(path)]


def raster(path: Path, size: int = 96, seed: int = 0) -> Path:
    pixels = np.random.default_rng(seed).integers(0, 255, (3, size, size), dtype="uint8")
    profile = {"driver": "GTiff", "count": 3, "dtype": "uint8", "height": size, "width": size,
               "crs": "EPSG:32633", "transform": from_origin(5e5, 5e6, 2, 2)}  # fmt: skip
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.write(pixels)
    return path


@pytest.fixture
def poisoned(tmp_path, monkeypatch):
    """Two rasters, then what another program's GDAL and Python leave in the environment."""
    words = ["export-chips"]
    for name in "ab":
        words.append(str(raster(tmp_path / f"{name}.tif")))
    words += [str(tmp_path / "c"), "--size", "32", "--valid-share", "0"]
    folder = tmp_path / "another proj"
    folder.mkdir()
    ours = next(Path(rasterio.__file__).parent.rglob("proj.db"))
    shutil.copy(ours, folder / "proj.db")
    with closing(sqlite3.connect(folder / "proj.db")) as held, held:  # as an older PROJ has it
        held.execute("UPDATE metadata SET value = 2 WHERE key = 'DATABASE.LAYOUT.VERSION.MINOR'")
    for name in ("PROJ_LIB", "PROJ_DATA", "GDAL_DATA"):
        monkeypatch.setenv(name, str(folder))
    monkeypatch.setenv("PYTHONHOME", str(folder))
    return words


def test_the_runner_needs_the_standard_library_only():
    source = (ROOT / "toolbox" / "runner.py").read_text()
    imported = {line.split()[1].split(".")[0] for line in source.splitlines()
                if line.startswith(("import ", "from "))}  # fmt: skip
    assert imported <= set(sys.stdlib_module_names)


def test_events_come_as_they_are_said(tmp_path):
    said = {"event": "output", "role": "result", "path": "x.tif"}
    text = f"import sys\nprint({json.dumps(said)!r})\nprint('no json')\n"
    text += "print('aside', file=sys.stderr)"
    seen = []
    assert runner.run(["tool"], seen.append, command=script(tmp_path, text)) == [said]
    assert {"event": "log", "level": "info", "message": "no json"} in seen
    assert {"event": "log", "level": "stderr", "message": "aside"} in seen


def test_an_error_event_becomes_the_message_with_its_remedy(tmp_path):
    event = {"event": "error", "type": "ChipError", "message": "x.tif is broken; export it again",
             "remedy": "export it again"}  # fmt: skip
    command = script(tmp_path, f"import sys\nprint({json.dumps(event)!r})\nsys.exit(1)")
    with pytest.raises(runner.RunFailedError, match=r"x\.tif is broken; export") as caught:
        runner.run(["tool"], command=command)
    assert (caught.value.type, caught.value.code) == ("ChipError", 1)
    assert caught.value.remedy == "export it again"


def test_a_traceback_is_shown_when_there_is_no_error_event(tmp_path):
    with pytest.raises(runner.RunFailedError, match="ZeroDivisionError"):
        runner.run(["tool"], command=script(tmp_path, "1/0"))


def test_a_silent_failure_tells_its_exit_code(tmp_path):
    with pytest.raises(runner.RunFailedError, match="rs-gen ended with code 7"):
        runner.run(["tool"], command=script(tmp_path, "import sys; sys.exit(7)"))


def test_a_child_that_ignores_the_stop_is_killed_with_its_children(tmp_path):
    stubborn = (
        "import signal, subprocess, sys, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import signal, time; "
        "signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)'])\n"
        "print(child.pid, flush=True)\ntime.sleep(60)"
    )
    seen, started = [], time.monotonic()
    with pytest.raises(runner.RunCancelledError, match="nothing half-written"):
        runner.run(["tool"], seen.append, lambda: bool(seen), grace=1,
                   command=script(tmp_path, stubborn))  # fmt: skip
    assert time.monotonic() - started < 20
    state = Path(f"/proc/{seen[0]['message']}/stat")
    until = time.monotonic() + 5  # a kill is carried out when the system gets to it; sleep is 60
    while state.exists() and state.read_text().split()[2] != "Z" and time.monotonic() < until:
        time.sleep(0.05)
    assert not state.exists() or state.read_text().split()[2] == "Z"


def test_a_host_that_fails_while_it_listens_leaves_no_child_behind(tmp_path):
    command = script(tmp_path, "import os, time\nprint(os.getpid(), flush=True)\ntime.sleep(60)")
    seen = []

    def breaks(event):
        seen.append(event)
        raise RuntimeError("the host is gone")

    with pytest.raises(RuntimeError, match="the host is gone"):
        runner.run(["tool"], breaks, command=command)
    with pytest.raises(ProcessLookupError):
        os.kill(int(seen[0]["message"]), 0)


def test_cancelling_a_real_run_leaves_nothing_half_written(tmp_path):
    a, b = raster(tmp_path / "a.tif", 512), raster(tmp_path / "b.tif", 512, 1)
    out, seen = tmp_path / "chips", []
    words = ["export-chips", str(a), str(b), str(out), "--size", "16", "--stride", "2",
             "--valid-share", "0"]  # fmt: skip
    with pytest.raises(runner.RunCancelledError):
        runner.run(words, seen.append, lambda: any(e["event"] == "progress" for e in seen),
                   command=REAL)  # fmt: skip
    assert seen[-1] == {"event": "end", "code": 130}
    assert {"event": "cancelled"} in seen
    assert not [p for p in out.rglob("*") if ".part" in p.name]
    assert not (out / "chips.json").exists()


def test_a_run_ends_when_its_host_dies_without_a_word(tmp_path):
    a, b = raster(tmp_path / "a.tif", 512), raster(tmp_path / "b.tif", 512, 1)
    host = script(tmp_path, f"""
import sys
sys.path.insert(0, {str(ROOT / "toolbox")!r})
import runner
runner.run(["export-chips", {str(a)!r}, {str(b)!r}, {str(tmp_path / "chips")!r}, "--size", "16",
            "--stride", "2", "--valid-share", "0"], lambda e: print(e.get("pid", ""), flush=True),
           command={REAL!r})
""")  # fmt: skip
    child = subprocess.Popen(host, stdout=subprocess.PIPE, text=True)
    pid = int(child.stdout.readline())
    child.kill()
    child.wait()
    child.stdout.close()
    end = time.monotonic() + 30
    while Path(f"/proc/{pid}").exists() and time.monotonic() < end:
        time.sleep(0.1)
    assert not Path(f"/proc/{pid}").exists()
    assert not list((tmp_path / "chips").rglob("*.part"))


def test_a_poisoned_environment_would_break_the_command_line(poisoned):
    held = {k: v for k, v in os.environ.items() if k != "PYTHONHOME"}
    done = subprocess.run([*REAL, "doctor", "--json"], env=held, capture_output=True, check=True)
    (told,) = (e for e in map(json.loads, done.stdout.splitlines()) if e["event"] == "output")
    assert not told["value"]["gdal"]["works"]
    (output,) = runner.run(["doctor"], command=REAL)
    assert output["value"]["gdal"]["works"]
    assert not {"PROJ_LIB", "GDAL_DATA", "PYTHONHOME"} & set(output["value"]["environment"])


def test_a_poisoned_environment_does_not_reach_the_output(poisoned):
    (output,) = runner.run(poisoned, command=REAL)
    chips = list(Path(output["path"]).glob("train_a/*.tif"))
    assert len(chips) == 9
    assert {epsg(chip) for chip in chips[:2]} == {32633}


def epsg(path: Path) -> int | None:
    """The EPSG code that a clean process finds in a raster."""
    code = f"import rasterio; print(rasterio.open({str(path)!r}).crs.to_epsg())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                          env=runner.clean_environment(os.environ))  # fmt: skip
    return None if done.stdout.strip() == "None" else int(done.stdout)


def test_a_command_that_is_nowhere_says_what_to_do(monkeypatch, tmp_path):
    with pytest.raises(runner.RunFailedError, match=r"can't be started .*check RS_GEN_COMMAND"):
        runner.run(["doctor"], command=[str(tmp_path / "rs-gen")])
    monkeypatch.setattr(runner, "_in_environment", lambda *_: None)
    with pytest.raises(runner.RunFailedError, match=r"first line of \.rs_gen/command\.txt"):
        runner.find_command(None, {"PATH": ""}, home=tmp_path)


def test_the_command_is_the_first_that_is_named(tmp_path):
    held = tmp_path / ".rs_gen" / "command.txt"
    held.parent.mkdir()
    held.write_text("from-file --quick\n")
    environ = {"RS_GEN_COMMAND": "from-variable"}
    assert runner.find_command("from-setting", environ, home=tmp_path) == ["from-setting"]
    assert runner.find_command("", environ, home=tmp_path) == ["from-variable"]
    assert runner.find_command(None, {}, home=tmp_path) == ["from-file", "--quick"]


def test_a_setting_may_be_a_path_with_blanks_a_folder_or_a_command(tmp_path):
    program = tmp_path / "my tools" / "bin" / "rs-gen"
    program.parent.mkdir(parents=True)
    shutil.copy(sys.executable, program)
    parse = runner.parse_command
    assert parse(str(program), windows=False) == [str(program)]
    assert parse(f'"{program}"', windows=False) == [str(program)]
    assert parse(str(tmp_path / "my tools"), windows=False) == [str(program)]
    assert parse("python3 -m 'rs_gen.cli main'", windows=False) == [
        "python3", "-m", "rs_gen.cli main"]  # fmt: skip
    with pytest.raises(runner.RunFailedError, match=r"no rs-gen in .*name the folder"):
        parse(str(tmp_path), windows=False)


def test_a_setting_on_windows_keeps_its_backslashes(tmp_path):
    parse = runner.parse_command
    assert parse(r'"C:\Program Files\rs gen\rs-gen.exe" --quick', windows=True) == [
        r"C:\Program Files\rs gen\rs-gen.exe", "--quick"]  # fmt: skip
    assert parse(r"C:\venv\Scripts\rs-gen.exe", windows=True) == [r"C:\venv\Scripts\rs-gen.exe"]
    program = tmp_path / "Scripts" / "rs-gen.exe"
    program.parent.mkdir()
    program.touch()
    assert parse(str(tmp_path), windows=True) == [str(program)]


def test_the_environment_is_stripped_of_hosts_names_alone():
    given = {"PATH": os.defpath, "QT_PLUGIN_PATH": "x", "HOME": "h", "proj_lib": "kept here"}
    kept = runner.clean_environment(given, windows=False)
    assert kept["PATH"] == os.defpath
    assert kept["HOME"] == "h"
    assert kept["PYTHONUTF8"] == "1"
    assert "QT_PLUGIN_PATH" not in kept
    assert "proj_lib" in kept


def test_on_windows_names_have_no_case_and_the_hosts_folders_leave_the_path():
    pro = r"C:\Program Files\ArcGIS\Pro\bin\Python\envs\arcgispro-py3"
    given = {"Proj_Lib": "x", "CONDA_PREFIX": pro, "HOME": "h",
             "Path": rf"{pro}\Library\bin;C:\Windows;{pro.upper()}\;C:\Tools"}  # fmt: skip
    kept = runner.clean_environment(given, windows=True)
    assert "Proj_Lib" not in kept
    assert kept["Path"] == r"C:\Windows;C:\Tools"


def test_a_child_has_a_group_of_its_own():
    assert runner.process_options(windows=False) == {"start_new_session": True}
    flags = runner.process_options(windows=True)["creationflags"]
    assert flags == 0x200 | 0x08000000  # CREATE_NEW_PROCESS_GROUP, CREATE_NO_WINDOW
    assert runner.kill_command(42) == ["taskkill", "/F", "/T", "/PID", "42"]
