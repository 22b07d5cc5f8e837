from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from affine import Affine
from rasterio.crs import CRS

from rs_gen import prepare_data
from rs_gen.data.side import Side
from rs_gen.errors import GridWarning, SettingError, ValueRangeError
from rs_gen.raster.grid import Grid
from rs_gen.raster.reader import RasterReader
from rs_gen.raster.values import Stretch
from rs_gen.translate.generated import export_tiles
from rs_gen.translate.tags import SYNTHETIC

TURNED = Affine(8, 6, 4e5, 6, -8, 5.3e6)  # 10 m pixels, a grid that is not north-up
GEOTIFFS = Path(__file__).parents[2] / ".." / "shared" / "data" / "geotiff"


def side(dtype="uint16", nodata=0.0, bands=2, resolution=10.0, **ends):
    low, high = ends.get("low", (100.0, 50.0)), ends.get("high", (3100.0, 9050.0))
    names = ("red", "nir", "blue")[:bands]
    return Side(bands, dtype, nodata, names, Stretch(low[:bands], high[:bands]), resolution, None)


def images(n=5, bands=2, height=16, width=16):
    dice = torch.Generator().manual_seed(n)
    return torch.rand(n, bands, height, width, generator=dice) * 2 - 1


@pytest.mark.parametrize(
    ("dtype", "nodata"),
    [("uint8", None), ("uint16", 0.0), ("int16", -32768.0), ("float32", float("nan"))],
)
def test_values_come_back_within_one_stored_step(tmp_path, dtype, nodata):
    ends = {"low": (3.0, 0.0), "high": (250.0, 255.0)} if dtype == "uint8" else {}
    known, made = side(dtype, nodata, **ends), images()
    tiles = export_tiles(made, tmp_path / "out", known, crs="EPSG:32633", transform=TURNED)
    for path, image in zip(tiles.files, made, strict=True):
        with rasterio.open(path) as file:
            assert file.dtypes == (dtype, dtype)
            assert file.nodata is None if nodata is None else str(file.nodata) == str(nodata)
            assert file.descriptions == ("red", "nir")
        with RasterReader(path) as reader:
            stored = reader.read(reader.grid.window)
        assert not np.ma.getmaskarray(stored).any()
        half = (np.array(known.stretch.high) - known.stretch.low)[:, None, None] / 2
        expected = np.array(known.stretch.low)[:, None, None] + (image.double().numpy() + 1) * half
        step = 1.0 if dtype != "float32" else 1e-2
        assert np.abs(stored.data - expected).max() <= step


