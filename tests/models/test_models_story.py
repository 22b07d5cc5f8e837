"""Every model, from chips on disk to a GeoTIFF, as an analyst goes."""

import json

import numpy as np
import pytest
import rasterio
from worlds import chips, scene

from rs_gen.data.databunch import prepare_data
from rs_gen.errors import DriftWarning, PackageError, SettingError, TranslationError
from rs_gen.models.base import load_model
from rs_gen.models.cyclegan import CycleGAN
from rs_gen.models.pix2pix import Pix2Pix

TINY = {"d_width": 4, "width": 4, "ema_halflife": 20.0}
MODELS = {
    "pix2pix-unet": (Pix2Pix, TINY),
    "pix2pix-resnet": (Pix2Pix, {"generator": "resnet", "blocks": 1, **TINY}),
    "cyclegan": (CycleGAN, {"gen_blocks": 1, **TINY}),
}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    return chips(folder / "chips"), scene(folder / "scene.tif")


@pytest.fixture(scope="module", params=MODELS.values(), ids=MODELS)
def fitted(request, world, tmp_path_factory):
    kind, settings = request.param
    data = prepare_data(
        world[0], kind.supported_datasets[0], val_split_pct=0.4, batch_size=2,
        working_dir=tmp_path_factory.mktemp("work"),
    )  # fmt: skip
    model = kind(data, **settings)
    model.fit(1, progress=False)
    return model


def test_from_chips_to_a_raster(fitted, world, tmp_path):
    (row,) = fitted.history
    assert row["n"] == 3
    assert set(row) & set(fitted.available_metrics)
    path = fitted.save(tmp_path / "kept")
    assert path.is_dir()
    chip = world[0] / "train_a" / "000.tif"
    raster = fitted.translate_raster(world[1], tmp_path / "here.tif", tile_size=32)
    for place in (path, path / "kept.emd", tmp_path / "kept.dlpk"):
        again = type(fitted).from_model(place)
        assert np.array_equal(again.predict(chip), fitted.predict(chip))
    there = again.translate_raster(world[1], tmp_path / "there.tif", tile_size=64)
    with rasterio.open(raster) as here, rasterio.open(there) as out, rasterio.open(world[1]) as src:
        assert (out.crs, out.transform, out.shape) == (src.crs, src.transform, src.shape)
        assert out.dtypes == ("uint8",) * 3
        assert np.array_equal(out.read_masks(1) == 0, src.read(1) == 0)
        different = here.read().astype(int) - out.read()
        assert np.abs(different).max() <= 1


def test_both_statistics_translate_and_bfloat16_is_as_good(fitted, world, tmp_path):
    path = fitted.translate_raster(world[1], tmp_path / "x.tif", statistics="model")
    with rasterio.open(path) as out:
        assert out.tags()["RS_GEN_STATISTICS"] in ("model", "running")


def test_every_direction_predicts(fitted, world):
    bands = {"AtoB": ("train_a", 3, "uint8"), "BtoA": ("train_b", 2, "uint16")}
    for direction in fitted.game.directions:
        folder, count, dtype = bands[direction]
        made = fitted.predict(world[0] / folder / "001.tif", direction)
        assert made.shape == (count, 32, 32)
        assert made.dtype == dtype


def test_results_and_losses_are_figures_without_a_display(fitted, tmp_path):
    for figure in (fitted.show_results(rows=2), fitted.plot_losses()):
        figure.savefig(tmp_path / "figure.png")
        assert (tmp_path / "figure.png").stat().st_size > 2000
        assert figure._repr_png_()[:4] == b"\x89PNG"


def test_metrics_carry_n_and_protocol(fitted):
    found = fitted.compute_metrics()
    assert {score.n for score in found.values()} == {3}
    assert all(score.protocol for score in found.values())
    assert set(found) <= set(fitted.available_metrics)


