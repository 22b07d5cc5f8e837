"""The help beside the toolbox, and the wheel that Pro lists as a toolbox of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import pytest
from strict_arcpy import Host

from rs_gen import tools
from scripts import arcgis

ROOT = Path(__file__).parents[2]


def test_the_help_is_what_the_docstrings_say():
    assert arcgis.write_help(check=True) == []


def test_every_parameter_of_a_dialog_has_help_under_its_name():
    host = Host()
    for found in host.load(ROOT / "toolbox" / "arcgis" / "rs_gen.pyt").tools:
        page = ElementTree.fromstring(arcgis.pages()[f"rs_gen.{found.__name__}.pyt.xml"])
        about = {e.get("name"): e for e in page.iter("param")}
        for p in host.open(found()):
            held = about.pop(p.name)
            assert (held.get("type"), held.get("direction")) == (p.parameterType, p.direction)
            assert held.get("displayname") == p.displayName
            assert "&lt;P&gt;" not in held.find("dialogReference").text  # escaped once, not twice
            assert "<P>" in held.find("dialogReference").text
        assert about == {}
        assert page.find("tool").get("toolboxalias") == "rsgen"
        assert page.find("tool/summary").text


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """A site-packages with the wheel in it, and nothing else."""
    folder = tmp_path_factory.mktemp("wheel")
    wheel = arcgis.build_wheel(folder)
    site = folder / "site-packages"
    subprocess.run([sys.executable, "-m", "pip", "install", "--no-index", "--no-deps", "--quiet",
                    "--target", str(site), str(wheel)], check=True)  # fmt: skip
    return site


def test_the_same_sources_give_the_same_wheel(tmp_path):
    first, second = arcgis.build_wheel(tmp_path / "a"), arcgis.build_wheel(tmp_path / "b")
    assert first.read_bytes() == second.read_bytes()
    with zipfile.ZipFile(first) as held:
        assert f"{arcgis.PACKAGE}/esri/toolboxes/rs_gen.pyt" in held.namelist()


def test_the_wheel_needs_nothing_but_itself(installed, tmp_path):
    pyt = installed / "rs_gen_arcgis" / "esri" / "toolboxes" / "rs_gen.pyt"
    assert pyt.with_name("rs_gen.TranslateRaster.pyt.xml").exists()
    code = (
        f"import sys; sys.path[:0] = [{str(installed)!r}, {str(Path(__file__).parent)!r}]\n"
        "from types import ModuleType\nfrom pathlib import Path\n"
        "sys.modules['rasterio'] = ModuleType('rasterio')  # the stand-in's, not the toolbox's\n"
        "import strict_arcpy\nhost = strict_arcpy.Host()\n"
        f"found = host.load(Path({str(pyt)!r}))\n"
        "for tool in found.tools: host.open(tool())\n"
        "print(len(found.tools), [m for m in sys.modules if m.split('.')[0] in "
        "('rs_gen', 'torch', 'numpy')], sys.modules['rs_gen_arcgis'].__version__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": ""},
    )  # fmt: skip
    assert done.stdout.strip() == f"{len(tools.TOOLS)} [] {arcgis.version()}", done.stderr
