from __future__ import annotations

import json
import math

import numpy as np
import pytest

from rs_gen.errors import PackageError, SettingError
from rs_gen.games.card import Card, page, plain
from rs_gen.games.emd import definition


def side(count: int = 3, **more) -> dict:
    stretch = {"low": [0.0] * count, "high": [200.0] * count, "scale": "linear"}
    return {"count": count, "stretch": stretch} | more


def a_card(**more) -> Card:
    settings = {"in_channels": 4, "out_channels": 3, "blocks": 9, "adversarial": "lsgan"}
    return Card(**({"model": "cyclegan", "settings": settings, "source": side(4),
                    "target": side(3), "size": 256} | more))  # fmt: skip


def test_a_card_survives_json():
    card = a_card(
        source=side(4, nodata=math.nan, names=("r", "g", "b", "nir"), resolution=np.float64(10)),
        metrics={"psnr": {"value": np.float32(20.5), "n": np.int64(3)}},
        notes={"season": "summer"},
    )
    again = Card.from_dict(json.loads(json.dumps(card.to_dict(), allow_nan=False)))
    assert math.isnan(again.source["nodata"])
    assert again.to_dict() == card.to_dict()
    assert again.metrics == {"psnr": {"value": 20.5, "n": 3}}


def test_a_number_that_is_not_finite_becomes_null():
    held = a_card(metrics={"psnr": {"value": math.inf, "n": 1}}).to_dict()
    assert held["metrics"]["psnr"]["value"] is None


def test_what_json_can_not_hold_is_named():
    with pytest.raises(
        SettingError, match=r"card: training\.model holds a object, which JSON can't"
    ):
        a_card(training={"model": object()})
    with pytest.raises(SettingError, match="notes=3 is not a dict"):
        a_card(notes=3)
    assert plain({"a": (1, 2), 3: None}, "x") == {"a": [1, 2], "3": None}


def test_a_generator_from_noise_has_no_source_and_may_have_classes():
    card = a_card(source={}, classes=["beach", "forest"])
    assert Card.from_dict(json.loads(json.dumps(card.to_dict()))) == card
    text = page(card, "scenes")
    assert f"from noise to {card.target['count']} bands" in text
    assert "| Side | Images |" in text
    assert "Classes: beach, forest" in text
    assert definition(card, "w.safetensors")["n_channel"] == card.target["count"]
    with pytest.raises(SettingError, match="classes='beach' is not a list"):
        a_card(classes="beach")


def test_a_side_must_say_its_bands_and_stretch():
    with pytest.raises(SettingError, match="source has count=None; it must be the number of bands"):
        a_card(source={"dtype": "uint8"})
    with pytest.raises(SettingError, match="target has count=None"):
        a_card(target={})
    with pytest.raises(SettingError, match="target has 2 bands and a stretch of 3"):
        a_card(target=side(3) | {"count": 2})
    with pytest.raises(PackageError, match="the card is not a JSON object"):
        Card.from_dict([])


def test_the_page_says_what_a_person_needs():
    card = a_card(
        source=side(4, names=["r", "g", "b", "nir"], dtype="uint16", resolution=10.0, nodata=0),
        reach={"AtoB": {"left": 84, "right": 84, "phase": 4, "exact": True}},
        metrics={"ssim": {"value": 0.61, "n": 96, "low": 0.6, "high": 0.62, "protocol": "11 px"}},
        training={"chips": 900},
        statistics="model",
    )
    text = page(card, "town")
    for words in (
        "# town", "from 4 to 3 bands", "256 px", "r, g, b, nir", "uint16", "10 m", "84 px",
        "phase 4 px, exact", "stored (of the training chips)",
        "ssim: 0.61 (n=96, 95 % interval 0.6 to 0.62; 11 px)", "chips: 900", "Not stated by",
    ):  # fmt: skip
        assert words in text


def test_the_definition_has_the_keys_of_a_saved_cyclegan():
    card = a_card(
        source=side(4, mean=[50.0] * 4, std=[20.0] * 4, resolution=10.0, crs="EPSG:32633"),
        training={"lr": 2e-4, "valid_loss": 7.9},
        metrics={"psnr": {"value": 20.0, "n": 3}, "fid_a": {"value": 120.0, "n": 9}},
    )
    emd = definition(card, "town.safetensors")
    assert emd["n_intput_channel"] == 4
    assert (emd["n_channel"], emd["n_channel_rev"]) == (3, 4)
    assert (emd["ModelType"], emd["ModelName"], emd["ModelFormat"]) == ("CycleGAN",) * 2 + ("NCHW",)
    assert (emd["ImageHeight"], emd["ImageWidth"], emd["resize_to"]) == (256,) * 3
    assert emd["ExtractBands"] == [0, 1, 2, 3]
    assert emd["IsMultispectral"] is True
    assert emd["SupportsVariableTileSize"] is True
    assert emd["MinCellSize"] == {
        "x": 10.0, "y": 10.0, "spatialReference": {"wkid": 32633, "latestWkid": 32633}
    }  # fmt: skip
    assert emd["NormalizationStats"] == {
        "band_min_values": [0.0] * 4,
        "band_max_values": [200.0] * 4,
        "band_mean_values": [50.0] * 4,
        "band_std_values": [20.0] * 4,
        "scaled_min_values": [0.0] * 4,
        "scaled_max_values": [1.0] * 4,
        "scaled_mean_values": [0.25] * 4,
        "scaled_std_values": [0.1] * 4,
    }
    assert emd["NormalizationStats_b"]["band_mean_values"] is None
    assert emd["ModelParameters"]["gen_blocks"] == 9
    assert emd["ModelParameters"]["lsgan"] is True
    assert emd["ModelParameters"]["backend"] == "pytorch"
    assert (emd["LearningRate"], emd["monitored_valid_loss"]) == ("2.0000e-04", 7.9)
    assert (emd["PSNR"], emd["FID_A"]) == (20.0, "1.2e+02")


def test_pix2pix_has_its_own_keys():
    emd = definition(a_card(model="pix2pix"), "w.safetensors")
    assert emd["ModelType"] == "Pix2Pix"
    assert emd["perceptual_loss"] is False
    assert "backbone" in emd


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3857", "EPSG:3395", "nonsense", None, "LOCAL"])
def test_a_cell_size_that_metres_can_not_tell_is_left_out(crs):
    emd = definition(a_card(source=side(4, resolution=10.0, crs=crs)), "w.safetensors")
    assert emd["MinCellSize"] is None


def test_a_cell_size_is_in_the_unit_of_its_crs():
    emd = definition(a_card(source=side(4, resolution=3.0, crs="EPSG:2263")), "w.safetensors")
    assert emd["MinCellSize"]["x"] == pytest.approx(9.8425, abs=1e-3), "US survey feet"
