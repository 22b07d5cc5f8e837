"""The training step, one idea a callback.

fastai's Learner trains the generators by its own path, so schedules, clipping and gradients work
on them as on any network. Everything adversarial rides along here.
"""
# ruff: noqa: D102 - fastai's events say what they are

from __future__ import annotations

import copy
import random
from typing import Any, ClassVar

import numpy as np
import torch
from fastai.callback.core import Callback
from torch import Tensor

from ..networks.few import calm, quicken
from .optimizers import keep_optimizer, make_optimizer, restore_optimizer
from .recipe import Recipe

Kept = tuple[dict[str, Tensor], dict[str, Any]]  # tensors, and facts that JSON can hold

_INNER = frozenset({
    "before_batch", "after_pred", "after_loss", "before_backward", "after_cancel_backward",
    "after_backward", "before_step", "after_cancel_step", "after_step", "after_cancel_batch",
    "after_batch",
})  # fmt: skip


class Part(Callback):
    """One idea of the loop. As a fastai callback, but what it raises is not rewritten.

    A part that remembers something between steps says so with ``keep`` and ``restore``, which is
    what makes a killed run resumable bit for bit. ``close`` is called whatever happens.
    """

    order: ClassVar[int] = 0

    def __call__(self, event_name: str) -> None:
        event = getattr(type(self), event_name, None)
        if event is None or not self.run:
            return
        if event_name in _INNER and not (self.run_train if self.training else self.run_valid):
            return
        event(self)

    def keep(self) -> Kept:
        """What the next step depends on: tensors and facts."""
        return {}, {}

    def restore(self, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Take back what ``keep`` gave."""

    def close(self) -> None:
        """Undo what an exception may have left half done."""


class Seeded(Part):
    """Make all randomness of a step a function of (seed, step): nothing to save."""

    order, run_valid = -6, False

    def __init__(self, seed: int):
        self.seed = seed

    def before_batch(self) -> None:
        seed_step(self.seed, self.step)


class Anneal(Part):
    """Set the learning rate of this step from the schedule."""

    order, run_valid = -5, False

    def __init__(self, recipe: Recipe):
        self.recipe = recipe

    def before_batch(self) -> None:
        rate = self.recipe.lr * self.learn.schedule(self.learn.progress(), self.step)
        self.opt.set_hyper("lr", float(rate))  # fastai refuses NumPy's scalars
        self.learn.rate = float(rate)


class FewPositions(Part):
    """Train convolutions over few positions as matrix products, which a CPU is faster at."""

    order = -7

    def before_fit(self) -> None:
        quicken(self.model)

    def close(self) -> None:
        calm(self.model)


class MixedPrecision(Part):
    """Run convolutions in bfloat16 from the generators' forward to their loss.

    Games compute their losses in float32 whatever the networks hand out.
    """

    order, run_valid = -4, False

    def __init__(self) -> None:
        self._context = None

    def before_batch(self) -> None:
        self._context = self.learn.autocast()
        self._context.__enter__()

    def after_loss(self) -> None:
        self.close()

    def close(self) -> None:
        if self._context is not None:
            self._context.__exit__(None, None, None)
            self._context = None


class Clip(Part):
    """Hold the norm of the generators' gradient below a ceiling."""

    order, run_valid = 0, False

    def __init__(self, norm: float):
        self.norm = norm

    def before_step(self) -> None:
        torch.nn.utils.clip_grad_norm_(self.model.generators.parameters(), self.norm)


class DiscriminatorStep(Part):
    """Train the discriminators on each batch, right after the generators have stepped.

    They have an optimiser of their own, at ``d_lr_ratio`` times the generators' learning rate
    (TTUR, Heusel et al. 2017), and are frozen while the generators learn, which saves their
    weights' gradients.
    """

    order, run_valid = 0, False

    def __init__(self, recipe: Recipe):
        self.recipe = recipe
        self.optimizer = None

    def before_fit(self) -> None:
        self.close()
        params = list(self.model.discriminators.parameters())
        lr = self.recipe.lr * self.recipe.d_lr_ratio
        self.optimizer = make_optimizer(params, self.recipe, lr) if params else None

    def before_batch(self) -> None:
        self.model.discriminators.requires_grad_(False)

    def after_step(self) -> None:
        if self.optimizer is None:
            return
        self.model.discriminators.requires_grad_(True)
        self.optimizer.set_hyper("lr", self.learn.rate * self.recipe.d_lr_ratio)
        with self.learn.autocast():
            terms = self.model.discriminator_loss(self.pred)
        if not terms:  # a game may leave its discriminators out for a while
            return
        self.learn.take_terms(terms)
        sum(terms.values()).backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def keep(self) -> Kept:
        return keep_optimizer(self.optimizer) if self.optimizer else {}, {}

    def restore(self, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        if self.optimizer:
            restore_optimizer(self.optimizer, tensors)

    def close(self) -> None:
        self.model.discriminators.requires_grad_(True)


class Ema(Part):
    """Keep a running average of the generators, and validate and save with it.

    Args:
        halflife: Steps until an old weight counts half.
        rampup: Ceiling on the half-life as a share of the steps so far, so that the first average
            is not of random weights. EDM (Karras et al. 2022) trains with 0.05.
        every: Steps between updates; an update walks over all weights, which a small batch feels.
    """

    order, run_valid = 90, False  # the last to swap in and the last to swap out

    def __init__(self, halflife: float = 500.0, rampup: float = 0.05, every: int = 4):
        self.halflife, self.rampup, self.every = halflife, rampup, every
        self.average, self._swapped = None, False

    def before_fit(self) -> None:
        self.average = copy.deepcopy(self.model.generators).requires_grad_(False)
        self._swapped = False

    def after_step(self) -> None:
        seen = self.step + 1
        if seen % self.every == 0 or seen < 2 * self.every:
            stride = self.every if seen >= 2 * self.every else 1
            self._update(0.5 ** (stride / min(self.halflife, seen * self.rampup)))

    @torch.no_grad()
    def _update(self, decay: float) -> None:
        latest = self.model.generators.state_dict()
        floats, targets = [], []
        for name, kept in self.average.state_dict().items():
            if kept.is_floating_point():
                floats.append(kept)
                targets.append(latest[name])
            else:  # counters, such as BatchNorm's num_batches_tracked
                kept.copy_(latest[name])
        if floats:
            torch._foreach_mul_(floats, decay)
            torch._foreach_add_(floats, targets, alpha=1 - decay)

    def before_validate(self) -> None:
        self._swap()

    def after_validate(self) -> None:
        self._swap()

    def _swap(self) -> None:
        self.average, self.model.generators = self.model.generators, self.average
        self.model.generators.train(self.model.training)
        self._swapped = not self._swapped

    def settle(self) -> None:
        """Leave the average in the game: what training ends with."""
        self.close()
        if self.average is not None:
            self.model.generators.load_state_dict(self.average.state_dict())

    def keep(self) -> Kept:
        return dict(self.average.state_dict()), {}

    def restore(self, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        self.average.load_state_dict(tensors)

    def close(self) -> None:
        if self._swapped:
            self._swap()


def seed_step(seed: int, step: int) -> None:
    """Seed torch, NumPy and Python for one step, so that steps do not resemble each other."""
    value = int(np.random.SeedSequence((seed, step)).generate_state(1, np.uint64)[0])
    torch.default_generator.manual_seed(value)  # torch.manual_seed queues a call for CUDA each time
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(value)
    np.random.seed(value % 2**32)  # a user's transform may draw from it
    random.seed(value)
