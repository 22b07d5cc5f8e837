"""Real class folders for the few-shot benchmark: characters, and two sets of aerial scenes."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from benchmarks.common import IMAGERY
from rs_gen import prepare_data


class Set(NamedTuple):
    """A set of classes.

    Attributes:
        unseen: Classes to test with.
        per_class: Chips drawn of each for the scores.
        options: Of ``prepare_data``.
    """

    unseen: int
    per_class: int
    options: dict[str, Any]


SETS = {
    "omniglot": Set(60, 32, {"turns": False}),
    "aid": Set(6, 64, {}),
    "ucmerced": Set(4, 64, {"shrink": 2}),
}
SHOTS = 3
QUICK = {"on": False}  # a run that only shows that all works


class Trial(NamedTuple):
    """The chips of the unseen classes, apart.

    Attributes:
        supports: (N, K, C, H, W) that are shown to a model.
        reference: (M, C, H, W) that drawn chips are held against, and ``reference_labels``.
        others: (L, C, H, W) further real chips: the ceiling, and ``other_labels``.
    """

    supports: Tensor
    reference: Tensor
    reference_labels: np.ndarray
    others: Tensor
    other_labels: np.ndarray


def prepared(name: str, split: int, work: Path, batch_size: int, *, gmn: bool = False) -> Any:
    """A FewShotBunch; the split is drawn by its number. GMN learns from ten chips at a time."""
    chosen = SETS[name]
    unseen = 4 if QUICK["on"] else chosen.unseen
    folder = characters(work) if name == "omniglot" else IMAGERY / _FOLDERS[name]
    return prepare_data(
        folder, dataset_type="FewShot", shots=SHOTS, unseen=unseen, seed=split,
        batch_size=batch_size, working_dir=work, cache=True, num_workers=0,
        targets=7 if gmn else None, **chosen.options,
    )  # fmt: skip


def per_class(name: str) -> int:
    """Chips to draw of each unseen class."""
    return 8 if QUICK["on"] else SETS[name].per_class


def trial(data: Any) -> Trial:
    """The first chips of each unseen class as supports; the others in two halves."""
    parts: dict[str, list] = {"supports": [], "reference": [], "others": []}
    labels: dict[str, list[int]] = {"reference": [], "others": []}
    for label, name in enumerate(data.unseen):
        images = data.images(name)
        dice = np.random.default_rng((data.seed, label))
        images = images[torch.from_numpy(dice.permutation(len(images)))]
        parts["supports"].append(images[:SHOTS])
        for part, held in (("reference", images[SHOTS::2]), ("others", images[SHOTS + 1 :: 2])):
            parts[part].append(held)
            labels[part] += [label] * len(held)
    return Trial(
        torch.stack(parts["supports"]), torch.cat(parts["reference"]),
        np.array(labels["reference"]), torch.cat(parts["others"]), np.array(labels["others"]),
    )  # fmt: skip


def characters(work: Path, size: int = 32) -> Path:
    """Omniglot's drawings as ink (white) on ground (black), written once into class folders.

    105 px are averaged down to 28 and framed by two pixels of ground; strokes are then made as
    bright again as they were.
    """
    from PIL import Image

    folder = work / "omniglot32"
    if (folder / "whole").exists():
        return folder / "classes"
    with zipfile.ZipFile(IMAGERY / "omniglot" / "images_background.zip") as archive:
        for name in archive.namelist():
            if not name.endswith(".png"):
                continue
            alphabet, character, file = name.split("/")[-3:]
            image = Image.open(io.BytesIO(archive.read(name))).convert("L")
            inner = np.asarray(image.resize((size - 4, size - 4), Image.Resampling.BOX), "float32")
            ink = np.pad(np.clip(2 * (255 - inner), 0, 255), 2).astype("uint8")
            path = folder / "classes" / f"{alphabet}_{character}" / file
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(ink).save(path)
    (folder / "whole").touch()
    return folder / "classes"


_FOLDERS = {"aid": "aid64", "ucmerced": "ucmerced128"}
