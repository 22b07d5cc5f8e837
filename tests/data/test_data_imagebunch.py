import pickle

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from rs_gen import prepare_data
from rs_gen.errors import ChipError, SettingError

KIND = "ImageGeneration"


def batches(loader):
    return list(loader)


def equal(first, second):
    return len(first) == len(second) and all(
        torch.equal(x, y)
        for one, other in zip(first, second, strict=True)
        for x, y in zip(one, other, strict=True)
    )


def test_a_batch_is_images_and_labels(classes_of):
    data = prepare_data(classes_of(forest=8, river=8), KIND, batch_size=4)
    images, labels = data.one_batch()
    assert images.shape == (4, 3, 16, 16)
    assert (images.dtype, labels.dtype) == (torch.float32, torch.int64)
    assert -1 <= images.min() < images.max() <= 1
    assert labels.shape == (4,)
    assert (data.kind, data.dataset_type, data.classes) == (KIND, KIND, ["forest", "river"])
    assert (data.c, data.n_channel, data.chip_size, data.batch_size) == (2, 3, 16, 4)
    assert data.b is data.a
    assert not data.paired_valid


@pytest.mark.parametrize("workers", [0, 2])
def test_a_resumed_epoch_gives_the_batches_that_were_left_bit_for_bit(classes_of, workers):
    options = {"batch_size": 4, "num_workers": workers, "seed": 3}
    folder = classes_of(forest=8, river=9)
    whole = prepare_data(folder, KIND, **options)
    epochs = [batches(whole.train) for _ in range(2)]
    assert not equal(*epochs)
    torch.manual_seed(77)
    np.random.seed(77)
    resumed = prepare_data(folder, KIND, **options)
    resumed.train.set_position(1, 2)
    assert equal(batches(resumed.train), epochs[1][2:])


def test_every_training_batch_is_full_and_every_chip_is_shown(classes_of):
    data = prepare_data(classes_of(forest=10, river=10), KIND, batch_size=8, n_per_class=5)
    epoch = batches(data.train)
    assert [len(x) for x, _ in epoch] == [8, 8]
    chips = [d.chips[0] for row in data.train.batches.plan(0) for d in row]
    assert set(chips) == set(range(10))
    few = prepare_data(classes_of(name="few", a=3), KIND, batch_size=8)
    assert [len(x) for x, _ in few.train] == [8]
    long = prepare_data(classes_of(name="long", a=3), KIND, batch_size=8, epoch_items=20)
    assert [len(x) for x, _ in long.train] == [8, 8, 4]


def test_turns_are_always_there_and_can_be_turned_off(classes_of):
    folder = classes_of(forest=8)
    data = prepare_data(folder, KIND, transforms=False, batch_size=7)
    plain = {x.numpy().tobytes() for x in data.images("train")[0]}
    assert {x.numpy().tobytes() for x in next(iter(data.train))[0]} == plain
    assert "without augmentation" in data.summary()
    turned = prepare_data(folder, KIND, batch_size=7)
    assert {x.numpy().tobytes() for x in next(iter(turned.train))[0]} != plain
    assert "with flips and quarter turns" in turned.summary()


def test_a_transform_of_ones_own_takes_one_image(classes_of):
    data = prepare_data(classes_of(a=6), KIND, transforms=lambda image, generator: -image * 0)
    assert data.one_batch()[0].abs().max() == 0
    assert "your transform" in data.summary()


@pytest.mark.parametrize(("bands", "dtype"), [(1, "uint8"), (4, "uint16"), (2, "float32")])
def test_any_band_count_and_dtype(make_classes, bands, dtype):
    folder = make_classes({"a": 6, "b": 6}, bands=bands, dtype=dtype, suffix=".tif")
    data = prepare_data(folder, KIND, batch_size=4)
    images, _ = data.one_batch()
    assert images.shape == (4, bands, 16, 16)
    assert (data.a.dtype, data.a.count, data.a.crs) == (dtype, bands, "EPSG:32633")
    assert images.abs().max() <= 1
    assert images.std() > 0.2


def test_fewer_chips_have_the_stretch_of_all(make_classes):
    folder = make_classes({"a": 12}, dtype="uint16", suffix=".tif")
    few, all_ = (prepare_data(folder, KIND, n_per_class=n) for n in (1, None))
    assert few.a == all_.a
    assert torch.equal(few.images()[0], all_.images()[0])


