"""Raster in, GeoTIFF out: tiles equal the whole, holes stay holes, and nothing is half-written."""

import time

import numpy as np
import pytest
import rasterio
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rasterio.windows import Window
from shapely.geometry import Polygon
from torch import nn
from translating import BYTES, grid_of, lively, scene, to_float, write

from rs_gen.errors import (
    AreaError,
    BandWarning,
    Cancelled,
    GridWarning,
    RasterError,
    SettingError,
    TranslationError,
    UnknownNameError,
)
from rs_gen.networks.resnet import resnet_generator
from rs_gen.networks.unet import unet_generator
from rs_gen.raster.reader import RasterReader
from rs_gen.raster.values import Stretch
from rs_gen.raster.vector import write_gpkg
from rs_gen.raster.writer import RasterWriter
from rs_gen.translate import engine, flow, plan, translator
from rs_gen.translate.translator import Translator

ANY_TMP = settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def read(path):
    with rasterio.open(path) as dataset:
        return dataset.read(masked=True)


def identity(bands=1, **options):
    stretch = options.pop("stretch", Stretch((0.0,) * bands, (255.0,) * bands))
    return Translator(nn.Identity(), stretch, stretch, device="cpu", **options)


def whole(translate, path, **options):
    """The oracle: the same statistics, one piece."""
    return translate.translate_whole(
        read(path), statistics=translate.statistics_of(path), **options
    )


@pytest.fixture
def frugal(monkeypatch):
    """Tiles are never made larger, so that the tiles asked for are the tiles computed."""
    monkeypatch.setattr(plan, "_DEAR", float("inf"))


# ---- the identity --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dtype", "top", "nodata"),
    [("uint8", 255, None), ("uint8", 255, 0), ("uint16", 10000, 65535), ("float32", 1, -9999.0)],
)
def test_translating_with_the_identity_gives_the_raster_back(tmp_path, dtype, top, nodata):
    pixels = scene((70, 53), 2, "float32") / 4100 * top
    pixels = (np.rint(pixels) if dtype != "float32" else pixels).astype(dtype)
    if nodata is not None:
        pixels[:, 10:20, 10:20] = nodata
    path = write(tmp_path / "in.tif", pixels, nodata=nodata)
    stretch = Stretch((0.0, 0.0), (top, top))
    translate = identity(stretch=stretch, dtype=dtype, nodata=nodata)
    out = translate(path, tmp_path / "out.tif", tile_size=32)
    with rasterio.open(out) as given, rasterio.open(path) as source:
        assert given.transform == source.transform
        assert given.crs == source.crs
        assert given.shape == source.shape
        assert given.nodata == nodata
        assert given.dtypes == source.dtypes
        step = 1 if dtype != "float32" else 1e-6
        assert np.abs(given.read().astype("float64") - pixels.astype("float64")).max() <= step
        if nodata is not None:
            assert ((given.read() == nodata) == (pixels == nodata)).all()


# ---- tiles equal the whole -----------------------------------------------------------------------

KINDS = ["resnet-instance", "resnet-batch", "resnet-smooth", "unet-batch-5", "unet-instance-5"]


@pytest.mark.parametrize(
    ("kind", "tile", "batch"),
    [*((kind, 64, 3) for kind in KINDS), ("resnet-instance", 32, 5), ("unet-batch-5", 96, 1)],
)
def test_tiled_equals_whole(tmp_path, nets, frugal, kind, tile, batch):
    translate = to_float(nets(kind))
    path = write(tmp_path / "in.tif", scene((200, 261)))
    got = read(translate(path, tmp_path / "out.tif", tile_size=tile, batch_size=batch))
    assert got.std() > 0.2, "a network that answers the same everywhere proves nothing"
    assert np.abs(got - whole(translate, path)).max() <= 2e-4  # 1e-4 of a range of 2


