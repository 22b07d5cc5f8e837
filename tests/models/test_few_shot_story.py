"""The six few-shot systems, from chips to a saved model to GeoTIFFs."""

import numpy as np
import pytest
import rasterio
import torch
from fastai.callback.core import Callback
from worlds import grid, write

import rs_gen
from rs_gen import load_model, prepare_data
from rs_gen.errors import ChipError, LayoutError, SettingError, UnknownNameError
from rs_gen.models.few_shot import FewShotModel
from rs_gen.raster.grid import Grid

SYSTEMS = ("F2GAN", "MatchingGAN", "DAGAN", "GMN", "FIGR", "DAWSON")
TINY = {
    "F2GAN": {"warmup": 0.5}, "MatchingGAN": {"latent": 8}, "DAGAN": {"latent": 8},
    "GMN": {"latent": 4, "hidden": 16},
    "FIGR": {"latent": 8, "inner_steps": 1, "adapt_steps": 2},
    "DAWSON": {"latent": 8, "inner_steps": 1, "adapt_steps": 2},
}  # fmt: skip


def class_chips(root, classes=5, each=6, size=16, bands=4):
    """GeoTIFFs of uint16 with nodata 0: each class has a level and a direction of stripes."""
    dice = np.random.default_rng(0)
    for c in range(classes):
        for i in range(each):
            ramp = np.arange(size)[:, None] * (c % 2) + np.arange(size)[None] * (1 - c % 2)
            pixels = 500 + 600 * c + 100 * (ramp % 4) + dice.integers(0, 60, (bands, size, size))
            at = grid(size, size, col=size * (c * each + i))
            write(root / f"class{c}" / f"{i:02d}.tif", pixels.astype("uint16"), at, nodata=0)
    return root


class PowerCutError(Exception):
    """Nobody expected it."""


class PowerCut(Callback):
    """Stop in the middle of the third step."""

    order, run_valid = 200, False

    def after_batch(self):
        if self.step == 2:
            raise PowerCutError("nobody expected it")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return class_chips(tmp_path_factory.mktemp("classes"))


def prepared(root, tmp_path, **options):
    usual = {"shots": 2, "unseen": ["class1", "class2"], "batch_size": 2, "working_dir": tmp_path}
    return prepare_data(root, dataset_type="FewShot", **{**usual, **options})


def tiny(system, data, **settings):
    return getattr(rs_gen, system)(data, **{"width": 4, **TINY[system], **settings})


