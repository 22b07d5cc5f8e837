from __future__ import annotations

import math
import time

import numpy as np
import pytest
from affine import Affine
from PIL import Image

from rs_gen.chips.facts import facts_of
from rs_gen.chips.layouts import find_layout
from rs_gen.chips.reading import grid_of, halves, read_chip, size_of
from rs_gen.chips.sides import Facts, describe
from rs_gen.errors import ChipError, LayoutError
from rs_gen.raster.values import Stretch


def test_a_chip_is_read_with_its_mask(raster):
    pixels = np.ma.arange(1, 33, dtype="uint16").reshape(2, 4, 4)
    pixels[:, 0, 0] = np.ma.masked
    path = raster(pixels=pixels, nodata=0, names=["red", "nir"])
    chip = read_chip(path)
    assert chip.mask.sum() == 2
    assert (chip.compressed() == pixels.compressed()).all()
    assert (read_chip(path, ["nir"])[0].data == chip.data[1]).all()
    assert size_of(path) == (4, 4)
    assert grid_of(path).crs.to_epsg() == 32633


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "I;16"])
def test_png_is_read_as_gdal_reads_it(tmp_path, mode):
    rng = np.random.default_rng(0)
    path = tmp_path / "x.png"
    if mode == "I;16":
        stored = rng.integers(0, 60000, (8, 12)).astype("uint16")
        Image.fromarray(stored).save(path)
    else:
        depth = {"L": (), "P": (), "RGB": (3,), "RGBA": (4,)}[mode]
        stored = rng.integers(0, 256, (8, 12, *depth)).astype("uint8")
        image = Image.fromarray(stored)
        if mode == "P":
            image.putpalette(rng.integers(0, 256, 768).astype("uint8").tobytes())
            stored = np.asarray(image.convert("RGB"))
        image.save(path)
    chip = read_chip(path)
    expected = stored[None] if stored.ndim == 2 else stored.transpose(2, 0, 1)[:3]
    assert chip.dtype == expected.dtype
    assert (chip.data == expected).all()
    assert chip.mask.shape == chip.shape
    assert chip.mask.any() == (mode == "RGBA" and (stored[..., 3] == 0).any())
    assert size_of(path) == (12, 8)


def test_bands_of_a_plain_image_are_chosen_by_index_or_name(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (4, 4, 3)).astype("uint8")
    Image.fromarray(pixels).save(tmp_path / "x.png")
    by_index, by_name = (read_chip(tmp_path / "x.png", b) for b in ([2, 0], ["blue", "red"]))
    assert (by_index == by_name).all()
    assert (by_index.data[0] == pixels[..., 2]).all()


def test_a_broken_chip_is_named(tmp_path):
    (tmp_path / "bad.png").write_bytes(b"\x89PNG nonsense")
    with pytest.raises(
        ChipError, match=r"^chip .*bad.png can't be read: not recognized as .*; rem"
    ):
        read_chip(tmp_path / "bad.png")
    with pytest.raises(ChipError, match=r"none.tif can't be read: no such file; remove it, or"):
        size_of(tmp_path / "none.tif")


@pytest.mark.parametrize("ending", ["png", "jpg", "tif"])
def test_a_chip_that_was_cut_short_is_named_and_never_read_as_black(tmp_path, ending):
    path = tmp_path / f"torn.{ending}"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype("uint8")
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ChipError, match=rf"torn.{ending} .*(cut short|can't be read).*remove it"):
        read_chip(path)


def test_halves_are_left_and_right():
    pixels = np.ma.MaskedArray(np.arange(12).reshape(1, 2, 6), False)
    a, b = halves(pixels)
    assert a.tolist() == [[[0, 1, 2], [6, 7, 8]]]
    assert b.tolist() == [[[3, 4, 5], [9, 10, 11]]]
    with pytest.raises(ChipError, match="5 px width has no equal halves"):
        halves(pixels[..., :5])


