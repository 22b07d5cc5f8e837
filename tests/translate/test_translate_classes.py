"""A map in few colours: classes with a colour table, polygons, and what lies beside an output."""

from __future__ import annotations

import json

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from torch import nn
from translating import BYTES, grid_of, scene, write

from rs_gen.errors import SettingError, UnknownNameError
from rs_gen.metrics.palette import Palette
from rs_gen.raster.stac import beside, read_item
from rs_gen.raster.values import Stretch
from rs_gen.translate.classes import classes_of
from rs_gen.translate.sides import Side
from rs_gen.translate.storage import Storage
from rs_gen.translate.translator import Translator

TARGET = Side(BYTES, "uint8")
COLOURS = ((232, 229, 222), (177, 208, 254), (255, 255, 255))
LEARNT = Palette(
    tuple(tuple(v / 127.5 - 1 for v in c) for c in COLOURS), (0.7, 0.2, 0.1)
)  # fmt: skip


def drawn(shape=(90, 110)) -> np.ndarray:
    """(3, H, W): a map in the three colours with noise, and its classes."""
    ids = np.zeros(shape, int)
    ids[20:60, 30:70] = 1
    ids[70:74] = 2
    noise = np.random.default_rng(0).integers(-6, 1, (3, *shape))
    return (np.moveaxis(np.array(COLOURS)[ids], -1, 0) + noise).astype("uint8"), ids


def identity(**options) -> Translator:
    return Translator(nn.Identity(), TARGET, TARGET, device="cpu", size=32, **options)


@pytest.mark.parametrize("tile", [32, 1024])
@pytest.mark.parametrize("cog", [False, True])
def test_a_map_is_stored_as_classes_in_its_colours(tmp_path, tile, cog):
    pixels, ids = drawn()
    path = write(tmp_path / "in.tif", pixels)
    out = identity(palette=LEARNT)(
        path, tmp_path / "out.tif", palette="model", tile_size=tile, cog=cog
    )
    with rasterio.open(out) as made:
        assert (made.count, made.dtypes, made.nodata) == (1, ("uint8",), 255)
        assert made.colorinterp[0].name == "palette"
        assert [made.colormap(1)[i][:3] for i in range(3)] == list(COLOURS)
        assert (made.read(1) == ids).all()
        parameters = json.loads(made.tags()["RS_GEN_PARAMETERS"])
    assert parameters["classes"] == {"0": "class 0", "1": "class 1", "2": "class 2"}


def test_an_area_has_the_classes_of_the_full_run(tmp_path, nets):
    path = write(tmp_path / "in.tif", scene((90, 110)))
    translate = Translator(
        nets("resnet-batch"), BYTES, Side(Stretch((-1.0,) * 3, (1.0,) * 3), "uint8"),
        device="cpu", size=64,
    )  # fmt: skip
    palette = Palette(((-0.5, 0.0, 0.5), (0.5, 0.0, -0.5), (0.0, 0.0, 0.0)))
    options = {"palette": palette, "mixed_precision": False}
    full = translate(path, tmp_path / "full.tif", tile_size=64, **options)
    part = translate(path, tmp_path / "part.tif", tile_size=48, **options,
                     window=rasterio.windows.Window(33, 21, 50, 40))  # fmt: skip
    with rasterio.open(full) as all_, rasterio.open(part) as some:
        whole, piece = all_.read(1), some.read(1)
    assert len(np.unique(whole)) == 3
    assert (whole[21:61, 33:83] != piece).mean() < 1e-3, "only a tie may fall otherwise"


def test_colours_can_be_given_and_named():
    found = classes_of("land=#e8e5de, water=#b1d0fe,#ffffff", None, TARGET)
    assert [d.name for d in found.legend] == ["land", "water", "class 2"]
    assert [d.colour for d in found.legend] == list(COLOURS)
    wide = classes_of("#ff0000,#000000", None, Side(Stretch((0.0,) * 3, (9.0,) * 3), "uint16"))
    assert wide.palette.colours == ((1.0, -1.0, -1.0), (-1.0, -1.0, -1.0))
    assert wide.legend[0].colour == (255, 0, 0)


