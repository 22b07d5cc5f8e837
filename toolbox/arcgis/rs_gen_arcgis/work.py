"""From a filled-in dialog to a run of ``rs-gen``, and from its events back to ArcGIS."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import arcpy

from . import parameters as kinds
from . import runner, tools
from .dialog import by_name
from .facts import Derived, facts_of, several

Event = dict[str, Any]


def execute(tool: str, fields: list[arcpy.Parameter], messages: Any) -> None:
    """Run a tool as its dialog was filled in; set its derived outputs.

    Raises:
        arcpy.ExecuteError: It failed or was cancelled; the message has been shown.
    """
    # Or Pro ends the script after the current line, with no chance to stop the run.
    arcpy.env.autoCancelling = False
    with command_line(tool, fields) as words:
        try:
            outputs = runner.run(words, Messenger(messages), lambda: bool(arcpy.env.isCancelled))
        except runner.RunCancelledError as error:
            messages.addWarningMessage(f"Cancelled: {error}.")
            raise arcpy.ExecuteError("Cancelled.") from error
        except runner.RunFailedError as error:
            messages.addErrorMessage(str(error))
            raise arcpy.ExecuteError(str(error)) from error
        finally:
            arcpy.ResetProgressor()
    set_derived(tool, fields, outputs)


@contextmanager
def command_line(tool: str, fields: list[arcpy.Parameter]) -> Iterator[list[str]]:
    """The words behind ``rs-gen``; copies of selected features are removed at the end."""
    held, copies = by_name(tool, fields), list[str]()
    positional, named = [], []
    try:
        for p in kinds.parameters(tools.TOOLS[tool]):
            field = held.get(p.name)
            if field is None or field.value is None or field.valueAsText in (None, ""):
                continue
            flag = "--" + p.name.replace("_", "-")
            words = _words(tool, p, field, copies)
            if p.required:
                positional += words
            elif p.type is bool:
                named += [flag] if field.value else []
            else:
                named += [word for text in words for word in (flag, text)]
        named += _environment(tool)
        yield [tool.replace("_", "-"), *named, "--", *positional]
    finally:
        for path in copies:
            arcpy.management.Delete(path)


def set_derived(tool: str, fields: list[arcpy.Parameter], outputs: list[Event]) -> None:
    """Hand the outputs that nobody was asked for to ArcGIS, which adds them to the map."""
    at = {field.name: index for index, field in enumerate(fields)}
    for each in facts_of(tool).derived:
        text = _derived_text(each, outputs)
        if text:
            arcpy.SetParameterAsText(at[each.name], text)


class Messenger:
    """Shows the events of a run in ArcGIS's progress bar and messages."""

    def __init__(self, messages: Any):
        self.messages, self.piece = messages, ("", 0)

    def __call__(self, event: Event) -> None:
        """Show one."""
        kind = event.get("event")
        if kind == "progress":
            self._progress(event)
        elif kind == "log" and event.get("level") in ("warning", "error", "critical"):
            self.messages.addWarningMessage(str(event.get("message")))
        elif kind == "log":
            self.messages.addMessage(str(event.get("message")))
        elif kind == "output":
            for line in lines_of(event.get("path") or event.get("value")):
                self.messages.addMessage(line)

    def _progress(self, event: Event) -> None:
        unit, total = str(event.get("unit", "")), event.get("total")
        done = int(event.get("done", 0))
        if not total:
            arcpy.SetProgressorLabel(f"{unit}: {done}")
            return
        if self.piece != (unit, total):
            self.piece = (unit, total)
            arcpy.SetProgressor("step", unit, 0, int(total), 1)
        losses = event.get("losses") or {}
        told = ", ".join(f"{k} {v:.3g}" for k, v in losses.items() if v is not None)
        arcpy.SetProgressorLabel(f"{unit}: {told}" if told else f"{unit}: {done} of {total}")
        arcpy.SetProgressorPosition(min(done, int(total)))


def lines_of(value: Any, indent: str = "") -> list[str]:
    """A nested report as lines."""
    if isinstance(value, list) and any(isinstance(each, dict | list) for each in value):
        return [line for each in value for line in lines_of(each, indent)]
    if not isinstance(value, dict):
        return [indent + str(value)]
    lines = []
    for key, held in value.items():
        if isinstance(held, dict | list) and held:
            lines += [f"{indent}{key}:", *lines_of(held, indent + "  ")]
        else:
            lines.append(f"{indent}{key}: {'-' if held in (None, [], {}) else held}")
    return lines


def _words(tool: str, p: kinds.Parameter, field: arcpy.Parameter, copies: list[str]) -> list[str]:
    """The values of a field, as the command line takes them."""
    values = list(field.values or []) if field.multiValue else [field.value]
    if p.input.kind == "features":
        words = [_features(value, copies) for value in values]
    elif p.input.kind == "value":
        words = [str(v) for v in values] if field.multiValue else [str(field.valueAsText)]
    elif field.direction == "Output":
        words = [str(field.valueAsText)]
    else:
        words = [_path(value) for value in values]
    between = several(tool, p)
    return [between.join(words)] if between else words


def _path(value: Any) -> str:
    """Where a layer's or dataset's data lie, for a process that knows no layers."""
    text = str(value)
    if Path(text).exists():
        return text
    return str(getattr(arcpy.Describe(value), "catalogPath", text))


def _features(value: Any, copies: list[str]) -> str:
    """The features of a layer: its file, or a copy where only some of them count.

    As all of ArcGIS's tools do, a selection or a definition query of a layer is honoured; and a
    layer whose data are in no file, such as a web layer, is copied as well.
    """
    if Path(str(value)).exists():
        return str(value)
    about = arcpy.Describe(value)
    path = str(getattr(about, "catalogPath", value))
    some = getattr(about, "FIDSet", "") or getattr(about, "whereClause", "")
    if not some and Path(path).exists():
        return path
    copy = str(Path(str(arcpy.env.scratchFolder)) / f"rs_gen_{uuid.uuid4().hex[:8]}.shp")
    arcpy.management.CopyFeatures(value, copy)
    copies.append(copy)
    return copy


def _environment(tool: str) -> list[str]:
    """What Pro's environments say of the processor and of existing outputs."""
    words = []
    if any(p.name == "device" for p in kinds.parameters(tools.TOOLS[tool])):
        processor = str(arcpy.env.processorType or "").upper()
        if processor == "CPU":
            words += ["--device", "cpu"]
        elif processor == "GPU":
            number = str(arcpy.env.gpuId or "0")
            words += ["--device", f"cuda:{number}" if number.isdigit() else "cuda"]
    if facts_of(tool).overwrite and arcpy.env.overwriteOutput:
        words.append("--overwrite")
    return words


def _derived_text(each: Derived, outputs: list[Event]) -> str:
    if not each.role:
        values = [e["value"] for e in outputs if e.get("role") == "report" and "value" in e]
        return json.dumps(values[0]) if values else ""
    told = [e for e in outputs if e.get("role") == each.role and "path" in e]
    paths = [each.path(str(e["path"])) for e in told]
    if not each.many:
        return "".join(paths[:1])
    return ";".join(f"'{path}'" if " " in path else path for path in paths)
