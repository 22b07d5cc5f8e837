"""The tools: paths in, paths out. The one place where a tool's name, help and defaults are written.

The command line and the toolboxes of ArcGIS and QGIS are generated from the signatures below, so a
new tool appears behind every door at once. Nothing heavy is imported until a tool runs.
"""

from __future__ import annotations

import inspect as _inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

AREA_MODES = ("clip", "mask")
COMPRESSIONS = ("deflate", "lzw", "zstd", "packbits", "none")
DIRECTIONS = ("AtoB", "BtoA")
MODELS = ("pix2pix", "cyclegan")
OVERLAPS = ("exact", "blend")
STATISTICS = ("sampled", "exact", "regional", "model")
DRIFT = ("warn", "refuse", "off")
STYLES = ("rs_gen", "esri_pairs", "esri_cyclegan")


@dataclass(frozen=True)
class Input:
    """What a parameter is for, beyond its Python type.

    Attributes:
        help: One sentence, for a person.
        kind: ``raster``, ``features``, ``folder``, ``file``, ``model``, ``path``, ``new raster``,
            ``new folder``, ``new file`` or ``value``.
        choices: The values allowed; empty for any.
        low: Least number allowed.
        high: Greatest number allowed.
    """

    help: str
    kind: str = "value"
    choices: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None


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


def quiet(items: Iterable, total: int | None = None, label: str = "") -> Iterable:
    """A progress that shows nothing."""
    return items


def export_chips(
    source: Annotated[Path, Input("Raster, or folder of rasters, to translate from.", "raster")],
    target: Annotated[Path, Input("Raster or folder that shows the wanted look.", "raster")],
    out: Annotated[Path, Input("Folder for the chips.", "new folder")],
    size: Annotated[int, Input("Side of a chip, in pixels.", low=8, high=8192)] = 256,
    stride: Annotated[
        int | None, Input("Step between chips, in pixels; the chip's side if empty.", low=1)
    ] = None,
    area: Annotated[
        Path | None, Input("Polygons that the chips must lie in, in any CRS.", "features")
    ] = None,
    min_valid: Annotated[
        float, Input("Least share of a chip that must be measured.", low=0, high=1)
    ] = 1.0,
    valid_share: Annotated[
        float, Input("Share of the chips kept for validation, by place.", low=0, high=0.9)
    ] = 0.1,
    unpaired: Annotated[
        bool, Input("The two rasters do not show the same place: export each on its own grid.")
    ] = False,
    style: Annotated[str, Input("Folder layout that is written.", choices=STYLES)] = "rs_gen",
    stretch: Annotated[
        str,
        Input(
            "How stored values are brought to the network's range: auto, percentile, minmax, "
            "meanstd, db, reflectance or dtype."
        ),
    ] = "auto",
    resampling: Annotated[
        str, Input("How the target is brought onto the source's grid; empty to choose by its kind.")
    ] = "",
    overwrite: Annotated[bool, Input("Start anew if the folder holds other chips.")] = False,
    seed: Annotated[int, Input("Seed of every draw.", low=0)] = 42,
    *,
    progress: Callable[..., Iterable] = quiet,
) -> Path:
    """Cut training chips from two rasters, as GeoTIFFs that keep their place on the ground.

    A raster in another CRS, resolution or extent is warped onto the source's grid. The validation
    chips lie in blocks of their own, with a buffer, so that neighbours do not leak. An export that
    was stopped goes on where it was.
    """
    from .chips.export import export_chips as export

    return export(
        source, target, out, size=size, stride=stride, area=area, min_valid=min_valid,
        valid_share=valid_share, paired=not unpaired, style=style, stretch=stretch,
        resampling=resampling or None, overwrite=overwrite, seed=seed, progress=progress,
    ).folder  # fmt: skip


