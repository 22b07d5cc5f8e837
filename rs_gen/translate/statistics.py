"""The normalisation statistics of a raster, gathered once and frozen.

Instance normalisation divides each image by its own spread, so two tiles disagree about the pixel
they share. With one set of numbers for the whole raster it is an affine map, and tiles agree.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import SettingError, TranslationError
from ..networks.norm import gathering, norm_layers
from .canvas import Canvas, round_up
from .windows import choose_windows

log = logging.getLogger(__name__)

KINDS = ("model", "sampled", "exact", "regional")
Statistics = Mapping[str, tuple[Tensor, Tensor]]

_MOST, _SMALL, _LEAST = 64, 16, 4  # windows: of large rasters, small ones, in little memory
_MEMORY = 2**28  # bytes that the sample's largest activation may take


def check_kind(kind: str) -> str:
    """The kind, if there is such a kind of statistics.

    Raises:
        SettingError: There is not.
    """
    if kind not in KINDS:
        raise SettingError(f"statistics={kind!r} is not known; there are {', '.join(KINDS)}")
    return kind


def recorded_kind(net: nn.Module, kind: str) -> str:
    """What an output says of its statistics: ``kind``, or what made it needless.

    ``"running"``: the network's batch norms hold averages from training. ``"none"``: no layer of
    it looks at an image's statistics.
    """
    if norm_layers(net):
        return kind
    running = any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in net.modules())
    return "running" if running else "none"


def stored_statistics(net: nn.Module, stored: Statistics | None) -> Statistics:
    """The statistics that came with a model, checked to be those of its layers.

    Raises:
        TranslationError: There are none, or they lack a layer.
    """
    missing = sorted(set(norm_layers(net)) - set(stored or {}))
    if missing:
        raise TranslationError(
            f"the model has no stored statistics for {missing[0]} and {len(missing) - 1} more "
            "layers; use statistics='sampled'"
        )
    return dict(stored or {})


def sampled_statistics(
    net: nn.Module, canvas: Canvas, *, side: int, floats: float, device: torch.device
) -> Statistics | None:
    """Mean and variance of every normalisation layer over a sample of a raster.

    All windows go through the network as one batch, in float32, and each layer takes its
    statistics over the whole batch; pixels that are not valid do not count. There are 64 windows,
    fewer (but 16) where these would cover the raster more than once, and fewer where memory would
    not do; they depend on the raster alone, never on tiles or on the area asked for.

    Args:
        net: In evaluation mode, on ``device``.
        canvas: Of the whole raster.
        side: Of a window in pixels; the training chips' is the closest to what the network knows.
        floats: Numbers in the network's largest activation for each pixel of its input.
        device: Where to compute.

    Returns:
        By layer name, (1, C, 1, 1) each; None where the raster has no valid pixel at all.
    """
    side = round_up(side, canvas.phase)
    room = max(_LEAST, int(_MEMORY / (side * side * floats * 4)))
    cover = canvas.shape[0] * canvas.shape[1] // (side * side)
    windows = choose_windows(canvas, side, min(room, max(_SMALL, min(cover, _MOST))))
    if not windows:
        return None
    log.debug("statistics from %d windows of %d px", len(windows), side)
    encoded = [canvas.read(window) for window in windows]
    pixels = torch.from_numpy(np.stack([e.pixels for e in encoded]))
    pixels = pixels.to(device, memory_format=torch.channels_last)
    valid = torch.from_numpy(np.stack([e.valid for e in encoded])[:, None]).to(device)
    return gather(net, pixels, valid)


@torch.inference_mode()
def gather(net: nn.Module, pixels: Tensor, valid: Tensor) -> Statistics:
    """Mean and variance of every normalisation layer over a batch taken as one image.

    Args:
        net: In evaluation mode.
        pixels: (B, C, H, W) in [-1, 1].
        valid: (B, 1, H, W), True where a pixel counts.
    """
    with gathering(net, None if bool(valid.all()) else valid) as found:
        net(pixels)
    return dict(found)