def test_the_card_tells_how_it_came_about(fitted, tmp_path):
    path = fitted.save(tmp_path / "kept", licence="CC-BY-4.0", notes={"place": "Graz"})
    emd = json.loads((path / "kept.emd").read_text())
    card = emd["rs_gen"]["card"]
    assert card["training"]["steps"] == fitted.history[-1]["step"]
    assert card["training"]["training chips"] == 5
    assert card["training"]["recipe"]["betas"] == [0.5, 0.999]
    assert (card["licence"], card["notes"]) == ("CC-BY-4.0", {"place": "Graz"})
    assert all(score["n"] == 3 for score in card["metrics"].values())
    assert set(card["reach"]) == set(fitted.game.directions)
    pictures = {p.name for p in (path / "ModelCharacteristics").iterdir()}
    assert pictures == {"show_results.png", "loss_graph.png"}


def test_a_loaded_model_trains_on_with_data(fitted, tmp_path):
    path = fitted.save(tmp_path / "kept")
    again = load_model(path, fitted.data)
    assert type(again) is type(fitted)
    assert again.recipe.ema_halflife == 20.0
    again.fit(1, progress=False, folder=tmp_path / "more")
    assert again.history[-1]["step"] > 0
    assert again.save(tmp_path / "kept") == path  # replaced


def test_a_killed_training_goes_on_where_it_was(fitted, tmp_path):
    from fastai.callback.core import Callback

    class Cut(Callback):
        order = 200

        def after_batch(self):
            if self.training and self.learn.step == 2:
                raise KeyboardInterrupt

    def fresh():
        settings = next(s for k, s in MODELS.values() if _matches(fitted, k, s))
        return type(fitted)(fitted.data, **settings)

    options = {"progress": False, "save_every": 1, "preview": False}
    straight, cut, resumed = fresh(), fresh(), fresh()
    straight.fit(1, folder=tmp_path / "straight", **options)
    with pytest.raises(KeyboardInterrupt):
        cut.fit(1, folder=tmp_path / "cut", callbacks=[Cut()], **options)
    resumed.fit(1, folder=tmp_path / "cut", resume=True, **options)
    for (name, a), b in zip(
        straight.game.state_dict().items(), resumed.game.state_dict().values(), strict=True
    ):
        assert a.equal(b), name


def _matches(model, kind, settings):
    wanted = settings.get("generator", model.game.settings["generator"])
    same = model.game.settings["generator"] == wanted
    return type(model) is kind and same


def test_a_broken_package_is_named(fitted, tmp_path):
    path = fitted.save(tmp_path / "kept")
    (path / "kept.safetensors").write_bytes(b"no")
    with pytest.raises(PackageError, match="kept"):
        type(fitted).from_model(path)


def test_a_translation_is_judged_where_asked(fitted, world, tmp_path):
    saved = fitted.save(tmp_path / "kept")
    layers = ["disagreement", "realness"]  # five chips of one block are too few for drift
    layers = (["cycle"] if "BtoA" in fitted.game.directions else []) + layers
    out = fitted.translate_raster(
        world[1], tmp_path / "out.tif", tile_size=64, trust="all", drift="refuse"
    )
    with rasterio.open(tmp_path / "out_trust.tif") as trust, rasterio.open(out) as made:
        assert [name.split()[0] for name in trust.descriptions] == layers
        assert (trust.read_masks(1) == made.dataset_mask()).all()
        here = trust.read(len(layers))
    again = load_model(saved)
    again.translate_raster(world[1], tmp_path / "two.tif", trust=["realness"])
    with rasterio.open(tmp_path / "two_trust.tif") as trust:
        assert np.nanmax(np.abs(trust.read(1) - here)) < 1e-3
    with pytest.raises(SettingError, match="no trust layer 'drift'"):
        again.translate_raster(world[1], tmp_path / "no.tif", trust="drift")
    assert not (tmp_path / "no.tif").exists()


def test_a_raster_unlike_the_chips_is_told_or_refused(fitted, world, tmp_path):
    with rasterio.open(world[1]) as source:
        dim, profile = source.read() // 4, source.profile
    with rasterio.open(tmp_path / "dim.tif", "w", **profile) as out:
        out.write(dim)
    with pytest.warns(DriftWarning, match=r"dim.tif does not look like the training chips"):
        fitted.translate_raster(tmp_path / "dim.tif", tmp_path / "out.tif", drift="warn")
    with pytest.raises(TranslationError, match="pass drift='warn' or 'off'"):
        fitted.translate_raster(tmp_path / "dim.tif", tmp_path / "no.tif", drift="refuse")
    assert not (tmp_path / "no.tif").exists()
