"""From a folder of chips to a saved model in one call: what the train tool runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ..data.databunch import prepare_data
from ..errors import UnknownNameError
from ..networks.device import pick_device
from .base import Model
from .cyclegan import CycleGAN
from .pix2pix import Pix2Pix
from .presets import find_preset, preset_for
from .regularized_gan import RegularizedGAN

MODELS: dict[str, type[Model]] = {
    "pix2pix": Pix2Pix, "cyclegan": CycleGAN, "regularized_gan": RegularizedGAN,
}  # fmt: skip


def train(
    chips: str | Path,
    out: str | Path,
    *,
    model: str = "pix2pix",
    epochs: int | None = 20,
    preset: str | None = None,
    batch_size: int | None = None,
    chip_size: int | None = None,
    lr: float | None = None,
    max_minutes: float | None = None,
    resume: bool = False,
    tensorboard: bool = False,
    seed: int = 42,
    device: Any = None,
    progress: bool | Callable[..., Iterable] = True,
    **settings: Any,
) -> Path:
    """Train a model on a folder of chips and save it.

    Args:
        chips: Folder of chips in any known layout.
        out: Folder for the model; a ``.dlpk`` is written beside it. Log, previews and the state to
            resume from go to ``<out>_training``.
        model: ``"pix2pix"``, ``"cyclegan"`` or ``"regularized_gan"``.
        epochs: Passes over the chips; for ``"regularized_gan"`` as many of them as make 100 steps.
        preset: A name in ``presets``; None chooses by the device.
        batch_size: Chips a step; None is the preset's.
        chip_size: Side that chips are cropped to; None for their own.
        lr: Learning rate; None is the preset's.
        max_minutes: Stop after this time, with the schedule laid over it.
        resume: Go on with a training that was stopped.
        tensorboard: Write a log for TensorBoard.
        seed: Of weights, split and order.
        device: Where to train; None picks.
        progress: As for ``Model.fit``.
        **settings: More of the model's settings.

    Returns:
        The model's folder.

    Raises:
        UnknownNameError: There is no such model or preset.
    """
    if model not in MODELS:
        raise UnknownNameError("model", model, MODELS)
    device = pick_device(device)
    preset = preset or preset_for(model, device.type == "cuda")
    batch_size = batch_size or find_preset(model, preset).batch_size
    out = Path(out)
    data = prepare_data(
        chips, MODELS[model].supported_datasets[0], chip_size=chip_size, batch_size=batch_size,
        seed=seed, working_dir=out.parent, device=device,
    )  # fmt: skip
    held = MODELS[model](data, preset=preset, device=device, **settings)
    held.fit(
        epochs, lr, max_minutes=max_minutes, resume=resume, tensorboard=tensorboard,
        progress=progress, folder=out.with_name(f"{out.name}_training"),
    )  # fmt: skip
    return held.save(out.absolute())
