"""Run ``rs-gen`` in a process of its own and tell what it says. Standard library only.

ArcGIS Pro and QGIS carry their own Python with other versions of GDAL, PROJ, numpy and torch; what
they set for themselves must not reach ours (an inherited PROJ_LIB loses an output's EPSG code). So
a toolbox never imports rasterio or torch: it starts the command line and reads JSON lines.
"""

from __future__ import annotations

import json
import os
import queue
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

SETTING = "RS_GEN_COMMAND"
SETTING_FILE = ".rs_gen/command.txt"  # in a person's home: the same, where a variable is a nuisance
#: What a host sets for its own libraries.
HOST_VARIABLES = (
    "PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP", "PYTHONEXECUTABLE", "__PYVENV_LAUNCHER__",
    "PYTHONNOUSERSITE", "GDAL_DATA", "GDAL_DRIVER_PATH", "GDAL_PYTHON_DRIVER_PATH", "PROJ_LIB",
    "PROJ_DATA", "PROJ_NETWORK", "LD_LIBRARY_PATH", "LD_PRELOAD", "DYLD_LIBRARY_PATH",
    "QT_PLUGIN_PATH", "QT_QPA_PLATFORM_PLUGIN_PATH", "VIRTUAL_ENV", "OSGEO4W_ROOT", "GEOTIFF_CSV",
    "CPL_ZIP_ENCODING", "CONDA_PREFIX", "CONDA_DEFAULT_ENV", "ESRI_SOFTWARE_CLASS_ID",
)  # fmt: skip
#: Of these, the ones that name a folder whose programs and libraries a host puts on the PATH.
HOST_FOLDERS = ("PYTHONHOME", "OSGEO4W_ROOT", "CONDA_PREFIX", "VIRTUAL_ENV")
#: What the child is told: how to speak, and to stop when its standard input ends.
OWN_VARIABLES = {"PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8", "PYTHONUTF8": "1",
                 "RS_GEN_STDIN": "stop"}  # fmt: skip
WINDOWS = os.name == "nt"
_POLL = 0.2  # seconds between two looks at whether to stop
_LINES = 200  # of standard error that are kept for a message

Event = dict[str, Any]


class RunFailedError(RuntimeError):
    """The command ended with an error; the text is for a person.

    Attributes:
        type: Class of the error, as the command names it; "" where it named none.
        remedy: What would be right, if it is known.
        code: Exit code of the command; None where it was not started.
    """

    def __init__(self, text: str, type: str = "", remedy: str = "", code: int | None = None):
        super().__init__(text)
        self.type, self.remedy, self.code = type, remedy, code


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
        on_event: Called with every event as it comes; a line that is none comes as a "log" event,
            of level "stderr" where it was said there.
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
    outputs: list[Event] = []
    failure, said, asked = Event(), deque[str](maxlen=_LINES), None
    try:
        for event in _events(child):
            if asked is None and is_cancelled():
                asked = time.monotonic()
                stop(child)
            elif asked is not None and time.monotonic() - asked > grace:
                kill(child)
            if event is None:
                continue
            if event["event"] == "output":
                outputs.append(event)
            elif event["event"] == "error":
                failure = event
            elif event.get("level") == "stderr":
                said.append(str(event["message"]))
            on_event(event)
        code = child.wait()
    finally:  # also where on_event raised: no child is left behind
        kill(child)
        child.wait()
        _let_go(child)
    if asked is not None or code == 130:
        raise RunCancelledError("stopped; nothing half-written is left")
    if code != 0:
        text = failure.get("message") or "\n".join(said).strip()[-2000:]
        kind, remedy = failure.get("type", ""), failure.get("remedy", "")
        raise RunFailedError(text or f"rs-gen ended with code {code}", kind, remedy, code)
    return outputs


def find_command(
    setting: str | None = None,
    environ: Mapping[str, str] | None = None,
    *,
    home: Path | None = None,
    windows: bool = WINDOWS,
) -> list[str]:
    """What starts rs-gen.

    The first of these that there is: a host's own setting, the variable RS_GEN_COMMAND, the file
    ``.rs_gen/command.txt`` in the person's home, a .venv above this file, rs-gen on the PATH.

    Args:
        setting: What a host's settings hold: the path of rs-gen, the folder of an environment that
            has it, or a command with arguments. None or "" is nothing.
        environ: Instead of this process's environment.
        home: Instead of the person's home.
        windows: How paths are written.

    Raises:
        RunFailedError: It is nowhere; the text says what to do.
    """
    environ = os.environ if environ is None else environ
    for text in (setting, environ.get(SETTING), _setting_file(home)):
        if text and text.strip():
            return parse_command(text, windows=windows)
    for folder in Path(__file__).resolve().parents:
        found = _in_environment(folder / ".venv", windows)
        if found:
            return [str(found)]
    on_path = shutil.which("rs-gen", path=environ.get("PATH"))
    if on_path:
        return [on_path]
    raise RunFailedError(
        "rs-gen was not found; run python scripts/setup.py in the folder of rs_gen, or set the "
        f"environment variable {SETTING}, or the first line of {SETTING_FILE} in your home, to the "
        f"{'rs-gen.exe' if windows else 'rs-gen'} of an environment that has it"
    )


