"""The raster function in a saved model: whatever blocks a host asks for, the raster is the same."""

from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from raster_host import RasterHost, in_blocks
from rasterio.transform import from_origin
from rasterio.windows import Window

from rs_gen.games.card import Card
from rs_gen.games.hosted import RSGenImageTranslation, rs_gen_model
from rs_gen.games.package import save
from rs_gen.games.registry import create_game
from rs_gen.networks.norm import gathering, norm_layers
from rs_gen.raster.values import Stretch
from rs_gen.translate.translator import Translator

SIZE = (75, 90)  # no multiples of any phase


def side(count: int, dtype: str = "uint8", nodata=None, **stretch) -> dict:
    ends = {"low": [0.0] * count, "high": [255.0] * count, **stretch}
    return {"count": count, "dtype": dtype, "nodata": nodata, "stretch": ends}


def model(folder: Path, kind: str, source: dict, target: dict, **settings) -> Path:
    """A model with random weights and the statistics of random chips."""
    torch.manual_seed(1)
    counts = {"in_channels": source["count"], "out_channels": target["count"]}
    game = create_game(kind, **counts, **settings).eval()
    statistics = {}
    for direction, bands in zip(game.directions, counts.values(), strict=False):
        net = game.generator(direction)
        for layer in net.modules():  # so that the answer is not grey all over
            if isinstance(layer, torch.nn.Conv2d | torch.nn.ConvTranspose2d):
                torch.nn.init.kaiming_normal_(layer.weight)
        if norm_layers(net):
            with torch.no_grad(), gathering(net) as found:
                net(torch.rand(2, bands, 64, 64) * 2 - 1)
            statistics[direction] = dict(found)
    card = Card(kind, game.settings, source, target, 64)
    return save(folder / "town.dlpk", game, card, statistics=statistics)


def raster(path: Path, count: int, dtype: str = "uint8", holes: bool = False) -> Path:
    dice = np.random.default_rng(3)
    pixels = dice.integers(1, 255, (count, *SIZE)).astype(dtype)
    profile = {"driver": "GTiff", "count": count, "dtype": dtype, "height": SIZE[0],
               "width": SIZE[1], "crs": "EPSG:32633", "transform": from_origin(5e5, 5e6, 2, 2),
               "nodata": 0 if holes else None}  # fmt: skip
    if holes:
        pixels[:, 20:31, 33:52] = 0
        pixels[0, 60:64, :9] = 0  # one band alone
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.write(pixels)
    return path


def translated(path: Path, into: Path, package: Path, direction: str = "AtoB"):
    """What rs-gen makes of a raster in float32, and where it has a measurement."""
    Translator.of(package, direction, "cpu")(
        path, into, statistics="model", tile_size=32, mixed_precision=False
    )
    with rasterio.open(into) as made:
        return made.read(), made.read_masks()[0] > 0


