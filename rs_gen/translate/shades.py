"""Colours of the trust layers: green where nothing speaks against a pixel, red where much does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..games.reference import Reference
from ..raster.pseudocolor import Stop, write_style

_SHADES = ("#1a9850", "#fee08b", "#d73027")  # believable, doubtful, doubted
_ENDS = {"cycle": (0.0, 0.08, 0.25), "disagreement": (0.0, 0.04, 0.12), "drift": (0.5, 1.0, 2.0)}


def write_styles(raster: Path, names: Sequence[str], reference: Reference | None) -> list[Path]:
    """QGIS styles beside a raster of trust layers; returns their paths.

    The first band's has the raster's name, so that QGIS takes it by itself.

    Args:
        raster: With a band a layer.
        names: Of the layers, in the order of the bands.
        reference: Of the training chips, for the colours of ``realness``.
    """
    paths = []
    for band, name in enumerate(names, start=1):
        end = "" if band == 1 else f"_{name}"
        stops = _stops(name, None if reference is None else reference.real.tolist())
        paths.append(write_style(raster.with_name(f"{raster.stem}{end}.qml"), band, stops))
    return paths


def _stops(name: str, real: Sequence[float] | None) -> list[Stop]:
    if name == "realness":
        middle = (real[0], (real[0] + real[1]) / 2, real[1]) if real else (0.0, 0.5, 1.0)
        values = middle if middle[0] < middle[1] < middle[2] else (0.0, 0.5, 1.0)
        labels = ("seldom so on real chips", "", "usual on real chips") if real else ("", "", "")
        shades: Sequence[str] = _SHADES[::-1]
    else:
        values, shades = _ENDS[name], _SHADES
        labels = ("", "as far as 5 % of training", "") if name == "drift" else ("", "", "")
    return [
        Stop(value, shade, f"{value:.3g} {label}".strip())
        for value, shade, label in zip(values, shades, labels, strict=True)
    ]
