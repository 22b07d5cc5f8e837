"""Which tiles are fastest here: measured, since exactness leaves the choice free.

Small tiles compute their halo again and again; the activations of large ones leave the cache. What
wins depends on the network and on the machine, so a few sizes are timed before a run.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import numpy as np
import torch
from rasterio.windows import Window

from ..errors import SettingError
from ..networks.norm import norm_layers
from ..networks.reach import Reach
from .canvas import Canvas
from .engine import Engine
from .plan import Bound, Plan, make_plan, memory_of
from .statistics import Statistics

log = logging.getLogger(__name__)

SIZES = (256, 512, 1024, 2048)
DEFAULT = 512  # where it is not worth measuring
_BRIEF = 1.0  # seconds; what takes less is timed again, without what a first call does
_SHARE = 0.05  # of the whole run that may go into measuring


def check_tile_size(tile_size: int | str) -> int | None:
    """A tile size as a number of pixels; None for ``"auto"``.

    Raises:
        SettingError: It is neither.
    """
    if tile_size == "auto":
        return None
    try:
        return int(tile_size)
    except ValueError as error:
        raise SettingError(
            f"tile_size={tile_size!r} is neither 'auto' nor a number of pixels"
        ) from error


def choose_tile_size(
    seconds: Callable[[Plan], float], plan_for: Callable[[int], Plan], pixels: int
) -> int:
    """The tile size with the most pixels of core a second.

    Sizes are tried upwards from 512 px while they get faster, and below it if it is the best of
    them. Measuring ends once it took a twentieth of what the run is then expected to take, and
    sizes that the plan would change (for memory, or because the raster is smaller) are left out.

    Args:
        seconds: That one of a plan's tiles takes.
        plan_for: The plan that a size would lead to.
        pixels: To be written in all.

    Returns:
        In pixels. The default where the raster is too small for measuring to pay.
    """
    rates: dict[int, float] = {}
    spent = 0.0

    def better(size: int) -> bool:
        """Whether a size was worth trying, and is the fastest yet."""
        nonlocal spent
        plan = plan_for(size)
        left = pixels / max(rates.values()) if rates else float("inf")
        area = (plan.core + 2 * plan.halo) ** 2
        dear = spent > _SHARE * left or area > _SHARE * pixels
        if plan.core in rates or dear or plan.memory > plan.limit:
            return False
        took = seconds(plan)
        spent += took
        rate = plan.core**2 / max(took, 1e-9)
        best = rate > max(rates.values(), default=0.0)
        rates[plan.core] = rate
        return best

    if not better(DEFAULT):
        return plan_for(DEFAULT).core
    above = [size for size in SIZES if size > DEFAULT]
    grew = [size for size in above if better(size)]
    if not grew:
        for size in [size for size in reversed(SIZES) if size < DEFAULT]:
            if not better(size):
                break
    best = max(rates, key=rates.__getitem__)
    log.info(
        "tiles of %d px: %s Mpx/s", best,
        ", ".join(f"{size} px {rate / 1e6:.2f}" for size, rate in sorted(rates.items())),
    )  # fmt: skip
    return best


def plan_tiles(
    engine: Engine,
    canvas: Canvas,
    reach: Reach,
    *,
    part: Window,
    tile_size: int | str,
    batch_size: int,
    floats: float,
    targets: int,
    max_memory: float | str | None = None,
) -> Plan:
    """The plan of a run, with the fastest tiles where ``tile_size`` is ``"auto"``.

    Args:
        engine: That will run.
        canvas: Of the source.
        reach: Of the generator.
        part: Window of the raster to be written.
        tile_size: Side of a core in pixels, or ``"auto"``.
        batch_size: Most tiles in a batch.
        floats: Numbers in the generator's largest activation for each pixel of its input.
        targets: Bands of the target.
        max_memory: That the run must stay under, such as ``"2GB"``; a number is GiB. None leaves
            the activations four GiB on a CPU, and six tenths of what is free on a GPU.

    Raises:
        SettingError: A number can't work, or ``max_memory`` is too little for the smallest tile.
    """
    sources = canvas.reader.count
    bound = None if max_memory is None else Bound.of(max_memory, engine.device)
    memory = memory_of(engine.device)

    def plan_for(size: int, tell: bool = False) -> Plan:
        return make_plan(
            canvas.padded, reach, size, floats=floats, batch_size=batch_size, memory=memory,
            bands=sources + targets, bound=bound, tell=tell,
        )  # fmt: skip

    size = check_tile_size(tile_size)
    if size is None:
        pixels = int(part.height * part.width)
        size = choose_tile_size(timed(engine, sources), plan_for, pixels)
    return plan_for(size, tell=True)


def timed(
    engine: Engine, bands: int, clock: Callable[[], float] = time.perf_counter
) -> Callable[[Plan], float]:
    """A function that measures the seconds an engine takes for one of a plan's inner tiles.

    Args:
        engine: Statistics are frozen to any numbers meanwhile: its speed does not depend on them.
        bands: Of its images.
        clock: In seconds.
    """
    statistics = _any_statistics(engine)

    def seconds(plan: Plan) -> float:
        side = plan.core + 2 * plan.halo
        noise = np.random.default_rng(0).random((1, bands, side, side), "float32")
        part = slice(plan.halo, plan.halo + plan.core)
        took = []
        with engine.frozen(statistics):
            while not took or (len(took) < 2 and took[0] < _BRIEF):
                start = clock()
                engine.cores(noise, (part, part), (True,) * 4)
                took.append(clock() - start)
        return min(took)

    return seconds


def _any_statistics(engine: Engine) -> Statistics:
    device = engine.device
    shapes = {name: (1, layer.channels, 1, 1) for name, layer in norm_layers(engine.net).items()}
    return {
        name: (torch.zeros(shape, device=device), torch.ones(shape, device=device))
        for name, shape in shapes.items()
    }