def test_tiles_lie_side_by_side_on_the_grid_and_say_what_they_are(tmp_path):
    tiles = export_tiles(
        images(5), tmp_path / "out", side(), crs=32633, transform=TURNED, columns=2,
        tags={"model": "RegularizedGAN", "seed": 3},
    )  # fmt: skip
    assert tiles.grid.shape == (48, 32)
    for i, path in enumerate(tiles.files):
        with rasterio.open(path) as file:
            assert path.name == f"tile_{i:05d}.tif"
            assert file.crs == CRS.from_epsg(32633)
            assert file.transform.almost_equals(
                TURNED * Affine.translation(i % 2 * 16, i // 2 * 16)
            )
            tags = file.tags()
            assert tags["RS_GEN_SYNTHETIC"] == SYNTHETIC
            assert (tags["RS_GEN_MODEL"], tags["RS_GEN_SEED"]) == ("RegularizedGAN", "3")


def test_tiles_like_a_raster_fill_its_width_from_its_corner(tmp_path):
    grid = Grid((64, 70), Affine(10, 0, 5e5, 0, -10, 5e6), CRS.from_epsg(32633))
    like = tmp_path / "like.tif"
    with rasterio.open(
        like, "w", driver="GTiff", height=64, width=70, count=1, dtype="uint8", crs=grid.crs,
        transform=grid.transform,
    ):  # fmt: skip
        pass
    tiles = export_tiles(images(5), tmp_path / "out", side(), like=like)
    with rasterio.open(tiles.files[4]) as file:  # four tiles of 16 fit into 70 pixels
        assert (file.transform.c, file.transform.f) == (5e5, 5e6 - 160)
        assert file.crs == grid.crs
    assert export_tiles(images(5), tmp_path / "two", side(), like=grid).grid == tiles.grid


@pytest.mark.data
@pytest.mark.skipif(not GEOTIFFS.is_dir(), reason="needs ../shared/data")
def test_tiles_like_a_real_raster_lie_on_its_pixels(tmp_path):
    like = GEOTIFFS / "rasterio" / "RGB.byte.tif"
    if not like.exists():
        like = next(p for p in sorted(GEOTIFFS.rglob("*.tif")) if rasterio.open(p).crs)
    with RasterReader(like) as reader:
        grid = reader.grid
    tiles = export_tiles(images(3), tmp_path / "out", side(resolution=None), like=like)
    for path in tiles.files:
        with rasterio.open(path) as file:
            col, row = ~grid.transform * (file.transform.c, file.transform.f)
            assert file.crs == grid.crs
            assert (col % 1, row % 1) == pytest.approx((0, 0), abs=1e-6)


def test_pixels_of_another_size_than_the_chips_warn(tmp_path):
    small = Affine(0.5, 0, 5e5, 0, -0.5, 5e6)
    with pytest.warns(GridWarning, match=r"show 10 m a pixel but transform has 0.5 m.* of 10 m"):
        export_tiles(images(1), tmp_path / "out", side(), crs=32633, transform=small)


def test_without_a_place_tiles_have_the_pixel_size_of_the_chips(tmp_path):
    tiles = export_tiles(images(2), tmp_path / "out", side(resolution=20.0))
    with rasterio.open(tiles.files[0]) as file:
        assert file.crs is None
        assert file.res == (20, 20)


def test_class_folders_are_read_back_as_what_was_generated(tmp_path):
    made, known = images(8), side()
    tiles = export_tiles(
        made, tmp_path / "out", known, crs=32633, transform=TURNED,
        labels=torch.tensor([0, 1] * 4), classes=["crops/maize", "forest"],
    )  # fmt: skip
    assert tiles.files[2] == tmp_path / "out" / "crops" / "maize" / "tile_00002.tif"
    data = prepare_data(tiles.folder, "ImageGeneration", val_split_pct=0.25, transforms=False)
    assert data.classes == ["crops/maize", "forest"]
    assert (data.a.stretch, data.a.dtype, data.a.names) == (known.stretch, "uint16", known.names)
    assert data.a.resolution == pytest.approx(10, rel=1e-3)
    paths = [*data.train_ds.chips.files.paths, *data.valid_ds.chips.files.paths]
    read = torch.cat([data.images("train")[0], data.images("valid")[0]])
    for path, image in zip(paths, read, strict=True):
        original = made[int(path.stem.split("_")[1])]
        assert (image - original).abs().max() < 2 / 3000
    with rasterio.open(tiles.files[0]) as file:
        assert file.tags()["RS_GEN_CLASS"] == "crops/maize"


def test_tiles_without_classes_are_one_folder_of_chips(tmp_path):
    tiles = export_tiles(images(4), tmp_path / "out", side())
    data = prepare_data(tiles.folder, "ImageGeneration", val_split_pct=0.25)
    assert (data.classes, len(data.train_ds.labels)) == ([], 3)


@pytest.mark.parametrize("nodata", [0.0, None])
@pytest.mark.parametrize("kind", ["vrt", "tif"])
def test_the_mosaic_is_the_tiles_and_masked_where_there_are_none(tmp_path, kind, nodata):
    known = side("uint16", nodata)
    place = {"crs": 32633, "transform": TURNED}
    tiles = export_tiles(images(5), tmp_path / "out", known, mosaic=kind, columns=3, **place)
    assert tiles.mosaic == tmp_path / f"out.{kind}"
    with RasterReader(tiles.mosaic) as reader:
        assert reader.grid.matches(tiles.grid)
        whole = reader.read(reader.grid.window)
        assert reader.names == ("red", "nir")
        assert reader.tags["RS_GEN_SYNTHETIC"] == SYNTHETIC
    for i, path in enumerate(tiles.files):
        row, col = i // 3 * 16, i % 3 * 16
        with rasterio.open(path) as file:
            assert (whole[:, row : row + 16, col : col + 16].data == file.read()).all()
    masked = np.ma.getmaskarray(whole)
    assert masked[:, 16:, 32:].all()
    assert masked.sum() == 2 * 16 * 16


def test_a_vrt_moves_with_its_tiles(tmp_path):
    tiles = export_tiles(images(2), tmp_path / "a" / "out", side())
    (tmp_path / "a").rename(tmp_path / "b")
    with rasterio.open(tmp_path / "b" / tiles.mosaic.name) as file:
        assert file.read().any()


def test_values_beyond_the_range_are_held_and_numbers_that_are_none_refused(tmp_path):
    made = torch.full((1, 2, 16, 16), 3.0)
    tiles = export_tiles(made, tmp_path / "out", side())
    with rasterio.open(tiles.files[0]) as file:
        assert file.read()[:, 0, 0].tolist() == [3100, 9050]
    with pytest.raises(ValueRangeError, match="not a number"):
        export_tiles(made * float("nan"), tmp_path / "nan", side())


def test_a_failed_export_leaves_nothing_and_an_earlier_one_as_it_was(tmp_path):
    out, made = tmp_path / "out", images(3)
    broken = made.clone()
    broken[2] = float("nan")
    with pytest.raises(ValueRangeError):
        export_tiles(broken, out, side())
    assert list(tmp_path.iterdir()) == []
    export_tiles(made, out, side())
    before = {p: p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()}
    with pytest.raises(ValueRangeError):
        export_tiles(broken, out, side(), overwrite=True)
    assert {p: p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()} == before


def test_only_earlier_tiles_are_replaced_and_only_on_request(tmp_path):
    out = tmp_path / "out"
    export_tiles(images(3), out, side(), labels=["a", "b", "a"])
    with pytest.raises(SettingError, match="holds generated tiles already; pass overwrite=True"):
        export_tiles(images(2), out, side())
    export_tiles(images(2), out, side(), overwrite=True)
    assert not (out / "a").exists()
    other = tmp_path / "photos"
    other.mkdir()
    (other / "holiday.jpg").write_bytes(b"")
    for overwrite in (False, True):
        with pytest.raises(SettingError, match="holds files that are not generated tiles"):
            export_tiles(images(2), other, side(), overwrite=overwrite)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"crs": 32633}, "crs without transform; give both"),
        ({"transform": TURNED}, "transform without crs; give both"),
        ({"like": "x.tif", "crs": 32633}, "like tells CRS and transform; leave crs"),
        ({"labels": [0, 1]}, "labels are numbers; name the classes"),
        ({"labels": [0]}, "1 labels for 2 images"),
        ({"labels": [0, 2], "classes": ["a", "b"]}, "label 2 is none of the 2 classes"),
        ({"labels": ["a:", "a?"]}, "classes 'a:' and 'a\\?' would share folder 'a_'"),
        ({"columns": 0}, "columns=0 is not a whole number"),
        ({"mosaic": "png"}, "mosaic='png' is none of"),
    ],
)
def test_options_that_contradict_each_other_are_refused(tmp_path, options, text):
    with pytest.raises(SettingError, match=text):
        export_tiles(images(2), tmp_path / "out", side(), **options)
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_stack_of_images_is_refused(tmp_path):
    with pytest.raises(SettingError, match=r"one \(N, C, H, W\) tensor .* got \(2, 16, 16\)"):
        export_tiles(images(1)[0], tmp_path / "out", side())
    with pytest.raises(SettingError, match="pass dtype="):
        export_tiles(images(1), tmp_path / "out", side().stretch)
    tiles = export_tiles(images(1), tmp_path / "out", side().stretch, dtype="int32")
    with rasterio.open(tiles.files[0]) as file:
        assert file.dtypes == ("int32", "int32")
