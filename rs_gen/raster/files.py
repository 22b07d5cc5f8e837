"""How a file, or a folder of files, gets its name only once it is whole."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import RasterError

_SIDECARS = (".aux.xml", ".ovr", ".msk", "-journal", "-wal", "-shm")


@contextmanager
def whole_or_not(path: str | Path, *, durable: bool = False) -> Iterator[Path]:
    """A hidden path to write to, which takes the name ``path`` when all went well.

    Whatever ends the work early, Ctrl-C too, leaves ``path`` as it was and nothing beside it.
    Sidecars of a file that is replaced (.ovr, .msk, .aux.xml) go with it: they would describe
    other pixels. Missing folders are made.

    Args:
        path: Of the file.
        durable: On return the file and its name are on the disk, not in a cache that a power
            failure would empty.

    Raises:
        RasterError: ``path`` is a folder, or its folder can't be made.
    """
    path = Path(path)
    if path.is_dir():
        raise RasterError(f"{path} is a folder; give the name of a file to write")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RasterError(f"{path.parent} can't be made a folder: {error}") from error
    # The suffix stays last, because some drivers go by it.
    part = path.with_name(f".{path.stem}.part{path.suffix}")
    remove(part)
    try:
        yield part
        if durable:
            sync(part)
        part.replace(path)
        for end in _SIDECARS:
            _beside(path, end).unlink(missing_ok=True)
            if _beside(part, end).exists():
                _beside(part, end).replace(_beside(path, end))
        if durable:
            sync(path.parent)
    finally:
        remove(part)


@contextmanager
def whole_folder_or_not(path: str | Path) -> Iterator[Path]:
    """A hidden folder to fill, which takes the name ``path`` when all went well.

    Whatever ends the work early leaves ``path`` as it was. A folder that was there is replaced,
    with all that is in it: look before.

    Args:
        path: Of the folder; missing ones above it are made.

    Raises:
        RasterError: ``path`` is a file, or can't be made.
    """
    path = Path(path)
    if path.exists() and not path.is_dir():
        raise RasterError(f"{path} is a file; give the name of a folder to write")
    part, old = (path.with_name(f".{path.name}.{end}") for end in ("part", "old"))
    if old.exists() and not path.exists():  # a run was killed between the two renames below
        old.rename(path)
    try:
        shutil.rmtree(part, ignore_errors=True)
        try:
            part.mkdir(parents=True)
        except OSError as error:
            raise RasterError(f"{path} can't be made a folder: {error}") from error
        yield part
        shutil.rmtree(old, ignore_errors=True)
        if path.exists():
            path.rename(old)
        try:
            part.rename(path)
        except OSError:
            if old.exists():
                old.rename(path)
            raise
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def sync(path: Path) -> None:
    """Have the system write a file, or a folder's list of names, to the disk now."""
    if path.is_dir() and os.name == "nt":  # Windows has no such thing, and needs none
        return
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove(path: Path) -> None:
    """Remove a file and what GDAL or SQLite may have put beside it."""
    path.unlink(missing_ok=True)
    for end in _SIDECARS:
        _beside(path, end).unlink(missing_ok=True)


def _beside(path: Path, end: str) -> Path:
    return path.with_name(path.name + end)
