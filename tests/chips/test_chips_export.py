from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from shapely.geometry import box

from rs_gen.chips import esri
from rs_gen.chips.export import export_chips
from rs_gen.chips.facts import facts_of
from rs_gen.chips.index import read_card, read_index
from rs_gen.chips.layouts import find_layout
from rs_gen.errors import (
    AreaError,
    Cancelled,
    ChipError,
    GridMismatchError,
    GridWarning,
    PairError,
    SettingError,
    SplitWarning,
    UnknownNameError,
)
from rs_gen.raster.grid import Grid

UTM = Affine(10, 0, 500000, 0, -10, 5000000)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder; the index by its rows, since SQLite notes when it was written."""
    found = {p.relative_to(folder).as_posix(): p.read_bytes()
             for p in folder.rglob("*") if p.is_file() and p.suffix != ".gpkg"}  # fmt: skip
    return found | {"index": read_index(folder).to_json().encode()}


def test_chips_are_the_rasters_pixels_in_their_place(raster, tmp_path):
    source = raster("s.tif", count=4, names=["red", "green", "blue", "nir"])
    target = raster("t.tif", count=3, dtype="uint8")
    export = export_chips(source, target, tmp_path / "out", 32, valid_share=0)
    assert (export.written, export.skipped, export.train, export.valid) == (20, 0, 20, 0)
    layout = find_layout(export.folder)
    assert (layout.kind, len(layout.a)) == ("pairs", 20)
    table = read_index(export.folder).set_index("stem")
    for side, path in (("a", source), ("b", target)):
        with rasterio.open(path) as whole:
            for chip in getattr(layout, side):
                row = table.loc[chip.stem]
                assert row[side] == chip.relative_to(export.folder).as_posix()
                with rasterio.open(chip) as cut:
                    window = rasterio.windows.Window(row.col_off, row.row_off, 32, 32)
                    assert (cut.read() == whole.read(window=window)).all()
                    assert cut.transform == whole.window_transform(window)
                    assert (cut.crs, cut.dtypes) == (whole.crs, whole.dtypes)
                    if side == "a":
                        assert cut.descriptions == ("red", "green", "blue", "nir")
                    assert box(*cut.bounds).equals(row.geometry)


def test_the_card_keeps_stretch_bands_and_provenance(raster, tmp_path):
    source, target = raster("s.tif", dtype="float32"), raster("t.tif", count=3, dtype="uint8")
    export_chips(source, target, tmp_path / "out", 32, valid_share=0.2, stretch=("minmax", "auto"))
    card = read_card(tmp_path / "out")
    assert (card["size"], card["stride"], card["paired"]) == (32, 32, True)
    assert (card["a"]["count"], card["a"]["dtype"], card["b"]["count"]) == (1, "float32", 3)
    assert card["b"]["stretch"] == {"low": [0.0] * 3, "high": [255.0] * 3, "scale": "linear"}
    layout = find_layout(tmp_path / "out")
    pixels = np.concatenate([rasterio.open(p).read().ravel() for p in layout.a])
    assert card["a"]["stretch"]["high"] == [pixels.max()]  # training chips alone
    assert card["a"]["mean"] == pytest.approx([pixels.mean()], rel=1e-5)
    assert card["provenance"]["rasters"][0]["targets"] == [
        {"name": "t.tif", "alignment": "same grid"}
    ]
    assert facts_of(layout, "a").to_side() == card["a"]


@pytest.mark.parametrize("stride", [16, 24, 32])
def test_no_validation_footprint_meets_a_training_one(raster, tmp_path, stride):
    one = raster("one.tif", (256, 256))
    other = raster("other.tif", (256, 256), transform=UTM * Affine.translation(250, 37))
    export = export_chips([one, other], None, tmp_path / "out", 32, stride, valid_share=0.15)
    table = read_index(tmp_path / "out")
    valid = table[table.split == "valid"].geometry
    train = table[table.split == "train"].geometry
    assert len(valid) == export.valid > 0
    assert len(train) == export.train > 0
    assert len(table) == export.written == export.train + export.valid + export.buffer
    assert not train.intersects(valid.union_all()).any()
    layout = find_layout(tmp_path / "out")
    assert (len(layout.a), len(layout.valid_a)) == (export.train, export.valid)


def test_rasters_of_two_crs_do_not_leak_either(raster, tmp_path):
    one = raster("one.tif", (256, 256))
    with rasterio.open(one) as dataset:
        transform, width, height = rasterio.warp.calculate_default_transform(
            dataset.crs, "EPSG:4326", 256, 256, *dataset.bounds)  # fmt: skip
    other = raster("other.tif", (height, width), transform=transform, crs="EPSG:4326")
    export_chips([one, other], None, tmp_path / "out", 32, valid_share=0.15)
    table = read_index(tmp_path / "out")
    assert set(table.source) == {"one.tif", "other.tif"}
    assert not table[table.split == "train"].intersects(
        table[table.split == "valid"].union_all()).any()  # fmt: skip
    for name in ("one.tif", "other.tif"):
        assert {"train", "valid"} <= set(table[table.source == name].split)


def test_a_validation_that_can_not_be_parted_is_said(raster, tmp_path):
    with pytest.warns(SplitWarning, match="validation is empty"):
        export = export_chips(raster(shape=(64, 64)), None, tmp_path / "out", 32)
    assert (export.train, export.valid) == (4, 0)


def test_holes_stay_holes_and_poor_chips_are_left_out(raster, tmp_path):
    pixels = np.random.default_rng(0).integers(1, 99, (2, 64, 96)).astype("uint16")
    pixels[:, :16, :32] = 0
    pixels[0, :, 32:64] = 0  # one band alone: still measured
    source = raster(pixels=pixels, nodata=0)
    full = export_chips(source, None, tmp_path / "full", 32, valid_share=0)
    assert (full.written, full.skipped) == (5, 1)
    some = export_chips(source, None, tmp_path / "some", 32, min_valid=0.5, valid_share=0)
    assert some.written == 6
    assert read_index(tmp_path / "some").valid_share.min() == 0.5
    with rasterio.open(tmp_path / "some/train_a/000_00000_00000.tif") as chip:
        assert chip.nodata == 0
        assert (chip.read(1)[:16] == 0).all()


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_holes_without_a_nodata_value_are_kept_too(raster, tmp_path, dtype):
    values = np.random.default_rng(0).integers(1, 99, (1, 64, 64)).astype(dtype)
    pixels = np.ma.MaskedArray(values, np.zeros(values.shape, bool))
    pixels.mask[0, :4, :4] = True
    if dtype == "float32":
        pixels = pixels.filled(np.nan)
    source = raster(pixels=pixels, mask=dtype == "uint8")
    export_chips(source, None, tmp_path / "out", 32, min_valid=0.5, valid_share=0)
    a = find_layout(tmp_path / "out").a
    from rs_gen.chips.reading import read_chip

    assert [int(read_chip(path).mask.sum()) for path in a] == [16, 0, 0, 0]


def test_a_target_elsewhere_is_warped_and_it_is_said(raster, tmp_path):
    ramp = np.add.outer(np.arange(128), np.arange(160))[None].astype("float32")
    source = raster("s.tif", pixels=ramp)
    finer = np.kron(ramp, np.ones((1, 2, 2), "float32"))
    target = raster("t.tif", pixels=finer, transform=UTM * Affine.scale(0.5))
    said = r"t.tif is not on the grid of s.tif: warped from 5 .* to 10 in EPSG:32633, average"
    with pytest.warns(GridWarning, match=said):
        export_chips(source, target, tmp_path / "out", 32, valid_share=0)
    how = read_card(tmp_path / "out")["provenance"]["rasters"][0]["targets"][0]["alignment"]
    assert how.startswith("warped from 5")
    layout = find_layout(tmp_path / "out")
    for a, b in zip(layout.a, layout.b, strict=True):
        with rasterio.open(a) as one, rasterio.open(b) as two:
            assert one.transform == two.transform
            assert np.abs(one.read() - two.read()).max() < 1e-3


def test_a_target_of_another_extent_is_cut_pixel_for_pixel(raster, tmp_path):
    pixels = np.random.default_rng(0).integers(1, 9999, (1, 200, 200)).astype("uint16")
    target = raster("t.tif", pixels=pixels, transform=UTM * Affine.translation(-20, -30))
    with pytest.warns(GridWarning, match="cut to its extent, pixel for pixel"):
        export = export_chips(raster("s.tif"), target, tmp_path / "out", 32, valid_share=0)
    assert export.written == 20
    with rasterio.open(tmp_path / "out/train_b/000_00001_00002.tif") as chip:
        assert (chip.read() == pixels[:, 62:94, 84:116]).all()


def test_classes_and_colour_tables_take_the_nearest_pixel(raster, tmp_path):
    ids = np.random.default_rng(0).integers(0, 4, (1, 128, 160)).astype("uint8")
    table = {0: (0, 0, 0, 255), 1: (255, 0, 0, 255), 2: (0, 255, 0, 255), 3: (0, 0, 255, 255)}
    moved = UTM * Affine.translation(0.3, 0.2)
    source = raster("s.tif")
    for name, options in (("plain", {}), ("table", {"colormap": table})):
        target = raster(f"{name}.tif", pixels=ids, transform=moved, **options)
        with pytest.warns(GridWarning, match="nearest; resampling= chooses another"):
            export_chips(source, target, tmp_path / name, 32, min_valid=0.5, valid_share=0)
        values = np.concatenate([np.unique(rasterio.open(p).read()) for p in
                                 find_layout(tmp_path / name).b])  # fmt: skip
        assert set(values) <= ({0, 1, 2, 3} if name == "plain" else {0, 255})


def test_rasters_among_many_find_each_other_by_place(raster, tmp_path):
    shift = UTM * Affine.translation(160, 0)
    sources = [raster("x.tif"), raster("y.tif", transform=shift)]
    pixels = np.random.default_rng(1).integers(1, 99, (1, 128, 320)).astype("uint16")
    halves = [raster("left.tif", pixels=pixels[..., :200]),
              raster("right.tif", pixels=pixels[..., 200:],
                     transform=UTM * Affine.translation(200, 0))]  # fmt: skip
    with pytest.warns(GridWarning, match="and 2 more alike"):
        export = export_chips(sources, halves, tmp_path / "out", 32, valid_share=0)
    assert export.written == 40
    table = read_index(tmp_path / "out")
    assert set(table.target) == {"left.tif", "left.tif, right.tif"}
    with rasterio.open(tmp_path / "out/train_b/001_00000_00001.tif") as chip:
        assert (chip.read() == pixels[:, :32, 192:224]).all()  # from both halves


def test_rasters_among_many_find_each_other_by_stem(raster, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    for day in ("may", "june"):
        raster(f"a/{day}.tif")
        raster(f"b/{day}.tif")
    export_chips(tmp_path / "a", tmp_path / "b", tmp_path / "out", 32, valid_share=0)
    table = read_index(tmp_path / "out")
    assert (table.source == table.target).all()


def test_rasters_without_partner_are_named(raster, tmp_path):
    far = UTM * Affine.translation(10_000, 0)
    sources = [raster("x.tif"), raster("y.tif", transform=far)]
    with pytest.raises(
        PairError, match=r"1 of 2 source rasters overlap no target.*: y.tif\. Leave"
    ):
        export_chips(sources, [raster("t.tif")], tmp_path / "out", 32)
    with pytest.raises(
        GridMismatchError, match=r"y.tif .* and t.tif .* do not overlap; check that"
    ):
        export_chips(sources[1], raster("t.tif"), tmp_path / "out", 32)


def test_unpaired_sides_are_cut_each_on_its_own_grid(raster, tmp_path):
    source = raster("s.tif", (192, 192))
    target = raster("t.tif", (256, 256), count=3, dtype="uint8", transform=UTM * Affine.scale(0.5))
    export = export_chips(source, target, tmp_path / "out", 32, paired=False, valid_share=0.15)
    layout = find_layout(tmp_path / "out")
    assert layout.kind == "unpaired"
    assert export.written == 36 + 64
    assert layout.valid_a
    assert layout.valid_b
    table = read_index(tmp_path / "out")
    train, valid = (table[table.split == s].geometry for s in ("train", "valid"))
    assert not train.intersects(valid.union_all()).any()  # B does not leak into A's validation
    assert read_card(tmp_path / "out")["b"]["count"] == 3


def test_chips_lie_inside_an_area_in_any_crs(raster, tmp_path):
    source = raster("s.tif", (320, 320))
    left, top = UTM * (35, 40)
    right, bottom = UTM * (165, 200)
    area = gpd.GeoSeries([box(left, bottom, right, top)], crs=32633).to_crs(4326)
    area.to_file(tmp_path / "area.geojson")
    export = export_chips(source, None, tmp_path / "in", 32, area=tmp_path / "area.geojson",
                          valid_share=0)  # fmt: skip
    table = read_index(tmp_path / "in")
    assert sorted(zip(table.col_off, table.row_off, strict=True)) == [
        (c, r) for c in (64, 96, 128) for r in (64, 96, 128, 160)]  # fmt: skip
    assert export.skipped == 100 - 12
    half = export_chips(source, None, tmp_path / "half", 32, area=tmp_path / "area.geojson",
                        area_share=0.5, valid_share=0)  # fmt: skip
    assert half.written > 12


def test_an_area_that_misses_is_refused(raster, tmp_path):
    gpd.GeoSeries([box(0, 0, 1, 1)], crs=4326).to_file(tmp_path / "area.gpkg")
    with pytest.raises(AreaError, match=r"area.gpkg miss all 1 rasters; source.tif covers"):
        export_chips(raster(), None, tmp_path / "out", 32, area=tmp_path / "area.gpkg")


def test_no_chips_say_why(raster, tmp_path):
    pixels = np.ones((1, 64, 64), "uint16")
    pixels[0, ::2] = 0
    said = r"none of 4 windows gives a chip: 0 lie .* 4 have less than .* the best has 0.50"
    with pytest.raises(ChipError, match=said):
        export_chips(raster(pixels=pixels, nodata=0), None, tmp_path / "out", 32)
    with pytest.raises(
        SettingError, match=r"size=256 leaves no window in source.tif of 64 x 64 px"
    ):
        export_chips(raster(pixels=pixels), None, tmp_path / "big", 256)


def test_rasters_of_one_side_must_agree(raster, tmp_path):
    with pytest.raises(
        ChipError, match=r"b.tif has 3 x uint16 but a.tif has 1 x uint16; rasters of"
    ):
        export_chips([raster("a.tif"), raster("b.tif", count=3)], None, tmp_path / "out", 32)


def stop_after(count):
    """A progress that is cancelled by its person."""

    def progress(items, total=None, label=""):
        for done, item in enumerate(items):
            if done == count:
                raise Cancelled
            yield item

    return progress


@pytest.mark.parametrize("style", ["rs_gen", "esri_pairs"])
def test_a_resumed_export_gives_the_bytes_of_an_uninterrupted_one(raster, tmp_path, style):
    source, target = raster("s.tif", nodata=0), raster("t.tif", count=3, dtype="uint8")
    arguments = {"size": 16, "stride": 12, "valid_share": 0.1, "style": style}
    with pytest.raises(Cancelled):
        export_chips(source, target, tmp_path / "out", **arguments, progress=stop_after(55))
    assert not (tmp_path / "out" / "chips.json").exists()
    resumed = export_chips(source, target, tmp_path / "out", **arguments)
    assert resumed.kept >= 55
    assert resumed.written > 0
    whole = export_chips(source, target, tmp_path / "whole", **arguments)
    assert whole.written == resumed.kept + resumed.written
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    again = export_chips(source, target, tmp_path / "out", **arguments)
    assert (again.written, again.kept) == (0, whole.written)


def test_a_torn_journal_and_lost_chips_are_made_good(raster, tmp_path):
    source, out = raster("s.tif"), tmp_path / "out"
    with pytest.raises(Cancelled):
        export_chips(source, None, out, 16, progress=stop_after(45))
    journal = out / ".chips.journal"
    journal.write_text(journal.read_text()[:-20])
    (out / "train_a/000_00000_00003.tif").unlink()
    export_chips(source, None, out, 16)
    export_chips(source, None, tmp_path / "whole", 16)
    assert contents(out) == contents(tmp_path / "whole")
    assert not journal.exists()


def test_a_changed_job_is_refused_by_what_changed(raster, tmp_path):
    source, out = raster("s.tif"), tmp_path / "out"
    export_chips(source, None, out, 32, valid_share=0)
    with pytest.raises(
        SettingError, match=r"another export \(size was 32 and is now 16; stride was"
    ):
        export_chips(source, None, out, 16, valid_share=0)
    raster("s.tif", shape=(160, 160))
    with pytest.raises(SettingError, match=r"sources: .*s.tif was modified"):
        export_chips(source, None, out, 32, valid_share=0)
    with pytest.raises(SettingError, match=r"sources: .*s.tif is gone; sources: .*z.tif is new"):
        export_chips(raster("z.tif"), None, out, 32, valid_share=0)
    assert export_chips(source, None, out, 16, valid_share=0, overwrite=True).written == 100
    assert len(list((out / "train_a").iterdir())) == 100


def test_foreign_chips_are_not_mixed_with_ours(raster, tmp_path, empty_files):
    out = empty_files("train_a/x.tif", "mine/notes.txt")
    with pytest.raises(SettingError, match="holds chips that this export did not write"):
        export_chips(raster(), None, out, 32)
    export_chips(raster(), None, out, 32, overwrite=True, valid_share=0)
    assert (out / "mine/notes.txt").exists()  # only what an export writes is removed
    assert not (out / "train_a/x.tif").exists()


def test_rasters_are_never_overwritten(raster, tmp_path):
    (tmp_path / "train_a").mkdir()
    source = raster("train_a/s.tif")
    with pytest.raises(SettingError, match=r"s.tif lies where the chips would go"):
        export_chips(source, None, tmp_path, 32, overwrite=True)
    assert source.exists()


def test_a_card_from_a_stranger_can_not_have_other_folders_removed(raster, tmp_path):
    (tmp_path / "precious").mkdir()
    out = tmp_path / "out"
    out.mkdir()
    job = {"style": "classes", "classes": ["../precious", str(tmp_path / "precious")]}
    (out / "chips.json").write_text(json.dumps({"rs_gen": 1, "provenance": {"job": job}}))
    export_chips(raster(), None, out, 32, overwrite=True, valid_share=0)
    assert (tmp_path / "precious").exists()


def test_a_failing_chip_leaves_nothing_half_written(raster, tmp_path, monkeypatch):
    from rs_gen.chips import cutting

    real, calls = cutting.geotiff, []

    def failing(*args, **options):
        calls.append(args)
        if len(calls) > 12:
            raise OSError("disk full")
        return real(*args, **options)

    monkeypatch.setattr(cutting, "geotiff", failing)
    source = raster()
    with pytest.raises(OSError, match=r"disk full"):
        export_chips(source, None, tmp_path / "out", 32)
    for path in (tmp_path / "out" / "train_a").iterdir():
        assert not path.name.startswith(".")
        with rasterio.open(path) as chip:
            assert chip.read().min() > 0
    monkeypatch.undo()
    assert export_chips(source, None, tmp_path / "out", 32).kept >= 5


def test_progress_counts_every_window(raster, tmp_path):
    seen = {}

    def progress(items, total=None, label=""):
        seen.update(total=total, label=label, count=0)
        for item in items:
            seen["count"] += 1
            yield item

    export_chips(raster(), None, tmp_path / "out", 32, progress=progress)
    assert seen == {"total": 20, "label": "Cutting chips", "count": 20}


def test_esris_pairs_are_written_and_read(raster, tmp_path):
    source, target = raster("s.tif", nodata=0), raster("t.tif", count=3, dtype="uint8")
    export_chips(source, target, tmp_path / "out", 32, style="esri_pairs", valid_share=0)
    layout = find_layout(tmp_path / "out")
    assert (layout.name, layout.kind, len(layout.a)) == ("esri_pairs", "pairs", 20)
    assert layout.a[7].name == "000000000007.tif"
    world = [float(x) for x in layout.a[7].with_suffix(".tfw").read_text().split()]
    assert world == [10, 0, 0, -10, 500645, 4999675]
    assert esri.read_map(tmp_path / "out/map.txt")[7] == (
        "images/000000000007.tif",
        "images2/000000000007.tif",
    )
    assert esri.read_stats(tmp_path / "out/stats.txt")["images"] == 20
    accumulated = esri.read_json(tmp_path / "out" / esri.ACCUMULATED)
    assert (accumulated["MetaDataMode"], accumulated["NextTileIndex"]) == ("Export_Tiles", 20)
    for side, path in (("a", source), ("b", target)):
        pixels = rasterio.open(path).read().astype(float)
        for band, stats in zip(pixels, esri.tile_statistics(layout.root, "esri_pairs", side),
                               strict=True):  # fmt: skip
            assert (stats.min, stats.max) == (band.min(), band.max())
            assert (stats.mean, stats.std) == (
                pytest.approx(band.mean()), pytest.approx(band.std(ddof=1)))  # fmt: skip
    (tmp_path / "out/chips.json").unlink()  # as if ArcGIS Pro had written it
    facts = facts_of(layout, "a", stretch="minmax", sample=2)
    assert facts.stretch.high == (rasterio.open(source).read().max(),)
    assert facts_of(layout, "a", sample=2).stretch != facts.stretch  # percentiles, from chips


@pytest.mark.parametrize("paired", [True, False])
def test_esris_cyclegan_is_written_and_read(raster, tmp_path, paired):
    source, target = raster("s.tif"), raster("t.tif", count=3, dtype="uint8")
    export_chips(source, target, tmp_path / "out", 32, style="esri_cyclegan", paired=paired)
    layout = find_layout(tmp_path / "out")
    assert (layout.name, layout.kind) == ("esri_cyclegan", "unpaired")
    if paired:
        assert find_layout(tmp_path / "out", "pairs").kind == "pairs"
    for side, bands in (("A", 1), ("B", 3)):
        assert esri.read_map(tmp_path / "out" / side / "map.txt")[0] == ("images/000000000000.tif",)
        content = esri.read_json(tmp_path / "out" / side / esri.ACCUMULATED)
        assert (content["MetaDataMode"], content["NumBands"]) == ("CycleGAN", bands)
        assert len(esri.tile_statistics(layout.root, layout.name, side.lower())) == bands


def test_options_that_can_not_work_are_refused(raster, tmp_path):
    source, out = raster(), tmp_path / "out"
    for options, message in (
        ({"min_valid": 2}, r"min_valid=2 must be from 0 to 1"),
        ({"valid_share": 1}, r"valid_share=1 must be from 0 to less than 1"),
        ({"area_share": 0}, r"area_share=0 must be above 0 and at most 1"),
        ({"style": "esri_cyclegan"}, r"style='esri_cyclegan' needs a target"),
        ({"style": "esri_pairs", "paired": False}, r"style='esri_pairs' is for pairs; unpaired"),
    ):
        with pytest.raises(SettingError, match=message):
            export_chips(source, None, out, 32, **options)
    with pytest.raises(UnknownNameError, match=r"no style named 'esri'; there are esri_cyclegan"):
        export_chips(source, None, out, 32, style="esri")
    assert not out.exists()


def test_rasters_without_crs_are_pairs_when_they_have_the_same_pixels(raster, tmp_path):
    plain = {"crs": None, "transform": Affine.identity()}
    source, target = raster("s.tif", **plain), raster("t.tif", **plain)
    assert export_chips(source, target, tmp_path / "out", 32, valid_share=0).written == 20
    with pytest.raises(GridMismatchError, match=r"t.tif is 64 x 64 px and s.tif 160 x 128 px, and"):
        export_chips(source, raster("t.tif", (64, 64), **plain), tmp_path / "no", 32)
    with pytest.raises(SettingError, match=r"s.tif has no CRS and other rasters have one"):
        export_chips([source, raster("u.tif")], None, tmp_path / "mixed", 32)


def test_turned_rasters_keep_their_turn(raster, tmp_path):
    turned = UTM * Affine.rotation(30)
    export_chips(raster(transform=turned), None, tmp_path / "out", 32, valid_share=0)
    row = read_index(tmp_path / "out").set_index("stem").loc["000_00001_00002"]
    grid = Grid((32, 32), turned * Affine.translation(64, 32), "EPSG:32633")
    assert shapely.normalize(row.geometry).equals_exact(shapely.normalize(grid.polygon), 1e-3)


def test_a_moved_dataset_still_reads(raster, tmp_path):
    export_chips(raster(), None, tmp_path / "out", 32, valid_share=0)
    shutil.move(tmp_path / "out", tmp_path / "elsewhere")
    assert len(find_layout(tmp_path / "elsewhere").a) == 20


@pytest.mark.data
def test_real_sar_and_optical_chips_are_split_by_place(imagery, tmp_path):
    scenes = imagery / "sar_optical_geotiff"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        export = export_chips(scenes / "sar", scenes / "opt", tmp_path / "out", 512)
    table = read_index(tmp_path / "out")
    assert export.written == 14 * 4
    valid = table[table.split == "valid"].union_all()
    assert not table[table.split == "train"].intersects(valid).any()
