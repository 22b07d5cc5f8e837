"""How large a tile is and how many go through the network together, from what the network needs."""

from __future__ import annotations

import logging
import math
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from ..errors import SettingError, TranslationError
from ..networks.reach import Reach
from .canvas import round_up

log = logging.getLogger(__name__)

# Activations that live at once are taken to be this many times the largest single one: a layer's
# input, its output and what a skip connection holds on to.
_ALIVE = 3
# A tile whose halo makes the network compute more than this many times what is written is made
# larger where memory allows.
_DEAR = 4.0
# More pixels than this in a batch only take memory: they fill any device by themselves.
_ENOUGH = 2**21
CPU_MEMORY = 4 * 2**30  # bytes that the activations of one batch may take on a CPU
# Copies of a tile's pixels that wait to be computed or written, besides the activations.
_WAITING = 4
_BESIDES = 2**28 + 2**27  # bytes: GDAL's cache, statistics, what the libraries load as they go


@dataclass(frozen=True)
class Plan:
    """A walk that a network can follow.

    Attributes:
        core: Side of the square that a tile answers for, in pixels; a multiple of the phase.
        halo: Context read on each side, in pixels; a multiple of the phase.
        phase: In pixels.
        batch: Tiles that go through the network together.
        memory: Bytes that the activations of such a batch are expected to take.
        cost: Pixels read for each pixel written.
        limit: Bytes that the activations of a batch may take.
    """

    core: int
    halo: int
    phase: int
    batch: int
    memory: int
    cost: float
    limit: int = CPU_MEMORY


class Bound(NamedTuple):
    """Memory that a run must not exceed.

    Attributes:
        total: Bytes in all.
        base: Bytes of it that are taken before the first tile is.
    """

    total: int
    base: int

    @classmethod
    def of(cls, max_memory: float | str, device: torch.device) -> Bound:
        """From what a person asks for: of the process on a CPU, else of the device.

        Raises:
            SettingError: It is no amount of memory.
        """
        return cls(parse_memory(max_memory), resident() + _BESIDES if device.type == "cpu" else 0)


def make_plan(
    shape: tuple[int, int],
    reach: Reach,
    tile_size: int,
    *,
    floats: float,
    batch_size: int = 1,
    memory: int = CPU_MEMORY,
    bands: int = 0,
    bound: Bound | None = None,
    tell: bool = True,
) -> Plan:
    """Tiles for a canvas of ``shape``, as asked for where that is sensible.

    The core is rounded to the phase and never larger than the canvas. Where the halo makes a tile
    dear it is enlarged; where a batch would not fit, or is more than two million pixels, it is
    made smaller. Both are logged. Within a bound tiles are made smaller as well.

    Args:
        shape: (height, width) of the canvas in pixels.
        reach: Of the generator.
        tile_size: Side of a core, in pixels.
        floats: Numbers in the generator's largest activation for each pixel of its input.
        batch_size: Most tiles in a batch.
        memory: Bytes that the activations of a batch may take.
        bands: Of source and target together.
        bound: Memory that must not be exceeded, in place of ``memory``.
        tell: Log what differs from what was asked for.

    Raises:
        SettingError: ``tile_size`` or ``batch_size`` is below 1, or no tile fits into the bound.
    """
    for name, value in (("tile_size", tile_size), ("batch_size", batch_size)):
        if value < 1:
            raise SettingError(f"{name}={value} is below 1; {name} is a whole number from 1")
    phase, halo = reach.phase, halo_of(reach)
    core = max(phase, round(tile_size / phase) * phase)
    if bound is not None:
        memory = bound.total - bound.base

    def area(side: int) -> int:
        """Most pixels that a square of this side shares with the canvas."""
        return min(side, shape[0]) * min(side, shape[1])

    def needs(core: int) -> int:
        return int(area(core + 2 * halo) * 4 * (floats * _ALIVE + bands * _WAITING))

    if area(core + 2 * halo) > _DEAR * area(core) and needs(2 * halo) <= memory:
        core = 2 * halo
    core = min(core, round_up(max(shape), phase))
    if bound is not None and needs(core) > memory:
        core = _largest(core, phase, lambda side: needs(side) <= memory)
        if core < phase:
            raise SettingError(_too_little(bound, needs(phase), phase, halo))
    most = min(memory // max(needs(core), 1), _ENOUGH // area(core + 2 * halo))
    batch = max(1, min(batch_size, most))
    cost = area(core + 2 * halo) / area(core)
    plan = Plan(core, halo, phase, batch, batch * needs(core), cost, memory)
    if tell:
        _tell(plan, tile_size, batch_size)
    return plan


def halo_of(reach: Reach) -> int:
    """Context read on each side of a tile, in pixels, a multiple of the phase."""
    return round_up(max(reach.left, reach.right), reach.phase)


def parse_memory(amount: float | str) -> int:
    """Bytes of ``"2GB"``, ``"1500 MiB"`` or a number of GiB.

    Raises:
        SettingError: It is none of these, or not positive.
    """
    found = re.fullmatch(r"\s*([0-9.]+)\s*([KMGT]?)(I?B?)\s*", str(amount).upper())
    try:
        number = float(found[1]) if found else 0.0
    except ValueError:
        number = 0.0
    if not found or number <= 0:
        raise SettingError(f"max_memory={amount!r} is no amount of memory; try '2GB', or 2 for GiB")
    if not found[2] and found[3]:  # plain bytes
        return int(number)
    base = 1000 if found[3] == "B" else 1024
    return int(number * base ** (" KMGT".index(found[2] or "G")))


def resident() -> int:
    """Bytes of memory that this process holds now; a guess where the system does not say."""
    try:
        held = Path("/proc/self/statm").read_text(encoding="ascii")
        return int(held.split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, AttributeError, ValueError):
        return 2**30


def _largest(core: int, phase: int, fits: Callable[[int], bool]) -> int:
    """The largest multiple of the phase below ``core`` that fits; 0 where none does."""
    low, high = 0, core // phase
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle * phase) else (low, middle)
    return low * phase


