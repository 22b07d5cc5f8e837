"""A saved model becomes a translator, in an environment that has only what applying needs."""

import json
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import rasterio
from translating import scene, write

from rs_gen.errors import UnknownNameError
from rs_gen.games.package import Card, load, save
from rs_gen.games.registry import create_game
from rs_gen.translate.translator import Translator

A = {"count": 3, "dtype": "uint8", "names": ["red", "green", "blue"], "resolution": 10.0,
     "stretch": {"low": [0] * 3, "high": [255] * 3}}  # fmt: skip
B = {"count": 1, "dtype": "uint16", "nodata": 0, "names": ["height"],
     "stretch": {"low": [100], "high": [900]}}  # fmt: skip


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    game = create_game("cyclegan", in_channels=3, out_channels=1, width=2, blocks=1, d_width=2)
    card = Card(model="cyclegan", settings={}, source=A, target=B, size=64)
    folder = tmp_path_factory.mktemp("models")
    probe = Translator(game.generator("AtoB"), A, B, device="cpu")
    path = write(folder / "train.tif", scene((70, 70)), names=A["names"])
    norms = probe.statistics_of(path)
    return save(folder / "relief.dlpk", game, card, statistics={"AtoB": norms})


def test_a_saved_model_translates_both_ways(tmp_path, package):
    there, back = Translator.of(package, device="cpu"), Translator.of(package, "BtoA", "cpu")
    path = write(tmp_path / "in.tif", scene((80, 90)), names=A["names"])
    with rasterio.open(there(path, tmp_path / "there.tif", statistics="model")) as out:
        assert (out.count, out.dtypes, out.nodata) == (1, ("uint16",), 0)
        assert out.descriptions == ("height",)
        assert out.tags()["RS_GEN_MODEL"] == "relief"
        assert out.tags()["RS_GEN_STATISTICS"] == "model"
        pixels = out.read()
    assert 100 <= pixels.min() <= pixels.max() <= 900
    with rasterio.open(back(tmp_path / "there.tif", tmp_path / "back.tif")) as out:
        assert (out.count, out.dtypes) == (3, ("uint8",) * 3)
        assert out.tags()["RS_GEN_DIRECTION"] == "BtoA"


def test_a_loaded_model_is_as_good_as_its_path(package):
    one, two = Translator.of(package, device="cpu"), Translator.of(load(package), device="cpu")
    chip = np.ma.array(scene((40, 40)))
    assert (one.predict(chip) == two.predict(chip)).all()


def test_a_direction_that_a_model_has_not_is_refused(package):
    with pytest.raises(UnknownNameError, match="no direction named 'CtoA'; there are AtoB, BtoA"):
        Translator.of(package, "CtoA")


def test_applying_needs_neither_fastai_nor_torchvision(tmp_path, package):
    path = write(tmp_path / "in.tif", scene((60, 60)), names=A["names"])
    program = f"""
        import json, sys
        absent = "fastai fastcore torchvision torchmetrics scipy matplotlib pandas"
        for name in absent.split():
            sys.modules[name] = None  # importing it fails
        from rs_gen.translate.translator import Translator
        Translator.of({str(package)!r}, device="cpu")({str(path)!r}, {str(tmp_path / "out.tif")!r})
        print(json.dumps(sorted({{m.split(".")[0] for m in sys.modules}})))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "geopandas" not in json.loads(done.stdout), "only an area of interest needs it"
    assert (tmp_path / "out.tif").exists()
