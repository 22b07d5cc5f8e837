"""RegularizedGAN from class folders to images on disk, as an analyst goes."""

import json

import numpy as np
import pytest
import torch
from fastai.callback.core import Callback
from worlds import grid, write

from rs_gen.data.databunch import prepare_data
from rs_gen.errors import SettingError, TrainingError, UnknownNameError
from rs_gen.models.base import load_model
from rs_gen.models.generation import slerp, steps_to_rounds
from rs_gen.models.recipes import train
from rs_gen.models.regularized_gan import RegularizedGAN
from rs_gen.translate.translator import Translator

TINY = {"base": "dcgan", "widths": [8, 8, 8], "z_dim": 8, "ema_halflife": 20.0}
QUIET = {"progress": False, "preview": False}


def classes(folder, names=("field", "water"), count=12, size=16):
    dice = np.random.default_rng(3)
    for k, name in enumerate(names):
        for i in range(count):
            pixels = dice.integers(100 + 900 * k, 900 + 900 * k, (2, size, size)).astype("uint16")
            write(folder / name / f"{i:02}.tif", pixels, grid(size, size, size * (count * k + i)))
    return folder


def data_of(folder, **options):
    options = {"batch_size": 8, "val_split_pct": 0.34, "working_dir": folder.parent, **options}
    return prepare_data(folder, "ImageGeneration", **options)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return classes(tmp_path_factory.mktemp("world") / "chips")


@pytest.fixture(scope="module")
def data(folder):
    return data_of(folder)


@pytest.fixture(scope="module")
def fitted(data):
    model = RegularizedGAN(data, **TINY)
    model.fit(steps=4, progress=False)
    return model


def test_a_training_leaves_rows_pictures_and_numbers_of_the_features(fitted):
    (row,) = fitted.history
    assert row["step"] == 4
    assert {"kernel", "frechet", "erank_g", "d_train_test_gap", "nearest_ratio_pixels"} <= set(row)
    assert {"loss_uniformity_g", "loss_entropy_d", "loss_r1"} <= set(row)
    assert set(row) >= set(fitted.available_metrics)
    assert (fitted.folder / "previews" / "epoch_0001.png").stat().st_size > 1000


def test_images_are_stored_values_of_the_chips(fitted, tmp_path):
    path = fitted.save(tmp_path / "scenes", compute_metrics=False)
    images = fitted.generate(5, "water", seed=3)
    assert images.shape == (5, 2, 16, 16)
    assert images.dtype == np.uint16
    again = load_model(path)
    assert type(again) is RegularizedGAN
    assert np.array_equal(again.generate(5, "water", seed=3), images)
    assert np.array_equal(again.generate(9, "water", seed=3)[:5], images)
    assert not np.array_equal(again.generate(5, "water", seed=4), images)
    assert not np.array_equal(again.generate(5, "field", seed=3), images)
    assert again.generate_encoded(3).is_contiguous()  # as whoever writes them to a file expects
    assert again.side.stretch == fitted.side.stretch


def test_the_card_has_classes_and_no_source(fitted, tmp_path):
    path = fitted.save(tmp_path / "scenes", licence="CC0-1.0")
    card = json.loads((path / "scenes.emd").read_text())["rs_gen"]["card"]
    assert (card["source"], card["classes"]) == ({}, ["field", "water"])
    assert card["training"]["steps"] == 4
    assert card["metrics"]["kernel"]["n"] == 8
    assert "from noise to 2 bands" in (path / "scenes.md").read_text()
    assert {p.name for p in (path / "ModelCharacteristics").iterdir()} == {
        "show_results.png", "loss_graph.png"
    }  # fmt: skip
    with pytest.raises(SettingError, match="makes images from noise and translates none"):
        Translator.of(path)


