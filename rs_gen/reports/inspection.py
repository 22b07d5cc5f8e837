"""What a raster, a model, a folder of chips or a job holds, and how it was made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import RasterError
from ..raster.reader import RasterReader
from ..raster.stac import beside, file_facts, own_tags, read_item
from ..translate.status import manifest_in, status

_MODELS = (".emd", ".dlpk")


def inspect_path(path: str | Path) -> dict[str, Any]:
    """What is at ``path``, told by its kind.

    Raises:
        RasterError: There is nothing there, or a file that is no raster.
        PackageError: A model that can't be read.
        LayoutError: A folder that holds neither a model, nor a job, nor chips.
    """
    path = Path(path)
    if not path.exists():
        raise RasterError(f"{path} does not exist")
    if path.suffix.lower() in _MODELS or (path.is_dir() and _holds_a_model(path)):
        return _model(path)
    if (job := manifest_in(path)) is not None:
        return status(job)
    return _chips(path) if path.is_dir() else _raster(path)


def _holds_a_model(path: Path) -> bool:
    """Whether a folder has a definition and weights, ours or those of arcgis.learn."""
    weights = any(any(path.glob(f"*{ending}")) for ending in (".safetensors", ".pth"))
    return weights and any(path.glob("*.emd"))


def _raster(path: Path) -> dict[str, Any]:
    with RasterReader(path, palette="ids") as reader:
        grid, made = reader.grid, own_tags(reader.tags)
        return {
            "kind": "raster",
            "path": str(path),
            "size": f"{grid.shape[1]} x {grid.shape[0]} px",
            "bands": list(reader.names),
            "dtype": reader.dtype,
            "nodata": reader.nodata,
            "masked": reader.has_mask,
            "crs": str(grid.crs) if grid.crs else None,
            "resolution": f"{grid.resolution[0]:g} x {grid.resolution[1]:g}",
            "ground resolution (m)": grid.ground_resolution,
            "bounds": list(grid.bounds),
            "transform": list(grid.transform)[:6],
            "blocks": f"{reader.block[1]} x {reader.block[0]} px",
            "colours": list(reader.colors),
            "synthetic imagery": "synthetic" in made,
            "made by rs_gen": made or None,
            "classes": made.get("parameters", {}).get("classes") if made else None,
            "STAC item": _item(path),
        }


def _item(path: Path) -> dict[str, Any] | None:
    """What the item beside a raster says, and whether it is still about this file."""
    held = read_item(path)
    if held is None:
        return None
    data = held.get("assets", {}).get("data", {})
    facts = file_facts(path)
    same = all(data.get(name) == value for name, value in facts.items())
    source = [link["href"] for link in held.get("links", []) if link["rel"] == "derived_from"]
    return {
        "path": str(beside(path)),
        "is of this file": same,
        "datetime": held["properties"].get("datetime"),
        "datetime is": held["properties"].get("rs_gen:datetime_is"),
        "source": source[0] if source else None,
        "polygons": [a["href"] for name, a in held["assets"].items() if name != "data"],
    }


def _model(path: Path) -> dict[str, Any]:
    from ..games.learn import described, read_definition
    from ..games.package import read_card, read_item

    foreign = read_definition(path)
    if foreign is not None:
        return {"path": str(path), **described(foreign)}
    item = read_item(path)
    digests = item["properties"].get("rs_gen:model_digest") if item else None
    told = {"makes synthetic imagery": True, "model digest": digests}
    return {"kind": "model", "path": str(path), **told, **read_card(path).to_dict()}


def _chips(path: Path) -> dict[str, Any]:
    from ..chips.index import read_card
    from ..chips.layouts import find_layout

    layout = find_layout(path)
    found = {
        "kind": "chips",
        "path": str(path),
        "layout": layout.name,
        "pairing": layout.kind,
        "chips in A": len(layout.a),
        "chips in B": len(layout.b),
        "validation chips": [len(layout.valid_a), len(layout.valid_b)],
    }
    card = read_card(path)
    return {**found, "card": card} if card else found
