"""The SAR look: backscatter in dB, with speckle, layover, double bounce and radar shadow."""

from __future__ import annotations

import numpy as np

from sample_data.block import Block
from sample_data.kinds import BUILDING, FIELD, FOREST, KINDS, WATER
from sample_data.light import shade
from sample_data.noise import Noise, speckle
from sample_data.options import Options

INCIDENCE = 38.0  # degrees from the vertical; the radar looks east
_FLOOR = 10 ** (-27 / 10)  # noise of the receiver, in power
_LABEL = np.array([kind.label for kind in KINDS])
_VV = np.array([kind.backscatter for kind in KINDS], np.float32)
_CROSS = {WATER: -7.0, FOREST: -5.5, BUILDING: -8.0}  # VH against VV in dB; else -7.5


def sar(block: Block, options: Options) -> np.ndarray:
    """(polarisations, side, side) float32 in steps of 1/64 dB; NaN where nothing was measured."""
    rows, cols = block.core
    power = [_power(block, name)[block.core] for name in options.polarisations]
    seed = block.land.seed * 37
    out = np.stack([10 * np.log10(p) for p in power]).astype(np.float32)
    for band in range(len(out)):
        col, row = block.cols[None, cols], block.rows[rows, None]
        out[band] += speckle(col, row, seed + band, options.sar_looks)
    out = np.rint(out * 64) / np.float32(64)  # finer would only be noise that can't be compressed
    hole = block.unmeasured(options.wedge)
    if hole is not None:
        out[:, hole] = np.nan
    return out


def _power(block: Block, polarisation: str) -> np.ndarray:
    """Mean backscatter before speckle, with the margin."""
    step, tops = block.resolution, block.buildings
    slant = float(np.tan(np.radians(INCIDENCE)))
    reach = block.margin - 2
    decibel = _surface(block, polarisation)
    decibel -= 14 * (shade(tops, (-1.0, 0.0), 1 / slant, reach, step) > tops + 1)  # radar shadow
    power = 10 ** (decibel / 10)
    cross = 0.25 if polarisation == "VH" else 1.0
    # A roof is nearer to the radar than its foot, so it is seen west of where it stands.
    leant = (shade(tops, (1.0, 0.0), slant, reach, step) > 0) & (tops == 0)
    power += cross * 0.2 * leant
    # Wall and ground make a corner that sends the beam straight back.
    wall = np.clip(np.diff(tops, axis=1, append=tops[:, -1:]), 0, 25)
    power += cross * 0.55 * wall * min(1.0, 1.5 / step)
    return (power + _FLOOR).astype(np.float32)


def _surface(block: Block, polarisation: str) -> np.ndarray:
    """Backscatter of the surfaces alone in dB: material, moisture of each field, slope."""
    kind, features = block.kinds, block.features
    label = _LABEL[features.kind]
    mean = _VV[features.kind] + np.where(label == FIELD, 2.2 * features.number[:, 0], 0)
    if polarisation == "VH":
        mean = mean + np.array([_CROSS.get(n, -7.5) for n in label])
    decibel = mean.astype(np.float32)[block.ids]
    decibel += 0.8 * Noise(block.land.seed * 37 + 9, 260, 4, 0.6).grid(block.x, block.y)
    ground = block.land.fields.height(block.x, block.y)
    tilt = np.gradient(ground, block.resolution, axis=1)
    tilt[_LABEL[kind] == WATER] = 0
    return decibel + np.clip(14 * tilt, -5, 5).astype(np.float32)
