"""What QGIS starts and stops: the provider, and a page among the options."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsApplication

from .provider import Provider


class Plugin:
    """rs_gen as QGIS's plugin manager knows it."""

    def __init__(self, iface: Any):
        self._iface, self._provider, self._page = iface, None, None

    def initProcessing(self) -> None:
        """Add the tools to Processing; all that ``qgis_process`` calls."""
        self._provider = Provider()
        QgsApplication.processingRegistry().addProvider(self._provider)

    def initGui(self) -> None:
        """Add the tools to Processing, and the page to the options."""
        from .settings import PageFactory

        self.initProcessing()
        self._page = PageFactory(self._provider.icon())
        self._iface.registerOptionsWidgetFactory(self._page)

    def unload(self) -> None:
        """Take both away again."""
        if self._page is not None:
            self._iface.unregisterOptionsWidgetFactory(self._page)
        if self._provider is not None:
            QgsApplication.processingRegistry().removeProvider(self._provider)
        self._page = self._provider = None
