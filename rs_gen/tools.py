"""The tools: paths in, paths out. The one place where a tool's name, help and defaults are written.

The command line and the toolboxes of ArcGIS and QGIS are generated from the signatures below, so a
new tool appears behind every door at once. Nothing heavy is imported until a tool runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any

from .parameters import (
    STRETCHES,
    AllowGaps,
    Area,
    AreaMode,
    Areas,
    BatchSize,
    BlockSize,
    Cell,
    ChipSize,
    Cog,
    Compress,
    Device,
    Direction,
    Drift,
    DryRun,
    Epochs,
    Input,
    Joined,
    Key,
    Like,
    MaxMemory,
    MaxMinutes,
    MinValid,
    Model,
    Mosaic,
    NoStac,
    Overlap,
    Overviews,
    Palette,
    Parameter,
    Preset,
    RedoChanged,
    Resample,
    Resampling,
    Scheduler,
    Scores,
    Sources,
    Statistics,
    StatisticsRaster,
    Truncation,
    Trust,
    TrustModels,
    ValidShare,
    Workers,
    parameters,
    summary,
)

__all__ = ["TOOLS", "Input", "Parameter", "parameters", "summary"]

MODELS = ("pix2pix", "cyclegan", "regularized_gan")
STYLES = ("rs_gen", "esri_pairs", "esri_cyclegan")


def quiet(items: Iterable, total: int | None = None, label: str = "") -> Iterable:
    """A progress that shows nothing."""
    return items


def silent(role: str, path: Path) -> None:
    """A ``tell`` that tells nobody of a file that was written besides the result."""


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
    min_valid: MinValid = 1.0,
    valid_share: ValidShare = 0.1,
    unpaired: Annotated[
        bool, Input("The two rasters do not show the same place: export each on its own grid.")
    ] = False,
    style: Annotated[str, Input("Folder layout that is written.", choices=STYLES)] = "rs_gen",
    stretch: Annotated[
        str,
        Input("How stored values are brought to the network's range.", choices=STRETCHES),
    ] = "auto",
    resampling: Resampling = "",
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
    epochs: Epochs = None,
    preset: Preset = "",
    batch_size: Annotated[int | None, Input("Chips a step; the preset's if empty.", low=1)] = None,
    chip_size: ChipSize = None,
    lr: Annotated[float | None, Input("Learning rate; the preset's if empty.", low=0)] = None,
    max_minutes: MaxMinutes = None,
    resume: Annotated[bool, Input("Go on with a training that was stopped.")] = False,
    tensorboard: Annotated[bool, Input("Write a TensorBoard log.")] = False,
    seed: Annotated[int, Input("Seed of weights, split and order.", low=0)] = 42,
    *,
    progress: Callable[..., Iterable] = quiet,
) -> Path:
    """Train a model that translates, or makes, images on a folder of chips.

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
    model: Model,
    out: Annotated[Path, Input("Translated GeoTIFF.", "new raster")],
    direction: Direction = "AtoB",
    statistics: Statistics = "sampled",
    overlap: Overlap = "exact",
    verify: Annotated[
        bool, Input("Measure on a sample whether tiles agree; the figures go into the tags.")
    ] = False,
    tile_size: Annotated[
        str, Input("Side of a tile, in pixels; auto finds the fastest on large rasters.")
    ] = "auto",
    batch_size: BatchSize = 1,
    max_memory: MaxMemory = "",
    area: Area = None,
    area_mode: AreaMode = "clip",
    resample: Resample = False,
    cog: Cog = False,
    compress: Compress = "deflate",
    overviews: Overviews = "",
    palette: Palette = "",
    polygons: Annotated[
        Path | None,
        Input("GeoPackage for the classes as polygons, styled for QGIS.", "new features"),
    ] = None,
    no_stac: NoStac = False,
    overwrite: Annotated[bool, Input("Replace the output if it exists.")] = False,
    device: Device = "",
    trust: Trust = "",
    trust_models: TrustModels = "",
    drift: Drift = "warn",
    *,
    progress: Callable[..., Iterable] = quiet,
    tell: Callable[[str, Path], object] = silent,
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
        tell("trust", beside(out))
    return out