@ANY_TMP
@given(
    shape=st.tuples(st.integers(1, 150), st.integers(1, 150)),
    tile=st.integers(1, 90),
    batch=st.integers(1, 5),
    row=st.integers(0, 100),
    col=st.integers(0, 100),
)
def test_any_window_tile_and_batch_give_the_pixels_of_the_whole(
    tmp_path, nets, shape, tile, batch, row, col
):
    translate = to_float(nets("resnet-instance"))
    path = write(tmp_path / "in.tif", scene(shape))
    window = Window(min(col, shape[1] - 1), min(row, shape[0] - 1), 40, 70)
    out = translate(path, tmp_path / "out.tif", tile_size=tile, batch_size=batch, window=window)
    inside = whole(translate, path)[
        :, window.row_off : window.row_off + 70, window.col_off : window.col_off + 40
    ]
    got = read(out)
    assert got.shape == inside.shape
    assert np.abs(got - inside).max() <= 2e-4


@pytest.mark.slow  # 765 px of reach need a raster that is larger
def test_a_deep_unet_is_exact_with_its_own_reach(tmp_path, frugal):
    net = lively(unet_generator(3, 3, 2, depth=8), side=256)
    translate = to_float(net)
    assert (translate.reach.left, translate.reach.phase) == (765, 256)
    path = write(tmp_path / "in.tif", scene((1900, 2100)))
    got = read(translate(path, tmp_path / "out.tif", tile_size=512))
    assert np.abs(got - whole(translate, path)).max() <= 2e-4


def test_after_rounding_hardly_a_pixel_differs_and_none_by_more_than_a_level(tmp_path, nets):
    translate = Translator(
        nets("resnet-instance"), BYTES, BYTES, device="cpu", dtype="uint8", size=64
    )
    path = write(tmp_path / "in.tif", scene((300, 300)))
    options = {"mixed_precision": False}
    got = read(translate(path, tmp_path / "out.tif", tile_size=128, **options)).astype(int)
    difference = np.abs(got - whole(translate, path).astype(int))
    assert difference.max() <= 1
    assert (difference > 0).mean() <= 1e-4


def test_without_its_halo_a_tiled_run_would_differ(tmp_path, nets, monkeypatch):
    """The tests above can fail: a reach that is too short shows."""
    short = translator.Reach(4, 4, 4)
    monkeypatch.setattr(translator, "reach", lambda net, applied: short)
    translate = to_float(nets("resnet-instance"))
    path = write(tmp_path / "in.tif", scene((260, 331)))
    got = read(translate(path, tmp_path / "out.tif", tile_size=64))
    assert np.abs(got - whole(translate, path)).max() > 0.01
    assert not translate.verify(path).passed


def test_the_same_run_gives_the_same_bytes(tmp_path, nets):
    translate = to_float(nets("resnet-instance"))
    path = write(tmp_path / "in.tif", scene((150, 200)))
    one, two = (translate(path, tmp_path / name, tile_size=64) for name in ("1.tif", "2.tif"))
    assert one.read_bytes() == two.read_bytes()


def test_statistics_of_the_raster_do_not_depend_on_tiles_or_area(tmp_path, nets, monkeypatch):
    translate = to_float(nets("resnet-instance"), size=64)
    path = write(tmp_path / "in.tif", scene((200, 300)))
    seen = []
    freeze = translator.Engine.frozen

    def look(self, statistics):
        seen.append(statistics)
        return freeze(self, statistics)

    monkeypatch.setattr(translator.Engine, "frozen", look)
    translate(path, tmp_path / "1.tif", tile_size=32)
    translate(path, tmp_path / "2.tif", tile_size=128, window=Window(100, 50, 30, 30))
    for name, (mean, var) in seen[0].items():
        assert torch.equal(mean, seen[1][name][0])
        assert torch.equal(var, seen[1][name][1])


def test_a_small_raster_is_normalised_by_itself_as_in_training(tmp_path, nets):
    net = nets("resnet-instance")
    translate = to_float(net, size=128)
    path = write(tmp_path / "in.tif", scene((128, 128)))
    got = read(translate(path, tmp_path / "out.tif", tile_size=64))
    with torch.no_grad():
        plain = net(torch.from_numpy(BYTES.encode(read(path)))[None])[0].numpy()
    assert np.abs(got - plain).max() <= 1e-3


def test_the_generator_that_was_given_is_left_alone(tmp_path, nets):
    net = resnet_generator(3, 3, 4, blocks=1).train()
    translate = to_float(net)
    translate(write(tmp_path / "in.tif", scene((60, 60))), tmp_path / "out.tif")
    assert net.training
    assert all(p.requires_grad for p in net.parameters())
    assert translate.generator is not net


