"""Scores of drawn chips: features of the seen classes, and classifiers with few real chips."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.few_shot_data import QUICK, SHOTS, Trial
from rs_gen.metrics.features import ImageNetFeatures, PixelFeatures, features_of
from rs_gen.metrics.few_shot import few_shot_scores

STEPS, BATCH = 300, 64  # of a low-data classifier
SEEDS = (0, 1)


class Convolutions(nn.Module):
    """Four times conv, batch norm, ReLU, pool: the features, and a linear head."""

    def __init__(self, bands: int, classes: int, width: int = 32, side: int = 2):
        super().__init__()
        layers: list[nn.Module] = []
        for c_in in (bands, width, width, width):
            layers += [nn.Conv2d(c_in, width, 3, 1, 1), nn.BatchNorm2d(width), nn.ReLU(),
                       nn.MaxPool2d(2)]  # fmt: skip
        self.body = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(side), nn.Flatten())
        self.head = nn.Linear(width * side * side, classes)

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) to (B, classes)."""
        return self.head(self.body(images))


class SeenFeatures(nn.Module):
    """128 features of a network that tells the seen classes apart; no weights to download."""

    def __init__(self, data: Any, steps: int = 700, name: str = ""):
        super().__init__()
        self.name = f"seen-class convnet, {steps} steps, split {data.seed}"
        torch.manual_seed(data.seed)
        self.net = Convolutions(data.n_channel, data.c)
        optimizer = torch.optim.Adam(self.net.parameters(), 2e-3)
        dice, count = np.random.default_rng(data.seed), len(data.train_ds.labels)
        for step in range(steps):
            chosen = dice.integers(0, count, 96)
            images = torch.stack([data.train_ds.image(int(i)) for i in chosen])
            if not data.turns:
                images = affine(images, torch.Generator().manual_seed(step))
            loss = F.cross_entropy(self.net(images), torch.from_numpy(data.train_ds.labels[chosen]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) to (B, 128)."""
        return self.net.body(images)


def extractor_of(data: Any) -> Any:
    """What looks at the chips of a set: ImageNet for scenes, a network of their own for others."""
    if QUICK["on"]:
        return PixelFeatures(8)
    return ImageNetFeatures() if data.n_channel == 3 else SeenFeatures(data)


def scores(extractor: Any, made: Tensor, labels: np.ndarray, given: Trial) -> dict[str, Any]:
    """Distances, category hit, diversity and distance to the support, each with n and protocol."""
    shown = np.repeat(np.arange(len(given.supports)), SHOTS)
    found = few_shot_scores(
        features_of(extractor, made, batch_size=64), labels,
        features_of(extractor, given.supports.flatten(0, 1), batch_size=64), shown,
        features_of(extractor, given.reference, batch_size=64), given.reference_labels,
        extractor=extractor.name,
    )  # fmt: skip
    return {name: score._asdict() for name, score in found.items()}


def from_one(
    extractor: Any, model: Any, given: Trial, n: int = 16, *, views: str | None = "auto"
) -> float:
    """Mean distance between chips drawn from one support chip, over that of real ones.

    With ``views=None`` the chip is shown as it is, so that the code alone makes the difference:
    0 for systems that mix support chips.
    """
    from rs_gen.metrics.few_shot import spread_of

    ratios = []
    for label in range(min(10, len(given.supports))):
        made = model.draw(given.supports[label, :1], n, seed=label, views=views)
        real = given.reference[given.reference_labels == label]
        ratios.append(
            spread_of(features_of(extractor, made)) / spread_of(features_of(extractor, real))
        )
    return float(np.mean(ratios))


def accuracy(
    given: Trial, made: Tensor | None, labels: np.ndarray | None, *, traditional: bool, turns: bool
) -> list[float]:
    """Of a classifier for the unseen classes that has seen the supports; one for each seed.

    Trained for a fixed number of steps on ``BATCH`` real chips and, where there are drawn ones, as
    many of those; tested on all other real chips. ``traditional`` augments both alike: flips,
    quarter turns and brightness for scenes, else small turns, shifts and scales.
    """
    tests = torch.cat([given.reference, given.others])
    truth = torch.from_numpy(np.concatenate([given.reference_labels, given.other_labels]))
    real = given.supports.flatten(0, 1)
    real_labels = torch.arange(len(given.supports)).repeat_interleave(SHOTS)
    found = []
    for seed in SEEDS:
        torch.manual_seed(seed)
        net = Convolutions(real.shape[1], len(given.supports))
        optimizer = torch.optim.Adam(net.parameters(), 2e-3)
        for step in range(4 if QUICK["on"] else STEPS):
            chosen = torch.randint(0, len(real), (BATCH,))
            images, wanted = real[chosen], real_labels[chosen]
            if made is not None and labels is not None:
                chosen = torch.randint(0, len(made), (BATCH,))
                images = torch.cat([images, made[chosen]])
                wanted = torch.cat([wanted, torch.from_numpy(labels)[chosen]])
            if traditional:
                dice = torch.Generator().manual_seed(seed * 100_000 + step)
                images = scenes(images, dice) if turns else affine(images, dice)
            loss = F.cross_entropy(net(images), wanted)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        net.eval()
        with torch.no_grad():
            guessed = torch.cat([net(part).argmax(1) for part in torch.split(tests, 256)])
        found.append(float((guessed == truth).float().mean()))
    return found


def affine(images: Tensor, dice: torch.Generator) -> Tensor:
    """Turned by up to 10 degrees, scaled by up to 15 %, moved by up to 4 % of the side."""
    draws = 2 * torch.rand(4, len(images), generator=dice) - 1
    turn, scale = draws[0] * (torch.pi / 18), 1 + 0.15 * draws[1]
    rows = [
        torch.stack([turn.cos() * scale, -turn.sin() * scale, 0.08 * draws[2]], -1),
        torch.stack([turn.sin() * scale, turn.cos() * scale, 0.08 * draws[3]], -1),
    ]
    grid = F.affine_grid(torch.stack(rows, 1), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def scenes(images: Tensor, dice: torch.Generator) -> Tensor:
    """One of the eight flips and quarter turns each, and other light."""
    turns = torch.randint(0, 8, (len(images),), generator=dice).tolist()
    turned = [torch.rot90(x.flip(2) if t > 3 else x, t % 4, (1, 2))
              for x, t in zip(images, turns, strict=True)]  # fmt: skip
    light = torch.rand(2, len(images), 1, 1, 1, generator=dice)
    return (torch.stack(turned) * (0.8 + 0.4 * light[0]) + 0.2 * light[1] - 0.1).clamp(-1, 1)
