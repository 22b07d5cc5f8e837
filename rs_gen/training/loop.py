"""The loop: fastai's Learner, made to play a game and to start in the middle of an epoch."""
# ruff: noqa: D102 - fastai's events say what they are

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import torch
from fastai.callback.core import (
    Callback,
    CancelEpochException,
    CancelTrainException,
)
from fastai.learner import Learner
from torch import Tensor, nn

from ..errors import SettingError, TrainingError
from ..networks.device import autocast_dtype, pick_device, reused_memory
from .callbacks import (
    Anneal,
    Clip,
    DiscriminatorStep,
    Ema,
    FewPositions,
    MixedPrecision,
    Part,
    Seeded,
)
from .optimizers import make_optimizer
from .recipe import Recipe
from .schedule import find_schedule


class GameLearner(Learner):
    """A Learner that trains a game's generators; the parts do the rest.

    Where a run is, is three numbers. ``first_epoch`` and ``first_batch`` may be set before ``fit``
    to start elsewhere.

    Attributes:
        step: Steps that the generators have made, over all epochs.
        batch: Batches that are over in this epoch.
        terms: Loss terms of the last batch by name, detached.
        rate: Learning rate of this step.
        stopping: Why no further epoch will begin, or an empty string.
        scores: Metrics of this epoch's validation by name, with ``n``; empty without one.
        fakes: What came out of the last validation batch, by direction.
        validates: Whether there is anything to validate with.
        tolerant: Whether a loss may be infinite, as while looking for a learning rate.
        layout: How images lie in memory.
    """

    def __init__(self, data: Any, game: nn.Module, recipe: Recipe, **options: Any):
        self.recipe, self.schedule = recipe, find_schedule(recipe.schedule)
        self.step, self.batch, self.first_epoch, self.first_batch = 0, 0, 0, 0
        self.terms: dict[str, Tensor] = {}
        self.scores: dict[str, Any] = {}
        self.fakes: dict[str, Tensor] = {}
        self.rate, self.stopping, self.validates, self.tolerant = 0.0, "", True, False
        self._validated, self._validation = 0.0, 0.0
        self.seconds_before, self._started = 0.0, _clock(recipe)
        self.steps_per_epoch = count_batches(data) * recipe.rounds
        super().__init__(
            data, game, loss_func=self._generator_loss, opt_func=self._optimizer, lr=recipe.lr,
            splitter=lambda game: list(game.generators.parameters()), default_cbs=False,
            wd_bn_bias=True, train_bn=False, **options,
        )  # fmt: skip
        self.logger = lambda *_: None

    def add_cb(self, cb: Any) -> GameLearner:
        """Add a callback, as fastai does, unless its name would hide something of the Learner's.

        Raises:
            SettingError: Its class is called such as ``Step`` or ``Batch``.
        """
        cb = cb() if isinstance(cb, type) else cb
        if not isinstance(self.__dict__.get(cb.name, cb), Callback) or hasattr(type(self), cb.name):
            raise SettingError(
                f"a callback of class {type(cb).__name__} would hide learn.{cb.name}; rename it"
            )
        return super().add_cb(cb)

    def play(self) -> None:
        """Train from where the run stands to its end."""
        self._started = _clock(self.recipe)
        try:
            with reused_memory():
                self.fit(self.recipe.last_epoch)
        finally:
            for part in self.cbs:
                if isinstance(part, Part):
                    part.close()

    def progress(self) -> float:
        """Share of the run that is over, 0 to 1: the largest of its epochs', steps' and time's."""
        share = self.step / (self.steps_per_epoch * self.recipe.last_epoch)
        if self.recipe.steps is not None:
            share = max(share, self.step / self.recipe.steps)
        if self.recipe.max_minutes is not None:
            share = max(share, self.seconds() / (60 * self.recipe.max_minutes))
        return min(1.0, share)

    def seconds(self) -> float:
        """Time spent, by the recipe's clock, with that of the runs that this one resumes."""
        return self.seconds_before + _clock(self.recipe) - self._started

    def autocast(self) -> AbstractContextManager:
        """Inside, convolutions run in the recipe's precision."""
        device = next(self.model.parameters()).device
        dtype = autocast_dtype(device, self.recipe.mixed_precision)
        return torch.autocast(device.type, dtype or torch.bfloat16, enabled=dtype is not None)

    def take_terms(self, terms: dict[str, Tensor]) -> None:
        """Note loss terms of this step; on a CPU, stop at once if one is not finite."""
        self.terms |= {name: term.detach() for name, term in terms.items()}
        if not self.tolerant and next(iter(terms.values())).device.type == "cpu":
            check_finite(self.step, {name: float(term.detach()) for name, term in terms.items()})

    def _generator_loss(self, out: Any, *_: Tensor) -> Tensor:
        terms = self.model.generator_loss(out)
        self.terms = {}
        self.take_terms(terms)
        return sum(terms.values())

    def _optimizer(self, params: Any, lr: float) -> Any:
        return make_optimizer(params, self.recipe, lr)

    # What follows replaces fastai's own, to start in the middle and to end early.

    def _split(self, b: tuple[Tensor, ...]) -> None:
        # A game's losses need every tensor of the batch, so all of it goes in; laid out as the
        # weights are, or joining a chip with a fake would turn both round at every convolution.
        last = torch.channels_last
        laid = (x.contiguous(memory_format=last) if x.dim() == 4 else x for x in b)
        self.xb = self.yb = tuple(laid)

    def _do_fit(self) -> None:
        for epoch in range(self.first_epoch, self.n_epoch):
            if self.stopping:
                break
            self.epoch = epoch
            self._with_events(self._do_epoch, "epoch", CancelEpochException)
            self.first_batch = 0

    def _do_epoch_train(self) -> None:
        self.dl, self.batch = self.dls.train, self.first_batch
        self._with_events(self._train_batches, "train", CancelTrainException)

    def _train_batches(self) -> None:
        self.n_iter = self.steps_per_epoch
        for i, batch in enumerate(self._rounds(), self.first_batch):
            self.one_batch(i, batch)
            if self.stopping:
                break

    def _rounds(self) -> Iterator[tuple[Tensor, ...]]:
        """The batches of an epoch that are still to come, pass by pass over the chips."""
        each = self.steps_per_epoch // self.recipe.rounds
        for passed in range(self.first_batch // each, self.recipe.rounds):
            first = max(0, self.first_batch - passed * each)
            yield from batches(self.dl, self.epoch * self.recipe.rounds + passed, first)

    def _do_epoch_validate(self, ds_idx: int = 1, dl: Any = None) -> None:
        self.scores = {}
        if self.validates and self._validation_is_due():
            began = self.seconds()
            super()._do_epoch_validate(ds_idx, dl)
            self._validated, self._validation = self.seconds(), self.seconds() - began

    def _validation_is_due(self) -> bool:
        if self.stopping or self.epoch + 1 == self.n_epoch:
            return True
        if self.recipe.valid_every is not None:
            return (self.epoch + 1) % self.recipe.valid_every == 0
        if self.recipe.max_minutes is None:
            return True
        return self.seconds() - self._validated >= 9 * self._validation


class Mode(Part):
    """Switch the game between training and validation. fastai's own would also move it."""

    order = -10

    def before_fit(self) -> None:
        self.learn.loss, self.learn.train_iter, self.learn.pct_train = torch.zeros(()), 0, 0.0

    def before_train(self) -> None:
        self.model.train()
        self.learn.training = True

    def before_validate(self) -> None:
        self.model.eval()
        self.learn.training = False


class Count(Part):
    """Count steps. After the other parts of a step, before whatever writes its number down."""

    order, run_valid = 93, False

    def after_batch(self) -> None:
        self.learn.step += 1
        self.learn.train_iter = self.step
        self.learn.pct_train = self.learn.progress()
        self.learn.batch += 1
        if self.recipe.steps is not None and self.step >= self.recipe.steps:
            self.learn.stopping = f"{self.recipe.steps} steps are done"
        elif self.recipe.max_minutes is not None and self.learn.progress() >= 1:
            self.learn.stopping = f"{self.recipe.max_minutes:g} minutes are over"


def game_learner(
    data: Any, game: nn.Module, recipe: Recipe, *, device: Any = None,
    parts: Iterable[Callback] = (), **options: Any,
) -> GameLearner:  # fmt: skip
    """A Learner with everything that a training step needs.

    Args:
        data: A DataBunch, or other fastai DataLoaders.
        game: Moved to ``device``; its generators and discriminators are trained.
        recipe: The numbers.
        device: Where to compute; None picks CUDA if there is one.
        parts: Further callbacks.
    """
    device = pick_device(device)
    game.to(device)
    learn = GameLearner(data, game, recipe, **options)
    learn.add_cbs([Mode(), FewPositions(), Seeded(recipe.seed), Anneal(recipe), MixedPrecision()])
    learn.add_cbs([DiscriminatorStep(recipe), Count()])
    if recipe.ema_halflife:
        learn.add_cb(Ema(recipe.ema_halflife, recipe.ema_rampup))
    if recipe.clip:
        learn.add_cb(Clip(recipe.clip))
    return learn.add_cbs(list(parts))


def batches(loader: Any, epoch: int, batch: int = 0) -> Iterator[tuple[Tensor, ...]]:
    """The batches of an epoch from ``batch`` on, in the same order whenever it is asked."""
    if hasattr(loader, "set_position"):
        loader.set_position(epoch, batch)
        yield from loader
        return
    for number, held in enumerate(loader):
        if number >= batch:
            yield held


def count_batches(data: Any) -> int:
    """Batches in a whole epoch.

    Raises:
        SettingError: There is none.
    """
    if hasattr(data.train, "set_position"):
        data.train.set_position(0, 0)
    count = len(data.train)
    if not count:
        raise SettingError(
            "an epoch has no batch: fewer training chips than batch_size; prepare the data with a "
            "smaller batch_size, or with more chips"
        )
    return count


def check_finite(step: int, terms: dict[str, float]) -> None:
    """Stop a training whose loss is no number any more.

    Raises:
        TrainingError: Names the step and the term.
    """
    for name, value in terms.items():
        if not abs(value) < float("inf"):
            raise TrainingError(
                f"step {step}: loss term {name!r} is {value}; try a lower lr, "
                f"mixed_precision=False, or look for chips with extreme values"
            )


def _clock(recipe: Recipe) -> float:
    return time.process_time() if recipe.budget == "cpu" else time.monotonic()
