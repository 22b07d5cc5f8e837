"""Image translation and generation for people who work with maps and satellites.

Public names are loaded on first use (PEP 562), so that ``import rs_gen`` costs milliseconds and an
environment without fastai can still apply a model.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "prepare_data": "rs_gen.data.databunch",
    "DataBunch": "rs_gen.data.databunch",
    "export_chips": "rs_gen.chips.export",
    "Pix2Pix": "rs_gen.models.pix2pix",
    "CycleGAN": "rs_gen.models.cyclegan",
    "F2GAN": "rs_gen.models.f2gan",
    **dict.fromkeys(("MatchingGAN", "DAGAN", "GMN", "FIGR", "DAWSON"), "rs_gen.models.relatives"),
    "RegularizedGAN": "rs_gen.models.regularized_gan",
    "load_model": "rs_gen.models.base",
    "Translator": "rs_gen.translate.translator",
    "RSGenError": "rs_gen.errors",
}

__all__ = ["DAGAN", "DAWSON", "F2GAN", "FIGR", "GMN", "CycleGAN", "DataBunch", "MatchingGAN",
           "Pix2Pix", "RSGenError", "RegularizedGAN", "Translator", "__version__", "export_chips",
           "load_model", "prepare_data"]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'rs_gen' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


if TYPE_CHECKING:
    from .chips.export import export_chips
    from .data.databunch import DataBunch, prepare_data
    from .errors import RSGenError
    from .models.base import load_model
    from .models.cyclegan import CycleGAN
    from .models.f2gan import F2GAN
    from .models.pix2pix import Pix2Pix
    from .models.regularized_gan import RegularizedGAN
    from .models.relatives import DAGAN, DAWSON, FIGR, GMN, MatchingGAN
    from .translate.translator import Translator
