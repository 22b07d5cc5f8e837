"""A tool's parameters, as Processing asks for them."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterFile,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
    QgsProcessingParameterVectorDestination,
)

_NUMBERS = {
    "int": QgsProcessingParameterNumber.Integer,
    "float": QgsProcessingParameterNumber.Double,
}


def name_of(p: dict[str, Any]) -> str:
    """A parameter's name in Processing, which writes them in capitals."""
    return p["name"].upper()


def definition(p: dict[str, Any]) -> QgsProcessingParameterDefinition:
    """What Processing needs to ask for one parameter of a tool."""
    asked = _definition(p, (name_of(p), p["label"]), p["flag"] is not None)
    asked.setHelp(p["help"])
    if not p["first"]:
        asked.setFlags(asked.flags() | QgsProcessingParameterDefinition.FlagAdvanced)
    return asked


def _definition(
    p: dict[str, Any], named: tuple[str, str], optional: bool
) -> QgsProcessingParameterDefinition:
    kind, options = p["kind"], {"optional": optional}
    if kind == "value":
        return _value(p, named, optional)
    if kind == "raster":
        return QgsProcessingParameterRasterLayer(*named, **options)
    if kind == "features" and p["many"]:
        polygons = QgsProcessing.TypeVectorPolygon
        return QgsProcessingParameterMultipleLayers(*named, polygons, **options)
    if kind == "features":
        polygons = [QgsProcessing.TypeVectorPolygon]
        return QgsProcessingParameterFeatureSource(*named, polygons, **options)
    if kind == "folder":
        return QgsProcessingParameterFile(*named, QgsProcessingParameterFile.Folder, **options)
    if kind == "model":
        # Only a bare * lets the model's folder pass, too.
        options["fileFilter"] = "Trained models (*.emd *.dlpk);;All files (*)"
    if kind in ("file", "model", "path"):
        return QgsProcessingParameterFile(*named, **options)
    return _destination(p, named, optional)


def _value(
    p: dict[str, Any], named: tuple[str, str], optional: bool
) -> QgsProcessingParameterDefinition:
    default, words = p["default"], p["choices"] or p["several"]
    if words:
        return QgsProcessingParameterEnum(
            *named, words, allowMultiple=bool(p["several"]), defaultValue=default or None,
            optional=optional, usesStaticStrings=True,
        )  # fmt: skip
    if p["type"] == "bool":
        return QgsProcessingParameterBoolean(*named, defaultValue=default, optional=optional)
    if p["type"] in _NUMBERS:
        bounds = {
            bound: p[of] for bound, of in (("minValue", "low"), ("maxValue", "high"))
            if p[of] is not None
        }  # fmt: skip
        return QgsProcessingParameterNumber(
            *named, _NUMBERS[p["type"]], defaultValue=default, optional=optional, **bounds
        )
    return QgsProcessingParameterString(*named, defaultValue=default, optional=optional)


def _destination(
    p: dict[str, Any], named: tuple[str, str], optional: bool
) -> QgsProcessingParameterDefinition:
    kind, ending = p["kind"], p["ending"] or "json"
    options = {"optional": optional, "createByDefault": not optional}
    if kind == "new raster":
        return QgsProcessingParameterRasterDestination(*named, **options)
    if kind == "new features":
        return QgsProcessingParameterVectorDestination(*named, **options)
    if kind == "new folder":
        return QgsProcessingParameterFolderDestination(*named, **options)
    wanted = f"{ending.upper()} files (*.{ending})"
    return QgsProcessingParameterFileDestination(*named, wanted, **options)


def worded(tool: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """The values with words in place of the numbers that ``qgis_process`` offers for choices."""
    said = dict(values)
    for p in tool["parameters"]:
        words, given = p["choices"] or p["several"], values.get(name_of(p))
        if words and given not in (None, ""):
            parts = given if isinstance(given, (list, tuple)) else str(given).split(",")
            found = [_word(words, str(part).strip()) for part in parts]
            said[name_of(p)] = found if p["several"] else ",".join(found)
    return said


def _word(words: list[str], part: str) -> str:
    return words[int(part)] if part.isdecimal() and int(part) < len(words) else part
