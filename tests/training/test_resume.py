"""A run that is killed and resumed is, bit for bit, the run that was not."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from fastai.callback.core import Callback
from safetensors.torch import load_file, save_file
from toy_training import ToyData, ToyGame, ToyScorer

from rs_gen.errors import PackageError, SettingError
from rs_gen.training.learner import fit
from rs_gen.training.recipe import Recipe
from rs_gen.training.resume import STATE, check_same, read_tensors, write_tensors

RECIPE = Recipe(epochs=3, lr=1e-2, mixed_precision=False, seed=5)  # 3 epochs of 4 steps


class Stop(Exception):
    """Power cut."""


class StopAfter(Callback):
    """Ends the run without any farewell once ``step`` steps are over."""

    order = 200

    def __init__(self, step):
        self.at = step

    def after_batch(self):
        if self.training and self.learn.step == self.at:
            raise Stop("power cut")


def train(folder, *, game=None, stop=None, resume=False, recipe=RECIPE, every=1, data=None):
    game = game or ToyGame()
    callbacks = [StopAfter(stop)] if stop else []
    history = fit(game, data or ToyData(), recipe, scorer=ToyScorer(), folder=folder,
                  resume=resume, callbacks=callbacks, save_every=every, preview=False)  # fmt: skip
    return game, history


def state(folder):
    """Everything that a run leaves, as tensors, but the time it took."""
    tensors, header = read_tensors(folder / STATE)
    header["where"].pop("seconds")
    for row in header["held"]["parts"]["record"][1]["rows"]:
        row.pop("seconds")
    return tensors, header


def assert_same_run(folder, other):
    (tensors, header), (others, other_header) = state(folder), state(other)
    assert tensors.keys() == others.keys()
    differ = [key for key in tensors if not torch.equal(tensors[key], others[key])]
    assert differ == []
    assert header == other_header


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    folder = tmp_path_factory.mktemp("straight")
    game, _ = train(folder)
    return folder, game


@pytest.mark.parametrize("step", [1, 3, 4, 5, 8, 11, 12])
def test_a_run_stopped_after_any_step_resumes_bit_for_bit(straight, tmp_path, step):
    folder, game = straight
    with pytest.raises(Stop):
        train(tmp_path, stop=step)
    torch.rand(3)  # dice that the second run must not feel
    resumed, history = train(tmp_path, resume=True, game=ToyGame(seed=99))
    assert_same_run(folder, tmp_path)
    assert all(map(torch.equal, game.state_dict().values(), resumed.state_dict().values()))
    assert [row["step"] for row in history] == [4, 8, 12]


def test_a_run_resumes_from_an_older_state_when_the_last_steps_were_not_written(straight, tmp_path):
    with pytest.raises(Stop):
        train(tmp_path, stop=7, every=3)
    assert read_tensors(tmp_path / STATE)[1]["where"]["step"] == 6
    train(tmp_path, resume=True)
    assert_same_run(straight[0], tmp_path)


def test_stopping_twice_changes_nothing(straight, tmp_path):
    for stop in (2, 6):
        with pytest.raises(Stop):
            train(tmp_path, stop=stop, resume=True)
    train(tmp_path, resume=True)
    assert_same_run(straight[0], tmp_path)


def test_adamw_with_another_schedule_and_no_average_resumes_bit_for_bit(tmp_path):
    recipe = RECIPE.but(optimizer="adamw", weight_decay=0.01, ema_halflife=0.0, clip=1.0,
                        schedule="warmup_flat_linear", d_lr_ratio=2.0)  # fmt: skip
    train(tmp_path / "straight", recipe=recipe)
    with pytest.raises(Stop):
        train(tmp_path / "stopped", stop=6, recipe=recipe)
    train(tmp_path / "stopped", resume=True, recipe=recipe)
    assert_same_run(tmp_path / "straight", tmp_path / "stopped")


@pytest.mark.parametrize("step", [3, 8, 9])
def test_epochs_of_several_passes_that_end_at_a_step_resume_bit_for_bit(tmp_path, step):
    recipe = RECIPE.but(epochs=None, rounds=2, steps=11)  # epochs of 8 steps
    _, straight = train(tmp_path / "straight", recipe=recipe)
    assert [row["step"] for row in straight] == [8, 11]
    with pytest.raises(Stop):
        train(tmp_path / "cut", recipe=recipe, stop=step)
    train(tmp_path / "cut", recipe=recipe, resume=True)
    assert_same_run(tmp_path / "cut", tmp_path / "straight")


def test_two_passes_as_one_epoch_are_the_steps_of_two_epochs(tmp_path):
    one, _ = train(tmp_path / "a", recipe=RECIPE.but(epochs=4))
    two, _ = train(tmp_path / "b", recipe=RECIPE.but(epochs=2, rounds=2))
    assert all(map(torch.equal, one.state_dict().values(), two.state_dict().values()))


def test_bfloat16_resumes_bit_for_bit(tmp_path):
    recipe = RECIPE.but(mixed_precision=True)
    train(tmp_path / "straight", recipe=recipe)
    with pytest.raises(Stop):
        train(tmp_path / "stopped", stop=6, recipe=recipe)
    train(tmp_path / "stopped", resume=True, recipe=recipe)
    assert_same_run(tmp_path / "straight", tmp_path / "stopped")


def test_a_process_killed_by_the_system_resumes_bit_for_bit(straight, tmp_path):
    script = (
        "import sys, time\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        f"import torch; torch.set_num_threads({torch.get_num_threads()})\n"
        "from pathlib import Path\n"
        "from test_resume import train, Callback\n"
        "class Slow(Callback):\n"
        "    order = 300\n"
        "    def after_batch(self):\n"
        "        if self.training and self.learn.step >= 5:\n"
        "            print('here', flush=True); time.sleep(9)\n"
        "import test_resume; test_resume.StopAfter = lambda step: Slow()\n"
        "train(Path(sys.argv[1]), stop=1)\n"
    )
    run = subprocess.Popen([sys.executable, "-W", "ignore", "-c", script, str(tmp_path)],
                           stdout=subprocess.PIPE)  # fmt: skip
    assert run.stdout.readline().strip() == b"here"
    os.kill(run.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
    assert run.wait() != 0
    train(tmp_path, resume=True)
    assert_same_run(straight[0], tmp_path)


def test_a_finished_run_resumes_to_itself(straight, tmp_path):
    train(tmp_path)
    resumed, history = train(tmp_path, resume=True, game=ToyGame(seed=3))
    assert len(history) == 3
    assert all(map(torch.equal, straight[1].state_dict().values(), resumed.state_dict().values()))


def test_resuming_where_nothing_is_begins_a_run(straight, tmp_path):
    train(tmp_path, resume=True)
    assert_same_run(straight[0], tmp_path)


def test_an_unfinished_run_is_not_resumed_unasked_but_told(tmp_path, caplog):
    with pytest.raises(Stop):
        train(tmp_path, stop=5)
    _, history = train(tmp_path)
    assert "resume=True would go on with it" in caplog.text
    assert [row["step"] for row in history] == [4, 8, 12]


def test_other_settings_or_data_are_refused_by_name(tmp_path):
    with pytest.raises(Stop):
        train(tmp_path, stop=5)
    changed = RECIPE.but(lr=1e-3, epochs=4)
    text = r"recipe\.epochs was 3, is 4; recipe\.lr was 0\.01, is 0\.001\. Use the settings"
    with pytest.raises(SettingError, match=text):
        train(tmp_path, resume=True, recipe=changed)
    with pytest.raises(SettingError, match=r"data\.batch_size was 3, is 2; data\.training batches"):
        train(tmp_path, resume=True, data=ToyData(batch_size=2))


def test_another_number_of_threads_is_told(tmp_path, caplog):
    with pytest.raises(Stop):
        train(tmp_path, stop=5)
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    try:
        train(tmp_path, resume=True)
    finally:
        torch.set_num_threads(threads)
    told = f"ran with {threads} threads on cpu, this one with {threads + 1} threads on cpu"
    assert told in caplog.text


def test_check_same_sees_what_came_and_what_went():
    with pytest.raises(SettingError, match="a was not set, is 1; b was 2, is not set"):
        check_same(Path("x"), {"b": 2, "c": {"d": [1, 2]}}, {"a": 1, "c": {"d": (1, 2)}})


def test_a_foreign_broken_or_newer_state_is_refused(tmp_path):
    save_file({"x": torch.ones(1)}, tmp_path / "foreign.safetensors")
    (tmp_path / "broken.safetensors").write_bytes(b"no")
    write_tensors(tmp_path / "newer.safetensors", {"x": torch.ones(1)}, {"rs_gen": 9})
    for name in ("foreign", "broken", "missing"):
        with pytest.raises(PackageError, match=f"{name}.safetensors is not the state of an rs_gen"):
            read_tensors(tmp_path / f"{name}.safetensors")
    with pytest.raises(PackageError, match=r"newer rs_gen \(format 9\)"):
        read_tensors(tmp_path / "newer.safetensors")


def test_a_failed_write_leaves_the_older_state(tmp_path, monkeypatch):
    path = tmp_path / "x.safetensors"
    write_tensors(path, {"x": torch.ones(1)}, {"rs_gen": 1})

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr("rs_gen.training.resume.os.fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        write_tensors(path, {"x": torch.zeros(1)}, {"rs_gen": 1})
    assert load_file(path)["x"].item() == 1
    assert [p.name for p in tmp_path.iterdir()] == ["x.safetensors"]


def test_the_state_is_no_pickle(straight):
    raw = (straight[0] / STATE).read_bytes()
    length = int.from_bytes(raw[:8], "little")
    assert json.loads(raw[8 : 8 + length])["__metadata__"]["rs_gen"]


def test_writing_is_rationed_by_the_time_it_takes(tmp_path):
    began = time.monotonic()
    train(tmp_path, every=None)
    assert time.monotonic() - began < 30  # within the least wait: one write, at the end
    assert read_tensors(tmp_path / STATE)[1]["where"]["finished"]
