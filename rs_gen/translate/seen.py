"""One tile as the trust layers see it: the source, what the model makes of it, and who asks."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Protocol

import numpy as np
from rasterio.windows import Window


class Seen:
    """A window of a raster that several layers look at; the translation is made once for all.

    Args:
        window: On the canvas; its origin lies on the phase of every layer.
        pixels: (C, H, W) float32 in [-1, 1], encoded.
        valid: (H, W), True where every band was measured.
        translate: From ``pixels`` and ``window`` to (C', H, W) in [-1, 1].
    """

    def __init__(
        self, window: Window, pixels: np.ndarray, valid: np.ndarray,
        translate: Callable[[np.ndarray, Window], np.ndarray],
    ):  # fmt: skip
        self.window, self.pixels, self.valid = window, pixels, valid
        self._translate = translate

    @cached_property
    def fake(self) -> np.ndarray:
        """(C', H, W) in [-1, 1]: the translation that is judged."""
        return self._translate(self.pixels, self.window)


class Layer(Protocol):
    """A number for each pixel that says how far to believe the translation there.

    Attributes:
        name: As a person asks for it.
        title: Name of the band.
        reach: Context that it needs beyond a pixel, in pixels.
        phase: Tiles must start at multiples of this, in pixels.
    """

    name: str
    title: str
    reach: int
    phase: int

    def __call__(self, seen: Seen) -> np.ndarray:
        """(H, W) float32 over the window.

        Right where a pixel lies ``reach`` or more from the window's sides, or the sides are the
        canvas's.
        """
        ...
