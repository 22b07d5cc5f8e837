"""Train a game on data by a recipe: the loop, its parts, and what is left when it ends."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ..errors import SettingError, UnknownNameError
from .alarms import Alarms
from .callbacks import Ema, Part
from .checkpoint import Best
from .evaluate import Evaluate, Scorer, data_facts
from .loop import GameLearner, game_learner
from .preview import Preview
from .progress import Board, Progress, shown
from .recipe import Recipe
from .record import History, Record
from .resume import STATE, RestoreState, SaveState, read_header

log = logging.getLogger(__name__)

PATIENCE = 5  # validations without improvement that early_stopping=True waits for
LOG, PREVIEWS, BOARD = "log.csv", "previews", "tensorboard"


def fit(
    game: nn.Module,
    data: Any,
    recipe: Recipe | None = None,
    *,
    scorer: Scorer | None = None,
    folder: Path | None = None,
    resume: bool = False,
    checkpoint: bool | str = True,
    monitor: str = "auto",
    early_stopping: bool | int = False,
    tensorboard: bool = False,
    preview: bool = True,
    progress: bool | Progress | None = None,
    device: Any = None,
    callbacks: Iterable[Any] = (),
    save_every: int | None = None,
    watchers: Callable[[Path | None], list[Part]] | None = None,
) -> History:
    """Train ``game``, and leave in it the weights to use.

    Those are the running average of the generators: at the best epoch by ``monitor`` where
    checkpoints are kept, else at the end. A run that is killed and resumed gives, on a CPU with
    as many threads, the weights of one that was not, bit for bit.

    Args:
        game: Changed in place.
        data: A DataBunch.
        recipe: The numbers that decide the weights; None for the published ones.
        scorer: Measures the validation chips after each epoch; None does not validate.
        folder: Gets ``log.csv``, ``previews/``, ``best.safetensors``, ``last.safetensors`` and
            ``tensorboard/``. None writes nothing.
        resume: Go on with the run in ``folder``, if there is one.
        checkpoint: True keeps the best weights and the state to resume from, ``"all"`` also each
            validated epoch's weights, False neither.
        monitor: The metric that best means; ``"auto"`` takes the scorer's.
        early_stopping: End after five validations without improvement, or after so many.
        tensorboard: Write for TensorBoard too.
        preview: Write a picture of some validation chips after each validation.
        progress: True for a bar, False or None for none, or a wrapper as in ``progress.Ticks``.
        device: Where to compute; None picks CUDA if there is one.
        callbacks: More fastai callbacks.
        save_every: Steps between writes of the state; None for about 3 % of the time.
        watchers: Given the folder for previews, or None for none, the parts that look at each
            validation; None for the alarms and previews of translation.

    Returns:
        A row an epoch.

    Raises:
        SettingError: An option can't work, or the run to resume had other settings or data.
        TrainingError: A loss is not finite.
    """
    recipe = recipe or Recipe()
    if checkpoint not in (True, False, "all"):
        raise SettingError(f"checkpoint={checkpoint!r}; there are True, False and 'all'")
    if folder is None and (checkpoint == "all" or resume or tensorboard):
        raise SettingError("checkpoint='all', resume and tensorboard need a folder to write into")
    record = Record(folder / LOG if folder else None)
    parts: list[Any] = [record, *shown(progress)]
    best = None
    if scorer is not None:
        keep = folder if checkpoint else None
        best = Best(find_monitor(scorer, monitor), keep, keep_all=checkpoint == "all",
                    patience=_patience(early_stopping))  # fmt: skip
        pictures = folder / PREVIEWS if preview and folder else None
        watching = watchers(pictures) if watchers else _watching(game, data, scorer, pictures)
        parts += [Evaluate(scorer), *watching, best]
    if tensorboard and folder is not None:
        parts.append(Board(folder / BOARD))
    if folder is not None and checkpoint:
        parts += _state(game, data, recipe, folder, resume, save_every)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    learn = game_learner(data, game, recipe, device=device, parts=[*parts, *callbacks])
    learn.validates = scorer is not None
    _play(learn)
    if best is not None:
        best.settle()
    return record.history


def find_monitor(scorer: Scorer, monitor: str) -> str:
    """The metric to go by.

    Raises:
        UnknownNameError: The scorer does not measure it.
    """
    if monitor == "auto":
        return scorer.monitor
    if monitor not in scorer.names:
        raise UnknownNameError("metric to monitor", monitor, scorer.names)
    return monitor


def started_with(game: nn.Module, data: Any, recipe: Recipe) -> dict[str, Any]:
    """The settings and data that decide a run, as JSON: what a resumed run must share."""
    about = {"name": type(game).__name__, "settings": getattr(game, "settings", {})}
    return {"recipe": recipe.to_dict(), "game": about, "data": data_facts(data)}


def _watching(game: nn.Module, data: Any, scorer: Scorer, folder: Path | None) -> list[Part]:
    adversarial = getattr(game, "settings", {}).get("adversarial", "lsgan")
    parts: list[Part] = [Alarms(scorer.paired, adversarial)]
    if folder is not None:
        sides = (data.a, data.b) if hasattr(data, "a") and hasattr(data, "b") else None
        parts.append(Preview(folder, sides, scorer.paired))
    return parts


def _state(
    game: nn.Module, data: Any, recipe: Recipe, folder: Path, resume: bool, every: int | None
) -> list[Part]:
    about = started_with(game, data, recipe)
    parts: list[Part] = [SaveState(folder, about, every)]
    path = folder / STATE
    if resume and path.exists():
        parts.append(RestoreState(path, about))
    elif path.exists() and not read_header(path)["where"]["finished"]:
        log.warning("%s holds a run that was not finished; resume=True would go on with it", path)
    return parts


def _play(learn: GameLearner) -> None:
    average = next((part for part in learn.cbs if isinstance(part, Ema)), None)
    try:
        with own_dice():
            learn.play()
    finally:
        if average is not None:
            average.settle()
        learn.model.eval()
    if learn.stopping:
        log.info("training ended early: %s", learn.stopping)


@contextmanager
def own_dice() -> Iterator[None]:
    """Inside, seeding torch, NumPy and Python leaves the caller's dice alone."""
    numpy_state, python_state = np.random.get_state(), random.getstate()
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        try:
            yield
        finally:
            np.random.set_state(numpy_state)
            random.setstate(python_state)


def _patience(early_stopping: bool | int) -> int | None:
    if early_stopping is True:
        return PATIENCE
    return int(early_stopping) if early_stopping else None
