"""The plugin as a zip: what can be told without QGIS."""

from __future__ import annotations

import ast
import configparser
import json
import sys
import zipfile
from pathlib import Path

import pytest

from rs_gen import __version__
from rs_gen.listing import tool_list
from scripts.qgis_plugin import SOURCE, build, contents

FILES = sorted(SOURCE.glob("*.py"))
#: What the plugin repository of QGIS asks for.
NEEDED = ("name", "qgisMinimumVersion", "description", "about", "version", "author", "email",
          "repository", "tracker")  # fmt: skip


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plugin")
    with zipfile.ZipFile(build(folder)) as archive:
        archive.extractall(folder)
    return folder / "rs_gen"


def test_the_tools_in_the_zip_are_those_of_today(unpacked):
    held = json.loads((unpacked / "tools.json").read_text(encoding="utf-8"))
    assert held == json.loads(json.dumps(tool_list()))


def test_the_zip_has_one_folder_and_all_that_the_plugin_imports(unpacked, tmp_path):
    with zipfile.ZipFile(build(tmp_path)) as archive:
        assert {name.split("/")[0] for name in archive.namelist()} == {"rs_gen"}
    held = {path.stem for path in unpacked.glob("*.py")}
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level == 1:
                names = [node.module] if node.module else [alias.name for alias in node.names]
                assert set(names) <= held
    assert (unpacked / "LICENSE").exists()


def test_the_same_sources_give_the_same_bytes(tmp_path):
    assert build(tmp_path / "a").read_bytes() == build(tmp_path / "b").read_bytes()


def test_the_metadata_has_what_qgis_asks_for(unpacked):
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str
    parser.read(unpacked / "metadata.txt", encoding="utf-8")
    told = dict(parser["general"])
    assert all(told.get(name) for name in NEEDED)
    assert told["version"] == __version__
    assert told["hasProcessingProvider"] == "yes"  # or qgis_process would not load it
    assert (unpacked / told["icon"]).exists()
    assert all(told[name].startswith("https://") for name in ("homepage", "repository", "tracker"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_plugin_imports_qgis_and_the_standard_library_alone(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module or ""]
        assert {name.split(".")[0] for name in names} <= {*sys.stdlib_module_names, "qgis", "osgeo"}


@pytest.mark.parametrize("name", [name for name in contents() if name.endswith(".py")])
def test_the_python_of_the_oldest_qgis_can_read_the_plugin(name):
    ast.parse(contents()[name], name, feature_version=(3, 9))  # QGIS 3.22 on Windows has 3.9