def train(
    chips: Annotated[Path, Input("Folder of chips.", "folder")],
    out: Annotated[Path, Input("Folder for the model; its name names the model.", "new folder")],
    model: Annotated[str, Input("Kind of model.", choices=MODELS)] = "pix2pix",
    epochs: Annotated[
        int | None,
        Input(
            "Times the chips are gone through; if empty 20, or as many as fit into max minutes.",
            low=1,
        ),
    ] = None,
    preset: Annotated[
        str,
        Input(
            "Named settings: published, fast (pix2pix) or small (cyclegan); empty to choose "
            "by the device."
        ),
    ] = "",
    batch_size: Annotated[int | None, Input("Chips a step; the preset's if empty.", low=1)] = None,
    chip_size: Annotated[
        int | None, Input("Side that chips are cropped to, in pixels.", low=8)
    ] = None,
    lr: Annotated[float | None, Input("Learning rate; the preset's if empty.", low=0)] = None,
    max_minutes: Annotated[
        float | None,
        Input("Stop after this many minutes; the schedule is laid over them.", low=0),
    ] = None,
    resume: Annotated[bool, Input("Go on with a training that was stopped.")] = False,
    tensorboard: Annotated[bool, Input("Write a TensorBoard log.")] = False,
    seed: Annotated[int, Input("Seed of weights, split and order.", low=0)] = 42,
    *,
    progress: Callable[..., Iterable] = quiet,
) -> Path:
    """Train an image translation model on a folder of chips.

    The chips' layout is recognised. The model is written as a folder and as a .dlpk, with a
    readable card. A preview, a log and a checkpoint are kept beside it while it trains.
    """
    from .models.recipes import train as run

    if epochs is None and max_minutes is None:
        epochs = 20
    return run(
        chips, out, model=model, epochs=epochs, preset=preset or None, batch_size=batch_size,
        chip_size=chip_size, lr=lr, max_minutes=max_minutes, resume=resume,
        tensorboard=tensorboard, seed=seed, progress=progress,
    )  # fmt: skip


def translate(
    raster: Annotated[Path, Input("Raster to translate.", "raster")],
    model: Annotated[Path, Input("Trained model: its folder, .emd or .dlpk.", "model")],
    out: Annotated[Path, Input("Translated GeoTIFF.", "new raster")],
    direction: Annotated[str, Input("Which way to translate.", choices=DIRECTIONS)] = "AtoB",
    statistics: Annotated[
        str,
        Input(
            "What norms divide by: a sample of this raster, all of it, the region around each "
            "place, or the model's training chips.",
            choices=STATISTICS,
        ),
    ] = "sampled",
    overlap: Annotated[
        str,
        Input(
            "Read tiles as far as the network looks, or blend them: cheaper for deep networks, "
            "approximate.",
            choices=OVERLAPS,
        ),
    ] = "exact",
    verify: Annotated[
        bool, Input("Measure on a sample whether tiles agree; the figures go into the tags.")
    ] = False,
    tile_size: Annotated[
        str, Input("Side of a tile, in pixels; auto finds the fastest on large rasters.")
    ] = "auto",
    batch_size: Annotated[int, Input("Tiles computed at once.", low=1)] = 1,
    max_memory: Annotated[
        str, Input("Memory that the run stays under, such as 2GB; empty sets no bound.")
    ] = "",
    area: Annotated[
        list[Path] | None,
        Input("Polygons to translate, in any CRS; several files or layers if need be.", "features"),
    ] = None,
    area_mode: Annotated[
        str,
        Input(
            "Whether the output is clipped to the area's bounds, or keeps the raster's grid.",
            choices=AREA_MODES,
        ),
    ] = "clip",
    resample: Annotated[
        bool,
        Input("Bring the raster to the model's ground resolution; the output has that grid."),
    ] = False,
    cog: Annotated[bool, Input("Write a Cloud-Optimized GeoTIFF, with overviews.")] = False,
    compress: Annotated[
        str, Input("How the output is compressed, without loss.", choices=COMPRESSIONS)
    ] = "deflate",
    overviews: Annotated[
        str, Input("auto, none, or sizes such as 2,4,8; empty for none, or auto for a COG.")
    ] = "",
    palette: Annotated[
        str,
        Input(
            "Snap a map to few colours, stored as classes: model, a number of the model's "
            "colours, or colours such as water=#aadaff,road=#ffffff; empty for a picture."
        ),
    ] = "",
    polygons: Annotated[
        Path | None,
        Input("GeoPackage for the classes as polygons, styled for QGIS.", "new file"),
    ] = None,
    no_stac: Annotated[bool, Input("Write no STAC item beside the output.")] = False,
    overwrite: Annotated[bool, Input("Replace the output if it exists.")] = False,
    device: Annotated[str, Input("cpu, cuda or cuda:N; empty to choose.")] = "",
    trust: Annotated[
        str,
        Input(
            "Layers that say how far to believe each pixel, written to OUT_trust.tif: cycle, "
            "disagreement, drift and realness, comma separated, or all."
        ),
    ] = "",
    trust_models: Annotated[
        str, Input("More models, comma separated: disagreement is then over all of them.")
    ] = "",
    drift: Annotated[
        str,
        Input("What to do if the raster does not look like the training chips.", choices=DRIFT),
    ] = "warn",
    *,
    progress: Callable[..., Iterable] = quiet,
) -> Path:
    """Translate a raster with a trained model, without seams and in bounded memory.

    The output has the raster's grid, and nodata where the raster has it.
    """
    from .translate.translator import Translator
    from .translate.trust import beside, check_drift, chosen, write_trust

    check_drift(model, raster, drift, direction=direction, resample=resample)
    layers = chosen(trust, model, direction) if trust else []
    translator = Translator.of(model, direction=direction, device=device or None)
    translator(
        raster, out, statistics=statistics, overlap=overlap, verify=verify, tile_size=tile_size,
        batch_size=batch_size, max_memory=max_memory or None, area=area or None,
        area_mode=area_mode, resample=resample, cog=cog, compress=compress,
        overviews=overviews or None, palette=palette or None, polygons=polygons,
        stac=not no_stac, overwrite=overwrite, progress=progress,
    )  # fmt: skip
    if layers:
        write_trust(
            model, raster, beside(out), layers, direction=direction, statistics=statistics,
            models=[name.strip() for name in trust_models.split(",") if name.strip()],
            tile_size=tile_size, max_memory=max_memory or None, area=area or None,
            area_mode=area_mode, resample=resample,
            device=device or None, overwrite=overwrite, progress=progress,
        )  # fmt: skip
    return out


