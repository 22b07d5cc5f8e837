"""What a drawing can be asked for, beside the place and the looks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rs_gen.errors import SettingError, UnknownNameError
from sample_data import spectra
from sample_data.kinds import SEASONS

POLARISATIONS = ("VV", "VH")


@dataclass(frozen=True)
class Options:
    """How a place is seen.

    Attributes:
        season: "spring", "summer", "autumn" or "winter": plants, and where the sun stands.
        clouds: Share of the sky they cover, 0 to 1.
        haze: 0 for clear air to 1 for thick haze.
        noise: Sensor noise of the satellite look; 1 is a usual sensor, 0 none.
        bands: Count of bands of the satellite look (1, 3, 4, 10, 13 are sets a sensor might have,
            see ``spectra.wavelengths``), or wavelengths in nm.
        sar_looks: Equivalent number of looks of the SAR; fewer speckle more.
        polarisations: Bands of the SAR, of "VV" and "VH".
        wedge: (a, b, c): neither satellite nor SAR measured where ``a * x + b * y > c``, in
            metres. None: everything was measured.

    Raises:
        SettingError, UnknownNameError: A value can't work.
    """

    season: str = "summer"
    clouds: float = 0.0
    haze: float = 0.0
    noise: float = 1.0
    bands: int | tuple[float, ...] = 4
    sar_looks: float = 4.0
    polarisations: tuple[str, ...] = ("VV",)
    wedge: tuple[float, float, float] | None = None

    def __post_init__(self) -> None:
        if self.season not in SEASONS:
            raise UnknownNameError("season", self.season, SEASONS)
        for name in ("clouds", "haze"):
            if not 0 <= getattr(self, name) <= 1:
                raise SettingError(f"{name}={getattr(self, name)} is a share, from 0 to 1")
        if not 0 <= self.noise <= 100:
            raise SettingError(f"noise={self.noise} must be from 0 (none) to 100")
        if not 0.5 <= self.sar_looks <= 1000:
            raise SettingError(f"sar_looks={self.sar_looks} must be from 0.5 to 1000")
        if isinstance(self.bands, Sequence):
            object.__setattr__(self, "bands", tuple(self.bands))
        spectra.wavelengths(self.bands)
        object.__setattr__(self, "polarisations", tuple(self.polarisations))
        for name in self.polarisations:
            if name not in POLARISATIONS:
                raise UnknownNameError("polarisation", name, POLARISATIONS)
        if not self.polarisations:
            raise SettingError(f"polarisations is empty; choose of {', '.join(POLARISATIONS)}")
