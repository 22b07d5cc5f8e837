import json

import numpy as np
import pytest
import torch

from rs_gen import prepare_data
from rs_gen.data.few_shot_options import FewShotOptions, split_classes
from rs_gen.errors import ChipError, LayoutError, SettingError, UnknownNameError

CLASSES = {"beach": 7, "farm": 7, "forest": 7, "river": 7, "town": 7}


@pytest.fixture
def root(make_classes):
    return make_classes(CLASSES)


def few(path, **options):
    return prepare_data(
        path, dataset_type="FewShot", **{"shots": 3, "unseen": 2, "batch_size": 2, **options}
    )


def test_a_batch_is_of_episodes_of_seen_classes(root):
    data = few(root)
    supports, targets, labels = data.train.one_batch()
    assert supports.shape == (2, 3, 3, 16, 16)
    assert targets.shape == (2, 3, 3, 16, 16)
    assert labels.tolist() == [int(x) for x in labels]
    assert (data.kind, data.chip_size, data.n_channel, data.c) == ("FewShot", 16, 3, 3)


def test_seen_and_unseen_classes_share_nothing(root):
    data = few(root)
    assert len(data.seen) == 3
    assert len(data.unseen) == 2
    assert set(data.seen) | set(data.unseen) == set(CLASSES)
    files = data.train_ds.chips.files.paths
    assert {p.parent.name for p in files} == set(data.seen)


def test_an_episode_is_of_one_class_and_no_image_comes_twice(root):
    data = few(root)
    for epoch in range(3):
        for draws in data.train.batches.plan(epoch):
            for draw in draws:
                names = data.train_ds.names(draw)
                assert len(set(names)) == 6
                assert {p.parent.name for p in names} == {data.seen[draw.chips[0]]}


def test_an_index_always_gives_the_same_episode(root):
    one, two = few(root).train_ds, few(root).train_ds
    assert all(torch.equal(a, b) for a, b in zip(one[1], two[1], strict=True))
    other = few(root, seed=7, unseen=["beach", "farm"]).train_ds
    assert not torch.equal(one[0][0], other[0][0])
    with pytest.raises(IndexError, match="no episode 99"):
        one[99]


def test_an_epoch_shows_every_class_as_often(root):
    data = few(root, episodes=7)
    counts = np.bincount(data.train_ds.order(0)[:, 0], minlength=3)
    assert len(data.train_ds) == 7
    assert counts.max() - counts.min() <= 1


def test_a_run_that_starts_in_the_middle_meets_the_same_episodes(root):
    data = few(root, episodes=6)
    whole = [labels for _, _, labels in data.train]
    data.train.set_position(0, 2)
    rest = [labels for _, _, labels in data.train]
    assert [x.tolist() for x in rest] == [x.tolist() for x in whole[2:]]


def test_images_are_turned_only_where_that_keeps_the_class(root):
    # the pixels of an episode are those of its files, in this order or another
    for turns in (True, False):
        data = few(root, turns=turns)
        plan = data.train.batches.plan(0)
        same = []
        for draw in [d for draws in plan for d in draws]:
            supports, targets, _ = data.train_ds.draw(draw)
            for image, path in zip(
                torch.cat([supports, targets]), data.train_ds.names(draw), strict=True
            ):
                index = data.train_ds.chips.files.paths.index(path)
                plain = data.train_ds.image(index)
                assert torch.equal(image.flatten().sort().values, plain.flatten().sort().values)
                same.append(torch.equal(image, plain))
        assert all(same) is not turns
        assert not data.valid_ds.turns


def test_the_split_can_be_kept_and_taken_again(root, tmp_path):
    data = few(root, seed=5)
    path = data.save_split(tmp_path / "x" / "split.json")
    assert json.loads(path.read_text())["unseen"] == list(data.unseen)
    assert few(root, seed=1, unseen=path).unseen == data.unseen
    assert few(root, seed=1, unseen=list(data.unseen)).seen == data.seen


def test_more_unseen_classes_hold_the_fewer():
    names = [f"c{i}" for i in range(20)]
    few_, more = (set(split_classes(names, n, 3)[1]) for n in (4, 9))
    assert few_ < more
    assert len(split_classes(names, 0.25, 3)[1]) == 5
    assert set(split_classes(names, 4, 4)[1]) != few_


