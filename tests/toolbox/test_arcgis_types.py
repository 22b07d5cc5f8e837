"""The toolbox held against our own stubs of arcpy, which know no more than arcpy has."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MISTAKES = {
    "dialog.py": ("displayName=", "display_name="),
    "checking.py": ("field.valueAsText", "field.valueAsTxt"),
    "work.py": ("SetProgressorPosition", "SetProgressPosition"),
}


def complaints(folder: Path) -> list[dict]:
    """What pyright says of a copy of the toolbox; nothing is fetched, node comes in a wheel."""
    settings = json.loads((ROOT / "pyrightconfig.json").read_text())
    settings |= {
        "include": ["."], "stubPath": str(ROOT / "typings"),
        "extraPaths": [".", str(ROOT), str(ROOT / "toolbox")],
    }  # fmt: skip
    (folder / "pyrightconfig.json").write_text(json.dumps(settings))
    done = subprocess.run(
        [sys.executable, "-m", "pyright", "--outputjson", "-p", str(folder), "--pythonpath",
         sys.executable],
        capture_output=True, text=True, check=False, cwd=folder,
    )  # fmt: skip
    found = json.loads(done.stdout)
    assert found["summary"]["filesAnalyzed"] > 5
    return found["generalDiagnostics"]


@pytest.fixture
def copy(tmp_path) -> Path:
    shutil.copytree(ROOT / "toolbox" / "arcgis" / "rs_gen_arcgis", tmp_path / "rs_gen_arcgis")
    shutil.copy(ROOT / "toolbox" / "arcgis" / "rs_gen.pyt", tmp_path / "toolbox_as_a_module.py")
    return tmp_path


def test_the_toolbox_uses_arcpy_as_it_is(copy):
    assert complaints(copy) == []


def test_a_name_that_arcpy_lacks_is_found(copy):
    for name, (right, wrong) in MISTAKES.items():
        path = copy / "rs_gen_arcgis" / name
        text = path.read_text()
        path.write_text(text.replace(right, wrong, 1))
    found = complaints(copy)
    assert len(found) == 3
    assert {Path(each["file"]).name for each in found} == set(MISTAKES)
