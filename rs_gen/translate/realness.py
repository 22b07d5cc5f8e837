"""Realness: what the discriminator that the generator was trained against says of the result."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ..networks.reach import sight
from ..networks.spans import Span
from .engine import Engine
from .seen import Seen


class Judge(nn.Module):
    """A discriminator that is always handed source and image, (B, C + C', H, W), to logits.

    Args:
        discriminator: Of the image, or of both.
        bands: Of the source.
        conditional: Whether it sees the source as well.
    """

    def __init__(self, discriminator: nn.Module, bands: int, conditional: bool):
        super().__init__()
        self.discriminator, self.bands, self.conditional = discriminator, bands, conditional

    def forward(self, both: Tensor) -> Tensor:
        """Logits, one a patch."""
        logits: Tensor = self.discriminator(both if self.conditional else both[:, self.bands :])
        return logits

    @property
    def sight(self) -> tuple[Span, Span]:
        """What each logit sees along rows and columns."""
        return sight(self.discriminator)


@dataclass(frozen=True)
class Realness:
    """The discriminator's logits brought to the pixels; higher is more like a real image.

    A logit judges a patch (70 px in the published networks) and is put at its middle; between
    middles it is interpolated, beyond the last ones it goes on unchanged.

    Attributes:
        engine: Of a ``Judge``, with its statistics frozen.
        rows: What logits see along the rows.
        cols: Likewise along the columns.
        reach: Of the generator and the discriminator together.
        phase: Common to both.
    """

    engine: Engine
    rows: Span
    cols: Span
    reach: int
    phase: int
    name: str = "realness"
    title: str = "realness (logit)"

    def __call__(self, seen: Seen) -> np.ndarray:
        """(H, W) over the window of ``seen``."""
        logits = self.engine(np.concatenate([seen.pixels, seen.fake])[None])[0, 0]
        height, width = seen.valid.shape
        tall = stretched(logits, height, self.rows)
        return stretched(tall.T, width, self.cols).T


def patch_reach(span: Span) -> int:
    """Pixels from a pixel to the farthest that the logits around it see."""
    return span.width // 2 + 1 + int(span.stride)


def smallest_image(discriminator: nn.Module) -> int:
    """Side in pixels of an image for which a discriminator has several answers, whatever it is."""
    rows, cols = sight(discriminator)
    return max(rows.width, cols.width) + 2 * int(max(rows.stride, cols.stride))


def stretched(values: np.ndarray, size: int, span: Span) -> np.ndarray:
    """(n, ...) values of a layer to (size, ...) pixels along the first axis, linearly."""
    low, high = span.seen(0)
    place = (np.arange(size) - (low + high) / 2) / float(span.stride)
    place = np.clip(place, 0, len(values) - 1)
    first = np.minimum(place.astype(int), max(len(values) - 2, 0))
    after = np.minimum(first + 1, len(values) - 1)
    share = (place - first).astype(np.float32).reshape(-1, *[1] * (values.ndim - 1))
    mixed: np.ndarray = values[first] * (1 - share) + values[after] * share
    return mixed


@torch.inference_mode()
def logit_quantiles(judge: Judge, images: Tensor) -> Tensor:
    """(3,) 5 %, 50 % and 95 % of the logits of (B, C + C', H, W) source and image."""
    logits = judge(images).float().flatten()
    return torch.quantile(logits[: 2**20], torch.tensor([0.05, 0.5, 0.95]).to(logits))
