"""What the tests do inside QGIS's own Python: ``python3 pyqgis.py ACT GIVEN``, both sides JSON.

Run by the system's interpreter, which knows nothing of pytest or of rs_gen. The last line of
standard output is what the act saw.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time

sys.path[:0] = [os.environ["QGIS_PLUGINPATH"], "/usr/share/qgis/python/plugins"]

from qgis.core import (  # noqa: E402 - found once QGIS's folders are on the path
    QgsApplication,
    QgsFeature,
    QgsGeometry,
    QgsProcessingAlgRunnerTask,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingModelAlgorithm,
    QgsProcessingModelChildAlgorithm,
    QgsProcessingModelChildParameterSource,
    QgsProcessingModelOutput,
    QgsProcessingModelParameter,
    QgsProcessingOutputLayerDefinition,
    QgsProcessingParameterRasterLayer,
    QgsProject,
    QgsRasterLayer,
    QgsVectorLayer,
)


class Ear(QgsProcessingFeedback):
    """A feedback that keeps what it is told."""

    def __init__(self):
        super().__init__(False)
        self.texts, self.lines, self.warnings = [], [], []

    def setProgressText(self, text):
        self.texts.append(text)

    def pushInfo(self, text):
        self.lines.append(text)

    def pushWarning(self, text):
        self.warnings.append(text)


def algorithm(name):
    return QgsApplication.processingRegistry().algorithmById(f"rsgen:{name}")


def load(given):
    """Run as the desktop does and have the results loaded on the map."""
    from processing.gui.Postprocessing import handleAlgorithmResults

    context, ear = QgsProcessingContext(), Ear()
    context.setProject(QgsProject.instance())
    values = dict(given["values"])
    for name in given["load"]:
        values[name] = QgsProcessingOutputLayerDefinition(values[name], QgsProject.instance())
    bars = []
    ear.progressChanged.connect(bars.append)
    results, ok = algorithm("translate").run(values, context, ear)
    assert ok, ear.textLog()
    handleAlgorithmResults(algorithm("translate"), context, ear)
    layers = {layer.name(): _seen(layer) for layer in QgsProject.instance().mapLayers().values()}
    return {"results": results, "layers": layers, "bars": bars, "texts": ear.texts}


def _seen(layer):
    """How a layer is drawn."""
    renderer = layer.renderer()
    told = {
        "source": layer.source(), "renderer": renderer.type(),
        "styles": sorted(layer.styleManager().styles()),
        "legend": [],
    }  # fmt: skip
    if renderer.type() == "paletted":
        told["legend"] = [[c.label, c.color.name()] for c in renderer.classes()]
    if renderer.type() == "categorizedSymbol":
        told["legend"] = [[c.label(), c.symbol().color().name()] for c in renderer.categories()]
    if renderer.type() == "singlebandpseudocolor":
        ramp = renderer.shader().rasterShaderFunction()
        told["legend"] = [[item.label, item.color.name()] for item in ramp.colorRampItemList()]
        told["bands"] = {}
        for name in told["styles"]:
            layer.styleManager().setCurrentStyle(name)
            told["bands"][name] = layer.renderer().band()
    return told


def areas(given):
    """Polygons that are in memory, selected or filtered."""
    squares = QgsVectorLayer("Polygon?crs=EPSG:32633", "squares", "memory")
    for wkt in given["squares"]:
        feature = QgsFeature()
        feature.setGeometry(QgsGeometry.fromWkt(wkt))
        squares.dataProvider().addFeature(feature)
    QgsProject.instance().addMapLayer(squares)
    QgsProject.instance().addMapLayer(QgsRasterLayer(given["values"]["RASTER"], "scene"))
    import processing

    values = {**given["values"], "RASTER": "scene", "AREA": [squares.id()]}
    return processing.run("rsgen:translate", values)


def model(given):
    """A model of two steps: translate, then compare the result with itself."""
    made = QgsProcessingModelAlgorithm("two steps", "tests")
    made.addModelParameter(
        QgsProcessingParameterRasterLayer("scene", "Scene"), QgsProcessingModelParameter("scene")
    )
    source = QgsProcessingModelChildParameterSource
    first = QgsProcessingModelChildAlgorithm("rsgen:translate")
    first.setChildId("first")
    for name, value in given["first"].items():
        first.addParameterSources(name, [source.fromStaticValue(value)])
    first.addParameterSources("RASTER", [source.fromModelParameter("scene")])
    made.addChildAlgorithm(first)
    second = QgsProcessingModelChildAlgorithm("rsgen:evaluate")
    second.setChildId("second")
    for name in ("OUTPUT", "TRUTH"):
        second.addParameterSources(name, [source.fromChildOutput("first", "OUT")])
    second.addParameterSources("BLOCK", [source.fromStaticValue(32)])
    out = QgsProcessingModelOutput("report")
    out.setChildId("second")
    out.setChildOutputName("REPORT")
    second.setModelOutputs({"report": out})
    made.addChildAlgorithm(second)
    assert made.toFile(given["file"])
    again = QgsProcessingModelAlgorithm()
    assert again.fromFile(given["file"])
    again.initAlgorithm()
    context, ear = QgsProcessingContext(), Ear()
    values = {"scene": given["raster"], "second:report": given["report"]}
    results, ok = again.run(values, context, ear)
    assert ok, ear.htmlLog()
    return {"results": {k: v for k, v in results.items() if isinstance(v, str)}}


def batch(given):
    """Fill the batch dialog from a file, as its Load button does, and press Run."""
    from processing.gui import BatchAlgorithmDialog, BatchPanel

    BatchPanel.QFileDialog.getOpenFileName = lambda *_: (given["file"], "")
    dialog = BatchAlgorithmDialog.BatchAlgorithmDialog(algorithm("translate").create())
    dialog.mainWidget().load()
    done = []
    dialog.finish = lambda results, errors: done.extend([results, errors])
    dialog.runAlgorithm()
    results, errors = done
    made = [row["results"] for row in results]
    print(json.dumps({"results": made, "errors": [e["errors"] for e in errors]}), flush=True)
    os._exit(0)  # QGIS does not end while a dialog is open


def cancel(given):
    """Cancel in the thread that the desktop runs algorithms in."""
    ear, context = Ear(), QgsProcessingContext()
    task = QgsProcessingAlgRunnerTask(algorithm("exportchips"), given["values"], context, ear)
    seen = []
    task.executed.connect(lambda ok, results: seen.append([ok, results]))
    ear.progressChanged.connect(lambda share: ear.cancel() if share > 0 else None)
    QgsApplication.taskManager().addTask(task)
    until = time.monotonic() + 60
    while not seen and time.monotonic() < until:
        QgsApplication.processEvents()
        time.sleep(0.05)
    return {"seen": seen, "log": ear.textLog(), "threads": threading.active_count()}


def settings(given):
    """Press the button of the options page, for a command that works and for one that does not."""
    from qgis.core import QgsSettings
    from rs_gen.settings import Page

    told = []
    for text in given["commands"]:
        page = Page()
        page.line.setFilePath(text)
        page.button.click()
        until = time.monotonic() + 60
        while not page.button.isEnabled() and time.monotonic() < until:
            QgsApplication.processEvents()
            time.sleep(0.05)
        told.append(page.told.toPlainText())
    page.apply()
    from rs_gen.command import command

    return {"told": told, "kept": QgsSettings().value("rs_gen/command"), "run": command()}


def refused(given):
    """Run with what can't work; what is said."""
    context, said = QgsProcessingContext(), []
    for values in given["tries"]:
        ear = Ear()
        ok, why = algorithm("translate").checkParameterValues(values, context)
        if ok:
            _, ok = algorithm("translate").run(values, context, ear)
            why = ear.textLog()
        said.append([ok, why])
    return said


def main():
    application = QgsApplication([], True)
    QgsApplication.setPrefixPath("/usr", True)
    application.initQgis()
    QgsApplication.messageLog().messageReceived.connect(
        lambda text, *_: print(text, file=sys.stderr, flush=True)
    )
    from processing.core.Processing import Processing

    Processing.initialize()
    import rs_gen

    plugin = rs_gen.classFactory(None)
    plugin.initProcessing()
    told = globals()[sys.argv[1]](json.loads(sys.argv[2]))
    print(json.dumps(told), flush=True)
    QgsProject.instance().removeAllMapLayers()  # or QGIS crashes as it leaves
    plugin.unload()
    application.exitQgis()


if __name__ == "__main__":
    main()
