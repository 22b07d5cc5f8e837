"""Where blocks are computed makes no difference, and a worker that dies costs nothing but time."""

import os
import signal
import time

import pytest
from jobs import SMALL, digests, make_model, raster

from rs_gen.errors import JobError, MissingPackageError, PartlyDoneError
from rs_gen.translate import engines
from rs_gen.translate.batch import Batch, translate_batch
from rs_gen.translate.engines import AHEAD, Here, Local, visible_devices
from rs_gen.translate.manifest import NAME, Manifest
from rs_gen.translate.work import Order, Task, Worker, pack, unpack

SLOW = "starts processes that load torch, and ends some of them"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return make_model(tmp_path_factory.mktemp("models") / "m")


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes")
    raster(folder / "a.tif", (160, 240))
    raster(folder / "b.tif", (100, 90), 1)
    return folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory, model, scenes):
    return digests(translate_batch(scenes, model, tmp_path_factory.mktemp("here"), **SMALL))


def attempts_of(out):
    with Manifest(out / "job" / NAME) as manifest:
        return {block[:3]: block.attempts for block in manifest.blocks()}


def workers_of(out):
    with Manifest(out / "job" / NAME) as manifest:
        return {block.worker for block in manifest.blocks()}


def ending(victims, at=2):
    """A progress that ends a worker by force once a few blocks are done."""
    ended = []

    def progress(items, total=None, label=""):
        for done, item in enumerate(items):
            if label == "Translating blocks" and done == at and not ended:
                ended.append(victims())
                os.kill(ended[0], signal.SIGKILL)
            yield item

    progress.ended = ended
    return progress


def test_here_tasks_are_done_one_after_the_other(model, scenes):
    asked = []

    def tasks(order):
        with Batch(scenes, model, "out", **SMALL).translator.flow(
            scenes / "b.tif", **SMALL["options"]
        ) as flow:
            tiles = vars(flow.plan)
        for place in range(3):
            asked.append(place)
            yield Task(1, str(scenes / "b.tif"), tiles, (0, 0, 40, 40) if place else None)

    order = Order(str(model), device="cpu", options=SMALL["options"])
    with Here(order) as engine:
        for number, done in enumerate(engine.run(tasks(order)), start=1):
            assert done.error is None
            assert len(asked) == number


def test_what_a_worker_raises_is_told(model, tmp_path):
    worker = Worker(Order(str(model), device="cpu"), "w")
    done = worker(Task(1, str(tmp_path / "gone.tif"), {}))
    assert (done.result, done.again, done.worker) == (None, False, "w")
    assert done.error.endswith("gone.tif: no such file")
    done = worker(Task(1, str(tmp_path / "gone.tif"), None, ("no", "numbers")))
    assert done.again, "a fault that the data do not explain is worth another try"
    assert done.error.startswith("ValueError")


def test_statistics_travel_unchanged(model, scenes):
    translator = Batch(scenes, model, "out").translator
    found = translator.statistics_of(scenes / "a.tif")
    again = unpack(pack(found), translator.device)
    assert list(again) == list(found)
    assert all((x == y).all() for n in found for x, y in zip(found[n], again[n], strict=True))
    assert pack(None) is unpack(None, translator.device) is None
    assert unpack(pack({}), translator.device) == {}


