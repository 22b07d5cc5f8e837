"""Build the QGIS plugin: ``make qgis-plugin``, or ``python scripts/qgis_plugin.py [FOLDER]``.

The zip holds the plugin's own files, the runner that it shares with the ArcGIS toolbox, the
licence, and the list of tools as it is now. The same sources give the same bytes. Standard library
only.
"""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "toolbox" / "qgis" / "rs_gen"
KINDS = (".py", ".svg", ".txt")
_TIME = (2000, 1, 1, 0, 0, 0)  # of every file in the zip
sys.path.insert(0, str(ROOT))


def contents() -> dict[str, bytes]:
    """Name inside the plugin's folder to what is in the file."""
    from rs_gen import __version__
    from rs_gen.listing import tool_list

    held = {
        path.name: path.read_bytes() for path in sorted(SOURCE.iterdir()) if path.suffix in KINDS
    }
    held["metadata.txt"] = _with_version(held["metadata.txt"].decode(), __version__).encode()
    held["runner.py"] = (ROOT / "toolbox" / "runner.py").read_bytes()
    held["LICENSE"] = (ROOT / "LICENSE").read_bytes()
    held["tools.json"] = json.dumps(tool_list(), indent=1, ensure_ascii=False).encode()
    return held


def build(folder: Path) -> Path:
    """Write the zip into a folder; returns its path."""
    from rs_gen import __version__

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"rs_gen-qgis-{__version__}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, held in contents().items():
            archive.writestr(zipfile.ZipInfo(f"rs_gen/{name}", _TIME), held, zipfile.ZIP_DEFLATED)
    return path


def _with_version(metadata: str, version: str) -> str:
    lines = metadata.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("version="))
    lines[at] = f"version={version}"
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(build(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "dist"))
