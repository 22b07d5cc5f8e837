"""What looks at a generator while it is trained: scores, alarms and previews."""
# ruff: noqa: D102 - fastai's events say what they are

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from ..data.show import grid_figure
from ..errors import SettingError
from ..games.generative import GenerativeGame
from ..metrics.features import Extractor, ImageNetFeatures
from ..metrics.generation import GenerationScorer
from ..metrics.protocol import Score
from .alarms import COLLAPSE, POOLED, Warn
from .callbacks import Part
from .evaluate import find_extractor
from .information import INFORMATION, Shown, feature_information

GENERATION = (
    "kernel", "frechet", "precision", "recall", "density", "coverage", "frechet_pixels",
    "nearest_ratio", "nearest_ratio_pixels",
)  # fmt: skip
MOST = 256  # held-out images, and as many generated ones, that an epoch is measured on
LEAST = 2  # held-out images
SMALL, LOOK = 64, 96  # pixels: smaller chips are looked at in this size, for a fifth of the time
SAMPLES = 256  # images that features are looked at of
NEIGHBOURS = (3, 5)  # for precision and recall, density and coverage; fewer for few images
IMAGES = "images"  # what a generator's images are called where a translation has a direction
SEED = 0  # of the noise that every validation starts from

OVERFIT = 3.0  # deviations by which a discriminator holds training images for more real
COPIES = 0.5  # distance to the nearest training image, over that of held-out images
WON = 0.02  # mean loss of a relativistic discriminator

ADVICE = {
    "collapse": (
        "the images resemble each other (variance between them is {value:.3f} of that between real "
        "chips). Try a larger r1_weight, a lower lr, or a larger uniformity_weight"
    ),
    "overfit": (
        "the discriminator knows its chips by heart (a gap of {value:.1f} deviations to held-out "
        "ones). Try more chips, augment='ada' or 'diffaug', or fewer steps"
    ),
    "copies": (
        "the images are nearly the training chips (distance {value:.2f} of that of held-out chips)."
        " Try more chips, augment='ada', or fewer steps"
    ),
    "saturated": (
        "the discriminator's loss is {value:.4f}: it has won and teaches nothing any more. Try a "
        "larger r1_weight, d_lr_ratio=0.5, or more chips"
    ),
}


