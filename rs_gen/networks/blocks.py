"""The bricks that networks are laid with, and what every generator asks of its input."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import ChipError, SettingError
from .norm import norm


class Generator(nn.Sequential):
    """Layers in order, (B, in, H, W) to (B, out, H, W), with a check of H and W first.

    Attributes:
        phase: H and W must be multiples of this, in pixels.
        smallest: The least H and W that every layer can work on, a multiple of ``phase``.
    """

    def __init__(self, *layers: nn.Module, phase: int, smallest: int | None = None):
        super().__init__(*layers)
        self.phase, self.smallest = phase, smallest or phase

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) to (B, out, H, W); ChipError for sides that don't suit."""
        x = multiple_of(x, self.phase, self.smallest)
        for layer in self:
            x = layer(x)
        return x


@torch.fx.wrap
def multiple_of(x: Tensor, phase: int, smallest: int) -> Tensor:
    """The images themselves, if the sides suit a generator of this phase.

    Raises:
        ChipError: They do not; the nearest sizes that would are named.
    """
    check_sides(x.shape[-2], x.shape[-1], phase, smallest)
    return x


def check_sides(height: int, width: int, phase: int, smallest: int) -> None:
    """Raise unless both sides are multiples of ``phase`` and at least ``smallest`` pixels.

    Raises:
        ChipError: With the nearest good sizes.
    """
    if all(n % phase == 0 and n >= smallest for n in (height, width)):
        return
    found = f"{height}" if height == width else f"{height} x {width}"
    good = [_nearest(n, phase, smallest) for n in (height, width)]
    below, above = (
        " x ".join(str(n) for n in dict.fromkeys(side)) for side in zip(*good, strict=True)
    )
    least = "" if min(height, width) >= smallest else f" of at least {smallest}"
    raise ChipError(
        f"chips are {found} px but this generator needs a multiple of {phase}{least}; "
        f"try {below if below == above else f'{below} or {above}'}"
    )


def check_size(net: nn.Module, size: int | tuple[int, int]) -> None:
    """Raise unless a generator can work on chips of this size.

    Args:
        net: A generator of ours, or any network that ``reach`` can follow.
        size: Side in pixels, or (height, width).

    Raises:
        ChipError: It can't; the nearest sizes that would do are named.
    """
    height, width = (size, size) if isinstance(size, int) else size
    phase, smallest = getattr(net, "phase", None), getattr(net, "smallest", None)
    if phase is None:
        from .reach import reach  # reach knows these bricks, so not at the top

        phase = reach(net).phase
    check_sides(height, width, phase, smallest or phase)


def smallest_side(net: nn.Module, phase: int) -> int:
    """Side of the smallest image given to a network, in pixels, a multiple of the phase.

    Reflection padding needs an image larger than its margin at every scale, so a network that
    does not say what it needs gets four pixels at its coarsest one; past a phase of 64 that would
    be dear, and networks that deep pad with zeros.
    """
    known = int(getattr(net, "smallest", 1))
    least = max(known, phase, min(max(4 * phase, 16), 64))
    return -(-least // phase) * phase


def _nearest(n: int, phase: int, smallest: int) -> tuple[int, int]:
    if n % phase == 0 and n >= smallest:
        return n, n
    below, above = n // phase * phase, -(-n // phase) * phase
    above = max(above, smallest)
    return (below if below >= smallest else above), above


class Residual(nn.Module):
    """``x + block(x)``, where the block keeps the shape."""

    def __init__(self, *layers: nn.Module):
        super().__init__()
        self.conv_block = nn.Sequential(*layers)  # the published name, so its weights load

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same."""
        return x + self.conv_block(x)


class BlurPool(nn.Module):
    """Halve the resolution after a small blur, so that fine detail fades instead of folding.

    (B, C, H, W) to (B, C, H/2, W/2). Zhang 2019, "Making Convolutional Networks
    Shift-Invariant Again", section 3, with the triangle filter (1, 2, 1) / 4.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.channels, self.stride, self.padding = channels, 2, 1
        row = torch.tensor([1.0, 2.0, 1.0]) / 4
        kernel = torch.outer(row, row).expand(channels, 1, 3, 3).contiguous()
        self.register_buffer("kernel", kernel, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, H/2, W/2)."""
        x = F.pad(x, (1, 1, 1, 1), mode="reflect")
        return F.conv2d(x, self.kernel.to(x.dtype), stride=2, groups=self.channels)


def reflect_conv(
    c_in: int, c_out: int, kernel: int = 3, stride: int = 1, bias: bool = True
) -> list[nn.Module]:
    """Reflection padding, then a convolution that keeps the size (over its stride)."""
    return [nn.ReflectionPad2d(kernel // 2), nn.Conv2d(c_in, c_out, kernel, stride, bias=bias)]


def norm_relu(kind: str, channels: int) -> list[nn.Module]:
    """Normalisation, then ReLU."""
    return [*norm(kind, channels), nn.ReLU(inplace=True)]


def needs_bias(kind: str) -> bool:
    """Whether a convolution before this norm has a bias: a batch norm brings its own."""
    return kind != "batch"


def init_normal(net: nn.Module, deviation: float = 0.02) -> nn.Module:
    """Draw weights from a normal distribution, as Isola et al. 2017 (section 6.2) do; returns net.

    Convolutions get N(0, deviation) and no bias, batch norms N(1, deviation) and no offset.
    Draws from torch's global generator: seed with ``torch.manual_seed``.
    """
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(module.weight, 0.0, deviation)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, deviation)
            nn.init.zeros_(module.bias)
    return net


def start_at(net: nn.Module, colour: Sequence[float]) -> nn.Module:
    """Make an untrained generator give about one colour everywhere, and return it.

    Under tanh the last bias must travel far from zero before it meets bright maps; Adam moves it by
    no more than the learning rate a step. Starting there saves the first hundred steps.

    Args:
        net: Ends in a convolution followed by tanh, maybe with a pixel shuffle between them.
        colour: In [-1, 1], one value a band of the output; the target's mean.
    """
    last = [layer for layer in net.modules() if isinstance(layer, nn.Conv2d)][-1]
    if last.bias is None or len(last.bias) % len(colour):
        raise SettingError(f"a colour of {len(colour)} bands does not suit the last layer, {last}")
    with torch.no_grad():
        bias = torch.atanh(torch.tensor(colour, dtype=torch.float32).clamp(-0.95, 0.95))
        last.bias.copy_(bias.repeat_interleave(len(last.bias) // len(bias)))
        last.weight.mul_(0.3)  # or the random features would still drown the colour
    return net