class TestLabels:
    def test_without_any_the_classes_come_in_turn(self, fitted):
        assert fitted.labels_of(5).tolist() == [0, 1, 0, 1, 0]

    def test_names_and_numbers_for_all_or_each(self, fitted):
        assert fitted.labels_of(2, "water").tolist() == [1, 1]
        assert fitted.labels_of(2, 0).tolist() == [0, 0]
        assert fitted.labels_of(3, ["water", 0, "field"]).tolist() == [1, 0, 0]

    def test_what_is_not_there_is_refused(self, fitted, folder):
        with pytest.raises(UnknownNameError, match="no class named 'sea'; there are field, water"):
            fitted.generate(1, "sea")
        with pytest.raises(SettingError, match="class 2 is not within 0 to 1"):
            fitted.generate(1, 2)
        with pytest.raises(SettingError, match="2 labels for n=3 images"):
            fitted.generate(3, [0, 1])
        plain = RegularizedGAN(data_of(folder), conditional=False, **TINY)
        with pytest.raises(SettingError, match="this model knows no classes; train it on class f"):
            plain.generate(1, "water")
        assert plain.generate(2).shape == (2, 2, 16, 16)

    def test_numbers_that_can_not_work_are_refused(self, fitted):
        with pytest.raises(SettingError, match="n=0 is no number of images"):
            fitted.generate(0)
        with pytest.raises(SettingError, match="truncation=0 is not above 0"):
            fitted.generate(1, truncation=0)
        with pytest.raises(SettingError, match="steps=1 has no way between two ends"):
            fitted.interpolate(1)


def test_truncation_makes_images_alike(fitted):
    wide, narrow = (
        fitted.generate_encoded(16, "field", truncation=t).var(0).mean() for t in (1.0, 0.3)
    )
    assert narrow < wide


def test_interpolation_begins_and_ends_with_the_images_of_its_seeds(fitted):
    way = fitted.interpolate(5, "water", seeds=(3, 4))
    assert np.array_equal(way[0], fitted.generate(1, "water", seed=3)[0])
    assert np.abs(way[-1].astype(int) - fitted.generate(1, "water", seed=4)[0]).max() <= 1
    assert not np.array_equal(way[1], way[2])


def test_the_way_keeps_the_length_of_noise_where_ends_are_orthogonal():
    first, last = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 2.0]])
    way = slerp(first, last, torch.linspace(0, 1, 5)[:, None])
    torch.testing.assert_close(way.norm(dim=1), torch.full((5,), 2.0))


class TestInformation:
    def test_of_the_model_and_of_its_checkpoints(self, fitted):
        now = fitted.feature_information(32)
        best = fitted.feature_information(32, checkpoint=fitted.folder / "best.safetensors")
        last = fitted.feature_information(32, checkpoint=fitted.folder / "last.safetensors")
        assert set(now) == set(best) == set(last)
        assert "nearest_ratio_pixels" in now
        assert now["erank_g"] == best["erank_g"]  # the best is what fit leaves
        assert now["erank_g"] != last["erank_g"]

    def test_without_data_the_gap_is_left_out(self, fitted, tmp_path):
        path = fitted.save(tmp_path / "scenes", compute_metrics=False)
        assert "d_train_test_gap" not in load_model(path).feature_information(16)

    def test_of_another_model_is_refused(self, fitted, data):
        other = RegularizedGAN(data, **{**TINY, "widths": [8, 8, 4]})
        with pytest.raises(SettingError, match=r"best.safetensors is of another model"):
            other.feature_information(16, checkpoint=fitted.folder / "best.safetensors")

    def test_is_plotted_over_the_training(self, fitted, data, tmp_path):
        fitted.plot_information().savefig(tmp_path / "i.png")
        assert (tmp_path / "i.png").stat().st_size > 5000
        with pytest.raises(SettingError, match="nothing to plot: fit has not finished"):
            RegularizedGAN(data, **TINY).plot_information()


def test_results_show_a_column_a_class(fitted, tmp_path):
    figure = fitted.show_results(rows=2)
    assert [axis.get_title() for axis in figure.axes[:3]] == ["held-out chips", "field", "water"]


class Cut(Callback):
    """Ends the process after five steps, as a power cut."""

    order = 200

    def after_batch(self):
        if self.training and self.learn.step == 5:
            raise KeyboardInterrupt


def test_the_train_tool_goes_from_class_folders_to_a_generator(folder, tmp_path):
    path = train(folder, tmp_path / "scenes", model="regularized_gan", epochs=1, rounds=1,
                 progress=False, **TINY)  # fmt: skip
    assert (tmp_path / "scenes.dlpk").exists()
    assert (tmp_path / "scenes_training" / "previews" / "epoch_0001.png").exists()
    model = load_model(path)
    assert model.class_names == ("field", "water")
    tiles = model.export(4, tmp_path / "tiles", "water")
    assert [p.parent.name for p in tiles.files] == ["water"] * 4


def test_lr_find_leaves_weights_and_memory_as_they_were(data):
    model = RegularizedGAN(data, augment="ada", **TINY)
    before, memory = model.game.state_dict(), model.game.memory()
    before = {name: value.clone() for name, value in before.items()}
    assert 0 < model.lr_find(steps=3) < 1
    assert all(torch.equal(value, before[name]) for name, value in model.game.state_dict().items())
    assert model.game.memory() == memory