def test_facts_tell_what_the_chips_hold(raster):
    paths = [raster(f"{i}.tif", (8, 8), count=2, nodata=0, names=["vv", "vh"]) for i in range(3)]
    facts = describe(paths, stretch="minmax")
    assert (facts.count, facts.dtype, facts.nodata, facts.names) == (2, "uint16", 0, ("vv", "vh"))
    assert (facts.crs, facts.resolution, facts.sizes, facts.n) == ("EPSG:32633", 10.0, ((8, 8),), 3)
    pixels = read_chip(paths[0])
    assert facts.mean == pytest.approx(pixels.mean(axis=(1, 2)).tolist())
    assert facts.std == pytest.approx(pixels.std(axis=(1, 2)).tolist())
    assert facts.stretch.low == tuple(pixels.min(axis=(1, 2)))
    assert Facts.from_side(facts.to_side()) == facts


def test_a_nodata_of_nan_survives_json(raster):
    path = raster(dtype="float32", shape=(8, 8), nodata=math.nan)
    side = describe([path]).to_side()
    assert side["nodata"] == "nan"
    assert math.isnan(Facts.from_side(side).nodata)


def test_only_valid_pixels_count(raster):
    pixels = np.full((1, 8, 8), 9999, "uint16")
    pixels[0, :4] = np.arange(32).reshape(4, 8) + 1
    path = raster(pixels=pixels, nodata=9999)
    facts = describe([path], stretch="minmax")
    assert (facts.stretch.low, facts.stretch.high) == ((1.0,), (32.0,))
    assert facts.mean == (16.5,)


def test_a_bounded_sample_is_drawn_by_seed(raster):
    paths = [raster(f"{i}.tif", (8, 8), pixels=np.full((1, 8, 8), i + 1, "uint16"))
             for i in range(20)]  # fmt: skip
    few = describe(paths, sample=5, seed=1)
    assert few.n == 5
    assert few == describe(paths, sample=5, seed=1)
    assert few.mean != describe(paths, sample=5, seed=2).mean


def test_extremes_of_the_chips_looked_at_are_met_by_minmax(raster):
    pixels = np.full((1, 1024, 1024), 100, "uint16")
    pixels[0, 3, 5], pixels[0, 7, 1] = 1, 60000
    facts = describe([raster(pixels=pixels)], stretch="minmax")
    assert (facts.stretch.low, facts.stretch.high) == ((1.0,), (60000.0,))


def test_chips_of_one_side_must_agree(raster):
    paths = [raster("a.tif", (8, 8)), raster("b.tif", (8, 8), count=3)]
    with pytest.raises(ChipError, match=r"b.tif has 3 x uint16 but .*a.tif has 1 x uint16"):
        describe(paths)


def test_no_chips_and_no_valid_pixels_are_refused(raster):
    with pytest.raises(ChipError, match="there are no chips to describe"):
        describe([])
    empty = raster(pixels=np.zeros((1, 8, 8), "uint16"), nodata=0)
    with pytest.raises(ChipError, match="1 chips looked at have a band without a valid pixel"):
        describe([empty])


def test_a_side_with_a_missing_entry_is_refused():
    with pytest.raises(LayoutError, match=r"a side of chips.json lacks 'count'"):
        Facts.from_side({})


def test_facts_of_aligned_images_are_those_of_one_half(tmp_path):
    pixels = np.zeros((8, 16, 3), np.uint8)
    pixels[:, 8:] = 200
    Image.fromarray(pixels).save(tmp_path / "x.png")
    layout = find_layout(tmp_path)
    assert facts_of(layout, "a", stretch="dtype").mean == (0, 0, 0)
    b = facts_of(layout, "b", stretch="dtype")
    assert b.mean == (200, 200, 200)
    assert b.sizes == ((8, 8),)
    assert b.stretch == Stretch((0,) * 3, (255,) * 3)


@pytest.mark.slow  # opens 256 of 20,000 files
def test_many_chips_are_described_in_seconds(raster, tmp_path):
    first = raster("0.tif", (16, 16), transform=Affine(10, 0, 0, 0, -10, 0))
    paths = [first]
    for i in range(1, 20_000):
        paths.append(tmp_path / f"{i}.tif")
        paths[-1].hardlink_to(first)
    start = time.process_time()
    assert describe(paths).n == 256
    assert time.process_time() - start < 5


@pytest.mark.data
def test_real_maps_are_described(imagery):
    layout = find_layout(imagery / "maps256")
    facts = facts_of(layout, "b", sample=32)
    assert (facts.count, facts.dtype, facts.sizes) == (3, "uint8", ((256, 256),))
    assert facts.mean[0] > 200
