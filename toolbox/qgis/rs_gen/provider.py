"""The tools as one group of the Processing toolbox."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from qgis.core import QgsProcessingProvider
from qgis.PyQt.QtGui import QIcon

from .algorithm import ICON, ToolAlgorithm

FOLDER = Path(__file__).parent


def read_tools() -> dict[str, Any]:
    """What ``rs_gen.listing.tool_list`` said when the plugin was built."""
    return json.loads((FOLDER / "tools.json").read_text(encoding="utf-8"))


class Provider(QgsProcessingProvider):
    """Lists an algorithm for every tool."""

    def __init__(self) -> None:
        super().__init__()
        self._tools = read_tools()

    def loadAlgorithms(self) -> None:
        """Called by QGIS, now and whenever the toolbox is refreshed."""
        for tool in self._tools["tools"]:
            self.addAlgorithm(ToolAlgorithm(tool))

    def id(self) -> str:
        """In front of an algorithm's name: ``rsgen:translate``."""
        return "rsgen"

    def name(self) -> str:
        """In the toolbox."""
        return "rs_gen"

    def longName(self) -> str:
        """In a tooltip."""
        return "rs_gen: image translation for rasters"

    def versionInfo(self) -> str:
        """Of rs_gen when the plugin was built."""
        return str(self._tools["rs_gen"])

    def icon(self) -> QIcon:
        """In the toolbox."""
        return QIcon(self.svgIconPath())

    def svgIconPath(self) -> str:
        """In the model designer."""
        return ICON

    def supportedOutputRasterLayerExtensions(self) -> list[str]:
        """rs_gen writes GeoTIFFs."""
        return ["tif"]

    def supportedOutputVectorLayerExtensions(self) -> list[str]:
        """rs_gen writes GeoPackages."""
        return ["gpkg"]

    def supportsNonFileBasedOutput(self) -> bool:
        """No: the tools run in another process."""
        return False
