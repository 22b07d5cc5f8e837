"""From a saved generator to tiles on a grid."""

import json

import numpy as np
import pytest
import rasterio
import torch
from affine import Affine

from rs_gen.data.databunch import prepare_data
from rs_gen.errors import SettingError, UnknownNameError
from rs_gen.games.card import Card
from rs_gen.games.package import save
from rs_gen.games.registry import create_game
from rs_gen.raster.grid import Grid
from rs_gen.raster.writer import geotiff
from rs_gen.translate.making import make_tiles

SIDE = {
    "count": 2, "dtype": "uint16", "nodata": 0.0, "names": ["red", "nir"], "resolution": 10.0,
    "stretch": {"low": [100.0, 200.0], "high": [3000.0, 4000.0], "scale": "linear"},
}  # fmt: skip


def generator(path, classes=("field", "water")):
    torch.manual_seed(0)
    game = create_game(
        "regularized_gan", out_channels=2, size=16, classes=len(classes), base="dcgan",
        widths=[8, 8, 8], z_dim=8,
    )  # fmt: skip
    return save(path, game, Card("regularized_gan", {}, {}, SIDE, 16, classes=list(classes)))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return generator(tmp_path_factory.mktemp("models") / "scenes")


@pytest.fixture(scope="module")
def like(tmp_path_factory):
    path = tmp_path_factory.mktemp("rasters") / "like.tif"
    crs = rasterio.crs.CRS.from_epsg(32633)
    grid = Grid((40, 50), Affine(10, 0, 5e5, 0, -10, 5e6), crs)
    with geotiff(path, grid, count=1, dtype="uint8") as file:
        file.write(np.ones((1, 40, 50), "uint8"))
    return path


def test_tiles_lie_on_the_grid_in_class_folders_and_say_what_they_are(model, like, tmp_path):
    tiles = make_tiles(model, tmp_path / "tiles", 6, like=like, seed=3)
    assert [path.parent.name for path in tiles.files] == ["field", "water"] * 3
    with rasterio.open(tiles.files[0]) as tile, rasterio.open(like) as raster:
        assert (tile.crs, tile.transform) == (raster.crs, raster.transform)
        assert (tile.count, tile.shape, tile.dtypes[0], tile.nodata) == (2, (16, 16), "uint16", 0)
        tags = tile.tags()
        assert (tags["RS_GEN_MODEL"], tags["RS_GEN_SEED"]) == ("scenes", "3")
        assert "not measured" in tags["RS_GEN_SYNTHETIC"]
        assert tile.read().min() > 0
    with rasterio.open(tiles.mosaic) as whole:
        assert whole.count == 2


def test_the_folder_can_be_trained_on_with_the_same_stretch(model, like, tmp_path):
    tiles = make_tiles(model, tmp_path / "tiles", 8, like=like)
    data = prepare_data(tiles.folder, "ImageGeneration", val_split_pct=0.5)
    assert data.classes == ["field", "water"]
    assert data.a.stretch.to_dict() == SIDE["stretch"]


def test_more_images_begin_with_the_fewer_and_a_seed_gives_others(model, tmp_path):
    def pixels(out, count, **options):
        tiles = make_tiles(model, tmp_path / out, count, **options)
        return [rasterio.open(path).read() for path in tiles.files]

    few, more = pixels("a", 2, labels="water"), pixels("b", 4, labels="water")
    assert all(map(np.array_equal, few, more))
    assert not np.array_equal(few[0], pixels("c", 1, labels="water", seed=1)[0])
    assert not np.array_equal(few[0], pixels("d", 1, labels="field")[0])


def test_a_model_without_classes_gives_a_flat_folder(tmp_path):
    tiles = make_tiles(generator(tmp_path / "m", ()), tmp_path / "tiles", 3, mosaic=None)
    assert {path.parent for path in tiles.files} == {tmp_path / "tiles"}
    assert tiles.mosaic is None
    with pytest.raises(SettingError, match="this model knows no classes"):
        make_tiles(tmp_path / "m", tmp_path / "more", 3, labels="water")


def test_what_can_not_be_made_is_refused(model, tmp_path):
    with pytest.raises(UnknownNameError, match="no class named 'sea'; there are field, water"):
        make_tiles(model, tmp_path / "t", 2, labels="sea")
    with pytest.raises(SettingError, match="truncation=0 is not above 0"):
        make_tiles(model, tmp_path / "t", 2, truncation=0)
    game = create_game("pix2pix", in_channels=2, out_channels=2, width=4, depth=5, d_width=4)
    path = save(tmp_path / "maps", game, Card("pix2pix", {}, SIDE, SIDE, 32))
    with pytest.raises(SettingError, match="maps is a pix2pix model, which makes no images from"):
        make_tiles(path, tmp_path / "t", 2)
    assert not (tmp_path / "t").exists()


def test_the_tool_goes_from_a_model_to_a_folder(model, like, tmp_path):
    from rs_gen.tools import generate

    told = []
    folder = generate(model, tmp_path / "tiles", 4, like, "water", tell=lambda *x: told.append(x))
    assert folder == tmp_path / "tiles"
    assert told == [("mosaic", tmp_path / "tiles.vrt")]
    assert json.loads((folder / "chips.json").read_text())["rs_gen"] == 1
    assert len(list((folder / "water").glob("*.tif"))) == 4
