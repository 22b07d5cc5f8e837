"""The four text files that ArcGIS Pro's "Export Training Data" leaves beside its chips.

``map.txt`` lists the chips, ``stats.txt`` counts them for a person, ``esri_accumulated_stats.json``
keeps running statistics so that an export can go on, and ``esri_model_definition.emd`` is the
template of a model. Their shapes follow files written by ArcGIS Pro 3.1; those of label-free
exports, of which none was at hand, follow what ``arcgis.learn`` reads.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import LayoutError
from .index import write_text
from .welford import Moments

if TYPE_CHECKING:
    from ..raster.grid import Grid

MAP, STATS = "map.txt", "stats.txt"
ACCUMULATED, DEFINITION = "esri_accumulated_stats.json", "esri_model_definition.emd"
FILES = (MAP, STATS, ACCUMULATED, DEFINITION)
_TEMPLATE = {
    "Framework": "e.g. Keras, TensorFlow, CNTK, PyTorch",
    "ModelConfiguration": "e.g. name of the model's configuration",
    "ModelType": "e.g. ImageClassification, ObjectDetection",
    "ModelFile": "e.g. path of the trained model",
    "Description": "e.g. what the model does",
}
_LATER = {
    "ExtractBands": "e.g. [0, 1, 2]",
    "DataRange": "e.g. [0.0, 1.0]",
    "ModelPadding": "e.g. 64",
    "BatchSize": "e.g. 8",
    "PerProcessGPUMemoryFraction": "e.g. 0.8",
}
_BAND_NAMES = (
    "Red", "Green", "Blue", "Infrared", "CoastalBlue", "Yellow", "RedEdge", "ShortWaveInfrared",
    "NearInfrared", "NearInfrared_1", "NearInfrared_2", "MidInfrared", "MidInfrared_1",
    "MidInfrared_2", "Thermal", "Thermal_1", "Thermal_2", "Panchromatic", "PseudoRed",
    "PseudoGreen", "PseudoBlue", "QA",
)  # fmt: skip


@dataclass(frozen=True)
class Side:
    """What Esri's files say of the chips of one raster.

    Attributes:
        grid: Of a chip or raster, for cell size and CRS.
        names: Name of each band.
        moments: Running statistics of each band.
        rasters: How many rasters the chips were cut from.
    """

    grid: Grid
    names: tuple[str, ...]
    moments: tuple[Moments, ...]
    rasters: int = 1


@dataclass(frozen=True)
class TileStatistics:
    """``AllTilesStats`` of one band, in stored values."""

    name: str
    min: float
    max: float
    mean: float
    std: float


def write_files(
    folder: Path,
    rows: Sequence[tuple[str, ...]],
    sides: Sequence[Side],
    *,
    mode: str,
    size: int,
    next_index: int,
) -> None:
    """Write the four files.

    Args:
        folder: Where ``images`` lies.
        rows: Files of each chip relative to ``folder``: its image, then its second image.
        sides: One for each column of ``rows``.
        mode: ``Export_Tiles`` or ``CycleGAN``.
        size: Side of the chips, in pixels.
        next_index: One past the highest number that a chip may have.
    """
    bands = len(sides[0].names)
    texts = {
        MAP: map_text(rows),
        STATS: stats_text(len(rows), bands, size, size),
        ACCUMULATED: _dumps(_accumulated(sides, mode, size, len(rows), next_index)),
        DEFINITION: _dumps(_definition(sides, mode, size)),
    }
    for name, text in texts.items():
        write_text(folder / name, text)


def map_text(rows: Iterable[tuple[str, ...]]) -> str:
    r"""One line a chip: ``images\000000000019.tif  images2\000000000019.tif``."""
    return "".join("  ".join(row).replace("/", "\\") + "\n" for row in rows)


def read_map(path: str | Path) -> list[tuple[str, ...]]:
    r"""The files of each chip in a map.txt, with ``/``; columns may be parted by any blanks.

    Raises:
        LayoutError: It is no text.
    """
    try:
        lines = Path(path).read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise LayoutError(f"{path} can't be read as a map.txt: {error}") from error
    return [tuple(line.replace("\\", "/").split()) for line in lines if line.strip()]


def stats_text(count: int, bands: int, height: int, width: int) -> str:
    """Counts for a person; without labels there are no features and no classes."""
    heading = ("images", "features", "min size", "mean size", "max size")
    widths = (11, 11, 12, 12, 12)
    columns = "".join(f"{word:>{n}}" for word, n in zip(heading, widths, strict=True))
    return (
        f"images = {count} *{bands}*{height}*{width}\n\nClass feature statistics:\nfeatures = 0\n"
        "features per image = [min = 0, mean = 0.00, max = 0]\nclasses = 0\n"
        f"{'cls name':<42}{'cls value':>15}{columns}\n"
    )


def read_stats(path: str | Path) -> dict[str, int]:
    """Images, bands, height and width from the first line of a stats.txt.

    Raises:
        LayoutError: The line does not read ``images = 640 *4*128*128``.
    """
    try:
        line = Path(path).read_text("utf-8-sig").partition("\n")[0]
        values = [int(part) for part in line.partition("=")[2].replace("*", " ").split()]
        return dict(zip(("images", "bands", "height", "width"), values, strict=True))
    except (OSError, ValueError) as error:
        raise LayoutError(
            f"{path} does not start with 'images = COUNT *BANDS*HEIGHT*WIDTH'"
        ) from error


def read_json(path: str | Path) -> dict[str, Any]:
    """An .emd or esri_accumulated_stats.json.

    Raises:
        LayoutError: It is no JSON object.
    """
    try:
        content = json.loads(Path(path).read_text("utf-8-sig"))
    except (OSError, ValueError) as error:
        raise LayoutError(f"{path} can't be read as JSON: {error}") from error
    if not isinstance(content, dict):
        raise LayoutError(f"{path} holds no JSON object")
    return content


def tile_statistics(root: Path, layout: str, side: str) -> tuple[TileStatistics, ...] | None:
    """``AllTilesStats`` of one side of a dataset; None where its .emd is missing or has none.

    Raises:
        LayoutError: The .emd is broken.
    """
    if layout == "esri_cyclegan":
        path, key = root / side.upper() / DEFINITION, "AllTilesStats"
    else:
        path, key = root / DEFINITION, "AllTilesStats" if side == "a" else "AllTilesStats2"
    if not path.exists():
        return None
    entries = read_json(path).get(key)
    if not entries:  # an old export
        return None
    try:
        return tuple(
            TileStatistics(
                str(e.get("BandName", "")), *(float(e[k]) for k in ("Min", "Max", "Mean", "StdDev"))
            )
            for e in entries
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise LayoutError(f"{path}: {key} is not a list of band statistics ({error})") from error


def read_moments(accumulated: dict[str, Any], side: str = "a") -> tuple[Moments, ...]:
    """The running statistics of one side in esri_accumulated_stats.json; empty in old exports."""
    states = accumulated.get("BandStatsState" if side == "a" else "BandStatsState2", ())
    return tuple(
        Moments(int(s["Num"]), float(s["M1"]), float(s["M2"]), float(s["Min"]), float(s["Max"]))
        for s in states
    )


def chip_name(number: int) -> str:
    """Stem of a chip: 12 digits, as ArcGIS Pro 3.1 writes it."""
    return f"{number:012d}"


def world_file(grid: Grid) -> str:
    """Six lines: x size, two rotations, y size, x and y of the first pixel's centre."""
    t = grid.transform
    x, y = t.c + (t.a + t.b) / 2, t.f + (t.d + t.e) / 2
    return "".join(f"{float(value)!r}\n" for value in (t.a, t.d, t.b, t.e, x, y))


