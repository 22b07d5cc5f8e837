"""What stands behind ``rs_gen.pyt``. Standard library and arcpy only; the work runs elsewhere.

Attributes:
    runner: Starts ``rs-gen`` in an environment of its own.
    listing: The tools, and what they are called in a GIS.
    parameters: What a tool's parameter is.
"""

from __future__ import annotations

import importlib
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import TYPE_CHECKING, Any

_HERE = Path(__file__).resolve().parent
_NAMES = ("listing", "parameters", "tools")

__all__ = ["listing", "parameters", "runner", "tools"]


def _from_repository() -> tuple[Any, ...]:
    """The modules where they lie in the repository, three folders up."""
    root = str(_HERE.parents[2])
    if root not in sys.path:
        sys.path.append(root)
    loader = SourceFileLoader(f"{__name__}.runner", str(_HERE.parents[1] / "runner.py"))
    spec = spec_from_loader(loader.name, loader)
    assert spec is not None
    found = module_from_spec(spec)
    loader.exec_module(found)
    return found, *(importlib.import_module(f"rs_gen.{name}") for name in _NAMES)


def _from_wheel() -> tuple[Any, ...]:
    """The copies that the wheel brings along."""
    return tuple(importlib.import_module(f"{__name__}.{name}") for name in ("runner", *_NAMES))


if TYPE_CHECKING:
    import runner

    from rs_gen import listing, parameters, tools
else:
    _found = _from_wheel() if (_HERE / "runner.py").exists() else _from_repository()
    runner, listing, parameters, tools = _found
