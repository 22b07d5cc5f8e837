"""What ends a job at any moment: a kill, a full disk, a wish to stop. It goes on after."""

import hashlib
import json
import multiprocessing
import os
import random
import resource
import signal
import subprocess
import sys
import time

import pytest
from jobs import SMALL, digests, make_model, raster, start

from rs_gen.errors import DiskFullError
from rs_gen.translate.batch import translate_batch
from rs_gen.translate.blocks import path_of, room
from rs_gen.translate.manifest import NAME, Manifest
from rs_gen.translate.status import manifest_in

pytestmark = pytest.mark.slow  # each starts a job in a process of its own, some of them many times
WRITING = ("job.py", "batch.py", "blocks.py", "manifest.py", "assembly.py", "files.py")
OPTIONS = ("--tile-size", 32, "--block-size", 64, "--device", "cpu", "--json")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return make_model(tmp_path_factory.mktemp("models") / "m")


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes")
    raster(folder / "a.tif", (100, 170))
    raster(folder / "b.tif", (60, 90), 1, hole=False)
    return folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory, model, scenes):
    return digests(translate_batch(scenes, model, tmp_path_factory.mktemp("whole"), **SMALL))


def work(scenes, model, out, lines, told):
    """A job that is killed once so many lines of the code that writes have run; None: never."""
    import torch

    torch.set_num_threads(1)
    count = 0

    def look(frame, event, _):
        nonlocal count
        if frame.f_code.co_filename.rpartition(os.sep)[2] not in WRITING:
            return None
        count += event == "line"
        if lines is not None and count >= lines:
            os.kill(os.getpid(), signal.SIGKILL)
        return look

    if lines is not None or told is not None:
        sys.settrace(look)
    translate_batch(scenes, model, out, resume=True, **SMALL)
    if told is not None:
        told.send(count)


