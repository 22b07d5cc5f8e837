"""Run ``rs-gen`` in a process of its own and tell what it says. Standard library only.

ArcGIS Pro and QGIS carry their own Python with other versions of GDAL, PROJ, numpy and torch; what
they set for themselves must not reach ours (an inherited PROJ_LIB loses an output's EPSG code). So
a toolbox never imports rasterio or torch: it starts the command line and reads JSON lines.
"""

from __future__ import annotations

import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

SETTING = "RS_GEN_COMMAND"
#: What a host sets for its own libraries.
HOST_VARIABLES = (
    "GDAL_DATA", "GDAL_DRIVER_PATH", "PROJ_LIB", "PROJ_DATA", "PROJ_NETWORK", "PYTHONHOME",
    "PYTHONPATH", "PYTHONSTARTUP", "PYTHONEXECUTABLE", "QT_PLUGIN_PATH", "CPL_ZIP_ENCODING",
    "CONDA_PREFIX", "CONDA_DEFAULT_ENV", "VIRTUAL_ENV", "ESRI_SOFTWARE_CLASS_ID", "LD_LIBRARY_PATH",
)  # fmt: skip
_POLL = 0.2  # seconds between two looks at whether to stop

Event = dict[str, Any]


class RunFailedError(RuntimeError):
    """The command ended with an error; the text is for a person."""


class RunCancelledError(RuntimeError):
    """The person stopped the command, and it has ended."""


def run(
    arguments: Sequence[str],
    on_event: Callable[[Event], object] = lambda event: None,
    is_cancelled: Callable[[], bool] = lambda: False,
    *,
    command: Sequence[str] | None = None,
    grace: float = 20.0,
) -> list[Event]:
    """Run one tool to its end.

    Args:
        arguments: What follows ``rs-gen``, without ``--json``.
        on_event: Called with every event as it comes.
        is_cancelled: Asked five times a second; True stops the command at its next block.
        command: What starts rs-gen; None looks for it, see :func:`find_command`.
        grace: Seconds that a stopped command gets before it is killed.

    Returns:
        The "output" events.

    Raises:
        RunFailedError: The command was not found or ended with an error.
        RunCancelledError: ``is_cancelled`` said so.
    """
    tool, *rest = arguments
    child = _start([*(command or find_command()), tool, "--json", *rest])
    outputs, failure, cancelled = [], "", False
    lines, errors = _reader(child.stdout), _reader(child.stderr)
    for line in _lines(lines, child):
        if line is None:
            if not cancelled and is_cancelled():
                cancelled = True
                _stop(child, grace)
            continue
        event = _event(line)
        if event.get("event") == "output":
            outputs.append(event)
        elif event.get("event") == "error":
            failure = str(event.get("message"))
        on_event(event)
    code = child.wait()
    if cancelled or code == 130:
        raise RunCancelledError("stopped; nothing half-written is left")
    if code != 0:
        said = "\n".join(line for line in list(errors.queue) if line).strip()
        raise RunFailedError(failure or said[-2000:] or f"rs-gen ended with code {code}")
    return outputs


def find_command(environ: Mapping[str, str] | None = None) -> list[str]:
    """What starts rs-gen: the variable RS_GEN_COMMAND, a .venv above this file, or the PATH.

    Raises:
        RunFailedError: It is nowhere; the text says what to do.
    """
    given = (os.environ if environ is None else environ).get(SETTING)
    if given:
        return [given]
    scripts, name = ("Scripts", "rs-gen.exe") if os.name == "nt" else ("bin", "rs-gen")
    for folder in Path(__file__).resolve().parents:
        candidate = folder / ".venv" / scripts / name
        if candidate.exists():
            return [str(candidate)]
    found = shutil.which("rs-gen")
    if found:
        return [found]
    raise RunFailedError(
        "rs-gen was not found; run python scripts/setup.py in the folder of rs_gen, or set the "
        f"environment variable {SETTING} to the {name} of an environment that has it"
    )


def clean_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """A host's environment without what it set for its own libraries."""
    kept = {name: value for name, value in environ.items() if name not in HOST_VARIABLES}
    return {**kept, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}


def _start(command: Sequence[str]) -> subprocess.Popen[str]:
    """The child, in a process group of its own, so that a stop reaches its workers as well."""
    options: dict[str, Any] = {}
    if os.name == "nt":
        options["creationflags"] = (
            subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW  # type: ignore[attr-defined]
        )
    else:
        options["start_new_session"] = True
    try:
        return subprocess.Popen(
            list(command), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL, text=True, encoding="utf-8", errors="replace",
            env=clean_environment(os.environ), **options,
        )  # fmt: skip
    except OSError as error:
        raise RunFailedError(
            f"{command[0]} can't be started ({error.strerror}); check {SETTING}"
        ) from error


def _reader(stream: Any) -> queue.Queue[str | None]:
    """Lines of a stream as they come, then None; in a thread, since pipes can't be polled."""
    lines: queue.Queue[str | None] = queue.Queue()

    def read() -> None:
        for line in stream:
            lines.put(line.rstrip("\n"))
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    return lines


def _lines(lines: queue.Queue[str | None], child: subprocess.Popen[str]) -> Iterator[str | None]:
    """Lines until the stream ends; None whenever there was none for a while."""
    while True:
        try:
            line = lines.get(timeout=_POLL)
        except queue.Empty:
            yield None
            continue
        if line is None:
            return
        yield line
        yield None


def _event(line: str) -> Event:
    try:
        event = json.loads(line)
    except ValueError:
        return {"event": "log", "level": "info", "message": line}
    return event if isinstance(event, dict) else {"event": "log", "message": line}


def _stop(child: subprocess.Popen[str], grace: float) -> None:
    """Ask the child to stop; kill it if it does not within ``grace`` seconds."""
    if os.name == "nt":
        child.send_signal(signal.CTRL_BREAK_EVENT)  # type: ignore[attr-defined]
    else:
        os.killpg(child.pid, signal.SIGTERM)

    def kill() -> None:
        end = time.monotonic() + grace
        while child.poll() is None and time.monotonic() < end:
            time.sleep(_POLL)
        if child.poll() is None:
            if os.name == "nt":
                child.kill()
            else:
                os.killpg(child.pid, signal.SIGKILL)

    threading.Thread(target=kill, daemon=True).start()


if __name__ == "__main__":
    try:
        run(sys.argv[1:], lambda event: print(event, flush=True))
    except (RunFailedError, RunCancelledError) as error:
        sys.exit(str(error))
