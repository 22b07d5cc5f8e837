"""ONNX files: they give what torch gives, and Deepness finds in them what it looks for."""

from __future__ import annotations

import json
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from click.testing import CliRunner

from rs_gen.cli.main import cli
from rs_gen.errors import MissingPackageError, SettingError, TranslationError
from rs_gen.games.card import Card
from rs_gen.games.package import save
from rs_gen.games.registry import create_game
from rs_gen.networks.efficient import efficient_unet
from rs_gen.networks.norm import gathering, norm_layers
from rs_gen.networks.resnet import resnet_generator
from rs_gen.networks.unet import unet_generator
from rs_gen.translate import onnx_export
from rs_gen.translate.onnx_export import export_onnx, tiles_for
from rs_gen.translate.translator import Translator

NETS = {
    "resnet": lambda: resnet_generator(3, 2, width=4, blocks=2),
    "antialiased": lambda: resnet_generator(3, 2, width=4, blocks=1, antialias=True),
    "channel norm": lambda: resnet_generator(3, 2, width=4, blocks=1, norm="pixel"),
    "u-net": lambda: unet_generator(3, 2, width=4, depth=5),
    "instance u-net": lambda: unet_generator(3, 2, width=4, depth=5, norm="instance"),
    "efficient": lambda: efficient_unet(3, 2, pretrained=False, widths=(16, 8)),
}
SOURCE = {"count": 3, "dtype": "uint16", "names": ["red", "green", "blue"], "resolution": 2.0,
          "stretch": {"low": [0.0, 10.0, 0.0], "high": [3000.0, 2500.0, 900.0]}}  # fmt: skip
TARGET = {"count": 2, "dtype": "uint8", "names": ["grey", "height"],
          "stretch": {"low": [0.0, 0.0], "high": [255.0, 200.0]}}  # fmt: skip


def translator(net: torch.nn.Module, source=SOURCE, target=TARGET) -> Translator:
    """With random weights that say something, and statistics of random chips."""
    torch.manual_seed(0)
    for layer in net.modules():
        if isinstance(layer, torch.nn.Conv2d | torch.nn.ConvTranspose2d):
            torch.nn.init.kaiming_normal_(layer.weight)
    net.eval()
    norms = None
    if norm_layers(net):
        with torch.no_grad(), gathering(net) as norms:
            net(torch.rand(2, source["count"], 64, 64) * 2 - 1)
    return Translator(net, source, target, norms=norms, device="cpu", name="town")


def run(path, pixels: np.ndarray) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: pixels.astype("float32")})


@pytest.mark.parametrize("name", NETS)
def test_stored_values_go_in_and_the_translators_stored_values_come_out(tmp_path, name):
    model = translator(NETS[name]())
    report = export_onnx(model, tmp_path / "town.onnx")
    side = model.reach.phase * 2 + 32 // model.reach.phase * model.reach.phase
    pixels = np.random.default_rng(1).integers(0, 3200, (3, side, side + model.reach.phase))
    wanted = model.translate_whole(pixels.astype("uint16"), statistics=model.norms)
    made = np.concatenate(run(tmp_path / "town.onnx", pixels[None]), 1)[0]
    assert np.abs(np.rint(made) - wanted).max() <= 1  # a rounded level, on its edge
    assert (np.rint(made) != wanted).mean() < 1e-3
    assert np.ptp(wanted) > 20
    assert float(report["max difference from torch"].split()[0]) < 1e-4


