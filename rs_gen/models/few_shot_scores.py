"""Unseen classes, drawn from their first chips and held against their other ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..errors import MissingPackageError, SettingError
from ..metrics.features import Extractor, ImageNetFeatures, PixelFeatures, features_of
from ..metrics.few_shot import few_shot_scores

if TYPE_CHECKING:
    from ..metrics.protocol import Score
    from .few_shot import FewShotModel

METRICS = ("kernel_distance", "frechet_distance", "category_hit", "diversity", "support_distance")


def usual_extractor() -> Extractor:
    """ImageNet features, or the pixels where their package is missing."""
    try:
        return ImageNetFeatures()
    except MissingPackageError:
        return PixelFeatures()


def score_unseen(
    model: FewShotModel, n: int, extractor: Any = None, classes: int | None = None
) -> dict[str, Score]:
    """``METRICS`` by name. The support images are the first ``shots`` chips of each class.

    Raises:
        SettingError: No unseen class has chips beside its support images.
    """
    extractor = extractor or usual_extractor()
    data, shots = model.data, model.data.shots
    found: dict[str, list] = {"fake": [], "support": [], "real": []}
    labels: dict[str, list] = {"fake": [], "support": [], "real": []}
    for label, name in enumerate(data.unseen[:classes]):
        images = data.images(name)
        if len(images) <= shots:
            continue
        parts = {"support": images[:shots], "real": images[shots:]}
        parts["fake"] = model.draw(parts["support"], n, seed=label)
        for part, held in parts.items():
            found[part].append(features_of(extractor, held, device=model.device))
            labels[part] += [label] * len(held)
    if not found["real"]:
        raise SettingError(f"no unseen class has more than shots={shots} chips to measure with")
    features = {part: torch.cat(held) for part, held in found.items()}
    known = {part: np.array(held, "int64") for part, held in labels.items()}
    return few_shot_scores(
        features["fake"], known["fake"], features["support"], known["support"],
        features["real"], known["real"], extractor=extractor.name,
    )  # fmt: skip