@pytest.mark.parametrize("system", SYSTEMS)
class TestEverySystem:
    def test_from_chips_to_a_saved_model_to_geotiffs(self, system, root, tmp_path):
        data = prepared(root, tmp_path)
        model = tiny(system, data)
        rows = model.fit(steps=3, progress=False)
        assert len(rows) == 2
        assert rows[-1]["step"] == 3
        folder = model.save(tmp_path / "kept", compute_metrics=False)
        again = type(model).from_model(folder)
        assert again.split["unseen"] == list(data.unseen)
        paths = data.paths(data.unseen[0])[:2]
        before = model.generate(paths, n=3, seed=5)
        assert np.array_equal(again.generate(paths, n=3, seed=5), before)
        assert isinstance(load_model(folder), type(model))
        written = again.generate(paths, n=3, seed=5, out=tmp_path / "drawn")
        for i, path in enumerate(written):
            with rasterio.open(path) as chip, rasterio.open(paths[i % 2]) as support:
                assert chip.transform == support.transform
                assert chip.crs == support.crs
                assert (chip.count, chip.dtypes[0], chip.nodata) == (4, "uint16", 0)
                assert "synthetic" not in chip.tags().get("RS_GEN_MODEL", "")
                assert chip.tags()["RS_GEN_SYNTHETIC"].startswith("imagery made by")
                assert np.array_equal(chip.read(), before[i])
                assert chip.read().min() > 0  # no measurement reads as a hole

    def test_every_method_is_the_same_and_works(self, system, root, tmp_path):
        data = prepared(root, tmp_path)
        model = tiny(system, data)
        assert isinstance(model, FewShotModel)
        one = data.paths(data.unseen[0])[:1]
        assert model.generate(one, n=2).shape == (2, 4, 16, 16)
        assert model.generate(one, n=2).dtype == np.uint16
        assert model.sweep(data.paths(data.unseen[0])[:3], steps=4).shape == (4, 4, 16, 16)
        out = model.augment(root, 2, tmp_path / "more")
        assert sorted(p.name for p in (out / "class3").iterdir()) == [
            "drawn_0000.tif", "drawn_0001.tif"
        ]  # fmt: skip
        assert len(list(out.iterdir())) == 5
        assert len(model.show_results(rows=2).axes) == 2 * (2 + 5)
        assert system in repr(model)
        assert "3 seen and 2 unseen classes" in repr(model)

    def test_a_killed_training_goes_on_as_if_nothing_had_been(self, system, root, tmp_path):
        data = prepared(root, tmp_path)
        options = {"steps": 3, "progress": False, "preview": False, "save_every": 1}
        whole, killed, again = (tiny(system, data) for _ in range(3))
        whole.fit(folder=tmp_path / "whole", **options)
        with pytest.raises(PowerCutError):
            killed.fit(folder=tmp_path / "cut", callbacks=[PowerCut()], **options)
        again.fit(folder=tmp_path / "cut", resume=True, **options)
        for (name, one), two in zip(
            whole.game.named_parameters(), again.game.parameters(), strict=True
        ):
            assert torch.equal(one, two), name
        assert (tmp_path / "cut" / "split.json").exists()


def test_metrics_say_how_they_were_measured(root, tmp_path):
    from rs_gen.metrics.features import PixelFeatures

    model = tiny("DAGAN", prepared(root, tmp_path))
    scores = model.compute_metrics(n=4, extractor=PixelFeatures(4))
    assert set(scores) == set(model.available_metrics)
    assert scores["category_hit"].n == 8
    assert "pixels-4, nearest of 2 class means, chance 0.500" in scores["category_hit"].protocol
    assert scores["support_distance"].value > 0


def test_several_images_are_taken_in_any_form(root, tmp_path):
    data = prepared(root, tmp_path)
    model = tiny("F2GAN", data)
    paths = data.paths(data.unseen[0])[:2]
    from_files = model.generate(paths, n=2, encoded=True)
    with rasterio.open(paths[0]) as one, rasterio.open(paths[1]) as two:
        stored = np.stack([one.read(), two.read()])
    assert torch.allclose(model.generate(stored, n=2, encoded=True), from_files)
    tensor = data.images(data.unseen[0], 2)
    assert torch.allclose(model.generate(tensor, n=2, encoded=True), from_files)
    folder = model.generate(paths[0].parent, n=2, encoded=True)
    assert not torch.allclose(folder, from_files)  # it holds more


def test_one_image_is_seen_from_eight_sides_where_that_keeps_its_class(root, tmp_path):
    model = tiny("F2GAN", prepared(root, tmp_path))
    one = model.data.images(model.data.unseen[0], 1)
    assert len(model._shown(one, "auto")) == 8
    drawn = model.draw(one, 6)
    assert (drawn[0] - drawn[1]).abs().max() > 1e-6
    alone = model.draw(one, 2, views=None)
    assert torch.equal(alone[0], alone[1])
    flat = tiny("F2GAN", prepared(root, tmp_path, turns=False))
    nudged = flat._shown(one, "auto", torch.Generator().manual_seed(0))
    assert len(nudged) == 8
    assert not any(torch.equal(v, torch.rot90(one[0], 1, (1, 2))) for v in nudged)
    with pytest.raises(SettingError, match="views='all'; there are 'auto', 'turns'"):
        model.draw(one, 2, views="all")