def parse_command(text: str, *, windows: bool = WINDOWS) -> list[str]:
    """The words of a command as a person writes it into a setting.

    A path is taken whole, blanks and all; so is a folder, in which rs-gen is looked for. Anything
    else is split at blanks, except within quotes; a backslash is a letter on Windows.
    """
    text = text.strip()
    bare = text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text
    path = Path(bare).expanduser()
    if path.is_dir():
        found = _in_environment(path, windows)
        if found is None:
            raise RunFailedError(f"no rs-gen in {path}; name the folder of an environment with it")
        return [str(found)]
    if path.is_file():
        return [str(path)]
    words = shlex.split(text, posix=not windows)
    return [word.strip('"') for word in words] if windows else words


def clean_environment(environ: Mapping[str, str], *, windows: bool = WINDOWS) -> dict[str, str]:
    """A host's environment without what it set for its own libraries.

    On Windows, whose names have no case and whose libraries are found by the PATH, the host's own
    folders leave the PATH as well.
    """
    dropped = {name.upper() for name in HOST_VARIABLES} if windows else set(HOST_VARIABLES)
    held = {n: v for n, v in environ.items() if (n.upper() if windows else n) not in dropped}
    if windows:
        homes = [v for n, v in environ.items() if n.upper() in HOST_FOLDERS and v]
        held = {n: _without(v, homes) if n.upper() == "PATH" else v for n, v in held.items()}
    return {**held, **OWN_VARIABLES}


def process_options(*, windows: bool = WINDOWS) -> dict[str, Any]:
    """How a child is started in a group of its own, so that a stop reaches its workers as well."""
    if windows:
        new_process_group, no_window = 0x00000200, 0x08000000
        return {"creationflags": new_process_group | no_window}
    return {"start_new_session": True}


def kill_command(pid: int) -> list[str]:
    """What ends a process and its children on Windows, which has no groups to signal."""
    return ["taskkill", "/F", "/T", "/PID", str(pid)]


def stop(child: subprocess.Popen[str]) -> None:
    """Ask a child to stop at its next block.

    By a signal, and by the end of its standard input: a Windows program without a console can't
    send Ctrl-Break.
    """
    try:
        if WINDOWS:
            child.send_signal(getattr(signal, "CTRL_BREAK_EVENT", signal.SIGTERM))
        else:
            os.killpg(child.pid, signal.SIGTERM)
    except OSError:
        pass
    _let_go(child)


def kill(child: subprocess.Popen[str]) -> None:
    """End a child and its children at once, if it still runs."""
    if child.poll() is not None:
        return
    try:
        if WINDOWS:
            subprocess.run(kill_command(child.pid), capture_output=True, check=False)
        else:
            os.killpg(child.pid, signal.SIGKILL)
    except OSError:
        pass


def _let_go(child: subprocess.Popen[str]) -> None:
    try:
        if child.stdin is not None:
            child.stdin.close()
    except OSError:
        pass


def _start(command: Sequence[str]) -> subprocess.Popen[str]:
    try:
        return subprocess.Popen(
            list(command), stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.PIPE,
            text=True, encoding="utf-8", errors="replace", env=clean_environment(os.environ),
            **process_options(),
        )  # fmt: skip
    except OSError as error:
        raise RunFailedError(
            f"{command[0]} can't be started ({error.strerror}); check {SETTING}"
        ) from error


def _events(child: subprocess.Popen[str]) -> Iterator[Event | None]:
    """Events as they come; None now and then, so that whoever reads can look at the clock."""
    lines: queue.Queue[tuple[str, str | None]] = queue.Queue()

    def read(stream: Any, name: str) -> None:  # in a thread: pipes can't be polled on Windows
        with stream:
            for line in stream:
                lines.put((name, line.rstrip("\r\n")))
        lines.put((name, None))

    for stream, name in ((child.stdout, "info"), (child.stderr, "stderr")):
        threading.Thread(target=read, args=(stream, name), daemon=True).start()
    still, ended = 2, None
    while still:
        try:
            name, line = lines.get(timeout=_POLL)
        except queue.Empty:
            yield None
            ended = ended or (child.poll() is not None and time.monotonic())
            if ended and time.monotonic() - ended > 2:  # a grandchild holds the pipe open
                return
            continue
        if line is None:
            still -= 1
        elif line:
            yield _event(line, name)


def _event(line: str, level: str) -> Event:
    try:
        event = json.loads(line) if level == "info" and line.startswith("{") else None
    except ValueError:
        event = None
    if isinstance(event, dict) and isinstance(event.get("event"), str):
        return event
    return {"event": "log", "level": level, "message": line}


def _in_environment(folder: Path, windows: bool) -> Path | None:
    """rs-gen within a virtual or conda environment, or the folder that holds it."""
    name = "rs-gen.exe" if windows else "rs-gen"
    for part in ("Scripts" if windows else "bin", "."):
        if (folder / part / name).is_file():
            return folder / part / name
    return None


def _setting_file(home: Path | None) -> str | None:
    try:
        lines = ((home or Path.home()) / SETTING_FILE).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, RuntimeError, UnicodeError):  # none, or nobody's home
        return None
    return lines[0] if lines else None


def _without(path: str, folders: Sequence[str]) -> str:
    """A Windows PATH without what lies in these folders."""
    homes = [_slashed(folder) for folder in folders]
    kept = [p for p in path.split(";") if not any(_slashed(p).startswith(h) for h in homes)]
    return ";".join(kept)


def _slashed(folder: str) -> str:
    return folder.strip().strip('"').replace("/", "\\").rstrip("\\").casefold() + "\\"


if __name__ == "__main__":
    try:
        run(sys.argv[1:], lambda event: print(event, flush=True))
    except (RunFailedError, RunCancelledError) as error:
        sys.exit(str(error))
