"""A card as a STAC item with the machine learning model extension, for catalogues of models.

Plain JSON by the specification, so that writing one needs no package; the tests hold it against
the schema. Nothing in it tells when it was made: the same model is the same bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from ..networks.digest import digest
from .base import Game
from .card import Card

VERSION = "1.1.0"
EXTENSIONS = (
    "https://stac-extensions.github.io/mlm/v1.5.2/schema.json",
    "https://stac-extensions.github.io/file/v2.1.0/schema.json",
    "https://stac-extensions.github.io/processing/v1.2.0/schema.json",
)
# A model is of no moment: the extension's own examples say so by a span that holds all.
_ALWAYS = {
    "datetime": None,
    "start_datetime": "1900-01-01T00:00:00Z",
    "end_datetime": "9999-12-31T23:59:59Z",
}
_SHA256 = "1220"  # how a multihash says that 32 bytes of SHA-256 follow
_TASKS = ["generative"]  # the list of the extension has no image translation


def model_item(card: Card, name: str, game: Game, files: Mapping[str, bytes]) -> dict[str, Any]:
    """The item of a saved model.

    Args:
        card: What the model is for, complete.
        name: Of the model, and of its files.
        game: Its networks; the digests of the generators are those in the outputs' tags.
        files: What is saved, by file name; weights, EMD and page become assets.
    """
    sides = {"A": card.source, "B": card.target} if card.source else {"B": card.target}
    bands = [{"name": band} for side in sides for band in _bands(side, sides[side])]
    assets = _assets(name, files)
    assets["weights"]["bands"] = bands  # or the item could not list them
    return {
        "type": "Feature",
        "stac_version": VERSION,
        "stac_extensions": list(EXTENSIONS),
        "id": name,
        "geometry": None,
        "properties": {
            **_ALWAYS,
            "title": name,
            "description": f"A {card.model} model that makes synthetic imagery: {card.task}, "
            f"trained on chips of {card.size} px.",
            "license": "other",
            "bands": bands,
            "processing:software": {"rs_gen": card.version},
            **_model(card, name, game, sides),
            **_ours(card, game),
        },
        "links": [],
        "assets": assets,
    }


def _model(
    card: Card, name: str, game: Game, sides: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """The fields of the extension. Directions are inputs and outputs in one order."""
    ways = game.directions
    inputs = [_input(way, way[0], sides[way[0]], card.size) for way in ways]
    outputs = [_output(way, way[-1], sides[way[-1]], card.size) for way in ways]
    weights = sum(p.numel() for net in game.generators.values() for p in net.parameters())
    return {
        "mlm:name": name,
        "mlm:architecture": f"{card.model}, {card.settings.get('generator', 'generator')}",
        "mlm:tasks": _TASKS,
        "mlm:framework": "pytorch",
        "mlm:total_parameters": weights,
        "mlm:accelerator": None,
        "mlm:accelerator_constrained": False,
        "mlm:hyperparameters": {
            key: value for key, value in card.settings.items() if value is not None
        } or {"generator": "unknown"},
        "mlm:input": inputs or [_noise(game)],
        "mlm:output": outputs or [_output("images", "B", card.target, card.size)],
    }  # fmt: skip


def _input(way: str, side: str, held: Mapping[str, Any], size: int) -> dict[str, Any]:
    stretch = held["stretch"]
    linear = stretch.get("scale", "linear") == "linear"
    scaling = [
        {"type": "processing", "format": "python",
         "expression": f"{'x' if linear else '10 * log10(x)'} in [{low:g}, {high:g}] to [-1, 1], "
         "cut off at both ends"}
        for low, high in zip(stretch["low"], stretch["high"], strict=True)
    ]  # fmt: skip
    return {
        "name": f"{way}: {side}",
        "bands": _bands(side, held),
        "input": _array(held, size),
        "value_scaling": scaling,
        "resize_type": None,
    }


def _noise(game: Game) -> dict[str, Any]:
    """What a generator starts from where there is no image."""
    return {
        "name": "noise",
        "bands": [],
        "input": {"shape": [-1, int(game.settings.get("z_dim", 1))],
                  "dim_order": ["batch", "channels"], "data_type": "float32"},
        "resize_type": None,
    }  # fmt: skip


def _output(way: str, side: str, held: Mapping[str, Any], size: int) -> dict[str, Any]:
    return {
        "name": f"{way}: {side}",
        "tasks": _TASKS,
        "description": "Synthetic imagery, made by a generative model and not measured.",
        "bands": _bands(side, held),
        "result": _array(held, size),
        "post_processing_function": {
            "format": "python", "expression": "[-1, 1] to the stored values of the target",
        },
    }  # fmt: skip


def _array(held: Mapping[str, Any], size: int) -> dict[str, Any]:
    """As a network takes it; -1 is any number of images."""
    return {
        "shape": [-1, held["count"], size, size],
        "dim_order": ["batch", "bands", "height", "width"],
        "data_type": "float32",
    }


def _bands(side: str, held: Mapping[str, Any]) -> list[str]:
    """Names that are unlike on both sides."""
    names = list(held.get("names") or [])
    known = all(names) and len(set(names)) == len(names) == held["count"]
    return [f"{side}:{names[i] if known else i + 1}" for i in range(held["count"])]


def _ours(card: Card, game: Game) -> dict[str, Any]:
    """What the extension has no word for."""
    held: dict[str, Any] = {
        "rs_gen:synthetic_imagery": True,
        "rs_gen:model_digest": {way: digest(net) for way, net in game.generators.items()},
        "rs_gen:statistics": card.statistics,
        "rs_gen:reach": card.reach,
        "rs_gen:metrics": card.metrics,
        "rs_gen:training": card.training,
    }
    if card.licence:
        held["rs_gen:licence"] = card.licence
    return held


def _assets(name: str, files: Mapping[str, bytes]) -> dict[str, Any]:
    """Weights, EMD and page, with size and digest."""
    kinds = {
        f"{name}.safetensors": ("weights", {
            "type": "application/octet-stream; application=safetensors",
            "roles": ["mlm:model", "mlm:weights"],
            "mlm:artifact_type": "safetensors.torch.save_file",
        }),
        f"{name}.emd": ("definition", {"type": "application/json", "roles": ["metadata"]}),
        f"{name}.md": ("card", {"type": "text/markdown", "roles": ["metadata"]}),
    }  # fmt: skip
    return {
        key: {
            "href": f"./{file}", "title": file, **kind, "file:size": len(files[file]),
            "file:checksum": _SHA256 + hashlib.sha256(files[file]).hexdigest(),
        }
        for file, (key, kind) in kinds.items()
        if file in files
    }  # fmt: skip
