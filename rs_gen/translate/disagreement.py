"""Disagreement: how far several answers to one question differ, pixel by pixel."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from rasterio.windows import Window

from .engine import Engine
from .seen import Seen


@dataclass(frozen=True)
class Turned:
    """Spread of one model's answers over the eight flips and quarter turns of the raster.

    The canvas is turned as a whole: it starts and ends on the phase, so a tile of it that does so
    too still does after the turn, and tiles agree with the whole.

    Attributes:
        engine: With its statistics frozen; they are those of the raster as it lies.
        reach: Of the generator, to the farther side.
        phase: Of the generator.
    """

    engine: Engine
    reach: int
    phase: int
    name: str = "disagreement"
    title: str = "disagreement over flips and turns"

    def __call__(self, seen: Seen) -> np.ndarray:
        """(H, W) over the window of ``seen``."""
        return spread(
            turned(self.engine(turned(seen.pixels, k)[None])[0], k, back=True) for k in range(8)
        )


@dataclass(frozen=True)
class Several:
    """Spread of the answers of several models, in the range of the first.

    Attributes:
        members: From a window of the raster to (C', H, W) in the first model's [-1, 1].
        reach: The largest of the models'.
        phase: A common multiple of the models'.
    """

    members: Sequence[Callable[[Window], np.ndarray]]
    reach: int
    phase: int
    name: str = "disagreement"

    @property
    def title(self) -> str:
        """Name of the band."""
        return f"disagreement over {len(self.members)} models"

    def __call__(self, seen: Seen) -> np.ndarray:
        """(H, W) over the window of ``seen``."""
        return spread(answer(seen.window) for answer in self.members)


def spread(answers: Iterable[np.ndarray]) -> np.ndarray:
    """(H, W) standard deviation of (C, H, W) answers in [-1, 1], as a share of the range.

    The mean over the bands; 0 where all agree, at most 0.5. Two answers are in memory at a time.
    Welford 1962, "Note on a method for calculating corrected sums of squares and products".
    """
    count, mean, squares = 0, np.float32(0), np.float32(0)
    for answer in answers:
        count += 1
        delta = answer - mean
        mean = mean + delta / np.float32(count)
        squares = squares + delta * (answer - mean)
    deviation: np.ndarray = np.sqrt(squares / np.float32(count)).mean(axis=0) / 2
    return deviation


def turned(pixels: np.ndarray, k: int, *, back: bool = False) -> np.ndarray:
    """(C, H, W) by one of the eight flips and quarter turns, or by its opposite.

    Args:
        pixels: What to turn.
        k: 0 to 7: quarter turns are ``k % 4``; from 4 on the columns are mirrored first.
        back: Undo it.
    """
    turns = k % 4
    if back:
        pixels = np.rot90(pixels, -turns, axes=(-2, -1))
        pixels = pixels[..., ::-1] if k >= 4 else pixels
    else:
        pixels = pixels[..., ::-1] if k >= 4 else pixels
        pixels = np.rot90(pixels, turns, axes=(-2, -1))
    return np.ascontiguousarray(pixels)
