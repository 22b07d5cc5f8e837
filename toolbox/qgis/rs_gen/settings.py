"""The page among QGIS's options: which rs-gen is run, and whether it works."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsApplication, QgsSettings, QgsTask
from qgis.gui import QgsFileWidget, QgsOptionsPageWidget, QgsOptionsWidgetFactory
from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import (
    QFormLayout,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from . import runner
from .command import KEY, command
from .provider import read_tools
from .talk import lines_of

HELP = (
    "rs_gen runs in a Python environment of its own, not in QGIS's. Name the folder of that "
    "environment, or its rs-gen (rs-gen.exe on Windows). If this is empty, the variable "
    "RS_GEN_COMMAND is asked, then .rs_gen/command.txt in your home, then the PATH."
)


class PageFactory(QgsOptionsWidgetFactory):
    """Makes the page whenever the options are opened."""

    def __init__(self, icon: QIcon):
        super().__init__("rs_gen", icon)
        self._icon = icon

    def icon(self) -> QIcon:
        """Beside the page's name."""
        return self._icon

    def createWidget(self, parent: QWidget) -> Page:
        """The page."""
        return Page(parent)


class Page(QgsOptionsPageWidget):
    """A line for the command, a button that tries it, and what came of that."""

    def __init__(self, parent: QWidget | None = None):
        super().__init__(parent)
        about = QLabel(HELP)
        about.setWordWrap(True)
        self.line = QgsFileWidget()
        self.line.setFilePath(QgsSettings().value(KEY, ""))
        self.button = QPushButton("Check")
        self.button.clicked.connect(self.check)
        self.told = QPlainTextEdit()
        self.told.setReadOnly(True)
        form = QFormLayout()
        form.addRow("Command", self.line)
        form.addRow("", self.button)
        layout = QVBoxLayout(self)
        for part in (about, form, self.told):
            (layout.addLayout if part is form else layout.addWidget)(part)
        self._task = None

    def apply(self) -> None:
        """Called by QGIS when OK is pressed."""
        QgsSettings().setValue(KEY, self.line.filePath().strip())

    def check(self) -> None:
        """Run ``rs-gen doctor`` with what is in the line, and show what it says."""
        self.button.setEnabled(False)
        self.told.setPlainText("Asking rs-gen doctor ...")
        self._task = Check(self.line.filePath(), self._show)
        QgsApplication.taskManager().addTask(self._task)

    def _show(self, text: str) -> None:
        try:
            self.told.setPlainText(text)
            self.button.setEnabled(True)
        except RuntimeError:  # the options were closed meanwhile
            pass


class Check(QgsTask):
    """``rs-gen doctor`` beside QGIS's main thread, which stays free.

    Args:
        text: The command, as on the page.
        show: Called in the main thread with what is to be read.
    """

    def __init__(self, text: str, show: Any):
        super().__init__("rs-gen doctor")
        self._text, self._show, self._said = text, show, ""

    def run(self) -> bool:
        """Called by QGIS in a thread of its own."""
        self._said = examined(self._text)
        return True

    def finished(self, result: bool) -> None:
        """Called by QGIS in its main thread."""
        self._show(self._said)


def examined(text: str) -> str:
    """What ``rs-gen doctor`` says of a command, advice first."""
    try:
        start = command(text)
        events = runner.run(["doctor"], command=start)
    except (runner.RunFailedError, runner.RunCancelledError) as error:
        return f"This does not work.\n\n{error}"
    report = next((event["value"] for event in events if "value" in event), {})
    built = read_tools()["rs_gen"]
    lines = ["This works.", f"command: {' '.join(start)}"]
    if report.get("rs_gen") != built:
        lines.append(
            f"This plugin was built for rs_gen {built} and this is {report.get('rs_gen')}: an "
            "option that one of them lacks is an error; install the plugin of that version."
        )
    advice = report.pop("advice", [])
    return "\n".join([*lines, "", "advice:", *lines_of(advice, "  "), "", *lines_of(report)])
