"""Scores of drawn chips: features of the seen classes, and classifiers with few real chips."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from benchmarks.few_shot_data import QUICK, SHOTS, Trial
from rs_gen.metrics.features import ImageNetFeatures, PixelFeatures, features_of
from rs_gen.metrics.few_shot import few_shot_scores
from rs_gen.networks.scene import SceneNet
from rs_gen.raster.files import whole_or_not
from rs_gen.training.scenes import Labelled, SceneRecipe, fit_scenes, right
from rs_gen.training.traditional import Traditional

STEPS = {False: 400, True: 200}  # of a low-data classifier; scenes (True) are larger and fewer
FEATURES = SceneRecipe(steps=700, batch_size=96, width=32)  # of what looks at characters
SEEDS = (0, 1)


class SeenFeatures(nn.Module):
    """128 features of a network that tells the seen classes apart; no weights to download."""

    def __init__(self, net: SceneNet, split: int):
        super().__init__()
        self.name = f"seen-class convnet, {FEATURES.steps} steps, split {split}"
        self.net = net

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) to (B, 128)."""
        return self.net.features(images)


def extractor_of(data: Any, path: Path) -> Any:
    """What looks at the chips: ImageNet at scenes, at others a network of their own, kept."""
    if QUICK["on"]:
        return PixelFeatures(8)
    if data.n_channel == 3:
        return ImageNetFeatures()
    if not path.exists():
        seen = data.train_ds
        images = torch.stack([seen.image(i) for i in range(len(seen.labels))])
        net = fit_scenes(
            Labelled(images, torch.from_numpy(seen.labels)), data.c,
            change=traditional_of(data.turns), recipe=FEATURES, seed=data.seed,
        )  # fmt: skip
        with whole_or_not(path) as part:
            save_file(net.state_dict(), part)
    net = SceneNet(data.n_channel, data.c, FEATURES.width)
    net.load_state_dict(load_file(path))
    return SeenFeatures(net, data.seed).eval()


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
    given: Trial, made: Tensor | None, labels: np.ndarray | None, *, traditional: bool, turns: bool,
    share: float = 0.5,
) -> list[float]:  # fmt: skip
    """Of a classifier for the unseen classes that has seen the supports; one for each seed.

    Drawn chips fill ``share`` of each batch. ``traditional`` augments real and drawn chips alike.
    Tested on all other real chips.
    """
    count, shots = given.supports.shape[:2]
    real = Labelled(given.supports.flatten(0, 1), torch.arange(count).repeat_interleave(shots))
    tests = Labelled(
        torch.cat([given.reference, given.others]),
        torch.from_numpy(np.concatenate([given.reference_labels, given.other_labels])),
    )
    extra = None if made is None else Labelled(made, torch.from_numpy(labels))
    recipe = SceneRecipe(steps=4 if QUICK["on"] else STEPS[turns], share=share)
    change = traditional_of(turns) if traditional else None
    nets = (
        fit_scenes(real, count, extra=extra, change=change, recipe=recipe, seed=seed)
        for seed in SEEDS
    )
    return [float(right(net, tests).float().mean()) for net in nets]


def traditional_of(turns: bool) -> Traditional:
    """What is augmented where generated chips are not: scenes turn, characters hardly."""
    return Traditional() if turns else Traditional.upright()
