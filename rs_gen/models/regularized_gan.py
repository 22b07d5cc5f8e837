"""RegularizedGAN for an analyst: few chips in, as many images of that kind as wanted out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .generation import GenerationModel, steps_to_rounds
from .regularized_presets import PAPER, REGULARIZED

HOOK = 32  # pixels at which the released code takes features


class RegularizedGAN(GenerationModel):
    """Images of the kind of few chips, from a GAN whose features are kept spread out.

    Su et al. 2024 (arXiv:2303.05240) found that GANs on remote sensing images suffer more from few
    samples than on natural ones, and keep the features of a batch apart (uniformity) and rich
    (entropy). Of 32, 64, 128 or 256 px; the base is a pair without norms and with a relativistic
    loss (R3GAN). An epoch here is as many passes over the chips as make 100 steps.

    Args:
        data: From ``prepare_data(path, dataset_type="ImageGeneration")``.
        uniformity_weight: Of the uniformity terms; 0 leaves them out.
        entropy_weight: Of the entropy terms; 0 leaves them out. Never alone: without uniformity
            it makes features alike.
        conditional: Learn the classes of the data, so that images of one can be asked for; None
            where there are at least two.
        preset: A name in ``presets``; None is "fast" on a CPU and "gpu" on a GPU.
        paper: The weights, the logistic loss and the places of the paper's released code, which
            stay what they are unless they are given by name. The base stays ours, for theirs is
            StyleGAN2.
        device: Where to train and apply; None is where the data go.
        pretrained_path: A saved RegularizedGAN to start from.
        **settings: Any other of ``games.regularized_gan.RegularizedGANGame`` (``base``, ``scale``,
            ``r1_weight``, ``augment``, ...) and of ``training.recipe.Recipe`` (``lr``, ...).

    Raises:
        SettingError: Data of another kind, a batch that uniformity can't be computed on, or a
            setting that can't work.
        UnknownNameError: There is no such setting, preset, base or loss.
        ChipError: The chips are of no size that images can be made in; the text tells one.
    """

    name = "regularized_gan"
    presets = tuple(REGULARIZED)

    def __init__(
        self, data: Any, uniformity_weight: float | None = None,
        entropy_weight: float | None = None, *, conditional: bool | None = None,
        preset: str | None = None, paper: bool = False, device: Any = None,
        pretrained_path: str | Path | None = None, **settings: Any,
    ):  # fmt: skip
        self._check_data(data)
        self.conditional = len(data.classes) > 1 if conditional is None else conditional
        given = {**settings, "uniformity_weight": uniformity_weight,
                 "entropy_weight": entropy_weight}  # fmt: skip
        given = {name: value for name, value in given.items() if value is not None}
        if paper:
            given = {**PAPER, "hook": min(HOOK, data.chip_size), **given}
        if preset is None:
            preset = "gpu" if str(device or data.device).startswith("cuda") else "fast"
        given.setdefault("rounds", steps_to_rounds(len(data.train)))
        super().__init__(data, given, preset, device, pretrained_path)

    def _from_data(self, data: Any) -> None:
        super()._from_data(data)
        if not self.conditional:
            self.class_names = ()
