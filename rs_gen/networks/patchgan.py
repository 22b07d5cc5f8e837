"""The discriminator of Pix2Pix and CycleGAN: one answer for every overlapping patch."""

from __future__ import annotations

from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from ..errors import SettingError
from .blocks import init_normal, needs_bias
from .norm import norm as norm_of


def patchgan(
    in_channels: int,
    width: int = 64,
    depth: int = 3,
    *,
    norm: str = "batch",
    spectral: bool = False,
) -> nn.Sequential:
    """One logit per overlapping patch: (B, C, H, W) to (B, 1, H', W'), no sigmoid.

    With ``depth=3`` each logit sees 70 x 70 pixels, so at 10 m a ground patch of 700 m, and
    256 px give 30 x 30 logits. Published layers (Isola et al. 2017, section 6.1.2):
    2,768,705 parameters for 6 channels with batch norm, 2,764,737 for 3 with instance norm.

    Args:
        in_channels: Channels judged; for pairs those of source and target together.
        width: Channels of the first layer, doubled up to 8 times.
        depth: Halvings of the resolution, at least 1; 3 sees 70 px, 2 sees 34, 4 sees 142.
        norm: ``"batch"``, ``"instance"``, ``"pixel"`` or ``"none"``, on all but the outer layers.
        spectral: Divide every weight by its largest singular value (Miyato et al. 2018).

    Raises:
        SettingError: A count is not positive.
        UnknownNameError: ``norm`` is not one of the four.
    """
    if min(in_channels, width, depth) < 1:
        raise SettingError(
            f"in_channels={in_channels}, width={width} and depth={depth} must be at least 1"
        )
    widths = [width * min(2**i, 8) for i in range(depth + 1)]
    layers: list[nn.Module] = [
        nn.Conv2d(in_channels, width, 4, 2, 1),
        nn.LeakyReLU(0.2, inplace=True),
    ]
    for i in range(1, depth + 1):
        stride = 2 if i < depth else 1
        layers += [
            nn.Conv2d(widths[i - 1], widths[i], 4, stride, 1, bias=needs_bias(norm)),
            *norm_of(norm, widths[i]),
            nn.LeakyReLU(0.2, inplace=True),
        ]
    net = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 4, 1, 1))
    init_normal(net)
    if spectral:
        for layer in net:
            if isinstance(layer, nn.Conv2d):
                spectral_norm(layer)
    return net
