"""What every model is: data, a game and a training under one name, saved and loaded as one.

What only translation has is in ``translation``, what only generation has in ``generation``.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from ..errors import SettingError, UnknownNameError
from ..games.base import Game
from ..games.package import Package, load
from ..games.registry import create_game
from ..networks.device import pick_device
from ..training.callbacks import Part
from ..training.evaluate import Scorer, evaluate
from ..training.learner import fit
from ..training.lr_find import lr_find
from ..training.recipe import Recipe
from ..training.record import History
from . import figures, keeping
from .fitting import split_settings, summary_of
from .presets import find_preset

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..metrics.protocol import Score

log = logging.getLogger(__name__)

Watchers = Callable[[Path | None], list[Part]]

M = TypeVar("M", bound="Model")
_MODELS: dict[str, type[Model]] = {}
# Modules of this room whose models make themselves known when they are imported.
_HOMES = ("pix2pix", "cyclegan", "f2gan", "relatives", "regularized_gan")


class Model(ABC):
    """A model. Use ``Pix2Pix``, ``CycleGAN`` or another that is listed in the registry of games.

    A kind of model says with the methods under "What a kind of model says" what it takes from the
    data, how it is measured and watched, and what its card holds beside the common.

    Attributes:
        data: The DataBunch, or None for a model that was loaded without one.
        game: The networks and losses.
        size: Side of the training chips, in pixels.
        recipe: How it is trained unless ``fit`` says otherwise.
        history: A row an epoch of all trainings.
        card: What came with the saved model, or None.
    """

    name: ClassVar[str] = ""  # in the registry of games; empty for a kind of model
    supported_datasets: ClassVar[tuple[str, ...]] = ()
    supported_backbones: ClassVar[tuple[str, ...]] = ()
    available_metrics: ClassVar[tuple[str, ...]] = ()
    does_without_data: ClassVar[str] = "be applied"
    data: Any
    game: Game
    size: int

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if cls.name:
            _MODELS[cls.name] = cls

    def __init__(
        self, data: Any, settings: Mapping[str, Any], preset: str | None = None,
        device: Any = None, pretrained_path: str | Path | None = None,
    ):  # fmt: skip
        self._check_data(data)
        chosen = find_preset(self.name, preset)
        given = {name: value for name, value in settings.items() if value is not None}
        self._begin(data, pick_device(device or data.device))
        self.preset, self.size = preset, data.chip_size
        self._from_data(data)
        played = self._preset_game(dict(chosen.game), given)
        for_game, for_recipe = split_settings(
            type(self).__name__, self.name, {**played, **chosen.recipe, **given}, self._shape()
        )
        self.recipe = Recipe(**{"seed": data.seed, **for_recipe})
        self.game = self._new_game(for_game)
        if chosen.start_at_mean:
            self._start_at_mean()
        self._check_chips(self.game, data)
        if chosen.batch_size and chosen.batch_size != data.batch_size:
            log.info("preset %s is meant for batch_size=%d", preset, chosen.batch_size)
        if pretrained_path is not None:
            self.load(pretrained_path)

    def _begin(self, data: Any, device: Any) -> None:
        self.data, self.device, self.preset = data, device, None
        self.history, self.card = History(), None
        self.judged = True  # by discriminators that are this model's, not new ones
        self._scores: dict[str, Score] = {}

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
            epochs: Passes over the chips; None is 10, or no limit with ``max_minutes`` or
                ``steps``.
            lr: Learning rate; None is the preset's, 2e-4 without one.
            one_cycle: One cosine up and down instead of the preset's schedule.
            early_stopping: Stop after five validations without improvement, or after so many.
            checkpoint: Keep the best weights and the state to resume from; ``"all"`` every epoch's.
            monitor: A name in ``available_metrics``; ``"auto"`` is SSIM for pairs, else the kernel
                distance.
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
            **recipe: Anything else of ``training.recipe.Recipe``, such as ``seed`` or ``steps``.

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
        self._forget()
        self._trained, self.judged, scorer = used, True, self._scorer()
        rows = fit(
            self.game, self.data, used, scorer=scorer, folder=where, resume=resume,
            checkpoint=checkpoint, monitor=monitor, early_stopping=early_stopping,
            tensorboard=tensorboard, preview=preview, progress=progress, device=self.device,
            callbacks=callbacks, save_every=save_every, watchers=self._watchers(scorer),
        )  # fmt: skip
        self.history.rows.extend(rows)
        return rows

    @property
    def folder(self) -> Path:
        """Where log, previews and checkpoints of a training go."""
        self._needs_data("folder")
        return Path(self.data.working_dir) / "training" / self.name

    # Looking.

    @abstractmethod
    def show_results(self, rows: int = 4, rgb_bands: Any = None) -> Figure:
        """What the model makes, beside real chips."""

    def compute_metrics(self) -> dict[str, Score]:
        """Metrics on the validation chips by name, each with ``value``, ``n`` and ``protocol``."""
        self._needs_data("compute_metrics")
        self.game.to(self.device)
        self._scores = evaluate(self.game, self.data.valid, self._scorer())
        return self._scores

    def plot_losses(self) -> Figure:
        """Losses and metrics of all trainings, epoch by epoch."""
        if not len(self.history):
            raise SettingError("nothing to plot: fit has not finished an epoch yet")
        return figures.losses_figure(self.history)

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
        model._begin(None, pick_device(None if data is None else data.device))
        if data is not None:
            model._check_data(data)
            model.data = data
        model._take(path, package)
        return model

    def _take(self, path: str | Path, package: Package) -> None:
        card = package.card
        if card.model != self.name:
            raise SettingError(f"{path} is a {card.model} model, not a {type(self).__name__}")
        self._from_package(path, package)
        if self.data is not None:
            self._check_chips(package.game, self.data)
        self.game, self.card, self.size = package.game, card, card.size
        self.judged, self.recipe = package.judged, keeping.recipe_of(card)
        self._scores = {}

    # What a kind of model says.

    @abstractmethod
    def _from_data(self, data: Any) -> None:
        """Take from new data what the networks and the card need, such as sides."""

    @abstractmethod
    def _shape(self) -> dict[str, Any]:
        """Settings of the game that the data decide, such as its bands."""

    @abstractmethod
    def _from_package(self, path: str | Path, package: Package) -> None:
        """Take from a saved model what ``_from_data`` and ``_remember`` had given it.

        Raises:
            SettingError: It does not suit ``data``, where there are some.
        """

    @abstractmethod
    def _scorer(self) -> Scorer:
        """What measures the validation chips."""

    @abstractmethod
    def _card_fields(self) -> dict[str, Any]:
        """Fields of the card that not every model has; ``target`` must be among them."""

    def _watchers(self, scorer: Scorer) -> Watchers | None:
        """Alarms and previews of its own, or None for those of translation."""
        return None

    def _check_chips(self, game: Game, data: Any) -> None:  # noqa: B027 - some suit all
        """Refuse chips that do not suit the networks."""

    def _forget(self) -> None:
        """Drop what was measured with weights that are about to change."""
        self._scores = {}

    def _remember(self) -> None:  # noqa: B027 - most have nothing to
        """Fill what is saved with the weights and measured on the training chips."""

    def _training_facts(self) -> dict[str, Any]:
        """What the card tells of the training beside recipe, steps and chips."""
        return {}

    def _package_options(self) -> dict[str, Any]:
        """What goes into the package with the weights, as ``games.package.save`` takes it."""
        return {}

    def _start_at_mean(self) -> None:  # noqa: B027 - only where a preset asks
        """Let the generators begin at the target's mean colour."""

    # Inside.

    def _preset_game(self, game: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
        """The preset's settings of the game, next to those that were given."""
        return game

    def _new_game(self, settings: Mapping[str, Any]) -> Game:
        import torch

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.recipe.seed)  # the same seed gives the same first weights
            return create_game(self.name, **self._shape(), **settings).eval()

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

    def _about(self) -> list[str]:
        """The first lines of its description."""
        return [f"{type(self).__name__}: chips of {self.size} px"]

    def __repr__(self) -> str:
        return summary_of(self, self._about())


def load_model(path: str | Path, data: Any = None) -> Model:
    """A saved model of whatever kind: its folder, ``.emd`` or ``.dlpk``.

    Args:
        path: Where it is.
        data: A DataBunch, to fit, score or show it; applying needs none.

    Raises:
        PackageError: It is no saved model, or one that this version can't read.
    """
    for home in _HOMES:
        import_module(f".{home}", __package__)
    package = load(path)
    if package.card.model not in _MODELS:
        raise UnknownNameError("model", package.card.model, _MODELS)
    return _MODELS[package.card.model]._of(path, package, data)
