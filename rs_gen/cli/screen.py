"""What a person, or a program, sees while a tool runs."""

from __future__ import annotations

import json
import logging
import math
import os
import platform
import sys
import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TextIO

from .. import __version__
from ..errors import Cancelled, RSGenError

SCHEMA = "rs-gen/1"  # of the events, see events.schema.json
_SHORT = 24  # characters; what is longer, such as a piece of advice, has a line to itself
_SECONDS_BETWEEN = 0.2  # progress events a program gets; more would only slow the work


class Made(NamedTuple):
    """A file or folder that a tool wrote.

    Attributes:
        role: What it is for: ``trust``, or the name of the parameter that asked for it.
        path: Where it lies.
    """

    role: str
    path: Path


class Screen(Protocol):
    """Where a tool's progress, warnings and result go."""

    def progress(self, items: Iterable, total: int | None = None, label: str = "") -> Iterator:
        """Give the items on, and show how far they are."""
        ...

    def done(self, result: Any, made: Sequence[Made] = ()) -> None:
        """The tool ended well; ``made`` are the files it wrote besides its result."""
        ...

    def cancelled(self) -> None:
        """Somebody asked to stop."""
        ...

    def failed(self, error: RSGenError) -> None:
        """The tool ended with an error of ours."""
        ...

    def crashed(self, error: Exception) -> None:
        """The tool ended with a fault of ours; its traceback follows."""
        ...

    def __enter__(self) -> Any: ...

    def __exit__(self, *exc: object) -> None: ...


class _Listening(ABC):
    """Warnings and log lines of the library go to ``say`` while the screen is entered."""

    @abstractmethod
    def say(self, level: str, text: str, values: Mapping[str, Any] | None = None) -> None:
        """Show a warning or a note, with the numbers in it where there are some."""

    def __enter__(self) -> Any:
        self._warnings = warnings.catch_warnings()
        self._warnings.__enter__()
        warnings.simplefilter("default")
        for category in (FutureWarning, DeprecationWarning, PendingDeprecationWarning):
            warnings.simplefilter("ignore", category)  # for programmers, not for analysts
        warnings.showwarning = lambda message, *_, **__: self.say("warning", str(message))
        self._handler = _Handler(self)
        logger = logging.getLogger("rs_gen")
        logger.addHandler(self._handler)
        logger.setLevel(logging.INFO)
        return self

    def __exit__(self, *exc: object) -> None:
        logging.getLogger("rs_gen").removeHandler(self._handler)
        self._warnings.__exit__(None, None, None)


class _Handler(logging.Handler):
    def __init__(self, screen: _Listening):
        super().__init__()
        self._screen = screen

    def emit(self, record: logging.LogRecord) -> None:
        values = getattr(record, "values", None)
        self._screen.say(record.levelname.lower(), record.getMessage(), values)


class TextScreen(_Listening):
    """For a person: a bar on standard error, the result on standard output."""

    def __init__(self, name: str):
        self._name, self._bar = name, None

    def progress(self, items: Iterable, total: int | None = None, label: str = "") -> Iterator:
        """Give the items on under a bar."""
        if self._bar is not None:  # a bar within a bar: the outer one is enough
            yield from items
            return
        with _rich_bar() as self._bar:
            task = self._bar.add_task(label or self._name, total=_count(items, total), losses="")
            try:
                for item in items:
                    yield item
                    held = " ".join(f"{name} {value:.3g}" for name, value in _losses(items).items())
                    self._bar.update(task, advance=1, losses=held)
            finally:
                self._bar = None

    def say(self, level: str, text: str, values: Mapping[str, Any] | None = None) -> None:
        """Show a warning or a note."""
        line = text if level == "info" else f"{level}: {text}"
        if self._bar is not None:
            self._bar.console.print(line, markup=False, highlight=False)
        else:
            print(line, file=sys.stderr)

    def done(self, result: Any, made: Sequence[Made] = ()) -> None:
        """Show the result."""
        print(result if isinstance(result, Path | str) else _as_text(result))

    def cancelled(self) -> None:
        """Say that the run was stopped."""
        print("Stopped; nothing half-written is left.", file=sys.stderr)

    def failed(self, error: RSGenError) -> None:
        """Show the error."""
        print(f"Error: {error}", file=sys.stderr)

    def crashed(self, error: Exception) -> None:
        """Nothing: the traceback says it all."""


