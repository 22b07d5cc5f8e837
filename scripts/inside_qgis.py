"""What ``scripts/qgis_picture.py`` has QGIS do once its window is there: translate, and be seen.

Run by QGIS's own Python (``qgis --code``). RS_GEN_PICTURE is a JSON object: model, raster, result
(the GeoTIFF), out (the PNG), and values, further parameters of the tool.
"""

import json
import os
import traceback

from qgis.core import (
    QgsApplication,
    QgsContrastEnhancement,
    QgsFeature,
    QgsFillSymbol,
    QgsGeometry,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputLayerDefinition,
    QgsProject,
    QgsRasterLayer,
    QgsRasterMinMaxOrigin,
    QgsRectangle,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import Qt, QTimer
from qgis.PyQt.QtWidgets import QDockWidget, QTreeView
from qgis.utils import iface

GIVEN = json.loads(os.environ["RS_GEN_PICTURE"])
SIZE = (1400, 820)  # pixels of the window
OUTLINE = {"color": "0,0,0,0", "outline_color": "#d0021b", "outline_width": "0.6"}


def run():
    try:
        translate()
        QTimer.singleShot(2500, shoot)  # milliseconds until everything is drawn
    except Exception:
        traceback.print_exc()
        leave()


def translate():
    """Translate the eastern half of the raster, as the desktop does with its result."""
    from processing.gui.Postprocessing import handleAlgorithmResults

    project = QgsProject.instance()
    scene = QgsRasterLayer(GIVEN["raster"], "Satellite")
    half = half_of(scene)
    project.addMapLayers([scene, half])
    algorithm = QgsApplication.processingRegistry().algorithmById("rsgen:translate")
    context, feedback = QgsProcessingContext(), QgsProcessingFeedback()
    context.setProject(project)
    out = QgsProcessingOutputLayerDefinition(GIVEN["result"], project)
    values = {"RASTER": scene.id(), "MODEL": GIVEN["model"], "AREA": [half.id()], "OUT": out}
    scene.setContrastEnhancement(
        QgsContrastEnhancement.StretchToMinimumMaximum, QgsRasterMinMaxOrigin.CumulativeCut
    )
    _, done = algorithm.run({**values, **GIVEN["values"]}, context, feedback)
    print(feedback.textLog(), flush=True)
    if not done:
        raise RuntimeError("the tool failed")
    handleAlgorithmResults(algorithm, context, feedback)
    arrange(scene)


def half_of(scene):
    """The eastern half of a layer's extent, as a layer of its own that is only in memory."""
    layer = QgsVectorLayer(f"Polygon?crs={scene.crs().authid()}", "Area", "memory")
    extent = scene.extent()
    east = QgsRectangle(
        extent.center().x(), extent.yMinimum(), extent.xMaximum(), extent.yMaximum()
    )
    feature = QgsFeature()
    feature.setGeometry(QgsGeometry.fromRect(east))
    layer.dataProvider().addFeature(feature)
    layer.renderer().setSymbol(QgsFillSymbol.createSimple(OUTLINE))
    return layer


def arrange(scene):
    """The toolbox open at our tools, the map on the scene."""
    window, root = iface.mainWindow(), QgsProject.instance().layerTreeRoot()
    for node in root.findLayers():
        node.setItemVisibilityChecked(node.name() != "Trust layers")
    window.resize(*SIZE)
    for dock in window.findChildren(QDockWidget):
        dock.setVisible(dock.objectName() in ("ProcessingToolbox", "Layers"))
    window.resizeDocks([toolbox()], [300], Qt.Orientation.Horizontal)
    tree, (at, below) = toolbox().findChild(QTreeView), ours()
    for index in [at, *below]:
        tree.expand(index)
    tree.scrollTo(at, QTreeView.ScrollHint.PositionAtTop)
    QgsApplication.processEvents()
    iface.mapCanvas().setExtent(scene.extent())
    iface.mapCanvas().refreshAllLayers()


def toolbox():
    docks = iface.mainWindow().findChildren(QDockWidget)
    return next(dock for dock in docks if dock.objectName() == "ProcessingToolbox")


def ours():
    """Our provider in the toolbox's tree, and its groups."""
    model = toolbox().findChild(QTreeView).model()
    rows = [model.index(row, 0) for row in range(model.rowCount())]
    at = next(index for index in rows if model.data(index) == "rs_gen")
    return at, [model.index(row, 0, at) for row in range(model.rowCount(at))]


def shoot():
    """Save the window as a picture, and what can be seen in it as JSON beside it."""
    try:
        iface.mainWindow().grab().save(GIVEN["out"])
        with open(GIVEN["out"] + ".json", "w", encoding="utf-8") as file:  # noqa: PTH123
            json.dump({"layers": layers(), "tools": tools(), "place": place()}, file)
    finally:
        leave()


def layers():
    """Layers of the map: name to (source, whether it is valid)."""
    held = QgsProject.instance().mapLayers().values()
    return {layer.name(): [layer.source(), layer.isValid()] for layer in held}


def tools():
    """Our tools that can be seen in the toolbox."""
    tree = toolbox().findChild(QTreeView)
    model, screen = tree.model(), tree.viewport().rect()
    found = []
    for group in ours()[1]:
        for row in range(model.rowCount(group)):
            index = model.index(row, 0, group)
            if screen.intersects(tree.visualRect(index)):
                found.append(model.data(index))
    return found


def place():
    """Where the result is drawn: left, top, right, bottom in pixels of the window."""
    canvas = iface.mapCanvas()
    (result,) = QgsProject.instance().mapLayersByName("Translated raster")
    extent, transform = result.extent(), canvas.getCoordinateTransform()
    spots = []
    for x, y in ((extent.xMinimum(), extent.yMaximum()), (extent.xMaximum(), extent.yMinimum())):
        spot = transform.transform(x, y).toQPointF().toPoint()
        spot = canvas.viewport().mapTo(iface.mainWindow(), spot)
        spots += [spot.x(), spot.y()]
    return spots


def leave():
    iface.newProject(False)  # QGIS crashes if it is left with a layer chosen
    QTimer.singleShot(0, QgsApplication.instance().quit)


QTimer.singleShot(3000, run)  # milliseconds until the toolbox is filled
