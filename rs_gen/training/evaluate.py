"""Measuring the validation chips after an epoch, with the generators that would be saved."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol

from fastai.callback.core import CancelBatchException
from torch import Tensor, nn

from .callbacks import Part


class Scorer(Protocol):
    """Metrics of a set of chips, batch by batch.

    Attributes:
        names: What ``result`` measures.
        monitor: The one of them that says best how good the images are.
        paired: Whether the second tensor of a batch is the truth of the first.
    """

    names: ClassVar[tuple[str, ...]]
    monitor: str
    paired: bool

    def reset(self) -> None:
        """Begin a new set."""

    def update(self, game: nn.Module, batch: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """Add a batch; give what was translated, by direction, float32."""

    def result(self) -> dict[str, Any]:
        """Each metric by name, and the ``n`` it was measured on."""


class Evaluate(Part):
    """Let a scorer see the validation chips instead of computing losses on them.

    What was translated is left in ``learn.fakes`` for whoever else looks at it.
    """

    order = 20

    def __init__(self, scorer: Scorer):
        self.scorer = scorer

    def before_validate(self) -> None:
        self.scorer.reset()

    def before_batch(self) -> None:
        if not self.training:
            with self.learn.autocast():
                self.learn.fakes = self.scorer.update(self.model, self.xb)
            raise CancelBatchException

    def after_validate(self) -> None:
        self.learn.scores = self.scorer.result()


def data_facts(data: Any) -> dict[str, Any]:
    """What decides the batches of a DataBunch, as JSON."""
    facts: dict[str, Any] = {"kind": getattr(data, "kind", type(data).__name__)}
    for name in ("chip_size", "batch_size", "seed"):
        if hasattr(data, name):
            facts[name] = getattr(data, name)
    for name in ("a", "b"):
        if hasattr(getattr(data, name, None), "to_dict"):
            facts[name] = getattr(data, name).to_dict()
    for name, loader in (("training batches", data.train), ("validation batches", data.valid)):
        facts[name] = len(loader)
    return facts
