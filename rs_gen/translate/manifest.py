"""What a job has done and has still to do: a SQLite file with one row a block.

Only the process that runs the job writes it; anyone may read it meanwhile. It keeps a rollback
journal and ``synchronous=EXTRA``: a commit is on the disk, with the folder's entry, before it
counts. The write-ahead log is left off because it does not work on network file systems.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import DiskFullError, JobError

FORMAT = 1
NAME = "manifest.sqlite"
FOLDER = "job"  # within the folder of the outputs

# A source is planned, then prepared (checked, and its statistics gathered), then assembled; or
# failed. A block is pending, then done or empty (nothing measured in it); or failed.
_TABLES = """
CREATE TABLE job (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE source (
    id INTEGER PRIMARY KEY, path TEXT NOT NULL, out TEXT NOT NULL, state TEXT NOT NULL,
    identity TEXT NOT NULL, plan TEXT, prepared TEXT, statistics BLOB, seconds REAL, note TEXT);
CREATE TABLE block (
    source INTEGER NOT NULL REFERENCES source (id), row INTEGER NOT NULL, col INTEGER NOT NULL,
    height INTEGER NOT NULL, width INTEGER NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL,
    digest TEXT, valid INTEGER, seconds REAL, finished TEXT, worker TEXT, note TEXT,
    PRIMARY KEY (source, row, col)) WITHOUT ROWID;
CREATE INDEX waiting ON block (state, source, row, col);
"""
_PAGE = 512  # rows read at a time, so that a walk over a job of any size stays small


class Source(NamedTuple):
    """A raster of a job.

    Attributes:
        id: Its number, from 1, in the order given.
        path: Where it lies.
        out: Where its output will lie.
        state: "planned", "prepared", "assembled" or "failed".
        identity: What tells whether it changed.
        plan: How it is cut; None where it could not be opened.
        prepared: How its output is stored; None until it was looked at.
        statistics: Of the norm layers, as ``work.pack`` writes them.
        seconds: That preparing it took.
        note: What went wrong.
    """

    id: int
    path: str
    out: str
    state: str
    identity: dict[str, Any]
    plan: dict[str, Any] | None
    prepared: dict[str, Any] | None
    statistics: bytes | None
    seconds: float | None
    note: str | None


class Block(NamedTuple):
    """A rectangle of a raster, computed by one worker in one go.

    Attributes:
        source: Number of the raster.
        row: First row, in pixels of the raster.
        col: First column.
        height: In pixels.
        width: In pixels.
        state: "pending", "done", "empty" or "failed".
        attempts: Times that it was tried.
        digest: SHA-256 of its file.
        valid: Pixels measured.
        seconds: That computing it took.
        finished: When, in UTC.
        worker: Who computed it.
        note: What went wrong.
    """

    source: int
    row: int
    col: int
    height: int
    width: int
    state: str = "pending"
    attempts: int = 0
    digest: str | None = None
    valid: int | None = None
    seconds: float | None = None
    finished: str | None = None
    worker: str | None = None
    note: str | None = None


class Manifest:
    """The record of one job.

    Args:
        path: Of the file.
        fresh: Make a new one; otherwise it must be there.

    Raises:
        JobError: It is missing, is something else, or was written by another version.
        DiskFullError: From any method that writes.
    """

    def __init__(self, path: str | Path, *, fresh: bool = False):
        self.path = Path(path)
        if not fresh and not self.path.exists():
            raise JobError(f"{self.path} is not there, so there is no job to go on with")
        self._db = sqlite3.connect(self.path, isolation_level=None, timeout=30)
        try:
            self._begin(fresh)
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise JobError(f"{self.path} can't be read as a job's manifest: {error}") from error
        except BaseException:
            self._db.close()
            raise

    def _begin(self, fresh: bool) -> None:
        self._db.execute("PRAGMA journal_mode = DELETE")
        self._db.execute("PRAGMA synchronous = EXTRA")
        if fresh:
            with self.writing():
                for statement in _TABLES.strip().split(";\n"):
                    self._db.execute(statement)
                self.put("format", FORMAT)
        found = self.get("format")
        if found != FORMAT:
            raise JobError(
                f"{self.path} is of format {found}; this version of rs_gen reads {FORMAT}: finish "
                "the job with the version that began it, or start anew with overwrite"
            )

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Inside, all changes are one: after a crash all of them hold, or none."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield
            self._db.execute("COMMIT")
        except sqlite3.OperationalError as error:
            self._rollback()
            if "full" in str(error) or "disk I/O" in str(error):
                raise DiskFullError(f"{self.path} can't be written: {error}") from error
            raise JobError(f"{self.path} can't be written: {error}") from error
        except BaseException:
            self._rollback()
            raise

    def _rollback(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def __enter__(self) -> Manifest:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # ---- facts about the job as a whole --------------------------------------------------------

    def put(self, key: str, value: Any) -> None:
        """Keep a fact that JSON can hold."""
        self._db.execute("INSERT OR REPLACE INTO job VALUES (?, ?)", (key, json.dumps(value)))

    def get(self, key: str) -> Any:
        """A fact, or None."""
        row = self._db.execute("SELECT value FROM job WHERE key = ?", (key,)).fetchone()
        return None if row is None else json.loads(row[0])

    # ---- sources -------------------------------------------------------------------------------

    def add_source(self, path: Path, out: Path, identity: Mapping[str, Any]) -> int:
        """A new raster; its number."""
        row = (str(path), str(out), json.dumps(identity))
        sql = "INSERT INTO source (path, out, identity, state) VALUES (?, ?, ?, 'planned')"
        return int(self._db.execute(sql, row).lastrowid or 0)

    def set_source(self, number: int, **changes: Any) -> None:
        """Change columns of a raster's row."""
        self._set("source", "id = ?", (number,), changes)

    def source(self, number: int) -> Source:
        """One raster."""
        return next(self._sources("WHERE id = ?", (number,)))

    def sources(self, *states: str) -> Iterator[Source]:
        """Rasters in these states, or all, in order; a few at a time."""
        last = 0
        among = f"AND state IN ({', '.join('?' * len(states))})" if states else ""
        while page := list(
            self._sources(f"WHERE id > ? {among} ORDER BY id LIMIT 32", (last, *states))
        ):
            yield from page
            last = page[-1].id

    def _sources(self, where: str, values: tuple[Any, ...]) -> Iterator[Source]:
        for row in self._db.execute(f"SELECT * FROM source {where}", values).fetchall():
            found = Source(*row)
            held = (found.identity, found.plan, found.prepared)
            identity, plan, prepared = (json.loads(v) if v else None for v in held)  # type: ignore[arg-type]
            yield found._replace(identity=identity, plan=plan, prepared=prepared)

    # ---- blocks --------------------------------------------------------------------------------

    def add_blocks(self, blocks: Iterable[Block]) -> None:
        """New blocks, of which any number may come."""
        self._db.executemany(f"INSERT INTO block VALUES ({', '.join('?' * 13)})", blocks)

    def block(self, source: int, row: int, col: int) -> Block:
        """One block."""
        sql = "SELECT * FROM block WHERE source = ? AND row = ? AND col = ?"
        return Block(*self._db.execute(sql, (source, row, col)).fetchone())

    def set_block(self, block: Block, **changes: Any) -> None:
        """Change columns of a block's row."""
        where = "source = ? AND row = ? AND col = ?"
        self._set("block", where, (block.source, block.row, block.col), changes)

    def set_blocks(self, state: str, *, was: str, source: int | None = None) -> int:
        """Put all blocks that are in one state into another; how many."""
        which = "" if source is None else " AND source = ?"
        values = (state, was) if source is None else (state, was, source)
        return self._db.execute(
            f"UPDATE block SET state = ?, note = NULL WHERE state = ?{which}", values
        ).rowcount

    def drop_blocks(self, source: int) -> None:
        """Forget the blocks of a raster."""
        self._db.execute("DELETE FROM block WHERE source = ?", (source,))

    def blocks(self, state: str | None = None, source: int | None = None) -> Iterator[Block]:
        """Blocks in order, a few at a time: what changes meanwhile further on is seen."""
        last = (0, -1, -1)
        tests, values = "(source, row, col) > (?, ?, ?)", []
        for name, value in (("state", state), ("source", source)):
            if value is not None:
                tests += f" AND {name} = ?"
                values.append(value)
        sql = f"SELECT * FROM block WHERE {tests} ORDER BY source, row, col LIMIT {_PAGE}"
        while page := [Block(*r) for r in self._db.execute(sql, (*last, *values)).fetchall()]:
            yield from page
            last = page[-1][:3]

    def count(self, source: int | None = None) -> dict[str, int]:
        """State to number of blocks."""
        which, values = ("", ()) if source is None else ("WHERE source = ?", (source,))
        sql = f"SELECT state, count(*) FROM block {which} GROUP BY state"
        return dict(self._db.execute(sql, values).fetchall())

    def total(self, what: str, state: str | None = None) -> float:
        """A sum over blocks: of ``"seconds"``, or of ``"height * width"``."""
        which, values = ("", ()) if state is None else ("WHERE state = ?", (state,))
        return self._db.execute(f"SELECT total({what}) FROM block {which}", values).fetchone()[0]

    def _set(self, table: str, where: str, key: tuple[Any, ...], changes: dict[str, Any]) -> None:
        names = ", ".join(f"{name} = ?" for name in changes)
        values = [json.dumps(v) if isinstance(v, dict) else v for v in changes.values()]
        self._db.execute(f"UPDATE {table} SET {names} WHERE {where}", (*values, *key))


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Inside, no other process can run the job in this folder; a killed one does not stay in it.

    The lock is that of an empty SQLite file, which every system frees when a process ends.

    Raises:
        JobError: Another process is at it.
    """
    db = sqlite3.connect(folder / "lock.sqlite", isolation_level=None, timeout=0)
    try:
        db.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        db.close()
        raise JobError(
            f"another process is at work on {folder.parent}; wait for it, or stop it first "
            f"({error})"
        ) from error
    try:
        yield
    finally:
        db.close()
