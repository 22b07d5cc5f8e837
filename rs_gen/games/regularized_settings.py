"""What a RegularizedGAN may be built with, and its networks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from ..errors import ChipError, SettingError, UnknownNameError
from ..losses.regularizers import MODES
from ..networks.dcgan import PlainDiscriminator, PlainGenerator
from ..networks.r3gan import R3Discriminator, R3Generator
from . import augment as changes
from .base import check_sizes, check_weights

SIZES = (16, 32, 64, 128, 256)
BASES = ("r3gan", "dcgan")
LOSSES = ("rpgan", "nonsaturating")
SITES = ("flatten", "gap")
# Channels at 4, 8, 16, ... pixels; an image of S pixels takes the first log2(S) - 1 of them.
WIDTHS = {
    "tiny": (96, 96, 64, 32, 32, 16, 16),
    "cpu": (128, 128, 96, 64, 32, 32, 16),
    "small": (256, 256, 256, 128, 64, 32, 32),
    "gpu": (384, 384, 384, 256, 128, 64, 32),
    "toy": (64, 64, 32, 16, 16, 16, 16),
}
# Weight of R1 by size; Huang et al. 2024 take 2 at 64 and 150 at 256 pixels.
R1 = {16: 0.5, 32: 1.0, 64: 2.0, 128: 20.0, 256: 150.0}
MOST_CHANNELS = 1024


def make_players(settings: Mapping[str, Any]) -> tuple[nn.Module, nn.Module]:
    """Generator and discriminator.

    Raises:
        SettingError: ``widths`` are none that networks can be built with.
        ChipError: There is no network for images of this size.
    """
    base, size, widths = settings["base"], settings["size"], settings["widths"]
    stages = _stages(size)
    widths = list(WIDTHS[settings["scale"]][:stages] if widths is None else widths)
    _check_widths(widths, stages, base)
    channels, z_dim = settings["out_channels"], settings["z_dim"]
    known = {"classes": settings["classes"], "hook": settings["hook"] or min(32, size // 2)}
    if base == "dcgan":
        return (
            PlainGenerator(channels, widths, z_dim=z_dim, **known),
            PlainDiscriminator(channels, widths, **known),
        )
    known["blocks"] = settings["stage_blocks"]
    return R3Generator(channels, widths, z_dim=z_dim, **known), R3Discriminator(
        channels, widths, **known
    )


def _stages(size: int) -> int:
    if size not in SIZES:
        fits = [s for s in SIZES if s < size]
        remedy = f"try {max(fits)}" if fits else f"take chips of {SIZES[0]} px"
        raise ChipError(
            f"chips are {size} px but images are made with "
            f"{', '.join(map(str, SIZES[:-1]))} or {SIZES[-1]} px; {remedy}"
        )
    return size.bit_length() - 2


def _check_widths(widths: list[int], stages: int, base: str) -> None:
    step = 8 if base == "r3gan" else 1
    fine = len(widths) == stages and all(
        type(w) is int and 1 <= w <= MOST_CHANNELS and w % step == 0 for w in widths
    )
    if not fine:
        raise SettingError(
            f"widths={widths} must be {stages} whole numbers up to {MOST_CHANNELS}, one for each "
            f"of 4, 8, ... pixels" + (", multiples of 8" if step > 1 else "")
        )


def check(settings: Mapping[str, Any]) -> None:
    """Refuse settings that can't work, before anything is built."""
    for name, known in (("base", BASES), ("loss", LOSSES), ("scale", WIDTHS)):
        if settings[name] not in known:
            raise UnknownNameError(name, settings[name], known)
    for name, known in (("entropy_mode", MODES), ("feature_site", SITES)):
        if settings[name] not in known:
            raise UnknownNameError(name.replace("_", " "), settings[name], known)
    changes.check_kind(settings["augment"])
    check_sizes(settings)
    weights = ("r1_weight", "r2_weight", "uniformity_weight", "entropy_weight", "reg_warmup_steps")
    check_weights(weights, settings)
    cap, hook = settings["entropy_cap"], settings["hook"]
    if not (cap in ("real", "none") or type(cap) in (int, float)):
        raise SettingError(f"entropy_cap={cap!r} is neither 'real', 'none' nor a number")
    sides = [8 << i for i in range(_stages(settings["size"]) - 1)]
    if hook is not None and hook not in sides:
        raise SettingError(f"hook={hook!r} is no stage of these images; there are {sides}")
    if not set(settings["reg_on"]) <= {"g", "d"}:
        raise SettingError(f"reg_on={settings['reg_on']!r} must be of 'g' and 'd'")
    if not (isinstance(settings["uniformity_t"], int | float) and settings["uniformity_t"] > 0):
        raise SettingError(f"uniformity_t={settings['uniformity_t']!r} is not above 0")
