"""What an analyst holds: data, a game, the trainer and the translator under one name."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np

from ..data.side import Side
from ..errors import SettingError, UnknownNameError
from ..games.base import Game
from ..games.package import Package, load
from ..games.registry import create_game
from ..networks.blocks import start_at
from ..networks.device import pick_device
from ..training.evaluate import PAIRED, evaluate, scorer_for
from ..training.learner import fit
from ..training.lr_find import lr_find
from ..training.recipe import Recipe
from ..training.record import History
from . import applying, figures, keeping
from .fitting import check_chips, split_settings, summary_of
from .presets import find_preset

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..metrics.protocol import Score

log = logging.getLogger(__name__)

M = TypeVar("M", bound="Model")
_MODELS: dict[str, type[Model]] = {}


class Model:
    """A model for image translation. Use ``Pix2Pix`` or ``CycleGAN``.

    Attributes:
        data: The DataBunch, or None for a model that was loaded without one.
        game: The networks and losses.
        a: What side A holds, with its stretch.
        b: What side B holds.
        size: Side of the training chips, in pixels.
        recipe: How it is trained unless ``fit`` says otherwise.
        history: A row an epoch of all trainings.
        card: What came with the saved model, or None.
    """

    name: ClassVar[str] = ""  # in the registry of games
    supported_datasets: ClassVar[tuple[str, ...]] = ()
    supported_backbones: ClassVar[tuple[str, ...]] = ("efficientnet_lite0",)
    available_metrics: ClassVar[tuple[str, ...]] = PAIRED
    game: Game
    a: Side
    b: Side

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        _MODELS[cls.name] = cls

    def __init__(
        self, data: Any, settings: Mapping[str, Any], preset: str | None = None,
        device: Any = None, pretrained_path: str | Path | None = None,
    ):  # fmt: skip
        self._check_data(data)
        chosen = find_preset(self.name, preset)
        given = {name: value for name, value in settings.items() if value is not None}
        played = self._preset_game(dict(chosen.game), given)
        for_game, for_recipe = split_settings(
            type(self).__name__, self.name, {**played, **chosen.recipe, **given}
        )
        self.data, self.preset, self.device = data, preset, pick_device(device or data.device)
        self.a, self.b, self.size = data.a, data.b, data.chip_size
        self.recipe = Recipe(**{"seed": data.seed, **for_recipe})
        self.game = self._new_game(for_game)
        if chosen.start_at_mean:
            self._start_at_mean()
        self.history, self.card = History(), None
        self.statistics: Any = {}
        self.palettes: dict[str, Any] = {}
        self.references: Any = {}
        self.judged = True  # by discriminators that are this model's, not new ones
        self._scores: dict[str, Score] = {}
        check_chips(self.game, data)
        if chosen.batch_size and chosen.batch_size != data.batch_size:
            log.info("preset %s is meant for batch_size=%d", preset, chosen.batch_size)
        if pretrained_path is not None:
            self.load(pretrained_path)

    # Training.

    def lr_find(self, allow_plot: bool = False, **options: Any) -> float:
        """A learning rate to try, from a short run after which the weights are as before.

        For adversarial training the published 2e-4 (what ``fit`` takes) is hard to beat; this is a
        check, not a must.

        Args:
            allow_plot: Keep the curve as a figure in ``lr_curve``, for a notebook to display.
            **options: ``start_lr``, ``end_lr`` and ``steps`` of ``training.lr_find``.
        """
        self._needs_data("lr_find")
        found = lr_find(self.game, self.data, self.recipe, device=self.device, **options)
        if allow_plot:
            self.lr_curve = figures.lr_figure(found)
        return found.suggestion

    def fit(
        self, epochs: int | None = None, lr: float | None = None, one_cycle: bool = False,
        early_stopping: bool | int = False, checkpoint: bool | str = True, monitor: str = "auto",
        mixed_precision: bool | str = "auto", tensorboard: bool = False, *, resume: bool = False,
        max_minutes: float | None = None, budget: str = "wall", progress: Any = True,
        callbacks: Iterable[Any] = (), preview: bool = True, folder: str | Path | None = None,
        save_every: int | None = None, **recipe: Any,
    ) -> History:  # fmt: skip
        """Train, and keep the best generators by an image metric.

        Args:
            epochs: Passes over the chips; None is 10, or no limit with ``max_minutes``.
            lr: Learning rate; None is the preset's, 2e-4 without one.
            one_cycle: One cosine up and down instead of the preset's schedule.
            early_stopping: Stop after five validations without improvement, or after so many.
            checkpoint: Keep the best weights and the state to resume from; ``"all"`` every epoch's.
            monitor: A name in ``available_metrics``; ``"auto"`` is SSIM for pairs, the kernel
                distance for unpaired chips.
            mixed_precision: ``"auto"`` is the preset's (bfloat16 where it is faster and safe, but
                float32 for "published"); True or False.
            tensorboard: Write a log for TensorBoard.
            resume: Go on with the training in the folder, if one was begun with these settings.
            max_minutes: Stop cleanly after this time, with the schedule laid over it.
            budget: ``"wall"`` time or ``"cpu"`` time of this process.
            progress: True for a bar where someone looks on, False for none, or a wrapper
                ``progress(iterable, total=None, label="")``.
            callbacks: More fastai callbacks.
            preview: Write a picture of some validation chips each epoch.
            folder: For log, previews and checkpoints; None is ``training/<model>`` in the data's
                ``working_dir``.
            save_every: Steps between states to resume from; None for about 3 % of the time.
            **recipe: Anything else of ``training.recipe.Recipe``, such as ``seed``.

        Returns:
            The rows of this training: losses, and metrics with their n.

        Raises:
            SettingError: There is no data, or an option can't work.
            TrainingError: A loss is not finite.
        """
        self._needs_data("fit")
        changes = {"epochs": epochs, "max_minutes": max_minutes, "budget": budget, **recipe}
        if lr is not None:
            changes["lr"] = lr
        if one_cycle:
            changes["schedule"] = "one_cycle"
        if mixed_precision != "auto":
            changes["mixed_precision"] = mixed_precision
        for name in set(recipe) - {field.name for field in fields(Recipe)}:
            raise UnknownNameError("option of fit", name, [f.name for f in fields(Recipe)])
        used = self.recipe.but(**changes)
        where = Path(folder) if folder is not None else self.folder
        self.statistics, self._scores, self._trained = {}, {}, used  # those of older weights
        self.references, self.judged = {}, True
        rows = fit(
            self.game, self.data, used, scorer=scorer_for(self.data), folder=where, resume=resume,
            checkpoint=checkpoint, monitor=monitor, early_stopping=early_stopping,
            tensorboard=tensorboard, preview=preview, progress=progress, device=self.device,
            callbacks=callbacks, save_every=save_every,
        )  # fmt: skip
        self.history.rows.extend(rows)
        return rows

    @property
    def folder(self) -> Path:
        """Where log, previews and checkpoints of a training go."""
        self._needs_data("folder")
        return Path(self.data.working_dir) / "training" / self.name

    # Looking.

    def show_results(self, rows: int = 4, rgb_bands: Any = None) -> Figure:
        """Validation chips with what the model makes of them; for pairs also the truth."""
        self._needs_data("show_results")
        return figures.results_figure(self, rows, rgb_bands)

    def compute_metrics(self) -> dict[str, Score]:
        """Metrics on the validation chips by name, each with ``value``, ``n`` and ``protocol``."""
        self._needs_data("compute_metrics")
        self.game.to(self.device)
        self._scores = evaluate(self.game, self.data.valid, scorer_for(self.data))
        return self._scores

    def plot_losses(self) -> Figure:
        """Losses and metrics of all trainings, epoch by epoch."""
        if not len(self.history):
            raise SettingError("nothing to plot: fit has not finished an epoch yet")
        return figures.losses_figure(self.history)

    # Applying.

    def predict(
        self, chip: str | Path | np.ndarray, direction: str = "AtoB", out: str | Path | None = None
    ) -> np.ma.MaskedArray:
        """Translate one chip as a whole.

        Args:
            chip: A raster's path, or (C, H, W) stored values, masked where nothing was measured.
            direction: ``"AtoB"``, or ``"BtoA"`` for a model that goes back as well.
            out: Also write a GeoTIFF with the place of ``chip``, which must be a path.

        Returns:
            (C', H, W) stored values of the target, masked where the chip is.
        """
        return applying.predict(self, chip, direction, out)

    def translate_raster(
        self, src: str | Path, dst: str | Path, direction: str = "AtoB",
        statistics: str = "sampled", tile_size: int | str = "auto", batch_size: int = 4,
        device: Any = None, *, trust: str | Sequence[str] = (), trust_models: Sequence[Any] = (),
        drift: str = "off", **options: Any,
    ) -> Path:  # fmt: skip
        """Translate a raster of any size into a GeoTIFF on the same grid, without seams.

        Args:
            src: What GDAL reads.
            dst: The GeoTIFF.
            direction: ``"AtoB"``, or ``"BtoA"`` for a model that goes back as well.
            statistics: ``"sampled"`` from this raster, ``"exact"``, ``"regional"`` or ``"model"``.
            tile_size: Side of a tile in pixels, or ``"auto"``; changes speed and memory, not the
                result.
            batch_size: Tiles computed at once.
            device: Where to compute; None is the model's.
            trust: Layers that say how far to believe each pixel, written to ``dst`` with "_trust"
                in its name: of "cycle", "disagreement", "drift" and "realness", or "all".
            trust_models: More models: "disagreement" is then over all of them.
            drift: Whether to "warn" of a raster unlike the training chips, "refuse" it, or "off".
            **options: As ``translate.translator.Translator`` takes them, such as ``area``.
        """
        if statistics == "model":
            self._gather()
        if trust or drift != "off":
            self._remember()
        options |= {"statistics": statistics, "tile_size": tile_size, "batch_size": batch_size}
        return applying.translate(
            self, src, dst, direction, device, options, drift=drift, trust=trust,
            models=trust_models,
        )  # fmt: skip

    # Keeping.

    def save(
        self, name_or_path: str | Path, *, compute_metrics: bool = True, licence: str = "",
        notes: Mapping[str, Any] | None = None, overwrite: bool = False,
    ) -> Path:  # fmt: skip
        """Save as a folder and, beside it, the same as a ``.dlpk``.

        Args:
            name_or_path: A bare name goes to ``models`` in the data's ``working_dir``; else a
                folder, or a path that ends in ``.dlpk`` for that file alone.
            compute_metrics: Measure the validation chips first, where there are data.
            licence: Of the weights, for the card.
            notes: Place, season, sensor, for the card.
            overwrite: Also replace what is not an rs_gen model.

        Returns:
            The folder, or the ``.dlpk``.
        """
        if compute_metrics and self.data is not None and not self._scores:
            self.compute_metrics()
        self._remember()
        return keeping.save(self, name_or_path, licence, notes, overwrite)

    def load(self: M, path: str | Path) -> M:
        """Take the weights of a saved model of the same kind.

        Raises:
            PackageError: It is no saved model, or one that this version can't read.
            SettingError: It is of another kind, or does not suit the data.
        """
        self._take(keeping.locate(self, path), load(keeping.locate(self, path)))
        return self

    @classmethod
    def from_model(cls: type[M], path: str | Path, data: Any = None) -> M:
        """A saved model: its folder, ``.emd`` or ``.dlpk``. Without data it can't be fitted.

        Raises:
            PackageError: It is no saved model, or one that this version can't read.
            SettingError: It is of another kind, or does not suit the data.
        """
        package = load(path)
        if _MODELS.get(package.card.model) is not cls:
            raise SettingError(f"{path} is a {package.card.model} model, not a {cls.__name__}")
        return cls._of(path, package, data)

    @classmethod
    def _of(cls: type[M], path: str | Path, package: Package, data: Any) -> M:
        model = cls.__new__(cls)
        model.data, model.preset = None, None
        model.device = pick_device(None if data is None else data.device)
        model.history, model._scores = History(), {}
        if data is not None:
            model._check_data(data)
            model.data = data
        model._take(path, package)
        return model

    def _take(self, path: str | Path, package: Package) -> None:
        card = package.card
        if card.model != self.name:
            raise SettingError(f"{path} is a {card.model} model, not a {type(self).__name__}")
        a, b = Side.from_dict(card.source), Side.from_dict(card.target)
        if self.data is not None:
            keeping.check_fit(path, (a, b), (self.data.a, self.data.b))
            check_chips(package.game, self.data)
        self.game, self.card, self.statistics = package.game, card, package.statistics
        self.references, self.judged = dict(package.references), package.judged
        self.a, self.b, self.size = a, b, card.size
        self.palettes = dict(card.palettes)
        self.recipe = keeping.recipe_of(card)
        self._scores = {}

    # Inside.

    def _preset_game(self, game: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
        """The preset's settings of the game, next to those that were given."""
        return game

    def _new_game(self, settings: Mapping[str, Any]) -> Game:
        import torch

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.recipe.seed)  # the same seed gives the same first weights
            return create_game(
                self.name, in_channels=self.a.count, out_channels=self.b.count, **settings
            ).eval()

    def _start_at_mean(self) -> None:
        for direction, side in zip(self.game.directions, (self.b, self.a), strict=False):
            if len(side.mean) == side.count:
                stored = np.array(side.mean, dtype="float64")[:, None, None]
                start_at(self.game.generator(direction), side.stretch.encode(stored).ravel())

    def _gather(self) -> None:
        """Fill the norm statistics over the training chips, if the weights have changed."""
        if not self.statistics and self.data is not None:
            self.statistics = keeping.training_statistics(self)
        if not self.palettes and self.data is not None:
            self.palettes = keeping.training_palettes(self)

    def _remember(self) -> None:
        """Fill what rasters are held against, if the weights have changed."""
        self._gather()
        if not self.references and self.data is not None:
            self.references = keeping.training_references(self)

    def _check_data(self, data: Any) -> None:
        if getattr(data, "kind", None) not in self.supported_datasets:
            raise SettingError(
                f"{type(self).__name__} needs data of {' or '.join(self.supported_datasets)}, not "
                f"{getattr(data, 'kind', type(data).__name__)}; use "
                f"prepare_data(path, dataset_type={self.supported_datasets[0]!r})"
            )

    def _needs_data(self, what: str) -> None:
        if self.data is None:
            raise SettingError(
                f"{what} needs data; load with {type(self).__name__}.from_model(path, data) where "
                f"data = prepare_data(chips)"
            )

    def __repr__(self) -> str:
        return summary_of(self)


def load_model(path: str | Path, data: Any = None) -> Model:
    """A saved model of whatever kind: its folder, ``.emd`` or ``.dlpk``.

    Args:
        path: Where it is.
        data: A DataBunch, to fit, score or show it; translating needs none.

    Raises:
        PackageError: It is no saved model, or one that this version can't read.
    """
    from . import cyclegan, pix2pix  # noqa: F401 - they make themselves known

    package = load(path)
    if package.card.model not in _MODELS:
        raise UnknownNameError("model", package.card.model, _MODELS)
    return _MODELS[package.card.model]._of(path, package, data)