def test_chips_lie_where_they_are_asked_to(root, tmp_path):
    data = prepared(root, tmp_path)
    model = tiny("DAGAN", data)
    paths = data.paths(data.unseen[0])[:2]
    place = grid(32, 32, col=1000)
    written = model.generate(paths, n=3, out=tmp_path / "tiles", place=place)
    corners = []
    for path in written:
        with rasterio.open(path) as chip:
            corners.append((chip.transform.c - place.transform.c, chip.transform.f - 5e6))
    assert corners == [(0, 0), (160, 0), (0, -160)]
    written = model.generate(paths, n=1, out=tmp_path / "none", place=None)
    with rasterio.open(written[0]) as chip:
        assert chip.crs is None
    written = model.generate(paths, n=1, out=tmp_path / "like", place=paths[1])
    with rasterio.open(written[0]) as chip, rasterio.open(paths[1]) as like:
        assert chip.transform == like.transform
    with pytest.raises(SettingError, match=r"place='nowhere.tif' is neither 'support' nor"):
        model.generate(paths, n=1, out=tmp_path / "x", place="nowhere.tif")


def test_larger_and_finer_chips_keep_their_place(tmp_path):
    root = class_chips(tmp_path / "large", classes=3, each=5, size=40)
    data = prepared(root, tmp_path, unseen=1, shrink=2, chip_size=16)
    model = tiny("DAGAN", data)
    path = data.paths(data.unseen[0])[0]
    (written,) = model.generate([path], n=1, out=tmp_path / "out")
    with rasterio.open(written) as chip, rasterio.open(path) as support:
        assert chip.transform.a == 20
        assert chip.transform.c == support.transform.c + 40  # 16 of 20 px: 2 left over at each end
        assert chip.shape == (16, 16)


def test_plain_pictures_are_answered_with_plain_pictures(tmp_path):
    from PIL import Image

    dice = np.random.default_rng(0)
    for name in ("a", "b", "c"):
        (tmp_path / "png" / name).mkdir(parents=True)
        for i in range(4):
            pixels = dice.integers(0, 255, (16, 16, 3), "uint8")
            Image.fromarray(pixels).save(tmp_path / "png" / name / f"{i}.png")
    model = tiny("F2GAN", prepared(tmp_path / "png", tmp_path, unseen=1))
    out = model.augment(tmp_path / "png", 9, tmp_path / "out", seed=1)
    made = sorted((out / "a").iterdir())
    assert [p.name for p in made[:2]] == ["drawn_0000.png", "drawn_0001.png"]
    assert len(made) == 9
    with Image.open(made[0]) as image:
        assert image.size == (16, 16)
        assert image.text["RS_GEN_SYNTHETIC"].startswith("imagery made by")
    again = model.augment(tmp_path / "png", 9, tmp_path / "again", seed=1)
    assert (again / "a" / "drawn_0003.png").read_bytes() == made[3].read_bytes()
    with pytest.raises(SettingError, match="holds the real chips"):
        model.augment(tmp_path / "png", 2, tmp_path / "png")


def test_the_order_of_support_chips_does_not_matter_to_f2gan(root, tmp_path):
    model = tiny("F2GAN", prepared(root, tmp_path))
    images = model.data.images(model.data.unseen[0], 3)
    one = model.sweep(images, steps=3, encoded=True)
    other = model.sweep(images.flip(0), steps=3, encoded=True)
    assert torch.allclose(one, other.flip(0), atol=1e-5)


def test_the_borrowing_picture_shows_every_support_chip(root, tmp_path):
    model = tiny("F2GAN", prepared(root, tmp_path))
    paths = model.data.paths(model.data.unseen[0])[:3]
    figure = model.borrowing(paths, at=(3, 12), a=[0.2, 0.8, 0.0])
    assert len(figure.axes) == 5
    titles = [axis.get_title() for axis in figure.axes]
    assert titles[3].endswith("from 2 (a=0.80)")
    assert titles[4].startswith("0% from 3")
    assert sum(int(t.split("%")[0]) for t in titles[2:]) in (99, 100, 101)
    assert len(model.borrowing(paths[:1]).axes) == 10  # the eight views
    for options, text in (({"a": [1, 1, 0]}, "must be 3 numbers"), ({"at": (3, 99)}, "not within"),
                          ({"level": 7}, "there are 2 attentions")):  # fmt: skip
        with pytest.raises(SettingError, match=text):
            model.borrowing(paths, **options)


