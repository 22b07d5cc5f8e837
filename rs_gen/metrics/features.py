"""What a distance between sets of images looks at: extractors that need no download.

An extractor is anything with a ``name`` that turns (B, C, H, W) in [-1, 1] into (B, D). Its name is
kept in every score, because distances of two extractors can't be compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import SettingError

_HEAD = 1280


class Extractor(Protocol):
    """Images to features.

    Attributes:
        name: Of the network, its weights and the size it looks at.
    """

    name: str

    def __call__(self, images: Tensor) -> Tensor:
        """(B, C, H, W) in [-1, 1] to (B, D)."""
        ...


class PixelFeatures:
    """The image itself, averaged down: a baseline that any extractor should beat.

    Args:
        side: Rows and columns that are kept; D is ``C * side * side``.
    """

    def __init__(self, side: int = 16):
        self.side, self.name = side, f"pixels-{side}"

    def __call__(self, images: Tensor) -> Tensor:
        """(B, C, H, W) in [-1, 1] to (B, C * side * side)."""
        images = checked(images)
        return F.adaptive_avg_pool2d(images, self.side).flatten(1)


class ImageNetFeatures(nn.Module):
    """EfficientNet-Lite0 before its classifier, with ImageNet weights; 1,280 features.

    Args:
        bands: How bands become the red, green and blue that the network knows. None: three or
            more bands give the first three, one or two are repeated in turn. Three indices from
            0: those. ``"each"``: each band alone as grey; D is ``C * 1280``, so that no band is
            left unseen.
        size: Side in pixels that images are resized to; the weights were trained at 224.
        weights: File of the published weights; None for those in the package.

    Raises:
        MissingPackageError: The package with the weights is not installed.

    Source:
        Tan & Le 2019, "EfficientNet", arXiv:1905.11946, in its Lite0 variant.
    """

    def __init__(
        self,
        bands: Sequence[int] | str | None = None,
        size: int = 224,
        weights: str | Path | None = None,
    ):
        super().__init__()
        from ..networks.efficient import efficient_encoder, packaged_weights, read_weights

        if isinstance(bands, str) and bands != "each":
            raise SettingError(f"bands={bands!r} is not 'each', None or three indices")
        if bands is not None and not isinstance(bands, str) and len(bands) != 3:
            raise SettingError(f"bands={tuple(bands)} must be three indices from 0")
        self.bands, self.size = bands, size
        shown = bands or "rgb" if isinstance(bands, str | None) else "-".join(map(str, bands))
        self.name = f"efficientnet_lite0-{size}-{shown}"
        path = Path(weights) if weights is not None else packaged_weights()
        self.encoder = efficient_encoder(3, path)
        self.head = nn.Conv2d(320, _HEAD, 1, bias=False)
        self.norm = nn.BatchNorm2d(_HEAD, eps=1e-3)
        held = read_weights(path)
        self.head.load_state_dict({"weight": held["_conv_head.weight"]})
        self.norm.load_state_dict(
            {k.removeprefix("_bn1."): v for k, v in held.items() if k.startswith("_bn1.")}
        )
        self.requires_grad_(False)
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) in [-1, 1] to (B, D), on the images' device."""
        images = checked(images)
        if self.bands == "each":
            grey = images.flatten(0, 1)[:, None].expand(-1, 3, -1, -1)
            return self._features(grey).reshape(len(images), -1)
        bands = cast("Sequence[int] | None", self.bands)
        return self._features(images[:, three_bands(bands, images.shape[1])])

    def train(self, mode: bool = True) -> ImageNetFeatures:
        """Stays in eval mode: batch norm must not look at what is measured."""
        return super().train(False)

    def _features(self, rgb: Tensor) -> Tensor:
        rgb = F.interpolate(rgb, [self.size] * 2, mode="bilinear", antialias=True)
        rgb = ((rgb + 1) * 127.5 - 127) / 128  # as the weights were trained, on 0..255
        features: Tensor = self.norm(self.head(self.encoder(rgb)[-1]))
        return F.relu6(features).mean((2, 3))


@torch.no_grad()
def features_of(
    extractor: Extractor,
    images: Tensor | Iterable[Tensor],
    *,
    batch_size: int = 16,
    device: str | torch.device = "cpu",
) -> Tensor:
    """(N, D) features on the CPU, of (N, C, H, W) images or of batches of them."""
    if isinstance(images, Tensor):
        images = torch.split(images, batch_size)
    if isinstance(extractor, nn.Module):
        extractor.to(device)
    found = [extractor(batch.to(device)).float().cpu() for batch in images]
    if not found:
        raise SettingError("there are no images to take features of")
    return torch.cat(found)


def three_bands(bands: Sequence[int] | None, count: int) -> list[int]:
    """Which bands become red, green and blue.

    Args:
        bands: Three indices from 0; None for the first three, one or two repeated in turn.
        count: Of the bands.

    Raises:
        SettingError: A band is not there.
    """
    if bands is None:
        return [i % count for i in range(3)]
    if max(bands) >= count or min(bands) < 0:
        raise SettingError(f"bands={tuple(bands)} are not all in an image of {count} bands")
    return list(bands)


def checked(images: Tensor) -> Tensor:
    """float32 images, refused where they can't be in [-1, 1]."""
    if images.dim() != 4:
        raise SettingError(f"images must be (B, C, H, W); got {tuple(images.shape)}")
    images = images.float()
    worst = float(images.abs().max()) if images.numel() else 0.0
    if not worst <= 1.01:
        raise SettingError(f"images must be in [-1, 1]; one has a value of {worst:g}")
    return images
