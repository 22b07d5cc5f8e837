"""How far one image lies beside another, in fractions of a pixel."""

from __future__ import annotations

import numpy as np

from ..errors import SettingError
from .protocol import Array

_FINE = 50  # steps in a pixel
_REACH = 1.5  # pixels round the whole-pixel peak that are searched finely
_SOFT = 0.12  # cycles a pixel: finer detail is noise in a translated image


def shift_of(fake: Array, real: Array) -> tuple[float, float] | None:
    """(rows, columns) by which ``fake`` lies further down and to the right than ``real``.

    To 1/50 px where the images differ by a shift alone. It is found within a quarter of the
    image; None where an image is flat.

    Args:
        fake: (H, W), any unit.
        real: (H, W).

    Raises:
        SettingError: Shapes differ.

    Source:
        Kuglin & Hines 1975, "The Phase Correlation Image Alignment Method"; the peak between
        pixels by the matrix Fourier transform of Guizar-Sicairos, Thurman & Fienup 2008,
        "Efficient subpixel image registration algorithms". Differs from both in a Gaussian weight
        on low frequencies.
    """
    if fake.shape != real.shape or fake.ndim != 2:
        raise SettingError(f"images must be (H, W) of one shape; got {fake.shape}, {real.shape}")
    window = np.outer(*(np.hanning(n + 2)[1:-1] for n in fake.shape))
    spectra = []
    for image in (fake, real):
        levelled = image.astype(np.float64) - image.mean()
        if not levelled.std():
            return None
        spectra.append(np.fft.fft2(levelled * window))
    cross = spectra[0] * spectra[1].conj()
    rows, cols = (np.fft.fftfreq(n) for n in fake.shape)
    weight = np.exp(-(rows[:, None] ** 2 + cols[None] ** 2) / (2 * _SOFT**2))
    size = np.abs(cross)
    cross = np.divide(cross, size, out=np.zeros_like(cross), where=size > 1e-12 * size.max())
    cross *= weight
    near = _whole(np.fft.ifft2(cross).real)
    fine = np.arange(-round(_REACH * _FINE), round(_REACH * _FINE) + 1) / _FINE
    down, right = near[0] + fine, near[1] + fine
    turn = 2j * np.pi
    peaks = (
        np.exp(turn * np.outer(down, rows)) @ cross @ np.exp(turn * np.outer(cols, right))
    ).real
    at = np.unravel_index(peaks.argmax(), peaks.shape)
    return float(down[at[0]]), float(right[at[1]])


def _whole(correlation: Array) -> tuple[int, int]:
    """Where the peak is, in whole pixels, no further than a quarter of the image."""
    height, width = correlation.shape
    rows, cols = np.fft.fftfreq(height, 1 / height), np.fft.fftfreq(width, 1 / width)
    far = (np.abs(rows)[:, None] > height / 4) | (np.abs(cols)[None] > width / 4)
    at = np.unravel_index(np.where(far, -np.inf, correlation).argmax(), correlation.shape)
    return round(rows[at[0]]), round(cols[at[1]])
