"""How close images are to the truth, image by image: PSNR, SSIM, L1, accuracy, spectral angle.

Every function takes (B, C, H, W) images and gives (B,) float64 values on the CPU, one an image, so
that batches can be joined; ``score`` makes a mean with its n of them. The range of the data is
always given, never guessed: ``data_range=(-1, 1)`` for encoded images, ``(0, 255)`` for 8 bits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import MissingPackageError, SettingError
from .protocol import Score, mean_score

_WINDOW = 11  # pixels: the Gaussian window of SSIM

Range = float | tuple[float, float]
ENCODED = (-1.0, 1.0)


def psnr(fake: Tensor, real: Tensor, *, data_range: Range, valid: Tensor | None = None) -> Tensor:
    """Peak signal-to-noise ratio of each image in dB, from its mean squared error.

    Infinite where an image is met exactly. Average over images, never over a batch's pixels.

    Args:
        fake: (B, C, H, W).
        real: (B, C, H, W), in the same unit.
        data_range: Least and largest value that the data can take, or their difference alone.
        valid: (B, H, W) or (B, 1, H, W), True where there is truth; None for everywhere. An image
            without a valid pixel gives NaN.

    Raises:
        SettingError: Shapes differ, or the truth lies outside ``data_range``.
    """
    fake, real, weight = _prepared(fake, real, data_range, valid)
    error = _mean((fake - real).square(), weight)
    return 10 * torch.log10(_span(data_range) ** 2 / error)


def l1(
    fake: Tensor, real: Tensor, *, data_range: Range = ENCODED, levels: float = 255.0,
    valid: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Mean absolute difference of each image, in ``levels`` of the range: 8-bit levels by default.

    Args and errors as for ``psnr``.
    """
    fake, real, weight = _prepared(fake, real, data_range, valid)
    return _mean((fake - real).abs(), weight) * (levels / _span(data_range))


