"""Showing how a run goes: a bar for a person, ticks for a GIS, scalars for TensorBoard."""
# ruff: noqa: D102 - fastai's events say what they are

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from ..errors import MissingPackageError
from .callbacks import Part

Progress = Callable[..., Iterable]


class Steps:
    """What a progress wrapper goes over: numbers, with the losses as they stand beside them.

    Args:
        total: How many.
        losses: Called for the means of this epoch so far, by name.
    """

    def __init__(self, total: int, losses: Callable[[], dict[str, float]]):
        self._total, self.losses = total, losses

    def __len__(self) -> int:
        return self._total

    def __iter__(self) -> Iterator[int]:
        return iter(range(self._total))


class Ticks(Part):
    """Drive a progress wrapper ``progress(iterable, total=None, label="")`` over the whole run.

    The wrapper may ask its iterable for ``losses()``, to show them beside the bar. An exception
    that it raises, such as ``Cancelled``, ends the training.
    """

    order, run_valid = 60, False

    def __init__(self, progress: Progress):
        self.progress_wrapper = progress
        self._ticks: Iterator | None = None
        self._done, self._total = 0, 0

    def before_train(self) -> None:
        if self._ticks is None:
            recipe = self.learn.recipe
            timed = recipe.epochs is None and recipe.max_minutes is not None
            steps = self.learn.steps_per_epoch * recipe.last_epoch
            if recipe.steps is not None:
                steps = min(steps, recipe.steps)
            self._total = 100 if timed else steps
            counted = Steps(self._total, self.learn.record.means)
            wrapped = self.progress_wrapper(counted, total=self._total, label="training")
            self._ticks, self._done = iter(wrapped), 0

    def after_batch(self) -> None:
        self._advance(round(self.learn.progress() * self._total))

    def after_fit(self) -> None:
        self._advance(self._total + 1)
        self._ticks = None

    def close(self) -> None:
        if hasattr(self._ticks, "close"):
            self._ticks.close()
        self._ticks = None

    def _advance(self, done: int) -> None:
        while self._ticks is not None and self._done < done:
            self._done += 1
            if next(self._ticks, None) is None:
                break


class Bar(Part):
    """A bar with losses, for a terminal or a notebook, and a line an epoch above it."""

    order = 60

    def __init__(self) -> None:
        self._bar: Any = None
        self._task: Any = None

    def before_train(self) -> None:
        if self._bar is None:
            self._bar = _rich_bar()
            self._task = self._bar.add_task("training", total=1.0, losses="")
            self._bar.start()

    def after_batch(self) -> None:
        if self.training and self._bar is not None:
            means = self.learn.record.means().items()
            losses = " ".join(f"{name} {mean:.3g}" for name, mean in means)
            self._bar.update(
                self._task, completed=self.learn.progress(), losses=losses,
                description=f"epoch {self.epoch + 1}, step {self.step + 1}",
            )  # fmt: skip

    def after_epoch(self) -> None:
        from .record import describe

        if self._bar is not None:
            self._bar.console.print(describe(self.learn.record.history[-1]), highlight=False)

    def after_fit(self) -> None:
        self.close()

    def close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


class Board(Part):
    """Write losses, metrics and the learning rate for TensorBoard, a point an epoch.

    Raises:
        MissingPackageError: The package tensorboard is not installed.
    """

    order = 65

    def __init__(self, folder: Path):
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise MissingPackageError(
                "tensorboard=True needs the package tensorboard: pip install tensorboard"
            ) from error
        self._open = lambda: SummaryWriter(str(folder))
        self._writer: Any = None

    def before_fit(self) -> None:
        self._writer = self._open()

    def after_epoch(self) -> None:
        for name, value in self.learn.record.history[-1].items():
            if name not in ("epoch", "step") and isinstance(value, int | float):
                self._writer.add_scalar(name, value, self.step)

    def after_fit(self) -> None:
        self.close()

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def shown(progress: bool | Progress | None) -> list[Part]:
    """The parts that show a run.

    Args:
        progress: True for a bar where a person looks on (a terminal or a notebook), False or None
            for none, or a wrapper as in ``Ticks``.
    """
    if callable(progress):
        return [Ticks(progress)]
    return [Bar()] if progress and _someone_looks() else []


def _someone_looks() -> bool:
    return sys.stderr.isatty() or "ipykernel" in sys.modules


def _rich_bar() -> Any:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(), TimeRemainingColumn(), TextColumn("[dim]{task.fields[losses]}"),
        console=Console(stderr=True), refresh_per_second=4,
    )  # fmt: skip
