"""The trust layers as a person asks for them: which there are, and that tiles are no matter."""

import numpy as np
import pytest
import rasterio
import torch
from rasterio.windows import Window
from translating import scene, write
from trusting import apart, make_package, read

from rs_gen.errors import (
    Cancelled,
    GridMismatchError,
    SettingError,
    TranslationError,
    UnknownNameError,
)
from rs_gen.translate.setting import translator_of
from rs_gen.translate.trust import LAYERS, beside, chosen, write_trust

SHAPE = (197, 166)


@pytest.fixture(scope="module")
def package():
    return make_package()


@pytest.fixture(scope="module")
def raster(tmp_path_factory):
    pixels = scene(SHAPE)
    pixels[:, :40, :55] = 0
    pixels[1, 120:126, 90:99] = 0
    return write(tmp_path_factory.mktemp("rasters") / "in.tif", pixels, nodata=0)


@pytest.fixture(scope="module")
def whole(package, raster, tmp_path_factory):
    """All layers computed in one piece."""
    out = tmp_path_factory.mktemp("trust") / "whole.tif"
    return write_trust(package, raster, out, tile_size=1024, device="cpu")


def test_every_layer_is_a_named_band_that_varies(whole):
    with rasterio.open(whole) as out:
        assert out.descriptions == (
            "cycle error", "disagreement over flips and turns", "drift of features",
            "realness (logit)",
        )  # fmt: skip
        assert out.dtypes == ("float32",) * 4
        assert np.isnan(out.nodata)
    for band in read(whole):
        assert band.std() > 1e-4


def test_the_mask_of_every_layer_is_that_of_the_translation(package, raster, whole, tmp_path):
    there = translator_of(package, "AtoB", "cpu")
    there(raster, tmp_path / "out.tif")
    with rasterio.open(tmp_path / "out.tif") as out, rasterio.open(whole) as trust:
        for band in (1, 2, 3, 4):
            assert (trust.read_masks(band) == out.dataset_mask()).all()
        assert trust.transform == out.transform
        assert trust.crs == out.crs


@pytest.mark.parametrize("tile_size", [64, 96])
def test_no_layer_depends_on_the_tiles(package, raster, whole, tmp_path, tile_size):
    tiled = write_trust(package, raster, tmp_path / "t.tif", tile_size=tile_size, device="cpu")
    found, wanted = read(tiled), read(whole)
    # A value on the edge between two levels may be rounded either way: one pixel in 10,000.
    off = np.abs(found - wanted) > 1e-4
    assert off.mean() < 1e-4
    assert apart(found[1:], wanted[1:]).max() < 1e-4


def test_a_window_and_an_area_have_the_pixels_of_the_whole(package, raster, whole, tmp_path):
    window = Window(37, 29, 71, 90)
    part = write_trust(package, raster, tmp_path / "w.tif", window=window, tile_size=64,
                       device="cpu")  # fmt: skip
    wanted = read(whole)[:, 29:119, 37:108]
    assert (np.abs(read(part) - wanted) > 1e-4).mean() < 1e-4
    assert (np.ma.getmaskarray(read(part)) == np.ma.getmaskarray(wanted)).all()


def test_an_area_hides_what_lies_outside_of_it(package, raster, whole, tmp_path):
    import shapely

    with rasterio.open(raster) as source:
        left, _, _, top = source.bounds
    area = shapely.Polygon([(left + 600, top - 600), (left + 1500, top - 700), (left, top - 1700)])
    options = {"layers": "disagreement", "area": area, "device": "cpu"}
    part = read(write_trust(package, raster, tmp_path / "a.tif", **options))
    rows, cols = part.shape[1:]
    wanted = read(whole)[1, 60 : 60 + rows, :cols]
    inside = ~np.ma.getmaskarray(part[0])
    assert 0.1 < inside.mean() < 0.8
    assert np.abs(part[0] - wanted)[inside].max() < 1e-4
    full = read(write_trust(package, raster, tmp_path / "f.tif", area_mode="mask", **options))
    assert full.shape[1:] == SHAPE
    assert full.count() == part.count()


def test_model_statistics_are_taken_where_asked_for(package, raster, whole, tmp_path):
    out = write_trust(package, raster, tmp_path / "m.tif", statistics="model", device="cpu")
    found = read(out)
    assert apart(found, read(whole))[0] > 1e-3
    assert apart(found, read(whole))[2] == 0, "drift always looks with the training's statistics"


