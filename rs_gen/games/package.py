"""A game on disk: a folder, or the same as a ``.dlpk``, that a GIS can list and no one can abuse.

``NAME/NAME.emd`` holds the card, ``NAME.safetensors`` the weights, ``NAME.md`` the card as a page
to read, ``NAME.stac.json`` a STAC item, ``ModelCharacteristics/`` pictures. The object ``rs_gen``
in the EMD is the one source of truth; the other keys are there for programs that know only EMDs.
Nothing is unpickled or executed.
"""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import torch

from ..errors import PackageError, SettingError, UnknownNameError
from . import weights
from .archive import SMALL, Archive, is_plain, open_archive, write_zip
from .base import Game
from .card import Card, page
from .emd import definition
from .hosting import BESIDE, FUNCTION, programs
from .mlm import model_item
from .reference import Reference
from .weights import Statistics

__all__ = ["FORMAT", "Card", "Package", "Statistics", "load", "read_card", "save"]

FORMAT = 1
PICTURES = "ModelCharacteristics"


class Package(NamedTuple):
    """What ``load`` gives.

    Attributes:
        game: In eval mode.
        card: What the weights are for.
        statistics: Direction to norm layer to (mean, var), (1, C, 1, 1) each, as ``freeze`` takes
            them; empty where none were stored.
        references: Direction to what the training chips looked like; empty likewise.
        judged: Whether the discriminators came with the weights; else they are new.
    """

    game: Game
    card: Card
    statistics: Statistics
    references: Mapping[str, Reference] = MappingProxyType({})
    judged: bool = True


def save(
    path: str | Path,
    game: Game,
    card: Card,
    *,
    statistics: Statistics | None = None,
    pictures: Mapping[str, bytes | Path] | None = None,
    function: Path | None = None,
    keep_discriminators: bool = True,
    references: Mapping[str, Reference] | None = None,
    overwrite: bool = False,
) -> Path:
    """Save a model as a folder, or as a ``.dlpk`` where the path ends so. Whole or not at all.

    A model that was there is replaced; files in its folder that are not the model's stay.

    Args:
        path: ``models/NAME`` or ``models/NAME.dlpk``.
        game: The networks.
        card: What they are for. Its model, settings, statistics and version are set from the game.
        statistics: Direction to norm layer to (mean, var), as ``gathering`` gives them.
        pictures: File name to PNG bytes, or the path of a picture.
        function: Another Python raster function to put beside the EMD, for ArcGIS; None is ours,
            where it can run the model. Never run by rs_gen.
        keep_discriminators: Save them too, so that training can go on. False halves the file.
        references: Direction to what the training chips looked like; see ``translate.drift``.
        overwrite: Also replace what is not an rs_gen model.

    Raises:
        PackageError: Something else lies at the path.
        SettingError: A weight is not finite, or card, statistics or pictures do not fit.
    """
    path = Path(path)
    packed = path.suffix.lower() == ".dlpk"
    if path.suffix.lower() in (".emd", ".safetensors", ".pth") or not path.name:
        raise SettingError(f"{path} is not a place for a model; give a folder or a .dlpk")
    _check_free(path, overwrite)
    name = path.stem if packed else path.name
    statistics = statistics or {}
    card = _completed(card, game, statistics)
    files = {f"{name}.safetensors": weights.pack(game, statistics, keep_discriminators, references)}
    files[f"{name}.md"] = page(card, name).encode()
    files |= {f"{PICTURES}/{k}": v for k, v in _pictures(pictures or {}).items()}
    hosted = programs(game, card, statistics)
    if function is None and hosted.programs:
        function = FUNCTION
        files |= {part.name: part.read_bytes() for part in BESIDE}
    if function is not None:
        files[function.name] = function.read_bytes()
    emd = definition(card, f"{name}.safetensors", function.name if function else None)
    emd["rs_gen"] = {"format": FORMAT, "card": card.to_dict(), **hosted._asdict()}
    files[f"{name}.emd"] = json.dumps(emd, indent=4, allow_nan=False).encode()
    item = model_item(card, name, game, files)
    files[f"{name}.stac.json"] = json.dumps(item, indent=2, allow_nan=False).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    return _place_zip(path, files) if packed else _place_folder(path, files)


def load(
    path: str | Path, device: str | torch.device = "cpu", *, discriminators: bool = True
) -> Package:
    """A saved model: its folder, its ``.emd`` or its ``.dlpk``.

    Args:
        path: Where it is.
        device: Where the networks should be.
        discriminators: False leaves them out, for a model that is only applied. Where they were
            not saved, they are new.

    Raises:
        PackageError: It is missing, broken, unsafe, newer than this version, or of another program.
        MissingPackageError: Its backbone needs a package that is not installed.
    """
    path = Path(path)
    with open_archive(path) as archive:
        emd, card = _read(archive)
        file = emd.get("ModelFile")
        if not is_plain(file) or not str(file).endswith(".safetensors"):
            raise PackageError(f"{path}: ModelFile={file!r} is not a .safetensors beside the EMD")
        try:
            held = weights.unpack(archive, str(file), card.model, card.settings)
        except (SettingError, UnknownNameError) as error:
            raise PackageError(f"{path}: {error}") from error
    if not discriminators:
        held.game.discriminators = torch.nn.ModuleDict()
    game = held.game.to(device).eval()
    return Package(game, card, held.statistics, held.references, held.judged and discriminators)


