"""Extractors made of networks that a person brings: any backbone, or Inception from a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import MissingPackageError, PackageError, SettingError
from ..networks.efficient import read_weights
from .features import checked, three_bands

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, on 0..1


class BackboneFeatures(nn.Module):
    """What any image network sees before its classifier, from torchvision, timm or elsewhere.

    The features are what goes into the last linear layer where the network ends with one, and
    else its output: maps are averaged over their pixels, tokens over their number. The network is
    put into eval mode.

    Args:
        net: From (B, 3, size, size) to logits, features, maps or tokens.
        name: Of the network and its weights, such as "resnet50-imagenet1k_v2": scores keep it.
        size: Side in pixels that images are resized to.
        mean: Of the red, green and blue it was trained on, on 0..1; None takes what timm's
            networks say of themselves, or ImageNet's.
        std: As ``mean``, the standard deviation.
        bands: Three indices from 0 that become red, green and blue; None as in
            :class:`~rs_gen.metrics.features.ImageNetFeatures`.

    Raises:
        SettingError: ``bands`` are not three.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        net: nn.Module,
        name: str,
        size: int = 224,
        *,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        bands: Sequence[int] | None = None,
    ):
        super().__init__()
        if bands is not None and len(bands) != 3:
            raise SettingError(f"bands={tuple(bands)} must be three indices from 0")
        told: dict[str, Any] = getattr(net, "pretrained_cfg", None) or {}
        self.net, self.size, self.bands = net, size, bands
        shown = "" if bands is None else "-" + "-".join(map(str, bands))
        self.name = f"{name}-{size}{shown}"
        for key, given, usual in (("mean", mean, _MEAN), ("std", std, _STD)):
            values = torch.tensor(given if given is not None else told.get(key, usual))
            self.register_buffer(key, values.float()[:, None, None], persistent=False)
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) in [-1, 1] to (B, D), on the images' device."""
        images = checked(images)
        rgb = images[:, three_bands(self.bands, images.shape[1])]
        rgb = F.interpolate(rgb, [self.size] * 2, mode="bilinear", antialias=True)
        return before_classifier(self.net, ((rgb + 1) / 2 - self.mean) / self.std)

    def train(self, mode: bool = True) -> BackboneFeatures:
        """Stays in eval mode: batch norm must not look at what is measured."""
        return super().train(False)


def before_classifier(net: nn.Module, images: Tensor) -> Tensor:
    """(B, D): the input of the linear layer whose output is the network's, or that output pooled.

    Raises:
        SettingError: The network gives no tensor of features.
    """
    seen: list[tuple[Tensor, Tensor]] = []

    def look(_: nn.Module, given: tuple[Tensor, ...], found: Tensor) -> None:
        seen[:] = [(given[0], found)]

    linear = [module for module in net.modules() if isinstance(module, nn.Linear)]
    handles = [module.register_forward_hook(look) for module in linear]
    try:
        out = net(images)
    finally:
        for handle in handles:
            handle.remove()
    if not isinstance(out, Tensor) or out.dim() not in (2, 3, 4):
        raise SettingError(
            f"{type(net).__name__} gives {type(out).__name__}, not one tensor of features; wrap it "
            "in a module that returns (B, D)"
        )
    if seen and seen[0][1] is out and seen[0][0].dim() == 2:
        return seen[0][0]
    if out.dim() == 4:
        return out.mean((2, 3))
    return out.mean(1) if out.dim() == 3 else out


class InceptionFeatures(nn.Module):
    """Inception v3 before its classifier, 2,048 features, from a file that you name.

    Two files are known: the weights of 2015 that published Fréchet distances use, ported to
    PyTorch (1,008 classes; pools leave padding out), and torchvision's (1,000 classes). Nothing
    is downloaded. A distance is comparable with a published one only for equal weights, images,
    resizing and numbers of images.

    Args:
        weights: State dict (.pth) or safetensors file. No code in it is run.
        bands: Three indices from 0 that become red, green and blue; None as in
            :class:`~rs_gen.metrics.features.ImageNetFeatures`.

    Raises:
        MissingPackageError: torchvision, whose network this is, is not installed.
        PackageError: The file is missing, or holds weights of another network.

    Source:
        Szegedy et al. 2016, "Rethinking the Inception Architecture", arXiv:1512.00567; Heusel et
        al. 2017, arXiv:1706.08500.
    """

    size = 299

    def __init__(self, weights: str | Path, bands: Sequence[int] | None = None):
        super().__init__()
        held = {k: v for k, v in read_weights(weights).items() if not k.startswith("AuxLogits.")}
        self.bands, self.of_2015 = bands, _classes(held, weights) == 1008
        self.net = _inception(held, weights, self.of_2015)
        self.name = f"inception-{'2015' if self.of_2015 else 'torchvision'}-{self.size}"
        if bands is not None:
            self.name += "-" + "-".join(map(str, bands))
        self.requires_grad_(False)
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) in [-1, 1] to (B, 2048), on the images' device."""
        images = checked(images)
        rgb = images[:, three_bands(self.bands, images.shape[1])]
        rgb = F.interpolate(rgb, [self.size] * 2, mode="bilinear", align_corners=False)
        if not self.of_2015:
            mean, std = (torch.tensor(v, device=rgb.device)[:, None, None] for v in (_MEAN, _STD))
            rgb = ((rgb + 1) / 2 - mean) / std
        return before_classifier(self.net, rgb)

    def train(self, mode: bool = True) -> InceptionFeatures:
        """Stays in eval mode."""
        return super().train(False)


def _classes(held: dict[str, Tensor], path: str | Path) -> int:
    if "fc.weight" not in held or "Mixed_7c.branch_pool.conv.weight" not in held:
        raise PackageError(f"{path} holds no weights of Inception v3")
    return len(held["fc.weight"])


def _inception(held: dict[str, Tensor], path: str | Path, of_2015: bool) -> nn.Module:
    try:
        from torchvision.models import Inception3
    except ImportError as error:
        raise MissingPackageError(
            "Inception needs torchvision; pip install torchvision, or take ImageNetFeatures"
        ) from error
    net: nn.Module = Inception3(len(held["fc.weight"]), aux_logits=False, init_weights=False)
    try:
        net.load_state_dict(held)
    except RuntimeError as error:
        raise PackageError(f"{path} holds no weights of Inception v3: {error}") from error
    if of_2015:
        for name, block in net.named_children():
            if name.startswith("Mixed_") and hasattr(block, "branch_pool"):
                block.branch_pool = _Pooled(block, largest=name == "Mixed_7c")
    return net


class _Pooled(nn.Module):
    """The pool branch of 2015: the mean of what lies inside, or in the last block the largest."""

    def __init__(self, block: nn.Module, largest: bool):
        super().__init__()
        self.largest = largest
        self.conv = cast(nn.Module, block.branch_pool)
        block.register_forward_pre_hook(self._keep)

    def _keep(self, _: nn.Module, given: tuple[Tensor, ...]) -> None:
        self._given = given[0]

    def forward(self, averaged: Tensor) -> Tensor:
        """In place of torchvision's mean, which counts the padding."""
        if self.largest:
            pooled = F.max_pool2d(self._given, 3, 1, 1)
        else:
            pooled = F.avg_pool2d(self._given, 3, 1, 1, count_include_pad=False)
        found: Tensor = self.conv(pooled)
        return found
