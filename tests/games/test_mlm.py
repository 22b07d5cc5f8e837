from __future__ import annotations

import hashlib
import json

import pystac
import pytest
from pystac.extensions.mlm import MLMExtension

from rs_gen.games.card import Card
from rs_gen.games.package import load, read_item, save
from rs_gen.games.registry import create_game
from rs_gen.networks.digest import digest
from rs_gen.translate.translator import Translator
from tests.stac import valid


def side(count, **more):
    stretch = {"low": [0.0] * count, "high": [255.0] * count}
    return {"count": count, "dtype": "uint8", "nodata": None, "stretch": stretch, **more}


@pytest.fixture(params=["pix2pix", "cyclegan"])
def saved(request, tmp_path):
    sizes = {"pix2pix": {"depth": 5}, "cyclegan": {"blocks": 1}}[request.param]
    game = create_game(request.param, in_channels=3, out_channels=2, width=4, d_width=4, **sizes)
    card = Card(
        request.param, game.settings, side(3, names=["red", "green", "blue"]), side(2), 64,
        training={"epochs": 3}, metrics={"psnr": {"value": 20.5, "n": 4, "protocol": "dB"}},
        licence="CC-BY-4.0",
    )  # fmt: skip
    return save(tmp_path / "oslo", game, card)


def test_the_item_of_a_model_is_valid_and_says_that_it_makes_synthetic_imagery(saved):
    item = json.loads((saved / "oslo.stac.json").read_text())
    read = valid(item)
    told = MLMExtension.ext(read)
    assert told.mlm_name == "oslo"
    assert told.framework == "pytorch"
    assert item["properties"]["mlm:input"][0]["bands"] == ["A:red", "A:green", "A:blue"]
    assert item["properties"]["mlm:output"][0]["bands"] == ["B:1", "B:2"]
    assert item["properties"]["rs_gen:synthetic_imagery"] is True
    assert item["properties"]["rs_gen:metrics"]["psnr"]["n"] == 4
    assert item["properties"]["rs_gen:training"] == {"epochs": 3}
    assert item["properties"]["rs_gen:licence"] == "CC-BY-4.0"


def test_its_digests_are_those_of_the_files_and_of_the_tags_of_outputs(saved):
    item = read_item(saved)
    for asset in item["assets"].values():
        held = (saved / asset["href"]).read_bytes()
        assert asset["file:size"] == len(held)
        assert asset["file:checksum"] == "1220" + hashlib.sha256(held).hexdigest()
    package = load(saved)
    for way, found in item["properties"]["rs_gen:model_digest"].items():
        assert found == digest(package.game.generator(way))
        assert found == digest(Translator.of(saved, way, "cpu").generator)


def test_parameters_are_those_of_the_generators_alone(saved):
    generators = load(saved).game.generators
    weights = sum(p.numel() for p in generators.parameters())
    assert read_item(saved)["properties"]["mlm:total_parameters"] == weights
    assert len(read_item(saved)["properties"]["mlm:input"]) == len(generators)


def test_a_model_without_an_item_has_none(saved):
    (saved / "oslo.stac.json").unlink()
    assert read_item(saved) is None
    (saved / "oslo.stac.json").write_text("{")
    assert read_item(saved) is None


def test_pystac_reads_the_file_itself(saved):
    item = pystac.Item.from_file(str(saved / "oslo.stac.json"))
    assert item.assets["weights"].roles == ["mlm:model", "mlm:weights"]
