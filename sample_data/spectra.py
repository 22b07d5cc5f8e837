"""Reflectance of materials, at the wavelengths of a 13-band sensor and in between.

Values are round numbers in the range of published leaf, soil and roof spectra: plausible, not
measured.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rs_gen.errors import SettingError

WAVELENGTHS = (443, 490, 560, 665, 705, 740, 783, 842, 865, 945, 1375, 1610, 2190)  # nm
NAMES = ("coastal", "blue", "green", "red", "red edge 1", "red edge 2", "red edge 3", "nir",
         "narrow nir", "water vapour", "cirrus", "swir 1", "swir 2")  # fmt: skip
_SETS = {
    1: (7,),
    3: (3, 2, 1),
    4: (3, 2, 1, 7),
    10: (1, 2, 3, 4, 5, 6, 7, 8, 11, 12),
    13: range(13),
}

# In thousandths, one number for each wavelength.
_TABLE = {
    "clear water": (36, 37, 33, 17, 12, 9, 8, 7, 6, 5, 4, 2, 1),
    "muddy water": (58, 72, 88, 66, 54, 34, 30, 26, 22, 15, 4, 4, 3),
    "grass": (32, 42, 86, 52, 130, 330, 400, 430, 440, 430, 100, 240, 120),
    "crop": (22, 32, 72, 37, 110, 380, 470, 500, 510, 500, 100, 200, 90),
    "straw": (90, 112, 168, 216, 255, 290, 320, 340, 350, 350, 200, 380, 280),
    "rapeseed": (40, 62, 230, 240, 280, 400, 460, 480, 490, 480, 100, 220, 100),
    "broadleaf": (19, 26, 56, 30, 90, 300, 380, 410, 420, 410, 80, 190, 80),
    "autumn": (30, 40, 86, 118, 180, 270, 310, 330, 340, 330, 100, 220, 120),
    "branches": (50, 62, 82, 98, 120, 150, 170, 190, 200, 200, 100, 200, 140),
    "conifer": (15, 21, 37, 22, 50, 170, 220, 240, 250, 240, 50, 100, 45),
    "litter": (32, 40, 56, 70, 90, 130, 150, 160, 165, 165, 90, 170, 130),
    "soil": (66, 86, 118, 156, 180, 200, 215, 225, 232, 235, 160, 300, 260),
    "gravel": (108, 130, 164, 192, 206, 218, 226, 232, 236, 236, 170, 300, 270),
    "asphalt": (56, 63, 72, 79, 82, 86, 89, 92, 94, 96, 75, 120, 112),
    "concrete": (104, 120, 140, 154, 160, 166, 171, 175, 177, 177, 140, 210, 195),
    "red roof": (60, 70, 96, 180, 214, 236, 250, 262, 268, 268, 180, 310, 280),
    "dark roof": (58, 66, 78, 88, 92, 96, 100, 104, 106, 106, 70, 110, 105),
    "grey roof": (135, 152, 172, 182, 186, 190, 194, 198, 200, 200, 150, 220, 205),
    "white roof": (270, 305, 335, 350, 355, 358, 360, 362, 362, 360, 260, 350, 320),
    "cloud": (820, 810, 800, 790, 785, 780, 775, 770, 765, 740, 300, 560, 420),
}
MATERIALS = {name: i for i, name in enumerate(_TABLE)}


def wavelengths(bands: int | Sequence[float]) -> tuple[float, ...]:
    """Centres of bands in nm, from a count or from the centres themselves.

    1 is near infrared; 3 red, green, blue; 4 the same and near infrared; 10 and 13 those of
    Sentinel-2 (at 10 and 20 m; all). Any other count is spread evenly from 440 to 2200 nm.

    Raises:
        SettingError: A count below 1, or a wavelength outside 400 to 2500 nm.
    """
    if isinstance(bands, int):
        if bands < 1:
            raise SettingError(f"bands={bands}: a picture needs at least 1 band")
        if bands in _SETS:
            return tuple(float(WAVELENGTHS[k]) for k in _SETS[bands])
        return tuple(float(w) for w in np.linspace(440, 2200, bands))
    if not bands or not all(400 <= w <= 2500 for w in bands):
        raise SettingError(f"bands={bands!r}: wavelengths are in nm, from 400 to 2500")
    return tuple(float(w) for w in bands)


def names(bands: tuple[float, ...]) -> tuple[str, ...]:
    """A name for each wavelength."""
    known = dict(zip(WAVELENGTHS, NAMES, strict=True))
    return tuple(known.get(int(w), f"{w:g} nm") if w == int(w) else f"{w:g} nm" for w in bands)


def reflectance(bands: tuple[float, ...]) -> np.ndarray:
    """(materials, bands) float32, 0 to 1, in the order of ``MATERIALS``."""
    table = np.array(list(_TABLE.values()), float) / 1000
    return np.stack([np.interp(bands, WAVELENGTHS, row) for row in table]).astype(np.float32)


def scattered(bands: tuple[float, ...]) -> np.ndarray:
    """(bands,) float32: how much of the sky's light, 0 to 1, each band sees in a shadow."""
    return (0.30 * (490 / np.asarray(bands)) ** 0.9 + 0.06).astype(np.float32)
