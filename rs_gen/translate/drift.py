"""Drift: how far a raster lies from the chips that a model was trained on.

Bands are compared before a job, as histograms of encoded values; what the generator makes of them
is compared block by block during one. Both need a ``Reference`` that was kept with the model.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from torch import nn

from ..errors import DriftWarning, SettingError, TranslationError
from ..games.reference import BINS, Reference
from ..metrics.drift import Gaussian, ks, psi
from ..networks.norm import freeze, norm_layers
from .canvas import Canvas, round_up
from .engine import Engine
from .features import Encoder, block_vectors
from .seen import Seen
from .statistics import Statistics
from .windows import choose_windows

MODES = ("warn", "refuse", "off")
LARGE = 0.25  # population stability index from which a band counts as another one, by custom
_WINDOWS = 32  # of a raster that are compared, spread over it


class BandDrift(NamedTuple):
    """How far one band lies from training.

    Attributes:
        name: Of the band.
        psi: Population stability index, 0 or more.
        ks: Largest gap of the cumulative histograms, 0 to 1.
        limit: The index from which the band counts as another one: 0.25 by custom, or as much as
            one half of the training chips differs from the other.
    """

    name: str
    psi: float
    ks: float
    limit: float = LARGE

    def __str__(self) -> str:
        return f"{self.name} (PSI {self.psi:.2f}, KS {self.ks:.2f})"


def band_drift(canvas: Canvas, reference: Reference, size: int, names: Sequence[str]) -> list[
    BandDrift
]:  # fmt: skip
    """Every band of a raster against the training chips, from windows spread over it.

    Args:
        canvas: Of the raster.
        reference: Of the model and the direction.
        size: Side of a window, in pixels.
        names: One a band; empty for numbers.

    Raises:
        TranslationError: The reference is of another number of bands.
    """
    bands = canvas.reader.count
    if len(reference.bands) != bands:
        raise TranslationError(
            f"the model holds histograms of {len(reference.bands)} bands and the raster has "
            f"{bands}; choose its bands, or pass drift='off'"
        )
    found = np.zeros((bands, BINS))
    for window in choose_windows(canvas, round_up(size, canvas.phase), _WINDOWS):
        encoded = canvas.read(window)
        found += histograms(encoded.pixels[:, encoded.valid])
    if not found.any():
        return []
    held = reference.bands.double().numpy()
    named = [(names[i] if i < len(names) and names[i] else f"band {i + 1}") for i in range(bands)]
    limits = [max(LARGE, spread) for spread in reference.spread.tolist()]
    each = zip(named, held, found, limits, strict=True)
    return [BandDrift(name, psi(p, q), ks(p, q), limit) for name, p, q, limit in each]


def histograms(values: np.ndarray) -> np.ndarray:
    """(C, n) encoded values to (C, 256) counts over [-1, 1]."""
    places = np.clip((values + 1) * (BINS / 2), 0, BINS - 1).astype(int)
    return np.stack([np.bincount(band, minlength=BINS) for band in places]).astype(float)


def judge_drift(found: Sequence[BandDrift], mode: str, raster: str, *, stacklevel: int = 2) -> None:
    """Warn of bands that are not those of training, or refuse them.

    Args:
        found: Of every band.
        mode: ``"warn"``, ``"refuse"`` or ``"off"``.
        raster: Its name, for the text.
        stacklevel: Of the warning, as ``warnings.warn`` counts.

    Raises:
        SettingError: There is no such mode.
        TranslationError: A band drifted and ``mode`` is ``"refuse"``.
    """
    check_mode(mode)
    far = [band for band in found if band.psi > band.limit]
    if not far or mode == "off":
        return
    text = (
        f"{raster} does not look like the training chips: {', '.join(map(str, far))}, above PSI "
        f"{min(band.limit for band in far):.2f}: another season, sensor or kind of land?"
    )
    if mode == "refuse":
        raise TranslationError(f"{text} To go on all the same, pass drift='warn' or 'off'")
    warnings.warn(text, DriftWarning, stacklevel=stacklevel + 1)


def check_mode(mode: str) -> str:
    """The mode, if there is such a one.

    Raises:
        SettingError: There is not.
    """
    if mode not in MODES:
        raise SettingError(f"drift={mode!r} is not known; there are {', '.join(MODES)}")
    return mode


@dataclass(frozen=True)
class FeatureDrift:
    """Mahalanobis distance of every block's features from training, over the usual limit.

    At 1 a block lies as far out as the outermost 5 % of training blocks that were kept aside;
    larger is stranger. Lee et al. 2018, "A Simple Unified Framework for Detecting
    Out-of-Distribution Samples", section 2.1, for one class and with a covariance of low rank.

    Attributes:
        engine: Of an ``Encoder`` whose norms hold the *training* chips' statistics, since those
            of the raster itself would take most of a drift away.
        step: Of the encoder, in pixels.
        gaussian: Of the training blocks.
        limit: Distance that counts as 1.
        block: Side of a block in pixels.
        reach: Of the generator.
        phase: A common multiple of the generator's and the block.
    """

    engine: Engine
    step: int
    gaussian: Gaussian
    limit: float
    block: int
    reach: int
    phase: int
    name: str = "drift"
    title: str = "drift of features"

    def __call__(self, seen: Seen) -> np.ndarray:
        """(H, W) over the window of ``seen``."""
        features = self.engine(seen.pixels[None])[0]
        vectors, share = block_vectors(features, seen.valid, self.step, self.block)
        distance = self.gaussian.distance(vectors.reshape(-1, vectors.shape[-1])) / self.limit
        values = np.where(share > 0, distance.reshape(share.shape), 0).astype(np.float32)
        height, width = seen.valid.shape
        return values.repeat(self.block, 0).repeat(self.block, 1)[:height, :width]


def gaussian_of(reference: Reference) -> Gaussian:
    """The Gaussian that a reference holds."""
    parts = (reference.mean, reference.axes, reference.variances)
    mean, axes, variances = (part.double().numpy() for part in parts)
    return Gaussian(mean, axes, variances, float(reference.rest))


def encoder_of(net: nn.Module, bands: int, phase: int, statistics: Statistics | None) -> Encoder:
    """The encoder of a generator, with its norms frozen to the training chips' statistics.

    Args:
        net: A copy of the generator that is nobody else's, in evaluation mode.
        bands: That it takes.
        phase: Of the generator.
        statistics: Of its instance norms.

    Raises:
        TranslationError: It has instance norms and no statistics came with it.
    """
    if norm_layers(net):
        if not statistics:
            raise TranslationError(
                "the model holds no norm statistics of its training chips, so its features can't "
                "be compared; save it again with its data"
            )
        freeze(net, statistics)
    return Encoder(net, bands, phase)


def reference_of(references: Mapping[str, Reference], direction: str) -> Reference:
    """What a model keeps of its training chips.

    Raises:
        TranslationError: Nothing, because it was saved without its data or by an older version.
    """
    if direction not in references:
        raise TranslationError(
            f"the model holds no histograms of its training chips for {direction}, so drift can't "
            "be told; load it with its data and save it again"
        )
    return references[direction]
