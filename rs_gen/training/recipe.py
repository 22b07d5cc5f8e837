"""How a game is trained, as one value: everything that decides which weights come out."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

from ..errors import SettingError, UnknownNameError
from .schedule import find_schedule

EPOCHS = 10  # of a run that is given neither epochs nor minutes
ENDLESS = 1_000_000  # epochs of a run that only its budget ends


@dataclass(frozen=True)
class Recipe:
    """The numbers of a training run. Together with data and game they decide its weights.

    Attributes:
        epochs: Passes over the training chips. None is 10, or no limit when ``steps`` or
            ``max_minutes`` is given.
        lr: Learning rate of the generators at the top of the schedule.
        schedule: A name in ``schedule.SCHEDULES``.
        optimizer: ``"adam"`` or ``"adamw"``.
        betas: Of the optimiser; beta1 = 0.5 as in Isola et al. 2017.
        weight_decay: Of both players; coupled for Adam, decoupled for AdamW.
        d_lr_ratio: Discriminators' learning rate over the generators' (Heusel et al. 2017).
        clip: Largest norm of the generators' gradient, or None for any.
        ema_halflife: Steps until an old weight counts half in the average. 0 keeps no average.
        ema_rampup: Ceiling on the half-life, as a share of the steps so far.
        mixed_precision: ``"auto"``, True or False: see ``networks.device.autocast_dtype``.
        steps: End after this many steps, with the schedule laid over them. None for no limit.
        rounds: Passes over the training chips that are one epoch: few chips make short ones.
        max_minutes: End after this time, with the schedule laid over it. None for no limit.
        budget: What ``max_minutes`` counts: ``"wall"`` time or this process's ``"cpu"`` time.
        valid_every: Epochs between validations; the last epoch is always validated. None is
            every epoch, or with ``max_minutes`` as often as takes about a tenth of the time.
        seed: Of dropout and everything else drawn while training.
    """

    epochs: int | None = None
    lr: float = 2e-4
    schedule: str = "linear"
    optimizer: str = "adam"
    betas: tuple[float, float] = (0.5, 0.999)
    weight_decay: float = 0.0
    d_lr_ratio: float = 1.0
    clip: float | None = None
    ema_halflife: float = 500.0
    ema_rampup: float = 0.05
    mixed_precision: bool | str = "auto"
    steps: int | None = None
    rounds: int = 1
    max_minutes: float | None = None
    budget: str = "wall"
    valid_every: int | None = None
    seed: int = 42

    def __post_init__(self) -> None:
        find_schedule(self.schedule)
        if self.optimizer not in ("adam", "adamw"):
            raise UnknownNameError("optimizer", self.optimizer, ("adam", "adamw"))
        if self.budget not in ("wall", "cpu"):
            raise SettingError(f"budget={self.budget!r}; there are 'wall' and 'cpu'")
        for name in ("epochs", "steps", "max_minutes", "clip", "rounds"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise SettingError(f"{name}={value} leaves nothing to train; give more than 0")
        if not (isinstance(self.lr, int | float) and 0 < self.lr < math.inf):
            raise SettingError(f"lr={self.lr!r} is not a learning rate; try 2e-4")
        if self.valid_every is not None and self.valid_every < 1:
            raise SettingError(f"valid_every={self.valid_every}; 1 validates every epoch")
        if not 0 < self.ema_rampup < 1 or self.ema_halflife < 0:
            raise SettingError(
                f"ema_halflife={self.ema_halflife}, ema_rampup={self.ema_rampup}; a half-life is "
                f"0 or more steps, a ramp-up between 0 and 1"
            )

    @property
    def last_epoch(self) -> int:
        """Number of epochs after which the run ends at the latest."""
        if self.epochs is not None:
            return self.epochs
        return EPOCHS if self.max_minutes is None and self.steps is None else ENDLESS

    def but(self, **changes: Any) -> Recipe:
        """The same recipe with some numbers changed."""
        return replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """The numbers by name, ready for JSON."""
        return asdict(self) | {"betas": list(self.betas)}
