"""rs_gen in QGIS: a Processing provider. It imports QGIS and the standard library, nothing else.

QGIS's Python has its own GDAL, PROJ and numpy, which ours would clash with, so the tools are read
from ``tools.json`` and run by ``rs-gen`` in a process of its own. Needs Python 3.9 (QGIS 3.22).
"""

from __future__ import annotations

from typing import Any


def classFactory(iface: Any) -> Any:
    """The plugin; ``iface`` is None under ``qgis_process``."""
    from .plugin import Plugin

    return Plugin(iface)
