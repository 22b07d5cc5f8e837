"""A stand-in for ArcGIS Pro that is stricter than Pro: it refuses whatever the real arcpy lacks.

``Host`` loads a ``.pyt`` and calls a tool in Pro's order: parameters, values, isLicensed,
updateParameters, internal validation, updateMessages, execute, postExecute.
"""

from __future__ import annotations

import importlib.util
import sys
import types
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any

DATATYPES = {
    "DEFolder", "DEFile", "DERasterDataset", "DEFeatureClass", "DEWorkspace", "GPRasterLayer",
    "GPRasterDataLayer", "GPFeatureLayer", "GPMosaicLayer", "GPString", "GPLong", "GPDouble",
    "GPBoolean", "GPExtent", "GPValueTable", "GPSpatialReference", "GPCellSizeXY",
}  # fmt: skip
ON_DISK = {"DEFolder", "DEFile", "DERasterDataset", "DEFeatureClass", "GPRasterLayer",
           "GPFeatureLayer", "DEWorkspace"}  # fmt: skip
NUMBERS = {"GPLong": int, "GPDouble": float}


class ExecuteError(Exception):
    """A tool failed, or was not run since a parameter is in error."""


class _Strict:
    _settable: tuple[str, ...] = ()

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_") and name not in self._settable:
            raise AttributeError(f"{type(self).__name__} has no settable property {name!r}")
        object.__setattr__(self, name, value)


def self_is_range(held: Filter, name: str) -> bool:
    return name == "list" and held.type == "Range"


class Filter(_Strict):
    _settable = ("type", "list")

    def __init__(self) -> None:
        object.__setattr__(self, "type", None)
        object.__setattr__(self, "list", [])

    def __setattr__(self, name: str, value: Any) -> None:
        kinds = ("ValueList", "Range", "File", "Field", "FeatureClass", "Workspace")
        if name == "type" and value not in kinds:
            raise ValueError(f"filter type {value!r}")
        if (
            name == "list"
            and self.type == "Range"
            and not (len(value) == 2 and value[0] < value[1])
        ):
            raise ValueError(f"range {value!r}")
        super().__setattr__(name, value)


class Parameter(_Strict):
    _settable = ("value", "values", "enabled", "filter", "symbology", "parameterDependencies",
                 "category", "columns", "filters", "schema", "charts", "controlCLSID",
                 "defaultEnvironmentName", "altered", "hasBeenValidated")  # fmt: skip

    def __init__(
        self, name=None, displayName=None, direction=None, datatype=None, parameterType=None,
        enabled=None, category=None, symbology=None, multiValue=None,
    ):  # fmt: skip
        kinds = datatype if isinstance(datatype, list) else [datatype]
        if not kinds or not set(kinds) <= DATATYPES:
            raise ValueError(f"datatype {datatype!r}")
        if direction not in ("Input", "Output"):
            raise ValueError(f"direction {direction!r}")
        if parameterType not in ("Required", "Optional", "Derived"):
            raise ValueError(f"parameterType {parameterType!r}")
        if parameterType == "Derived" and direction != "Output":
            raise ValueError("a Derived parameter must be an Output")
        if not (name and name.isidentifier() and displayName):
            raise ValueError(f"name {name!r}, displayName {displayName!r}")
        self._kinds, self._message, self._severity = kinds, "", 0
        fixed = {"name": name, "displayName": displayName, "direction": direction,
                 "datatype": datatype, "parameterType": parameterType,
                 "multiValue": bool(multiValue)}  # fmt: skip
        for key, held in fixed.items():
            object.__setattr__(self, key, held)
        self.enabled, self.filter, self.value, self.category = True, Filter(), None, category
        self.altered = self.hasBeenValidated = False
        self.parameterDependencies = []

    @property
    def values(self) -> list[Any] | None:
        if not self.multiValue:
            raise RuntimeError(f"{self.name} takes one value")
        return None if self.value is None else list(self.value)

    @property
    def valueAsText(self) -> str | None:
        if self.value is None:
            return None
        if self.multiValue:
            return ";".join(map(str, self.value))
        return str(self.value).lower() if isinstance(self.value, bool) else str(self.value)

    @property
    def message(self) -> str:
        return self._message

    def setErrorMessage(self, message: str) -> None:
        self._message, self._severity = message, 2

    def setWarningMessage(self, message: str) -> None:
        self._message, self._severity = message, 1

    def clearMessage(self) -> None:
        self._message, self._severity = "", 0

    def hasError(self) -> bool:
        return self._severity == 2

    def hasWarning(self) -> bool:
        return self._severity == 1


class Messages:
    """What a tool said, by kind."""

    def __init__(self) -> None:
        self.info: list[str] = []
        self.warnings: list[str] = []
        self.errors: list[str] = []

    def addMessage(self, message: str) -> None:
        self.info.append(str(message))

    def addWarningMessage(self, message: str) -> None:
        self.warnings.append(str(message))

    def addErrorMessage(self, message: str) -> None:
        self.errors.append(str(message))


