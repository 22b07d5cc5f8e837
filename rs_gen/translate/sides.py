"""What the rasters on one side of a model look like, as far as translating needs to know."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..errors import SettingError
from ..raster.values import Stretch


@dataclass(frozen=True)
class Side:
    """The source or the target of a model.

    Attributes:
        stretch: Between stored values and [-1, 1], one pair of ends for each band.
        dtype: A numpy dtype name, of the stored values; None where it is not known.
        nodata: Stored value that means "no measurement"; None where there is none.
        names: One for each band; empty where they are not known.
        resolution: Ground size of a pixel in metres; None where it is not known.
    """

    stretch: Stretch
    dtype: str | None = None
    nodata: float | None = None
    names: tuple[str, ...] = ()
    resolution: float | None = None

    @property
    def count(self) -> int:
        """Number of bands."""
        return len(self.stretch.low)

    @classmethod
    def of(cls, side: Side | Stretch | Mapping[str, Any] | Any, **changes: Any) -> Side:
        """A side from what a card, a DataBunch or a person has.

        Args:
            side: A Side, a Stretch, a card's dictionary, or an object with ``to_dict()`` that
                gives one.
            changes: Attributes to set, where they are not None.

        Raises:
            SettingError: The stretch is missing, or there is not one name for each band.
        """
        changes = {key: value for key, value in changes.items() if value is not None}
        if isinstance(side, Stretch):
            side = cls(side)
        if not isinstance(side, cls):
            side = _from_dict(side if isinstance(side, Mapping) else side.to_dict())
        side = replace(side, **changes)
        if side.names and len(side.names) != side.count:
            raise SettingError(f"{len(side.names)} band names for {side.count} bands: {side.names}")
        return side


def _from_dict(held: Mapping[str, Any]) -> Side:
    stretch = held.get("stretch")
    if stretch is None:
        raise SettingError("a side of a model needs a 'stretch'; train on chips that have one")
    if not isinstance(stretch, Stretch):
        stretch = Stretch.from_dict(stretch)
    return Side(
        stretch,
        held.get("dtype"),
        held.get("nodata"),
        tuple(held.get("names") or ()),
        _metres(held.get("resolution")),
    )


def _metres(resolution: float | Sequence[float] | None) -> float | None:
    """One number for pixels that may not be square."""
    if isinstance(resolution, Sequence):
        return math.sqrt(resolution[0] * resolution[1])
    return resolution
