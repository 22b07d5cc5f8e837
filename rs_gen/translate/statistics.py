"""The normalisation statistics of a raster, gathered once and frozen.

Instance normalisation divides each image by its own spread, so two tiles disagree about the pixel
they share. With one set of numbers for the whole raster it is an affine map, and tiles agree.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping
from itertools import islice

import numpy as np
import torch
from rasterio.windows import Window
from torch import Tensor, nn

from ..errors import SettingError, TranslationError
from ..networks.norm import gathering, norm_layers
from ..raster.tiles import walk
from .canvas import Canvas, round_up

log = logging.getLogger(__name__)

KINDS = ("model", "sampled")
Statistics = Mapping[str, tuple[Tensor, Tensor]]

_SEED = 42
_MOST, _LEAST = 16, 4  # windows in the sample
_MEMORY = 2**28  # bytes that the sample's largest activation may take
_GOOD = 0.5  # a window of which this share is valid is as good as any
_TRIES = 16  # places looked at for each window wanted, before the best of them are taken


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
    statistics over the whole batch; pixels that are not valid do not count. The windows depend on
    the raster alone, never on tiles or on the area asked for.

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
    bytes_each = side * side * floats * 4
    windows = choose_windows(canvas, side, int(min(max(_MEMORY / bytes_each, _LEAST), _MOST)))
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


def choose_windows(canvas: Canvas, side: int, count: int) -> list[Window]:
    """At most ``count`` windows spread evenly over a canvas, those with valid pixels first.

    Places are tried in a fixed order. The first ``count`` that are at least half valid are taken;
    where too few are, the fullest of those tried, and where all of those are empty, the first
    that hold anything in a walk over the whole raster.
    """
    tried: list[tuple[float, Window]] = []
    for window in islice(places(canvas.padded, side, canvas.phase), _TRIES * count):
        tried.append((canvas.read(window).valid.mean(), window))
        if sum(share >= _GOOD for share, _ in tried) == count:
            break
    tried.sort(key=lambda found: -min(found[0], _GOOD))  # stable: the order decides among equals
    chosen = [window for share, window in tried[:count] if share > 0]
    return chosen or list(islice(_not_empty(canvas, side), count))


def places(shape: tuple[int, int], side: int, phase: int) -> Iterator[Window]:
    """Different windows on the phase, each where the ones before left the most room.

    The R2 sequence of Roberts 2018, "The Unreasonable Effectiveness of Quasirandom Sequences": a
    golden ratio for two dimensions. It ends once it finds no new place for long.
    """
    sizes = tuple(min(side, n) for n in shape)
    room = tuple((n - size) // phase + 1 for n, size in zip(shape, sizes, strict=True))
    start = np.random.default_rng(_SEED).random(2)
    plastic = 1.32471795724474602596  # the real root of x^3 = x + 1
    seen: set[tuple[int, int]] = set()
    patience = 4 * room[0] * room[1] + 16
    for k in range(patience):
        row, col = (
            int(math.fmod(start[i] + k / plastic ** (i + 1), 1.0) * room[i]) * phase
            for i in range(2)
        )
        if (row, col) not in seen:
            seen.add((row, col))
            yield Window(col, row, sizes[1], sizes[0])
        if len(seen) == room[0] * room[1]:
            return


def _not_empty(canvas: Canvas, side: int) -> Iterator[Window]:
    """Windows of full size that hold a valid pixel, in a walk over all of the canvas."""
    height, width = canvas.padded
    for tile in walk(canvas.padded, side, phase=canvas.phase):
        rows, cols = min(side, height), min(side, width)
        top = min(tile.write.row_off, height - rows)
        left = min(tile.write.col_off, width - cols)
        window = Window(left, top, cols, rows)
        if canvas.read(window).valid.any():
            yield window