@pytest.mark.parametrize("kind", ["regional", "exact"])
def test_other_statistics_do_not_make_tiles_matter(package, raster, tmp_path, kind):
    one, two = (
        read(write_trust(package, raster, tmp_path / f"{size}.tif", statistics=kind,
                         tile_size=size, device="cpu"))
        for size in (64, 1024)
    )  # fmt: skip
    assert (np.abs(one - two) > 1e-3).mean() < 1e-3
    assert apart(one[1:], two[1:]).max() < 1e-3


def test_the_same_seed_gives_the_same_noise_and_another_does_not(package, raster, tmp_path):
    def cycle(name, seed):
        return read(write_trust(package, raster, tmp_path / name, "cycle", seed=seed, device="cpu"))

    assert (cycle("a.tif", 1) == cycle("b.tif", 1)).all()
    assert (cycle("a.tif", 1) != cycle("c.tif", 2)).any()


def test_a_translation_on_disk_is_judged_like_the_one_made_here(package, raster, whole, tmp_path):
    there = translator_of(package, "AtoB", "cpu")
    made = there(raster, tmp_path / "out.tif", mixed_precision=False)
    out = write_trust(
        package, raster, tmp_path / "j.tif", "cycle,realness", translation=made, device="cpu"
    )
    found, wanted = read(out), read(whole)[[0, 3]]
    inner = (slice(60, -60), slice(60, -60))  # at the edge the padding differs, unseen on disk
    assert (np.abs(found[0][inner] - wanted[0][inner]) > 1e-3).mean() < 0.01
    assert np.ma.median(np.abs(found[1] - wanted[1])[inner]) < 0.1 * wanted[1].std()


def test_a_changed_translation_is_seen_by_the_cycle(package, raster, tmp_path):
    there = translator_of(package, "AtoB", "cpu")
    made = there(raster, tmp_path / "out.tif", statistics="model", mixed_precision=False)
    with rasterio.open(made, "r+") as out:
        pixels = out.read()
        pixels[:, 100:130, 100:130] = 255 - pixels[:, 100:130, 100:130]
        out.write(pixels)
    options = {"layers": "cycle", "statistics": "model", "device": "cpu"}
    trust, honest = (
        read(write_trust(package, raster, tmp_path / f"{name}.tif", translation=judged, **options))
        for name, judged in (("j", made), ("h", None))
    )
    assert np.abs(trust - honest)[0, 104:126, 104:126].mean() > 0.01
    assert (np.abs(trust - honest)[0, :60] > 1e-3).mean() < 0.01


def test_a_translation_of_another_place_is_refused(package, raster, tmp_path):
    other = write(tmp_path / "other.tif", scene((100, 100), bands=2))
    with pytest.raises(GridMismatchError, match="give the translation of the whole raster"):
        write_trust(package, raster, tmp_path / "x.tif", translation=other, device="cpu")
    assert not (tmp_path / "x.tif").exists()


def test_the_tags_say_how_and_what_training_was_like(whole):
    with rasterio.open(whole) as out:
        tags = out.tags()
    assert tags["RS_GEN_SOURCE"] == "in.tif"
    assert tags["RS_GEN_NOISE"] == "0.01"
    assert "red (PSI" in tags["RS_GEN_DRIFT"]
    assert "(median)" in tags["RS_GEN_REAL_CHIPS"]


def test_styles_lie_beside_the_raster(whole):
    names = {path.name for path in whole.parent.glob("*.qml")}
    assert names == {
        "whole.qml", "whole_disagreement.qml", "whole_drift.qml", "whole_realness.qml"
    }  # fmt: skip


def test_layers_are_asked_for_by_name(package):
    assert chosen("all", package) == list(LAYERS)
    assert chosen("drift, cycle", package) == ["cycle", "drift"]
    assert chosen(["realness"], package) == ["realness"]
    with pytest.raises(UnknownNameError, match="no trust layer named 'luck'; there are all, cycle"):
        chosen("luck", package)
    with pytest.raises(SettingError, match="no trust layer is asked for; there are cycle, dis"):
        chosen("", package)


