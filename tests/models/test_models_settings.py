"""What a model may be asked for, and what it answers when it can't."""

import numpy as np
import pytest
import rasterio
import torch
from worlds import chips, grid, write

from rs_gen.data.databunch import prepare_data
from rs_gen.errors import ChipError, PackageError, SettingError, UnknownNameError
from rs_gen.models.base import load_model
from rs_gen.models.cyclegan import CycleGAN
from rs_gen.models.fitting import unet_depth
from rs_gen.models.pix2pix import Pix2Pix
from rs_gen.models.presets import PRESETS, find_preset, preset_for
from rs_gen.models.recipes import train

TINY = {"d_width": 4, "width": 4}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return chips(tmp_path_factory.mktemp("world") / "chips", count=4)


@pytest.fixture(scope="module")
def pairs(folder, tmp_path_factory):
    return prepare_data(folder, "Pix2Pix", working_dir=tmp_path_factory.mktemp("work"))


@pytest.fixture(scope="module")
def sets(folder, tmp_path_factory):
    return prepare_data(folder, "CycleGAN", working_dir=tmp_path_factory.mktemp("work"))


class TestDepth:
    @pytest.mark.parametrize(
        ("size", "depth"), [(256, 8), (512, 8), (128, 7), (64, 6), (32, 5), (192, 6), (96, 5)]
    )
    def test_it_fits_the_chips(self, size, depth):
        assert unet_depth(size) == depth
        assert size % 2**depth == 0

    def test_chips_that_fit_no_generator_are_refused_with_a_size_that_does(self, tmp_path):
        with pytest.raises(ChipError, match="needs a multiple of 32; export chips of 32 px"):
            Pix2Pix(prepare_data(chips(tmp_path / "s", count=4, size=16), "Pix2Pix"), **TINY)
        data = prepare_data(chips(tmp_path / "l", count=4, size=40), "Pix2Pix", chip_size=38)
        text = "chips are 38 px but this generator needs a multiple of 4; try 36"
        with pytest.raises(ChipError, match=text):
            Pix2Pix(data, generator="resnet", blocks=1, **TINY)
        text = "chips are 38 px but this generator needs a multiple of 32; try 32"
        with pytest.raises(ChipError, match=text):
            Pix2Pix(data, **TINY)

    def test_chips_too_small_for_the_discriminator_are_refused(self, tmp_path):
        data = prepare_data(
            chips(tmp_path / "c", count=4, size=16), "Pix2Pix", working_dir=tmp_path
        )
        text = "chips are 16 px but a discriminator of d_depth=3 needs at least 24"
        resnet = {"generator": "resnet", "blocks": 1, **TINY}
        with pytest.raises(ChipError, match=text):
            Pix2Pix(data, **resnet)
        Pix2Pix(data, d_depth=2, **resnet).fit(1, progress=False, preview=False, checkpoint=False)