def test_shrinking_makes_pixels_larger_on_the_ground(make_classes):
    folder = make_classes({"a": 6}, bands=1, suffix=".tif")
    whole, half = (prepare_data(folder, KIND, shrink=k, transforms=False) for k in (1, 2))
    assert (half.chip_size, half.a.resolution) == (8, pytest.approx(2 * whole.a.resolution))
    means = torch.nn.functional.avg_pool2d(whole.images()[0], 2)
    assert torch.allclose(half.images()[0], means, atol=1e-5)
    assert "2 x 2 pixels averaged into one" in half.summary()
    with pytest.raises(ChipError, match="chip_size=16 does not fit chips of 8 x 8 px"):
        prepare_data(folder, KIND, shrink=2, chip_size=16)


def test_images_to_measure_against_are_held_out_and_nested(classes_of):
    data = prepare_data(classes_of(a=10, b=10), KIND, val_split_pct=0.5)
    images, labels = data.images()
    assert (len(images), labels.tolist()) == (10, [0] * 5 + [1] * 5)
    few, more = (data.images("train", n)[0] for n in (2, 5))
    assert torch.equal(few, more[:2])
    with pytest.raises(SettingError, match="n=11: there are 10 chips in split 'valid'"):
        data.images(n=11)
    with pytest.raises(SettingError, match="split='test' is neither"):
        data.images("test")


def test_show_batch_has_a_column_for_each_class(classes_of):
    data = prepare_data(classes_of(forest=8, river=8), KIND)
    figure = data.show_batch(2)
    assert isinstance(figure, Figure)
    assert len(figure.axes) == 4
    assert [a.get_title() for a in figure.axes if a.get_title()] == ["forest", "river"]
    assert len(data.show_batch(3, valid=True).axes) == 2
    flat = prepare_data(data.path / "forest", KIND)
    assert len(flat.show_batch(1).axes) == 4


def test_no_more_than_eight_classes_are_shown(make_classes):
    data = prepare_data(make_classes({f"c{i}": 2 for i in range(10)}), KIND)
    figure = data.show_batch(1)
    assert len(figure.axes) == 8
    assert figure.get_suptitle() == "2 more classes are not shown"


def test_the_summary_tells_numbers_and_traps(make_classes):
    folder = make_classes({"forest": 8, "river": 4}, suffix=".tif", apart=True)
    text = prepare_data(folder, KIND, n_per_class=3, val_split_pct=0.25).summary()
    assert text.startswith("DataBunch for ImageGeneration: 6 chips of 2 classes to train on, 3 ")
    assert "forest 3 + 2, river 3 + 1 (training + held out)" in text
    assert "export_class_chips splits by place" in text
    assert "batches     1 of 32 an epoch" in text


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"jitter": True}, "no option 'jitter': it is for translation"),
        ({"n_per_clas": 3}, r"no option 'n_per_clas' \(did you mean n_per_class\?\)"),
        ({"n_per_class": 0}, "n_per_class=0 is not a whole number of at least 1"),
        ({"classes": "forest"}, "classes='forest' is one text; give a list"),
        ({"classes": ["a", "a"]}, "must name at least one class, and none twice"),
        ({"classes": 0}, "classes=0 is not a whole number"),
        ({"shrink": 1.5}, "shrink=1.5 is not a whole number"),
        ({"val_split_pct": 0}, "val_split_pct=0 leaves nothing to validate"),
    ],
)
def test_options_that_can_not_work_are_refused(classes_of, options, text):
    with pytest.raises(SettingError, match=text):
        prepare_data(classes_of(a=4), KIND, **options)


def test_translation_points_to_the_options_of_generation(make):
    with pytest.raises(SettingError, match="'n_per_class': it is for dataset_type='ImageGen"):
        prepare_data(make(4), n_per_class=2)


def test_a_bunch_goes_through_pickle_to_workers(classes_of):
    data = prepare_data(classes_of(a=6), KIND)
    again = pickle.loads(pickle.dumps(data.train_ds))
    assert torch.equal(again[0][0], data.train_ds[0][0])
