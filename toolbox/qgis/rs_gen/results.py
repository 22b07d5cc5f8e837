"""What a run made, on the map: layers beside an output, and how layers are drawn."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from glob import escape, glob
from typing import Any, ClassVar

from osgeo import gdal
from qgis.core import (
    QgsPalettedRasterRenderer,
    QgsProcessingContext,
    QgsProcessingLayerPostProcessorInterface,
    QgsProcessingUtils,
    QgsRasterLayer,
)
from qgis.PyQt import sip

_HINTS = {
    "raster": QgsProcessingUtils.LayerHint.Raster,
    "features": QgsProcessingUtils.LayerHint.Vector,
}


def load_derived(
    derived: Sequence[dict[str, Any]], told: dict[str, str], found: dict[str, Any], context: Any
) -> dict[str, str]:
    """Files that belong to an output, by the names of their own outputs.

    Where QGIS will load the output, it loads them as well; it does so, too, where the output is a
    folder, which can't be loaded.

    Args:
        derived: Of the tool.
        told: Role of an ``output`` event to its path.
        found: Results so far.
        context: Of the run.
    """
    made = {}
    for d in derived:
        path, main = told.get(d["role"]), found.get(d["beside"].upper(), "")
        if path is None:
            continue
        name = d["name"].upper()
        made[name] = path
        project = _project_for(main, context)
        if project is not None:
            details = QgsProcessingContext.LayerDetails(
                d["label"], project, name, _HINTS[d["kind"]]
            )
            context.addLayerToLoadOnCompletion(path, details)
    return made


def _project_for(main: str, context: Any) -> Any:
    """Where to load what belongs to an output; None for nowhere."""
    if context.willLoadLayerOnCompletion(main):
        return context.layerToLoadOnCompletionDetails(main).project
    return context.project() if os.path.isdir(main) else None


def style_when_loaded(paths: Iterable[str], context: Any) -> None:
    """Have these files, where QGIS will load them, drawn as their makers meant it."""
    for path in paths:
        if context.willLoadLayerOnCompletion(path):
            context.layerToLoadOnCompletionDetails(path).setPostProcessor(Styler.kept())


class Styler(QgsProcessingLayerPostProcessorInterface):
    """Draws a layer by the style that rs_gen wrote into it or beside it."""

    _all: ClassVar[list[Styler]] = []

    @classmethod
    def kept(cls) -> Styler:
        """A new one. The context deletes it, but only we keep its Python half alive until then."""
        cls._all = [one for one in cls._all if not sip.isdeleted(one)]
        cls._all.append(cls())
        return cls._all[-1]

    def postProcessLayer(self, layer: Any, context: Any, feedback: Any) -> None:
        """Called by QGIS in its main thread once the layer is there."""
        layer.loadDefaultStyle()  # a .qml beside it, or the layer_styles of a GeoPackage
        if isinstance(layer, QgsRasterLayer):
            _more_styles(layer)
            _name_classes(layer)
        layer.triggerRepaint()


def _more_styles(layer: Any) -> None:
    """A style for each further band of trust layers: NAME_drift.qml beside NAME.tif."""
    stem, held = os.path.splitext(layer.source())[0], layer.styleManager()
    if not os.path.exists(f"{stem}.qml"):
        return
    usual = held.currentStyle()
    for path in sorted(glob(f"{escape(stem)}_*.qml")):
        name = os.path.splitext(path)[0][len(stem) + 1 :]
        if name not in held.styles():
            held.addStyleFromLayer(name)
        held.setCurrentStyle(name)
        layer.loadNamedStyle(path)
        held.setCurrentStyle(usual)


def _name_classes(layer: Any) -> None:
    """The names of a class raster's ids in the legend, and no entry for ids that are none."""
    renderer = layer.renderer()
    names = _classes_in(layer.source())
    if not names or not isinstance(renderer, QgsPalettedRasterRenderer):
        return
    shown = []
    for held in renderer.classes():
        name = names.get(str(int(held.value)))
        if name is not None:
            shown.append(QgsPalettedRasterRenderer.Class(held.value, held.color, name))
    layer.setRenderer(QgsPalettedRasterRenderer(layer.dataProvider(), 1, shown))
    layer.emitStyleChanged()


def _classes_in(path: str) -> dict[str, str]:
    """Id to name, from the tags that rs_gen wrote."""
    dataset = gdal.Open(path)
    told = dataset.GetMetadataItem("RS_GEN_PARAMETERS") if dataset else None
    try:
        return dict(json.loads(told).get("classes", {})) if told else {}
    except ValueError:
        return {}
