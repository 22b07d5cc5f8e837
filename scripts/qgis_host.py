"""QGIS with a profile of its own that has our plugin, for tests and for the picture in the docs."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scripts.qgis_plugin import ROOT, build

#: An activated environment on the PATH makes QGIS take its Python for its own, and crash.
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
SCREEN = "1400x820x24"


class Qgis:
    """QGIS's programs, cut off from the profile and the display of whoever runs this.

    Args:
        folder: For the profile and the plugin, which is built and unpacked as a user gets it.

    Attributes:
        env: The environment that the programs get.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        with zipfile.ZipFile(build(folder)) as archive:
            archive.extractall(folder / "plugins")
        profile = folder / "config" / "profiles" / "default" / "QGIS"
        profile.mkdir(parents=True, exist_ok=True)
        (profile / "QGIS3.ini").write_text("[PythonPlugins]\nrs_gen=true\nprocessing=true\n")
        (folder / "xdg").mkdir(mode=0o700, exist_ok=True)
        self.env = {
            "HOME": str(folder), "LANG": "C.UTF-8", "PATH": PATH, "QT_QPA_PLATFORM": "offscreen",
            "XDG_RUNTIME_DIR": str(folder / "xdg"), "QGIS_PLUGINPATH": str(folder / "plugins"),
            "QGIS_CUSTOM_CONFIG_PATH": str(folder / "config"),
            "RS_GEN_COMMAND": f'"{sys.executable}" -m rs_gen.cli.main',
            "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "2"),
        }  # fmt: skip

    @staticmethod
    def process_program() -> str | None:
        """``qgis_process``; Debian's wrapper hands on an option that the program refuses."""
        return _first("qgis_process.bin", "qgis_process")

    @staticmethod
    def desktop_program() -> str | None:
        """QGIS itself."""
        return _first("qgis.bin", "qgis")

    @staticmethod
    def python_program() -> str | None:
        """A Python that has PyQGIS."""
        found = _first("python3")
        if found is None:
            return None
        done = subprocess.run(
            [found, "-c", "import qgis.core"], env={"PATH": PATH}, capture_output=True
        )
        return found if done.returncode == 0 else None

    def start(self, *command: object, **env: str) -> subprocess.Popen[str]:
        """A program in QGIS's environment; ``env`` comes on top of it."""
        return subprocess.Popen(
            [str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, env={**self.env, **env}, cwd=ROOT, start_new_session=True,
        )  # fmt: skip

    def run(self, *command: object, **env: str) -> subprocess.CompletedProcess[str]:
        """The same, to its end, which must come within five minutes."""
        child = self.start(*command, **env)
        try:
            out, err = child.communicate(timeout=300)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            raise
        return subprocess.CompletedProcess(command, child.returncode, out, err)

    def process(self, *arguments: object, **env: str) -> subprocess.CompletedProcess[str]:
        """``qgis_process`` with these arguments."""
        return self.run(self.process_program(), *arguments, **env)

    def picture(
        self, model: Path, raster: Path, out: Path, values: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Translate half of a raster in QGIS's window, on a screen that nobody sees.

        Args:
            model: Trained model.
            raster: To translate.
            out: The picture, a PNG; the GeoTIFF lies beside it.
            values: More parameters of the tool, by their names in Processing.

        Returns:
            What can be seen: ``layers`` by name, each (source, whether it is valid); ``tools`` in
            the toolbox; ``place`` of the result, (left, top, right, bottom) in pixels.

        Raises:
            RuntimeError: QGIS made no picture; with what it said.
        """
        given = {"model": str(model), "raster": str(raster), "out": str(out),
                 "result": str(out.with_suffix(".tif")), "values": dict(values or {})}  # fmt: skip
        done = self.run(
            "xvfb-run", "-a", "-s", f"-screen 0 {SCREEN}", self.desktop_program(), "--nologo",
            "--noversioncheck", "--code", ROOT / "scripts" / "inside_qgis.py",
            QT_QPA_PLATFORM="xcb", RS_GEN_PICTURE=json.dumps(given),
        )  # fmt: skip
        told = Path(f"{out}.json")
        if not told.exists():
            raise RuntimeError(f"QGIS made no picture: {done.stdout}{done.stderr}")
        seen: dict[str, Any] = json.loads(told.read_text(encoding="utf-8"))
        told.unlink()
        return seen


def _first(*names: str) -> str | None:
    return next((found for name in names if (found := shutil.which(name, path=PATH))), None)