def _accumulated(
    sides: Sequence[Side], mode: str, size: int, count: int, next_index: int
) -> dict[str, Any]:
    content: dict[str, Any] = {
        "Version": 1,
        "NumBands": len(sides[0].names),
        "TileSizeX": size,
        "TileSizeY": size,
        "NumClasses": 0,
        "NumTiles": count,
        "NumTilesAsDouble": count,
        "NextTileIndex": next_index,
        "OutputFeatures": True,
        "MetaDataMode": mode,
        **_cell_sizes(sides[0].grid),
        "Classes": [],
        "FeatureStats": {
            "NumClasses": 0,
            "NumImagesTotal": count,
            "NumFeaturesTotal": 0,
            "NumImagesPerClass": [],
            "NumFeaturesPerClass": [],
            "NumFeaturesPerImage": {"Min": 0, "Max": 0, "Mean": 0, "Sum": 0, "Count": count},
            "FeatureAreaPerClass": [],
        },
    }
    content |= _numbered("InputRastersProps", map(_raster_properties, sides))
    return content | _numbered("BandStatsState", ([_state(m) for m in s.moments] for s in sides))


def _definition(sides: Sequence[Side], mode: str, size: int) -> dict[str, Any]:
    content: dict[str, Any] = {
        **_TEMPLATE,
        "ImageHeight": size,
        "ImageWidth": size,
        **_LATER,
        "MetaDataMode": mode,
        "BlackenAroundFeature": False,
        "IsMultidimensional": False,
        "CropTileMode": "Fixed_Size",
        "ImageSpaceUsed": "MAP_SPACE",
        **_cell_sizes(sides[0].grid),
        "Classes": [],
    }
    content |= _numbered("InputRastersProps", map(_raster_properties, sides))
    content |= _numbered("AllTilesStats", map(_published, sides))
    known = "WellKnownBandNames (FYI, these band names can be used in ExtractBands)"
    return {**content, known: _BAND_NAMES}


def _numbered(key: str, values: Iterable[Any]) -> dict[str, Any]:
    """The first under ``key``, the second under ``key2``."""
    return {key + ("" if i == 1 else str(i)): value for i, value in enumerate(values, start=1)}


def _raster_properties(side: Side) -> dict[str, Any]:
    return {"RasterCount": side.rasters, "SensorName": "Undefined", "BandNames": list(side.names)}


def _state(m: Moments) -> dict[str, Any]:
    """Running mean and sum of squared deviations; Mean and StdDev stay 0, as Esri's do."""
    return {
        "Min": m.min,
        "Max": m.max,
        "Mean": 0,
        "StdDev": 0,
        "M1": m.m1,
        "M2": m.m2,
        "Num": m.num,
    }


def _published(side: Side) -> list[dict[str, Any]]:
    return [
        {"BandName": name, "Min": m.min, "Max": m.max, "Mean": m.m1, "StdDev": m.std}
        for name, m in zip(side.names, side.moments, strict=True)
    ]


def _cell_sizes(grid: Grid) -> dict[str, Any]:
    x, y = grid.resolution
    code = grid.crs.to_epsg() if grid.crs else None
    if code:
        reference: dict[str, Any] = {"wkid": code, "latestWkid": code}
    else:
        reference = {"wkt": grid.crs.to_wkt("WKT1_ESRI")} if grid.crs else {}
    cell = {"x": x, "y": y, "spatialReference": reference}
    return {"MinCellSize": cell, "MaxCellSize": cell}


def _dumps(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=2, separators=(",", " : ")) + "\n"
