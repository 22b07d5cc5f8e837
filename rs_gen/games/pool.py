"""Images that a discriminator has not forgotten."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..errors import SettingError


class ImagePool:
    """Shows a discriminator older fakes among the new ones, so that it does not chase its tail.

    Until the pool is full every image is kept and handed back. After that each image is, with even
    odds, handed back and forgotten, or swapped with one that was kept. The dice are a function of
    the seed and of how many images went by, so ``state`` holds all that a resumed training needs.

    Args:
        size: Images to keep; 0 hands everything back.
        seed: Of the dice.

    Source:
        Shrivastava et al. 2017, "Learning from Simulated and Unsupervised Images", section 2.3;
        used with 50 images by Zhu et al. 2017, section 4.
    """

    def __init__(self, size: int = 50, seed: int = 0):
        self.size, self.seed, self.seen = size, seed, 0
        self.images: list[Tensor] = []

    def __call__(self, images: Tensor) -> Tensor:
        """(B, C, H, W) to as many images, some of them older. Carries no gradient."""
        images = images.detach()
        if self.size == 0:
            return images
        return torch.stack([self._exchange(image) for image in images])

    def _exchange(self, image: Tensor) -> Tensor:
        dice = random.Random(f"{self.seed}/{self.seen}")
        self.seen += 1
        # float32 so that the pool does not depend on the precision of the step that filled it
        kept = image.float().clone()
        if len(self.images) < self.size:
            self.images.append(kept)
            return kept
        if dice.random() < 0.5:
            return kept
        place = dice.randrange(self.size)
        older = self.images[place].to(image.device)
        if older.shape != kept.shape:  # the chip size was changed between two trainings
            older = kept
        self.images[place] = kept
        return older

    def state(self) -> dict[str, Any]:
        """Everything that decides what comes next, as plain values and CPU tensors."""
        return {
            "size": self.size,
            "seed": self.seed,
            "seen": self.seen,
            "images": [image.cpu().clone() for image in self.images],
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Take up what ``state`` gave.

        Raises:
            SettingError: It comes from a pool of another size.
        """
        if state["size"] != self.size:
            raise SettingError(
                f"the image pool holds {self.size} and the saved one {state['size']}; "
                f"resume with pool={state['size']}"
            )
        self.seed, self.seen = state["seed"], state["seen"]
        self.images = [image.clone() for image in state["images"]]
