"""What a saved model says of itself, read without torch: the card in its ``.emd``."""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

_MOST = 16 * 2**20  # bytes of an .emd that are read


@dataclass(frozen=True)
class Model:
    """A saved model, as far as a dialog needs to know it.

    Attributes:
        directions: That it translates in; empty for one that draws images from noise.
        bands: Direction to the bands that it takes.
        metres: Direction to the ground size of a pixel that it was trained on; None if unknown.
    """

    directions: tuple[str, ...]
    bands: dict[str, int]
    metres: dict[str, float | None]


class NoModelError(ValueError):
    """A file is not a model that rs_gen can use; the text says why and what to do."""


def model_of(path: str) -> Model:
    """The model at a path: an ``.emd``, a ``.dlpk``, or a folder with one ``.emd``.

    Raises:
        NoModelError: It is none of ours.
    """
    file = Path(path)
    try:
        return _read(str(file), file.stat().st_mtime_ns)
    except OSError as error:
        raise NoModelError(f"{file.name} can't be read ({error.strerror or error})") from error


@lru_cache(maxsize=32)
def _read(path: str, _changed: int) -> Model:
    text = _definition(Path(path))
    try:
        emd = json.loads(text)
        card = emd["rs_gen"]["card"] if isinstance(emd, dict) and "rs_gen" in emd else None
        if card is None:
            raise NoModelError(_foreign(emd, Path(path).name))
        sides = {"AtoB": card["source"], "BtoA": card["target"]}
        directions = tuple(d for d in sides if d in card.get("reach", {})) or ("AtoB",)
        directions = directions if card["source"] else ()
        return Model(
            directions,
            {d: int(sides[d]["count"]) for d in directions},
            {d: _metres(sides[d].get("resolution")) for d in directions},
        )
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
        raise NoModelError(f"{Path(path).name} is broken; save the model again") from error


def _definition(path: Path) -> str:
    """The text of the one ``.emd``."""
    if path.suffix.lower() == ".dlpk":
        try:
            with zipfile.ZipFile(path) as held:
                names = [n for n in held.namelist() if n.lower().endswith(".emd")]
                if len(names) != 1:
                    raise NoModelError(f"{path.name} holds {len(names)} .emd files; one is needed")
                with held.open(names[0]) as file:
                    return file.read(_MOST).decode("utf-8", "replace")
        except zipfile.BadZipFile as error:
            raise NoModelError(f"{path.name} is no .dlpk; copy it again") from error
    if path.is_dir():
        found = sorted(path.glob("*.emd"))
        if len(found) != 1:
            raise NoModelError(f"{path.name} holds {len(found)} .emd files; choose one")
        path = found[0]
    with path.open("rb") as file:
        return file.read(_MOST).decode("utf-8", "replace")


def _foreign(emd: object, name: str) -> str:
    held = emd if isinstance(emd, dict) else {}
    if str(held.get("Framework", "")).startswith("arcgis.learn"):
        return (
            f"{name} was saved by arcgis.learn ({held.get('ModelType')}); use it with Pro's own "
            "tools, or train again on the same chips with Train Image Translation Model"
        )
    if "AllTilesStats" in held or "MetaDataMode" in held:
        return f"{name} describes training chips, not a model; train one on its folder first"
    return f"{name} is not a model of rs_gen; choose one that Train Image Translation Model made"


def _metres(resolution: object) -> float | None:
    values = resolution if isinstance(resolution, list) else [resolution]
    numbers = [float(v) for v in values if isinstance(v, int | float)]
    return sum(numbers) / len(numbers) if numbers else None
