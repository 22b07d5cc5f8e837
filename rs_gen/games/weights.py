"""Weights and frozen norm statistics as safetensors, checked before memory is given to them."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_bytes
from safetensors.torch import save as save_bytes
from torch import Tensor

from ..errors import PackageError, RSGenError, SettingError, UnknownNameError
from ..networks.norm import norm_layers
from .archive import SMALL, Archive
from .base import Game
from .reference import Reference
from .registry import create_game

Statistics = dict[str, dict[str, tuple[Tensor, Tensor]]]

_PREFIX = "statistics."
_REFERENCE = "reference."
_DTYPES = {torch.float32: "F32", torch.int64: "I64", torch.uint8: "U8", torch.bool: "BOOL"}


class Unpacked(NamedTuple):
    """What a safetensors file held.

    Attributes:
        game: With its weights.
        statistics: Direction to norm layer to (mean, var).
        references: Direction to what the training chips looked like.
        judged: Whether the discriminators came with the file; else they are new.
    """

    game: Game
    statistics: Statistics
    references: dict[str, Reference]
    judged: bool


def pack(
    game: Game,
    statistics: Statistics,
    discriminators: bool,
    references: Mapping[str, Reference] | None = None,
) -> bytes:
    """The safetensors file of a game.

    Raises:
        SettingError: A weight is not finite, or the statistics are not those of the generators.
    """
    tensors = {}
    for name, tensor in game.state_dict().items():
        if not discriminators and name.startswith("discriminators."):
            continue
        tensors[name] = _plain(tensor)
        if not torch.isfinite(tensors[name]).all():
            raise SettingError(
                f"{name} holds values that are not finite, so this training broke down; "
                "save an earlier state"
            )
    for direction, layers in statistics.items():
        _check_statistics(direction, layers, game)
        for layer, pair in layers.items():
            for kind, tensor in zip(("mean", "var"), pair, strict=True):
                tensors[f"{_PREFIX}{direction}.{layer}.{kind}"] = _plain(tensor)
    for direction, reference in (references or {}).items():
        game.generator(direction)  # there is such a direction
        for part, tensor in reference.tensors().items():
            tensors[f"{_REFERENCE}{direction}.{part}"] = _plain(tensor)
    return save_bytes(tensors)


def unpack(archive: Archive, name: str, model: str, settings: Mapping[str, Any]) -> Unpacked:
    """A game with its weights, and the statistics stored with them.

    The game is first laid out without memory, and the file's header is held against it: settings
    that ask for more than the file brings are refused before anything is allocated.

    Raises:
        PackageError: The file is broken, or does not hold the weights of such a game.
    """
    settings = dict(settings)
    if "pretrained" in settings:
        settings["pretrained"] = False  # weights come from here, and a card names no other file
    plan = _plan(archive, model, settings)
    expected = {key: (tuple(t.shape), _DTYPES[t.dtype]) for key, t in plan.state_dict().items()}
    room = sum(t.numel() * t.element_size() for t in plan.state_dict().values())
    room += SMALL + 8 * sum(m.channels for m in norm_layers(plan).values())
    archive.require(name, room)
    where = f"{archive.path}: {name}"
    _check_header(archive, name, expected)
    try:
        tensors = load_bytes(archive.read(name, room))
    except (SafetensorError, ValueError) as error:
        raise PackageError(f"{where} is broken ({error})") from error
    statistics = _take_statistics(tensors, where)
    references = _take_references(tensors)
    with torch.random.fork_rng(devices=[]):  # the first weights are thrown away, so draw no dice
        game = create_game(model, **settings)
    game.load_state_dict(tensors, strict=False)  # the header was checked name by name
    try:
        for direction, layers in statistics.items():
            _check_statistics(direction, layers, game)
        made = {direction: _reference_of(direction, r, game) for direction, r in references.items()}
    except (SettingError, UnknownNameError) as error:
        raise PackageError(f"{where}: {error}") from error
    judged = any(name.startswith("discriminators.") for name in tensors)
    return Unpacked(game, statistics, made, judged)


def _plan(archive: Archive, model: str, settings: Mapping[str, Any]) -> Game:
    """The game without memory."""
    try:
        with torch.device("meta"):
            return create_game(model, **settings)
    except RSGenError:
        raise
    except Exception as error:  # a setting of the wrong type may break anything in a network
        raise PackageError(
            f"{archive.path}: no {model} can be built with the settings on the card ({error})"
        ) from error


def _check_header(
    archive: Archive, name: str, expected: Mapping[str, tuple[tuple[int, ...], str]]
) -> None:
    """Refuse weights that are not exactly those of the game, discriminators aside."""
    where = f"{archive.path}: {name}"
    found = _header(archive, name)
    held = {k: v for k, v in found.items() if not k.startswith((_PREFIX, _REFERENCE))}
    with_judges = any(k.startswith("discriminators.") for k in held)
    needed = {k for k in expected if with_judges or not k.startswith("discriminators.")}
    if missing := sorted(needed - set(held)):
        raise PackageError(f"{where} lacks {len(missing)} of the game's tensors, as {missing[0]}")
    if unknown := sorted(set(held) - set(expected)):
        raise PackageError(f"{where} has tensors that the game has not, as {unknown[0]}")
    for key, entry in held.items():
        shape, dtype = expected[key]
        if entry != (shape, dtype):
            raise PackageError(
                f"{where}: {key} is {entry[1]} {list(entry[0])} and the game on the card needs "
                f"{dtype} {list(shape)}"
            )


def _header(archive: Archive, name: str) -> dict[str, tuple[tuple[int, ...], str]]:
    """Shape and dtype of every tensor, read without the tensors."""
    where = f"{archive.path}: {name}"
    first = archive.open_bytes(name, 8)
    if len(first) < 8:
        raise PackageError(f"{where} is broken: it is too short for safetensors")
    (length,) = struct.unpack("<Q", first)
    if length > min(SMALL, archive.size(name)):
        raise PackageError(f"{where} is not safetensors: its header would have {length} bytes")
    try:
        header = json.loads(archive.open_bytes(name, 8 + length)[8:])
        header.pop("__metadata__", None)
        return {
            key: (tuple(int(n) for n in entry["shape"]), str(entry["dtype"]))
            for key, entry in header.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise PackageError(f"{where} is not safetensors: its header can't be read") from error


def _take_statistics(tensors: dict[str, Tensor], where: str) -> Statistics:
    """Move the statistics out of the file's tensors."""
    held = {k: tensors.pop(k) for k in list(tensors) if k.startswith(_PREFIX)}
    statistics: Statistics = {}
    for key in held:
        path, _, kind = key.rpartition(".")
        if kind not in ("mean", "var"):
            raise PackageError(f"{where}: {key} is neither a mean nor a var")
        pair = held.get(f"{path}.mean"), held.get(f"{path}.var")
        if pair[0] is None or pair[1] is None:
            raise PackageError(f"{where}: {key} has no twin; mean and var come together")
        direction, _, layer = path.removeprefix(_PREFIX).partition(".")
        statistics.setdefault(direction, {})[layer] = pair[0], pair[1]
    return statistics