def test_a_number_takes_the_commonest_colours():
    assert [d.colour for d in classes_of(2, LEARNT, TARGET).legend] == list(COLOURS[:2])
    assert classes_of("2", LEARNT, TARGET) == classes_of(2, LEARNT, TARGET)
    grey = classes_of(Palette(((0.0,),)), None, Side(Stretch((0.0,), (255.0,)), "uint8"))
    assert grey.legend[0].colour == (128, 128, 128)


@pytest.mark.parametrize(
    ("wanted", "learned", "text"),
    [
        ("model", None, "this model has none: it was saved without data"),
        (4, None, "asks for the colours of the training chips"),
        ("blue", LEARNT, "none of 'model', a number of colours"),
        ("#12345", None, "'#12345' is no colour such as '#aadaff'"),
        ("0", LEARNT, "number=0 colours; it must be at least 1"),
        (Palette(((0.0,),) * 300), None, "300 colours; a map has at most 255"),
    ],
)
def test_colours_that_can_not_be_are_refused(wanted, learned, text):
    with pytest.raises(SettingError, match=text):
        classes_of(wanted, learned, TARGET)


def test_given_colours_need_three_bands():
    with pytest.raises(SettingError, match="needs a target of 3 bands, not 1"):
        classes_of("#ffffff", None, Side(Stretch((0.0,), (1.0,)), "uint8"))


def test_polygons_are_written_with_the_classes(tmp_path):
    pixels, ids = drawn()
    pixels[:, :10] = 0
    path = write(tmp_path / "in.tif", pixels, nodata=0)
    out = identity(palette=LEARNT)(
        path, tmp_path / "out.tif", polygons=tmp_path / "out.gpkg", tile_size=32
    )
    table = gpd.read_file(tmp_path / "out.gpkg", layer="classes")
    assert table.crs == grid_of((1, 1)).crs
    for value in range(3):
        held = table[table["class"] == value].pixels.sum()
        assert held == (ids[10:] == value).sum()
    item = read_item(out)
    assert item["assets"]["out"]["href"] == "out.gpkg"


def test_the_item_is_beside_the_output_unless_it_is_not_wanted(tmp_path):
    path = write(tmp_path / "in.tif", scene((40, 40)))
    out = identity()(path, tmp_path / "deep" / "out.tif")
    item = read_item(out)
    assert item["properties"]["rs_gen:synthetic_imagery"] is True
    assert item["links"][0]["href"] == "../in.tif"
    assert item["assets"]["data"]["file:size"] == out.stat().st_size
    identity()(path, out, stac=False)
    assert not beside(out).exists(), "one of an earlier raster would lie"


def test_options_that_can_not_work_are_refused_before_anything_is_read(tmp_path):
    with pytest.raises(UnknownNameError, match="no option for the output named 'cogg'"):
        identity()(tmp_path / "none.tif", tmp_path / "out.tif", cogg=True)
    with pytest.raises(SettingError, match="leave dtype and nodata out"):
        Storage(palette="model", dtype="uint16")
    with pytest.raises(SettingError, match=r"polygons='a\.shp' must end in \.gpkg"):
        Storage(polygons="a.shp")
    with pytest.raises(SettingError, match="least_area=-1 pixels"):
        Storage(least_area=-1)
    assert Storage(palette="").palette is None


def test_a_model_keeps_the_palette_of_its_training_chips(tmp_path):
    from rs_gen.games.card import Card
    from rs_gen.games.package import save
    from rs_gen.games.registry import create_game

    game = create_game("cyclegan", in_channels=3, out_channels=3, width=4, blocks=1, d_width=4)
    stretch = {"low": [0.0] * 3, "high": [255.0] * 3}
    side = {"count": 3, "dtype": "uint8", "nodata": None, "stretch": stretch}
    card = Card("cyclegan", game.settings, side, side, 64, palettes={"AtoB": LEARNT.to_dict()})
    package = save(tmp_path / "m", game, card)
    assert Translator.of(package, device="cpu").palette == LEARNT
    assert Translator.of(package, "BtoA", "cpu").palette is None
