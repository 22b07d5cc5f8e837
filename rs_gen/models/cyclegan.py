"""CycleGAN for an analyst: two sets of chips that never met, and translation both ways."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..training.evaluate import PAIRED, UNPAIRED
from .presets import PRESETS
from .translation import TranslationModel

_USUAL = {"gen_blocks": 9, "lambda_cycle": 10.0, "lambda_identity": 0.5, "lsgan": True}


class CycleGAN(TranslationModel):
    """Image translation learnt from two sets of chips that need not show the same places.

    The defaults are the published ones. ``preset="small"`` is for a CPU.

    Args:
        data: A DataBunch for CycleGAN.
        gen_blocks: Residual blocks of each generator; the paper has 9 from 256 px on, 6 below.
        lambda_cycle: Weight of the cycle terms.
        lambda_identity: Weight of the identity terms, as a share of ``lambda_cycle``. They are left
            out where A and B differ in bands: there no image can be its own translation.
        lsgan: Least-squares adversarial loss; False is the logarithmic one. ``adversarial`` names
            any other.
        preset: A name in ``presets``. What is passed beside it and is not the default wins.
        device: Where to train and apply; None is where the data go.
        pretrained_path: A saved CycleGAN to start from.
        **settings: Any other of ``games.cyclegan.CycleGANGame`` (``width``, ``pool``, ...) and of
            ``training.recipe.Recipe`` (``lr``, ``optimizer``, ...).

    Raises:
        SettingError: Data of another kind, or a setting that can't work.
        UnknownNameError: There is no such setting, preset, generator or loss.
        ChipError: The chips do not suit the networks; the text tells a size that does.
    """

    name = "cyclegan"
    supported_datasets = ("CycleGAN",)
    available_metrics = UNPAIRED + PAIRED  # the latter where validation chips are pairs after all
    presets = tuple(PRESETS["cyclegan"])

    def __init__(
        self, data: Any, gen_blocks: int = 9, lambda_cycle: float = 10.0,
        lambda_identity: float = 0.5, lsgan: bool = True, preset: str | None = None, *,
        device: Any = None, pretrained_path: str | Path | None = None, **settings: Any,
    ):  # fmt: skip
        given = dict(settings)
        for name, value, known in (
            ("blocks", gen_blocks, "gen_blocks"),
            ("lambda_cycle", lambda_cycle, "lambda_cycle"),
            ("lambda_identity", lambda_identity, "lambda_identity"),
        ):
            if value != _USUAL[known]:
                given.setdefault(name, value)
        if not lsgan:
            given.setdefault("adversarial", "vanilla")
        super().__init__(data, given, preset, device, pretrained_path)