class TestSettings:
    def test_they_reach_the_game_and_the_recipe(self, pairs):
        model = Pix2Pix(pairs, adversarial="hinge", l1_weight=10.0, lr=1e-3, d_lr_ratio=0.5, **TINY)
        assert model.game.settings["adversarial"] == "hinge"
        assert model.game.l1_weight == 10.0
        assert (model.recipe.lr, model.recipe.d_lr_ratio) == (1e-3, 0.5)

    def test_the_defaults_are_the_published_ones(self, pairs):
        recipe = Pix2Pix(pairs, **TINY).recipe
        assert (recipe.lr, recipe.betas, recipe.weight_decay) == (2e-4, (0.5, 0.999), 0.0)
        assert (recipe.schedule, recipe.optimizer) == ("linear", "adam")

    def test_unknown_settings_are_refused_with_the_known(self, pairs, sets):
        with pytest.raises(
            UnknownNameError, match=r"no setting of Pix2Pix named 'widht'; .* width"
        ):
            Pix2Pix(pairs, widht=4)
        with pytest.raises(UnknownNameError, match="no setting of CycleGAN named 'l1_weight'"):
            CycleGAN(sets, l1_weight=4)
        with pytest.raises(UnknownNameError, match="no generator named 'vit'; there are efficient"):
            Pix2Pix(pairs, generator="vit")
        with pytest.raises(UnknownNameError, match="no option of fit named 'epoch'"):
            Pix2Pix(pairs, **TINY).fit(epoch=3)

    def test_data_of_another_kind_are_refused(self, pairs, sets):
        with pytest.raises(SettingError, match="Pix2Pix needs data of Pix2Pix, not CycleGAN; use"):
            Pix2Pix(sets)
        with pytest.raises(SettingError, match=r"prepare_data\(path, dataset_type='CycleGAN'\)"):
            CycleGAN(pairs)
        with pytest.raises(SettingError, match="not str"):
            CycleGAN("chips")

    def test_a_seed_gives_the_same_first_weights(self, pairs):
        first, same, other = (Pix2Pix(pairs, seed=s, **TINY) for s in (1, 1, 2))
        a, b, c = (next(m.game.parameters()) for m in (first, same, other))
        assert torch.equal(a, b)
        assert not torch.equal(a, c)

    def test_cyclegan_takes_the_words_of_arcgis_learn(self, sets):
        model = CycleGAN(sets, gen_blocks=2, lambda_cycle=5, lsgan=False, **TINY)
        held = model.game.settings
        assert (held["blocks"], held["lambda_cycle"], held["adversarial"]) == (2, 5, "vanilla")
        assert held["lambda_identity"] == 0  # 2 bands against 3

    def test_identity_terms_that_can_not_be_are_refused_when_asked_for(self, sets):
        with pytest.raises(SettingError, match=r"lambda_identity=0\.7 needs as many bands"):
            CycleGAN(sets, lambda_identity=0.7, gen_blocks=1, **TINY)


class TestPresets:
    def test_published_is_float32_batch_1_and_the_linear_schedule(self, pairs):
        model = Pix2Pix(pairs, preset="published", **TINY)
        assert model.recipe.mixed_precision is False
        assert model.recipe.schedule == "linear"
        assert model.game.settings["adversarial"] == "vanilla"
        assert find_preset("pix2pix", "published").batch_size == 1

    def test_a_backbone_brings_its_recipe(self, pairs):
        model = Pix2Pix(pairs, backbone="efficientnet_lite0", pretrained=False)
        assert model.game.settings["d_width"] == 32
        recipe = model.recipe
        assert (recipe.optimizer, recipe.lr, recipe.betas) == ("adamw", 1e-3, (0.5, 0.99))
        assert recipe.schedule == "warmup_flat_linear"
        same = Pix2Pix(pairs, preset="fast", pretrained=False)
        assert same.game.settings == model.game.settings

    def test_what_is_passed_beside_a_preset_wins(self, pairs, sets):
        model = Pix2Pix(pairs, preset="fast", lr=1e-4, generator="resnet", blocks=1, **TINY)
        assert model.recipe.lr == 1e-4
        assert model.game.settings["generator"] == "resnet"
        assert model.game.settings["backbone"] is None
        small = CycleGAN(sets, preset="small", width=4, d_width=4)
        assert (small.game.settings["blocks"], small.game.settings["width"]) == (6, 4)

    def test_unknown_presets_are_refused(self, pairs):
        with pytest.raises(UnknownNameError, match="no pix2pix preset named 'slow'; there are"):
            Pix2Pix(pairs, preset="slow")

    def test_every_preset_says_what_it_is_for(self):
        for presets in PRESETS.values():
            assert "published" in presets
            assert all(preset.about.endswith(".") for preset in presets.values())
        assert preset_for("cyclegan", cuda=False) == "fast"
        assert preset_for("cyclegan", cuda=True) == "published"
        assert preset_for("pix2pix", cuda=False) == "fast"


