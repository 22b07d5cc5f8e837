"""How well a translated raster agrees with a measured one: as a whole, by area, by cell."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import SettingError, TranslationError
from ..metrics.protocol import Score, bootstrap, mean_score
from ..metrics.shift import shift_of
from ..raster.reader import RasterReader
from ..raster.tiles import count, walk
from .agreement import Pair, range_of, scores_of, values_of
from .areas import Areas, Cells, write_scores

BLOCK = 256  # px; side of what a bootstrap draws, and of the windows that the shift is found in
_MEASURED = 0.95  # share of a window that must be measured to find a shift in it
_DRAWS, _WORK = 1000, 4_000_000  # resamples of a bootstrap; of many blocks fewer are enough


def evaluate_rasters(
    output: str | Path,
    truth: str | Path,
    *,
    areas: str | Path | None = None,
    cell: int | None = None,
    scores: str | Path | None = None,
    block: int = BLOCK,
    progress: Callable[..., Iterable],
) -> dict[str, Any]:
    """Scores of ``output`` against ``truth``, brought onto the output's grid.

    Every score but one is over all pixels that both measured, with its n, its protocol and the
    95 % interval of a spatial bootstrap that draws blocks: neighbouring pixels are no independent
    evidence. "PSNR" is the mean over blocks that both measured throughout, as papers have it for
    chips, where a block that is met exactly counts as if rounding were its error. The data range
    is that of the dtype for 8 bits, else that of the truth.

    Args:
        output: The translated raster.
        truth: What was measured.
        areas: Polygons in any CRS that are scored one by one, into ``scores``.
        cell: Side of the cells of a regular grid that are scored likewise, in pixels.
        scores: GeoPackage for the layers "areas" and "cells".
        block: Side of a block, in pixels.
        progress: Wraps the walk over the blocks.

    Raises:
        GridMismatchError: The rasters do not overlap, or differ in band count.
        TranslationError: No pixel is measured in both.
        SettingError: An option can't work.
        AreaError: The areas can't be read.
    """
    _check(areas, cell, scores, block)
    with RasterReader(output) as made, RasterReader.aligned(truth, made.grid) as real:
        pair = Pair(made, real, range_of(real, progress))
        layers = {
            "areas": Areas(areas, pair.grid) if areas is not None else None,
            "cells": Cells(cell, pair.grid) if cell is not None else None,
        }
        table, whole, shifts = [], [], []
        steps = walk(pair.grid.shape, block)
        total = count(pair.grid.shape, block)
        for tile in progress(steps, total=total, label="blocks"):
            planes = pair.planes(tile.write)
            table.append(planes.sum((1, 2)))
            if planes[0].all() and planes[0].shape == (block, block):
                whole.append(values_of(table[-1], pair.scale)["PSNR of all pixels"])
            for layer in layers.values():
                if layer is not None:
                    layer.add(tile.write, planes)
            if planes[0].mean() >= _MEASURED and min(planes[0].shape) >= min(block, 64):
                shifts.append(_shift(pair, tile.write))
        grid = pair.grid
    sums = np.array(table)
    if not sums[:, 0].any():
        raise TranslationError(f"{output} and {truth} have no pixel that both measured")
    draws = int(np.clip(_WORK // len(sums), 200, _DRAWS))
    found = scores_of(sums, pair.scale, block, draws=draws)
    report: dict[str, Any] = {
        "output": str(output), "truth": str(truth), "data range": list(pair.scale[:2]),
        "PSNR": plain(_mean_psnr(whole, block), f"windows of {block} px"),
        **{name: plain(score) for name, score in found.items()},
        **_shifts([s for s in shifts if s is not None], grid.resolution, grid),
    }  # fmt: skip
    if scores is not None:
        report["layers"] = write_scores(scores, layers, pair.scale, grid.crs)
    return report


def plain(score: Score, unit: str = "pixels") -> dict[str, Any]:
    """A score for JSON, with what its n counts; what is no number becomes None."""
    held = {**score._asdict(), "unit": unit}
    return {k: None if isinstance(v, float) and not np.isfinite(v) else v for k, v in held.items()}


def _mean_psnr(values: list[float], block: int) -> Score:
    return mean_score(values, f"dB of each window of {block} px measured throughout, then mean")


def _check(areas: Any, cell: int | None, scores: Any, block: int) -> None:
    if (areas is not None or cell is not None) and scores is None:
        raise SettingError(
            "areas and cell are scored into a GeoPackage; name it with scores (--scores x.gpkg)"
        )
    if scores is not None and areas is None and cell is None:
        raise SettingError("scores is for areas or cells; give areas (--areas) or cell (--cell)")
    for name, value in (("block", block), ("cell", cell)):
        if value is not None and value < 1:
            raise SettingError(f"{name}={value} pixels; it must be at least 1")


def _shift(pair: Pair, window: Any) -> tuple[float, float] | None:
    """By phase correlation of the mean over the bands, in rows and columns."""
    a, b, valid = pair.read(window)
    fake, real = a.mean(0), b.mean(0)
    fake, real = (np.where(valid, x, x[valid].mean()) for x in (fake, real))
    return shift_of(fake, real)


def _shifts(
    found: list[tuple[float, float]], resolution: tuple[float, float], grid: Any
) -> dict[str, Any]:
    """The median over the windows: to the right and down, in pixels and on the ground."""
    about = (
        "median over windows of the phase correlation of the bands' mean; positive is further "
        "right and further down than the truth; interval by windows"
    )
    table = np.array(found, float).reshape(-1, 2)
    metres = grid.ground_resolution / float(np.sqrt(resolution[0] * resolution[1]))
    held: Mapping[str, tuple[int, float, str]] = {
        "shift right (px)": (1, 1.0, ""),
        "shift down (px)": (0, 1.0, ""),
        "shift right (m)": (1, resolution[0] * metres, " x ground resolution"),
        "shift down (m)": (0, resolution[1] * metres, " x ground resolution"),
    }
    report = {}
    for name, (axis, unit, extra) in held.items():
        values = table[:, axis] * unit
        low, high = bootstrap(len(values), lambda i, v=values: float(np.median(v[i])))
        middle = float(np.median(values)) if len(values) else float("nan")
        score = Score(middle, len(values), about + extra, low, high)
        report[name] = plain(score, "windows")
    return report
