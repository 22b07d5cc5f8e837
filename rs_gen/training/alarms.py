"""Known illnesses of adversarial training, told early and with what to try.

The numbers are taken on the validation chips while they are translated anyway, so an alarm costs
nothing. Each is given once a run, after two validations in a row have shown the illness.
"""
# ruff: noqa: D102 - fastai's events say what they are

from __future__ import annotations

import warnings
from typing import Any, ClassVar

from torch import Tensor, cat
from torch.nn.functional import adaptive_avg_pool2d

from ..errors import TrainingWarning
from .callbacks import Kept, Part

COLLAPSE = 0.02  # variance between fakes over that between real chips
COPY_PAIRS = 0.25  # distance of the fake to its source, over that of the truth to the source
COPY_UNPAIRED = 0.05  # distance of the fake to its source, over that of real chips to it
INVERSION_PAIRS = -0.2  # correlation of brightness with the truth's
INVERSION_UNPAIRED = -0.7  # correlation of brightness with the source's
SATURATED = {"lsgan": 0.005, "vanilla": 0.02, "hinge": 0.02}  # mean loss of a discriminator
POOLED = 8  # chips are compared as 8 x 8 means, whatever their size

ADVICE = {
    "collapse": (
        "{direction}: the images resemble each other (variance between them is {value:.3f} of that "
        "between real chips). Try a lower lr, adversarial='hinge', a larger L1 or cycle weight, or "
        "look for chips that are all of one colour"
    ),
    "copying": (
        "{direction}: the generator hands back its input (its change is {value:.2f} of the change "
        "that is wanted). Try more epochs, a lower lambda_identity or lambda_cycle, or check that "
        "the two sides really differ"
    ),
    "inversion": (
        "{direction}: bright and dark are swapped (correlation {value:.2f}). Try "
        "lambda_identity=0.5 or more, another seed, or check the stretch of both sides"
    ),
    "saturated": (
        "{direction}: the discriminator's loss is {value:.4f}: it has won and teaches nothing any "
        "more. Try d_lr_ratio=0.25, a smaller d_width, spectral=True, or more training chips"
    ),
}


class Warn(Part):
    """Give a warning once a run, after some validations in a row have shown an illness.

    Args:
        after_steps: Steps before which nothing is an illness yet.
        patience: Validations in a row that must show it.
    """

    order = 30
    advice: ClassVar[dict[str, str]] = {}

    def __init__(self, after_steps: int = 500, patience: int = 2):
        self.after_steps, self.patience = after_steps, patience
        self.seen: dict[str, int] = {}
        self.told: list[str] = []

    def note(self, illness: str, where: str, value: float, ill: bool) -> None:
        """Count a validation that shows an illness, or forget those before it."""
        key = f"{illness}.{where}"
        self.seen[key] = self.seen.get(key, 0) + 1 if ill else 0
        if self.seen[key] >= self.patience and key not in self.told:
            self.told.append(key)
            text = self.advice[illness].format(direction=where, value=value)
            warnings.warn(f"epoch {self.epoch + 1}, {text}", TrainingWarning, stacklevel=3)

    def keep(self) -> Kept:
        return {}, {"seen": self.seen, "told": self.told}

    def restore(self, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        self.seen, self.told = dict(facts["seen"]), list(facts["told"])


class Alarms(Warn):
    """Watch validation and the discriminators' loss, and warn.

    Args:
        paired: Whether the second tensor of a batch is the truth of the first.
        adversarial: Name of the adversarial loss; "wasserstein" has no level that means saturated.
        after_steps: Steps before which nothing is an illness yet.
        patience: Validations in a row that must show it.
    """

    advice = ADVICE

    def __init__(
        self, paired: bool, adversarial: str = "lsgan", after_steps: int = 500, patience: int = 2
    ):
        super().__init__(after_steps, patience)
        self.paired, self.adversarial = paired, adversarial
        self._held: dict[str, list[Tensor]] = {}

    def before_validate(self) -> None:
        self._held = {}

    def after_batch(self) -> None:
        if self.training or self.step < self.after_steps:
            return
        for direction, fake in self.learn.fakes.items():
            source, other = self.xb if direction == "AtoB" else self.xb[::-1]
            for name, images in (("source", source), ("other", other), ("fake", fake)):
                pooled = adaptive_avg_pool2d(images.float(), POOLED).cpu()
                self._held.setdefault(f"{direction}.{name}", []).append(pooled)

    def after_validate(self) -> None:
        if self.step < self.after_steps:
            return
        for direction in self.learn.fakes:
            told = self._images(direction)
            for illness, value, ill in illnesses(*told, paired=self.paired):
                self.note(illness, direction, value, ill)
        self._discriminators()

    def _images(self, direction: str) -> tuple[Tensor, Tensor, Tensor]:
        names = ("source", "other", "fake")
        return tuple(cat(self._held[f"{direction}.{name}"]) for name in names)  # type: ignore

    def _discriminators(self) -> None:
        limit = SATURATED.get(self.adversarial)
        if limit is None:
            return
        for name, mean in self.learn.record.means().items():
            if name.startswith("discriminator"):
                self.note("saturated", name, mean, mean < limit)


def illnesses(
    source: Tensor, other: Tensor, fake: Tensor, *, paired: bool
) -> list[tuple[str, float, bool]]:
    """(name, value, whether it is an illness) of what the images show.

    Args:
        source: (N, C, h, w) what was translated.
        other: (N, C', h, w) the truth, or other real chips of the target where unpaired.
        fake: (N, C', h, w) what came out.
        paired: Which of the two ``other`` is.
    """
    found = []
    if len(fake) > 1:
        spread = fake.var(0).mean() / other.var(0).mean().clamp_min(1e-8)
        found.append(("collapse", float(spread), float(spread) < COLLAPSE))
    if source.shape[1] == fake.shape[1]:
        wanted = (other - source).abs().mean().clamp_min(1e-8)
        change = float((fake - source).abs().mean() / wanted)
        found.append(("copying", change, change < (COPY_PAIRS if paired else COPY_UNPAIRED)))
    like, limit = (other, INVERSION_PAIRS) if paired else (source, INVERSION_UNPAIRED)
    along = correlation(fake.mean(1), like.mean(1))
    found.append(("inversion", along, along < limit))
    return found


def correlation(x: Tensor, y: Tensor) -> float:
    """Pearson's r of all values, 0 where either is constant."""
    x, y = x.double() - x.double().mean(), y.double() - y.double().mean()
    scale = float(x.square().sum() * y.square().sum()) ** 0.5
    return float((x * y).sum()) / scale if scale > 1e-12 else 0.0
