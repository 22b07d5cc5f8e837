"""What was filled in, as the command line that does it."""

from __future__ import annotations

import os
from typing import Any

from qgis.core import QgsMapLayer, QgsProcessingException, QgsProcessingUtils

from .asked import name_of

_VECTORS = ["gpkg", "shp", "geojson", "json", "fgb"]  # what rs_gen reads as it is


class Answers:
    """A filled-in dialog.

    Args:
        algorithm: Knows the parameters' definitions.
        values: As Processing hands them over.
        context: Of the run.
        feedback: Of the run.

    Attributes:
        made: Name of a destination to the path that was chosen for it, or drawn up.
    """

    def __init__(self, algorithm: Any, values: dict[str, Any], context: Any, feedback: Any):
        self._algorithm, self._values, self._context = algorithm, values, context
        self._feedback = feedback
        self.made: dict[str, str] = {}

    def command_line(self, tool: dict[str, Any]) -> list[str]:
        """What follows ``rs-gen``. Call it once: each call draws up new temporary paths.

        Raises:
            QgsProcessingException: A layer is none that another program can read.
        """
        positional, named = [], []
        for p in tool["parameters"]:
            words = self._words(p)
            if p["flag"] is None:
                positional += words
            elif p["type"] == "bool":
                named += [p["flag"]] if words else []
            else:
                named += [word for value in words for word in (p["flag"], value)]
        return [tool["command"], *named, "--", *positional]

    def _words(self, p: dict[str, Any]) -> list[str]:
        """The answer to one question; nothing where it was left open."""
        name = name_of(p)
        if p["kind"].startswith("new "):
            return self._destination(p["kind"], name)
        if self._values.get(name) in (None, "", []) and p["default"] in (None, "", False):
            return []
        if p["kind"] == "raster":
            return [self._raster(name)]
        if p["kind"] == "features":
            return self._several(name) if p["many"] else [self._features(name)]
        if p["kind"] != "value":
            return [self._path(name)]
        word = self._value(p, name)
        return [] if word == "" else [word]

    def _value(self, p: dict[str, Any], name: str) -> str:
        asked = (self._values, name, self._context)
        if p["several"]:
            return ",".join(self._algorithm.parameterAsEnumStrings(*asked))
        if p["choices"]:
            return self._algorithm.parameterAsEnumString(*asked)
        if p["type"] == "bool":
            return "yes" if self._algorithm.parameterAsBoolean(*asked) else ""
        if p["type"] == "int":
            return str(self._algorithm.parameterAsInt(*asked))
        if p["type"] == "float":
            return repr(self._algorithm.parameterAsDouble(*asked))
        return self._algorithm.parameterAsString(*asked)

    def _destination(self, kind: str, name: str) -> list[str]:
        asked = (self._values, name, self._context)
        if kind in ("new raster", "new features"):  # QGIS will load it
            found = self._algorithm.parameterAsOutputLayer(*asked)
        else:
            found = self._algorithm.parameterAsFileOutput(*asked)
        if not found:
            return []
        self.made[name] = found  # as it is: by this path QGIS knows what to load
        return [os.path.abspath(found)]

    def _path(self, name: str) -> str:
        given = self._values.get(name)
        if isinstance(given, QgsMapLayer):
            return file_of(given)
        text = self._algorithm.parameterAsString(self._values, name, self._context)
        layer = self._context.getMapLayer(text)  # as the model designer may hand it on
        if layer is not None:
            return file_of(layer)
        return os.path.abspath(text) if os.path.exists(text) else text

    def _raster(self, name: str) -> str:
        given = folder_in(self._values.get(name))
        if given:
            return given
        layer = self._algorithm.parameterAsRasterLayer(self._values, name, self._context)
        if layer is None:
            raise QgsProcessingException(self._algorithm.invalidRasterError(self._values, name))
        return file_of(layer)

    def _features(self, name: str) -> str:
        """A file of a layer; one in memory, with a filter or a selection is written down first."""
        path, layer = self._algorithm.parameterAsCompatibleSourceLayerPathAndLayerName(
            self._values, name, self._context, _VECTORS, "gpkg", self._feedback
        )
        return _within(path, layer)

    def _several(self, name: str) -> list[str]:
        layers = self._algorithm.parameterAsLayerList(self._values, name, self._context)
        return [
            _within(*QgsProcessingUtils.convertToCompatibleFormatAndLayerName(
                layer, False, "area", _VECTORS, "gpkg", self._context, self._feedback
            ))
            for layer in layers
        ]  # fmt: skip


def folder_in(value: Any) -> str:
    """A value's absolute path if it is a folder, else nothing."""
    return os.path.abspath(value) if isinstance(value, str) and os.path.isdir(value) else ""


def file_of(layer: Any) -> str:
    """Where a layer's data lie, for a program that knows no layers.

    Raises:
        QgsProcessingException: They lie on a server or in memory.
    """
    provider = layer.dataProvider().name()
    if provider not in ("gdal", "ogr"):
        raise QgsProcessingException(
            f"layer {layer.name()} comes from {provider!r}, not from a file that GDAL reads; save "
            "it as a GeoTIFF first (in the layer's menu: Export, Save As)"
        )
    source = layer.source().split("|")[0]
    return os.path.abspath(source) if os.path.exists(source) else source


def _within(path: str, layer: str) -> str:
    return f"{path}|layername={layer}" if layer else path
