"""How large a tile is and how many go through the network together, from what the network needs."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Plan:
    """A walk that a network can follow.

    Attributes:
        core: Side of the square that a tile answers for, in pixels; a multiple of the phase.
        halo: Context read on each side, in pixels; a multiple of the phase.
        phase: In pixels.
        batch: Tiles that go through the network together.
        memory: Bytes that the activations of such a batch are expected to take.
        cost: Pixels computed for each pixel written.
    """

    core: int
    halo: int
    phase: int
    batch: int
    memory: int
    cost: float


def make_plan(
    shape: tuple[int, int],
    reach: Reach,
    *,
    tile_size: int,
    batch_size: int,
    floats: float,
    memory: int = CPU_MEMORY,
) -> Plan:
    """Tiles for a canvas of ``shape``, as asked for where that is sensible.

    The core is rounded to the phase and never larger than the canvas. Where the halo makes a tile
    dear it is enlarged; where a batch would not fit, or is more than two million pixels, it is
    made smaller. Both are logged.

    Args:
        shape: (height, width) of the canvas in pixels.
        reach: Of the generator.
        tile_size: Side of a core, in pixels.
        batch_size: Most tiles in a batch.
        floats: Numbers in the generator's largest activation for each pixel of its input.
        memory: Bytes that the activations of a batch may take.

    Raises:
        SettingError: ``tile_size`` or ``batch_size`` is below 1.
    """
    for name, value in (("tile_size", tile_size), ("batch_size", batch_size)):
        if value < 1:
            raise SettingError(f"{name}={value} is below 1; {name} is a whole number from 1")
    phase, halo = reach.phase, round_up(max(reach.left, reach.right), reach.phase)
    core = max(phase, round(tile_size / phase) * phase)

    def area(side: int) -> int:
        """Most pixels that a square of this side shares with the canvas."""
        return min(side, shape[0]) * min(side, shape[1])

    def needs(core: int) -> int:
        return int(area(core + 2 * halo) * floats * 4 * _ALIVE)

    if area(core + 2 * halo) > _DEAR * area(core) and needs(2 * halo) <= memory:
        core = 2 * halo
        log.info("tiles of %d px instead of %d: the halo is %d px", core, tile_size, halo)
    core = min(core, round_up(max(shape), phase))
    most = min(memory // max(needs(core), 1), _ENOUGH // area(core + 2 * halo))
    batch = max(1, min(batch_size, most))
    plan = Plan(core, halo, phase, batch, batch * needs(core), area(core + 2 * halo) / area(core))
    _tell(plan, batch_size, memory)
    return plan


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


def smallest_side(net: nn.Module, phase: int) -> int:
    """Side of the smallest image given to a network, in pixels, a multiple of the phase.

    Reflection padding needs an image larger than its margin at every scale, so a network that
    does not say what it needs gets four pixels at its coarsest one; past a phase of 64 that would
    be dear, and networks that deep pad with zeros.
    """
    known = getattr(net, "smallest", 1)
    return round_up(max(known, phase, min(max(4 * phase, 16), 64)), phase)


def memory_of(device: torch.device) -> int:
    """Bytes that the activations of a batch may take on a device."""
    if device.type == "cuda":
        return int(0.6 * torch.cuda.mem_get_info(device)[0])
    return CPU_MEMORY


def _tell(plan: Plan, batch_size: int, memory: int) -> None:
    if plan.batch < batch_size:
        log.info("batches of %d tiles instead of %d are enough", plan.batch, batch_size)
    if plan.memory > memory:
        log.warning(
            "a tile of %d px with a halo of %d px needs about %.1f GiB; choose a smaller tile_size",
            plan.core, plan.halo, plan.memory / 2**30,
        )  # fmt: skip
    if plan.cost > _DEAR:
        log.warning(
            "the halo of %d px makes the network compute %.1f times what tiles of %d px write; "
            "a larger tile_size is faster and needs more memory",
            plan.halo, plan.cost, plan.core,
        )  # fmt: skip
