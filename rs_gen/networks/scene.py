"""A small classifier of scenes, for judging what chips are good for rather than for use."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from ..errors import SettingError

STAGES = 4  # each halves the image, until nothing is left to halve


class SceneNet(nn.Module):
    """(B, C, H, W) in [-1, 1] to (B, classes) logits, for chips of 8 to 256 px.

    Four times a convolution, batch norm, ReLU and a maximum over 2 x 2; a mean over what is left.

    Args:
        bands: Of the chips.
        classes: To tell apart.
        width: Channels of the first stage; they double in the second and in the third.

    Raises:
        SettingError: ``width`` is not above 0, or there are fewer than two classes.
    """

    def __init__(self, bands: int, classes: int, width: int = 24):
        super().__init__()
        if width < 1:
            raise SettingError(f"width={width} must be at least 1")
        if classes < 2:
            raise SettingError(f"{classes} class leaves nothing to tell apart; take at least 2")
        widths = [bands, width, 2 * width, 4 * width, 4 * width]
        stages = [
            nn.Sequential(nn.Conv2d(a, b, 3, 1, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU())
            for a, b in pairwise(widths)
        ]
        self.stages = nn.ModuleList(stages)
        self.head = nn.Linear(widths[-1], classes)

    def features(self, images: Tensor) -> Tensor:
        """(B, 4 * width) before the classes."""
        for stage in self.stages:
            images = stage(images)
            if min(images.shape[-2:]) > 1:
                images = nn.functional.max_pool2d(images, 2)
        return images.mean((2, 3))

    def forward(self, images: Tensor) -> Tensor:
        """(B, classes) logits."""
        return self.head(self.features(images))