@pytest.fixture(scope="module")
def loaded(pairs, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "m"
    return Pix2Pix.from_model(Pix2Pix(pairs, **TINY).save(path, compute_metrics=False))


class TestWithoutData:
    @pytest.mark.parametrize("what", ["fit", "lr_find", "show_results", "compute_metrics"])
    def test_it_says_what_is_missing(self, loaded, what):
        text = rf"{what} needs data; load with Pix2Pix.from_model\(path, data\)"
        with pytest.raises(SettingError, match=text):
            getattr(loaded, what)()

    def test_it_can_be_saved_again(self, loaded, tmp_path):
        path = loaded.save(tmp_path / "again.dlpk")
        assert path == tmp_path / "again.dlpk"
        assert not (tmp_path / "again").exists()
        assert load_model(path).game.settings == loaded.game.settings

    def test_its_repr_tells_so(self, loaded):
        assert "none: it can predict and translate" in repr(loaded)
        assert repr(loaded).startswith("Pix2Pix: 2 to 3 bands, chips of 32 px, AtoB\n")


class TestSavedModels:
    def test_of_another_kind_are_refused(self, pairs, sets, tmp_path):
        path = Pix2Pix(pairs, **TINY).save(tmp_path / "m", compute_metrics=False)
        cycle = CycleGAN(sets, gen_blocks=1, **TINY)
        with pytest.raises(SettingError, match="m is a pix2pix model, not a CycleGAN"):
            CycleGAN.from_model(path)
        with pytest.raises(SettingError, match="m is a pix2pix model, not a CycleGAN"):
            cycle.load(path)

    def test_data_of_other_bands_are_refused(self, pairs, folder, tmp_path):
        path = Pix2Pix(pairs, **TINY).save(tmp_path / "m", compute_metrics=False)
        one = prepare_data(folder, "Pix2Pix", bands=[0])
        with pytest.raises(SettingError, match="trained with 2 bands in A and the data have 1"):
            Pix2Pix.from_model(path, one)

    def test_a_bare_name_goes_to_the_working_folder(self, pairs):
        model = Pix2Pix(pairs, **TINY)
        path = model.save("named", compute_metrics=False)
        assert path == pairs.working_dir / "models" / "named"
        assert path.with_name("named.dlpk").exists()
        other = Pix2Pix(pairs, seed=5, **TINY).load("named")
        assert all(map(torch.equal, other.game.state_dict().values(),
                       model.game.state_dict().values()))  # fmt: skip
        third = Pix2Pix(pairs, seed=6, pretrained_path=path, **TINY)
        assert torch.equal(next(third.game.parameters()), next(model.game.parameters()))

    def test_what_is_no_model_is_not_replaced(self, pairs, tmp_path):
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "thesis.txt").write_text("years of work")
        model = Pix2Pix(pairs, **TINY)
        with pytest.raises(PackageError, match="is there and is not an rs_gen model"):
            model.save(tmp_path / "mine", compute_metrics=False)

    def test_nothing_there_is_named(self, tmp_path):
        with pytest.raises(PackageError, match="gone"):
            load_model(tmp_path / "gone")


class TestPredict:
    def test_an_array_gives_what_its_file_gives(self, pairs, folder):
        model, path = Pix2Pix(pairs, **TINY), folder / "train_a" / "000.tif"
        with rasterio.open(path) as chip:
            pixels = chip.read(masked=True)
        assert np.array_equal(model.predict(pixels), model.predict(path))

    def test_a_geotiff_keeps_the_place_and_the_holes(self, pairs, tmp_path):
        dice = np.random.default_rng(1)
        pixels = dice.integers(200, 4000, (2, 37, 45)).astype("uint16")
        pixels[:, 5:9, 7:20] = 0
        write(tmp_path / "chip.tif", pixels, grid(37, 45), nodata=0)
        model = Pix2Pix(pairs, **TINY)
        made = model.predict(tmp_path / "chip.tif", out=tmp_path / "made.tif")
        assert made.shape == (3, 37, 45)
        with rasterio.open(tmp_path / "made.tif") as out, rasterio.open(tmp_path / "chip.tif") as c:
            assert (out.crs, out.transform) == (c.crs, c.transform)
            assert np.array_equal(out.read(masked=True).filled(0), made.filled(0))
            assert np.array_equal(out.dataset_mask() == 0, pixels[0] == 0)
            assert "not measured" in out.tags()["RS_GEN_SYNTHETIC"]

    def test_an_array_has_no_place_to_be_written_to(self, pairs, tmp_path):
        model = Pix2Pix(pairs, **TINY)
        with pytest.raises(SettingError, match="out needs a chip that has a place on the ground"):
            model.predict(np.ones((2, 32, 32), "uint16"), out=tmp_path / "x.tif")

    def test_a_direction_that_is_not_learnt_is_refused(self, pairs):
        with pytest.raises(UnknownNameError, match="no direction named 'BtoA'; there are AtoB"):
            Pix2Pix(pairs, **TINY).predict(np.ones((3, 32, 32), "uint8"), "BtoA")


