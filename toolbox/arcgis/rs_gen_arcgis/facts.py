"""What ArcGIS Pro needs to know of a tool beyond ``rs_gen/tools.py``: one place for each tool.

Names follow Pro's own deep learning tools where they mean the same. A tool or a parameter that is
not here is shown under its own name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from . import parameters as kinds
from . import tools

#: How the kinds of ``rs_gen.parameters.Input`` are asked for.
DATATYPES: dict[str, str | list[str]] = {
    "raster": "GPRasterLayer",
    "features": "GPFeatureLayer",
    "folder": "DEFolder",
    "file": "DEFile",
    "model": "DEFile",
    "path": ["GPRasterLayer", "DEFolder", "DEFile"],
    "new raster": "DERasterDataset",
    "new folder": "DEFolder",
    "new features": "DEFile",  # a GeoPackage; its layer is a derived output
    "new file": "DEFile",
}
VALUES = {int: "GPLong", float: "GPDouble", bool: "GPBoolean", str: "GPString"}
#: Endings that a dialog offers.
ENDINGS = {"model": ["emd", "dlpk"], "new features": ["gpkg"], "new file": ["json"]}
# A new file may have another ending of its own: ``Input.ending``.
#: Groups that a dialog folds away, and the options in them; the others go under "Advanced".
GROUPS = {
    "Performance": ("tile_size", "batch_size", "max_memory", "block_size", "workers", "scheduler"),
    "Storage": ("cog", "compress", "overviews", "no_stac"),
    "Trust": ("verify", "trust_models", "drift"),
}
#: Options that Pro asks for elsewhere: the processor in the environments, for every tool.
ELSEWHERE = ("device",)


@dataclass(frozen=True)
class Derived:
    """An output that nobody is asked for.

    Attributes:
        name: In scripts.
        label: In dialogs.
        datatype: As ArcGIS calls it.
        role: Of the events of a run that tell it; "" for a report's values as JSON.
        path: From the path in the event to that of the output.
        many: Whether there may be several.
    """

    name: str
    label: str
    datatype: str
    role: str = ""
    path: Callable[[str], str] = str
    many: bool = False


@dataclass(frozen=True)
class Facts:
    """One tool, as ArcGIS shows it.

    Attributes:
        class_name: Name of the tool in scripts: ``arcpy.rsgen.<class_name>``.
        names: Parameter of ours to Pro's name for it.
        labels: Parameter of ours to its label, where the name does not say it.
        datatypes: Parameter of ours to its datatype, where the kind does not say it.
        many: Parameters that take several values where the command line takes one text, to what
            parts the values in that.
        needs: Parameter that only makes sense with another one, to that one.
        overwrite: Whether Pro's own "overwrite outputs" stands for ``overwrite``.
        derived: Outputs that nobody is asked for.
    """

    class_name: str = ""
    names: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    datatypes: dict[str, str | list[str]] = field(default_factory=dict)
    many: dict[str, str] = field(default_factory=dict)
    needs: dict[str, str] = field(default_factory=dict)
    overwrite: bool = False
    derived: tuple[Derived, ...] = ()


def _emd(folder: str) -> str:
    """The definition in a model's folder, which is named after it."""
    return str(Path(folder) / f"{Path(folder).name}.emd")


def _classes(package: str) -> str:
    """The layer of a GeoPackage that holds classes as polygons, as ArcGIS names it."""
    return str(Path(package) / "main.classes")


_REPORT = Derived("report_json", "Report (JSON)", "GPString")

