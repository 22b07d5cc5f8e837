"""The record of a job: what it says holds, also after a crash."""

import sqlite3
import subprocess
import sys

import pytest

from rs_gen.errors import DiskFullError, JobError
from rs_gen.translate.manifest import NAME, Block, Manifest, alone


@pytest.fixture
def manifest(tmp_path):
    with Manifest(tmp_path / NAME, fresh=True) as held:
        yield held


def filled(manifest, rows=3, cols=4):
    number = manifest.add_source("a.tif", "out/a.tif", {"size": 3})
    manifest.add_blocks(Block(number, 64 * r, 64 * c, 64, 64) for r in range(rows)
                        for c in range(cols))  # fmt: skip
    return number


def test_a_commit_is_on_the_disk_before_it_counts(manifest):
    query = manifest._db.execute
    assert query("PRAGMA journal_mode").fetchone() == ("delete",)
    assert query("PRAGMA synchronous").fetchone() == (3,)  # EXTRA


def test_facts_come_back_as_they_went_in(manifest, tmp_path):
    facts = {"a": [1, 2.5, None, "x"], "nodata": float("-inf")}
    manifest.put("facts", facts)
    with Manifest(tmp_path / NAME) as again:
        assert again.get("facts") == facts
        assert again.get("nothing") is None


def test_sources_and_blocks_are_kept_in_order(manifest):
    number = filled(manifest)
    manifest.set_source(number, state="prepared", statistics=b"\0\1", plan={"side": 64})
    source = manifest.source(number)
    assert (source.path, source.state, source.identity) == ("a.tif", "prepared", {"size": 3})
    assert (source.plan, source.statistics) == ({"side": 64}, b"\0\1")
    assert list(manifest.sources("planned")) == []
    assert list(manifest.sources("prepared", "failed")) == [source]
    places = [(block.row, block.col) for block in manifest.blocks("pending")]
    assert places == sorted(places)
    assert manifest.count() == manifest.count(number) == {"pending": 12}
    assert manifest.total("height * width", "pending") == 12 * 64 * 64


def test_blocks_change_while_they_are_walked(manifest):
    seen = 0
    with manifest.writing():
        filled(manifest, 40, 30)  # more than one page
        for block in manifest.blocks("pending"):
            manifest.set_block(block, state="done", digest="d", attempts=1)
            seen += 1
    assert seen == 1200
    assert manifest.count() == {"done": 1200}
    assert manifest.block(1, 64, 128).attempts == 1
    assert manifest.set_blocks("pending", was="done", source=2) == 0
    assert manifest.set_blocks("pending", was="done") == 1200
    manifest.drop_blocks(1)
    assert manifest.count() == {}


def test_what_was_not_committed_did_not_happen(manifest):
    def half_way():
        with manifest.writing():
            filled(manifest)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        half_way()
    assert manifest.count() == {}
    assert list(manifest.sources()) == []


def test_a_killed_writer_leaves_what_it_had_committed(tmp_path):
    program = """
import os, signal, sys
from rs_gen.translate.manifest import Block, Manifest
manifest = Manifest(sys.argv[1], fresh=True)
with manifest.writing():
    manifest.add_blocks([Block(1, 0, 0, 64, 64)])
with manifest.writing():
    manifest.add_blocks([Block(1, 0, 64, 64, 64)])
    os.kill(os.getpid(), signal.SIGKILL)
"""
    path = tmp_path / NAME
    subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    with Manifest(path) as manifest:
        assert [(b.row, b.col) for b in manifest.blocks()] == [(0, 0)]


def test_others_can_read_while_a_job_writes(manifest, tmp_path):
    filled(manifest)
    with Manifest(tmp_path / NAME) as reader:
        assert reader.count() == {"pending": 12}
        with manifest.writing():
            manifest.set_blocks("done", was="pending")
        assert reader.count() == {"done": 12}


def test_a_full_disk_is_told_as_such(manifest):
    manifest._db.execute("PRAGMA max_page_count = 16")
    with pytest.raises(DiskFullError, match=r"manifest.sqlite can't be written: .*full"), \
            manifest.writing():  # fmt: skip
        filled(manifest, 500, 50)
    assert manifest.count() == {}


def test_what_is_no_manifest_is_refused(tmp_path):
    with pytest.raises(JobError, match="is not there, so there is no job to go on with"):
        Manifest(tmp_path / NAME)
    (tmp_path / NAME).write_text("no database " * 100)
    with pytest.raises(JobError, match="can't be read as a job's manifest"):
        Manifest(tmp_path / NAME)
    (tmp_path / NAME).unlink()
    with Manifest(tmp_path / NAME, fresh=True) as manifest:
        manifest.put("format", 99)
    with pytest.raises(JobError, match="is of format 99; this version of rs_gen reads 1"):
        Manifest(tmp_path / NAME)


def test_two_processes_never_run_one_job(tmp_path):
    program = """
import sys, pathlib
from rs_gen.translate.manifest import alone
with alone(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    input()
"""
    child = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # fmt: skip
    child.stdout.readline()
    with pytest.raises(JobError, match="another process is at work on"), alone(tmp_path):
        pass
    child.kill()  # and a killed one holds nothing
    child.communicate()
    with alone(tmp_path):
        assert sqlite3.connect(tmp_path / "lock.sqlite", timeout=0)
