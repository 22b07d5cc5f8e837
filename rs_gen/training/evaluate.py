"""Measuring the validation chips after an epoch, with the generators that would be saved."""
# ruff: noqa: D102 - fastai's events say what they are

from __future__ import annotations

import hashlib
import re
from typing import Any, Protocol

import torch
from fastai.callback.core import CancelBatchException
from torch import Tensor, nn

from ..errors import MissingPackageError
from ..metrics.distance import kernel_distance
from ..metrics.features import Extractor, ImageNetFeatures, PixelFeatures
from ..metrics.image import ImageScores, l1, score
from ..metrics.protocol import Score
from .callbacks import Part
from .loop import batches

PAIRED = ("ssim", "psnr", "l1", "within_5", "within_10")
UNPAIRED = ("kernel_distance", "kernel_distance_back", "cycle", "cycle_back")
SSIM_WINDOW = 11  # pixels: smaller chips have no SSIM
LEAST_SET = 2  # chips on a side, for a distance between sets


class Scorer(Protocol):
    """Metrics of a set of chips, batch by batch.

    Attributes:
        names: What ``result`` measures.
        monitor: The one of them that says best how good the images are.
        paired: Whether the second tensor of a batch is the truth of the first.
    """

    names: tuple[str, ...]
    monitor: str
    paired: bool

    def reset(self) -> None:
        """Begin a new set."""

    def update(self, game: nn.Module, batch: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """Add a batch; give what was translated, by direction, float32."""

    def result(self) -> dict[str, Score]:
        """Each metric by name."""


class PairScores:
    """How close the translated chips are to the truth: SSIM, PSNR, L1, share within 5 and 10.

    Args:
        size: Side of the chips in pixels.
    """

    paired = True

    def __init__(self, size: int = 256):
        self.names = PAIRED if size >= SSIM_WINDOW else PAIRED[1:]
        self.monitor = "ssim" if "ssim" in self.names else "l1"
        self._scores = ImageScores()

    def reset(self) -> None:
        """Begin a new set."""
        self._scores = ImageScores()

    def update(self, game: nn.Module, batch: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """Add a batch of (source, truth)."""
        fake = game.translate(batch[0], "AtoB").float()
        self._scores.update(fake, batch[1])
        return {"AtoB": fake}

    def result(self) -> dict[str, Score]:
        """Each metric by name."""
        found = self._scores.compute()
        return {name: found[name] for name in self.names}


class UnpairedScores:
    """How far translated chips are from real ones as a set, and how well they lead back.

    ``kernel_distance`` compares A translated to B with B, ``kernel_distance_back`` the other way;
    ``cycle`` is the mean difference between A and A translated there and back, in 8-bit levels.

    Args:
        count: Validation chips; below two, sets can't be compared.
        size: Side of the chips in pixels.
        extractor: Features to compare by; None for ImageNet's where the package with the weights
            is installed, else the chips themselves, averaged down.
        truth: The chips are pairs after all, and are also compared with the truth.
    """

    paired = False

    def __init__(
        self, count: int, size: int = 256, extractor: Extractor | None = None, truth: bool = False
    ):
        self.extractor = extractor or find_extractor()
        self.pairs = PairScores(size) if truth else None
        sets = UNPAIRED if count >= LEAST_SET else UNPAIRED[2:]
        self.names = sets + (self.pairs.names if self.pairs else ())
        self.monitor = sets[0]
        self._cycles: dict[str, list[Tensor]] = {}
        self._sets: dict[str, list[Tensor]] = {}

    def reset(self) -> None:
        """Begin a new set."""
        self._cycles, self._sets = {}, {}
        if self.pairs:
            self.pairs.reset()

    def update(self, game: nn.Module, batch: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """Add a batch of (A, B)."""
        a, b = batch
        fake_b, fake_a = game.translate(a, "AtoB").float(), game.translate(b, "BtoA").float()
        back_a, back_b = game.translate(fake_b, "BtoA"), game.translate(fake_a, "AtoB")
        self._note(self._cycles, "cycle", l1(back_a.float(), a))
        self._note(self._cycles, "cycle_back", l1(back_b.float(), b))
        if UNPAIRED[0] in self.names:
            for name, images in (("a", a), ("b", b), ("fake_a", fake_a), ("fake_b", fake_b)):
                self._note(self._sets, name, self._features(images))
        if self.pairs:
            self.pairs._scores.update(fake_b, b)
        return {"AtoB": fake_b, "BtoA": fake_a}

    def result(self) -> dict[str, Score]:
        """Each metric by name."""
        found: dict[str, Score] = {}
        sets = {name: torch.cat(parts) for name, parts in self._sets.items()}
        for name, side in zip(UNPAIRED[:2], "ba", strict=True):
            if name in self.names:
                real, fake = sets[side], sets[f"fake_{side}"]
                found[name] = kernel_distance(real, fake, extractor=self.extractor.name)
        for name in UNPAIRED[2:]:
            found[name] = score(torch.cat(self._cycles[name]), "8-bit levels there and back")
        return found | (self.pairs.result() if self.pairs else {})

    def _features(self, images: Tensor) -> Tensor:
        if isinstance(self.extractor, nn.Module):
            self.extractor.to(images.device)
        with torch.no_grad(), torch.autocast(images.device.type, enabled=False):
            return self.extractor(images.clamp(-1, 1)).float().cpu()

    @staticmethod
    def _note(held: dict[str, list[Tensor]], name: str, values: Tensor) -> None:
        held.setdefault(name, []).append(values)


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
        found = self.scorer.result()
        self.learn.scores = {name: score.value for name, score in found.items()}
        self.learn.scores["n"] = min(score.n for score in found.values())


def scorer_for(data: Any) -> Scorer:
    """The metrics that suit a DataBunch."""
    if data.kind == "Pix2Pix":
        return PairScores(data.chip_size)
    truth = getattr(data, "paired_valid", False) is True
    return UnpairedScores(len(data.valid_ds), data.chip_size, truth=truth)


def find_extractor() -> Extractor:
    """Features that need no download: ImageNet's from a package, or the averaged image."""
    try:
        return ImageNetFeatures()
    except MissingPackageError:
        return PixelFeatures()


@torch.no_grad()
def evaluate(game: nn.Module, loader: Any, scorer: Scorer) -> dict[str, Score]:
    """Score a game in float32 on every batch of a loader, from the start of its first epoch."""
    device, training = next(game.parameters()).device, game.training
    game.eval()
    scorer.reset()
    try:
        for batch in batches(loader, 0):
            scorer.update(game, tuple(side.to(device) for side in batch))
    finally:
        game.train(training)
    return scorer.result()


def data_facts(data: Any) -> dict[str, Any]:
    """What decides the batches of a DataBunch, as JSON."""
    facts: dict[str, Any] = {"kind": getattr(data, "kind", type(data).__name__)}
    for name in ("chip_size", "batch_size", "seed"):
        if hasattr(data, name):
            facts[name] = getattr(data, name)
    for name in ("a", "b"):
        if hasattr(getattr(data, name, None), "to_dict"):
            facts[name] = getattr(data, name).to_dict()
    for name, loader in (("training", data.train), ("validation", data.valid)):
        facts[f"{name} batches"] = len(loader)
        facts[f"{name} chips"] = _digest(loader)
    return facts


def _digest(loader: Any) -> str:
    """A short word for which chips a loader has and how it augments them."""
    dataset = getattr(loader, "dataset", None)
    sides = [getattr(dataset, side, None) for side in ("a", "b")]
    files = [getattr(side, "files", None) for side in sides]
    names = [path.name for held in files for path in getattr(held, "paths", ())]
    augment = getattr(dataset, "augment", None)
    told = "\n".join([*names, re.sub(r" at 0x[0-9a-f]+", "", repr(augment))])
    return hashlib.sha256(told.encode()).hexdigest()[:12]