FACTS = {
    "export_chips": Facts(
        "ExportTrainingChips",
        names={"source": "in_raster", "target": "in_raster2", "out": "out_folder",
               "size": "tile_size", "area": "in_mask_polygons", "style": "metadata_format"},
        labels={"source": "Input Raster", "target": "Additional Input Raster",
                "size": "Tile Size (Pixels)", "stride": "Stride (Pixels)",
                "out": "Output Folder", "area": "Input Mask Polygons", "style": "Metadata Format"},
        datatypes={"source": ["GPRasterLayer", "DEFolder"],
                   "target": ["GPRasterLayer", "DEFolder"]},
    ),
    "train": Facts(
        "TrainImageTranslationModel",
        names={"chips": "in_folder", "out": "out_folder", "model": "model_type",
               "epochs": "max_epochs", "lr": "learning_rate"},
        labels={"chips": "Input Training Data", "out": "Output Folder", "lr": "Learning Rate",
                "model": "Model Type", "epochs": "Max Epochs", "max_minutes": "Max Minutes",
                "resume": "Go On with a Stopped Training",
                "tensorboard": "Write a TensorBoard Log"},
        derived=(Derived("out_model_definition", "Output Model Definition", "DEFile",
                         role="result", path=_emd),),
    ),
    "translate": Facts(
        "TranslateRaster",
        names={"raster": "in_raster", "model": "in_model_definition", "out": "out_raster",
               "area": "in_mask_polygons", "polygons": "out_polygons"},
        labels={"raster": "Input Raster", "model": "Model Definition",
                "out": "Output Raster Dataset", "area": "Input Mask Polygons",
                "polygons": "Output Polygons (GeoPackage)", "trust": "Trust Layers",
                "cog": "Cloud Optimized GeoTIFF", "no_stac": "Write No STAC Item"},
        many={"trust": ","},
        needs={"area_mode": "area", "trust_models": "trust"},
        overwrite=True,
        derived=(
            Derived("out_trust_raster", "Output Trust Layers", "DERasterDataset", role="trust"),
            Derived("out_polygon_features", "Output Polygon Features", "DEFeatureClass",
                    role="polygons", path=_classes),
        ),
    ),
    "translate_batch": Facts(
        "TranslateManyRasters",
        names={"sources": "in_rasters", "model": "in_model_definition", "out": "out_folder",
               "area": "in_mask_polygons"},
        labels={"sources": "Input Rasters, Folders or Indexes", "model": "Model Definition",
                "out": "Output Folder", "area": "Input Mask Polygons",
                "cog": "Cloud Optimized GeoTIFF", "no_stac": "Write No STAC Item",
                "key": "Column or Asset that Names the Raster"},
        many={"sources": ";"},
        needs={"area_mode": "area"},
        derived=(Derived("out_rasters", "Output Rasters", "DERasterDataset", role="raster",
                         many=True), _REPORT),
    ),
    "generate": Facts(
        "GenerateImages",
        names={"model": "in_model_definition", "out": "out_folder", "like": "in_like_raster"},
        labels={"model": "Model Definition", "count": "Number of Images",
                "like": "Raster Whose Grid They Lie On", "label": "Class"},
        derived=(Derived("out_mosaic", "Output Mosaic", "DERasterDataset", role="mosaic"),),
    ),
    "export_onnx": Facts(
        "ExportModelToOnnx",
        names={"model": "in_model_definition", "out": "out_file", "raster": "in_raster"},
        labels={"model": "Model Definition", "out": "Output ONNX File",
                "raster": "Raster to Take Statistics From",
                "joined": "One Output of All Bands"},
        overwrite=True,
        derived=(_REPORT,),
    ),
    "evaluate": Facts(
        "EvaluateTranslatedRaster",
        names={"output": "in_raster", "truth": "in_truth_raster", "report": "out_report",
               "areas": "in_areas", "scores": "out_scores"},
        labels={"output": "Translated Raster", "truth": "Measured Raster",
                "report": "Output Report (JSON)", "areas": "Areas to Score One by One",
                "cell": "Cell Size (Pixels)", "scores": "Output Scores (GeoPackage)"},
        derived=(_REPORT,),
    ),
    "inspect": Facts(
        "Inspect",
        names={"file": "in_data", "report": "out_report"},
        labels={"file": "Raster, Model, Chips or Job", "report": "Output Report (JSON)"},
        derived=(_REPORT,),
    ),
    "doctor": Facts(
        "Doctor",
        names={"report": "out_report"},
        labels={"report": "Output Report (JSON)"},
        derived=(_REPORT,),
    ),
}  # fmt: skip


def facts_of(tool: str) -> Facts:
    """Those of a tool, or none."""
    return FACTS.get(tool, Facts())


def shown(tool: str) -> list[kinds.Parameter]:
    """The parameters of a tool that its dialog asks for, the required ones first."""
    asked = [p for p in kinds.parameters(tools.TOOLS[tool]) if not _elsewhere(tool, p)]
    return [p for p in asked if p.required] + [p for p in asked if not p.required]


def several(tool: str, p: kinds.Parameter) -> str:
    """What parts the values of a parameter that takes several in one text; else ""."""
    return facts_of(tool).many.get(p.name, "," if p.input.several else "")


def datatype_of(tool: str, p: kinds.Parameter) -> str | list[str]:
    """How ArcGIS calls what a parameter holds."""
    plain = VALUES[p.type] if p.input.kind == "value" else DATATYPES[p.input.kind]
    return facts_of(tool).datatypes.get(p.name) or plain


def class_name(tool: str) -> str:
    """Name of a tool in scripts; without underscores, which fail on a server."""
    return facts_of(tool).class_name or tool.title().replace("_", "")


def name_of(tool: str, parameter: str) -> str:
    """Name of a parameter in scripts."""
    return facts_of(tool).names.get(parameter, parameter)


def label_of(tool: str, parameter: str) -> str:
    """Label of a parameter in a dialog."""
    held = facts_of(tool).labels.get(parameter)
    return held or name_of(tool, parameter).replace("_", " ").title()


def _elsewhere(tool: str, p: kinds.Parameter) -> bool:
    return p.name in ELSEWHERE or (p.name == "overwrite" and facts_of(tool).overwrite)


def group_of(parameter: str) -> str:
    """The group that an option is folded away in."""
    return next((name for name, held in GROUPS.items() if parameter in held), "Advanced")
