"""What one side of a dataset is: its bands, their values and the ground they show."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from ..errors import ChipError
from ..raster.values import Stretch


@dataclass(frozen=True)
class Side:
    """One side of a dataset, as chips.json and a model's card keep it.

    Attributes:
        count: Number of bands.
        dtype: numpy name of the stored values, such as "uint16".
        nodata: Stored value that means "not measured"; None where none does (a mask may).
        names: Of the bands, "" for those without.
        stretch: Between stored values and [-1, 1].
        resolution: Ground size of a pixel in metres; None where the chips don't tell.
        crs: Coordinate reference system as text, such as "EPSG:32633"; None likewise.
        mean: Of the valid stored values, one per band; empty where unknown.
        std: As ``mean``, the standard deviation.
    """

    count: int
    dtype: str
    nodata: float | None
    names: tuple[str, ...]
    stretch: Stretch
    resolution: float | None = None
    crs: str | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        names = tuple(self.names) or ("",) * self.count
        object.__setattr__(self, "names", names)
        if not self.count == len(names) == len(self.stretch):
            raise ChipError(
                f"a side of {self.count} bands has {len(names)} names and a stretch of "
                f"{len(self.stretch)}"
            )

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, lists and text, for JSON."""
        stored = {field.name: getattr(self, field.name) for field in fields(self)}
        lists = {name: list(stored[name]) for name in ("names", "mean", "std")}
        nodata = self.nodata
        if nodata is not None and not math.isfinite(nodata):
            nodata = str(nodata)  # JSON has no NaN
        return {**stored, **lists, "nodata": nodata, "stretch": self.stretch.to_dict()}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Side:
        """From what :meth:`to_dict` gave, or a side of chips.json.

        Raises:
            ChipError: Something needed is not there.
            ValueRangeError: Its stretch is none.
        """
        try:
            return cls(
                count=int(stored["count"]),
                dtype=str(stored["dtype"]),
                nodata=_number(stored.get("nodata")),
                names=tuple(name or "" for name in stored.get("names") or ()),
                stretch=Stretch.from_dict(stored["stretch"]),
                resolution=_finite(stored.get("resolution")),
                crs=stored.get("crs"),
                mean=tuple(stored.get("mean") or ()),
                std=tuple(stored.get("std") or ()),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ChipError(f"this does not describe a side of a dataset: {stored!r}") from error

    def bands(self, indices: tuple[int, ...]) -> Side:
        """The side with some of its bands, counted from 0, in the order given."""

        def chosen(values: tuple) -> tuple:
            return tuple(values[i] for i in indices) if values else ()

        return replace(
            self,
            count=len(indices),
            names=chosen(self.names),
            stretch=self.stretch.bands(indices),
            mean=chosen(self.mean),
            std=chosen(self.std),
        )

    def __str__(self) -> str:
        named = f" ({', '.join(name or '?' for name in self.names)})" if any(self.names) else ""
        ground = f", {self.resolution:.3g} m" if self.resolution else ""
        place = f", {self.crs}" if self.crs else ""
        holes = "" if self.nodata is None else f", nodata {self.nodata:g}"
        bands = f"{self.count} band{'s' if self.count > 1 else ''}{named}"
        return f"{bands}, {self.dtype}{holes}{ground}{place}"


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _finite(value: Any) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)
