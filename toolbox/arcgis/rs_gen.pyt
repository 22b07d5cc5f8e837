# -*- coding: utf-8 -*-
"""rs_gen in ArcGIS Pro: every tool of ``rs_gen/tools.py`` as a geoprocessing tool.

The parameters are read from the signatures in tools.py, which imports nothing but the standard
library. The work runs in a process of its own, see ``runner.py``.
"""

import importlib
import os
import sys

import arcpy

_HERE = os.path.dirname(os.path.abspath(__file__))
_ROOT = os.path.dirname(os.path.dirname(_HERE))
for _folder in (_ROOT, os.path.join(_ROOT, "toolbox"), _HERE):
    if _folder not in sys.path:
        sys.path.append(_folder)

runner = importlib.import_module("runner")
tools = importlib.import_module("rs_gen.tools")
listing = importlib.import_module("rs_gen.listing")

DATATYPES = {
    "raster": ["GPRasterLayer", "DERasterDataset", "DEFolder"],
    "features": ["GPFeatureLayer", "DEFeatureClass"],
    "folder": "DEFolder",
    "file": "DEFile",
    "model": ["DEFile", "DEFolder"],
    "path": ["DERasterDataset", "DEFile", "DEFolder"],
    "new raster": "DERasterDataset",
    "new folder": "DEFolder",
    "new features": "DEFile",  # a GeoPackage, which is no feature class
    "new file": "DEFile",
}
VALUES = {int: "GPLong", float: "GPDouble", bool: "GPBoolean", str: "GPString"}


def arcpy_parameter(p):
    """One parameter of a tool, as ArcGIS shows it."""
    kind = p.input.kind
    shown = arcpy.Parameter(
        name=p.name,
        displayName=p.name.replace("_", " ").capitalize(),
        datatype=VALUES[p.type] if kind == "value" else DATATYPES[kind],
        parameterType="Required" if p.required else "Optional",
        direction="Output" if kind.startswith("new ") else "Input",
        multiValue=p.many,
    )
    if p.input.choices:
        shown.filter.type = "ValueList"
        shown.filter.list = list(p.input.choices)
    elif p.type in (int, float) and p.input.low is not None and p.input.high is not None:
        shown.filter.type = "Range"
        shown.filter.list = [p.input.low, p.input.high]
    if not p.required and p.default not in (None, ""):
        shown.value = p.default
    return shown


def path_of(shown):
    """Where a layer's or dataset's data lie, for a process that knows no layers."""
    text = shown.valueAsText
    if os.path.exists(text) or shown.direction == "Output":
        return text
    return getattr(arcpy.Describe(shown.value), "catalogPath", text)


def path_of_one(value):
    """Where one of several inputs lies: a path, or a layer of the map."""
    text = str(value)
    if os.path.exists(text):
        return text
    return getattr(arcpy.Describe(value), "catalogPath", text)


def arguments_of(name, shown):
    """The command line that stands for a filled-in dialog."""
    positional, named = [], []
    for p, field in zip(tools.parameters(tools.TOOLS[name]), shown):
        if field.value is None or field.valueAsText in (None, ""):
            continue
        flag = "--" + p.name.replace("_", "-")
        if p.many:
            several = [path_of_one(value) for value in field.values]
            if p.required:
                positional += several
            else:
                named += [word for text in several for word in (flag, text)]
            continue
        text = field.valueAsText if p.input.kind == "value" else path_of(field)
        if p.required:
            positional.append(text)
        elif p.type is bool:
            named += [flag] if field.value else []
        else:
            named += [flag, text]
    return [name.replace("_", "-"), *named, "--", *positional]


class Messenger:
    """Shows the events of a run in ArcGIS's progress bar and messages."""

    def __init__(self, messages):
        self.messages, self.total = messages, None

    def __call__(self, event):
        kind = event.get("event")
        if kind == "progress" and event.get("total"):
            if self.total != event["total"]:
                self.total = event["total"]
                arcpy.SetProgressor("step", str(event.get("unit", "")), 0, self.total, 1)
            if event.get("losses"):
                held = ", ".join(f"{name} {value:.3g}" for name, value in event["losses"].items())
                arcpy.SetProgressorLabel(f"{event.get('unit', '')}: {held}")
            arcpy.SetProgressorPosition(min(int(event["done"]), int(self.total)))
        elif kind == "log" and event.get("level") == "warning":
            self.messages.addWarningMessage(str(event.get("message")))
        elif kind == "log":
            self.messages.addMessage(str(event.get("message")))
        elif kind == "output":
            for line in lines_of(event.get("path") or event.get("value")):
                self.messages.addMessage(line)


def lines_of(value, indent=""):
    """A nested report as lines."""
    if not isinstance(value, dict):
        return [indent + str(value)]
    lines = []
    for key, held in value.items():
        if isinstance(held, dict):
            lines += [f"{indent}{key}:", *lines_of(held, indent + "  ")]
        else:
            lines.append(f"{indent}{key}: {held}")
    return lines


def as_tool(name, function):
    """A class that ArcGIS Pro can list, made from a tool."""

    class Tool:
        def __init__(self):
            self.label, self.category = listing.label_of(name)
            self.description = tools.summary(function)

        def getParameterInfo(self):
            return [arcpy_parameter(p) for p in tools.parameters(function)]

        def isLicensed(self):
            return True

        def updateParameters(self, parameters):
            return

        def updateMessages(self, parameters):
            for p, shown in zip(tools.parameters(function), parameters):
                low = p.input.low
                if low is not None and shown.value is not None and float(shown.value) < low:
                    shown.setErrorMessage(f"{p.input.help} It must be at least {low:g}.")

        def execute(self, parameters, messages):
            # Or Pro ends the script after the current line, with no chance to stop the run.
            arcpy.env.autoCancelling = False
            try:
                runner.run(
                    arguments_of(name, parameters),
                    Messenger(messages),
                    lambda: bool(arcpy.env.isCancelled),
                )
            except runner.RunCancelledError as error:
                messages.addWarningMessage(str(error))
            except runner.RunFailedError as error:
                messages.addErrorMessage(str(error))
                raise arcpy.ExecuteError(str(error)) from error
            finally:
                arcpy.ResetProgressor()

        def postExecute(self, parameters):
            return

    Tool.__name__ = Tool.__qualname__ = name.title().replace("_", "")
    return Tool


TOOLS = [as_tool(name, function) for name, function in tools.TOOLS.items()]
globals().update({tool.__name__: tool for tool in TOOLS})


class Toolbox:
    """What ArcGIS Pro reads."""

    def __init__(self):
        self.label = "rs_gen: image translation for rasters"
        self.alias = "rsgen"
        self.tools = TOOLS