def test_a_layer_that_a_model_can_not_give_says_why(package):
    one_way = make_package("pix2pix")
    assert chosen("all", one_way) == ["disagreement", "drift", "realness"]
    with pytest.raises(SettingError, match="'cycle': a pix2pix does not translate back"):
        chosen("cycle", one_way)
    old = package._replace(references={}, judged=False)
    assert chosen("all", old) == ["cycle", "disagreement"]
    with pytest.raises(SettingError, match="'drift': the model keeps no features of its train"):
        chosen("drift", old)
    with pytest.raises(SettingError, match="'realness': no discriminator was saved"):
        chosen("realness", old)


@pytest.mark.parametrize("tile_size", [64, 1024])
def test_a_discriminator_that_sees_the_source_too_is_handed_it(raster, tmp_path, tile_size):
    package = make_package("pix2pix", norm="batch")
    out = write_trust(package, raster, tmp_path / "p.tif", "realness", tile_size=tile_size,
                      device="cpu")  # fmt: skip
    assert read(out).std() > 1e-3


def test_several_models_disagree_where_one_can_not(package, raster, tmp_path):
    alone = write_trust(package, raster, tmp_path / "1.tif", "disagreement", models=[package],
                        device="cpu")  # fmt: skip
    assert read(alone).max() < 1e-6
    others = [make_package(seed=1), make_package(seed=2, downsamplings=1)]
    outs = [
        read(
            write_trust(package, raster, tmp_path / f"{size}.tif", "disagreement", models=others,
                        tile_size=size, device="cpu")
        )
        for size in (64, 1024)
    ]  # fmt: skip
    assert outs[0].mean() > 0.01
    assert apart(*outs).max() < 1e-4
    with rasterio.open(tmp_path / "64.tif") as out:
        assert out.descriptions == ("disagreement over 3 models",)


def test_models_of_another_task_are_not_compared(package, raster, tmp_path):
    other = make_package("pix2pix")
    card = other.card
    object.__setattr__(card, "target", card.source)
    odd = other._replace(card=card)
    with pytest.raises(TranslationError, match="makes 3 bands and model 2"):
        write_trust(package, raster, tmp_path / "x.tif", "disagreement", models=[odd],
                    device="cpu")  # fmt: skip


def test_a_raster_smaller_than_a_patch_still_has_its_layers(package, tmp_path):
    raster = write(tmp_path / "small.tif", scene((21, 34)))
    assert np.isfinite(read(write_trust(package, raster, tmp_path / "t.tif", device="cpu"))).all()


def test_a_raster_without_a_measurement_has_layers_without_one(package, tmp_path):
    raster = write(tmp_path / "empty.tif", np.zeros((3, 70, 80), "uint8"), nodata=0)
    assert np.ma.getmaskarray(read(write_trust(package, raster, tmp_path / "t.tif"))).all()


def test_a_stop_leaves_no_file(package, raster, tmp_path):
    with pytest.raises(Cancelled, match="stopped after 1 of"):
        write_trust(package, raster, tmp_path / "t.tif", "disagreement", tile_size=64,
                    cancel=lambda: True, device="cpu")  # fmt: skip
    assert list(tmp_path.iterdir()) == []


def test_the_layers_of_a_translation_lie_beside_it(tmp_path):
    assert beside(tmp_path / "map.tif") == tmp_path / "map_trust.tif"


def test_noise_is_a_share(package, raster, tmp_path):
    with pytest.raises(SettingError, match="noise=1 is a share"):
        write_trust(package, raster, tmp_path / "t.tif", noise=1)


def test_memory_may_be_bounded_and_tiles_left_to_the_run(package, raster, whole, tmp_path):
    out = write_trust(package, raster, tmp_path / "b.tif", "disagreement", tile_size="auto",
                      max_memory="4GB", device="cpu")  # fmt: skip
    assert np.abs(read(out)[0] - read(whole)[1]).max() < 1e-4
    with pytest.raises(SettingError, match="tile_size='huge' is no number of pixels or 'auto'"):
        write_trust(package, raster, tmp_path / "x.tif", tile_size="huge", device="cpu")


def test_judging_leaves_the_model_as_it_was(package, raster, tmp_path):
    before = {name: tensor.clone() for name, tensor in package.game.state_dict().items()}
    write_trust(package, raster, tmp_path / "t.tif", device="cpu")
    assert all(torch.equal(before[n], t) for n, t in package.game.state_dict().items())
