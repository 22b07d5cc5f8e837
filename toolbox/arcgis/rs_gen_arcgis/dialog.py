"""A tool's parameters as ArcGIS shows them."""

from __future__ import annotations

import arcpy

from . import listing
from . import parameters as kinds
from .facts import (
    ENDINGS,
    Derived,
    datatype_of,
    facts_of,
    group_of,
    label_of,
    name_of,
    several,
    shown,
)


def dialog(tool: str) -> list[arcpy.Parameter]:
    """What ``getParameterInfo`` gives: what is asked for, then the derived outputs."""
    asked = [_parameter(tool, p) for p in shown(tool)]
    sources = [field.name for field in asked if field.direction == "Input"]
    return asked + [_derived(each, sources) for each in facts_of(tool).derived]


def by_name(tool: str, fields: list[arcpy.Parameter]) -> dict[str, arcpy.Parameter]:
    """Fields of a dialog by our own names for them."""
    held = {field.name: field for field in fields}
    return {p.name: held[name_of(tool, p.name)] for p in shown(tool)}


def _parameter(tool: str, p: kinds.Parameter) -> arcpy.Parameter:
    kind = p.input.kind
    field = arcpy.Parameter(
        name=name_of(tool, p.name),
        displayName=label_of(tool, p.name),
        datatype=datatype_of(tool, p),
        parameterType="Required" if p.required else "Optional",
        direction="Output" if kind.startswith("new ") else "Input",
        multiValue=p.many or bool(several(tool, p)),
        category=None if listing.shown_first(tool, p) else group_of(p.name),
    )
    if p.input.choices or p.input.several:
        field.filter.type = "ValueList"
        field.filter.list = list(p.input.choices or p.input.several)
    elif kind in ENDINGS:
        field.filter.list = [p.input.ending] if p.input.ending else ENDINGS[kind]
    elif p.type in (int, float) and p.input.low is not None and p.input.high is not None:
        field.filter.type = "Range"
        field.filter.list = [p.input.low, p.input.high]
    if not p.required and p.default not in (None, ""):
        field.value = p.default
    return field


def _derived(each: Derived, sources: list[str]) -> arcpy.Parameter:
    field = arcpy.Parameter(
        name=each.name,
        displayName=each.label,
        datatype=each.datatype,
        parameterType="Derived",
        direction="Output",
        multiValue=each.many,
    )
    if sources:
        field.parameterDependencies = sources[:1]
    return field
