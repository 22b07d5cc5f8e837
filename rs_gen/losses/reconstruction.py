"""How far a translated image is from the one it should be. All are computed in float32."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import SettingError


def l1(fake: Tensor, real: Tensor, valid: Tensor | None = None) -> Tensor:
    """Mean absolute difference, over valid pixels only if a mask is given.

    Args:
        fake: (B, C, H, W).
        real: As ``fake``.
        valid: (B, H, W) or (B, 1, H, W), True or a weight where a pixel was measured. None
            counts all.

    Returns:
        A scalar in [0, 2] for images in [-1, 1]; 0 where no pixel is valid.

    Raises:
        SettingError: The shapes differ.
    """
    difference = _f(fake) - _f(_same(real, fake))
    if valid is None:
        return difference.abs().mean()
    weight = _weights(valid, difference)
    # Where nothing was measured a value may be NaN, which no weight of zero would remove.
    difference = torch.where(weight > 0, difference, torch.zeros_like(difference))
    return (difference.abs() * weight).sum() / weight.sum().clamp(min=1e-12)


def rarity(real: Tensor, colours: Tensor, weights: Tensor) -> Tensor:
    """(B, 1, H, W): for each pixel the weight of the colour that it is nearest to.

    Args:
        real: (B, C, H, W).
        colours: (K, C), in the range of ``real``.
        weights: (K,), such as ``rarity_weights`` gives.

    Raises:
        SettingError: Images and colours differ in bands.
    """
    if colours.shape[1] != real.shape[1]:
        raise SettingError(f"colours have {colours.shape[1]} bands and the images {real.shape[1]}")
    # |x - c|^2 less |x|^2, which all colours share, is a convolution of one pixel
    kernel, bias = -2 * colours[:, :, None, None], colours.square().sum(1)
    with torch.no_grad(), torch.autocast(real.device.type, enabled=False):
        return weights[F.conv2d(_f(real), kernel, bias).argmin(1)][:, None]


def rarity_weights(shares: Tensor, balance: float) -> Tensor:
    """(K,) weights that let rare classes count more, with a mean of 1 over all pixels.

    Args:
        shares: (K,) share of the pixels of each class, above 0.
        balance: 0 counts each pixel alike, 1 each class. In between, a class counts as its share
            to the power of ``1 - balance``.
    """
    weights = shares.pow(-balance)
    return weights / (weights * shares).sum() * shares.sum()


def ssim_loss(
    fake: Tensor, real: Tensor, *, window: int = 11, sigma: float = 1.5, value_range: float = 2.0
) -> Tensor:
    """1 - SSIM, the mean over all windows that lie inside the image.

    Args:
        fake: (B, C, H, W).
        real: As ``fake``.
        window: Side of the Gaussian window in pixels, odd.
        sigma: Its deviation in pixels.
        value_range: From the least to the greatest possible value; 2 for [-1, 1].

    Returns:
        A scalar in [0, 2]; 0 for equal images.

    Raises:
        SettingError: The shapes differ, ``window`` is even or larger than the image.

    Source:
        Wang et al. 2004, "Image Quality Assessment: From Error Visibility to Structural
        Similarity", eq. 13 with K1 = 0.01, K2 = 0.03.
    """
    real = _same(real, fake)
    if window % 2 == 0 or window > min(fake.shape[-2:]):
        raise SettingError(
            f"window={window} must be odd and no larger than the images' {tuple(fake.shape[-2:])}"
        )
    kernel = _gaussian(window, sigma, fake.shape[1]).to(fake.device, _f(fake).dtype)
    with torch.autocast(fake.device.type, enabled=False):
        return 1 - _ssim(_f(fake), _f(real), kernel, value_range).mean()


def _ssim(x: Tensor, y: Tensor, kernel: Tensor, value_range: float) -> Tensor:
    """SSIM of every window."""
    c1, c2 = (0.01 * value_range) ** 2, (0.03 * value_range) ** 2
    maps = torch.stack([x, y, x * x, y * y, x * y]).flatten(0, 1)
    maps = F.conv2d(F.conv2d(maps, kernel, groups=len(kernel)), kernel.mT, groups=len(kernel))
    mean_x, mean_y, xx, yy, xy = maps.view(5, len(x), *maps.shape[1:])
    covariance = 2 * (xy - mean_x * mean_y) + c2
    variances = (xx - mean_x.square()) + (yy - mean_y.square()) + c2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x.square() + mean_y.square() + c1)
    ssim: Tensor = luminance * covariance / variances
    return ssim


def _gaussian(window: int, sigma: float, channels: int) -> Tensor:
    """(C, 1, window, 1), one column of the window for each channel."""
    at = torch.arange(window, dtype=torch.float64) - window // 2
    column = torch.exp(-at.square() / (2 * sigma**2))
    return (column / column.sum()).view(1, 1, window, 1).expand(channels, 1, window, 1)


def _weights(valid: Tensor, images: Tensor) -> Tensor:
    """(B, C, H, W) from a mask without channels."""
    if valid.dim() == 3:
        valid = valid[:, None]
    if valid.dim() != 4 or valid.shape[1] != 1 or valid.shape[-2:] != images.shape[-2:]:
        raise SettingError(
            f"valid is {tuple(valid.shape)} and the images are {tuple(images.shape)}; "
            "it must be (B, H, W)"
        )
    return valid.to(images.dtype).expand_as(images)


def _same(real: Tensor, fake: Tensor) -> Tensor:
    if real.shape != fake.shape:
        raise SettingError(
            f"fake is {tuple(fake.shape)} and real {tuple(real.shape)}; the shapes must agree"
        )
    return real


def _f(images: Tensor) -> Tensor:
    return images if images.dtype == torch.float64 else images.float()
