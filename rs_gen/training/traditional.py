"""Traditional augmentation of a batch of chips: turns, shifts, light. The rival of generation."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import SettingError


@dataclass(frozen=True)
class Traditional:
    """What is drawn anew for each chip of a batch.

    Attributes:
        turns: One of the eight flips and quarter turns, as aerial scenes have no upper side.
        shift: Largest shift as a share of the side, 0 to below 1; what comes in is mirrored.
        light: Largest relative change of contrast, and largest shift of brightness on [-1, 1].
        rotate: Largest rotation in degrees, for chips that do have an upper side.
        scale: Largest relative change of size, 0 to below 1.

    Raises:
        SettingError: A value is out of its range.
    """

    turns: bool = True
    shift: float = 0.125
    light: float = 0.2
    rotate: float = 0.0
    scale: float = 0.0

    def __post_init__(self) -> None:
        for name in ("shift", "light", "scale"):
            value = getattr(self, name)
            if not 0 <= value < 1:
                raise SettingError(f"{name}={value} is not from 0 to below 1")
        if not 0 <= self.rotate <= 180:
            raise SettingError(f"rotate={self.rotate} is not from 0 to 180 degrees")

    @classmethod
    def upright(cls) -> Traditional:
        """For chips with an upper side, such as characters: small rotations in place of turns."""
        return cls(turns=False, rotate=10.0, scale=0.15, light=0.0)

    def __call__(self, images: Tensor, dice: torch.Generator) -> Tensor:
        """(B, C, H, W) in [-1, 1] to the same, each chip changed by draws of its own."""
        if self.turns:
            images = _turned(images, torch.randint(8, (len(images),), generator=dice))
        draws = 2 * torch.rand(6, len(images), generator=dice) - 1
        if self.shift or self.rotate or self.scale:
            images = self._moved(images, draws[:4])
        if self.light:
            contrast, brightness = (v[:, None, None, None] * self.light for v in draws[4:])
            images = (images * (1 + contrast) + brightness).clamp(-1, 1)
        return images

    def _moved(self, images: Tensor, draws: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        moves = draws[:2] * self.shift
        if not (self.rotate or self.scale):
            # Whole pixels, so that nothing is blurred.
            moves = torch.stack([(moves[0] * height).round() / height,
                                 (moves[1] * width).round() / width])  # fmt: skip
        angle, size = draws[2] * math.radians(self.rotate), 1 + draws[3] * self.scale
        cosine, sine = angle.cos() * size, angle.sin() * size
        rows = torch.stack([
            torch.stack([cosine, -sine, 2 * moves[1]], -1),
            torch.stack([sine, cosine, 2 * moves[0]], -1),
        ], 1)  # fmt: skip
        grid = F.affine_grid(rows.to(images), list(images.shape), align_corners=False)
        return F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)


def _turned(images: Tensor, turns: Tensor) -> Tensor:
    made = images.clone()
    for k in range(8):
        chosen = turns == k
        part = images[chosen].flip(-1) if k > 3 else images[chosen]
        made[chosen] = torch.rot90(part, k % 4, (-2, -1))
    return made
