"""Holds STAC items against the schemas, without a network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pystac
from pystac.validation.stac_validator import JsonSchemaSTACValidator

FOLDER = Path(__file__).parent / "schemas"
ADDRESS = "https://stac-extensions.github.io/{}/{}/schema.json"


def valid(item: dict[str, Any]) -> pystac.Item:
    """The item as pystac reads it, once core and every extension that it names are satisfied."""
    validator = JsonSchemaSTACValidator()
    for path in FOLDER.glob("*.json"):
        schema = json.loads(path.read_text(encoding="utf-8"))
        validator.schema_cache[ADDRESS.format(*path.stem.split("-", 1))] = schema
    read = pystac.Item.from_dict(item, preserve_dict=True)
    seen = read.validate(validator=validator)
    assert len(seen) == 1 + len(item["stac_extensions"])
    return read
