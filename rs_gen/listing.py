"""The tools as plain data, and what they are called in a GIS. Standard library only.

A door that can't import ``tools.py`` reads this as JSON: the QGIS plugin carries the list inside.
"""

from __future__ import annotations

import inspect as _inspect
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from . import __version__
from .parameters import Parameter, parameters, summary
from .tools import TOOLS

#: Name of a tool to (title, group) of its dialog; what is not here is named after its function.
LABELS = {
    "export_chips": ("Export Training Chips", "Training"),
    "train": ("Train Image Translation Model", "Training"),
    "translate": ("Translate Raster", "Translation"),
    "translate_batch": ("Translate Many Rasters", "Translation"),
    "generate": ("Generate Images", "Generation"),
    "evaluate": ("Evaluate Translated Raster", "Translation"),
    "export_onnx": ("Export Model to ONNX", "Utilities"),
    "inspect": ("Inspect Raster, Model or Chips", "Utilities"),
    "doctor": ("Check Installation", "Utilities"),
}
#: Parameters whose name alone would not do as a label.
WORDS = {
    "out": "Output",
    "translate.out": "Translated raster",
    "export_chips.out": "Chips folder",
    "train.out": "Model folder",
    "translate_batch.out": "Output folder",
    "generate.out": "Tiles folder",
    "export_onnx.out": "ONNX file",
    "cog": "Cloud-optimised GeoTIFF",
    "lr": "Learning rate",
    "min_valid": "Least measured share",
    "no_stac": "No STAC item",
    "trust": "Trust layers",
    "valid_share": "Validation share",
}
#: Options that a dialog shows at once; the others go under "advanced".
FIRST = {
    "export_onnx": ("direction",),
    "generate": ("count", "like", "label"),
    "export_chips": ("size", "stride", "area", "unpaired"),
    "train": ("model", "epochs", "preset", "max_minutes", "resume"),
    "translate": ("direction", "statistics", "area", "palette", "polygons", "trust"),
    "translate_batch": ("direction", "statistics", "area", "palette", "workers", "resume"),
}


@dataclass(frozen=True)
class Derived:
    """A file that a tool writes beside another one, so that nobody is asked for its name.

    Attributes:
        name: For a program.
        label: For a person.
        kind: As in :class:`~rs_gen.parameters.Input`, without "new".
        role: Of the ``output`` event that tells its path (docs/programs.md).
        beside: The parameter whose output it belongs to.
    """

    name: str
    label: str
    kind: str
    role: str
    beside: str


DERIVED = {
    "translate": (Derived("trust_layers", "Trust layers", "raster", role="trust", beside="out"),),
    "generate": (Derived("mosaic_raster", "Mosaic", "raster", role="mosaic", beside="out"),),
}


def label_of(name: str) -> tuple[str, str]:
    """(title, group) of a tool's dialog."""
    return LABELS.get(name, (name.replace("_", " ").title(), "Utilities"))


def word_for(tool: str, parameter: str) -> str:
    """The label of a parameter in a dialog."""
    plain = parameter.replace("_", " ").capitalize()
    return WORDS.get(f"{tool}.{parameter}") or WORDS.get(parameter, plain)


def shown_first(name: str, p: Parameter) -> bool:
    """Whether a dialog shows a parameter at once: the required ones, and the most used."""
    return p.required or p.input.kind.startswith("new ") or p.name in FIRST.get(name, ())


def tool_list() -> dict[str, Any]:
    """Every tool with its parameters, ready to be written as JSON.

    ``{"rs_gen": version, "tools": [{"name", "command", "title", "group", "summary", "help",
    "parameters", "derived"}]}``; a parameter has ``name``, ``flag`` (null where it is told by its
    place), ``label``, ``first`` (shown at once), ``type``, ``many``, ``default`` and the fields of
    :class:`~rs_gen.parameters.Input`.
    """
    tools = [_described(name, tool) for name, tool in TOOLS.items()]
    return {"rs_gen": __version__, "tools": tools}


def _described(name: str, tool: Callable[..., Any]) -> dict[str, Any]:
    title, group = label_of(name)
    return {
        "name": name,
        "command": name.replace("_", "-"),
        "title": title,
        "group": group,
        "summary": summary(tool),
        "help": _inspect.getdoc(tool) or "",
        "parameters": [_parameter(name, p) for p in parameters(tool)],
        "derived": [asdict(derived) for derived in DERIVED.get(name, ())],
    }


def _parameter(tool: str, p: Parameter) -> dict[str, Any]:
    return {
        "name": p.name,
        "flag": None if p.required else f"--{p.name.replace('_', '-')}",
        "label": word_for(tool, p.name),
        "first": shown_first(tool, p),
        "type": p.type.__name__.lower(),
        "many": p.many,
        "default": None if p.required else p.default,
        **asdict(p.input),
    }