class JsonScreen(_Listening):
    """For a program: one JSON object a line on standard output, as events.schema.json has them.

    Raises:
        Cancelled: From whatever is told once the reader has gone, which counts as a wish to stop.
    """

    def __init__(self, name: str, stream: TextIO | None = None):
        self._name, self._stream, self._gone = name, stream or sys.stdout, False
        versions = {"rs_gen": __version__, "python": platform.python_version()}
        self._emit("start", schema=SCHEMA, tool=name, versions=versions, pid=os.getpid())

    def progress(self, items: Iterable, total: int | None = None, label: str = "") -> Iterator:
        """Give the items on and tell how many are done, at most five times a second.

        The numbers of a training come as ``losses``.
        """
        total, told = _count(items, total), 0.0
        for done, item in enumerate(items, start=1):
            yield item
            if time.monotonic() - told >= _SECONDS_BETWEEN or done == total:
                told = time.monotonic()
                losses = _losses(items)
                held = {"losses": losses} if losses else {}
                self._emit("progress", done=done, total=total, unit=label or "step", **held)

    def say(self, level: str, text: str, values: Mapping[str, Any] | None = None) -> None:
        """Show a warning or a note; the numbers of an epoch come as ``values``."""
        held = {"values": {k: v for k, v in values.items() if _sayable(v)}} if values else {}
        self._emit("log", level=level, message=text, **held)

    def done(self, result: Any, made: Sequence[Made] = ()) -> None:
        """Show the result, then what else was written."""
        if isinstance(result, Path):
            self._emit("output", role="result", path=os.path.abspath(result))  # noqa: PTH100 - keeps links
        else:
            self._emit("output", role="report", value=result)
        for role, path in made:
            self._emit("output", role=role, path=os.path.abspath(path))  # noqa: PTH100
        self._emit("end", code=0)

    def cancelled(self) -> None:
        """Say that the run was stopped, to whoever is still there."""
        if not self._gone:
            self._emit("cancelled")
            self._emit("end", code=130)

    def failed(self, error: RSGenError) -> None:
        """Show the error."""
        self._error(type(error).__name__, str(error), error.remedy, error.code)

    def crashed(self, error: Exception) -> None:
        """Show a fault of ours."""
        text = f"{type(error).__name__}: {error}"
        self._error(type(error).__name__, text, "report it with the traceback on stderr", 1)

    def misspelt(self, text: str) -> None:
        """Show what is wrong with the command line."""
        self._error("UsageError", text, f"see rs-gen {self._name} --help".replace("  ", " "), 2)

    def _error(self, kind: str, message: str, remedy: str, code: int) -> None:
        self._emit("error", type=kind, message=message, remedy=remedy)
        self._emit("end", code=code)

    def _emit(self, event: str, **held: Any) -> None:
        line = json.dumps(_plain_json({"event": event, **held}), default=str, allow_nan=False)
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except (OSError, ValueError) as error:  # on Windows a closed pipe is an invalid argument
            self._gone = True
            raise Cancelled("whoever read the output has gone") from error


def _rich_bar() -> Any:
    """A bar on standard error; where the terminal is narrow, the losses are what is cut."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeElapsedColumn as Elapsed
    from rich.progress import TimeRemainingColumn as Remaining
    from rich.table import Column

    def whole(width: int) -> Column:
        return Column(min_width=width, no_wrap=True)

    losses = Column(no_wrap=True, overflow="ellipsis")
    return Progress(
        TextColumn("{task.description}", table_column=whole(11)),
        BarColumn(20, table_column=whole(8)),
        MofNCompleteColumn(table_column=whole(11)), Elapsed(table_column=whole(7)),
        Remaining(table_column=whole(7)),
        TextColumn("[dim]{task.fields[losses]}", table_column=losses),
        console=Console(stderr=True),
    )  # fmt: skip


def _count(items: Iterable, total: int | None) -> int | None:
    if total is None and hasattr(items, "__len__"):
        return len(items)
    return total


def _sayable(value: Any) -> bool:
    """Whether JSON has a word for it: it knows neither NaN nor infinity."""
    return not isinstance(value, float) or math.isfinite(value)


def _plain_json(value: Any) -> Any:
    """The same with None for numbers that JSON has no word for."""
    if isinstance(value, Mapping):
        return {str(k): _plain_json(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain_json(v) for v in value]
    return value if _sayable(value) else None


def _losses(items: Iterable) -> dict[str, float]:
    """Numbers to show beside the bar, of items that tell any."""
    tell = getattr(items, "losses", None)
    return tell() if callable(tell) else {}


def _as_text(value: Any, indent: int = 0) -> str:
    """A nested report as indented lines."""
    pad = "  " * indent
    if isinstance(value, dict):
        lines = []
        for key, held in value.items():
            nested = isinstance(held, dict | list) and held
            lines.append(f"{pad}{key}:" + ("" if nested else f" {_plain(held)}"))
            if nested:
                lines.append(_as_text(held, indent + 1))
        return "\n".join(lines)
    if isinstance(value, list):
        short = all(not isinstance(v, dict | list) and len(_plain(v)) <= _SHORT for v in value)
        if short:
            return pad + ", ".join(_plain(v) for v in value)
        return "\n".join(_as_text(v, indent) for v in value)
    return pad + _plain(value)


def _plain(value: Any) -> str:
    if value is None or value in ({}, []):
        return "-"
    return f"{value:.10g}" if isinstance(value, float) else str(value)