# ---- areas ---------------------------------------------------------------------------------------


def test_an_area_gives_its_pixels_and_nodata_outside(tmp_path, nets):
    translate = to_float(nets("resnet-instance"))
    path = write(tmp_path / "in.tif", scene((120, 160)))
    grid = grid_of((120, 160))
    triangle = Polygon([grid.transform @ p for p in ((30, 20), (100, 30), (40, 90))])
    area = write_gpkg(tmp_path / "a.gpkg", "a", [{"geometry": triangle}], "EPSG:32633")
    full = read(translate(path, tmp_path / "full.tif", tile_size=64))
    got = read(translate(path, tmp_path / "part.tif", tile_size=64, area=area))
    same = read(translate(path, tmp_path / "same.tif", tile_size=64, area=triangle))
    assert got.shape == (3, 70, 70)
    assert 0.4 < got.mask.mean() < 0.7
    assert np.abs(got - full[:, 20:90, 30:100]).max() <= 2e-4
    assert (got.filled(9) == same.filled(9)).all()


def test_an_area_and_a_window_exclude_each_other(tmp_path):
    path = write(tmp_path / "in.tif", scene((20, 20), 1))
    with pytest.raises(SettingError, match="area and window are both given; choose one"):
        identity()(path, tmp_path / "o.tif", area="a.gpkg", window=Window(0, 0, 4, 4))


def test_a_window_that_misses_is_refused(tmp_path):
    path = write(tmp_path / "in.tif", scene((20, 30), 1))
    with pytest.raises(AreaError, match="misses the raster, which has 20 rows, 30 columns"):
        identity()(path, tmp_path / "out.tif", window=Window(30, 0, 4, 4))
    assert not (tmp_path / "out.tif").exists()


# ---- holes ---------------------------------------------------------------------------------------


def test_holes_come_back_where_they_were_and_do_not_leak(tmp_path, nets):
    translate = Translator(
        nets("resnet-instance"), BYTES, BYTES, device="cpu", dtype="uint8", nodata=7
    )
    pixels = scene((150, 200))
    pixels[:, 40:90, 50:120] = 0
    pixels[1, 100:110, 10:20] = 0  # one band is enough
    path = write(tmp_path / "in.tif", pixels, nodata=0)
    with rasterio.open(translate(path, tmp_path / "out.tif", tile_size=64)) as out:
        assert out.nodata == 7
        holes = (pixels == 0).any(axis=0)
        assert ((out.read() == 7) == holes).all()


def test_a_target_without_nodata_gets_a_mask_in_the_file_where_there_are_holes(tmp_path):
    pixels = scene((60, 60), 1)
    whole_path = write(tmp_path / "whole.tif", pixels)
    pixels[:, 5:9, 5:40] = 0
    path = write(tmp_path / "in.tif", pixels, nodata=0)
    translate = identity(dtype="uint8")
    with rasterio.open(translate(path, tmp_path / "out.tif", tile_size=32)) as out:
        assert out.nodata is None
        assert ((out.dataset_mask() == 0) == (pixels[0] == 0)).all()
    assert not (tmp_path / "out.tif.msk").exists()
    with rasterio.open(translate(whole_path, tmp_path / "all.tif")) as out:
        assert rasterio.enums.MaskFlags.all_valid in out.mask_flag_enums[0]


def test_a_float_that_is_no_number_is_a_hole(tmp_path):
    pixels = scene((40, 40), 1, "float32")
    pixels[0, 3, 4] = np.nan
    path = write(tmp_path / "in.tif", pixels, nodata=None)
    translate = identity(stretch=Stretch((0.0,), (4100.0,)), dtype="float32", nodata=-1.0)
    out = read(translate(path, tmp_path / "out.tif", tile_size=16))
    assert out.mask.sum() == 1
    assert out.mask[0, 3, 4]


