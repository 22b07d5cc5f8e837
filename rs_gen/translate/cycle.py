"""Cycle error: translate there, store it, translate back, and see what has changed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..raster.grid import Grid
from .checks import Output
from .engine import Engine
from .noise import ground_noise
from .seen import Seen
from .sides import Side

NOISE = 0.01  # deviation, as a share of the target's range: two and a half levels of 8 bits


@dataclass(frozen=True)
class Stored:
    """What is left of a translation that was kept in a file and disturbed a little.

    A CycleGAN hides the source in its translation, as a pattern too faint to see, and reads it
    back from there (Chu, Zhmoginov & Sandler 2017, "CycleGAN, a Master of Steganography",
    arXiv:1712.02950, on aerial pictures and maps). Straight from network to network the cycle is
    therefore nearly perfect whatever was made up on the way. Rounding to the stored dtype and a
    little noise take the pattern away.

    Attributes:
        target: How the translation is stored.
        output: Its dtype and nodata.
        grid: Of the raster, which the noise is tied to.
        noise: Its deviation, as a share of the target's range; 0 for none.
        seed: Of the noise.
    """

    target: Side
    output: Output
    grid: Grid
    noise: float = NOISE
    seed: int = 42

    def __call__(self, seen: Seen) -> np.ndarray:
        """(C', H, W) in [-1, 1], 0 where there is no measurement, as a file would give it."""
        stretch = self.target.stretch
        kept = stretch.decode(seen.fake, self.output.dtype, self.output.nodata)
        again = stretch.encode(kept)
        if self.noise:
            grain = ground_noise(self.grid, seen.window, len(again), self.seed)
            again = np.clip(again + np.float32(2 * self.noise) * grain, -1, 1)
        again[:, ~seen.valid] = 0
        return again.astype(np.float32, copy=False)


@dataclass(frozen=True)
class CycleError:
    """Mean difference over the source's bands, as a share of their range: 0 (alike) to 1.

    Attributes:
        stored: What the way back starts from.
        back: The engine of the other direction, with its statistics frozen.
        reach: Of both directions together.
        phase: Of the way back.
    """

    stored: Stored
    back: Engine
    reach: int
    phase: int
    name: str = "cycle"
    title: str = "cycle error"

    def __call__(self, seen: Seen) -> np.ndarray:
        """(H, W) over the window of ``seen``."""
        again = self.back(self.stored(seen)[None])[0]
        error: np.ndarray = np.abs(again - seen.pixels).mean(axis=0) / 2
        return error