def _too_little(bound: Bound, least: int, phase: int, halo: int) -> str:
    wanted = math.ceil((bound.base + least) / 2**30 * 10) / 10
    return (
        f"max_memory of {bound.total / 2**30:.1f} GiB is too little: the program takes "
        f"{bound.base / 2**30:.1f} GiB and the smallest tile, {phase} px with a halo of {halo} px, "
        f"{least / 2**30:.1f} GiB; give at least {wanted:.1f} (GiB)"
    )


def floats_per_pixel(
    net: nn.Module, image: tuple[int, int, int], wanted: tuple[int, int, int]
) -> float:
    """Numbers in the largest activation of a network for each pixel of its input.

    Args:
        net: Run once on an empty image.
        image: (C, H, W) that it takes.
        wanted: (C, H, W) that it must give.

    Raises:
        TranslationError: It gives another shape, or can't take the image.
    """
    sizes = [math.prod(image)]

    def look(_: nn.Module, __: object, out: object) -> None:
        if isinstance(out, torch.Tensor):
            sizes.append(out.numel())

    hooks = [module.register_forward_hook(look) for module in net.modules()]
    try:
        parameter = next(net.parameters(), torch.zeros(()))
        shape = tuple(net(torch.zeros(1, *image, device=parameter.device)).shape[1:])
    except RuntimeError as error:
        raise TranslationError(f"the generator can't take {image[0]} bands: {error}") from error
    finally:
        for hook in hooks:
            hook.remove()
    if shape != wanted:
        raise TranslationError(
            f"the generator makes {shape} of {image} where the target needs {wanted} "
            "(bands, height, width); give it the sides that it was trained for"
        )
    return max(sizes) / (image[1] * image[2])


def memory_of(device: torch.device) -> int:
    """Bytes that the activations of a batch may take on a device."""
    if device.type == "cuda":
        return int(0.6 * torch.cuda.mem_get_info(device)[0])
    return CPU_MEMORY


def _tell(plan: Plan, tile_size: int, batch_size: int) -> None:
    if plan.core > max(tile_size, plan.phase):
        log.info("tiles of %d px instead of %d: the halo is %d px", plan.core, tile_size, plan.halo)
    if plan.batch < batch_size:
        log.info("batches of %d tiles instead of %d are enough", plan.batch, batch_size)
    if plan.memory > plan.limit:
        log.warning(
            "a tile of %d px with a halo of %d px needs about %.1f GiB; choose a smaller tile_size",
            plan.core, plan.halo, plan.memory / 2**30,
        )  # fmt: skip
    if plan.cost > _DEAR:
        log.warning(
            "the halo of %d px makes the network read %.1f times what tiles of %d px write; "
            "a larger tile_size is faster and needs more memory",
            plan.halo, plan.cost, plan.core,
        )  # fmt: skip
