"""A learning rate from a short run that raises it until the loss climbs."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from fastai.callback.core import CancelFitException
from torch import nn

from .callbacks import Part
from .learner import own_dice
from .loop import game_learner
from .recipe import Recipe
from .resume import take_memory

SMOOTH = 0.9  # share of the old in the running loss
BLOWN = 4.0  # times the best running loss, at which there is nothing more to learn
USUAL = (1e-5, 2e-3)  # adversarial training holds nowhere else


class LrCurve(NamedTuple):
    """What the search saw.

    Attributes:
        rates: Learning rate of each step.
        losses: Running loss of the generators at each.
        suggestion: The rate to take.
    """

    rates: list[float]
    losses: list[float]
    suggestion: float


class _Climb(Part):
    """Raise the rate exponentially, and stop when the loss is beyond hope."""

    order, run_valid = -5, False

    def __init__(self, start: float, end: float, steps: int):
        self.start, self.end, self.steps = start, end, steps
        self.rates: list[float] = []
        self.losses: list[float] = []
        self._running = 0.0

    def before_batch(self) -> None:
        share = min(1.0, self.step / max(1, self.steps - 1))
        self.learn.rate = self.start * (self.end / self.start) ** share
        self.opt.set_hyper("lr", float(self.learn.rate))

    def after_batch(self) -> None:
        self._running = SMOOTH * self._running + (1 - SMOOTH) * float(self.learn.loss.detach())
        running = self._running / (1 - SMOOTH ** (len(self.losses) + 1))
        if not math.isfinite(running):
            raise CancelFitException
        self.rates.append(self.learn.rate)
        self.losses.append(running)
        if self.step + 1 >= self.steps or running > BLOWN * min(self.losses):
            raise CancelFitException


def lr_find(
    game: nn.Module,
    data: Any,
    recipe: Recipe | None = None,
    *,
    start_lr: float = 1e-6,
    end_lr: float = 1.0,
    steps: int = 100,
    device: Any = None,
) -> LrCurve:
    """Try learning rates from low to high on a game that is left as it was.

    The suggestion is the middle of the longest stretch on which the generators' running loss
    falls, held within 1e-5 and 2e-3, where adversarial training is known to hold.

    Args:
        game: Trained for a moment, then given back its weights and memory.
        data: A DataBunch.
        recipe: How it will be trained.
        start_lr: First rate.
        end_lr: Last rate, unless the loss blows up before.
        steps: Batches, at most.
        device: As for ``learner.fit``.

    Source:
        Smith 2017, "Cyclical Learning Rates for Training Neural Networks", section 3.3; the choice
        of the point is ours.
    """
    recipe = (recipe or Recipe()).but(
        epochs=1_000_000, steps=None, max_minutes=None, ema_halflife=0.0
    )
    weights = {name: value.detach().clone() for name, value in game.state_dict().items()}
    memory = take_memory(game)
    climb = _Climb(start_lr, end_lr, steps)
    learn = game_learner(data, game, recipe, device=device)
    learn.remove_cb(learn.anneal)
    learn.add_cb(climb)
    learn.validates, learn.tolerant = False, True
    try:
        with own_dice():
            learn.play()
    finally:
        game.load_state_dict(weights)
        if memory:
            game.load_memory(memory)
        game.eval()
    return LrCurve(climb.rates, climb.losses, suggest(climb.rates, climb.losses))


def suggest(rates: list[float], losses: list[float]) -> float:
    """The rate in the middle, on a logarithmic scale, of the longest fall of the losses."""
    best, start = (0, 0), 0
    for i in range(1, len(losses)):
        if not losses[i] < losses[i - 1]:
            start = i
        if i - start > best[1] - best[0]:
            best = start, i
    middle = math.sqrt(rates[best[0]] * rates[best[1]])
    return float(min(max(middle, USUAL[0]), USUAL[1]))
