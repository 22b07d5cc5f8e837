"""What a discriminator is shown of images, real and fake alike, so that few of them last longer.

Every change is drawn anew for each image, keeps its class a scene seen from above, and can be
differentiated twice, which R1 needs: so whole pixels move and nothing is interpolated. An image is
left as it is often enough that the generator can tell what is real, up to a strength of 0.8
(Karras et al. 2020, arXiv:2006.06676, appendix C: such augmentation does not leak).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..errors import UnknownNameError

KINDS = ("none", "diffaug", "ada")
MOST = 0.8  # largest strength that an adaptive augmentation goes to
COLOUR = 0.25  # largest change of brightness and contrast, of a range from -1 to 1
SHIFT = 1 / 8  # of the side, in either direction
CUT = 1 / 2  # of the side


def check_kind(kind: str) -> str:
    """``kind`` where it is known.

    Raises:
        UnknownNameError: It is not.
    """
    if kind not in KINDS:
        raise UnknownNameError("augmentation", kind, KINDS)
    return kind


def diffaug(images: Tensor) -> Tensor:
    """Colour, shift and a hole, each on every image. After Zhao et al. 2020, arXiv:2006.10738.

    Args:
        images: (B, C, H, W); a gradient passes through.
    """
    for change in (colour, shift, cutout):
        images = change(images)
    return images


def adaptive(images: Tensor, strength: float) -> Tensor:
    """A turn, colour, shift and a hole, each on an image with a chance of ``strength``.

    Args:
        images: (B, C, H, W).
        strength: 0 to 1. At 0 nothing is drawn, and the images come back as they are.
    """
    if strength <= 0:
        return images
    for change in (turn, colour, shift, cutout):
        images = sometimes(change, images, strength)
    return images


def sometimes(change: Callable[[Tensor], Tensor], images: Tensor, chance: float) -> Tensor:
    """The images, some of them changed."""
    chosen = torch.rand(len(images), 1, 1, 1, device=images.device) < chance
    return torch.where(chosen, change(images), images)


def turn(images: Tensor) -> Tensor:
    """Each image by one of the eight flips and quarter turns."""
    way = torch.randint(8, (len(images),), device=images.device)
    turned = images
    for k in range(1, 8):
        mirrored = images.flip(-1) if k >= 4 else images
        at = (way == k).view(-1, 1, 1, 1)
        turned = torch.where(at, mirrored.rot90(k % 4, (-2, -1)), turned)
    return turned


def colour(images: Tensor) -> Tensor:
    """Brightness of all bands together, and contrast around each image's mean, any bands."""
    dice = torch.rand(2, len(images), 1, 1, 1, device=images.device) * 2 - 1
    mean = images.mean((1, 2, 3), keepdim=True)
    return (images - mean) * (1 + 2 * COLOUR * dice[0]) + mean + COLOUR * dice[1]


def shift(images: Tensor) -> Tensor:
    """Each image moved by whole pixels, up to an eighth of its side; what comes in is 0."""
    count, _, height, width = images.shape
    far = max(1, round(min(height, width) * SHIFT))
    down, across = torch.randint(-far, far + 1, (2, count, 1), device=images.device)
    rows = torch.arange(height, device=images.device) + down
    cols = torch.arange(width, device=images.device) + across
    inside = _within(rows, height)[:, None, :, None] & _within(cols, width)[:, None, None, :]
    which = torch.arange(count, device=images.device)[:, None, None]
    at = which, rows.clamp(0, height - 1)[:, :, None], cols.clamp(0, width - 1)[:, None, :]
    moved = images.permute(0, 2, 3, 1)[at].permute(0, 3, 1, 2)
    return moved * inside


def cutout(images: Tensor) -> Tensor:
    """A square of half the side set to 0, anywhere, also over the edge."""
    count, _, height, width = images.shape
    half = max(1, round(min(height, width) * CUT / 2))
    centre = torch.rand(2, count, 1, device=images.device)
    rows = (torch.arange(height, device=images.device) - centre[0] * height).abs() < half
    cols = (torch.arange(width, device=images.device) - centre[1] * width).abs() < half
    return images * ~(rows[:, None, :, None] & cols[:, None, None, :])


def _within(places: Tensor, size: int) -> Tensor:
    return (places >= 0) & (places < size)
