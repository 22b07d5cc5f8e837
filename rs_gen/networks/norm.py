"""Normalisation, and how its statistics are gathered once and frozen.

Instance norm divides an image by its own mean and deviation, so two tiles of one raster would
disagree about the pixels they share. Here the statistics can be taken from a set of windows in
one pass and then frozen: the layer becomes an affine map, and tiles meet without seams.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import SettingError, UnknownNameError

NORMS = ("instance", "batch", "pixel", "none")

Statistics = dict[str, tuple[Tensor, Tensor]]
Ask = Callable[[str, Tensor], tuple[Tensor, Tensor]]


class InstanceNorm(nn.Module):
    """Zero mean and unit variance over the space of every image and channel, (B, C, H, W).

    While unfrozen it is torch's ``InstanceNorm2d`` (biased variance, no running statistics), in
    the memory format of what comes in. With ``frozen_mean`` and ``frozen_var`` set, which
    ``freeze`` does, it is an affine map that no longer looks at the image. Statistics are
    computed in float32 at least, also under bfloat16 autocast. The frozen statistics are no
    part of ``state_dict()``.

    Args:
        channels: C.
        affine: Learn a gain and an offset a channel; the published generators do not.
        eps: Added to the variance.

    Raises:
        SettingError: An image is a single pixel here, which has no variance.

    Source:
        Ulyanov et al. 2016, arXiv:1607.08022, eq. 7.
    """

    frozen_mean: Tensor | None
    frozen_var: Tensor | None

    def __init__(self, channels: int, affine: bool = False, eps: float = 1e-5):
        super().__init__()
        self.channels, self.eps = channels, eps
        self.weight = nn.Parameter(torch.ones(channels)) if affine else None
        self.bias = nn.Parameter(torch.zeros(channels)) if affine else None
        self.register_buffer("frozen_mean", None, persistent=False)
        self.register_buffer("frozen_var", None, persistent=False)
        self._ask: Callable[[Tensor], tuple[Tensor, Tensor]] | None = None

    @property
    def frozen(self) -> bool:
        """Whether the statistics are given rather than taken from the image."""
        return self.frozen_mean is not None

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same, in the dtype that came in."""
        if self._ask is not None:
            mean, var = self._ask(x)
            return frozen_norm(x, mean, var, self.weight, self.bias, self.eps)
        if self.frozen_mean is not None:
            mean, var = self.frozen_mean, self.frozen_var
            return frozen_norm(x, mean, var, self.weight, self.bias, self.eps)
        return instance_norm(x, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """What ``repr`` shows."""
        state = ", frozen" if self.frozen else ""
        return f"{self.channels}, affine={self.weight is not None}, eps={self.eps:g}{state}"


class ChannelNorm(nn.Module):
    """Zero mean and unit variance over the channels of every position, (B, C, H, W).

    It never looks at space, so tiles agree without any statistics. Layer norm as Liu et al.
    2022 ("A ConvNet for the 2020s", section 2.6) use it in convolutional networks.
    """

    def __init__(self, channels: int, eps: float = 1e-5):
        super().__init__()
        self.channels, self.eps = channels, eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same, in the dtype that came in."""
        last = x.permute(0, 2, 3, 1)  # contiguous already when x is channels_last
        normed = F.layer_norm(last, (self.channels,), self.weight, self.bias, self.eps)
        return normed.permute(0, 3, 1, 2).to(x.dtype)  # autocast on CUDA answers in float32


def norm(kind: str, channels: int) -> list[nn.Module]:
    """The layers of one normalisation, none for ``"none"``.

    Raises:
        UnknownNameError: ``kind`` is not among ``instance batch pixel none``.
    """
    if kind not in NORMS:
        raise UnknownNameError("norm", kind, NORMS)
    if kind == "none":
        return []
    makers = {"instance": InstanceNorm, "batch": nn.BatchNorm2d, "pixel": ChannelNorm}
    return [makers[kind](channels)]


def norm_layers(net: nn.Module) -> dict[str, InstanceNorm]:
    """The instance norms of a network by dotted name, in order."""
    return {name: m for name, m in net.named_modules() if isinstance(m, InstanceNorm)}


@contextmanager
def asking(net: nn.Module, ask: Ask) -> Iterator[None]:
    """Within the block every instance norm asks for its statistics, frozen or not.

    Args:
        net: Any network; batch norms are left alone.
        ask: Gets a layer's dotted name and what comes into it, (B, C, H, W); gives (mean, var)
            that broadcast over it. What it raises leaves the network's pass at that layer.
    """
    layers = norm_layers(net)
    try:
        for name, layer in layers.items():
            layer._ask = partial(ask, name)
        yield
    finally:
        for layer in layers.values():
            layer._ask = None


@contextmanager
def gathering(net: nn.Module, valid: Tensor | None = None) -> Iterator[Statistics]:
    """Normalise by the statistics of a whole batch, and keep them.

    Within the block one forward pass of ``net`` gives every instance norm the mean and variance
    over the whole batch and all of space; each layer also normalises by them, so one pass fills
    all layers. The yielded dict holds layer name -> (mean, var), each (1, C, 1, 1) in float32,
    once the pass has run: what ``freeze`` takes. A second pass replaces the first.

    Args:
        net: Any network; batch norms are left alone.
        valid: (B, H, W) or (B, 1, H, W), True where a pixel was measured, at the resolution of
            the input. A coarse position counts by its share of valid pixels. None counts all.

    Raises:
        SettingError: No pixel is valid, or ``valid`` has another shape.
    """
    gathered = _Gathering({}, None if valid is None else _as_share(valid))
    with asking(net, gathered.take):
        yield gathered.into


def freeze(net: nn.Module, statistics: Mapping[str, tuple[Tensor, Tensor]]) -> None:
    """Give every instance norm its mean and variance, copied to where the network is.

    Args:
        net: The network that ``gathering`` ran over, or one with the same layers.
        statistics: Layer name -> (mean, var); each (1, C, 1, 1), or any shape that broadcasts
            over (B, C, H, W), such as a map for each pixel.

    Raises:
        SettingError: The names are not those of the network's instance norms, or the channels
            differ.
    """
    layers = norm_layers(net)
    if missing := sorted(set(layers) - set(statistics)):
        raise SettingError(f"no statistics for the norm layers {', '.join(missing)}")
    if unknown := sorted(set(statistics) - set(layers)):
        raise SettingError(f"statistics for layers that are no instance norms: {unknown}")
    for name, (mean, var) in statistics.items():
        for given in (mean, var):
            if given.dim() != 4 or given.shape[1] != layers[name].channels:
                wanted = (1, layers[name].channels, 1, 1)
                raise SettingError(
                    f"norm layer {name} needs statistics of {wanted}, not {tuple(given.shape)}"
                )
    device = next((t.device for t in net.parameters()), torch.device("cpu"))
    for name, layer in layers.items():
        mean, var = statistics[name]
        layer.frozen_mean = mean.detach().to(device, torch.float32, copy=True)
        layer.frozen_var = var.detach().to(device, torch.float32, copy=True)


def unfreeze(net: nn.Module) -> None:
    """Let every instance norm look at its image again."""
    for layer in norm_layers(net).values():
        layer.frozen_mean = layer.frozen_var = None


@torch.fx.wrap
def instance_norm(x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> Tensor:
    """Instance norm by the fastest kernel for the layout; the same function in all of them."""
    if x.shape[-2] * x.shape[-1] == 1:
        raise SettingError(
            "instance norm met an image of a single pixel; use larger chips or fewer downsamplings"
        )
    if not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last):
        # torch's own instance norm leaves channels_last (and group norm is 4 to 16 times slower
        # there on a CPU). A batch norm over one image is the same function and stays.
        if x.dtype in (torch.bfloat16, torch.float16):
            # Without a float32 gain torch keeps the mean in half precision.
            gain = torch.ones(x.shape[1], device=x.device) if weight is None else weight
            offset = torch.zeros(x.shape[1], device=x.device) if bias is None else bias
            images = [_steady(i, gain, offset, eps) for i in x.split(1)]
        else:
            images = [F.batch_norm(i, None, None, weight, bias, True, 0.0, eps) for i in x.split(1)]
        return images[0] if len(images) == 1 else torch.cat(images)
    if x.device.type == "cpu":
        return F.group_norm(x, x.shape[1], weight, bias, eps)  # 2 to 3 times faster in float32
    return F.instance_norm(x, weight=weight, bias=bias, eps=eps)


def _steady(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    """The norm of one image in half precision, where a channel that does not vary gives its bias.

    On a chip of one colour all that is left of such a channel is rounding. Divided by the square
    root of ``eps``, layer after layer, its gradient grew out of range within a few steps.
    """
    normed, _, scale = torch.native_batch_norm(x, weight, bias, None, None, True, 0.0, eps)
    varies = scale < 0.9 * eps**-0.5  # a deviation above half the root of eps
    if x.device.type != "cpu" or not bool(varies.all()):  # a CUDA device is not waited for
        still = bias.to(normed.dtype)[None, :, None, None]
        normed = torch.where(varies[None, :, None, None], normed, still)
    return normed


@torch.fx.wrap
def frozen_norm(
    x: Tensor, mean: Tensor, var: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
) -> Tensor:
    """``(x - mean) / sqrt(var + eps)``, then gain and offset; the answer has the dtype of x."""
    if x.dtype == torch.float64:
        mean, var = mean.double(), var.double()
    if mean.numel() == var.numel() == x.shape[1]:
        return F.batch_norm(x, mean.flatten(), var.flatten(), weight, bias, False, 0.0, eps)
    scale = torch.rsqrt(var + eps)
    if weight is not None and bias is not None:
        scale = scale * weight.view(1, -1, 1, 1)
        return ((x - mean) * scale + bias.view(1, -1, 1, 1)).to(x.dtype)
    return ((x - mean) * scale).to(x.dtype)


class _Gathering(NamedTuple):
    """Where the layers leave their statistics during ``gathering``."""

    into: Statistics
    share: Tensor | None

    def take(self, name: str, x: Tensor) -> tuple[Tensor, Tensor]:
        values = x.detach() if x.dtype == torch.float64 else x.detach().float()
        if self.share is None:
            var, mean = torch.var_mean(values, (0, 2, 3), correction=0, keepdim=True)
        else:
            mean, var = _weighted(values, self._share_of(x))
        self.into[name] = mean.float(), var.float()
        return mean, var

    def _share_of(self, x: Tensor) -> Tensor:
        assert self.share is not None
        if len(self.share) != len(x):
            raise SettingError(f"valid holds {len(self.share)} windows and the batch {len(x)}")
        return F.adaptive_avg_pool2d(self.share.to(x.device), x.shape[-2:])


def _as_share(valid: Tensor) -> Tensor:
    if valid.dim() == 3:
        valid = valid[:, None]
    if valid.dim() != 4 or valid.shape[1] != 1:
        raise SettingError(f"valid must be (B, H, W), not {tuple(valid.shape)}")
    if not valid.any():
        raise SettingError("no pixel of these windows is valid, so there is nothing to gather")
    return valid.float()


def _weighted(values: Tensor, share: Tensor) -> tuple[Tensor, Tensor]:
    share = share.to(values.dtype)
    total = share.sum()
    mean = (values * share).sum((0, 2, 3), keepdim=True) / total
    var = ((values - mean).square() * share).sum((0, 2, 3), keepdim=True) / total
    return mean, var
