"""What a model that makes images from noise has: classes, images, and what its features tell."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np
import torch
from torch import Tensor

from ..data.side import Side
from ..errors import SettingError
from ..games.base import Game
from ..games.generative import GenerativeGame, numbers_of
from ..games.package import Package
from ..training.evaluate import Scorer
from ..training.generation import (
    GENERATION,
    GenerationAlarms,
    GenerationPreview,
    GenerationScores,
    columns_of,
)
from ..training.information import INFORMATION, SAMPLES, Shown, feature_information
from ..training.resume import read_tensors
from ..translate.generated import Tiles
from ..translate.making import made, make_tiles, noise_of
from . import figures, keeping
from .base import Model, Watchers

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..metrics.protocol import Score

STEPS = 100  # that an epoch should have at least: few chips make epochs of a handful
MOST_REAL = 1024  # real images that are held for measuring
Labels = int | str | Sequence[int | str] | None


class GenerationModel(Model):
    """A model that makes images from noise, of a class where it knows classes.

    Attributes:
        side: What the images hold, with their stretch.
        class_names: Of the classes that images can be asked for, in the order of their numbers;
            empty for a model without.
    """

    supported_datasets: ClassVar[tuple[str, ...]] = ("ImageGeneration",)
    available_metrics: ClassVar[tuple[str, ...]] = GENERATION + INFORMATION
    does_without_data: ClassVar[str] = "generate"
    side: Side
    class_names: tuple[str, ...]

    # Applying.

    def generate(
        self, n: int, labels: Labels = None, seed: int = 0, *, truncation: float = 1.0
    ) -> np.ndarray:  # fmt: skip
        """(n, C, H, W) stored values, as the training chips have them.

        Args:
            n: Images. With one seed and class, more begin with the fewer.
            labels: A class by name or number for all, or one for each image; None goes through
                the classes in turn.
            seed: Of the noise.
            truncation: Factor on the noise, above 0: below 1 images are more typical and vary less.

        Raises:
            SettingError: A number can't work, or there are no classes to ask for.
            UnknownNameError: There is no such class.
        """
        return self.stored(self.generate_encoded(n, labels, seed, truncation=truncation))

    def generate_encoded(
        self, n: int, labels: Labels = None, seed: int = 0, *, truncation: float = 1.0
    ) -> Tensor:
        """As ``generate``, but float32 in [-1, 1] as networks and metrics read them."""
        chosen = self.labels_of(n, labels)
        z = noise_of(self._generative, n, seed, truncation)
        return made(self._generative, z, chosen, self.device)

    def export(
        self, n: int, out: str | Path, labels: Labels = None, seed: int = 0, *,
        truncation: float = 1.0, **where: Any,
    ) -> Tiles:  # fmt: skip
        """Write ``n`` images as GeoTIFFs on a grid, in class folders where there are classes.

        Args:
            n: Images.
            out: Folder for the tiles.
            labels: As for ``generate``, and so are ``seed`` and ``truncation``.
            seed: Of the noise.
            truncation: Factor on the noise.
            **where: As ``translate.generated.export_tiles`` takes them: ``like`` or ``crs`` and
                ``transform``, ``columns``, ``mosaic``, ``overwrite``.
        """
        package = Package(self.game, keeping.card_of(self, "", None), {})
        return make_tiles(
            package, out, n, labels=labels, seed=seed, truncation=truncation, device=self.device,
            **where,
        )  # fmt: skip

    def interpolate(
        self, steps: int = 8, labels: Labels = None, seeds: tuple[int, int] = (0, 1)
    ) -> np.ndarray:
        """(steps, C, H, W) stored values, on the way from one image to another.

        The way is on the sphere between two draws of noise, for a straight one would pass through
        noise that is shorter than any the model has seen (White 2016, arXiv:1609.04468).

        Args:
            steps: Images, both ends among them; at least 2.
            labels: A class for all, or one for each step; None is the first class.
            seeds: Of the noise at either end.
        """
        if steps < 2:
            raise SettingError(f"steps={steps} has no way between two ends; take at least 2")
        first, last = (self._generative.noise(1, seed) for seed in seeds)
        z = slerp(first, last, torch.linspace(0, 1, steps)[:, None])
        chosen = self.labels_of(steps, 0 if labels is None and self.class_names else labels)
        return self.stored(made(self._generative, z, chosen, self.device))

    def stored(self, encoded: Tensor) -> np.ndarray:
        """(N, C, H, W) in [-1, 1] as stored values of the training chips' dtype."""
        images = encoded.cpu().numpy()
        return np.stack(
            [self.side.stretch.decode(x, self.side.dtype, self.side.nodata) for x in images]
        )

    def labels_of(self, n: int, labels: Labels = None) -> Tensor:
        """(n,) class numbers from names or numbers; see ``generate``."""
        return numbers_of(self.class_names, n, labels)

    # Looking.

    def show_results(self, rows: int = 4, rgb_bands: Any = None) -> Figure:
        """Generated images, a column a class, beside held-out chips where there are data."""
        beside = {}
        if self.data is not None:
            shown = self._real("valid").images[:rows]
            rows, beside = len(shown), {"held-out chips": shown}
        self.game.to(self.device)
        return cast(
            "Figure",
            columns_of(self._generative, rows, self.side, self.class_names, beside=beside,
                       rgb_bands=rgb_bands),
        )  # fmt: skip

    def feature_information(
        self, n: int = SAMPLES, seed: int = 0, *, checkpoint: str | Path | None = None
    ) -> dict[str, Score]:
        """How the features of both players are spread, and whether they know the chips by heart.

        Uniformity, entropy, scale-free entropy, norm and effective rank of generator and
        discriminator; with data also the gap of the discriminator between training and held-out
        chips, and how near images are to training chips (``nearest_ratio_pixels``).

        Args:
            n: Images to generate.
            seed: Of the noise.
            checkpoint: An ``epoch_0001.safetensors``, ``best.safetensors`` or ``last.safetensors``
                of a training of this model; None for the model as it is. The first two hold the
                generator alone: its features are then judged by the discriminator as it is.

        Raises:
            SettingError: ``n`` is too small, or the checkpoint is of another model.
        """
        game = self._generative.to(self.device)
        if checkpoint is not None:
            game = _of_checkpoint(game, Path(checkpoint))
        if self.data is None:
            return feature_information(game, n=n, seed=seed)
        train, held = self._real("train"), self._real("valid")
        found = feature_information(game, train, held, n=n, seed=seed)
        return found | self._copies(game, train, held, n, seed)

    def plot_losses(self) -> Figure:
        """Losses and scores of all trainings; features are in ``plot_information``."""
        if not len(self.history):
            raise SettingError("nothing to plot: fit has not finished an epoch yet")
        return figures.losses_figure(self.history, without=INFORMATION)

    def plot_information(self) -> Figure:
        """What ``feature_information`` tells, over the training: a point each validation."""
        if not len(self.history):
            raise SettingError("nothing to plot: fit has not finished an epoch yet")
        return figures.information_figure(self.history)

    # What a kind of model says.

    def _from_data(self, data: Any) -> None:
        self.side = data.a
        self.class_names = tuple(data.classes)

    def _shape(self) -> dict[str, Any]:
        return {"out_channels": self.side.count, "size": self.size,
                "classes": len(self.class_names)}  # fmt: skip

    def _from_package(self, path: str | Path, package: Package) -> None:
        side, names = Side.from_dict(package.card.target), tuple(package.card.classes)
        if self.data is not None:
            if side.count != self.data.a.count:
                raise SettingError(
                    f"{path} was trained with {side.count} bands and the data have "
                    f"{self.data.a.count}; choose bands with prepare_data(bands=)"
                )
            if names and names != tuple(self.data.classes):
                raise SettingError(
                    f"{path} knows the classes {', '.join(names)} and the data have "
                    f"{', '.join(self.data.classes) or 'none'}; choose them with "
                    "prepare_data(classes=)"
                )
        self.side, self.class_names = side, names

    def _check_chips(self, game: Game, data: Any) -> None:
        size = game.settings.get("size", data.chip_size)
        if size != data.chip_size:
            raise SettingError(
                f"the model makes images of {size} px and the data have {data.chip_size}; prepare "
                f"them with chip_size={size}, or shrink="
            )
        if hasattr(game, "check_batch"):
            game.check_batch(data.batch_size)

    def _scorer(self) -> Scorer:
        return cast(Scorer, GenerationScores(self._real("train"), self._real("valid")))

    def _watchers(self, scorer: Scorer) -> Watchers | None:
        real = self._real("valid").images
        relativistic = self.game.settings.get("loss") == "rpgan"

        def watch(folder: Path | None) -> list[Any]:
            parts: list[Any] = [GenerationAlarms(real, relativistic)]
            if folder is not None:
                parts.append(GenerationPreview(folder, self.side, self.class_names))
            return parts

        return watch

    def _card_fields(self) -> dict[str, Any]:
        return {"source": {}, "target": self.side.to_dict(), "classes": list(self.class_names)}

    def _about(self) -> list[str]:
        known = f"{len(self.class_names)} classes" if self.class_names else "no classes"
        return [
            f"{type(self).__name__}: from noise to {self.side.count} bands, images of "
            f"{self.size} px, {known}"
        ]

    # Inside.

    @property
    def _generative(self) -> GenerativeGame:
        return cast(GenerativeGame, self.game)

    def _real(self, split: str) -> Shown:
        """Chips as they are; at most 1,024, for measuring."""
        dataset = self.data.train_ds if split == "train" else self.data.valid_ds
        return Shown(*self.data.images(split, min(MOST_REAL, len(dataset.labels))))

    def _copies(
        self, game: GenerativeGame, train: Shown, held: Shown, n: int, seed: int
    ) -> dict[str, Score]:
        from ..metrics.features import PixelFeatures
        from ..metrics.generation import PIXELS, eight_turns
        from ..metrics.nearest import nearest_ratio

        with torch.no_grad():
            labels = torch.arange(n, device=self.device) % max(1, game.classes)
            fakes = game.eval().generate(game.noise(n, seed, self.device), labels)
        look = PixelFeatures(min(PIXELS, self.size))
        real, made, known = (
            look(images.float().clamp(-1, 1).cpu())
            for images in (held.images, fakes, eight_turns(train.images))
        )
        ratio = nearest_ratio(real, made, known, extractor=look.name, seed=seed)
        return {"nearest_ratio_pixels": ratio}


def slerp(first: Tensor, last: Tensor, share: Tensor) -> Tensor:
    """(N, Z): points at ``share`` of the way on the sphere between two (1, Z). Shoemake 1985."""
    cosine = torch.nn.functional.cosine_similarity(first, last).clamp(-1, 1)
    angle = torch.arccos(cosine).clamp_min(1e-6)
    parts = torch.sin((1 - share) * angle) * first + torch.sin(share * angle) * last
    return parts / torch.sin(angle)


def steps_to_rounds(steps_per_pass: int) -> int:
    """Passes over the chips that make an epoch of at least 100 steps."""
    return max(1, -(-STEPS // max(1, steps_per_pass)))


def _of_checkpoint(game: GenerativeGame, path: Path) -> GenerativeGame:
    """The game of a training's state, or with the generators of an epoch."""
    import copy

    tensors, header = read_tensors(path)
    whole = "held" in header
    if whole:
        tensors = {k.removeprefix("/game/"): v for k, v in tensors.items()
                   if k.startswith("/game/")}  # fmt: skip
    other = copy.deepcopy(game)
    try:
        (other if whole else other.generators).load_state_dict(tensors)
    except RuntimeError as error:
        raise SettingError(f"{path} is of another model: {error}") from error
    return other