def read_card(path: str | Path) -> Card:
    """The card alone, without the weights.

    Raises:
        PackageError: As for ``load``.
    """
    with open_archive(Path(path)) as archive:
        return _read(archive)[1]


def read_item(path: str | Path) -> dict[str, Any] | None:
    """The STAC item of a saved model; None for one that was saved without.

    Raises:
        PackageError: As for ``load``.
    """
    with open_archive(Path(path)) as archive:
        name = archive.definition().rsplit(".", 1)[0] + ".stac.json"
        if name not in archive.names():
            return None
        try:
            held = json.loads(archive.read(name, SMALL))
        except ValueError:
            return None
    return held if isinstance(held, dict) and isinstance(held.get("properties"), dict) else None


def _read(archive: Archive) -> tuple[dict[str, Any], Card]:
    """The EMD and the card in it."""
    name = archive.definition()
    where = f"{archive.path}: {name}"
    try:
        emd = json.loads(archive.read(name, SMALL))
    except (ValueError, RecursionError) as error:
        raise PackageError(f"{where} is broken: it is not JSON") from error
    held = emd.get("rs_gen") if isinstance(emd, dict) else None
    if not isinstance(held, dict):
        raise PackageError(f"{where} {_foreign(emd)}")
    form = held.get("format")
    if not isinstance(form, int) or isinstance(form, bool) or form < 1:
        raise PackageError(f"{where} is broken: format={form!r}")
    if form > FORMAT:
        raise PackageError(
            f"{where} was saved by a newer rs_gen (format {form}; this one reads {FORMAT}); "
            "update rs_gen"
        )
    try:
        return emd, Card.from_dict(held.get("card", {}))
    except PackageError as error:
        raise PackageError(f"{where}: {error}") from error


def _foreign(emd: Any) -> str:
    """What an EMD that is not ours is, and why it can't be used."""
    emd = emd if isinstance(emd, dict) else {}
    framework, file = str(emd.get("Framework", "")), str(emd.get("ModelFile", ""))
    if framework.startswith("arcgis.learn") or file.endswith(".pth"):
        return (
            f"was saved by arcgis.learn ({emd.get('ModelType')}); its weights are a pickle for "
            "networks that rs_gen does not have, and is not opened; train again on the same chips"
        )
    if "AllTilesStats" in emd or "MetaDataMode" in emd:
        return "describes training chips, not a model; give its folder to prepare_data"
    return f"is not a model of rs_gen (Framework={framework!r})"


def _completed(card: Card, game: Game, statistics: Statistics) -> Card:
    """The card with all that the game itself knows."""
    from .. import __version__

    for side, count, key in (
        ("source", card.source.get("count"), "in_channels"),
        ("target", card.target["count"], "out_channels"),
    ):
        if game.settings.get(key, count) != count:
            raise SettingError(
                f"card: {side} has {count} bands and the game was built with "
                f"{key}={game.settings[key]}"
            )
    return replace(
        card,
        model=game.name,
        settings=game.settings,
        statistics="model" if statistics else "none",
        reach=card.reach or _reach(game),
        version=__version__,
    )


def _reach(game: Game) -> dict[str, Any]:
    from dataclasses import asdict

    from ..networks.reach import reach

    return {
        direction: asdict(reach(game.generator(direction), applied=True))
        for direction in game.directions
    }


def _pictures(pictures: Mapping[str, bytes | Path]) -> dict[str, bytes]:
    for name in pictures:
        if not is_plain(name):
            raise SettingError(f"{name!r} is not a file name for a picture")
    return {k: v.read_bytes() if isinstance(v, Path) else bytes(v) for k, v in pictures.items()}


def _check_free(path: Path, overwrite: bool) -> None:
    """Refuse to replace what is not an rs_gen model."""
    if overwrite or not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    try:
        read_card(path)
    except PackageError as error:
        raise PackageError(
            f"{path} is there and is not an rs_gen model; choose another name or pass "
            "overwrite=True"
        ) from error


def _place_zip(path: Path, files: Mapping[str, bytes]) -> Path:
    part = _part(path)
    try:
        write_zip(part, files)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path


def _place_folder(path: Path, files: Mapping[str, bytes]) -> Path:
    """Write beside the place, then change names, so that there is always one whole model."""
    part, old = _part(path), _part(path)
    try:
        for name, content in files.items():
            (part / name).parent.mkdir(parents=True, exist_ok=True)
            (part / name).write_bytes(content)
        if path.exists():
            path.rename(old)
        try:
            part.rename(path)
        except OSError:
            if old.exists():
                old.rename(path)
            raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
    if old.is_dir():
        _keep_others(old, path)
        shutil.rmtree(old)
    else:
        old.unlink(missing_ok=True)
    return path


def _keep_others(old: Path, new: Path) -> None:
    """Bring over what lay in the folder and is not the model's: logs, checkpoints, a README."""
    for file in old.iterdir():
        if file.name == PICTURES or file.suffix.lower() == ".emd":
            continue
        if not (new / file.name).exists():
            file.rename(new / file.name)


def _part(path: Path) -> Path:
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
