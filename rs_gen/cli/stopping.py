"""How a running command is asked to stop: by a signal, or by a host that lets go of its stdin.

Windows programs with a window have no console, so Ctrl-Break can't reach a child of theirs; and a
host that was killed sends no signal at all. Both close the child's standard input.
"""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
from collections.abc import Mapping

LIFELINE = "RS_GEN_STDIN"  # "stop": the end of standard input is a wish to stop
_NAMES = ("SIGTERM", "SIGBREAK", "SIGHUP")  # which of them there are depends on the system


def listen(environ: Mapping[str, str] = os.environ) -> None:
    """From now on a wish to stop raises KeyboardInterrupt in the main thread, once."""
    for name in _NAMES:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
            signal.signal(number, _stop)
    if environ.get(LIFELINE) == "stop":
        threading.Thread(target=_watch, daemon=True).start()


def _stop(*_: object) -> None:
    for name in (*_NAMES, "SIGINT"):  # a second wish must not break the cleaning up
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    raise KeyboardInterrupt


def _watch() -> None:
    """Wait in a thread for the end of standard input."""
    try:
        while os.read(sys.stdin.fileno(), 1):
            pass
    except (OSError, ValueError):
        pass
    _thread.interrupt_main(signal.SIGTERM)