def test_what_lies_in_a_hole_changes_nothing_outside(tmp_path, nets):
    translate = to_float(nets("resnet-instance"))
    pixels = scene((100, 120))
    results = []
    for hidden in (0, 255):
        pixels[:, 30:60, 30:80] = hidden
        path = write(tmp_path / f"{hidden}.tif", pixels, nodata=hidden)
        results.append(read(translate(path, tmp_path / f"o{hidden}.tif", tile_size=64)))
    assert (results[0].mask == results[1].mask).all()
    assert np.abs(results[0] - results[1]).max() <= 2e-4


def test_tiles_without_a_measurement_are_not_computed(tmp_path, nets, monkeypatch):
    translate = to_float(nets("resnet-instance"), nodata=-9.0)
    pixels = scene((256, 256))
    pixels[:, :128] = 0
    path = write(tmp_path / "in.tif", pixels, nodata=0)
    computed, cores = [], engine.Engine.cores

    def count(self, pixels, *rest):
        computed.append(len(pixels))
        return cores(self, pixels, *rest)

    monkeypatch.setattr(engine.Engine, "cores", count)
    translate(path, tmp_path / "out.tif", tile_size=64, batch_size=1)
    assert computed == [1] * 8


def test_a_raster_without_any_measurement_gives_one_too(tmp_path, nets):
    translate = to_float(nets("resnet-instance"), nodata=-9.0)
    path = write(tmp_path / "in.tif", np.zeros((3, 90, 90), "uint8"), nodata=0)
    assert read(translate(path, tmp_path / "out.tif", tile_size=32)).mask.all()
    assert translate.translate_whole(read(path)).mask.all()
    with pytest.raises(TranslationError, match=r"in\.tif has no valid pixel to verify with"):
        translate.verify(path)


# ---- whole or not at all -------------------------------------------------------------------------


def test_a_cancelled_run_leaves_no_file(tmp_path, nets):
    translate = to_float(nets("resnet-instance"))
    path = write(tmp_path / "in.tif", scene((200, 200)))
    asked = iter([False, False, True])
    with pytest.raises(Cancelled, match="stopped after 3 of 16 tiles; no file was written"):
        translate(path, tmp_path / "out.tif", tile_size=50, cancel=lambda: next(asked))
    assert [p.name for p in tmp_path.iterdir()] == ["in.tif"]


def test_a_progress_that_stops_early_leaves_no_file(tmp_path):
    path = write(tmp_path / "in.tif", scene((200, 200), 1))

    def impatient(tiles, total, label):
        for tile, _ in zip(tiles, range(2), strict=False):
            yield tile

    with pytest.raises(Cancelled, match="stopped after 2 of 16 tiles"):
        identity(dtype="uint8")(path, tmp_path / "out.tif", tile_size=50, progress=impatient)
    assert not (tmp_path / "out.tif").exists()


def test_progress_is_told_every_tile(tmp_path):
    path = write(tmp_path / "in.tif", scene((100, 130), 1))
    told = []

    def count(tiles, total, label):
        for tile in tiles:
            told.append((total, label))
            yield tile

    identity(dtype="uint8")(path, tmp_path / "out.tif", tile_size=50, progress=count)
    assert told == [(6, "Translating")] * 6


@pytest.mark.parametrize("stage", ["read", "compute", "_write"])
def test_a_failure_in_any_stage_reaches_the_caller_and_keeps_the_old_file(
    tmp_path, monkeypatch, stage
):
    path = write(tmp_path / "in.tif", scene((200, 200), 1))
    out = tmp_path / "out.tif"
    out.write_text("precious")
    calls, work = [], getattr(flow.Flow, stage)

    def fail(self, *args):
        calls.append(1)
        if len(calls) == 3:
            raise OSError("the disk is gone")
        return work(self, *args)

    monkeypatch.setattr(flow.Flow, stage, fail)
    with pytest.raises(OSError, match="the disk is gone"):
        identity(dtype="uint8")(path, out, tile_size=40, batch_size=2)
    assert out.read_text() == "precious"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.tif", "out.tif"]


def test_an_existing_file_is_kept_on_request(tmp_path):
    path = write(tmp_path / "in.tif", scene((20, 20), 1))
    (tmp_path / "out.tif").touch()
    with pytest.raises(TranslationError, match=r"out\.tif is there already; choose another name"):
        identity()(path, tmp_path / "out.tif", overwrite=False)
    with pytest.raises(TranslationError, match=r"in\.tif is the raster to translate"):
        identity()(path, path)


