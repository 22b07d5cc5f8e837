"""A stand-in for ArcGIS Pro that is stricter than Pro: it refuses whatever the real arcpy lacks.

``Host`` loads a ``.pyt`` and calls a tool in Pro's order: parameters, then, as often as the dialog
changes, updateParameters, internal validation and updateMessages; isLicensed, execute, postExecute.
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
import types
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any

import rasterio

DATATYPES = {
    "DEFolder", "DEFile", "DERasterDataset", "DEFeatureClass", "DEWorkspace", "DEMosaicDataset",
    "DEImageServer", "GPRasterLayer", "GPRasterDataLayer", "GPFeatureLayer", "GPMosaicLayer",
    "GPString", "GPLong", "GPDouble", "GPBoolean", "GPExtent", "GPValueTable",
    "GPSpatialReference", "GPCellSizeXY",
}  # fmt: skip
ON_DISK = {"DEFolder", "DEFile", "DERasterDataset", "DEFeatureClass", "GPRasterLayer",
           "GPFeatureLayer", "DEWorkspace"}  # fmt: skip
PLAIN = {"GPLong": int, "GPDouble": (int, float), "GPBoolean": bool, "GPString": str}
# Which filter a datatype can have; a File filter is there from the start.
FILTERS = {"GPString": {"ValueList"}, "GPLong": {"ValueList", "Range"},
           "GPDouble": {"ValueList", "Range"}, "DEFile": {"File"}}  # fmt: skip


class ExecuteError(Exception):
    """A tool failed, or was not run since a parameter is in error."""


@dataclass
class Layer:
    """A layer of the map.

    Attributes:
        name: As the map shows it; no path.
        catalogPath: Where its data lie.
        FIDSet: Numbers of the selected features, parted by ";".
        whereClause: Its definition query.
    """

    name: str
    catalogPath: str
    FIDSet: str = ""
    whereClause: str = ""

    def __str__(self) -> str:
        return self.name


class _Strict:
    _settable: tuple[str, ...] = ()

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_") and name not in self._settable:
            raise AttributeError(f"{type(self).__name__} has no settable property {name!r}")
        object.__setattr__(self, name, value)


class Filter(_Strict):
    """Which values a parameter takes."""

    _settable = ("type", "list")

    def __init__(self, kinds: list[str]) -> None:
        self._allowed = FILTERS.get(kinds[0], set()) if len(kinds) == 1 else set()
        object.__setattr__(self, "type", "File" if self._allowed == {"File"} else None)
        object.__setattr__(self, "list", [])

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "type" and value not in self._allowed:
            raise ValueError(f"filter type {value!r}; the datatype takes {self._allowed}")
        if name == "list":
            if self.type is None:
                raise ValueError("a filter's list before its type")
            if not isinstance(value, list):
                raise TypeError(f"filter list {value!r}")
            if self.type == "Range" and not (len(value) == 2 and value[0] < value[1]):
                raise ValueError(f"range {value!r}")
            if self.type == "File" and any(not each.isalnum() for each in value):
                raise ValueError(f"endings {value!r} are written without a dot")
        super().__setattr__(name, value)


class Parameter(_Strict):
    """A parameter of a tool; what is fixed once it is built can't be set again."""

    _settable = (
        "value",
        "values",
        "enabled",
        "symbology",
        "parameterDependencies",
        "columns",
        "filters",
        "schema",
        "charts",
        "controlCLSID",
        "defaultEnvironmentName",
    )

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
                 "datatype": datatype, "parameterType": parameterType, "category": category,
                 "multiValue": bool(multiValue), "filter": Filter(kinds), "altered": False,
                 "hasBeenValidated": False}  # fmt: skip
        for key, held in fixed.items():
            object.__setattr__(self, key, held)
        self.enabled, self.value, self.parameterDependencies = True, None, []

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "value" and value is not None:
            value = self._checked(value)
        if name == "enabled" and not isinstance(value, bool):
            raise TypeError(f"{self.name}.enabled = {value!r}")
        super().__setattr__(name, value)

    def _checked(self, value: Any) -> Any:
        if self.multiValue:
            value = value.split(";") if isinstance(value, str) else list(value)
        for each in value if self.multiValue else [value]:
            for kind, python in PLAIN.items():
                if self._kinds == [kind] and (
                    not isinstance(each, python)
                    or (kind in ("GPLong", "GPDouble") and isinstance(each, bool))
                ):
                    raise ValueError(f"{self.name}: {each!r} is not a {kind}")
        return value

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
            return ";".join(f"'{v}'" if " " in str(v) else str(v) for v in self.value)
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
    """The environment settings that a tool may read."""

    _settable = ("autoCancelling", "overwriteOutput", "processorType", "gpuId", "scratchFolder")

    def __init__(self, host: Host):
        self._host = host
        self.autoCancelling, self.overwriteOutput = True, True
        self.processorType = self.gpuId = None
        self.scratchFolder = str(host.scratch)

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
        scratch: Its scratch folder.

    Attributes:
        parameters: Those of the last tool that ran, with its derived outputs.
        warnings: Messages of those that had a warning.
    """

    def __init__(self, cancel_after: int | None = None, scratch: Path | None = None):
        self.cancel_after, self.positions, self.messages = cancel_after, 0, Messages()
        self.scratch = scratch
        self.env = Env(self)
        self.labels: list[str] = []
        self.parameters: dict[str, Parameter] = {}
        self.warnings: list[str] = []
        self._range: tuple[int, int] | None = None
        self._running: list[Parameter] | None = None

    def arcpy(self) -> types.ModuleType:
        """The module that a toolbox imports."""
        module = types.ModuleType("arcpy")
        module.Parameter, module.ExecuteError, module.env = Parameter, ExecuteError, self.env
        module.Describe, module.SetParameterAsText = self._describe, self._set
        module.SetProgressor, module.ResetProgressor = self._set_progressor, self._reset
        module.SetProgressorPosition = self._position
        module.SetProgressorLabel = self.labels.append
        module.management = types.SimpleNamespace(CopyFeatures=self._copy, Delete=self._delete)
        return module

    def load(self, path: Path) -> Any:
        """The toolbox object of a .pyt."""
        for name in [name for name in sys.modules if name.split(".")[0] == "rs_gen_arcgis"]:
            del sys.modules[name]  # a package keeps the arcpy that it was imported with
        kept, sys.modules["arcpy"] = sys.modules.get("arcpy"), self.arcpy()
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

    def open(self, tool: Any) -> list[Parameter]:
        """The dialog of a tool, with nothing filled in yet."""
        assert tool.label
        assert tool.description
        parameters = tool.getParameterInfo()
        self._check_list(parameters)
        self._fill(tool, parameters, {})
        return parameters

    def run(self, tool_class: type, **values: Any) -> Messages:
        """Fill in a tool's dialog, field by field, and press Run."""
        tool = tool_class()
        parameters = self.open(tool)
        if not tool.isLicensed():
            raise ExecuteError("not licensed")
        for name, value in values.items():
            self._fill(tool, parameters, {name: value})
        self._fill(tool, parameters, {}, required=True)
        self.parameters = {p.name: p for p in parameters}
        self.warnings = [p.message for p in parameters if p.hasWarning()]
        wrong = [f"{p.name}: {p.message}" for p in parameters if p.hasError()]
        if wrong:
            raise ExecuteError("; ".join(wrong))
        self._running = parameters
        try:
            tool.execute(parameters, self.messages)
        finally:
            self._running = None
        if hasattr(tool, "postExecute"):
            tool.postExecute(parameters)
        return self.messages

    def _fill(
        self, tool: Any, parameters: list[Parameter], values: dict, required: bool = False
    ) -> None:
        by_name = {p.name: p for p in parameters}
        for name, value in values.items():
            by_name[name].value = value
            object.__setattr__(by_name[name], "altered", True)
        tool.updateParameters(parameters)
        for p in parameters:
            p.clearMessage()
            self._validate(p, required)
        tool.updateMessages(parameters)

    def _check_list(self, parameters: list[Parameter]) -> None:
        names = [p.name for p in parameters]
        assert len(set(names)) == len(names), "two parameters share a name"
        labels = [p.displayName for p in parameters]
        assert len(set(labels)) == len(labels), "two parameters share a label"
        optional = False
        for p in parameters:
            optional = optional or p.parameterType == "Optional"
            assert not (optional and p.parameterType == "Required"), f"{p.name} follows an optional"
            assert set(p.parameterDependencies) <= set(names)

    def _validate(self, p: Parameter, required: bool) -> None:
        object.__setattr__(p, "hasBeenValidated", True)
        if p.value is None:
            if p.parameterType == "Required" and required:
                p.setErrorMessage("ERROR 000735: Value is required")
            return
        kinds = set(p._kinds)
        for value in p.values if p.multiValue else [p.value]:
            path = Path(value.catalogPath if isinstance(value, Layer) else str(value))
            if kinds <= ON_DISK and p.direction == "Input" and not path.exists():
                p.setErrorMessage(f"ERROR 000732: {value} does not exist")
            kept = not self.env.overwriteOutput and kinds <= ON_DISK - {"DEFolder"}
            if kept and p.direction == "Output" and path.exists():
                p.setErrorMessage(f"ERROR 000725: {value} already exists")
            if p.filter.type == "ValueList" and value not in p.filter.list:
                p.setErrorMessage(f"ERROR 000800: {value} is not one of {p.filter.list}")
            if p.filter.type == "Range" and not p.filter.list[0] <= value <= p.filter.list[1]:
                p.setErrorMessage(f"ERROR 000854: {value} is not in {p.filter.list}")
            if p.filter.type == "File" and path.suffix[1:].lower() not in p.filter.list:
                p.setErrorMessage(f"ERROR 000814: {value} is not one of {p.filter.list}")

    def _describe(self, value: Any, data_type: Any = None) -> Any:
        held = value if isinstance(value, Layer) else Layer(str(value), str(value))
        about = types.SimpleNamespace(**vars(held))
        if not Path(held.catalogPath).exists():
            raise OSError(f'"{value}" does not exist')
        if held.catalogPath.endswith(".tif"):
            with rasterio.open(held.catalogPath) as dataset:
                about.bandCount, about.meanCellWidth = dataset.count, dataset.res[0]
                unit = dataset.crs.linear_units_factor[1]
            about.spatialReference = types.SimpleNamespace(metersPerUnit=unit)
        return about

    def _set(self, index: int, text: str) -> None:
        if self._running is None:
            raise RuntimeError("SetParameterAsText outside of execute")
        if not isinstance(text, str):
            raise TypeError(f"SetParameterAsText of {text!r}")
        parameter = self._running[index]
        if parameter.direction != "Output":
            raise RuntimeError(f"{parameter.name} is no output")
        parameter.value = text

    def _copy(self, in_features: Any, out_feature_class: str) -> None:
        import geopandas

        held = geopandas.read_file(in_features.catalogPath)
        if in_features.FIDSet:
            held = held.iloc[[int(n) for n in in_features.FIDSet.split(";")]]
        held.to_file(out_feature_class)

    def _delete(self, in_data: str) -> None:
        for path in Path(in_data).parent.glob(f"{Path(in_data).stem}.*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def _set_progressor(self, type, message=None, min_range=None, max_range=None, step_value=None):
        if type not in ("default", "step"):
            raise ValueError(f"progressor {type!r}")
        if type == "step" and not all(isinstance(n, int) for n in (min_range, max_range)):
            raise TypeError(f"a progressor from {min_range!r} to {max_range!r}")
        self._range = (min_range, max_range) if type == "step" else None

    def _position(self, position: int | None = None) -> None:
        if self._range is None:
            raise RuntimeError('SetProgressorPosition before SetProgressor("step")')
        if position is not None and not self._range[0] <= position <= self._range[1]:
            raise ValueError(f"position {position} is not in {self._range}")
        self.positions += 1

    def _reset(self) -> None:
        self._range = None
