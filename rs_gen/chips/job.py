"""An export as a job: what it is asked to do, and how far it has come.

The journal is a file of JSON lines: first the job, then a line for each finished run of chips. A
line is written only after its chips are, and chips get their names only once they are whole; so
what the journal names can be trusted after any interruption.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from ..errors import LayoutError, SettingError
from .index import CARD, INDEX, read_card

JOURNAL = ".chips.journal"
#: Folders of chips by style, side A first.
FOLDERS = {
    "rs_gen": ("train_a", "train_b"),
    "esri_pairs": ("images", "images2"),
    "esri_cyclegan": ("A/images", "B/images"),
    "classes": (),
}
_FILES = (CARD, INDEX, JOURNAL)
_ESRI = ("map.txt", "stats.txt", "esri_accumulated_stats.json", "esri_model_definition.emd")


def fingerprint(path: Path) -> dict[str, Any]:
    """What tells a file from an older version of itself."""
    known: dict[str, Any] = {"path": path.as_posix()}
    if path.exists():  # not so for a remote raster
        status = path.stat()
        known = {"path": path.resolve().as_posix(), "bytes": status.st_size,
                 "modified": status.st_mtime_ns}  # fmt: skip
    return known


def plain(**settings: Any) -> dict[str, Any]:
    """Settings as JSON keeps them, so that a stored job equals a new one."""
    return dict(json.loads(json.dumps(settings)))


def prepare(out: Path, job: dict[str, Any], inputs: Sequence[Path], *, overwrite: bool) -> None:
    """Make ``out`` ready for the job: empty, or with what the same job left there.

    Args:
        out: Folder of the dataset.
        job: What is asked for.
        inputs: Files that are read, which overwriting must spare.
        overwrite: Remove what another export left.

    Raises:
        SettingError: The folder holds another job's chips (what differs is named), or chips of
            unknown origin, or the inputs lie where the chips would go.
    """
    if out.is_file():
        raise SettingError(f"{out} is a file; give a folder for the chips")
    before = _earlier(out, lenient=overwrite)
    names = {name for j in (job, before) if j for name in _written(j)}
    taken = [name for name in sorted(names) if (out / name).exists()]
    within = [path for path in inputs for name in taken if _inside(path, out / name)]
    if within:
        raise SettingError(f"{within[0]} lies where the chips would go; choose another folder")
    if overwrite:
        for path in (out / name for name in taken):
            if not _inside(path, out):  # a stranger's card may name any path
                continue
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    elif taken:
        _refuse_other(out, job, before)
    out.mkdir(parents=True, exist_ok=True)


class Journal:
    """The journal of a job, open for more lines.

    Args:
        out: Folder of the dataset, which :func:`prepare` made ready.
        job: What is asked for.

    Attributes:
        done: The finished runs of an earlier, interrupted export, by their key.
    """

    def __init__(self, out: Path, job: dict[str, Any]) -> None:
        self._path = out / JOURNAL
        self.done: dict[tuple[Any, ...], dict[str, Any]] = {}
        whole = [{"job": job}]
        for line in list(_lines(self._path))[1:]:
            self.done[tuple(line["key"])] = line
            whole.append(line)
        part = self._path.with_name(self._path.name + ".part")
        part.write_text("".join(json.dumps(line) + "\n" for line in whole), "utf-8")
        part.replace(self._path)
        self._file = self._path.open("a", encoding="utf-8")

    def add(self, key: tuple[Any, ...], **content: Any) -> None:
        """Note a finished run."""
        self._file.write(json.dumps({"key": key, **content}) + "\n")
        self._file.flush()

    def remove(self) -> None:
        """The export is complete."""
        self._file.close()
        self._path.unlink()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._file.close()


def _earlier(out: Path, *, lenient: bool) -> dict[str, Any] | None:
    """The job whose chips the folder holds, finished or not."""
    journal = next(_lines(out / JOURNAL), None)
    if journal is not None:
        return dict(journal["job"])
    try:
        card = read_card(out)
    except LayoutError:
        if lenient:
            return None
        raise
    job = ((card or {}).get("provenance") or {}).get("job")
    return dict(job) if job else None


def _written(job: dict[str, Any]) -> Iterator[str]:
    """Names of the files and folders that a job writes."""
    style = str(job.get("style"))
    yield from _FILES
    yield from FOLDERS.get(style, ())
    yield from job.get("classes", ()) if style == "classes" else ()
    if style == "esri_pairs":
        yield from _ESRI
    elif style == "esri_cyclegan":
        yield from (f"{side}/{name}" for side in "AB" for name in _ESRI)


def _refuse_other(out: Path, job: dict[str, Any], before: dict[str, Any] | None) -> None:
    if before is None:
        raise SettingError(
            f"{out} holds chips that this export did not write; choose another folder, or pass"
            " overwrite=True to remove them"
        )
    changed = _changes(before, plain(**job))
    if changed:
        raise SettingError(
            f"{out} holds the chips of another export ({'; '.join(changed)}); choose another"
            " folder, or pass overwrite=True to start anew"
        )


def _changes(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    changes: list[str] = []
    for key in sorted({*before, *now}):
        old, new = before.get(key), now.get(key)
        if old == new:
            continue
        if key in ("sources", "targets", "area") and old and new:
            changes += _changed_files(key, _as_list(old), _as_list(new))
        else:
            changes.append(f"{key} was {old!r} and is now {new!r}")
    return changes


def _changed_files(key: str, old: list[dict[str, Any]], new: list[dict[str, Any]]) -> Iterator[str]:
    before, now = ({f["path"]: f for f in files} for files in (old, new))
    for path in {**before, **now}:
        if path not in now:
            yield f"{key}: {path} is gone"
        elif path not in before:
            yield f"{key}: {path} is new"
        elif before[path] != now[path]:
            yield f"{key}: {path} was modified"
    if list(before) != list(now) and set(before) == set(now):
        yield f"{key}: their order changed"


def _as_list(value: Any) -> list[dict[str, Any]]:
    return value if isinstance(value, list) else [value]


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """The whole lines of a journal; what follows a torn one is not trusted."""
    if not path.exists():
        return
    for text in path.read_text("utf-8", errors="replace").splitlines():
        try:
            yield json.loads(text)
        except ValueError:
            return


def _inside(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())
