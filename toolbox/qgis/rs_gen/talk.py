"""What rs-gen says while it runs, as Processing shows it."""

from __future__ import annotations

from typing import Any

_BETWEEN = 10  # percent of a training between two lines with its losses


class Listener:
    """Shows events in Processing's bar and log.

    Args:
        feedback: A ``QgsProcessingFeedback``.
    """

    def __init__(self, feedback: Any):
        self._feedback, self._unit, self._told = feedback, None, -1

    def __call__(self, event: dict[str, Any]) -> None:
        """Show one event."""
        kind = event.get("event")
        if kind == "progress":
            self._progress(event)
        elif kind == "log" and event.get("level") == "warning":
            self._feedback.pushWarning(str(event.get("message")))
        elif kind == "log" and event.get("level") == "stderr":
            self._feedback.pushConsoleInfo(str(event.get("message")))
        elif kind == "log":
            self._feedback.pushInfo(str(event.get("message")))
        elif kind == "output" and "value" in event:
            for line in lines_of(event["value"]):
                self._feedback.pushInfo(line)

    def _progress(self, event: dict[str, Any]) -> None:
        unit, total = str(event.get("unit", "")), event.get("total")
        if unit != self._unit:  # each text is a line of the log: not one a step
            self._unit, self._told = unit, -1
            self._feedback.setProgressText(unit)
        if not total:
            return
        share = 100 * float(event.get("done", 0)) / float(total)
        self._feedback.setProgress(share)
        if event.get("losses") and share // _BETWEEN > self._told:
            self._told = share // _BETWEEN
            held = ", ".join(f"{name} {value:.3g}" for name, value in event["losses"].items())
            self._feedback.pushInfo(f"{share:.0f} %: {held}")


def lines_of(value: Any, indent: str = "") -> list[str]:
    """A nested report as lines."""
    if isinstance(value, dict):
        lines = []
        for key, held in value.items():
            if isinstance(held, (dict, list)) and held:
                lines += [f"{indent}{key}:", *lines_of(held, indent + "  ")]
            else:
                lines.append(f"{indent}{key}: {_plain(held)}")
        return lines
    if isinstance(value, list):
        return [line for held in value for line in lines_of(held, indent)]
    return [indent + _plain(value)]


def _plain(value: Any) -> str:
    if value is None or value in ({}, []):
        return "-"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
