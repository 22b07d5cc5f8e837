"""What happens to a chip on its way to the network: crop, flips and quarter turns, jitter.

On arrays of any number of bands. The dice are given, so the same dice give the same chip.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ..errors import SettingError

Custom = Callable[[Tensor, Tensor, torch.Generator], tuple[Tensor, Tensor]]


def dihedral(pixels: np.ndarray, k: int) -> np.ndarray:
    """(C, H, W) by one of the eight flips and quarter turns of a square, as a view.

    Args:
        pixels: (C, H, W), or any array whose last two axes are rows and columns.
        k: 0 to 7. Quarter turns counter-clockwise are ``k % 4``; from 4 on the columns are
            mirrored first. 0 changes nothing.
    """
    mirrored = pixels[..., ::-1] if k >= 4 else pixels
    return np.rot90(mirrored, k % 4, axes=(-2, -1))


def crop(pixels: np.ndarray, size: int, at: tuple[float, float] = (0.5, 0.5)) -> np.ndarray:
    """(C, size, size) cut from (C, H, W), as a view.

    Args:
        pixels: Not smaller than ``size``.
        size: Side in pixels.
        at: Where, down and across, each 0 (top, left) to 1 (bottom, right); (0.5, 0.5) is the
            middle.
    """
    height, width = pixels.shape[-2:]
    top, left = (int(a * (n - size + 1)) for a, n in zip(at, (height, width), strict=True))
    top, left = min(top, height - size), min(left, width - size)
    return pixels[..., top : top + size, left : left + size]


def averaged(pixels: np.ma.MaskedArray, factor: int) -> np.ma.MaskedArray:
    """(C, H, W) stored values with ``factor`` x ``factor`` pixels averaged into one.

    Of measured pixels only; where none of them was, the mean is masked too. Rows and columns that
    do not fill a last pixel are left out. Kept as floats, so nothing is rounded.

    Args:
        pixels: (C, H, W).
        factor: 1 or more; 1 changes nothing.
    """
    if factor == 1:
        return pixels
    bands, height, width = pixels.shape
    rows, cols = height // factor, width // factor
    cut = pixels[:, : rows * factor, : cols * factor]
    blocks = cut.reshape(bands, rows, factor, cols, factor)
    narrow = pixels.dtype.itemsize <= 2 or pixels.dtype == np.float32
    mean = np.ma.MaskedArray(blocks).mean(axis=(2, 4), dtype="float64")
    return mean.astype("float32" if narrow else "float64")


@dataclass(frozen=True)
class Jitter:
    """How far the values of a source may wander, so that a model meets other light and haze.

    Every band wanders by itself: ``x`` in [-1, 1] becomes
    ``2 * u ** gamma - 1`` with ``u = ((x + 1) / 2)``, then ``x * contrast + brightness``, and is
    held in [-1, 1]. Pixels without a measurement are 0 before and after.

    Attributes:
        brightness: Largest shift, in encoded units (the whole range is 2), 0 or more.
        contrast: Largest relative change, 0 to below 1: 0.2 is a factor of 0.8 to 1.2.
        gamma: Largest change of the exponent as a factor, 0 or more: 0.2 is 1/1.2 to 1.2.
        together: The share of the change that all bands have in common, 0 to 1. At 1 colours
            keep their balance.
    """

    brightness: float = 0.1
    contrast: float = 0.1
    gamma: float = 0.1
    together: float = 0.5

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            top = {"contrast": 1, "together": 1}.get(name, np.inf)
            if not 0 <= value <= top or (name == "contrast" and value == 1):
                raise SettingError(f"jitter: {name}={value} is not between 0 and {top:g}")

    def __call__(self, encoded: np.ndarray, dice: np.random.Generator) -> np.ndarray:
        """(C, H, W) float32 in [-1, 1] to the same, changed."""
        shift, factor, power = self._draw(len(encoded), dice)
        unit = (encoded + 1) / 2
        changed = 2 * np.power(unit, power, dtype="float32") - 1
        return np.clip(changed * factor + shift, -1, 1, dtype="float32")

    def _draw(self, bands: int, dice: np.random.Generator) -> tuple[np.ndarray, ...]:
        """Brightness, contrast and gamma of each band, (3, C, 1, 1)."""
        own = dice.uniform(-1, 1, (3, bands))
        common = dice.uniform(-1, 1, (3, 1))
        wander = (own * (1 - self.together) + common * self.together).astype("float32")
        wander = wander[:, :, None, None]
        return (
            wander[0] * np.float32(self.brightness),
            1 + wander[1] * np.float32(self.contrast),
            np.float32(1 + self.gamma) ** wander[2],
        )


@dataclass(frozen=True)
class Augment:
    """What is drawn anew for each chip in each epoch.

    Attributes:
        turns: The eight flips and quarter turns.
        random_crop: Crop at a random place; else in the middle.
        jitter: Of the source's values, or None.
        custom: ``custom(a, b, generator) -> (a, b)`` on encoded (C, H, W) tensors, run last; its
            random numbers must come from ``generator``. None for none.
    """

    turns: bool = True
    random_crop: bool = True
    jitter: Jitter | None = None
    custom: Custom | None = None

    @classmethod
    def of(cls, transforms: object = None, jitter: object = None) -> Augment:
        """From what ``prepare_data`` is given.

        Args:
            transforms: None or True for flips, quarter turns and random crops; False for nothing
                random; a callable is run after them.
            jitter: None or False for none, True for the usual, a dict of ``Jitter``'s fields, a
                number for all three, or a ``Jitter``.

        Raises:
            SettingError: It is something else.
        """
        moving = transforms is not False
        if not (transforms is None or isinstance(transforms, bool) or callable(transforms)):
            raise SettingError(
                f"transforms={transforms!r} is neither True, False, None nor a callable "
                "(a, b, generator) -> (a, b)"
            )
        custom = transforms if callable(transforms) else None
        return cls(moving, moving, _jitter(jitter), custom)  # type: ignore[arg-type]

    @classmethod
    def none(cls) -> Augment:
        """Nothing random: a crop in the middle."""
        return cls(turns=False, random_crop=False)

    def place(self, dice: np.random.Generator) -> tuple[int, tuple[float, float]]:
        """Which of the eight turns, and where to crop: for both sides of a pair alike."""
        turn = int(dice.integers(8))
        down, across = dice.random(2)
        return (
            turn if self.turns else 0,
            (float(down), float(across)) if self.random_crop else (0.5, 0.5),
        )

    def without_turns(self) -> Augment:
        """The same without flips and turns."""
        return replace(self, turns=False)


def _jitter(given: object) -> Jitter | None:
    if given is None or given is False or isinstance(given, Jitter):
        return given or None
    if given is True:
        return Jitter()
    if isinstance(given, int | float):
        return Jitter(given, given, given)
    if isinstance(given, dict):
        try:
            return Jitter(**given)
        except TypeError:
            known = ", ".join(Jitter.__dataclass_fields__)
            raise SettingError(f"jitter={given!r}: its keys are {known}") from None
    raise SettingError(f"jitter={given!r} is neither a bool, a number, a dict nor a Jitter")
