"""What a tool's parameter is, beyond its Python type, and those that several tools share.

Standard library only: the toolboxes read this without an environment of ours.
"""

from __future__ import annotations

import inspect as _inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

AREA_MODES = ("clip", "mask")
COMPRESSIONS = ("deflate", "lzw", "zstd", "packbits", "none")
DIRECTIONS = ("AtoB", "BtoA")
DRIFT = ("warn", "refuse", "off")
MOSAICS = ("vrt", "tif", "none")
OVERLAPS = ("exact", "blend")
STRETCHES = ("auto", "percentile", "minmax", "meanstd", "db", "reflectance", "dtype")
STATISTICS = ("sampled", "exact", "regional", "model")


@dataclass(frozen=True)
class Input:
    """What a parameter is for, beyond its Python type.

    Attributes:
        help: One sentence, for a person.
        kind: ``raster``, ``features``, ``folder``, ``file``, ``model``, ``path``, ``new raster``,
            ``new folder``, ``new features``, ``new file`` (JSON) or ``value``.
        choices: The values allowed; empty for any.
        several: Words of which some may be given, parted by commas; empty for any text.
        ending: Of a new file, without the dot; empty for json.
        low: Least number allowed.
        high: Greatest number allowed.
    """

    help: str
    kind: str = "value"
    choices: tuple[str, ...] = ()
    several: tuple[str, ...] = ()
    ending: str = ""
    low: float | None = None
    high: float | None = None


Area = Annotated[
    list[Path] | None,
    Input("Polygons to translate, in any CRS; several files or layers if need be.", "features"),
]
AreaMode = Annotated[
    str,
    Input(
        "Whether the output is clipped to the area's bounds, or keeps the raster's grid.",
        choices=AREA_MODES,
    ),
]
BatchSize = Annotated[int, Input("Tiles computed at once.", low=1)]
ChipSize = Annotated[int | None, Input("Side that chips are cropped to, in pixels.", low=8)]
Cog = Annotated[bool, Input("Write a Cloud-Optimized GeoTIFF, with overviews.")]
Compress = Annotated[
    str, Input("How the output is compressed, without loss.", choices=COMPRESSIONS)
]
Device = Annotated[str, Input("cpu, cuda or cuda:N; empty to choose.")]
Direction = Annotated[str, Input("Which way to translate.", choices=DIRECTIONS)]
Drift = Annotated[
    str, Input("What to do if the raster does not look like the training chips.", choices=DRIFT)
]
Epochs = Annotated[
    int | None,
    Input(
        "Times the chips are gone through; if empty 20, or as many as fit into max minutes.",
        low=1,
    ),
]
Like = Annotated[
    Path | None,
    Input("Raster on whose grid the tiles are laid, from its upper left corner on.", "raster"),
]
MaxMemory = Annotated[
    str, Input("Memory that each process stays under, such as 2GB; empty sets no bound.")
]
Model = Annotated[Path, Input("Trained model: its folder, .emd or .dlpk.", "model")]
MaxMinutes = Annotated[
    float | None,
    Input("Stop after this many minutes; the schedule is laid over them.", low=0),
]
Mosaic = Annotated[str, Input("What shows all tiles at once, beside the folder.", choices=MOSAICS)]
NoStac = Annotated[bool, Input("Write no STAC item beside the output.")]
Overviews = Annotated[
    str, Input("auto, none, or sizes such as 2,4,8; empty for none, or auto for a COG.")
]
Overlap = Annotated[
    str,
    Input(
        "Read tiles as far as the network looks, or blend them: cheaper for deep networks, "
        "approximate.",
        choices=OVERLAPS,
    ),
]
Palette = Annotated[
    str,
    Input(
        "Snap a map to few colours, stored as classes: model, a number of the model's "
        "colours, or colours such as water=#aadaff,road=#ffffff; empty for a picture."
    ),
]
Preset = Annotated[
    str,
    Input(
        "Named settings: published, fast, small (cyclegan, regularized_gan) or gpu "
        "(regularized_gan); empty to choose by the device."
    ),
]
Resample = Annotated[
    bool, Input("Bring the raster to the model's ground resolution; the output has that grid.")
]
Resampling = Annotated[
    str, Input("How the target is brought onto the source's grid; empty to choose by its kind.")
]
Statistics = Annotated[
    str,
    Input(
        "What norms divide by: a sample of this raster, all of it, the region around each "
        "place, or the model's training chips.",
        choices=STATISTICS,
    ),
]
Trust = Annotated[
    str,
    Input(
        "Layers that say how far to believe each pixel, written to OUT_trust.tif: cycle, "
        "disagreement, drift and realness, comma separated, or all.",
        several=("all", "cycle", "disagreement", "drift", "realness"),
    ),
]
TrustModels = Annotated[
    str, Input("More models, comma separated: disagreement is then over all of them.")
]
Truncation = Annotated[
    float, Input("Below 1 images are more typical and vary less.", low=0.01, high=2)
]

