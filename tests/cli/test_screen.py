from __future__ import annotations

import io
import json
import logging
import math

import pytest

from rs_gen.cli.screen import JsonScreen, TextScreen


class Steps:
    """Items that tell losses, as a training's do."""

    def __init__(self, total):
        self.total, self.done = total, 0

    def __len__(self):
        return self.total

    def __iter__(self):
        for i in range(self.total):
            self.done = i + 1
            yield i

    def losses(self):
        return {"l1": self.done / 8, "adversarial": 0.25}


def events(work):
    stream = io.StringIO()
    with JsonScreen("train", stream) as screen:
        work(screen)
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_training_shows_its_losses_in_the_bar(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("FORCE_COLOR", "1")  # or rich draws nothing until the end
    for _ in TextScreen("train").progress(Steps(4), label="training"):
        pass
    told = capsys.readouterr().err
    assert "l1 0.5 adversarial 0.25" in told
    assert "4/4" in told


def test_a_narrow_terminal_cuts_the_losses_and_not_the_time(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "64")
    monkeypatch.setenv("FORCE_COLOR", "1")
    for _ in TextScreen("train").progress(Steps(4), label="training"):
        pass
    told = capsys.readouterr().err
    assert "0:00:00" in told
    assert "4/4" in told
    assert "adversarial 0.25" not in told


def test_items_without_losses_have_a_plain_bar(capsys):
    assert list(TextScreen("demo").progress(range(3), label="drawing")) == [0, 1, 2]
    assert "drawing" in capsys.readouterr().err


def test_a_program_gets_the_losses_with_the_progress():
    told = events(lambda screen: list(screen.progress(Steps(4), label="training")))
    assert told[-1] == {"event": "progress", "done": 4, "total": 4, "unit": "training",
                        "losses": {"l1": 0.5, "adversarial": 0.25}}  # fmt: skip
    told = events(lambda screen: list(screen.progress(range(4))))
    assert told[-1] == {"event": "progress", "done": 4, "total": 4, "unit": "step"}


def test_a_program_gets_the_numbers_of_an_epoch_as_numbers():
    row = {"epoch": 1, "psnr": 20.5, "kernel_distance": math.nan}
    log = logging.getLogger("rs_gen.training.record")
    told = events(lambda screen: log.info("epoch 1", extra={"values": row}))
    assert told[-1] == {"event": "log", "level": "info", "message": "epoch 1",
                        "values": {"epoch": 1, "psnr": 20.5}}  # fmt: skip


def test_a_bar_within_a_bar_gives_its_items_on(capsys):
    screen = TextScreen("train")
    held = [(a, list(screen.progress(range(2)))) for a in screen.progress(range(2))]
    assert held == [(0, [0, 1]), (1, [0, 1])]


def test_a_report_joins_words_and_gives_advice_lines_of_its_own(capsys):
    advice = ["install a driver for the card, then try again", "free some disk"]
    TextScreen("doctor").done({"bands": ["red", "green"], "advice": advice})
    assert capsys.readouterr().out.splitlines() == [
        "bands:", "  red, green", "advice:", *(f"  {line}" for line in advice)
    ]  # fmt: skip


def test_the_bar_is_closed_when_the_work_fails():
    screen = TextScreen("train")
    with pytest.raises(RuntimeError, match="broken"):  # noqa: PT012 - the loop is what fails
        for _ in screen.progress(range(2)):
            raise RuntimeError("broken")
    assert list(screen.progress(range(2))) == [0, 1]