def test_a_learning_rate_is_looked_for_where_that_means_something(root, tmp_path):
    data = prepared(root, tmp_path)
    assert 0 < tiny("GMN", data).lr_find(steps=4) < 10
    with pytest.raises(SettingError, match="lr_find means nothing for FIGR"):
        tiny("FIGR", data).lr_find()


def test_previews_are_written_as_the_training_goes(root, tmp_path):
    model = tiny("DAGAN", prepared(root, tmp_path))
    model.fit(steps=4, progress=False)
    assert len(list((model.folder / "previews").glob("step_*.png"))) >= 2


def test_the_critic_learns_more_often_than_the_generator(root, tmp_path):
    model = tiny("DAGAN", prepared(root, tmp_path), adversarial="wasserstein", ema_halflife=0.0)
    before = [p.clone() for p in model.game.generators.parameters()]
    model.fit(steps=4, progress=False, preview=False)
    assert all(
        torch.equal(a, b) for a, b in zip(before, model.game.generators.parameters(), strict=True)
    )
    model.fit(steps=5, progress=False, preview=False)
    assert not all(
        torch.equal(a, b) for a, b in zip(before, model.game.generators.parameters(), strict=True)
    )


def test_what_a_model_has_seen_can_not_be_called_unseen(root, tmp_path):
    data = prepared(root, tmp_path)
    model = tiny("DAGAN", data)
    model.fit(steps=1, progress=False, preview=False)
    folder = model.save(tmp_path / "kept", compute_metrics=False)
    other = prepared(root, tmp_path, unseen=list(data.seen[:1]))
    with pytest.raises(SettingError, match=rf"has seen {data.seen[0]}, unseen in the data"):
        type(model).from_model(folder, other)
    assert type(model).from_model(folder, data).data is data


def test_drawings_of_two_values_get_their_own_likelihood(tmp_path):
    from PIL import Image

    dice = np.random.default_rng(0)
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
        for i in range(4):
            pixels = dice.integers(0, 2, (16, 16), "uint8") * 255
            Image.fromarray(pixels).save(tmp_path / name / f"{i}.png")
    data = prepare_data(tmp_path, dataset_type="FewShot", shots=2, unseen=1, turns=False)
    model = tiny("GMN", data)
    assert model.game.settings["likelihood"] == "bernoulli"
    assert set(np.unique(model.generate(data.images("a", 2), n=2))) <= {0, 255}


def test_what_can_not_work_is_named(root, tmp_path):
    data = prepared(root, tmp_path)
    model = tiny("DAGAN", data)
    with pytest.raises(ChipError, match=r"an image is 3 x 16 x 16 where .* 4 bands is due"):
        model.generate(np.zeros((1, 3, 16, 16)))
    with pytest.raises(ChipError, match="an image is 8 x 8 px and the model needs 16 px"):
        model.generate(np.zeros((1, 4, 8, 8)))
    with pytest.raises(ChipError, match="there are no support images"):
        model.generate([])
    with pytest.raises(SettingError, match="n=0 draws nothing"):
        model.generate(data.images(data.seen[0], 1), n=0)
    with pytest.raises(SettingError, match="per_class=0 draws nothing"):
        model.augment(root, 0, tmp_path / "x")
    (tmp_path / "empty").mkdir()
    with pytest.raises(LayoutError, match="there are no images in"):
        model.generate(tmp_path / "empty")
    with pytest.raises(UnknownNameError, match="no setting of DAGAN named 'widht'"):
        rs_gen.DAGAN(data, widht=4)
    with pytest.raises(SettingError, match="DAGAN needs data of FewShot"):
        rs_gen.DAGAN(type("Other", (), {"kind": "Pix2Pix"})())


def test_a_place_is_a_grid_of_its_own():
    assert isinstance(grid(8, 8), Grid)