def translate_batch(
    sources: Sources,
    model: Model,
    out: Annotated[Path, Input("Folder for the outputs and the job's record.", "new folder")],
    direction: Direction = "AtoB",
    statistics: Statistics = "sampled",
    tile_size: Annotated[int, Input("Side of a tile, in pixels.", low=32)] = 1024,
    batch_size: BatchSize = 1,
    max_memory: MaxMemory = "",
    block_size: BlockSize = 2048,
    area: Area = None,
    area_mode: AreaMode = "clip",
    resample: Resample = False,
    key: Key = "",
    cog: Cog = False,
    compress: Compress = "deflate",
    overviews: Overviews = "",
    palette: Palette = "",
    polygons: Annotated[
        bool, Input("Also write the classes as polygons, a GeoPackage beside each output.")
    ] = False,
    no_stac: NoStac = False,
    workers: Workers = 1,
    scheduler: Scheduler = "",
    resume: Annotated[bool, Input("Go on with a job that was stopped, or begin it.")] = False,
    only_failed: Annotated[bool, Input("Go on, but try only again what failed.")] = False,
    redo_changed: RedoChanged = False,
    allow_gaps: AllowGaps = False,
    overwrite: Annotated[bool, Input("Start anew, whatever the folder holds.")] = False,
    status: Annotated[bool, Input("Only say how far the job in the folder is.")] = False,
    dry_run: DryRun = False,
    device: Device = "",
    *,
    progress: Callable[..., Iterable] = quiet,
    tell: Callable[[str, Path], object] = silent,
) -> Path | dict[str, Any]:
    """Translate a folder of rasters, or a huge one, as a job that can be stopped and goes on.

    Each raster is cut into blocks, each block is computed by one worker, and finished rasters
    appear in the folder. The exit code is 3 where something failed and the rest is there.
    """
    if status:
        from .translate.status import status as status_of

        return status_of(out)
    from .translate.batch import Batch
    from .translate.estimate import estimate
    from .translate.status import finished

    options = {
        "tile_size": tile_size, "batch_size": batch_size,
        "max_memory": max_memory or None, "area": area or None,
        "area_mode": area_mode, "resample": resample, "cog": cog, "compress": compress,
        "overviews": overviews or None, "stac": not no_stac,
        **({"palette": palette} if palette else {}),
    }  # fmt: skip
    batch = Batch(
        sources, model, out, direction=direction, statistics=statistics, block_size=block_size,
        options=options, polygons=polygons, key=key, device=device or None,
    )  # fmt: skip
    if dry_run:
        return estimate(batch, workers)
    folder = batch.run(
        workers=workers, scheduler=scheduler, resume=resume, only_failed=only_failed,
        redo_changed=redo_changed, allow_gaps=allow_gaps, overwrite=overwrite, progress=progress,
    )  # fmt: skip
    for path in finished(folder):
        tell("raster", path)
    return folder


def generate(
    model: Model,
    out: Annotated[Path, Input("Folder for the tiles.", "new folder")],
    count: Annotated[int, Input("Images to make.", low=1)] = 64,
    like: Like = None,
    label: Annotated[str, Input("Class to make; empty goes through all in turn.")] = "",
    seed: Annotated[int, Input("Seed of the images.", low=0)] = 0,
    truncation: Truncation = 1.0,
    mosaic: Mosaic = "vrt",
    overwrite: Annotated[bool, Input("Replace the tiles of an earlier run.")] = False,
    device: Device = "",
    *,
    progress: Callable[..., Iterable] = quiet,
    tell: Callable[[str, Path], None] = silent,
) -> Path:
    """Make images with a trained generator, as GeoTIFFs in class folders.

    The tiles have the stored type, the values and the pixel size of the training chips, lie side by
    side, and each says that it is synthetic. The folder can be trained on.
    """
    from .translate.making import make_tiles

    tiles = make_tiles(
        model, out, count, labels=label or None, seed=seed, truncation=truncation, like=like,
        mosaic=None if mosaic == "none" else mosaic, overwrite=overwrite, device=device or None,
        progress=progress,
    )  # fmt: skip
    if tiles.mosaic is not None:
        tell("mosaic", tiles.mosaic)
    return tiles.folder


def evaluate(
    output: Annotated[Path, Input("Translated raster.", "raster")],
    truth: Annotated[Path, Input("Raster that shows what was really there.", "raster")],
    report: Annotated[Path | None, Input("JSON file for the scores.", "new file")] = None,
    areas: Areas = None,
    cell: Cell = None,
    scores: Scores = None,
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


def export_onnx(
    model: Model,
    out: Annotated[Path, Input("The ONNX file.", "new file", ending="onnx")],
    direction: Direction = "AtoB",
    raster: StatisticsRaster = None,
    joined: Joined = False,
    overwrite: Annotated[bool, Input("Replace the file if it exists.")] = False,
) -> dict[str, Any]:
    """Write a model as ONNX, for programs without rs_gen, such as the QGIS plugin Deepness.

    Stored values go in and stored values come out: stretches and frozen statistics are in the file.
    It is checked with onnxruntime against torch, and the largest difference is told. Any sides will
    do that are multiples of the network's phase.
    """
    from .translate.onnx_export import export_onnx as export
    from .translate.translator import Translator

    translator = Translator.of(model, direction=direction, device="cpu")
    return export(translator, out, raster=raster, joined=joined, overwrite=overwrite)


def inspect(
    file: Annotated[Path, Input("A raster, a model, a folder of chips or of a job.", "path")],
    report: Annotated[Path | None, Input("JSON file for what is found.", "new file")] = None,
) -> dict[str, Any]:
    """Say what a raster, a model, a folder of chips or a job holds, and how it was made."""
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
    tool.__name__: tool
    for tool in (
        *(export_chips, train, translate, translate_batch, generate, evaluate, export_onnx),
        *(inspect, doctor),
    )
}