def test_numbers_that_are_none_are_not_written(tmp_path):
    class Broken(nn.Module):
        def forward(self, x):
            return x * float("nan")

    path = write(tmp_path / "in.tif", scene((20, 20), 1))
    translate = Translator(Broken(), Stretch((0,), (255,)), Stretch((0,), (255,)), device="cpu")
    with pytest.raises(TranslationError, match="not numbers: its weights are broken"):
        translate(path, tmp_path / "out.tif")
    with pytest.raises(TranslationError, match="not numbers; try mixed_precision=False"):
        translate(path, tmp_path / "out.tif", mixed_precision=True)


def test_reading_and_writing_never_meet_in_gdal(tmp_path, monkeypatch):
    """Else a block that one thread flushes loses what the other writes into it meanwhile."""
    inside, met = [], []
    for owner, name in ((RasterReader, "read"), (RasterWriter, "write")):
        work = getattr(owner, name)

        def slow(self, *args, work=work, **options):
            met.append(len(inside))
            inside.append(1)
            time.sleep(0.002)
            try:
                return work(self, *args, **options)
            finally:
                inside.pop()

        monkeypatch.setattr(owner, name, slow)
    path = write(tmp_path / "in.tif", scene((200, 200), 1))
    identity(dtype="uint8")(path, tmp_path / "out.tif", tile_size=32)
    assert len(met) > 90
    assert max(met) == 0


# ---- what the output says ------------------------------------------------------------------------


def test_the_output_says_how_it_was_made(tmp_path, nets):
    translate = to_float(nets("resnet-instance"), name="oslo", direction="BtoA")
    path = write(tmp_path / "in.tif", scene((60, 60)))
    with rasterio.open(translate(path, tmp_path / "out.tif", tile_size=50)) as out:
        tags = {k: v for k, v in out.tags().items() if k.startswith("RS_GEN_")}
    assert tags.pop("RS_GEN_VERSION")
    assert len(tags.pop("RS_GEN_MODEL_DIGEST")) == 16
    assert len(tags.pop("RS_GEN_SOURCE_DIGEST")) == 16
    assert tags == {
        "RS_GEN_SYNTHETIC": "imagery made by a generative model, not measured",
        "RS_GEN_MODEL": "oslo",
        "RS_GEN_DIRECTION": "BtoA",
        "RS_GEN_SOURCE": "in.tif",
        "RS_GEN_PARAMETERS": '{"bands": ["red", "green", "blue"]}',
        "RS_GEN_STATISTICS": "sampled",
        "RS_GEN_REACH": "28,28",
        "RS_GEN_PHASE": "4",
        "RS_GEN_TILE_SIZE": "48",
        "RS_GEN_HALO": "28",
        "RS_GEN_PRECISION": "float32",
        "RS_GEN_TILING": "exact",
    }


def test_names_and_colours_are_those_of_the_target(tmp_path, nets):
    names = ("roads", "water", "forest")
    translate = Translator(
        nets("resnet-batch"), BYTES, BYTES, device="cpu", dtype="uint8", names=names
    )
    path = write(tmp_path / "in.tif", scene((60, 60)))
    with rasterio.open(translate(path, tmp_path / "out.tif", cog=True)) as out:
        assert out.descriptions == names
        assert [c.name for c in out.colorinterp] == ["red", "green", "blue"]
        assert out.tags()["RS_GEN_STATISTICS"] == "running"
        assert out.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"


def test_dtype_and_nodata_can_be_asked_for(tmp_path):
    pixels = scene((40, 40), 1)
    pixels[0, :5] = 0
    path = write(tmp_path / "in.tif", pixels, nodata=0)
    translate = identity(dtype="uint8", nodata=3)
    with rasterio.open(translate(path, tmp_path / "a.tif", dtype="int16", nodata=-1)) as out:
        assert (out.dtypes, out.nodata) == (("int16",), -1)
        assert ((out.read() == -1) == (pixels == 0)).all()
    with rasterio.open(translate(path, tmp_path / "b.tif", nodata=None)) as out:
        assert out.nodata is None
        assert ((out.dataset_mask() == 0) == (pixels[0] == 0)).all()


