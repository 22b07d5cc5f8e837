"""Which networks play: generators by kind, and the discriminator that the papers share."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from torch import nn

from ..errors import SettingError, UnknownNameError

KINDS = ("unet", "resnet", "efficient")

# "timm:NAME" names a network of the installed timm, never a place to fetch one from.
_BACKBONE = re.compile(r"[a-z0-9_]+|timm:[A-Za-z0-9_.]+")


def kind_of(generator: str, backbone: str | None) -> str:
    """The kind of generator; a backbone makes it ``"efficient"``.

    Raises:
        UnknownNameError: There is no such kind.
        SettingError: A backbone is named as a place to fetch it from.
    """
    if backbone is not None and not _BACKBONE.fullmatch(backbone):
        raise SettingError(f"backbone={backbone!r} is not the name of an installed network")
    if generator not in KINDS:
        raise UnknownNameError("generator", generator, KINDS)
    return "efficient" if backbone is not None else generator


def make_generator(
    kind: str,
    in_channels: int,
    out_channels: int,
    *,
    backbone: str | None,
    pretrained: bool | str | Path,
    width: int,
    depth: int,
    blocks: int,
    downsamplings: int,
    norm: str | None,
    dropout: float | None,
    antialias: bool,
) -> nn.Module:
    """(B, in, H, W) to (B, out, H, W) in [-1, 1]. None stands for the published choice."""
    options: dict[str, Any]
    if kind == "efficient":
        from ..networks.efficient import efficient_unet

        name = backbone or "efficientnet_lite0"
        options = {} if dropout is None else {"dropout": dropout}
        return efficient_unet(in_channels, out_channels, name, pretrained, **options)
    if kind == "resnet":
        from ..networks.resnet import resnet_generator

        options = {"norm": norm or "instance", "antialias": antialias, "dropout": dropout or 0.0}
        options |= {"blocks": blocks, "downsamplings": downsamplings}
        return resnet_generator(in_channels, out_channels, width, **options)
    from ..networks.unet import unet_generator

    options = {"norm": norm or "batch", "dropout": 0.5 if dropout is None else dropout}
    return unet_generator(in_channels, out_channels, width, depth=depth, **options)


def make_discriminator(
    in_channels: int, *, width: int, depth: int, norm: str, spectral: bool
) -> nn.Module:
    """(B, C, H, W) to logits, one a patch; 70 px patches at depth 3."""
    from ..networks.patchgan import patchgan

    return patchgan(in_channels, width, depth, norm=norm, spectral=spectral)
