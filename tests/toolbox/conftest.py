"""What the toolboxes start, and a QGIS that has our plugin as a user gets it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from rs_gen.games.package import Card, save
from rs_gen.games.registry import create_game
from sample_data.make import write_scene
from scripts.qgis_host import Qgis

SOURCE = {"count": 3, "dtype": "uint16", "nodata": 0, "names": ["red", "green", "blue"],
          "resolution": 2.0, "stretch": {"low": [0] * 3, "high": [4000] * 3}}  # fmt: skip
TARGET = {"count": 3, "dtype": "uint8", "names": ["red", "green", "blue"], "resolution": 2.0,
          "stretch": {"low": [0] * 3, "high": [255] * 3}}  # fmt: skip


@pytest.fixture(autouse=True)
def _command(monkeypatch: pytest.MonkeyPatch) -> None:
    """The toolboxes start the command line of this checkout."""
    monkeypatch.setenv("RS_GEN_COMMAND", f'"{sys.executable}" -m rs_gen.cli.main')


def need(program: str | None, name: str, package: str) -> str:
    """A host program; where it is missing, skip, or fail if it has to be there."""
    if program is None:
        what = f"{name} is not on this machine (on Debian: apt-get install {package})"
        if os.environ.get("RS_GEN_REQUIRE_HOSTS"):
            pytest.fail(f"{what}, and RS_GEN_REQUIRE_HOSTS is set")
        pytest.skip(what)
    return program


@pytest.fixture(scope="session")
def qgis(tmp_path_factory: pytest.TempPathFactory) -> Qgis:
    """QGIS with the plugin."""
    need(Qgis.process_program(), "qgis_process", "qgis")
    return Qgis(tmp_path_factory.mktemp("qgis"))


@pytest.fixture(scope="session")
def satellite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drawn scene: reflectance of red, green and blue, a part of it not measured."""
    folder = tmp_path_factory.mktemp("scene")
    return write_scene(
        folder, 192, 7, ("satellite",), resolution=2.0, vectors=False, wedge=0.2,
        bands=(650.0, 560.0, 490.0),
    )["satellite"]  # fmt: skip


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model's folder; it has learnt nothing, but it runs, and both ways."""
    game = create_game("cyclegan", in_channels=3, out_channels=3, width=4, blocks=1, d_width=2)
    folder = tmp_path_factory.mktemp("model") / "model"
    return save(folder, game, Card("cyclegan", {}, SOURCE, TARGET, 64))