def evaluate(
    output: Annotated[Path, Input("Translated raster.", "raster")],
    truth: Annotated[Path, Input("Raster that shows what was really there.", "raster")],
    report: Annotated[Path | None, Input("JSON file for the scores.", "new file")] = None,
    areas: Annotated[
        Path | None, Input("Polygons that are scored one by one, in any CRS.", "features")
    ] = None,
    cell: Annotated[
        int | None,
        Input("Side of the cells of a regular grid that are scored one by one, in pixels.", low=16),
    ] = None,
    scores: Annotated[
        Path | None, Input("GeoPackage for the scores of areas and cells.", "new file")
    ] = None,
    block: Annotated[
        int, Input("Side of the blocks that intervals are drawn from, in pixels.", low=32)
    ] = 256,
    *,
    progress: Callable[..., Iterable] = quiet,
) -> dict[str, Any]:
    """Score a translated raster against a measured one, as a whole and place by place.

    PSNR, SSIM, L1, RMSE, spectral angle, share of pixels within 5 and 10 levels, and the shift
    between the two in pixels and metres. The truth is brought onto the output's grid; only pixels
    that both measured count. Each score carries its n, its protocol and the 95 % interval of a
    spatial bootstrap.
    """
    from .reports.evaluation import evaluate_rasters
    from .reports.writing import write_report

    found = evaluate_rasters(
        output, truth, areas=areas, cell=cell, scores=scores, block=block, progress=progress
    )
    return write_report(found, report)


def inspect(
    file: Annotated[Path, Input("A raster, a model or a folder of chips.", "path")],
    report: Annotated[Path | None, Input("JSON file for what is found.", "new file")] = None,
) -> dict[str, Any]:
    """Say what a raster, a model or a folder of chips holds, and how it was made."""
    from .reports.inspection import inspect_path
    from .reports.writing import write_report

    return write_report(inspect_path(file), report)


def doctor(
    report: Annotated[Path | None, Input("JSON file for what is found.", "new file")] = None,
) -> dict[str, Any]:
    """Say what is installed, whether CUDA works, and what to do if not."""
    from .reports.examination import examine
    from .reports.writing import write_report

    return write_report(examine(), report)


TOOLS: dict[str, Callable[..., Any]] = {
    tool.__name__: tool for tool in (export_chips, train, translate, evaluate, inspect, doctor)
}


def _plain(type_: Any) -> type:
    """``int`` for ``int | None``."""
    if get_origin(type_) in (Union, UnionType):
        (type_,) = (t for t in get_args(type_) if t is not type(None))
    return type_
