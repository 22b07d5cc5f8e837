"""A QGIS style for one band of numbers: colours between stops, and what they mean."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import quoteattr

from ..errors import SettingError
from .files import whole_or_not


class Stop(NamedTuple):
    """A value and how it is shown.

    Attributes:
        value: In the band's unit.
        color: As "#rrggbb".
        label: For the legend.
    """

    value: float
    color: str
    label: str


def write_style(path: str | Path, band: int, stops: Sequence[Stop]) -> Path:
    """A .qml that shows a band in colours; QGIS takes it by itself beside a raster of its name.

    Args:
        path: Ends in .qml.
        band: Counted from 1.
        stops: From the lowest value to the highest, at least two; between them the colour is
            mixed, beyond them it stays.

    Raises:
        SettingError: The stops are too few or not in order.
        RasterError: It can't be written.
    """
    values = [stop.value for stop in stops]
    if len(stops) < 2 or any(a >= b for a, b in pairwise(values)):
        raise SettingError(f"stops at {values} do not rise; give at least two values in order")
    with whole_or_not(path) as part:
        part.write_text(_document(band, stops), encoding="utf-8")
    return Path(path)


def _document(band: int, stops: Sequence[Stop]) -> str:
    low, high = (f"{stop.value:.6g}" for stop in (stops[0], stops[-1]))
    items = "\n".join(f"          {_item(stop)}" for stop in stops)
    return f"""<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>
<qgis version="3.22" styleCategories="Symbology">
  <pipe>
    <rasterrenderer type="singlebandpseudocolor" band="{band}" opacity="1" alphaBand="-1" \
nodataColor="" classificationMin="{low}" classificationMax="{high}">
      <rastershader>
        <colorrampshader colorRampType="INTERPOLATED" classificationMode="1" clip="0" \
minimumValue="{low}" maximumValue="{high}">
{items}
        </colorrampshader>
      </rastershader>
    </rasterrenderer>
  </pipe>
  <blendMode>0</blendMode>
</qgis>
"""


def _item(stop: Stop) -> str:
    value, label = f"{stop.value:.6g}", quoteattr(stop.label)
    return f'<item value="{value}" color="{stop.color}" alpha="255" label={label}/>'
