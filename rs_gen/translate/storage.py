"""How a translation is stored, and what is put beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ..errors import SettingError, UnknownNameError
from ..metrics.palette import Palette
from ..raster import stac
from ..raster.polygons import write_polygons
from . import checks
from .checks import Output
from .classes import Classes, classes_of
from .sides import Side


@dataclass(frozen=True)
class Storage:
    """What a person may ask of the output of a translation, apart from its pixels.

    Attributes:
        dtype: Of the output; None is the target's of the model.
        nodata: Of the output; ``"auto"`` is the target's of the model, or a mask within the file
            where that has none and there are holes. None always takes the mask.
        cog: Write a cloud-optimised GeoTIFF.
        compress: "deflate", "lzw", "zstd", "packbits" or "none"; all keep every value.
        overviews: "auto", "none", or how many times smaller each is, such as (2, 4, 8). None is
            "auto" for a cloud-optimised GeoTIFF and "none" for another.
        palette: Snap the picture to few colours and store class ids with a colour table:
            ``"model"`` for the colours of the training chips, a number for so many of these,
            colours such as ``"#aadaff,#ffffff"``, named as in ``"water=#aadaff"``, or a Palette.
        polygons: Also write the classes as polygons: a GeoPackage that brings a QGIS style.
            Without ``palette`` the model's colours are taken.
        least_area: Polygons smaller than so many pixels join their neighbour.
        stac: Write a STAC item beside the output, ``NAME.stac.json``: what it is, of what and by
            what it was made.
    """

    dtype: str | None = None
    nodata: float | str | None = "auto"
    cog: bool = False
    compress: str = "deflate"
    overviews: str | Sequence[int] | None = None
    palette: str | int | Palette | None = None
    polygons: str | Path | None = None
    least_area: int = 0
    stac: bool = True

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Storage:
        """From the options of a call.

        Raises:
            UnknownNameError: There is no such option.
            SettingError: Two of them exclude each other.
        """
        known = [field.name for field in fields(cls)]
        for name in options:
            if name not in known:
                raise UnknownNameError("option for the output", name, known)
        return cls(**options)

    def __post_init__(self) -> None:
        if self.palette == "":
            object.__setattr__(self, "palette", None)
        if self.polygons is not None and self.palette is None:
            object.__setattr__(self, "palette", "model")
        if self.palette is not None and (self.dtype or self.nodata != "auto"):
            raise SettingError("a palette stores ids as uint8 with 255 for nodata; leave dtype "
                               "and nodata out")  # fmt: skip
        if self.least_area < 0:
            raise SettingError(f"least_area={self.least_area} pixels; it must be at least 0")
        if self.polygons is not None and Path(self.polygons).suffix.lower() != ".gpkg":
            raise SettingError(f"polygons={str(self.polygons)!r} must end in .gpkg")

    def classes(self, learned: Palette | None, target: Side) -> Classes | None:
        """The classes of the output; None for a picture.

        Args:
            learned: The palette of the model, or None.
            target: Of the model.
        """
        return None if self.palette is None else classes_of(self.palette, learned, target)

    def output(self, side: Side, *, holes: bool) -> Output:
        """How pixels are stored; ``side`` is the target's, or that of the classes."""
        return checks.choose_output(side, self.dtype, self.nodata, holes=holes)

    def writing(self, classes: Classes | None) -> dict[str, Any]:
        """Arguments of ``raster.writer.geotiff``."""
        return {
            "cog": self.cog, "compress": self.compress, "overviews": self.overviews,
            "colormap": classes.colormap if classes else None,
        }  # fmt: skip

    def finish(self, out: Path, classes: Classes | None, source: str | Path) -> None:
        """Write what goes beside a raster that is whole.

        Args:
            out: The raster.
            classes: As it was stored.
            source: What it was translated from.
        """
        if self.polygons is not None and classes is not None:
            write_polygons(out, self.polygons, classes.legend, least=self.least_area)
        if self.stac:
            stac.write_item(out, source, beside_it=[self.polygons] if self.polygons else [])
        else:
            stac.beside(out).unlink(missing_ok=True)  # one of an earlier raster would lie