def test_a_training_on_other_chips_is_not_gone_on_with(folder, pairs, tmp_path):
    options = {"progress": False, "preview": False, "folder": tmp_path / "run"}
    Pix2Pix(pairs, **TINY).fit(1, **options)
    others = prepare_data(folder, "Pix2Pix", seed=7)
    with pytest.raises(SettingError, match=r"data\.seed was 42, is 7; data\.training chips was"):
        Pix2Pix(others, **TINY).fit(1, resume=True, **options)
    with pytest.raises(SettingError, match=r"game\.settings\.width was 4, is 8"):
        Pix2Pix(pairs, width=8, d_width=4).fit(1, resume=True, **options)


def test_lr_find_gives_a_float_and_keeps_the_curve(pairs):
    model = Pix2Pix(pairs, **TINY)
    before = next(model.game.parameters()).clone()
    rate = model.lr_find(allow_plot=True, steps=4)
    assert type(rate) is float
    assert torch.equal(before, next(model.game.parameters()))
    assert model.lr_curve._repr_png_()


def test_nothing_is_plotted_before_there_is_something(pairs):
    with pytest.raises(SettingError, match="nothing to plot: fit has not finished an epoch"):
        Pix2Pix(pairs, **TINY).plot_losses()


def test_the_train_tool_goes_from_a_folder_to_a_model(folder, tmp_path):
    path = train(
        folder,
        tmp_path / "maps",
        epochs=1,
        preset="published",
        batch_size=2,
        progress=False,
        **TINY,
    )
    assert path == tmp_path / "maps"
    assert (tmp_path / "maps.dlpk").exists()
    assert (tmp_path / "maps_training" / "log.csv").exists()
    assert load_model(path).card.training["preset"] == "published"
    with pytest.raises(UnknownNameError, match="no model named 'pixpix'; there are cyc"):
        train(folder, tmp_path / "x", model="pixpix")


class TestBalance:
    """Rare colours of a map count more; a photograph has no few colours to balance by."""

    @staticmethod
    def model(tmp_path, target):
        """On chips whose target is drawn by ``target(generator) -> (3, 32, 32) uint8``."""
        dice = np.random.default_rng(0)
        for i in range(6):
            for side, pixels in (
                ("train_a", dice.integers(0, 255, (3, 32, 32), dtype="uint8")),
                ("train_b", target(dice)),
            ):
                write(tmp_path / side / f"{i}.tif", pixels, grid(32, 32, 32 * i))
        data = prepare_data(tmp_path, "Pix2Pix", transforms=False, working_dir=tmp_path / "w")
        return Pix2Pix(data, colour_balance=0.5, depth=5, **TINY)

    def test_a_map_gives_its_colours_and_shares(self, tmp_path):
        def drawn(dice):
            pixels = np.full((3, 32, 32), 240, "uint8")
            pixels[:, :, :8] = np.array([60, 120, 200], "uint8")[:, None, None]
            return pixels

        palette = self.model(tmp_path, drawn).game.settings["palette"]
        assert palette["shares"] == pytest.approx([0.75, 0.25])
        assert palette["colours"][1] == pytest.approx(
            [60 / 127.5 - 1, 120 / 127.5 - 1, 200 / 127.5 - 1]
        )

    def test_a_photograph_has_none(self, tmp_path):
        def photo(dice):
            return dice.integers(0, 255, (3, 32, 32), dtype="uint8")

        game = self.model(tmp_path, photo).game
        assert game.settings["palette"] is None
        assert game.colours is None
