"""How good generated images are: one call, every number with its n, extractor and interval.

Against held-out images, never against those that were trained on: a generator that repeats its
training images would then be the best. No number here is called FID, the name of a distance with
Inception's features between published sets.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..errors import SettingError
from .distance import frechet_distance, kernel_distance
from .features import Extractor, ImageNetFeatures, PixelFeatures, features_of
from .nearest import coverage, density, nearest, nearest_ratio, precision, recall
from .protocol import Score

PIXELS = 16  # side that images are averaged down to for the numbers on pixels


class GenerationScorer:
    """Scores of fakes against one set of held-out images, whose features are taken once.

    Args:
        real: (M, C, H, W) held-out images in [-1, 1].
        train: (T, C, H, W) images that were trained on; None leaves out what needs them.
        extractor: From images to features; None for ImageNet's, see
            :class:`~rs_gen.metrics.features.ImageNetFeatures`.
        k: Neighbours, for (precision and recall, density and coverage).
        turns: Training was on the eight flips and turns too, so a turned copy is a copy. Looked
            for in pixels only, where turning costs nothing.
        seed: Of every bootstrap.
        draws: Resamples for the Frechet distances, the only slow ones; 0 for no interval.
        batch_size: Images that features are taken of at a time.
        device: Where.

    Raises:
        SettingError: A set is too small, has another shape, or most held-out images are training
            images.
    """

    def __init__(
        self,
        real: Tensor,
        train: Tensor | None = None,
        extractor: Extractor | None = None,
        *,
        k: tuple[int, int] = (3, 5),
        turns: bool = True,
        seed: int = 0,
        draws: int = 50,
        batch_size: int = 16,
        device: str | torch.device = "cpu",
    ):
        self.extractor = ImageNetFeatures() if extractor is None else extractor
        self.k, self.seed, self.draws = k, seed, draws
        self._batch_size, self._device = batch_size, device
        self._shape = tuple(real.shape[1:])
        self._pixels = PixelFeatures(min(PIXELS, *real.shape[-2:]))
        self._real, self._real_pixels = self._features(real), self._pixels(real)
        self._train = self._train_pixels = None
        if train is not None:
            self._check(train, "training")
            self._refuse_trained(self._real_pixels, self._pixels(train))
            turned = eight_turns(train) if turns else train
            self._train, self._train_pixels = self._features(train), self._pixels(turned)

    def __call__(self, fake: Tensor) -> dict[str, Score]:
        """The scores of (N, C, H, W) generated images in [-1, 1], by name.

        ``frechet`` and ``kernel`` (both less is better), ``precision density`` (fidelity) and
        ``recall coverage`` (variety) in the extractor's features; ``frechet_pixels`` in pixels
        averaged down, because a regularizer may better the one and worsen the other; and, with
        training images, ``nearest_ratio`` and ``nearest_ratio_pixels`` (below 1: copies).
        """
        self._check(fake, "generated")
        made, pixels = self._features(fake), self._pixels(fake)
        name, in_pixels = self.extractor.name, self._pixels.name
        few, more = self.k
        seed, draws = self.seed, self.draws
        near: dict[str, Any] = {"extractor": name, "seed": seed}
        scores = {
            "frechet": frechet_distance(self._real, made, extractor=name, seed=seed, draws=draws),
            "kernel": kernel_distance(self._real, made, extractor=name, seed=seed),
            "precision": precision(self._real, made, k=few, **near),
            "recall": recall(self._real, made, k=few, **near),
            "density": density(self._real, made, k=more, **near),
            "coverage": coverage(self._real, made, k=more, **near),
            "frechet_pixels": frechet_distance(
                self._real_pixels, pixels, extractor=in_pixels, seed=seed, draws=draws
            ),
        }
        if self._train is not None and self._train_pixels is not None:
            scores["nearest_ratio"] = nearest_ratio(self._real, made, self._train, **near)
            scores["nearest_ratio_pixels"] = nearest_ratio(
                self._real_pixels, pixels, self._train_pixels, extractor=in_pixels, seed=seed
            )
        return scores

    def _features(self, images: Tensor) -> Tensor:
        return features_of(self.extractor, images, batch_size=self._batch_size, device=self._device)

    def _check(self, images: Tensor, name: str) -> None:
        if tuple(images.shape[1:]) != self._shape:
            raise SettingError(
                f"{name} images are {tuple(images.shape[1:])} (C, H, W) but the held-out ones "
                f"{self._shape}; compare images of one size"
            )

    def _refuse_trained(self, real: Tensor, train: Tensor) -> None:
        same = int((nearest(real, train)[1] == 0).sum())
        if 2 * same > len(real):
            raise SettingError(
                f"{same} of {len(real)} held-out images are training images; score against images "
                "that were not trained on, such as data.images('valid')"
            )


def generation_scores(
    real: Tensor,
    fake: Tensor,
    train: Tensor | None = None,
    extractor: Extractor | None = None,
    *,
    k: tuple[int, int] = (3, 5),
    turns: bool = True,
    seed: int = 0,
    draws: int = 50,
    batch_size: int = 16,
    device: str | torch.device = "cpu",
) -> dict[str, Score]:
    """The scores of generated images against held-out ones, by name.

    Args:
        real: (M, C, H, W) held-out images in [-1, 1].
        fake: (N, C, H, W) generated images; compare values only for equal M and N.
        train: (T, C, H, W) images that were trained on, for ``nearest_ratio``; None without.
        extractor: As for :class:`GenerationScorer`, like all that follow.
        k: Neighbours, for (precision and recall, density and coverage).
        turns: A turned copy of a training image is a copy.
        seed: Of every bootstrap.
        draws: Resamples for the Frechet distances.
        batch_size: Images that features are taken of at a time.
        device: Where.

    Returns:
        As calling a :class:`GenerationScorer` gives.
    """
    scorer = GenerationScorer(
        real, train, extractor, k=k, turns=turns, seed=seed, draws=draws, batch_size=batch_size,
        device=device,
    )  # fmt: skip
    return scorer(fake)


def eight_turns(images: Tensor) -> Tensor:
    """(8 N, C, H, W): all flips and quarter turns of (N, C, H, W) square images, turn by turn."""
    if images.shape[-1] != images.shape[-2]:
        raise SettingError(
            f"images of {images.shape[-1]} x {images.shape[-2]} px are not square: a quarter turn "
            "has another shape"
        )
    turned = [
        torch.rot90(side, k, (-2, -1)) for side in (images, images.flip(-1)) for k in range(4)
    ]
    return torch.cat(turned)
