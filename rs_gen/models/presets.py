"""Named settings that go together: what is played, and how it is trained."""

from __future__ import annotations

from ..errors import UnknownNameError
from .few_shot_presets import FEW_SHOT
from .preset import Preset
from .regularized_presets import REGULARIZED

PRESETS: dict[str, dict[str, Preset]] = {
    "pix2pix": {
        "published": Preset(
            {"generator": "unet", "adversarial": "vanilla"},
            {"mixed_precision": False},
            1,
            about="U-Net-256 against a 70 px PatchGAN as Isola et al. 2017 trained it, in float32.",
        ),
        "fast": Preset(
            {
                "backbone": "efficientnet_lite0",
                "d_width": 32,
                "d_crop": 64,
                "l1_weight": 1000.0,
                "colour_balance": 0.5,
            },
            {
                "lr": 1e-3,
                "optimizer": "adamw",
                "betas": (0.5, 0.99),
                "schedule": "warmup_flat_linear",
            },
            4,
            start_at_mean=True,
            about="A pretrained EfficientNet-Lite0 encoder under a small decoder: maps within a "
            "quarter of an hour on two cores.",
        ),
    },
    "cyclegan": {
        "published": Preset(
            {"blocks": 9},
            {"mixed_precision": False},
            1,
            about="ResNet-9 generators against 70 px PatchGANs as Zhu et al. 2017 trained them, in "
            "float32; for a GPU.",
        ),
        "fast": Preset(
            {
                "generator": "efficient",
                "backbone": "efficientnet_lite0",
                "d_width": 32,
                "lambda_identity": 0.0,
            },
            {
                "lr": 5e-4,
                "optimizer": "adamw",
                "betas": (0.5, 0.99),
                "schedule": "warmup_flat_linear",
                "ema_halflife": 200.0,
            },
            2,
            start_at_mean=True,
            about="Generators of small decoders on pretrained EfficientNet-Lite0 encoders: shows a "
            "result within minutes on a CPU.",
        ),
        "small": Preset(
            {"width": 32, "blocks": 6, "d_width": 32},
            {},
            1,
            start_at_mean=True,
            about="ResNet generators half as wide and six blocks deep: for a CPU, and chips that "
            "a network trained on photographs is no help with.",
        ),
    },
    **FEW_SHOT,
    "regularized_gan": REGULARIZED,
}


def find_preset(model: str, name: str | None) -> Preset:
    """A preset of a model; None is one that changes nothing.

    Raises:
        UnknownNameError: The text lists the names.
    """
    if name is None:
        return Preset()
    if name not in PRESETS[model]:
        raise UnknownNameError(f"{model} preset", name, PRESETS[model])
    return PRESETS[model][name]


def preset_for(model: str, cuda: bool) -> str:
    """The preset to take when nobody says: what this machine can train.

    Args:
        model: Name of the game.
        cuda: Whether there is a GPU.
    """
    if model == "regularized_gan":
        return "gpu" if cuda else "fast"
    return "published" if cuda and model == "cyclegan" else "fast"