# Those below belong to one tool; here, so that tools.py can be read as a list.
Sources = Annotated[
    str,
    Input(
        "Rasters to translate: files, folders, patterns, a VRT, an index (GeoPackage, "
        "GeoParquet) or a STAC item collection; several are parted by ;",
        "path",
    ),
]
Scheduler = Annotated[
    str,
    Input("Address of a Dask cluster (tcp://host:8786) that computes; local starts one."),
]
Workers = Annotated[
    int, Input("Processes that compute, each with the model and its share of the cores.", low=1)
]
Key = Annotated[
    str,
    Input("Column of an index, or asset of a STAC item, that names the raster; or empty."),
]
BlockSize = Annotated[
    int, Input("Side of a block, the piece that is done or not done, in pixels.", low=32)
]
RedoChanged = Annotated[bool, Input("Go on, and do rasters that changed since from the start.")]
AllowGaps = Annotated[
    bool, Input("Write rasters of which blocks failed too; they are nodata there.")
]
DryRun = Annotated[
    bool, Input("Only say what the job would take; three blocks are computed for that.")
]
MinValid = Annotated[float, Input("Least share of a chip that must be measured.", low=0, high=1)]
ValidShare = Annotated[
    float, Input("Share of the chips kept for validation, by place.", low=0, high=0.9)
]

Cell = Annotated[
    int | None,
    Input("Side of the cells of a regular grid that are scored one by one, in pixels.", low=16),
]
Scores = Annotated[
    Path | None, Input("GeoPackage for the scores of areas and cells.", "new features")
]
Areas = Annotated[
    Path | None, Input("Polygons that are scored one by one, in any CRS.", "features")
]
Joined = Annotated[
    bool, Input("One output of all bands, instead of one a band as Deepness reads them.")
]
StatisticsRaster = Annotated[
    Path | None,
    Input(
        "Raster whose statistics the norms divide by; those of the training chips if empty.",
        "raster",
    ),
]


@dataclass(frozen=True)
class Parameter:
    """One parameter of a tool, as a door needs it.

    Attributes:
        name: As in Python.
        type: ``Path``, ``str``, ``int``, ``float`` or ``bool``; of one value where it takes many.
        input: Help and kind.
        default: ``inspect.Parameter.empty`` when there is none.
        many: Whether it takes several values, as a list.
    """

    name: str
    type: type
    input: Input
    default: Any
    many: bool = False

    @property
    def required(self) -> bool:
        """Whether the tool has no default for it."""
        return self.default is _inspect.Parameter.empty


def parameters(tool: Callable[..., Any]) -> list[Parameter]:
    """The parameters of a tool, in order; its keyword-only ones belong to the doors."""
    hints = get_type_hints(tool, include_extras=True)
    found = []
    for name, parameter in _inspect.signature(tool).parameters.items():
        if parameter.kind is parameter.KEYWORD_ONLY:
            continue
        type_, held = get_args(hints[name])[:2]
        plain = _plain(type_)
        many = get_origin(plain) is list
        one = get_args(plain)[0] if many else plain
        found.append(Parameter(name, one, held, parameter.default, many))
    return found


def summary(tool: Callable[..., Any]) -> str:
    """The first sentence of a tool's docstring."""
    return (_inspect.getdoc(tool) or "").split("\n\n")[0].replace("\n", " ")


def _plain(type_: Any) -> type:
    """``int`` for ``int | None``."""
    if get_origin(type_) in (Union, UnionType):
        (type_,) = (t for t in get_args(type_) if t is not type(None))
    return type_
