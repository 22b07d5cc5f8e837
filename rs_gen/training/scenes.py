"""How a small scene classifier is trained on few chips, real ones and others, with equal steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import SettingError, TrainingError
from ..networks.scene import SceneNet

Change = Callable[[Tensor, torch.Generator], Tensor]


class Labelled(NamedTuple):
    """Images and their classes.

    Attributes:
        images: (N, C, H, W) in [-1, 1].
        labels: (N,) int64.
    """

    images: Tensor
    labels: Tensor


@dataclass(frozen=True)
class SceneRecipe:
    """All numbers that decide a classifier's weights, but seed and chips.

    Attributes:
        steps: Optimiser steps; the same for every arm of a comparison.
        batch_size: Chips in a step, real and generated together.
        share: Of a batch that is generated, where there are generated chips, 0 to 1.
        lr: Peak of the learning rate, which falls along a half cosine to 0.
        weight_decay: Of AdamW.
        width: Of :class:`~rs_gen.networks.scene.SceneNet`.

    Raises:
        SettingError: A number can't work.
    """

    steps: int = 400
    batch_size: int = 64
    share: float = 0.5
    lr: float = 2e-3
    weight_decay: float = 5e-3
    width: int = 24

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch_size < 2:
            raise SettingError(f"steps={self.steps} and batch_size={self.batch_size}: too few")
        if not 0 < self.share < 1:
            raise SettingError(f"share={self.share} must lie between 0 and 1")


def fit_scenes(
    real: Labelled,
    classes: int,
    *,
    extra: Labelled | None = None,
    change: Change | None = None,
    recipe: SceneRecipe | None = None,
    seed: int = 0,
) -> SceneNet:
    """A trained classifier, in eval mode.

    With one seed every arm starts from the same weights and sees its real chips in the same order;
    only how many of them a batch holds differs. Extra chips are normalised by themselves and leave
    no trace in the statistics of batch norm: tests are on real chips.

    Args:
        real: Chips to train on.
        classes: How many there are.
        extra: Generated chips, or any others, which fill ``share`` of each batch.
        change: Augmentation of a batch, such as :class:`~rs_gen.training.traditional.Traditional`;
            of real and extra chips alike. None for none.
        recipe: The numbers; None for the usual.
        seed: Of weights, order and augmentation.

    Raises:
        SettingError: Labels do not fit, or the two sets differ in shape.
        TrainingError: The loss is not finite.
    """
    recipe = recipe or SceneRecipe()
    _check(real, extra, classes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = SceneNet(real.images.shape[1], classes, recipe.width)
    optimizer = torch.optim.AdamW(net.parameters(), recipe.lr, weight_decay=recipe.weight_decay)
    # The dice of real chips, of extra ones and of augmentation do not move each other.
    order, others, light = (torch.Generator().manual_seed(3 * seed + i) for i in range(3))
    made = round(recipe.batch_size * recipe.share) if extra is not None else 0
    for step in range(recipe.steps):
        chosen = torch.randint(len(real.labels), (recipe.batch_size,), generator=order)
        images, labels = (part[chosen[made:]] for part in real)
        logits = net(images if change is None else change(images, light))
        if extra is not None:
            chosen = torch.randint(len(extra.labels), (made,), generator=others)
            images = extra.images[chosen]
            with _unnoticed(net):
                more = net(images if change is None else change(images, light))
            logits = torch.cat([logits, more])
            labels = torch.cat([labels, extra.labels[chosen]])
        loss = F.cross_entropy(logits, labels)
        if not torch.isfinite(loss):
            raise TrainingError(f"the classifier's loss is {loss.item()} in step {step}; lower lr")
        for group in optimizer.param_groups:
            group["lr"] = recipe.lr * (1 + math.cos(math.pi * step / recipe.steps)) / 2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return net.eval()


@torch.no_grad()
def right(net: SceneNet, test: Labelled, batch_size: int = 256) -> Tensor:
    """(N,) bool: which chips are classified as they should be."""
    guessed = [net(part).argmax(1) for part in test.images.split(batch_size)]
    return torch.cat(guessed) == test.labels


@contextmanager
def _unnoticed(net: SceneNet) -> Iterator[None]:
    """Inside, batch norm uses the statistics of its batch and remembers nothing of them."""
    norms = [m for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    before = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, before, strict=True):
            norm.momentum = momentum


def _check(real: Labelled, extra: Labelled | None, classes: int) -> None:
    for name, part in (("real", real), ("extra", extra)):
        if part is None:
            continue
        images, labels = part
        if len(images) != len(labels) or not len(labels):
            raise SettingError(f"{len(labels)} labels for {len(images)} {name} chips")
        if int(labels.min()) < 0 or int(labels.max()) >= classes:
            raise SettingError(
                f"labels of the {name} chips are {int(labels.min())} to {int(labels.max())}, "
                f"which {classes} classes do not hold"
            )
        if images.shape[1:] != real.images.shape[1:]:
            raise SettingError(
                f"extra chips are {tuple(images.shape[1:])} (C, H, W) and real ones "
                f"{tuple(real.images.shape[1:])}"
            )