def test_gpus_are_those_that_this_process_sees(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert visible_devices() == []
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 3)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert visible_devices() == ["0", "1", "2"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,GPU-5")
    assert visible_devices() == ["2", "GPU-5"]


def test_gpus_are_dealt_out_and_cores_divided(monkeypatch, model):
    made = []

    class Stand:
        def __init__(self, order, number, device):
            made.append((order.threads, number, device))

    monkeypatch.setattr(engines, "_Process", Stand)
    monkeypatch.setattr(engines, "visible_devices", lambda: ["0", "1"])
    monkeypatch.setattr(engines, "cores", lambda: 7)
    local = Local(Order(str(model)), 3)
    for number in range(3):
        local._start(number)
    assert made == [(2, 0, "0"), (2, 1, "1"), (2, 2, "0")]


def test_a_cluster_without_dask_says_what_to_install(monkeypatch, scenes, model, tmp_path):
    import sys

    monkeypatch.setitem(sys.modules, "distributed", None)
    monkeypatch.delitem(sys.modules, "rs_gen.translate.engine_dask", raising=False)
    with pytest.raises(MissingPackageError, match=r"pip install 'rs_gen\[cluster\]'"):
        translate_batch(scenes, model, tmp_path / "out", scheduler="local", **SMALL)


@pytest.mark.slow  # starts processes that load torch
def test_local_workers_give_the_same_bytes_also_when_one_is_killed(tmp_path, model, scenes, whole):
    out = tmp_path / "out"
    held = []
    start = Local._start

    def noted(self, number):
        held.append(start(self, number))
        return held[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Local, "_start", noted)
        progress = ending(lambda: held[0]._process.pid)
        translate_batch(scenes, model, out, workers=2, progress=progress, **SMALL)
    assert progress.ended
    assert digests(out) == whole
    assert len(held) == 3, "another worker took the place of the one that was killed"
    tries = attempts_of(out)
    assert 1 <= sum(n - 1 for n in tries.values()) <= AHEAD
    assert workers_of(out) == {"local 1", "local 2"}
    assert all(p._process.exitcode is not None for p in held), "no worker is left behind"


@pytest.mark.slow  # starts processes that load torch
def test_workers_end_with_the_process_that_started_them(tmp_path, model, scenes):
    import psutil
    from jobs import start

    child = start(scenes, model, tmp_path / "out", "--workers", 2, "--tile-size", 32,
                  "--block-size", 64, "--device", "cpu", "--json")  # fmt: skip
    for line in child.stdout:
        if '"Translating blocks"' in line:
            break
    family = psutil.Process(child.pid).children(recursive=True)
    assert len(family) >= 2
    child.kill()
    child.communicate()
    psutil.wait_procs(family, timeout=20)
    assert not [p for p in family if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.slow  # starts a cluster of processes that load torch
def test_a_dask_cluster_gives_the_same_bytes_also_when_a_worker_is_killed(
    tmp_path, model, scenes, whole
):
    from rs_gen.translate import engine_dask

    out, held = tmp_path / "out", []

    class Noted(engine_dask.Cluster):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            held.append(self)

    def victim():
        return next(iter(held[0].client.run(os.getpid).values()))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine_dask, "Cluster", Noted)
        progress = ending(victim)
        translate_batch(scenes, model, out, scheduler="local", workers=2, progress=progress,
                        **SMALL)  # fmt: skip
    assert progress.ended
    assert digests(out) == whole
    assert all(name.startswith("tcp://") for name in workers_of(out))


@pytest.mark.slow  # starts a cluster
def test_a_cluster_without_workers_is_waited_for_and_given_up(model, tmp_path, scenes):
    import distributed

    from rs_gen.translate.engine_dask import Cluster

    with pytest.raises(JobError, match=r"no Dask scheduler answers at tcp://127.0.0.1:9 "):
        Cluster(Order(str(model)), "tcp://127.0.0.1:9")
    with distributed.LocalCluster(n_workers=0, processes=True, dashboard_address=None,
                                  host="127.0.0.1") as nobody:  # fmt: skip
        with Cluster(Order(str(model)), nobody.scheduler_address, alone=0.1) as engine:
            started = time.monotonic()
            with pytest.raises(JobError, match="no worker for 0 seconds; start some"):
                list(engine.run([Task(1, "a.tif", {})]))
        assert time.monotonic() - started < 30


@pytest.mark.slow  # starts a process that loads torch
def test_a_worker_that_can_not_start_is_told_of_and_does_not_hang(tmp_path, scenes, model):
    gone = Order(str(tmp_path / "no model"), device="cpu")
    with Local(gone, 1) as engine:
        (done,) = engine.run([Task(1, str(scenes / "a.tif"), {})])
    assert "worker local 1 can't start" in done.error
    assert not done.again


def test_an_engine_that_loses_everything_gives_up_after_three_tries(tmp_path, scenes, model):
    class Losing(Here):
        def run(self, tasks):
            for done in super().run(tasks):
                yield done._replace(result=None, error="lost", again=True)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rs_gen.translate.batch.Here", Losing)
        with pytest.raises(PartlyDoneError, match=r"a.tif: lost; b.tif: lost"):
            translate_batch(scenes, model, tmp_path / "out", **SMALL)
