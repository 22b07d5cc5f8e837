"""What a dialog does while it is filled in: fields that come and go, and messages that explain."""

from __future__ import annotations

import arcpy

from . import parameters as kinds
from . import runner
from .dialog import by_name
from .facts import facts_of, shown
from .models import Model, NoModelError, model_of

_APART = 1.1  # ground resolutions further apart than this factor are worth a warning
_PRESETS = {
    "pix2pix": ["published", "fast"],
    "cyclegan": ["published", "fast", "small"],
    "regularized_gan": ["fast", "small", "gpu", "published"],
}


def update_parameters(tool: str, fields: list[arcpy.Parameter]) -> None:
    """Show what goes with what was chosen so far."""
    held = by_name(tool, fields)
    for name, other in facts_of(tool).needs.items():
        held[name].enabled = bool(held[other].valueAsText)
    if tool == "train":
        held["preset"].filter.type = "ValueList"
        held["preset"].filter.list = _PRESETS.get(held["model"].valueAsText or "", [])
    model = _model(held)
    if model is not None and model.directions:
        held["direction"].filter.list = list(model.directions)
        if held["direction"].valueAsText not in model.directions:
            held["direction"].value = model.directions[0]


def update_messages(tool: str, fields: list[arcpy.Parameter]) -> None:
    """Say what can't work before it is tried, and what would."""
    held = by_name(tool, fields)
    _command_is_there(fields)
    for p in shown(tool):
        field = held[p.name]
        if field.valueAsText and not field.hasError():
            _in_range(p, field)
            _storable(p, field)
    field = held.get("model")
    if field is not None and field.valueAsText and not field.hasError() and tool != "train":
        _model_suits(tool, held)
    if tool == "export_chips":
        _stride_is_small(held)


def _command_is_there(fields: list[arcpy.Parameter]) -> None:
    try:
        runner.find_command()
    except runner.RunFailedError as error:
        fields[0].setErrorMessage(str(error))


def _in_range(p: kinds.Parameter, field: arcpy.Parameter) -> None:
    """Bounds on one side alone, which no filter of ArcGIS has."""
    low, high = p.input.low, p.input.high
    if p.type not in (int, float) or field.multiValue:
        return
    if low is not None and float(field.value) < low:
        field.setErrorMessage(f"{p.input.help} It must be at least {low:g}.")
    elif high is not None and float(field.value) > high:
        field.setErrorMessage(f"{p.input.help} It must be at most {high:g}.")


def _storable(p: kinds.Parameter, field: arcpy.Parameter) -> None:
    """Rasters go into files that GDAL reads and writes, not into geodatabases."""
    text = field.valueAsText or ""
    inside = ".gdb" in text.lower() or text.lower().startswith(("memory\\", "in_memory\\"))
    if p.input.kind == "new raster":
        if inside or not text.lower().endswith((".tif", ".tiff")):
            field.setErrorMessage(
                "The output is a GeoTIFF: give a path that ends in .tif, in a folder rather than "
                "a geodatabase."
            )
    elif p.input.kind == "raster" and inside:
        field.setErrorMessage(
            "A raster in a geodatabase or in memory can't be read from outside of ArcGIS; export "
            "it to a GeoTIFF with Copy Raster."
        )


def _model(held: dict[str, arcpy.Parameter]) -> Model | None:
    field = held.get("model")
    if field is None or "direction" not in held or not field.valueAsText:
        return None
    try:
        return model_of(field.valueAsText)
    except NoModelError:
        return None


def _model_suits(tool: str, held: dict[str, arcpy.Parameter]) -> None:
    """Whether the file is a model of ours, and one for this raster."""
    try:
        model = model_of(held["model"].valueAsText or "")
    except NoModelError as error:
        held["model"].setErrorMessage(str(error))
        return
    if (tool == "generate") == bool(model.directions):
        held["model"].setErrorMessage(
            "The model translates rasters; use Translate Raster." if model.directions else
            "The model draws images from noise; use Generate Images."
        )  # fmt: skip
        return
    raster, way = held.get("raster"), held.get("direction")
    if raster is None or way is None or not raster.valueAsText or raster.hasError():
        return
    direction = way.valueAsText or "AtoB"
    if direction in model.directions:
        _bands_suit(raster, model.bands[direction])
        _pixels_suit(raster, held.get("resample"), model.metres[direction])


def _bands_suit(raster: arcpy.Parameter, needed: int) -> None:
    found = getattr(arcpy.Describe(raster.value), "bandCount", None)
    if found is not None and found < needed:
        raster.setErrorMessage(
            f"The raster has {found} bands and the model needs {needed}; choose a raster with the "
            "bands that the model was trained on."
        )


def _pixels_suit(
    raster: arcpy.Parameter, resample: arcpy.Parameter | None, wanted: float | None
) -> None:
    """A model knows what things look like at one ground resolution."""
    about = arcpy.Describe(raster.value)
    metres = getattr(getattr(about, "spatialReference", None), "metersPerUnit", None)
    width = getattr(about, "meanCellWidth", None)
    if not (metres and width and wanted) or (resample is not None and resample.value):
        return
    found = width * metres
    if not 1 / _APART <= found / wanted <= _APART:
        raster.setWarningMessage(
            f"The raster's pixels are {found:.3g} m and the model was trained on {wanted:.3g} m; "
            "check Resample, or expect a poor result."
        )


def _stride_is_small(held: dict[str, arcpy.Parameter]) -> None:
    size, stride = held["size"].value, held["stride"].value
    if size and stride and stride > size:
        held["stride"].setWarningMessage("Chips will have gaps between them: stride > tile size.")