REMEMBERING = {"augment": "ada", "entropy_cap": 0.5, "penalty_interval": 3}


@pytest.mark.parametrize("settings", [{}, REMEMBERING], ids=["plain", "remembering"])
def test_a_killed_training_goes_on_bit_for_bit(data, tmp_path, settings):
    def fresh():
        return RegularizedGAN(data, rounds=1, **TINY, **settings)

    options = {"save_every": 1, "epochs": 4, "valid_every": 4, **QUIET}
    straight, cut, resumed = fresh(), fresh(), fresh()
    straight.fit(folder=tmp_path / "straight", **options)
    with pytest.raises(KeyboardInterrupt):
        cut.fit(folder=tmp_path / "cut", callbacks=[Cut()], **options)
    resumed.fit(folder=tmp_path / "cut", resume=True, **options)
    ours, theirs = straight.game.state_dict(), resumed.game.state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
    assert straight.game.memory() == resumed.game.memory()


def test_weights_of_0_train_the_same_bits_whatever_else_is_set(data, tmp_path):
    found = []
    for other in ({}, {"uniformity_t": 4.0, "entropy_mode": "code", "entropy_cap": "none"}):
        model = RegularizedGAN(data, 0.0, 0.0, **TINY, **other)
        model.fit(steps=3, folder=tmp_path / str(len(found)), checkpoint=False, **QUIET)
        found.append(model.game.state_dict())
    assert all(map(torch.equal, found[0].values(), found[1].values()))


class TestSettings:
    def test_paper_brings_the_released_weights_and_places(self, data):
        held = RegularizedGAN(data, paper=True, **TINY).game.settings
        assert (held["uniformity_weight"], held["entropy_weight"]) == (0.2, 0.5)
        assert (held["entropy_mode"], held["loss"], held["r2_weight"]) == (
            "code", "nonsaturating", 0.0
        )  # fmt: skip
        assert held["entropy_cap"] == "none"
        assert held["hook"] == 16  # the released 32 where images are as large
        own = RegularizedGAN(data, 0.7, paper=True, **TINY).game.settings
        assert (own["uniformity_weight"], own["entropy_weight"]) == (0.7, 0.5)

    def test_the_recommended_weights_are_the_defaults(self, data):
        held = RegularizedGAN(data, **TINY).game.settings
        assert (held["uniformity_weight"], held["entropy_weight"]) == (0.2, 0.05)
        assert (held["entropy_mode"], held["entropy_cap"]) == ("gaussian", "real")

    def test_a_batch_that_uniformity_can_not_be_computed_on_is_refused(self, folder):
        with pytest.raises(SettingError, match="a batch of 5 can't be parted into 2 equal chunks"):
            RegularizedGAN(data_of(folder, batch_size=5), uniformity_chunks=2, **TINY)
        RegularizedGAN(data_of(folder, batch_size=5), 0.0, **TINY)

    def test_an_epoch_of_few_chips_is_as_many_passes_as_make_100_steps(self, data):
        assert RegularizedGAN(data, **TINY).recipe.rounds == 50
        assert RegularizedGAN(data, rounds=2, **TINY).recipe.rounds == 2
        assert [steps_to_rounds(n) for n in (1, 3, 100, 500)] == [100, 34, 1, 1]

    def test_other_data_are_refused(self, fitted, folder, tmp_path):
        path = fitted.save(tmp_path / "scenes", compute_metrics=False)
        with pytest.raises(SettingError, match="trained with 2 bands and the data have 1"):
            RegularizedGAN.from_model(path, data_of(folder, bands=[0]))
        with pytest.raises(SettingError, match="makes images of 16 px and the data have 8"):
            RegularizedGAN.from_model(path, data_of(folder, shrink=2))
        others = classes(tmp_path / "others", ("field", "sand"))
        with pytest.raises(SettingError, match="knows the classes field, water and the data have"):
            RegularizedGAN.from_model(path, data_of(others))
        assert RegularizedGAN.from_model(path, data_of(folder)).data is not None

    def test_a_loss_that_is_not_finite_stops_the_run(self, data, tmp_path):
        model = RegularizedGAN(data, **TINY)
        with torch.no_grad():
            model.game.generators["G"].paint.bias.fill_(float("nan"))
        with pytest.raises(TrainingError, match="step 0: loss term"):
            model.fit(steps=2, folder=tmp_path, **QUIET)