# ---- statistics ----------------------------------------------------------------------------------


def test_kinds_of_statistics_are_listed(tmp_path):
    path = write(tmp_path / "in.tif", scene((20, 20), 1))
    for kind in ("tile", "global"):
        message = f"statistics='{kind}' is not known; there are model, sampled, exact, reg"
        with pytest.raises(SettingError, match=message):
            identity()(path, tmp_path / "out.tif", statistics=kind)


def test_the_statistics_of_the_model_are_used_and_recorded(tmp_path, nets):
    path = write(tmp_path / "in.tif", scene((130, 140)))
    other = write(tmp_path / "other.tif", scene((130, 140), seed=1) // 2 + 100)
    norms = to_float(nets("resnet-instance")).statistics_of(other)
    translate = to_float(nets("resnet-instance"), norms=norms)
    out = translate(path, tmp_path / "out.tif", tile_size=64, statistics="model")
    expected = translate.translate_whole(read(path), statistics=norms)
    assert np.abs(read(out) - expected).max() <= 2e-4
    assert np.abs(expected - whole(translate, path)).max() > 0.05
    with rasterio.open(out) as dataset:
        assert dataset.tags()["RS_GEN_STATISTICS"] == "model"


def test_a_model_without_statistics_says_what_to_use(tmp_path, nets):
    path = write(tmp_path / "in.tif", scene((30, 30)))
    with pytest.raises(TranslationError, match=r"no stored statistics.*use statistics='sampled'"):
        to_float(nets("resnet-instance"))(path, tmp_path / "out.tif", statistics="model")


# ---- rasters that don't suit ---------------------------------------------------------------------


def test_too_few_bands_are_refused(tmp_path):
    path = write(tmp_path / "in.tif", scene((20, 20), 1))
    side = {"stretch": BYTES, "dtype": "uint8", "names": ["r", "g", "b"]}
    translate = Translator(nn.Identity(), side, BYTES, device="cpu")
    message = r"in\.tif has 1 bands \(gray\) and the model needs 3 \(r, g, b\)"
    with pytest.raises(TranslationError, match=message):
        translate(path, tmp_path / "out.tif")


def test_a_warning_points_at_the_caller(tmp_path):
    path = write(tmp_path / "in.tif", scene((20, 20), 4))
    with pytest.warns(BandWarning, match="has 4 bands and the model needs 3; the first 3") as seen:
        identity(3, dtype="uint8")(path, tmp_path / "out.tif")
    assert seen[0].filename == __file__


def test_bands_are_found_by_name(tmp_path):
    pixels = scene((20, 20), 4)
    path = write(tmp_path / "in.tif", pixels, names=["nir", "red", "green", "blue"])
    side = {"stretch": BYTES, "dtype": "uint8", "names": ["Red", "Green", "Blue"]}
    translate = Translator(nn.Identity(), side, BYTES, device="cpu", dtype="uint8")
    assert (read(translate(path, tmp_path / "a.tif")) == pixels[1:]).all()
    chosen = translate(path, tmp_path / "b.tif", bands=["nir", 1, 2])
    assert (read(chosen) == pixels[:3]).all()
    with pytest.raises(TranslationError, match=r"has 2 bands.*the model needs 3"):
        translate(path, tmp_path / "c.tif", bands=[0, 1])
    with pytest.raises(UnknownNameError, match="swir"):
        translate(path, tmp_path / "c.tif", bands=["swir", 1, 2])


def test_another_ground_resolution_is_worth_a_warning(tmp_path):
    side = {"stretch": Stretch((0,), (255,)), "dtype": "uint8", "resolution": [10.0, 10.0]}
    translate = Translator(nn.Identity(), side, side, device="cpu")
    coarse = write(tmp_path / "coarse.tif", scene((20, 20), 1), metres=20)
    with pytest.warns(
        GridWarning, match=r"coarse\.tif is at 20 m and the model was trained at 10 m; resample"
    ):
        translate(coarse, tmp_path / "out.tif")
    near = write(tmp_path / "near.tif", scene((20, 20), 1), metres=10.5)
    translate(near, tmp_path / "out.tif")


def test_another_kind_of_values_is_worth_a_warning(tmp_path):
    side = {"stretch": Stretch((0,), (255,)), "dtype": "uint8"}
    path = write(tmp_path / "in.tif", scene((20, 20), 1, "uint16"))
    with pytest.warns(BandWarning, match="is uint16 and the model was trained on uint8; values"):
        Translator(nn.Identity(), side, side, device="cpu")(path, tmp_path / "out.tif")


def test_a_missing_raster_is_named(tmp_path):
    with pytest.raises(RasterError, match=r"gone\.tif: no such file"):
        identity()(tmp_path / "gone.tif", tmp_path / "out.tif")


def test_a_generator_for_other_bands_is_refused(tmp_path, nets):
    path = write(tmp_path / "in.tif", scene((40, 40)))
    one = Stretch((0,), (255,))
    with pytest.raises(TranslationError, match="where the target needs"):
        Translator(nets("resnet-batch"), BYTES, one, device="cpu")(path, tmp_path / "out.tif")
    path = write(tmp_path / "one.tif", scene((40, 40), 1))
    with pytest.raises(TranslationError, match="the generator can't take 1 bands"):
        Translator(nets("resnet-batch"), one, BYTES, device="cpu")(path, tmp_path / "out.tif")


# ---- chips and packages --------------------------------------------------------------------------


def test_one_chip_is_translated_in_memory(nets):
    translate = Translator(
        nets("resnet-instance"), BYTES, BYTES, device="cpu", dtype="uint8", nodata=0
    )
    chip = np.ma.array(scene((37, 50)), mask=False)
    chip[0, 3:6, 7] = np.ma.masked
    fake = translate.predict(chip)
    assert (fake.shape, fake.dtype) == ((3, 37, 50), np.dtype("uint8"))
    assert (fake.mask == chip.mask.any(axis=0)).all()
    assert ((fake.data == 0) == fake.mask).all()
    assert fake.std() > 10
    with pytest.raises(TranslationError, match="the pixels have 2 bands and the model needs 3"):
        translate.predict(chip[:2])


def test_precision_is_halved_only_for_outputs_of_eight_bits(tmp_path, nets, monkeypatch):
    monkeypatch.setattr(
        translator, "autocast_dtype", lambda _, mode: torch.bfloat16 if mode else None
    )
    translate = Translator(nets("resnet-instance"), BYTES, BYTES, device="cpu", dtype="uint8")
    path = write(tmp_path / "in.tif", scene((60, 60)))

    def precision(**options):
        with rasterio.open(translate(path, tmp_path / "out.tif", **options)) as out:
            return out.tags()["RS_GEN_PRECISION"]

    assert precision() == "bfloat16"
    assert precision(mixed_precision=False) == "float32"
    assert precision(dtype="uint16") == "float32"
    assert precision(dtype="float32", mixed_precision=True) == "bfloat16"


def test_tiles_agree_in_half_precision_too(tmp_path, nets):
    """As measured for the published networks: 3e-5 of the 8-bit pixels, by one level."""
    translate = Translator(nets("resnet-batch"), BYTES, BYTES, device="cpu", dtype="uint8")
    path = write(tmp_path / "in.tif", scene((300, 300)))
    tiled, once = (
        read(translate(path, tmp_path / f"{side}.tif", tile_size=side, mixed_precision=True))
        for side in (64, 300)
    )
    assert (np.abs(tiled.astype(int) - once) > 0).mean() <= 1e-3
    exact, plain = whole(translate, path), whole(translate, path, mixed_precision=True)
    errors = [np.abs(got.astype(int) - exact).mean() for got in (tiled, plain)]
    assert errors[0] <= 1.05 * errors[1], "no worse than the network as it is"


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_and_cpu_agree(tmp_path, nets):
    path = write(tmp_path / "in.tif", scene((200, 200)))
    on_cpu, on_cuda = (to_float(nets("resnet-instance"), device=d) for d in ("cpu", "cuda"))
    cpu = read(on_cpu(path, tmp_path / "cpu.tif", tile_size=64))
    cuda = read(on_cuda(path, tmp_path / "cuda.tif", tile_size=64, mixed_precision=False))
    assert np.abs(cpu - cuda).max() <= 1e-2
