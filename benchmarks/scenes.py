"""Data and in-domain features for the generation benchmarks: small scenes, and upright digits.

The in-domain features are those of a small scene classifier that is trained on real training chips.
A Fréchet distance in them is no FID, and compares only with values of the same data set here.
"""

from __future__ import annotations

import os
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from benchmarks.common import IMAGERY
from rs_gen import prepare_data
from rs_gen.metrics.generation import eight_turns
from rs_gen.raster.files import whole_or_not

SIDE = 32  # pixels of every image here
FEATURES, STEPS, BATCH, RATE = 64, 1500, 64, 2e-3  # of the classifier


class Source(NamedTuple):
    """Where images come from.

    Attributes:
        folder: Under the imagery; None for images of a package.
        shrink: Pixels averaged into one.
        turns: The eight flips and quarter turns are images of the same kind.
        about: In words.
    """

    folder: str | None
    shrink: int
    turns: bool
    about: str


SOURCES = {
    "eurosat": Source("eurosat_rgb", 2, True, "EuroSAT RGB, 10 classes, 64 px averaged to 32"),
    "ucmerced": Source("ucmerced128", 4, True, "UC Merced, 15 classes, 128 px averaged to 32"),
    "digits": Source(None, 1, False, "control, upright: scikit-learn digits, 8 px drawn at 32"),
}


def bunch(name: str, out: Path, seed: int, **options: Any) -> Any:
    """The chips of a source, half of each class held out.

    Args:
        name: A key of ``SOURCES``.
        out: Where models go, and the digits as images.
        seed: Of everything: which chips are held out and which are taken, order and weights.
        **options: As ``prepare_data`` takes them, such as ``n_per_class`` and ``classes``.
    """
    source = SOURCES[name]
    folder = IMAGERY / source.folder if source.folder else digits(out / "digits")
    return prepare_data(
        folder, "ImageGeneration", val_split_pct=0.5, shrink=source.shrink, seed=seed,
        working_dir=out, transforms=None if source.turns else False, **options,
    )  # fmt: skip


def digits(folder: Path) -> Path:
    """The digits of scikit-learn as class folders of 32 px PNG, drawn once."""
    from PIL import Image
    from sklearn.datasets import load_digits

    if folder.exists():
        return folder
    part = folder.with_name(f".{folder.name}.{os.getpid()}")
    held = load_digits()
    for i, (image, label) in enumerate(zip(held.images, held.target, strict=True)):
        path = part / str(label) / f"{i:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        grey = Image.fromarray((image * (255 / 16)).astype("uint8"))
        grey.resize((SIDE, SIDE), Image.Resampling.BILINEAR).convert("RGB").save(path)
    try:
        part.rename(folder)
    except OSError:  # another run was first
        shutil.rmtree(part)
    return folder


class SceneFeatures(nn.Module):
    """(B, 3, 32, 32) in [-1, 1] to (B, 64) features of a scene classifier, in deviations.

    Three convolutions of stride 2, averaged to 2 x 2, then 64 features, then the classes. Each
    feature is divided by its deviation over the held-out images, so none counts more.

    Args:
        classes: What it can tell apart.
        name: For the protocol of the scores.
    """

    def __init__(self, classes: int, name: str):
        super().__init__()
        self.name = f"scene-classifier-{name}"
        widths = (3, 32, 64, 64)
        layers = [
            layer for a, b in pairwise(widths)
            for layer in (nn.Conv2d(a, b, 3, 2, 1), nn.ReLU())
        ]  # fmt: skip
        self.body = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(),
                                  nn.Linear(4 * widths[-1], FEATURES))  # fmt: skip
        self.head = nn.Linear(FEATURES, classes)
        self.register_buffer("mean", torch.zeros(FEATURES))
        self.register_buffer("deviation", torch.ones(FEATURES))

    def forward(self, images: Tensor) -> Tensor:
        """Features; see the class."""
        return (self.body(images) - self.mean) / self.deviation

    def classify(self, images: Tensor) -> Tensor:
        """(B, classes) logits."""
        return self.head(self.body(images).relu())


def scene_features(name: str, out: Path, seed: int) -> tuple[SceneFeatures, float]:
    """The classifier of a source, and its accuracy on held-out images; trained once and kept.

    It is trained on all chips that are not held out, whichever of them a generator learns from.
    """
    data = bunch(name, out, seed, batch_size=BATCH, num_workers=0)
    net = SceneFeatures(data.c, f"{name}-seed-{seed}").eval()
    path = out / "classifiers" / f"{name}_{seed}.safetensors"
    if not path.exists():
        torch.manual_seed(seed)
        net = SceneFeatures(data.c, f"{name}-seed-{seed}")
        _train(net, *data.images("train"), turns=SOURCES[name].turns, seed=seed)
        _standardise(net, data.images("valid")[0])
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_or_not(path) as part:
            save_file(net.state_dict(), part)
    net.load_state_dict(load_file(path))
    images, labels = data.images("valid")
    with torch.no_grad():
        right = net.classify(images).argmax(1) == labels
    return net.requires_grad_(False), float(right.float().mean())


def _train(net: SceneFeatures, images: Tensor, labels: Tensor, *, turns: bool, seed: int) -> None:
    dice = torch.Generator().manual_seed(seed)
    adam = torch.optim.Adam(net.parameters(), RATE)
    for step in range(STEPS):
        chosen = torch.randint(len(images), (BATCH,), generator=dice)
        shown = images[chosen]
        if turns:
            way = int(torch.randint(8, (), generator=dice))
            shown = eight_turns(shown)[way * BATCH : (way + 1) * BATCH]
        adam.param_groups[0]["lr"] = RATE * (1 - step / STEPS)
        adam.zero_grad()
        cross_entropy(net.classify(shown), labels[chosen]).backward()
        adam.step()
    net.eval()


@torch.no_grad()
def _standardise(net: SceneFeatures, held: Tensor) -> None:
    features = net(held)
    net.mean.copy_(features.mean(0))
    net.deviation.copy_(features.std(0).clamp_min(1e-6))
