"""How the learning rate goes over a run: pure functions of how far the run is.

A schedule maps (progress, step) to a factor on the learning rate. Progress is the share of the run
that is over, in [0, 1): the global step over all steps, or the time spent over the time allowed.
Nothing is remembered between calls, so a resumed run cannot drift from an uninterrupted one.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from ..errors import UnknownNameError

Schedule = Callable[[float, int], float]

WARMUP = 50  # steps until "warmup_flat_linear" is at full rate
FLOOR = 0.02  # share of the rate that "warmup_flat_linear" ends at
RISE = 0.3  # share of a one-cycle run that climbs
START = 25.0  # one cycle starts at 1 / 25 of the rate and ends at 1 / 250,000


def constant(progress: float, step: int) -> float:
    """1, always."""
    return 1.0


def linear(progress: float, step: int) -> float:
    """1 for the first half, then linearly to 0. Isola et al. 2017 and Zhu et al. 2017, training."""
    return min(1.0, 2.0 * (1.0 - progress))


def one_cycle(progress: float, step: int) -> float:
    """A cosine up for 30 % of the run and a cosine down to almost 0. Smith 2018, 1cycle policy.

    Momenta are left alone: adversarial training wants beta1 = 0.5 throughout.
    """
    if progress < RISE:
        return _cosine(1 / START, 1.0, progress / RISE)
    return _cosine(1.0, 1 / (START * 1e4), (progress - RISE) / (1 - RISE))


def warmup_flat_linear(progress: float, step: int) -> float:
    """50 steps of warm-up, flat until half of the run is over, then linearly to 2 %."""
    warm = min(1.0, (step + 1) / WARMUP)
    fall = min(1.0, 1.0 - (1.0 - FLOOR) * (2.0 * progress - 1.0))
    return warm * fall


SCHEDULES: dict[str, Schedule] = {
    "linear": linear,
    "one_cycle": one_cycle,
    "warmup_flat_linear": warmup_flat_linear,
    "constant": constant,
}


def find_schedule(name: str) -> Schedule:
    """A schedule by name.

    Raises:
        UnknownNameError: The text lists the names.
    """
    try:
        return SCHEDULES[name]
    except KeyError:
        raise UnknownNameError("schedule", name, SCHEDULES) from None


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * min(1.0, share))) / 2
