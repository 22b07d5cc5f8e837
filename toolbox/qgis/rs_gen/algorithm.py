"""One tool, as Processing lists and runs it."""

from __future__ import annotations

import json
import os
from typing import Any

from qgis.core import (
    QgsProcessingAlgorithm,
    QgsProcessingException,
    QgsProcessingOutputRasterLayer,
    QgsProcessingOutputString,
    QgsProcessingOutputVectorLayer,
    QgsProcessingUtils,
)
from qgis.PyQt.QtGui import QIcon

from . import runner
from .answers import Answers, folder_in
from .asked import definition, name_of, worded
from .command import command
from .results import load_derived, style_when_loaded
from .talk import Listener

HELP = "https://github.com/rs-gen/rs_gen/blob/main/docs/qgis.md"
ICON = os.path.join(os.path.dirname(__file__), "icon.svg")
_DERIVED = {"raster": QgsProcessingOutputRasterLayer, "features": QgsProcessingOutputVectorLayer}


class ToolAlgorithm(QgsProcessingAlgorithm):
    """An algorithm made from the description of a tool.

    Args:
        tool: One entry of ``tools.json``.
    """

    def __init__(self, tool: dict[str, Any]):
        super().__init__()
        self._tool = tool

    def createInstance(self) -> ToolAlgorithm:
        """A fresh copy, for each run."""
        return type(self)(self._tool)

    def name(self) -> str:
        """For programs; letters alone."""
        return self._tool["name"].replace("_", "")

    def displayName(self) -> str:
        """In the toolbox."""
        return self._tool["title"]

    def group(self) -> str:
        """In the toolbox."""
        return self._tool["group"]

    def groupId(self) -> str:
        """For programs."""
        return self._tool["group"].lower()

    def icon(self) -> QIcon:
        """In the toolbox."""
        return QIcon(self.svgIconPath())

    def svgIconPath(self) -> str:
        """In the model designer."""
        return ICON

    def tags(self) -> list[str]:
        """What it is found by, beside its title."""
        return ["gan", "pix2pix", "cyclegan", "deep learning", "image translation", "rs-gen"]

    def shortDescription(self) -> str:
        """In a tooltip."""
        return self._tool["summary"]

    def shortHelpString(self) -> str:
        """Beside the dialog: the tool, then each parameter."""
        told = {name_of(p): p["help"] for p in self._tool["parameters"]}
        told["ALG_DESC"] = self._tool["help"].replace("``", "")
        return QgsProcessingUtils.formatHelpMapAsHtml(told, self)

    def helpUrl(self) -> str:
        """Behind the Help button."""
        return HELP

    def initAlgorithm(self, configuration: Any = None) -> None:
        """Declare parameters and outputs."""
        for p in self._tool["parameters"]:
            self.addParameter(definition(p))
        for d in self._tool["derived"]:
            self.addOutput(_DERIVED[d["kind"]](d["name"].upper(), d["label"]))
        self.addOutput(QgsProcessingOutputString("RESULT", "Result (a path, or a report as JSON)"))

    def checkParameterValues(self, values: dict, context: Any) -> tuple[bool, str]:
        """As Processing does, but a folder of rasters may stand for one."""
        folders = {
            name_of(p) for p in self._tool["parameters"]
            if p["kind"] == "raster" and folder_in(values.get(name_of(p)))
        }  # fmt: skip
        values = worded(self._tool, values)
        if not folders:
            return super().checkParameterValues(values, context)
        for asked in self.parameterDefinitions():
            value = values.get(asked.name())
            if asked.name() not in folders and not asked.checkValueIsAcceptable(value, context):
                return False, f"{asked.description()} ({asked.name()}) can't be {value!r}"
        return True, ""

    def processAlgorithm(self, values: dict, context: Any, feedback: Any) -> dict[str, Any]:
        """Run the tool in a process of its own.

        Raises:
            QgsProcessingException: It failed or was cancelled; nothing half-written is left.
        """
        answers = Answers(self, worded(self._tool, values), context, feedback)
        words = answers.command_line(self._tool)
        try:
            start = command()
            feedback.pushCommandInfo(" ".join([*start, *words]))
            events = runner.run(words, Listener(feedback), feedback.isCanceled, command=start)
        except runner.RunCancelledError as error:
            # An empty result would look like success: qgis_process would exit with 0.
            raise QgsProcessingException(f"cancelled: {error}") from error
        except runner.RunFailedError as error:
            raise QgsProcessingException(str(error)) from error
        return self._results(answers, events, context)

    def _results(self, answers: Answers, events: list, context: Any) -> dict[str, Any]:
        found: dict[str, Any] = {
            name: path for name, path in answers.made.items() if os.path.exists(path)
        }
        for event in events:
            said = event.get("path") or json.dumps(event.get("value"), ensure_ascii=False)
            found.setdefault("RESULT", said)
        told = {event["role"]: event["path"] for event in events if "path" in event}
        found.update(load_derived(self._tool["derived"], told, found, context))
        style_when_loaded({str(value) for value in found.values()}, context)
        return found