class GenerationScores:
    """Generated images against held-out ones, one for each and of its class.

    Args:
        train: Images that were trained on, for what tells copies and over-fitting.
        held: Held-out images; the first 256 are used.
        extractor: Features to compare by; None for ImageNet's where the package with the weights
            is installed (at 96 px for chips of up to 64), else the images averaged down.
        information: Also look at both players' features.

    Raises:
        SettingError: Fewer than two images are held out.
    """

    paired, monitor = False, "kernel"

    def __init__(
        self, train: Shown, held: Shown, extractor: Extractor | None = None, *,
        information: bool = True,
    ):  # fmt: skip
        if len(held.images) < LEAST:
            raise SettingError(
                f"{len(held.images)} image is held out, and sets of images are compared from "
                f"{LEAST} on; prepare the data with a larger val_split_pct"
            )
        self.train = Shown(train.images[:MOST], train.labels[:MOST])
        self.held = Shown(held.images[:MOST], held.labels[:MOST])
        self.extractor, self.information = extractor, information
        self.names = GENERATION + (INFORMATION if information else ())
        self._scorer: GenerationScorer | None = None
        self._fakes: list[Tensor] = []
        self._game: GenerativeGame | None = None

    def reset(self) -> None:
        """Begin a new set."""
        self._fakes = []

    def update(self, game: GenerativeGame, batch: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """Generate an image of the class of each in the batch, up to 256 in all."""
        images, labels = batch
        made, self._game = sum(map(len, self._fakes)), game
        count = min(len(images), MOST - made)
        if count <= 0:
            return {}
        z = game.noise(made + count, SEED, images.device)[made:]
        with torch.no_grad():
            fakes = game.generate(z, labels[:count]).float().clamp(-1, 1)
        self._fakes.append(fakes.cpu())
        return {IMAGES: fakes}

    def result(self) -> dict[str, Score]:
        """Each metric by name."""
        if self._scorer is None:
            extractor = self.extractor or _extractor(self.held.images.shape[-1])
            near = tuple(min(k, len(self.held.images) - 1) for k in NEIGHBOURS)
            self._scorer = GenerationScorer(
                self.held.images, self.train.images, extractor, k=near, draws=0
            )
        found = self._scorer(torch.cat(self._fakes))
        if self.information and self._game is not None:
            found |= feature_information(self._game, self.train, self.held, n=SAMPLES)
        return {name: found[name] for name in self.names if name in found}


def _extractor(side: int) -> Extractor:
    """What an epoch is measured with: quick for small chips."""
    found = find_extractor()
    if isinstance(found, ImageNetFeatures) and side <= SMALL:
        return ImageNetFeatures(size=LOOK)
    return found


class GenerationAlarms(Warn):
    """Watch generated images and the discriminator, and warn. As ``Alarms`` for translation.

    Args:
        real: Variance between real images is taken of these, (N, C, H, W).
        relativistic: Whether the discriminator's loss has the level that means it has won.
        after_steps: Steps before which nothing is an illness yet.
        patience: Validations in a row that must show it.
    """

    advice = ADVICE

    def __init__(
        self, real: Tensor, relativistic: bool = True, after_steps: int = 500, patience: int = 2
    ):
        super().__init__(after_steps, patience)
        self.variance = float(adaptive_avg_pool2d(real, POOLED).var(0).mean())
        self.relativistic = relativistic
        self._held: list[Tensor] = []

    def before_validate(self) -> None:
        self._held = []

    def after_batch(self) -> None:
        if not self.training and IMAGES in self.learn.fakes:
            self._held.append(adaptive_avg_pool2d(self.learn.fakes[IMAGES], POOLED).cpu())

    def after_validate(self) -> None:
        if self.step < self.after_steps or not self._held:
            return
        spread = float(torch.cat(self._held).var(0).mean()) / max(self.variance, 1e-8)
        self.note("collapse", "", spread, spread < COLLAPSE)
        scores = self.learn.scores
        for illness, name, low, high in (
            ("overfit", "d_train_test_gap", float("-inf"), OVERFIT),
            ("copies", "nearest_ratio_pixels", COPIES, float("inf")),
        ):
            if name in scores:
                self.note(illness, "", scores[name], not low <= scores[name] <= high)
        mean = self.learn.record.means().get("discriminator")
        if self.relativistic and mean is not None:
            self.note("saturated", "", mean, mean < WON)


class GenerationPreview(Part):
    """Write ``epoch_0001.png``, images of the same noise each time, after each validation.

    Args:
        folder: Where to.
        side: ``Side`` of the data, for colours.
        names: Of the classes; a column each, at most eight. Empty for none.
        rows: Images in a column.
    """

    order = 40

    def __init__(self, folder: Path, side: Any, names: tuple[str, ...] = (), rows: int = 4):
        self.folder, self.side, self.names, self.rows = folder, side, names, rows

    def after_validate(self) -> None:
        figure = columns_of(
            self.model, self.rows, self.side, self.names,
            title=f"epoch {self.epoch + 1}, step {self.step}",
        )  # fmt: skip
        self.folder.mkdir(parents=True, exist_ok=True)
        figure.savefig(self.folder / f"epoch_{self.epoch + 1:04d}.png", dpi=80)


@torch.no_grad()
def columns_of(
    game: GenerativeGame, rows: int, side: Any, names: tuple[str, ...] = (), *,
    beside: dict[str, Tensor] | None = None, seed: int = SEED, rgb_bands: Any = None,
    title: str | None = None,
) -> Any:  # fmt: skip
    """A figure of generated images: a column a class, or four columns without classes.

    Args:
        game: In whatever mode.
        rows: Images in a column.
        side: ``Side`` of the images.
        names: Of the classes.
        beside: More columns to the left: heading to (rows, C, H, W).
        seed: Of the noise.
        rgb_bands: As in ``data.show.grid_figure``.
        title: Above the figure.
    """
    device, training = next(game.parameters()).device, game.training
    heads = names[:8] if game.classes else tuple(f"generated {i + 1}" for i in range(4))
    labels = torch.arange(len(heads), device=device).repeat_interleave(rows)
    game.eval()
    made = game.generate(game.noise(len(labels), seed, device), labels).float().clamp(-1, 1)
    game.train(training)
    columns = dict(beside or {}) | dict(zip(heads, made.split(rows), strict=True))
    looks = {} if side is None else dict.fromkeys(columns, side)
    return grid_figure(columns, sides=looks, title=title, rgb_bands=rgb_bands, width=1.2)
