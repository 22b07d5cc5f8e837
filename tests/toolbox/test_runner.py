from __future__ import annotations

import importlib.util
import json
import os
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_spec = importlib.util.spec_from_file_location("runner", ROOT / "toolbox" / "runner.py")
runner = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(runner)


def script(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "fake.py"
    path.write_text(text)
    return [sys.executable, str(path)]


def test_the_runner_needs_the_standard_library_only():
    source = (ROOT / "toolbox" / "runner.py").read_text()
    imported = {line.split()[1].split(".")[0] for line in source.splitlines()
                if line.startswith(("import ", "from "))}  # fmt: skip
    assert imported <= set(sys.stdlib_module_names)


def test_events_come_as_they_are_said(tmp_path):
    said = {"event": "output", "role": "result", "path": "x.tif"}
    command = script(tmp_path, f"print({json.dumps(said)!r})\nprint('no json')")
    seen = []
    assert runner.run(["tool"], seen.append, command=command) == [said]
    assert seen[1]["message"] == "no json"


def test_an_error_event_becomes_the_message(tmp_path):
    event = json.dumps({"event": "error", "message": "chips.tif is broken"})
    command = script(tmp_path, f"import sys\nprint({event!r})\nsys.exit(1)")
    with pytest.raises(runner.RunFailedError, match=r"chips\.tif is broken"):
        runner.run(["tool"], command=command)


def test_a_traceback_is_shown_when_there_is_no_error_event(tmp_path):
    with pytest.raises(runner.RunFailedError, match="ZeroDivisionError"):
        runner.run(["tool"], command=script(tmp_path, "1/0"))


def test_a_child_that_ignores_the_stop_is_killed(tmp_path):
    stubborn = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    command = script(tmp_path, stubborn + "print('{}', flush=True)\ntime.sleep(60)")
    started = time.monotonic()
    with pytest.raises(runner.RunCancelledError):
        runner.run(["tool"], command=command, is_cancelled=lambda: True, grace=1)
    assert time.monotonic() - started < 20


def test_the_hosts_libraries_do_not_reach_the_child(monkeypatch):
    poisoned = {"PROJ_LIB": "/nowhere", "GDAL_DATA": "/nowhere", "PYTHONHOME": "/nowhere"}
    for name, value in poisoned.items():
        monkeypatch.setenv(name, value)
    command = [str(Path(sys.executable).with_name("rs-gen"))]
    (output,) = runner.run(["doctor"], command=command)
    assert output["value"]["gdal"]["works"]
    assert not set(poisoned) & set(output["value"]["environment"])


def test_a_command_that_is_nowhere_says_what_to_do(monkeypatch, tmp_path):
    with pytest.raises(runner.RunFailedError, match="RS_GEN_COMMAND"):
        runner.run(["doctor"], command=[str(tmp_path / "rs-gen")])
    assert runner.find_command({"RS_GEN_COMMAND": "x"}) == ["x"]


def test_the_environment_is_stripped_of_hosts_names_alone():
    kept = runner.clean_environment({"PATH": os.defpath, "QT_PLUGIN_PATH": "x", "HOME": "h"})
    assert kept["PATH"] == os.defpath
    assert kept["HOME"] == "h"
    assert "QT_PLUGIN_PATH" not in kept
