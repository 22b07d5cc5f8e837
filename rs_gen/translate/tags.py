"""What an output says about itself: that it is synthetic, which model made it, and how."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from .. import __version__
from .engine import Engine, digest
from .plan import Plan
from .statistics import recorded_kind

if TYPE_CHECKING:
    from .translator import Translator

SYNTHETIC = "imagery made by a generative model, not measured"


def made_by(
    translator: Translator, raster: str | Path, engine: Engine, plan: Plan, statistics: str
) -> dict[str, str]:
    """Tags for whoever finds the output: ``RS_GEN_...`` to text.

    Args:
        translator: Which made it.
        raster: From which it was made.
        engine: Gives the precision.
        plan: Gives tile and halo.
        statistics: The kind asked for.
    """
    found = translator.reach
    tags = {
        "synthetic": SYNTHETIC,
        "version": __version__,
        "model": translator.name,
        "model_digest": digest(translator.generator),
        "direction": translator.direction,
        "source": Path(raster).name,
        "statistics": recorded_kind(translator.generator, statistics),
        "reach": f"{found.left},{found.right}",
        "phase": found.phase,
        "tile_size": plan.core,
        "halo": plan.halo,
        "precision": str(engine.dtype or torch.float32).removeprefix("torch."),
        "tiling": "exact" if found.exact else f"approximate: {found.reason}",
    }
    return {f"RS_GEN_{key.upper()}": str(value) for key, value in tags.items()}
