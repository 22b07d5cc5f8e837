"""The certificate of a translation: tiled and whole agree, wherever tiles lie, and none shows."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from rasterio.windows import Window

from ..errors import SeamWarning, SettingError
from ..metrics.seams import Seams, seam_ratio
from ..raster.tiles import Tile, inside, walk
from .blend import answers, overlapping, portions, told, weights
from .canvas import Canvas, round_up
from .engine import Engine, open_sides
from .plan import Plan
from .windows import choose_windows

LIMIT = 1e-4  # of the range, in float32
_EXCESS = 1.01  # seams that the whole image has as well, to this factor, are its own

Origin = tuple[int, int]  # (row, col) on the canvas

log = logging.getLogger(__name__)


class Verification(NamedTuple):
    """What was measured on a sample of a raster.

    Attributes:
        difference: Largest difference between the tiled and the whole run, as a share of the
            range.
        shift: Largest difference between tiled runs whose tiles lie elsewhere, likewise.
        window: The sample, in pixels of the raster.
        core: Side of the sample's tiles, in pixels.
        seams: Step across tile lines over step elsewhere, of the tiled run; None where no line
            lies inside the sample.
        content: The same of the whole run, which has no tiles: what the picture does to it there.
    """

    difference: float
    shift: float
    window: Window
    core: int
    seams: Seams | None = None
    content: Seams | None = None

    @property
    def passed(self) -> bool:
        """Whether both differences are at most 1e-4 of the range, and no seam shows.

        A seam shows where the ratio fails and is also larger than that of the whole run.
        """
        return max(self.difference, self.shift) <= LIMIT and not self.shows

    @property
    def shows(self) -> bool:
        """Whether tiles show in the sample."""
        if self.seams is None or self.content is None or self.seams.passes:
            return False
        pairs = zip(self.seams.bands, self.content.bands, strict=True)
        return any(tiled.value > _EXCESS * whole.value for tiled, whole in pairs)

    def tags(self) -> dict[str, str]:
        """As an output keeps it."""
        held = {
            "RS_GEN_VERIFIED": "passed" if self.passed else "failed",
            "RS_GEN_VERIFY_DIFFERENCE": f"{self.difference:.3g}",
            "RS_GEN_VERIFY_SHIFT": f"{self.shift:.3g}",
            "RS_GEN_VERIFY_WINDOW": ",".join(str(round(part)) for part in self.window.flatten()),
        }
        return held | told(self.seams, "VERIFY_SEAM")

    def __str__(self) -> str:
        height, width = round(self.window.height), round(self.window.width)
        seams = ""
        if self.seams is not None:
            worst = max(self.seams.bands, key=lambda band: band.value)
            between = "" if worst.low is None else f" ({worst.low:.3f} to {worst.high:.3f})"
            seams = f"; seam ratio {worst.value:.3f}{between}"
        return (
            f"on {width} x {height} px tiles differ from the whole by at most "
            f"{self.difference:.1e} of the range and from tiles elsewhere by {self.shift:.1e} "
            f"({LIMIT:.0e} is allowed){seams}"
        )


def warned(certificate: Verification) -> Verification:
    """The certificate, told to whoever listens; a SeamWarning where it fails."""
    if certificate.passed:
        log.info("verified: %s", certificate)
    else:
        warnings.warn(f"tiles do not agree: {certificate}", SeamWarning, stacklevel=3)
    return certificate


def verify(
    canvas: Canvas, engine: Engine, plan: Plan, *, blend: bool = False
) -> Verification | None:
    """Run a sample of a canvas whole, in tiles, and in tiles that lie elsewhere.

    The sample is treated as a raster of its own. Where tiles are exact it is three of them wide,
    and a tile is as large as its halo, so that all but the middle one are read without some of
    the sample. Where they blend, it is two of the job's own tiles wide.

    Args:
        canvas: Of the raster.
        engine: With its statistics fitted.
        plan: Gives core, halo and phase.
        blend: Whether tiles fade into each other.

    Returns:
        None where the raster has no valid pixel.
    """
    phase = plan.phase
    core = plan.core if blend else round_up(max(64, plan.halo), phase)
    windows = choose_windows(canvas, (2 if blend else 3) * core, 1)
    if not windows:
        return None
    window = windows[0]
    origin = int(window.row_off), int(window.col_off)
    encoded = canvas.read(window)
    plan = replace(plan, core=core)
    tiler = _blended if blend else _assembled
    whole = engine.as_trained(encoded.pixels[None], [origin])[0]
    tiled, moved = (
        tiler(engine, encoded.pixels, origin, plan, before)
        for before in (0, max(core // 2 // phase, 1) * phase)
    )
    hidden = np.broadcast_to(~encoded.valid, whole.shape)
    seams, content = (_seams(np.ma.array(image, mask=hidden), core) for image in (tiled, whole))
    return Verification(
        _largest(tiled - whole), _largest(moved - tiled), window, core, seams, content
    )


def _assembled(
    engine: Engine, pixels: np.ndarray, origin: Origin, plan: Plan, before: int
) -> np.ndarray:
    """Exact tiles side by side, the first of them beginning some pixels before the sample."""
    image = None
    for tile in _moved(pixels.shape[1:], plan.core, plan.halo, plan.phase, before):
        fake = _share(engine, pixels, origin, tile)
        if image is None:
            image = np.empty((len(fake), *pixels.shape[1:]), "float32")
        image[:, *tile.write.toslices()] = fake
    assert image is not None
    return image


def _blended(
    engine: Engine, pixels: np.ndarray, origin: Origin, plan: Plan, before: int
) -> np.ndarray:
    """Tiles that fade into each other, added up as a job does it."""
    shape, sums = pixels.shape[1:], None
    for tile in overlapping(shape, plan, before=before):
        fake = _share(engine, pixels, origin, tile)
        if sums is None:
            sums = np.zeros((len(fake), *shape), "int32")
        sums[:, *tile.write.toslices()] += portions(fake, weights(tile, shape, plan))
    assert sums is not None
    return answers(sums)


def _share(engine: Engine, pixels: np.ndarray, origin: Origin, tile: Any) -> np.ndarray:
    """(C, H, W) of what a tile writes, computed as in a job."""
    read = tile.read
    at = origin[0] + int(read.row_off), origin[1] + int(read.col_off)
    sides = open_sides(read, pixels.shape[1:])
    return engine.cores(pixels[None, :, *read.toslices()], inside(tile), sides, [at])[0]


def _seams(image: np.ma.MaskedArray, core: int) -> Seams | None:
    try:
        return seam_ratio(image, core)
    except SettingError:  # the sample is no larger than a tile
        return None


def _moved(shape: tuple[int, int], core: int, halo: int, phase: int, step: int) -> Iterator[Tile]:
    """The walk of a raster whose tiles begin ``step`` pixels before its first row and column."""
    larger = (shape[0] + step, shape[1] + step)
    within = Window(step, step, shape[1], shape[0])
    for tile in walk(larger, core, halo, phase=phase, within=within):
        yield Tile(_back(tile.read, step), _back(tile.write, step))


def _back(window: Window, step: int) -> Window:
    """The window as seen from ``step`` pixels further down and right, without what is above."""
    top, left = max(window.row_off - step, 0), max(window.col_off - step, 0)
    bottom, right = window.row_off + window.height - step, window.col_off + window.width - step
    return Window(left, top, right - left, bottom - top)


def _largest(difference: np.ndarray) -> float:
    return float(np.abs(difference).max()) / 2  # of a range from -1 to 1