def test_images_and_files_of_a_class_go_together(root):
    data = few(root)
    for name in (data.seen[0], data.unseen[0]):
        images, paths = data.images(name), data.paths(name)
        assert len(images) == len(paths) == 7
        assert {p.parent.name for p in paths} == {name}
    assert len(data.images(data.unseen[1], 2)) == 2
    with pytest.raises(UnknownNameError, match="no class named 'moon'; there are beach"):
        data.images("moon")
    with pytest.raises(UnknownNameError, match="no class named 'moon'"):
        data.paths("moon")


def test_the_stretch_is_that_of_seen_classes(make_classes, write_chip):
    root = make_classes({"a": 4, "b": 4, "c": 4}, suffix=".tif", dtype="uint16", bands=5)
    for path in (root / "c").iterdir():
        write_chip(path, np.full((5, 16, 16), 60_000, "uint16"))
    data = few(root, unseen=["c"], shots=2, targets=1, stretch="minmax")
    assert data.a.count == 5
    assert max(data.a.stretch.high) < 5000


def test_classes_in_folders_of_folders_are_classes(make_classes):
    root = make_classes({"latin/a": 4, "latin/b": 4, "greek/a": 4})
    data = few(root, shots=2, unseen=1)
    assert set(data.seen) | set(data.unseen) == {"latin/a", "latin/b", "greek/a"}


def test_two_valued_drawings_are_recognised(make_classes, write_chip):
    root = make_classes({"a": 4, "b": 4}, bands=1)
    assert not few(root, shots=2, unseen=1).two_valued
    for number, path in enumerate(sorted(root.rglob("*.png"))):
        write_chip(path, np.random.default_rng(number).integers(0, 2, (1, 16, 16), "uint8") * 255)
    assert few(root, shots=2, unseen=1).two_valued


def test_chips_can_be_averaged_down(make_classes):
    data = few(make_classes({"a": 4, "b": 4}, size=32), shots=2, unseen=1, shrink=2)
    assert data.chip_size == 16


def test_the_summary_and_the_picture_tell_of_both_parts(root):
    data = few(root)
    text = data.summary()
    assert "21 chips of 3 seen classes, 14 of 2 unseen" in text
    assert ", ".join(data.unseen) in text
    assert "3 seen classes are few" in text
    assert len(data.show_batch(rows=2).axes) == 12
    assert data.show_batch(rows=1, valid=True).axes[0].get_ylabel() in data.unseen


def test_a_class_too_small_for_an_episode_is_left_out(classes_of):
    data = few(classes_of(a=5, b=5, c=2), unseen=1)
    assert "c: fewer than 4 chips, left out" in data.summary()
    assert data.train_ds.targets == 2
    with pytest.raises(SettingError, match="no class has 4 chips, which an episode of shots=3"):
        few(classes_of("other", a=3, b=2), unseen=1)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"unseen": 5}, SettingError, "unseen=5 leaves 0 of 5 classes to train on"),
        ({"unseen": 0}, SettingError, "unseen=0; give names, a number of classes, or a share"),
        ({"unseen": ["moon"]}, UnknownNameError, "no class named 'moon'"),
        ({"unseen": "nowhere.json"}, SettingError, "is no file that save_split"),
        ({"shots": 0}, SettingError, "shots=0"),
        ({"classes": "farm"}, SettingError, "is one text"),
        ({"shot": 3}, SettingError, r"no option 'shot' \(did you mean shots\?\)"),
        ({"transforms": len}, SettingError, "few-shot data know transforms=True"),
    ],
)
def test_what_can_not_work_is_named(root, options, error, text):
    with pytest.raises(error, match=text):
        few(root, **options)


def test_a_folder_without_classes_is_refused(root):
    with pytest.raises(LayoutError, match="few-shot data need a folder for each class"):
        few(root / "beach")


def test_a_class_must_have_the_bands_of_the_others(make_classes, write_chip):
    root = make_classes({"a": 4, "b": 4})
    data = few(root, shots=2, unseen=1)
    path = data.paths(data.seen[0])[0]
    write_chip(path, np.zeros((1, 16, 16), "uint8"))
    with pytest.raises(
        ChipError, match=r"3 x uint8 but .* 1 x uint8; the chips of one side must agree"
    ):
        few(root, shots=2, unseen=1).images(data.seen[0])


def test_options_have_the_published_three_shots():
    assert FewShotOptions.of({}).shots == 3