class Env(_Strict):
    _settable = ("autoCancelling",)

    def __init__(self, host: Host):
        self._host = host
        self.autoCancelling = True

    @property
    def isCancelled(self) -> bool:
        after = self._host.cancel_after
        if after is None or self._host.positions < after:
            return False
        if self.autoCancelling:
            raise KeyboardInterrupt("Pro would have ended the script here")
        return True


class Host:
    """ArcGIS Pro, as far as a toolbox can tell.

    Args:
        cancel_after: Progress positions after which the person presses Cancel.
    """

    def __init__(self, cancel_after: int | None = None):
        self.cancel_after, self.positions, self.messages = cancel_after, 0, Messages()
        self._range: tuple[int, int] | None = None
        self.labels: list[str] = []

    def load(self, path: Path) -> Any:
        """The toolbox object of a .pyt."""
        module = types.ModuleType("arcpy")
        for name in ("Parameter", "ExecuteError"):
            setattr(module, name, globals()[name])
        module.env = Env(self)
        module.Describe = self._describe
        module.SetProgressor, module.ResetProgressor = self._set_progressor, self._reset
        module.SetProgressorPosition = self._position
        module.SetProgressorLabel = self.labels.append
        kept, sys.modules["arcpy"] = sys.modules.get("arcpy"), module
        try:
            loader = SourceFileLoader(f"pyt_{id(self)}", str(path))
            spec = importlib.util.spec_from_loader(loader.name, loader)
            loaded = importlib.util.module_from_spec(spec)
            loader.exec_module(loaded)
        finally:
            sys.modules.pop("arcpy")
            if kept is not None:
                sys.modules["arcpy"] = kept
        toolbox = loaded.Toolbox()
        assert toolbox.label
        assert toolbox.alias.isalnum()
        assert toolbox.alias[0].isalpha()
        for tool in toolbox.tools:
            assert "_" not in tool.__name__, "an underscore in a tool's class name fails on Server"
            assert getattr(loaded, tool.__name__) is tool
        return toolbox

    def run(self, tool_class: type, **values: Any) -> Messages:
        """Fill in a tool's dialog and press Run."""
        tool = tool_class()
        assert tool.label
        parameters = tool.getParameterInfo()
        self._check_list(parameters)
        by_name = {p.name: p for p in parameters}
        for name, value in values.items():
            by_name[name].value, by_name[name].altered = value, True
        if not tool.isLicensed():
            raise ExecuteError("not licensed")
        tool.updateParameters(parameters)
        for p in parameters:
            self._validate(p)
        tool.updateMessages(parameters)
        wrong = [f"{p.name}: {p.message}" for p in parameters if p.hasError()]
        if wrong:
            raise ExecuteError("; ".join(wrong))
        tool.execute(parameters, self.messages)
        if hasattr(tool, "postExecute"):
            tool.postExecute(parameters)
        return self.messages

    def _check_list(self, parameters: list[Parameter]) -> None:
        names = [p.name for p in parameters]
        assert len(set(names)) == len(names), "two parameters share a name"
        optional = False
        for p in parameters:
            optional = optional or p.parameterType == "Optional"
            assert not (optional and p.parameterType == "Required"), f"{p.name} follows an optional"
            assert set(p.parameterDependencies) <= set(names)

    def _validate(self, p: Parameter) -> None:
        p.hasBeenValidated = True
        if p.value is None:
            if p.parameterType == "Required":
                p.setErrorMessage("ERROR 000735: Value is required")
            return
        kinds = set(p._kinds)
        for value in p.values if p.multiValue else [p.value]:
            if p.direction == "Input" and kinds <= ON_DISK and not Path(str(value)).exists():
                p.setErrorMessage(f"ERROR 000732: {value} does not exist")
        for kind, number in NUMBERS.items():
            if kinds == {kind} and not isinstance(p.value, int | number):
                p.setErrorMessage(f"ERROR 000727: {p.value!r} is not a {kind}")
        if p.filter.type == "ValueList" and p.value not in p.filter.list:
            p.setErrorMessage(f"ERROR 000800: {p.value} is not one of {p.filter.list}")
        if p.filter.type == "Range" and not p.filter.list[0] <= p.value <= p.filter.list[1]:
            p.setErrorMessage(f"ERROR 000854: {p.value} is not in {p.filter.list}")

    def _describe(self, value: Any, data_type: Any = None) -> Any:
        return types.SimpleNamespace(catalogPath=str(value))

    def _set_progressor(self, type, message=None, min_range=None, max_range=None, step_value=None):
        if type not in ("default", "step"):
            raise ValueError(f"progressor {type!r}")
        self._range = (min_range, max_range) if type == "step" else None

    def _position(self, position: int | None = None) -> None:
        if self._range is None:
            raise RuntimeError('SetProgressorPosition before SetProgressor("step")')
        if position is not None and not self._range[0] <= position <= self._range[1]:
            raise ValueError(f"position {position} is not in {self._range}")
        self.positions += 1

    def _reset(self) -> None:
        self._range = None
