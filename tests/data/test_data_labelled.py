from itertools import pairwise

import geopandas as gpd
import pytest
from affine import Affine
from shapely.geometry import box

from rs_gen.chips.classes import export_class_chips
from rs_gen.data.image_options import ImageOptions
from rs_gen.data.labelled import chosen_classes, find_labelled, hold_out
from rs_gen.errors import LayoutError, SettingError, UnknownNameError


def held(folder, share=0.25, seed=42, placed=False, **options):
    return hold_out(find_labelled(folder), share, seed, ImageOptions.of(options), placed=placed)


def by_class(part, classes):
    return {name: {p.name for p, i in zip(part.paths, part.labels, strict=True) if i == k}
            for k, name in enumerate(classes)}  # fmt: skip


def test_each_class_gives_its_share_and_labels_follow_the_folders(classes_of):
    found = held(classes_of(forest=8, river=4))
    assert found.classes == ("forest", "river")
    assert [len(found.train), len(found.valid)] == [9, 3]
    for part in (found.train, found.valid):
        assert [p.parent.name for p in part.paths] == [found.classes[i] for i in part.labels]
    assert not set(found.train.paths) & set(found.valid.paths)


def test_one_seed_gives_subsets_that_hold_each_other_and_one_held_out_set(classes_of):
    folder = classes_of(forest=12, river=12)
    kept = [held(folder, n_per_class=n) for n in (1, 3, 7, 9)]
    for few, more in pairwise(kept):
        assert set(few.train.paths) < set(more.train.paths)
    assert all(found.valid == kept[0].valid for found in kept)
    assert [len(found.train) for found in kept] == [2, 6, 14, 18]
    assert held(folder, n_per_class=9).pool == held(folder).train.paths
    other = held(folder, seed=7, n_per_class=3)
    assert set(other.train.paths) != set(kept[1].train.paths)


def test_what_a_class_gives_does_not_depend_on_the_other_classes(classes_of):
    folder = classes_of(forest=9, river=9, sea=9)
    all_ = held(folder, n_per_class=4)
    two = held(folder, n_per_class=4, classes=["sea", "forest"])
    assert two.classes == ("sea", "forest")
    expected = by_class(all_.train, all_.classes)
    assert by_class(two.train, two.classes) == {n: expected[n] for n in two.classes}


def test_a_number_of_classes_is_drawn_and_grows(classes_of):
    names = [f"c{i}" for i in range(9)]
    drawn = [set(chosen_classes(names, k, seed=3)) for k in (1, 4, 9)]
    assert drawn[0] < drawn[1] < drawn[2]
    assert chosen_classes(names, 4, seed=3) == tuple(sorted(drawn[1]))
    assert any(chosen_classes(names, 4, seed) != chosen_classes(names, 4, 3) for seed in (4, 5, 6))
    with pytest.raises(SettingError, match="classes=10: there are 9, c0, c1"):
        chosen_classes(names, 10, seed=3)
    with pytest.raises(UnknownNameError, match="no class named 'lake'; there are c0"):
        chosen_classes(names, ["lake"], seed=3)


def test_a_flat_folder_has_no_classes(classes_of):
    found = held(classes_of(forest=8) / "forest", n_per_class=2)
    assert (found.classes, found.train.labels) == ((), (0, 0))
    assert found.how == "0.25 of the chips, drawn with seed 42"
    with pytest.raises(SettingError, match="one folder of chips without classes; leave classes"):
        held(classes_of(forest=8) / "forest", classes=["forest"])


def test_a_stored_split_is_kept(make_classes):
    folder = make_classes({"train/forest": 4, "train/river": 4, "valid/forest": 2, "test/river": 3})
    found = held(folder)
    assert {p.parts[-3] for p in found.valid.paths} == {"valid"}
    assert found.how == "the dataset's own valid folder"
    assert "no held-out chips of class river" in found.notes
    assert "3 test chips are left alone" in found.notes


def test_another_dataset_can_be_held_out(make_classes):
    folder = make_classes({"forest": 4, "river": 4})
    other = make_classes({"forest": 3, "sea": 3}, name="other")
    found = held(folder, valid_path=other)
    assert by_class(found.valid, found.classes)["forest"] == {"000.png", "001.png", "002.png"}
    assert len(found.train) == 8
    assert found.notes == ("no held-out chips of class river",)
    with pytest.raises(SettingError, match=r"must be another dataset than .* in class folders"):
        held(folder, valid_path=folder)


def test_too_few_chips_are_refused_by_class(classes_of):
    folder = classes_of(forest=8, river=1)
    with pytest.raises(SettingError, match="class 'river' has 1 chip; 2 are the least"):
        held(folder)
    with pytest.raises(SettingError, match="n_per_class=7, but class 'forest' has 6 chips"):
        held(folder, classes=["forest"], n_per_class=7)
    with pytest.raises(UnknownNameError, match="no class named 'forest'"):
        held(folder, classes=["forest"], min_size=64)


def test_chips_that_share_ground_with_held_out_ones_are_left_out(tmp_path, write_chip, chip):
    for i in range(10):  # half of each chip is its neighbour's
        place = Affine(10, 0, 5e5 + 80 * i, 0, -10, 5e6)
        write_chip(tmp_path / "forest" / f"{i}.tif", chip(i, 1, 16, 16), transform=place)
    found = held(tmp_path, 0.2, placed=True)
    numbers = {n: sorted(int(p.stem) for p in getattr(found, n).paths) for n in ("train", "valid")}
    assert all(abs(t - v) > 1 for t in numbers["train"] for v in numbers["valid"])
    left = 10 - len(numbers["train"]) - len(numbers["valid"])
    assert f"{left} training chips that share ground with held-out ones" in found.notes[0]
    with pytest.raises(SettingError, match="every training chip of class 'forest' shares ground"):
        held(tmp_path, 0.9, placed=True)


def test_chips_exported_by_polygon_keep_their_split_by_place(tmp_path, write_chip, chip):
    source = write_chip(tmp_path / "in.tif", chip(0, 4, 320, 320, "uint16"))
    table = gpd.GeoDataFrame(
        {"kind": ["A"]}, geometry=[box(5e5, 5e6 - 3200, 5e5 + 3200, 5e6)], crs=32633
    )
    table.to_file(tmp_path / "areas.gpkg")
    export_class_chips(source, tmp_path / "areas.gpkg", "kind", tmp_path / "out", 32)
    found = held(tmp_path / "out", n_per_class=5, placed=True)
    assert (found.how, found.classes) == ("stored in chips.gpkg", ("A",))
    assert (len(found.train), found.drawn) == (5, False)
    assert any("buffer" in note for note in found.notes)


def test_loose_images_beside_class_folders_are_an_error(make_classes, write_chip, chip):
    folder = make_classes({"forest": 2})
    write_chip(folder / "preview.png", chip(0, 3, 8, 8))
    with pytest.raises(LayoutError, match=r"lie loose \(preview.png\).*in folders \(forest\)"):
        find_labelled(folder)


def test_two_sides_are_an_error_that_names_one(make):
    folder = make(4)
    with pytest.raises(LayoutError, match=r"holds two sides .*such as .*train_a"):
        find_labelled(folder)
    assert find_labelled(folder / "train_a").kind == "single"


def test_wide_images_are_images(make_classes):
    assert find_labelled(make_classes({"wide": 2}, size=(8, 16)) / "wide").kind == "single"