def ssim(fake: Tensor, real: Tensor, *, data_range: Range, valid: Tensor | None = None) -> Tensor:
    """Structural similarity of each image, -1 to 1; 1 where both are the same.

    Taken on values counted from the lower end of ``data_range``: brightness is one of the things
    that it compares, so images around zero would score otherwise than the same images in 8 bits.
    Where only a difference is given, values are counted from 0, or from the least of the truth
    where that lies below 0.

    Args and errors as for ``psnr``. With ``valid``, only windows that are valid throughout count.

    Raises:
        MissingPackageError: The package torchmetrics is not installed.

    Source:
        Wang et al. 2004, "Image Quality Assessment", eq. 13, Gaussian window of 11 px with a
        deviation of 1.5 px, K = (0.01, 0.03), by torchmetrics.
    """
    if min(real.shape[-2:]) < _WINDOW:
        raise SettingError(
            f"SSIM looks through windows of {_WINDOW} px and the images are "
            f"{real.shape[-2]} x {real.shape[-1]} px"
        )
    fake, real, weight = _prepared(fake, real, data_range, valid)
    low = data_range[0] if isinstance(data_range, tuple) else min(0.0, _least(real, weight))
    fake, real = fake - low, real - low
    if weight is not None:
        fake, real = fake.where(weight, 0), real.where(weight, 0)
        hole = F.pad((~weight).float(), [_WINDOW // 2] * 4, mode="reflect")
        weight = F.max_pool2d(hole, _WINDOW, stride=1) == 0
    return _mean(_ssim_maps(fake, real, _span(data_range)), weight)


def ssim_map(
    fake: Tensor, real: Tensor, *, data_range: tuple[float, float], valid: Tensor
) -> tuple[Tensor, Tensor]:
    """Structural similarity by pixel: (B, H, W), the mean of the bands, and where it is known.

    Known is a pixel whose whole window of 11 px lies within the image and is valid, so that the
    parts of a raster that are read with 5 px more on each side give what the whole would.

    Args, errors and source as for ``ssim``.
    """
    fake, real, weight = _prepared(fake, real, data_range, valid)
    assert weight is not None
    fake, real = ((x - data_range[0]).where(weight, 0) for x in (fake, real))
    hole = F.pad((~weight).float(), [_WINDOW // 2] * 4, value=1.0)
    known = F.max_pool2d(hole, _WINDOW, stride=1)[:, 0] == 0
    return _ssim_maps(fake, real, _span(data_range)).mean(1), known


def _ssim_maps(fake: Tensor, real: Tensor, span: float) -> Tensor:
    """(B, C, H, W) of images that are counted from the lower end of their range."""
    try:
        from torchmetrics.functional.image import structural_similarity_index_measure
    except ImportError as error:
        raise MissingPackageError(
            "SSIM needs the package torchmetrics: pip install torchmetrics"
        ) from error
    with torch.autocast(fake.device.type, enabled=False):  # bfloat16 has not the digits
        maps = [  # one image at a time: the windows of a batch fill a machine's memory
            structural_similarity_index_measure(
                a, b, data_range=span, reduction="none", return_full_image=True
            )[1]
            for a, b in zip(torch.split(fake.float(), 1), torch.split(real.float(), 1), strict=True)
        ]
    return torch.cat(maps).double()


def within(
    fake: Tensor, real: Tensor, levels: int, *, data_range: Range = ENCODED,
    valid: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Share of each image's pixels whose every band is at most ``levels`` 8-bit levels off.

    Both images are rounded to 8 bits first, as they would be stored. Args as for ``psnr``.

    Source:
        The accuracy on maps of Liu et al. 2017, "Unsupervised Image-to-Image Translation
        Networks", section 4, with at most in place of less than.
    """
    fake, real, weight = _prepared(fake, real, data_range, valid)
    low, step = data_range[0] if isinstance(data_range, tuple) else 0.0, 255 / _span(data_range)
    fake, real = (((x - low) * step).round() for x in (fake, real))
    worst = (fake - real).abs().amax(1, keepdim=True)
    return _mean((worst <= levels).double(), weight)


def spectral_angle(fake: Tensor, real: Tensor, *, valid: Tensor | None = None) -> Tensor:
    """Mean angle between the spectra of each image's pixels, in degrees, 0 to 180.

    Args:
        fake: (B, C, H, W) **stored** values such as reflectance: an angle needs a true zero, which
            [-1, 1] does not have. A pixel that is zero in every band is left out.
        real: As ``fake``.
        valid: As for ``psnr``.

    Raises:
        SettingError: There are fewer than two bands, or shapes differ.

    Source:
        Kruse et al. 1993, "The Spectral Image Processing System (SIPS)", eq. 1.
    """
    fake, real, weight = _prepared(fake, real, None, valid)
    angle, lit = _angles(fake, real)
    return _mean(angle, lit if weight is None else lit & weight)


def spectral_angle_map(fake: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
    """(B, H, W): the angle between two pixels' spectra in degrees, and where it is known.

    Args, errors and source as for ``spectral_angle``.
    """
    fake, real, _ = _prepared(fake, real, None, None)
    angle, lit = _angles(fake, real)
    return angle[:, 0], lit[:, 0]


def _angles(fake: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
    """(B, 1, H, W) degrees, and where both spectra have a length."""
    if real.shape[1] < 2:
        raise SettingError("a spectral angle needs at least two bands")
    lengths = _length(fake), _length(real)
    lit = (lengths[0] > 0) & (lengths[1] > 0)
    a, b = fake / lengths[0].where(lit, 1), real / lengths[1].where(lit, 1)
    # from the chord and its complement: an arc cosine has no digits left near 0 degrees
    chord, rest = _length(a - b), _length(a + b)
    return torch.rad2deg(2 * torch.atan2(chord, rest)), lit


def _length(spectra: Tensor) -> Tensor:
    """(B, 1, H, W); torch's norm over this axis takes ten times as long."""
    return spectra.square().sum(1, keepdim=True).sqrt()


def copy_ratio(
    fake: Tensor, source: Tensor, real: Tensor, *, valid: Tensor | None = None
) -> Tensor:
    """How far each image is from its source, over how far it is from its truth.

    Below 1 a model copies its input rather than translating it. Source, fake and truth must share
    bands and range; for unpaired chips ``real`` is the truth of the same place, if there is one.
    """
    fake, real, weight = _prepared(fake, real, None, valid)
    _, source, _ = _prepared(fake, source, None, None)
    return _mean((fake - source).abs(), weight) / _mean((fake - real).abs(), weight)


def each_band(metric: Callable[..., Tensor], fake: Tensor, real: Tensor, **options: Any) -> Tensor:
    """(B, C): a metric of this module band by band."""
    return torch.stack(
        [metric(fake[:, i : i + 1], real[:, i : i + 1], **options) for i in range(real.shape[1])], 1
    )


class ImageScores:
    """Gathers the usual scores over batches of a validation set.

    Args:
        data_range: Least and largest value that the images can take.
        seed: Of the bootstrap intervals.
    """

    def __init__(self, data_range: Range = ENCODED, seed: int = 0):
        self.data_range, self.seed = data_range, seed
        self._values: dict[str, list[Tensor]] = {}

    def update(self, fake: Tensor, real: Tensor, valid: Tensor | None = None) -> None:
        """Add a batch, (B, C, H, W) each; ``valid`` as for ``psnr``."""
        at: dict[str, Any] = {"data_range": self.data_range, "valid": valid}
        batch = {
            "psnr": psnr(fake, real, **at),
            "l1": l1(fake, real, **at),
            "within_5": within(fake, real, 5, **at),
            "within_10": within(fake, real, 10, **at),
        }
        if min(real.shape[-2:]) >= _WINDOW:
            batch["ssim"] = ssim(fake, real, **at)
        for name, values in batch.items():
            self._values.setdefault(name, []).append(values)

    def compute(self) -> dict[str, Score]:
        """Scores by name over all that was added: psnr, ssim, l1, within_5, within_10."""
        return {
            name: score(
                torch.cat(values), _PROTOCOLS[name].format(_shown(self.data_range)), seed=self.seed
            )
            for name, values in self._values.items()
        }


_PROTOCOLS = {
    "psnr": "dB an image from its MSE, range {}, then mean",
    "ssim": "11 px Gaussian window, range {}, an image, then mean",
    "l1": "8-bit levels, range {}",
    "within_5": "share of pixels with every band at most 5 levels off, range {}",
    "within_10": "share of pixels with every band at most 10 levels off, range {}",
}


def score(values: Tensor, protocol: str, *, seed: int = 0, draws: int = 1000) -> Score:
    """The mean of (B,) values with its n and a bootstrap interval over images."""
    return mean_score(values.double().cpu().numpy(), protocol, seed=seed, draws=draws)


def _prepared(
    fake: Tensor, real: Tensor, data_range: Range | None, valid: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Both images in float64 on the CPU, and where they count as (B, 1, H, W)."""
    if fake.shape != real.shape or real.dim() != 4:
        raise SettingError(
            f"images must be (B, C, H, W) of one shape; got {tuple(fake.shape)} and "
            f"{tuple(real.shape)}"
        )
    if valid is not None:
        valid = valid.detach().cpu().bool()
        valid = valid[:, None] if valid.dim() == 3 else valid
        if valid.shape != (real.shape[0], 1, *real.shape[2:]):
            raise SettingError(f"valid must be (B, H, W); got {tuple(valid.shape)}")
    fake, real = fake.detach().cpu().double(), real.detach().cpu().double()
    if data_range is not None:
        known = real if valid is None else real[valid.expand_as(real)]
        _check_range(known, data_range)
    return fake, real, valid


def _check_range(known: Tensor, data_range: Range) -> None:
    span = _span(data_range)
    if not span > 0:
        raise SettingError(f"data_range={_shown(data_range)} is empty; the least value comes first")
    if not known.numel():
        return
    least, most = float(known.min()), float(known.max())
    low, high = data_range if isinstance(data_range, tuple) else (least, least + span)
    if least < low - span / 1000 or most > high + span / 1000:
        raise SettingError(
            f"the truth lies in {least:g} to {most:g}, beyond data_range={_shown(data_range)}; "
            "give the range of the data: (-1, 1) where it is encoded, (0, 255) for 8 bits"
        )


def _span(data_range: Range) -> float:
    if isinstance(data_range, tuple):
        return float(data_range[1] - data_range[0])
    return float(data_range)


def _shown(data_range: Range) -> str:
    if isinstance(data_range, tuple):
        return f"{data_range[0]:g} to {data_range[1]:g}"
    return f"{data_range:g}"


def _least(real: Tensor, weight: Tensor | None) -> float:
    known = real if weight is None else real[weight.expand_as(real)]
    return float(known.min()) if known.numel() else 0.0


def _mean(each: Tensor, weight: Tensor | None) -> Tensor:
    """(B, C, H, W) to (B,) over the pixels that count; NaN where none does."""
    if weight is None:
        return each.flatten(1).mean(1)
    weight = weight.expand_as(each)
    return each.where(weight, 0).flatten(1).sum(1) / weight.flatten(1).sum(1)
