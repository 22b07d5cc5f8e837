"""The state of a run on disk, so that a killed one goes on as if it had not been.

One safetensors file holds all tensors, and in its header, as JSON, everything else: numbers, image
pool, history and the settings that the run was started with. No pickle; whole or not at all. The
dice of every step are a function of (seed, step) and the order of the chips one of (seed, epoch),
so no generator's state has to be kept.
"""
# ruff: noqa: D102 - fastai's events say what they are

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ..errors import PackageError, SettingError
from .callbacks import Part
from .loop import GameLearner
from .optimizers import keep_optimizer, restore_optimizer

log = logging.getLogger(__name__)

FORMAT = 1
STATE = "last.safetensors"
TENSOR = "$tensor"  # stands in the JSON where a tensor was


class SaveState(Part):
    """Write the state of the run now and then, and when it ends.

    Args:
        folder: Gets ``last.safetensors``.
        started_with: Settings that a resumed run must share; JSON.
        every: Steps between writes. None writes so that it takes at most about 3 % of the time.
    """

    order = 95
    SHARE, LEAST = 0.03, 30.0  # of the time; seconds between writes

    def __init__(self, folder: Path, started_with: dict[str, Any], every: int | None = None):
        self.path, self.started_with, self.every = folder / STATE, started_with, every
        self._wait, self._last = self.LEAST, time.monotonic()

    def after_batch(self) -> None:
        if self.training and not self.learn.stopping and self._due():
            self.write(self.learn.epoch, self.learn.batch)

    def after_epoch(self) -> None:
        if self.every is not None or time.monotonic() - self._last >= self._wait:
            self.write(self.learn.epoch + 1, 0)

    def after_fit(self) -> None:
        self.write(self.learn.recipe.last_epoch, 0, finished=True)

    def write(self, epoch: int, batch: int, finished: bool = False) -> None:
        """Write the state of a run that stands before this batch."""
        began = time.monotonic()
        where = {"epoch": epoch, "batch": batch, "finished": finished}
        save_state(self.path, self.learn, where, self.started_with)
        self._last = time.monotonic()
        self._wait = max(self.LEAST, (self._last - began) / self.SHARE)

    def _due(self) -> bool:
        if self.every is not None:
            return self.learn.step % self.every == 0
        return time.monotonic() - self._last >= self._wait


def save_state(
    path: Path, learn: GameLearner, where: dict[str, Any], started_with: dict[str, Any]
) -> None:
    """Write everything that the next step depends on. The file is replaced whole."""
    held: dict[str, Any] = {
        "game": dict(learn.model.state_dict()),
        "memory": take_memory(learn.model),
        "optimizer": keep_optimizer(learn.opt),
        "parts": {part.name: kept for part in _parts(learn) if any(kept := part.keep())},
    }
    where = where | {
        "step": learn.step, "seconds": learn.seconds(), "rate": learn.rate,
        "stopping": learn.stopping, "threads": torch.get_num_threads(), "device": _device(learn),
    }  # fmt: skip
    tensors: dict[str, Tensor] = {}
    facts = _pack(held, tensors, "")
    header = {"rs_gen": FORMAT, "where": where, "started_with": started_with, "held": facts}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_tensors(path, tensors, header)


def take_memory(game: nn.Module) -> dict[str, Any]:
    """What a game remembers beyond its weights, such as an image pool; empty if nothing."""
    return dict(game.memory()) if hasattr(game, "memory") else {}


def write_tensors(path: Path, tensors: dict[str, Tensor], header: dict[str, Any]) -> None:
    """Write tensors and a JSON header as one safetensors file, whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    ready = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
    try:
        save_file(ready, part, metadata={"rs_gen": json.dumps(header)})
        with part.open("rb+") as written:
            os.fsync(written.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and header of a file that ``write_tensors`` made.

    Raises:
        PackageError: It is something else, broken, or of a newer version.
    """
    try:
        with safe_open(path, framework="pt") as opened:
            header = json.loads((opened.metadata() or {})["rs_gen"])
            tensors = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118
        version = header["rs_gen"]
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise PackageError(f"{path} is not the state of an rs_gen training") from error
    if version > FORMAT:
        raise PackageError(f"{path} was written by a newer rs_gen (format {version})")
    return tensors, header


def read_header(path: Path) -> dict[str, Any]:
    """The header alone, without reading tensors. As ``read_tensors``."""
    try:
        with safe_open(path, framework="pt") as opened:
            return dict(json.loads((opened.metadata() or {})["rs_gen"]))
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise PackageError(f"{path} is not the state of an rs_gen training") from error


class RestoreState(Part):
    """Take up a state that was written, once the parts have made themselves ready for the run.

    Args:
        path: What ``SaveState`` wrote.
        started_with: The settings of this run; they must be those of the state.
    """

    order = 99

    def __init__(self, path: Path, started_with: dict[str, Any]):
        self.tensors, self.header = read_tensors(path)
        check_same(path, self.header["started_with"], started_with)

    def before_fit(self) -> None:
        learn, where = self.learn, self.header["where"]
        held = _unpack(self.header["held"], self.tensors)
        learn.model.load_state_dict(held["game"])
        if held["memory"]:
            learn.model.load_memory(held["memory"])
        restore_optimizer(learn.opt, held["optimizer"])
        for part in _parts(learn):
            if part.name in held["parts"]:
                part.restore(*held["parts"][part.name])
        learn.first_epoch, learn.first_batch = where["epoch"], where["batch"]
        learn.step, learn.rate, learn.stopping = where["step"], where["rate"], where["stopping"]
        learn.seconds_before = where["seconds"]
        self.tensors = {}
        then = f"{where['threads']} threads on {where['device']}"
        now = f"{torch.get_num_threads()} threads on {_device(learn)}"
        if then != now:
            log.warning("the run ran with %s, this one with %s: last digits may differ", then, now)


def check_same(path: Path, then: dict[str, Any], now: dict[str, Any]) -> None:
    """Refuse to go on with other data or settings than a run was started with.

    Raises:
        SettingError: Names everything that changed.
    """
    then, now = dict(_leaves(then)), dict(_leaves(json.loads(json.dumps(now))))
    changed = [
        f"{name} was {then.get(name, 'not set')}, is {now.get(name, 'not set')}"
        for name in sorted({*then, *now})
        if then.get(name) != now.get(name)
    ]
    if changed:
        raise SettingError(
            f"{path} can't be resumed: {'; '.join(changed)}. Use the settings and data of then, "
            f"or resume=False to start again"
        )


def _device(learn: GameLearner) -> str:
    return next(learn.model.parameters()).device.type


def _parts(learn: GameLearner) -> Iterator[Part]:
    return (part for part in learn.cbs if isinstance(part, Part))


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{name}.{key}" if name else str(key))
    else:
        yield name, value


def _pack(value: Any, tensors: dict[str, Tensor], name: str) -> Any:
    """JSON for nested dicts and lists; tensors move to ``tensors`` under their dotted place."""
    if isinstance(value, Tensor):
        tensors[name] = value
        return {TENSOR: name}
    if isinstance(value, dict):
        return {key: _pack(inner, tensors, f"{name}/{key}") for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_pack(inner, tensors, f"{name}/{i}") for i, inner in enumerate(value)]
    return value


def _unpack(value: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, dict):
        if TENSOR in value:
            return tensors[value[TENSOR]]
        return {key: _unpack(inner, tensors) for key, inner in value.items()}
    if isinstance(value, list):
        return [_unpack(inner, tensors) for inner in value]
    return value
