"""Images to features at every resolution, and back: what the few-shot generators are laid with.

One decoder serves them all. After each of its blocks it asks a ``fill`` for more features of that
resolution; what that is (attention, a weighted skip, noise, nothing) is all that differs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import ChipError, SettingError, UnknownNameError

# (level, features so far) to more features of the same height and width, or None for none.
# Level 0 is the coarsest; the last is that of the image.
Fill = Callable[[int, Tensor], Tensor | None]

STEPS = (1, 2, 3, 4, 4, 4)  # channels by level, in widths, from the finest to the coarsest
COARSEST = 4  # least side of the coarsest features, in pixels, where the image allows it
MOST = 5  # halvings


def halvings(size: int) -> int:
    """How often chips of this side are halved: at least 3 times, down to 4 px or more.

    Raises:
        ChipError: The side is not a multiple of 8.
    """
    if size < 8 or size % 8:
        below, above = size // 8 * 8, (size // 8 + 1) * 8
        raise ChipError(
            f"chips are {size} px but few-shot generators need a multiple of 8; "
            f"try {f'{below} or ' if below else ''}{above}"
        )
    depth = 3
    while depth < MOST and size % 2 ** (depth + 1) == 0 and size // 2 ** (depth + 1) >= COARSEST:
        depth += 1
    return depth


def widths_of(width: int, depth: int) -> list[int]:
    """Channels of ``depth + 1`` levels, the image's own first."""
    return [width * STEPS[level] for level in range(depth + 1)]


def norm_of(kind: str, channels: int) -> nn.Module:
    """``"batch"``, ``"layer"`` (over the whole of one image, for batches of any mix) or ``"none"``.

    Raises:
        UnknownNameError: There is no such norm.
    """
    if kind == "batch":
        return nn.BatchNorm2d(channels)
    if kind == "layer":
        return nn.GroupNorm(1, channels)
    if kind == "none":
        return nn.Identity()
    raise UnknownNameError("norm", kind, ("batch", "layer", "none"))


class Residual(nn.Module):
    """Two 3 x 3 convolutions beside a short way, (B, C, H, W) to (B, C', H / stride, W / stride).

    Args:
        c_in: C.
        c_out: C'.
        stride: Of the first convolution, 1 or 2.
        norm: After each convolution.
    """

    def __init__(self, c_in: int, c_out: int, stride: int = 1, norm: str = "batch"):
        super().__init__()
        self.first = nn.Conv2d(c_in, c_out, 3, stride, 1)
        self.second = nn.Conv2d(c_out, c_out, 3, 1, 1)
        self.norms = nn.ModuleList([norm_of(norm, c_out), norm_of(norm, c_out)])
        for conv in (self.first, self.second):  # or a deep network begins with a single image
            nn.init.kaiming_normal_(conv.weight, 0.2)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C', H / stride, W / stride)."""
        x = F.leaky_relu(self.norms[0](self.first(x)), 0.2)
        return F.leaky_relu(self.norms[1](self.second(x)) + x, 0.2)


class Encoder(nn.Module):
    """Features of an image at every resolution, the coarsest first.

    Args:
        bands: Of the images.
        widths: Channels by level, the image's own resolution first.
        norm: See ``norm_of``.
    """

    def __init__(self, bands: int, widths: Sequence[int], norm: str = "batch"):
        super().__init__()
        pairs = zip([bands, *widths], widths, strict=False)
        self.blocks = nn.ModuleList(
            Residual(c_in, c_out, 1 if level == 0 else 2, norm)
            for level, (c_in, c_out) in enumerate(pairs)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, C, H, W) to [(B, C_r, H_r, W_r)], the coarsest first and the image's own last."""
        found = []
        for block in self.blocks:
            x = block(x)
            found.append(x)
        return found[::-1]


class Decoder(nn.Module):
    """Coarse features to an image in [-1, 1], with a hook after every block.

    Args:
        bands: Of the images.
        widths: Channels by level, the image's own resolution first.
        extra: Channels that the fill adds at each level, the coarsest block first; None for none.
        norm: See ``norm_of``.

    Raises:
        SettingError: ``extra`` does not name every block.
    """

    def __init__(
        self, bands: int, widths: Sequence[int], extra: Sequence[int] | None = None,
        norm: str = "batch",
    ):  # fmt: skip
        super().__init__()
        coarse = list(widths)[::-1]
        extra = [0] * (len(coarse) - 1) if extra is None else list(extra)
        if len(extra) != len(coarse) - 1:
            raise SettingError(f"extra={extra} must have {len(coarse) - 1} entries, one a block")
        self.blocks = nn.ModuleList(
            Residual(c_in + more, c_out, 1, norm)
            for c_in, c_out, more in zip(coarse, coarse[1:], [0, *extra], strict=False)
        )
        fine = coarse[-1]
        self.last = nn.Sequential(
            nn.Conv2d(fine + extra[-1], fine, 3, 1, 1), norm_of(norm, fine),
            nn.LeakyReLU(0.2), nn.Conv2d(fine, bands, 3, 1, 1),
        )  # fmt: skip

    def forward(self, x: Tensor, fill: Fill | None = None, *, squash: bool = True) -> Tensor:
        """(B, C_0, h, w) to (B, bands, h * 2^n, w * 2^n).

        Args:
            x: The coarsest features.
            fill: Asked after each block.
            squash: False gives the last layer's numbers, before tanh.
        """
        for level, block in enumerate(self.blocks):
            x = block(F.interpolate(x, scale_factor=2.0, mode="nearest"))
            more = None if fill is None else fill(level, x)
            x = x if more is None else torch.cat([x, more], 1)
        x = self.last(x)
        return torch.tanh(x) if squash else x


class Sprout(nn.Module):
    """Numbers to the coarsest features: a linear map to (B, C, side, side).

    Args:
        numbers: How many come in.
        channels: C.
        side: In pixels.
    """

    def __init__(self, numbers: int, channels: int, side: int):
        super().__init__()
        self.shape = channels, side, side
        self.linear = nn.Linear(numbers, channels * side * side)

    def forward(self, z: Tensor) -> Tensor:
        """(B, numbers) to (B, C, side, side)."""
        return F.leaky_relu(self.linear(z).unflatten(1, self.shape), 0.2)
