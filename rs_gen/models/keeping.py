"""A model on disk, from the side of whoever holds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ..data.side import Side
from ..errors import SettingError
from ..games import package
from ..games.reference import Reference
from ..metrics.palette import palette_of_map
from ..networks.norm import norm_layers
from ..networks.reach import reach
from ..training.preview import first_chips
from ..training.recipe import Recipe
from ..translate.engine import ready
from ..translate.measure import measure
from ..translate.realness import Judge
from ..translate.statistics import gather
from . import figures

if TYPE_CHECKING:
    from .base import Model
    from .translation import TranslationModel

PIXELS = 16 * 256 * 256  # that the norm statistics are taken over, at most
_REMEMBERED = 32 * 256 * 256  # pixels that rasters are later held against, at most


def save(
    model: Model, name_or_path: str | Path, licence: str, notes: Mapping[str, Any] | None,
    overwrite: bool,
) -> Path:  # fmt: skip
    """The folder and the ``.dlpk``, or the latter alone; see ``Model.save``."""
    path = locate(model, name_or_path)
    card = card_of(model, licence, notes)
    pictures = {}
    if model.data is not None:
        pictures["show_results.png"] = figures.png(model.show_results())
    if len(model.history):
        pictures["loss_graph.png"] = figures.png(model.plot_losses())
    options = {"pictures": pictures, "overwrite": overwrite, "keep_discriminators": model.judged}
    options |= model._package_options()
    model.game.to("cpu")
    try:
        if path.suffix.lower() != ".dlpk":
            package.save(path.with_name(f"{path.name}.dlpk"), model.game, card, **options)
        return package.save(path, model.game, card, **options)
    finally:
        model.game.to(model.device)


def card_of(model: Model, licence: str, notes: Mapping[str, Any] | None) -> package.Card:
    """What there is to know about a model."""
    was = model.card
    metrics = {name: score._asdict() for name, score in model._scores.items()}
    return package.Card(
        model=model.name,
        settings=model.game.settings,
        size=model.size,
        training=_training(model),
        metrics=metrics or (was.metrics if was and not len(model.history) else {}),
        licence=licence or (was.licence if was else ""),
        notes=dict(notes or (was.notes if was else {})),
        **model._card_fields(),
    )


def _training(model: Model) -> dict[str, Any]:
    if not len(model.history):
        return dict(model.card.training) if model.card else {}
    data, last = model.data, model.history[-1]
    recipe = getattr(model, "_trained", model.recipe).to_dict()
    held: dict[str, Any] = {"recipe": recipe, "lr": recipe["lr"], "seed": recipe["seed"]}
    held |= {"epochs": len(model.history), "steps": last["step"], "seconds": last["seconds"]}
    held |= {"last epoch": last, "preset": model.preset}
    if data is not None:
        held |= {"training chips": len(data.train_ds), "validation chips": len(data.valid_ds),
                 "batch_size": data.batch_size}  # fmt: skip
    return held | model._training_facts()


def recipe_of(card: package.Card) -> Recipe:
    """The recipe that a saved model was trained by, or the usual one."""
    known = {field.name for field in fields(Recipe)} - {"epochs", "steps", "max_minutes", "budget"}
    held = {k: v for k, v in dict(card.training.get("recipe") or {}).items() if k in known}
    if "betas" in held:
        held["betas"] = tuple(held["betas"])
    try:
        return Recipe(**held)
    except (SettingError, KeyError, TypeError, ValueError):  # a stranger's card
        return Recipe()


@torch.inference_mode()
def training_statistics(model: TranslationModel) -> dict[str, Any]:
    """Norm statistics of every generator over some training chips, as one batch."""
    count = max(1, PIXELS // model.size**2)
    chips = first_chips(model.data.train, count)
    game = model.game.eval().to(model.device)
    found = {}
    for direction, side in zip(("AtoB", "BtoA"), chips, strict=True):
        if direction in game.directions and norm_layers(game.generator(direction)):
            images = side.to(model.device)
            valid = torch.ones_like(images[:, :1], dtype=torch.bool)
            layers = gather(game.generator(direction), images, valid)
            found[direction] = {k: (mean.cpu(), var.cpu()) for k, (mean, var) in layers.items()}
    return found


def training_palettes(model: TranslationModel) -> dict[str, Any]:
    """Direction to the palette of its target's training chips; None where they are no map."""
    count = max(1, PIXELS // model.size**2)
    found = {}
    for direction, chips in zip(("AtoB", "BtoA"), reversed(first_chips(model.data.train, count)),
                                strict=True):  # fmt: skip
        if direction in model.game.directions:
            palette = palette_of_map(chips)
            found[direction] = palette.to_dict() if palette else None
    return found


def training_references(model: TranslationModel) -> dict[str, Reference]:
    """What the training chips of every direction look like, to the bands and to the generator."""
    chips = first_chips(model.data.train, max(1, _REMEMBERED // model.size**2))
    found = {}
    for direction, (source, real) in {"AtoB": chips, "BtoA": chips[::-1]}.items():
        if direction not in model.game.directions:
            continue
        net, device = ready(model.game.generator(direction), model.device), model.device
        who, judge = model.game.judge_of(direction) if model.judged else None, None
        if who is not None:
            judge = ready(Judge(who[0], source.shape[1], conditional=who[1]), device)
        found[direction] = measure(
            net, source.to(device), reach(net, applied=True).phase, judge=judge,
            statistics=(model.statistics or {}).get(direction), real=real.to(device),
        )  # fmt: skip
    return found


def locate(model: Model, name_or_path: str | Path) -> Path:
    """A bare name is in ``models`` of the data's working folder, unless it is there as given."""
    path = Path(name_or_path)
    bare = len(path.parts) == 1 and not path.is_absolute()
    if bare and model.data is not None and not path.exists():
        return Path(model.data.working_dir) / "models" / path
    return path


def check_fit(path: str | Path, saved: tuple[Side, Side], held: tuple[Side, Side]) -> None:
    """Refuse a saved model for data with other bands.

    Raises:
        SettingError: Names the side.
    """
    for name, was, side in zip("AB", saved, held, strict=True):
        if was.count != side.count:
            raise SettingError(
                f"{path} was trained with {was.count} bands in {name} and the data have "
                f"{side.count}; choose bands with prepare_data(bands=)"
            )
