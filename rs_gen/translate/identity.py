"""Whether a job that goes on is still the job that was begun: its sources, model, options, code."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .. import __version__
from ..errors import RasterError
from ..networks.digest import digest
from ..raster.opening import opened
from .translator import Translator

_HEADER = 2**16  # bytes from the start of a file that go into its digest
_SAMPLES, _SAMPLE = 16, 2**12  # so many pieces of so many bytes, spread over the rest
_FILES = 64  # of a mosaic whose bytes are sampled; of the others size and time must do


def identity_of(path: Path) -> dict[str, Any]:
    """Size, time and digest of a raster and of the files that it is made of (a VRT's sources).

    The digest is of the header and of sampled blocks, so that it costs the same for any size.
    """
    files = _files(path)
    found = [_size_and_time(file) for file in files]
    sha = hashlib.sha256()
    for file in files[:_FILES]:
        for piece in _pieces(file):
            sha.update(piece)
    return {
        "size": sum(size for size, _ in found),
        "mtime": max(time for _, time in found),
        "times": _short(json.dumps(found)),
        "digest": sha.hexdigest()[:16],
    }


def facts_of(translator: Translator, options: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What must stay the same for a job's blocks to fit each other."""
    sides = {"source": translator.source, "target": translator.target}
    return {
        "model": {
            "weights": digest(translator.generator),
            "card": _short(repr({**sides, "size": translator.size})),
            "norm statistics": _statistics(translator),
        },
        "option": dict(options),
        "code": {"rs_gen": __version__, "its files": code_digest(), "torch": torch.__version__},
    }


def changes(before: Mapping[str, Any], now: Mapping[str, Any], name: str = "") -> Iterator[str]:
    """Each thing that differs, with what it was and what it is."""
    for key in sorted({*before, *now}):
        old, new = before.get(key), now.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from changes(old, new, f"{name}{key} ")
        elif old != new:
            yield f"{name}{key} was {old} and is {new}"


@cache
def code_digest() -> str:
    """Sixteen digits that change with any line of the code that decides about pixels."""
    root = Path(__file__).parents[1]
    sha = hashlib.sha256()
    for room in ("raster", "networks", "games", "translate"):
        for file in sorted((root / room).glob("*.py")):
            sha.update(file.read_bytes())
    return sha.hexdigest()[:16]


def _files(path: Path) -> list[Path]:
    try:
        with opened(path) as dataset:
            named = [Path(name) for name in dataset.files]
    except RasterError:  # planning says what is wrong with it
        named = []
    return [path, *sorted(file for file in named if file.exists() and file != path)]


def _size_and_time(file: Path) -> tuple[int, int]:
    try:
        found = file.stat()
    except OSError:
        return 0, 0
    return found.st_size, found.st_mtime_ns


def _pieces(file: Path) -> Iterator[bytes]:
    if not file.is_file():
        return
    size = file.stat().st_size
    with file.open("rb") as stream:
        yield stream.read(_HEADER)
        if size > _HEADER:
            for place in np.linspace(_HEADER, max(size - _SAMPLE, _HEADER), _SAMPLES, dtype=int):
                stream.seek(int(place))
                yield stream.read(_SAMPLE)


def _statistics(translator: Translator) -> str:
    sha = hashlib.sha256()
    for name, pair in sorted((translator.norms or {}).items()):
        sha.update(name.encode())
        for tensor in pair:
            sha.update(tensor.detach().cpu().numpy().tobytes())
    return sha.hexdigest()[:16]


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
