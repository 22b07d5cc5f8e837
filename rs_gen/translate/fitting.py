"""Statistics of the kind asked for, and an engine that divides by them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from ..networks.norm import norm_layers
from .canvas import Canvas
from .engine import Engine
from .exact import exact_statistics
from .regional import Regional, RegionalEngine
from .statistics import Statistics, check_kind, sampled_statistics, stored_statistics


def fit(
    kind: str,
    net: nn.Module,
    canvas: Canvas,
    *,
    stored: Statistics | None,
    side: int,
    floats: float,
    device: torch.device,
    memory: int,
    progress: Callable[..., Iterable[Any]],
    cancel: Callable[[], bool] | None = None,
) -> Statistics | Regional | None:
    """What the instance norms of a network divide by on a raster.

    Args:
        kind: One of ``statistics.KINDS``.
        net: In evaluation mode, on ``device``.
        canvas: Of the whole raster.
        stored: What came with the model, for ``"model"``.
        side: Of the training chips, in pixels.
        floats: Numbers in the network's largest activation for each pixel of its input.
        device: Where to compute.
        memory: Bytes that the activations of a tile may take.
        progress: Wraps what takes long.
        cancel: True stops.

    Returns:
        Empty for a network without instance norm; None where the raster has no valid pixel.

    Raises:
        SettingError: There is no such kind.
        TranslationError: The model has no stored statistics.
        Cancelled: Someone asked to stop.
    """
    check_kind(kind)
    if not norm_layers(net):
        return {}
    if kind == "model":
        return stored_statistics(net, stored)
    if kind == "exact":
        return exact_statistics(
            net, canvas, floats=floats, device=device, memory=memory, progress=progress,
            cancel=cancel,
        )  # fmt: skip
    if kind == "regional":
        return Regional(net, canvas, side=side, floats=floats, device=device)
    return sampled_statistics(net, canvas, side=side, floats=floats, device=device)


@contextmanager
def fitted(engine: Engine, statistics: Statistics | Regional | None) -> Iterator[Engine]:
    """An engine whose instance norms divide by these; None: by those of each image."""
    if isinstance(statistics, Regional):
        yield RegionalEngine(engine, statistics)
    else:
        with engine.frozen(statistics) as constant:
            yield constant
