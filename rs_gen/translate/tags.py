"""What an output says about itself: that it is synthetic, which model made it, and how."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from rasterio.windows import Window

from .. import __version__
from ..errors import RasterError
from ..networks.digest import digest
from ..raster.identity import digest_of
from ..raster.reader import RasterReader
from .engine import Engine
from .plan import Plan
from .statistics import recorded_kind

if TYPE_CHECKING:
    from .classes import Classes
    from .translator import Translator

_LONG = 400  # characters of a polygon in a tag
SYNTHETIC = "imagery made by a generative model, not measured"


def made_by(
    translator: Translator, raster: str | Path, engine: Engine, plan: Plan, statistics: str,
    *, asked: Mapping[str, Any] | None = None,
) -> dict[str, str]:  # fmt: skip
    """Tags for whoever finds the output: ``RS_GEN_...`` to text.

    Nothing in them depends on when it was made, so that the same run gives the same bytes.

    Args:
        translator: Which made it.
        raster: From which it was made.
        engine: Gives the precision.
        plan: Gives tile and halo.
        statistics: The kind asked for.
        asked: Other options that change pixels, as ``asked_for`` gives them.
    """
    found = translator.reach
    tags = {
        "synthetic": SYNTHETIC,
        "version": __version__,
        "model": translator.name,
        "model_digest": digest(translator.generator),
        "direction": translator.direction,
        "source": Path(raster).name,
        "source_digest": _digest(raster),
        "statistics": recorded_kind(translator.generator, statistics),
        "reach": f"{found.left},{found.right}",
        "phase": found.phase,
        "tile_size": plan.core,
        "halo": plan.halo,
        "precision": str(engine.dtype or torch.float32).removeprefix("torch."),
        "tiling": "exact" if found.exact else f"approximate: {found.reason}",
    }
    if asked:
        tags["parameters"] = json.dumps(asked, sort_keys=True, ensure_ascii=False)
    return {f"RS_GEN_{key.upper()}": str(value) for key, value in tags.items()}


def asked_for(
    reader: RasterReader, classes: Classes | None = None, **options: Any
) -> dict[str, Any]:
    """What changes pixels as JSON can hold it: the bands that are read, classes and options.

    Options that are None, False or empty are left out.
    """
    given = {name: _plain(value) for name, value in options.items() if _says(value)}
    if "area" not in given:
        given.pop("area_mode", None)
    if classes is not None:
        given["classes"] = {str(drawn.id): drawn.name for drawn in classes.legend}
    return {"bands": list(reader.names), **given}


def _says(value: Any) -> bool:
    return value is not None and value is not False and value not in ("", [], ())


def _plain(value: Any) -> Any:
    """An option as JSON can hold it. Files go by name: where they lay is nobody's business."""
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, Window):
        return list(value.flatten())
    if hasattr(value, "wkt"):
        return _told(value)
    if isinstance(value, bool | int | float):
        return value
    path = Path(value)
    held = path.parent.suffix.lower() in (".gdb", ".gpkg")  # a layer
    return f"{path.parent.name}/{path.name}" if held else path.name


def _told(area: Any) -> str:
    """A polygon as text where that is short, else its digest."""
    text: str = area.wkt
    if len(text) <= _LONG:
        return text
    return f"{area.geom_type} sha256 {hashlib.sha256(area.wkb).hexdigest()[:16]}"


def _digest(raster: str | Path) -> str:
    """Of the file as it is: all bands, on its own grid."""
    try:
        with RasterReader(raster) as stored:
            return digest_of(stored)
    except RasterError:  # of a job that leaves out what is damaged
        return "unknown, because a part of it can't be read"