@pytest.fixture(scope="module")
def server():
    """Processes that are forked from one that has loaded everything and done nothing."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["rs_gen.translate.batch", "rs_gen.translate.work", __name__])
    return context


def run(server, *arguments, after=None):
    """Run the job; kill it after so many seconds, if that is asked; its exit code."""
    child = server.Process(target=work, args=arguments)
    child.start()
    if after is not None:
        child.join(after)
        child.kill()
    child.join()
    return child.exitcode


def honest(out):
    """Whether every block that the manifest calls done is on the disk as it was written."""
    path = manifest_in(out)
    if path is None:
        return True
    with Manifest(path) as manifest:
        left = {s.id for s in manifest.sources() if s.state != "assembled"}
        files = {path_of(out / "job", b): b.digest for b in manifest.blocks("done")
                 if b.source in left}  # fmt: skip
        outputs = [s.out for s in manifest.sources("assembled")]
    found = {p: hashlib.sha256(p.read_bytes()).hexdigest() for p in files}
    return found == files and all(os.path.exists(o) for o in outputs)  # noqa: PTH110


def test_a_job_killed_at_any_line_that_writes_ends_as_if_it_had_not_been(
    tmp_path, scenes, model, whole, server
):
    mine, theirs = server.Pipe()
    assert run(server, scenes, model, tmp_path / "all", None, theirs) == 0
    lines, moments = mine.recv(), random.Random(42)
    for number in range(10):
        out = tmp_path / str(number)
        moment = moments.randrange(1, lines)
        assert run(server, scenes, model, out, moment, None) == -signal.SIGKILL
        assert honest(out), f"the manifest lies when killed at line {moment}"
        assert run(server, scenes, model, out, None, None) == 0
        assert digests(out) == whole, f"killed at line {moment}"


def test_a_job_killed_at_any_time_ends_as_if_it_had_not_been(
    tmp_path, scenes, model, whole, server
):
    started = time.monotonic()
    assert run(server, scenes, model, tmp_path / "all", None, None) == 0
    seconds, moments, killed = time.monotonic() - started, random.Random(7), 0
    for number in range(10):
        out = tmp_path / str(number)
        after = moments.uniform(0, seconds)
        killed += run(server, scenes, model, out, None, None, after=after) != 0
        assert honest(out), f"the manifest lies when killed after {after:.2f} s"
        assert run(server, scenes, model, out, None, None) == 0
        assert digests(out) == whole, f"killed after {after:.2f} s"
    assert killed >= 5


def limited(scenes, model, out, most):
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    with pytest.raises(DiskFullError, match="go on with --resume"):
        work(scenes, model, out, None, None)


def test_a_quota_that_is_used_up_stops_a_job_which_then_goes_on(tmp_path, scenes, model, server):
    """Files may not grow past a limit that the blocks keep and the output does not."""
    path, out = raster(tmp_path / "in/large.tif", (400, 400), hole=False), tmp_path / "out"
    child = server.Process(target=limited, args=(path, model, out, 200_000))
    child.start()
    child.join()
    assert child.exitcode == 0
    assert not list(out.glob("*.tif"))
    assert not [p for p in out.rglob("*") if ".part" in p.name]
    assert honest(out)
    assert run(server, path, model, out, None, None) == 0
    fresh = translate_batch(path, model, tmp_path / "fresh", **SMALL)
    assert digests(out) == digests(fresh)


def test_a_full_disk_stops_a_job_and_says_what_to_free(tmp_path, model):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root can make a small disk here; the quota test stands in")
    try:
        path = raster(tmp_path / "large.tif", (700, 700), hole=False)
        with pytest.raises(DiskFullError, match=r"no room on the disk of .*MiB are free.*--resume"):
            translate_batch(path, model, disk / "out", **SMALL)
        assert not list((disk / "out").glob("*.tif"))
        assert honest(disk / "out")
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        translate_batch(path, model, disk / "out", resume=True, **SMALL)
        fresh = translate_batch(path, model, tmp_path / "fresh", **SMALL)
        assert digests(disk / "out") == digests(fresh)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_write_that_would_not_fit_is_not_begun(tmp_path):
    with pytest.raises(DiskFullError, match="and the next file may take"), \
            room(tmp_path / "not/yet/there", 2**60):  # fmt: skip
        raise AssertionError("began")


@pytest.mark.parametrize("with_signal", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("workers", [1, 2])
def test_a_wish_to_stop_is_heard_and_the_job_goes_on(
    tmp_path, scenes, model, whole, with_signal, workers
):
    out = tmp_path / "out"
    child = start(scenes, model, out, *OPTIONS, "--workers", workers)
    for line in child.stdout:
        if '"Translating blocks"' in line:
            child.send_signal(with_signal)
            break
    rest, errors = child.communicate(timeout=120)
    assert child.returncode == 130, errors
    assert '"cancelled"' in rest
    assert "blocks are done; go on with --resume" in rest
    assert not [p for p in out.rglob("*") if ".part" in p.name]
    child = start(scenes, model, out, *OPTIONS, "--workers", workers, "--resume")
    rest, errors = child.communicate(timeout=240)
    assert child.returncode == 0, errors
    events = [json.loads(line) for line in rest.splitlines()]
    assert events[-1] == {"event": "end", "code": 0}
    assert digests(out).keys() == whole.keys()


def test_a_job_of_which_a_part_failed_exits_with_3(tmp_path, model):
    scenes = tmp_path / "in"
    raster(scenes / "good.tif", (60, 60), hole=False)
    (scenes / "junk.tif").write_bytes(b"II*\0" + bytes(64))
    child = start(scenes, model, tmp_path / "out", *OPTIONS)
    said, errors = child.communicate(timeout=120)
    assert child.returncode == 3, errors
    events = [json.loads(line) for line in said.splitlines()]
    assert events[-1] == {"event": "end", "code": 3}
    assert events[-2]["type"] == "PartlyDoneError"
    with Manifest(tmp_path / "out/job" / NAME) as manifest:
        assert [s.state for s in manifest.sources()] == ["assembled", "failed"]