def agree(made: np.ndarray, wanted: np.ndarray, *spans: float) -> None:
    """As two runs of one network may: 1e-4 of the range, or one level in few of the pixels."""
    apart = np.abs(made.astype("f8") - wanted.astype("f8"))
    for band, span in enumerate(spans * (len(made) // len(spans))):
        if made.dtype.kind == "f":
            assert apart[band].max() <= 1e-4 * span
        assert np.ptp(wanted[band]) > span / 20  # there is something to see
    if made.dtype.kind != "f":
        assert apart.max() <= 1
        assert (apart > 0).mean() <= 1e-3


CASES = {
    "cyclegan": ("cyclegan", side(3), side(3), {"width": 4, "blocks": 1, "d_width": 4}),
    "u-net": ("pix2pix", side(3), side(3), {"width": 4, "depth": 5, "d_width": 4}),
    "efficient": ("pix2pix", side(2), side(1), {"backbone": "efficientnet_lite0",
                                                "pretrained": False, "d_width": 4}),
    "one band to floats": ("pix2pix", side(1), side(2, "float32", -9.0, low=[-5.0, 0.0],
                                                    high=[5.0, 3000.0]),
                           {"generator": "resnet", "norm": "instance", "width": 4, "blocks": 1,
                            "d_width": 4}),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("holes", [False, True])
def test_blocks_of_any_size_and_order_give_what_the_command_line_gives(tmp_path, name, holes):
    kind, source, target, settings = CASES[name]
    package = model(tmp_path, kind, source, target, **settings)
    path = raster(tmp_path / "in.tif", source["count"], holes=holes)
    wanted, valid = translated(path, tmp_path / "out.tif", package)
    ends = target["stretch"]
    spans = [high - low for low, high in zip(ends["low"], ends["high"], strict=True)]
    for number, (height, width) in enumerate(((75, 90), (31, 17), (8, 90))):
        folder = tmp_path / f"host{number}"
        host = RasterHost(package, path, folder, tile_size=24, batch_size=3)
        blocks = list(in_blocks(host.part, height, width))
        random.Random(number).shuffle(blocks)
        pixels, mask = host.run(blocks)
        assert ((mask == 1) == valid).all()
        agree(pixels[:, valid], wanted[:, valid], *spans)
        if target["nodata"] is not None and holes:
            assert (pixels[:, ~valid] == target["nodata"]).all()


def test_a_model_of_two_directions_goes_back_as_well(tmp_path):
    package = model(tmp_path, "cyclegan", side(3), side(2), width=4, blocks=1, d_width=4)
    path = raster(tmp_path / "map.tif", 2)
    wanted, _ = translated(path, tmp_path / "out.tif", package, "BtoA")
    host = RasterHost(package, path, tmp_path / "host", direction="BtoA", tile_size=32)
    pixels, _ = host.run(in_blocks(host.part, 40, 40))
    agree(pixels, wanted, 255)
    with pytest.raises(ValueError, match="direction='CtoA' is not one of this model: AtoB, BtoA"):
        host.function.getConfiguration(direction="CtoA")


def test_a_part_of_a_raster_is_as_in_the_whole(tmp_path):
    package = model(tmp_path, "cyclegan", side(3), side(3), width=4, blocks=1, d_width=4)
    path = raster(tmp_path / "in.tif", 3)
    wanted, _ = translated(path, tmp_path / "out.tif", package)
    part = Window(13, 7, 50, 41)
    host = RasterHost(package, path, tmp_path / "host", part=part, tile_size=16)
    pixels, _ = host.run(in_blocks(part, 19, 23))
    agree(pixels, wanted[:, 7:48, 13:63], 255)


def test_bands_are_read_as_the_definition_says_and_pixels_made_as_asked_for(tmp_path):
    package = model(tmp_path, "cyclegan", side(2), side(2), width=4, blocks=1, d_width=4)
    folder = tmp_path / "model"
    with zipfile.ZipFile(package) as held:
        held.extractall(folder)
    emd = json.loads((folder / "town.emd").read_text())
    (folder / "town.emd").write_text(json.dumps({**emd, "ExtractBands": [2, 0]}))
    path = raster(tmp_path / "in.tif", 3)
    with (
        rasterio.open(path) as dataset,
        rasterio.open(tmp_path / "two.tif", "w", **{**dataset.profile, "count": 2}) as two,
    ):
        two.write(dataset.read([3, 1]))
    wanted, _ = translated(tmp_path / "two.tif", tmp_path / "out.tif", package)
    host = RasterHost(folder / "town.emd", path, tmp_path, pixel_type="f4", tile_size=32)
    pixels, _ = host.run(in_blocks(host.part, 64, 64))
    assert np.abs(pixels - wanted).max() < 0.51  # the same, before it was rounded to uint8
    assert (pixels != np.rint(pixels)).any()


def test_a_raster_smaller_than_the_network_takes(tmp_path):
    package = model(tmp_path, "pix2pix", side(1), side(1), width=4, depth=5, d_width=4)
    path = tmp_path / "tiny.tif"
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        count=1,
        dtype="uint8",
        height=9,
        width=11,
        crs="EPSG:32633",
        transform=from_origin(5e5, 5e6, 2, 2),
    ) as dataset:
        dataset.write(np.random.default_rng(0).integers(0, 255, (1, 9, 11), "uint8"))  # fmt: skip
    wanted, _ = translated(path, tmp_path / "out.tif", package)
    host = RasterHost(package, path, tmp_path / "host")
    agree(host.run(in_blocks(host.part, 5, 4))[0], wanted, 0.0)


def test_the_function_needs_torch_and_numpy_alone(tmp_path):
    package = model(tmp_path, "cyclegan", side(3), side(3), width=4, blocks=1, d_width=4)
    with zipfile.ZipFile(package) as held:
        held.extractall(tmp_path / "model")
    code = (
        "import sys\n"
        "for name in ('rs_gen', 'rasterio', 'safetensors', 'fastai', 'torchvision', 'scipy'):\n"
        "    sys.modules[name] = None\n"
        f"sys.path.insert(0, {str(tmp_path / 'model')!r})\n"
        "import numpy as np, RSGenImageTranslation as m\n"
        "f = m.RSGenImageTranslation(); f.initialize(model='town.emd', device=-1)\n"
        "p = f.getConfiguration()['padding']\n"
        "f.updateRasterInfo(raster_info={'bandCount': 3}, output_info={})\n"
        "made = f.updatePixels((0, 0), (3, 8, 8), {'pixelType': 'u1'},\n"
        "    raster_pixels=np.zeros((3, 8 + 2 * p, 8 + 2 * p), 'u1'))\n"
        "print(made['output_pixels'].shape)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path / "model", text=True,
                          capture_output=True, check=False)  # fmt: skip
    assert done.stdout.strip() == "(3, 8, 8)", done.stderr
    for file in (tmp_path / "model").glob("*.py"):
        assert not re.search(r"import pickle|torch\.load|\b(exec|eval)\(", file.read_text())


def test_values_are_encoded_and_decoded_as_everywhere_else():
    stretch = Stretch((0.0, -25.0), (3000.0, 2.0))
    stored = np.random.default_rng(0).uniform(-100, 4000, (2, 20, 20)).astype("f4")
    known = np.ones(stored.shape, bool)
    assert np.allclose(
        rs_gen_model.encode(stored, stretch.to_dict(), known), stretch.encode(stored)
    )
    for dtype, nodata in (("uint8", 0), ("uint8", 128), ("int16", -25), ("float32", 0.0)):
        encoded = np.linspace(-1, 1, 800, dtype="f4").reshape(2, 20, 20)
        ours = rs_gen_model.decode(encoded, stretch.to_dict(), np.dtype(dtype), nodata)
        theirs = stretch.decode(encoded, dtype, nodata)
        assert not (ours == nodata).any()
        assert np.allclose(ours, theirs, rtol=1e-5, atol=1e-3)
    db = Stretch((-25.0,), (0.0,), "db")
    power = np.random.default_rng(0).uniform(0, 1, (1, 9, 9)).astype("f4")
    assert np.allclose(
        rs_gen_model.encode(power, db.to_dict(), power >= 0), db.encode(power), atol=1e-5
    )


def test_what_can_not_run_says_why_and_what_to_do(tmp_path):
    function = RSGenImageTranslation.RSGenImageTranslation()
    for emd, message in (
        ({"Framework": "arcgis.learn.models._inferencing", "ModelType": "CycleGAN",
          "ArcGISLearnVersion": "2.4.4", "n_channel": 3, "n_channel_rev": 1, "ImageHeight": 256,
          "ModelFile": "x.pth", "InferenceFunction": "ArcGISImageTranslation.py"},
         r"a CycleGAN that arcgis\.learn 2\.4\.4 saved, for 1 to 3 bands .*x\.pth.*train again"),
        ({"Framework": "Keras"}, "not a model of rs_gen"),
        ({"rs_gen": {"programs": {}, "no_program": "GroupNorm"}}, "GroupNorm; use the rs_gen tool"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            function.initialize(model=json.dumps(emd))
    with pytest.raises(ValueError, match="neither a file nor JSON"):
        function.initialize(model="town.emd")


def test_a_model_without_statistics_has_no_function(tmp_path):
    game = create_game("cyclegan", in_channels=3, out_channels=3, width=4, blocks=1, d_width=4)
    folder = save(tmp_path / "town", game, Card("cyclegan", game.settings, side(3), side(3), 64))
    emd = json.loads((folder / "town.emd").read_text())
    assert emd["InferenceFunction"] is None
    assert "without the statistics" in emd["rs_gen"]["no_program"]


def test_misuse_is_told(tmp_path):
    package = model(tmp_path, "cyclegan", side(3), side(3), width=4, blocks=1, d_width=4)
    path = raster(tmp_path / "in.tif", 3)
    host = RasterHost(package, path, tmp_path / "host")
    with pytest.raises(ValueError, match=r"without the padding of \d+ px that .* leave the tool's"):
        host.function.updatePixels((30, 30), (3, 8, 8), host._props(),
                                   raster_pixels=np.zeros((3, 8, 8), "u1"))  # fmt: skip
    grey = raster(tmp_path / "grey.tif", 1)
    with pytest.raises(ValueError, match="has 1 bands and the model needs 3"):
        RasterHost(package, grey, tmp_path / "again")
    broken = tmp_path / "broken"
    shutil.copytree(tmp_path / "host", broken)
    (broken / "town.safetensors").write_bytes(b"\xff" * 64)
    with pytest.raises(ValueError, match="is not safetensors; copy the model again"):
        RasterHost(broken / "town.emd", path, tmp_path)
