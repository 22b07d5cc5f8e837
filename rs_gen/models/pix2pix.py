"""Pix2Pix for an analyst: pairs of chips in, translated rasters out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..games.base import Game
from ..metrics.palette import Palette, palette_of_map
from ..training.preview import first_chips
from .fitting import unet_depth
from .presets import PRESETS
from .translation import TranslationModel

# What a palette to balance by is learnt from: colours enough for a map's main classes, from every
# fourth pixel of some chips.
COLOURS, CHIPS, STEP = 6, 64, 4


class Pix2Pix(TranslationModel):
    """Image translation learnt from pairs of chips of the same places.

    The defaults are the published networks (U-Net as deep as the chips allow, 70 px PatchGAN,
    L1 x 100) with the least-squares loss. ``preset="published"`` is the published training to the
    letter; ``preset="fast"``, or a ``backbone``, starts from ImageNet weights and gives usable maps
    without a GPU.

    Args:
        data: A DataBunch of pairs.
        generator: ``"unet"`` or ``"resnet"``; None is the preset's, else ``"unet"``.
        backbone: A pretrained encoder instead, ``"efficientnet_lite0"`` or ``"timm:NAME"``.
        preset: A name in ``presets``.
        device: Where to train and apply; None is where the data go.
        pretrained_path: A saved Pix2Pix to start from.
        **settings: Any other of ``games.pix2pix.Pix2PixGame`` (``width``, ``l1_weight``,
            ``adversarial``, ``colour_balance``, ...) and of ``training.recipe.Recipe`` (``lr``,
            ``optimizer``, ...).

    Raises:
        SettingError: Data of another kind, or a setting that can't work.
        UnknownNameError: There is no such setting, preset, generator or loss.
        ChipError: The chips do not suit the networks; the text tells a size that does.
    """

    name = "pix2pix"
    supported_datasets = ("Pix2Pix",)
    presets = tuple(PRESETS["pix2pix"])

    def __init__(
        self, data: Any, generator: str | None = None, backbone: str | None = None,
        preset: str | None = None, *, device: Any = None,
        pretrained_path: str | Path | None = None, **settings: Any,
    ):  # fmt: skip
        if backbone is not None and preset is None:
            preset = "fast"
        given = {**settings, "generator": generator, "backbone": backbone}
        encoder = backbone or (preset == "fast" and generator is None)
        if not encoder and generator in (None, "unet"):
            given.setdefault("depth", unet_depth(getattr(data, "chip_size", 256)))
        super().__init__(data, given, preset, device, pretrained_path)

    def _preset_game(self, game: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
        # A generator that was asked for takes the place of the preset's backbone.
        asked = given.get("generator") not in (None, "efficient")
        if asked and given.get("backbone") is None:
            game = {name: value for name, value in game.items() if name != "backbone"}
        return game

    def _new_game(self, settings: Mapping[str, Any]) -> Game:
        if settings.get("colour_balance") and settings.get("palette") is None:
            settings = {**settings, "palette": self._colours_of_targets()}
        return super()._new_game(settings)

    def _colours_of_targets(self) -> dict[str, Any] | None:
        """The few colours that the targets are drawn in; None where they are no map."""
        maps = first_chips(self.data.train, CHIPS)[1][..., ::STEP, ::STEP]
        if palette_of_map(maps) is None:
            return None
        return Palette.learn(maps, COLOURS, seed=self.data.seed).to_dict()
