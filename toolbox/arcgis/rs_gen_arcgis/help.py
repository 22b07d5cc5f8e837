"""The help that ArcGIS shows beside a tool, made from the docstrings. Needs no arcpy."""

from __future__ import annotations

import inspect
import re
from xml.sax.saxutils import escape, quoteattr

from . import listing, tools
from . import parameters as kinds
from .facts import class_name, facts_of, label_of, name_of, several, shown

TOOLBOX, ALIAS = "rs_gen", "rsgen"
LABEL = "rs_gen: image translation for rasters"
_KEYWORDS = ("deep learning", "image translation", "GAN", "raster", "remote sensing")
_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n<metadata xml:lang="en">'
_ESRI = "<Esri><ArcGISFormat>1.0</ArcGISFormat><SyncOnce>TRUE</SyncOnce></Esri>"


def pages() -> dict[str, str]:
    """File name to XML, for the toolbox and for each of its tools."""
    found = {f"{TOOLBOX}.pyt.xml": _toolbox()}
    for name in tools.TOOLS:
        found[f"{TOOLBOX}.{class_name(name)}.pyt.xml"] = _tool(name)
    return found


def _toolbox() -> str:
    parts = [
        _HEAD, _ESRI,
        f"<toolbox name={quoteattr(TOOLBOX)} alias={quoteattr(ALIAS)}><toolsets/></toolbox>",
        _about(LABEL, "Train models that translate rasters, and apply them without seams."),
        _kind("ArcToolbox Toolbox"), "</metadata>\n",
    ]  # fmt: skip
    return "\n".join(parts)


def _tool(name: str) -> str:
    function = tools.TOOLS[name]
    title, _ = listing.label_of(name)
    text = (inspect.getdoc(function) or "").split("\n\n")
    parts = [
        _HEAD, _ESRI,
        f"<tool name={quoteattr(class_name(name))} displayname={quoteattr(title)} "
        f"toolboxalias={quoteattr(ALIAS)}>",
        "<parameters>", *(_asked(name, p) for p in shown(name)), *_derived(name), "</parameters>",
        f"<summary>{_html(text[:1])}</summary>",
        f"<usage>{_html([*text[1:], *_usage(name)])}</usage>",
        "</tool>", _about(title, tools.summary(function)), _kind("ArcToolbox Tool"),
        "</metadata>\n",
    ]  # fmt: skip
    return "\n".join(parts)


def _asked(tool: str, p: kinds.Parameter) -> str:
    name = name_of(tool, p.name)
    inner = f"{name};{name}..." if p.many or several(tool, p) else name
    text = [p.input.help]
    if p.input.choices or p.input.several:
        text.append("Values: " + ", ".join(p.input.choices or p.input.several) + ".")
    if not p.required and p.default not in (None, "", False):
        text.append(f"Default: {p.default}.")
    return _parameter(
        name, label_of(tool, p.name), "Required" if p.required else "Optional",
        "Output" if p.input.kind.startswith("new ") else "Input",
        inner if p.required else "{" + inner + "}", text,
    )  # fmt: skip


def _derived(tool: str) -> list[str]:
    return [
        _parameter(each.name, each.label, "Derived", "Output", each.name, [each.label + "."])
        for each in facts_of(tool).derived
    ]


def _parameter(
    name: str, label: str, kind: str, direction: str, expression: str, text: list[str]
) -> str:
    return (
        f"<param name={quoteattr(name)} displayname={quoteattr(label)} type={quoteattr(kind)} "
        f"direction={quoteattr(direction)} expression={quoteattr(expression)}>"
        f"<dialogReference>{_html(text)}</dialogReference>"
        f"<pythonReference>{_html(text)}</pythonReference></param>"
    )


def _usage(tool: str) -> list[str]:
    """What is Pro's, and so in no docstring."""
    asked = {p.name for p in kinds.parameters(tools.TOOLS[tool])}
    text = ["It runs in a Python environment of its own; Cancel leaves nothing half-written."]
    if "device" in asked:
        text.append("The Processor Type and GPU ID environments are honoured.")
    if facts_of(tool).overwrite:
        text.append("An existing output is replaced where Pro allows overwriting outputs.")
    if any(p.input.kind == "features" for p in kinds.parameters(tools.TOOLS[tool])):
        text.append("A selection or a definition query of a feature layer is honoured.")
    return text


def _about(title: str, text: str) -> str:
    keywords = "".join(f"<keyword>{escape(word)}</keyword>" for word in _KEYWORDS)
    return (
        f"<dataIdInfo><idCitation><resTitle>{escape(title)}</resTitle></idCitation>"
        f"<idAbs>{escape(_plain(text))}</idAbs><searchKeys>{keywords}</searchKeys></dataIdInfo>"
    )


def _kind(name: str) -> str:
    form = f"<distorFormat><formatName>{name}</formatName></distorFormat>"
    return f"<distInfo><distributor>{form}</distributor></distInfo>"


def _html(paragraphs: list[str]) -> str:
    """Paragraphs as HTML, escaped once more, as metadata keep them."""
    inner = "".join(f"<P>{escape(_plain(text))}</P>" for text in paragraphs if text.strip())
    return escape(f'<DIV STYLE="text-align:Left;">{inner}</DIV>')


def _plain(text: str) -> str:
    """On one line, without the marks of reStructuredText."""
    return re.sub(r"``([^`]*)``", r"\1", " ".join(text.split()))