def test_deepness_finds_what_it_looks_for_under_its_names(tmp_path):
    model = translator(NETS["resnet"]())
    export_onnx(model, tmp_path / "town.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "town.onnx"))
    held = {k: json.loads(v) for k, v in session.get_modelmeta().custom_metadata_map.items()}
    assert held["model_type"] == "Regressor"
    assert held["class_names"] == [{"0": "grey"}, {"0": "height"}]  # one layer an output
    assert held["resolution"] == 200  # cm
    assert held["reg_output_scaling"] == 1
    shapes = [output.shape for output in session.get_outputs()]
    assert [len(shape) for shape in shapes] == [4, 4]
    assert all(shape[1] == 1 and shape[2] == shape[3] for shape in shapes)
    overlap = held["tile_size"] * held["tiles_overlap"] // 100
    assert overlap // 2 >= held["rs_gen"]["halo"]
    assert (held["tile_size"] - overlap) % held["rs_gen"]["phase"] == 0
    assert held["rs_gen"]["statistics"] == "model"
    assert held["rs_gen"]["max_difference"] < 1e-4


def test_deepness_own_arithmetic_gives_the_translators_values(tmp_path):
    model = translator(NETS["u-net"]())
    export_onnx(model, tmp_path / "town.onnx")
    meta = onnx.load(tmp_path / "town.onnx").metadata_props
    held = {entry.key: json.loads(entry.value) for entry in meta}
    pixels = np.random.default_rng(1).integers(0, 256, (1, 64, 64, 3), dtype="uint8")
    tile = np.float32(pixels / 255)  # as the plugin prepares a tile
    tile = (tile - held["standardization_mean"]) / held["standardization_std"]
    made = run(tmp_path / "town.onnx", tile.transpose(0, 3, 1, 2))
    wanted = model.translate_whole(pixels[0].transpose(2, 0, 1))
    for band, layer in zip(wanted, made, strict=True):
        assert np.abs(np.rint(layer[0, 0]) - band).max() <= 1


def test_tiles_of_a_program_that_cuts_them_so_agree(tmp_path):
    model = translator(NETS["resnet"]())
    export_onnx(model, tmp_path / "town.onnx", joined=True)
    tiles = tiles_for(model.reach.left, 4)
    overlap = tiles.size * tiles.overlap // 100
    step, half = tiles.size - overlap, overlap // 2
    pixels = np.random.default_rng(1).integers(0, 3000, (1, 3, step + tiles.size, tiles.size))
    (whole,) = run(tmp_path / "town.onnx", pixels)
    (first,) = run(tmp_path / "town.onnx", pixels[:, :, : tiles.size])
    (second,) = run(tmp_path / "town.onnx", pixels[:, :, step:])
    made = np.concatenate([first[:, :, : step + half], second[:, :, half:]], 2)
    assert np.abs(made - whole).max() < 1e-2  # of 255


@pytest.mark.parametrize(("halo", "phase"), [(20, 4), (84, 4), (381, 128), (765, 256), (768, 256)])
def test_tiles_cover_what_a_network_looks_at(halo, phase):
    tiles = tiles_for(halo, phase)
    overlap = tiles.size * tiles.overlap // 100
    assert tiles.exact
    assert overlap // 2 >= halo
    assert (tiles.size - overlap) % phase == tiles.size % phase == 0


def test_a_network_that_looks_too_far_says_so():
    assert not tiles_for(5000, 8).exact


def test_decibels_floats_and_missing_values(tmp_path):
    source = {"count": 1, "dtype": "float32", "stretch": {"low": [-25.0], "high": [2.0],
                                                          "scale": "db"}}  # fmt: skip
    target = {"count": 1, "dtype": "float32", "stretch": {"low": [-20.0], "high": [0.0],
                                                          "scale": "db"}}  # fmt: skip
    model = translator(resnet_generator(1, 1, width=4, blocks=1), source, target)
    report = export_onnx(model, tmp_path / "sar.onnx")
    pixels = np.random.default_rng(0).uniform(0, 1.5, (1, 32, 32)).astype("float32")
    pixels[0, 5:9, 5:9] = np.nan
    wanted = model.translate_whole(np.ma.masked_invalid(pixels), statistics=model.norms)
    (made,) = run(tmp_path / "sar.onnx", pixels[None])
    valid = ~np.ma.getmaskarray(wanted)
    assert np.allclose(made[0][valid], wanted.data[valid], rtol=1e-4)
    assert np.isfinite(made).all()
    assert "stored values" not in report["max difference from torch"]


def test_from_a_saved_model_to_a_file_with_the_statistics_of_a_raster(tmp_path, capsys):
    import rasterio
    from rasterio.transform import from_origin

    game = create_game("cyclegan", in_channels=3, out_channels=3, width=4, blocks=1, d_width=4)
    side = {"count": 3, "dtype": "uint8", "stretch": {"low": [0.0] * 3, "high": [255.0] * 3}}
    package = save(tmp_path / "town", game, Card("cyclegan", game.settings, side, side, 32))
    with rasterio.open(tmp_path / "in.tif", "w", driver="GTiff", count=3, dtype="uint8",
                       height=64, width=64, crs="EPSG:32633",
                       transform=from_origin(5e5, 5e6, 2, 2)) as dataset:  # fmt: skip
        dataset.write(np.random.default_rng(0).integers(0, 255, (3, 64, 64), "uint8"))
    words = ["export-onnx", str(package), str(tmp_path / "town.onnx")]
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == 1
    assert "no stored statistics" in result.stderr
    result = CliRunner().invoke(cli, [*words, "--raster", str(tmp_path / "in.tif")])
    assert result.exit_code == 0, result.stderr
    assert "max difference from torch: " in result.stdout
    result = CliRunner().invoke(cli, [*words, "--raster", str(tmp_path / "in.tif")])
    assert "is there already" in result.stderr


def test_what_can_not_be_exported_says_why(tmp_path, monkeypatch):
    model = translator(NETS["u-net"]())
    with pytest.raises(SettingError, match=r"town\.tif should end in \.onnx"):
        export_onnx(model, tmp_path / "town.tif")
    monkeypatch.setattr(onnx_export, "MOST", -1.0)
    with pytest.raises(TranslationError, match=r"differ from torch's by up to .* nothing was writ"):
        export_onnx(model, tmp_path / "town.onnx")
    assert not list(tmp_path.iterdir())
    for name in ("onnxruntime", "onnx"):
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(MissingPackageError, match=rf"package {name}: pip install 'rs_gen\[on"):
            export_onnx(model, tmp_path / "town.onnx")
