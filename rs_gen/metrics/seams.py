"""Whether tiles show: the step across tile lines against the step anywhere else."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import SettingError
from .protocol import Array, Score, bootstrap

_LIMIT = 1.05  # a ratio above this is a seam
_PIECE = 32  # pixels of a line that are resampled together, for neighbours are alike

Pieces = tuple[Array, npt.NDArray[np.intp]]


class Seams(NamedTuple):
    """What ``seam_ratio`` found.

    Attributes:
        bands: One score a band.
        passes: Whether in every band the interval covers 1 and the ratio is at most 1.05. The
            intervals hold 95 % for all bands together, so that many bands do not fail by chance.
    """

    bands: tuple[Score, ...]
    passes: bool


def seam_ratio(
    pixels: npt.NDArray[np.generic] | np.ma.MaskedArray[tuple[int, ...], np.dtype[np.generic]],
    tile: int,
    *,
    offset: tuple[int, int] = (0, 0),
    seed: int = 0,
    draws: int = 1000,
) -> Seams:
    """Mean step across tile lines over mean step across control lines half a tile away.

    1 where tiles do not show; 4 where their edges are plain to see. A step counts where both its
    pixels are valid.

    Args:
        pixels: (C, H, W), or (H, W) for one band; masked where there is nothing.
        tile: Side of the tiles' cores in pixels, at least 4.
        offset: (row, column) of any tile corner; lines lie at ``offset + n * tile``.
        seed: Of the bootstrap over pieces of lines, 32 px long.
        draws: Resamples.

    Raises:
        SettingError: The tile is too small, or no line lies inside the raster.
    """
    if tile < 4:
        raise SettingError(f"tile={tile} px leaves no room for control lines; it must be 4 or more")
    bands = pixels if pixels.ndim == 3 else pixels[None]
    scores = []
    for band in bands:
        known = ~np.ma.getmaskarray(band)
        values = np.ma.getdata(band).astype(np.float64)
        known &= np.isfinite(values)
        on = _pieces(values, known, tile, offset)
        half = offset[0] + tile // 2, offset[1] + tile // 2
        off = _pieces(values, known, tile, half)
        if on is None or off is None:
            height, width = band.shape
            raise SettingError(
                f"no tile line of tile={tile} px with both sides valid in {height} x {width} px"
            )
        scores.append(_ratio(on, off, tile, seed, draws, 1 - 0.05 / len(bands)))
    return Seams(tuple(scores), all(_passes(score) for score in scores))


def _passes(score: Score) -> bool:
    if score.low is None or score.high is None:
        return score.value <= _LIMIT
    return score.value <= _LIMIT and score.low <= 1 <= score.high


def _ratio(on: Pieces, off: Pieces, tile: int, seed: int, draws: int, level: float) -> Score:
    protocol = (
        f"mean step across lines of tile {tile} px / across lines half a tile away, "
        f"{level:.3%} interval"
    )
    value = _mean(*on) / _mean(*off) if _mean(*off) else math.nan
    if math.isnan(value):  # flat along all control lines: no step is right, any step a seam
        value = 1.0 if _mean(*on) == 0 else math.inf
        return Score(value, len(on[0]), protocol)
    dice = np.random.default_rng([seed, 1])  # not the dice that draw the tile lines

    def resampled(i: npt.NDArray[np.intp]) -> float:
        j = dice.integers(0, len(off[0]), len(off[0]))
        below = _mean(off[0][j], off[1][j])
        return _mean(on[0][i], on[1][i]) / below if below else math.nan

    low, high = bootstrap(len(on[0]), resampled, seed=seed, draws=draws, level=level)
    return Score(value, len(on[0]), protocol, low, high)


def _mean(sums: Array, counts: npt.NDArray[np.intp]) -> float:
    return float(sums.sum() / counts.sum())


def _pieces(
    values: Array, known: npt.NDArray[np.bool_], tile: int, offset: tuple[int, int]
) -> Pieces | None:
    """(sum of steps, count of steps) of each piece of line that has any."""
    sums, counts = [], []
    for axis in (0, 1):
        v, k = (values, known) if axis == 0 else (values.T, known.T)
        for line in range(offset[axis] % tile, len(v), tile):
            if line == 0:
                continue
            step = np.abs(v[line] - v[line - 1])
            both = k[line] & k[line - 1]
            for start in range(0, len(step), _PIECE):
                piece = both[start : start + _PIECE]
                if piece.any():
                    sums.append(step[start : start + _PIECE][piece].sum())
                    counts.append(piece.sum())
    if not counts:
        return None
    return np.array(sums, np.float64), np.array(counts, np.intp)