def _take_references(tensors: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Move the references out of the file's tensors: direction to part to tensor."""
    references: dict[str, dict[str, Tensor]] = {}
    for key in [k for k in tensors if k.startswith(_REFERENCE)]:
        direction, _, part = key.removeprefix(_REFERENCE).partition(".")
        references.setdefault(direction, {})[part] = tensors.pop(key).float()
    return references


def _reference_of(direction: str, parts: Mapping[str, Tensor], game: Game) -> Reference:
    game.generator(direction)
    return Reference.of(parts)


def _check_statistics(
    direction: str, layers: Mapping[str, tuple[Tensor, Tensor]], game: Game
) -> None:
    norms = norm_layers(game.generator(direction))
    if set(layers) != set(norms):
        odd = sorted(set(layers) ^ set(norms))
        raise SettingError(f"the statistics of {direction} do not fit its norm layers, as {odd[0]}")
    for layer, (mean, var) in layers.items():
        wanted = (1, norms[layer].channels, 1, 1)
        if tuple(mean.shape) != wanted or tuple(var.shape) != wanted:
            raise SettingError(
                f"the statistics of {direction}, {layer} are {tuple(mean.shape)} and "
                f"{tuple(var.shape)}; they must be {wanted}"
            )
        if not (torch.isfinite(mean).all() and torch.isfinite(var).all() and (var >= 0).all()):
            raise SettingError(f"the statistics of {direction}, {layer} are not finite or below 0")


def _plain(tensor: Tensor) -> Tensor:
    """On the CPU, in rows, float32 where it is a float, sharing memory with nothing."""
    tensor = tensor.detach().cpu()
    tensor = tensor.float() if tensor.is_floating_point() else tensor
    return tensor.contiguous().clone()
