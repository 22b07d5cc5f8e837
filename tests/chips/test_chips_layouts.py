from __future__ import annotations

import time

import numpy as np
import pytest
from PIL import Image
from shapely.geometry import box

from rs_gen.chips.index import write_card, write_index
from rs_gen.chips.layouts import find_layout
from rs_gen.errors import LayoutError, PairError, UnknownNameError


def _both(a: str, b: str, count: int = 4) -> list[str]:
    return [f"{side}/{i}.tif" for side in (a, b) for i in range(count)]


@pytest.mark.parametrize(
    ("a", "b", "name", "kind"),
    [
        ("train_a", "train_b", "rs_gen", "pairs"),
        ("Images/train_a", "Images/train_b", "images_train", "pairs"),
        ("images", "images2", "esri_pairs", "pairs"),
        ("A/images", "B/images", "esri_cyclegan", "unpaired"),
        ("trainA", "trainB", "unaligned", "unpaired"),
        ("train_A", "train_B", "prompts", "unpaired"),
    ],
)
def test_two_sided_layouts_are_recognised(empty_files, a, b, name, kind):
    root = empty_files(*_both(a, b), f"{a}/0.tif.aux.xml", f"{a}/0.tfw", f"{b}/0.tif.ovr")
    layout = find_layout(root)
    assert (layout.name, layout.kind, layout.root) == (name, kind, root)
    assert (
        [p.name for p in layout.a] == [p.name for p in layout.b] == [f"{i}.tif" for i in range(4)]
    )
    assert layout.a[0].parent == root / a
    assert find_layout(root, "pairs").kind == "pairs"
    assert find_layout(root, "unpaired").kind == "unpaired"


def test_validation_and_test_folders_come_along(empty_files):
    sides = [s for split in ("train", "valid", "test") for s in (f"{split}_a", f"{split}_b")]
    layout = find_layout(empty_files(*(f"{s}/{i}.tif" for s in sides for i in range(2))))
    for split in ("valid", "test"):
        a, b = getattr(layout, f"{split}_a"), getattr(layout, f"{split}_b")
        assert [p.parent.name for p in (*a, *b)] == [f"{split}_a"] * 2 + [f"{split}_b"] * 2
    assert "valid_a: 2" in repr(layout)
    layout = find_layout(
        empty_files(*_both("trainA", "trainB"), "testA/x.jpg", "testB/y.jpg", root="u")
    )
    assert [p.name for p in (*layout.test_a, *layout.test_b)] == ["x.jpg", "y.jpg"]
    layout = find_layout(
        empty_files(*_both("train_a", "train_b"), *_both("val_a", "val_b"), root="v")
    )
    assert len(layout.valid_a) == len(layout.valid_b) == 4


def test_pairs_are_matched_by_stem_not_by_position(empty_files):
    root = empty_files("train_a/1.tif", "train_a/2.tif", "train_a/10.tif",
                       "train_b/10.png", "train_b/1.png", "train_b/2.png")  # fmt: skip
    layout = find_layout(root)
    assert layout.kind == "pairs"
    assert [p.stem for p in layout.a] == [p.stem for p in layout.b]


def test_unmatched_stems_are_listed(empty_files):
    root = empty_files(*_both("train_a", "train_b", 20), *(f"train_a/x{i}.tif" for i in range(12)))
    with pytest.raises(
        PairError, match=r"12 in .*train_a without partner in .*train_b: x0.tif, x1.tif"
    ):
        find_layout(root)
    with pytest.raises(PairError, match=r"and 2 more.*pass kind='unpaired'"):
        find_layout(root)
    assert find_layout(root, "unpaired").kind == "unpaired"


def test_sides_without_common_stems_are_unpaired(empty_files):
    root = empty_files("train_a/a1.tif", "train_a/a2.tif", "train_b/b1.tif")
    layout = find_layout(root)
    assert layout.kind == "unpaired"
    assert (len(layout.a), len(layout.b)) == (2, 1)
    with pytest.raises(PairError, match=r"chips do not come in pairs"):
        find_layout(root, "pairs")


def test_pairs_of_other_stems_are_matched_by_their_footprints(empty_files):
    root = empty_files("train_a/p.tif", "train_a/q.tif", "train_b/1.tif", "train_b/2.tif")
    left, right = box(0, 0, 1, 1), box(1, 0, 2, 1)
    rows = [
        {"stem": s, "a": a, "b": b, "split": "train", "geometry": g}
        for s, a, b, g in [("p", "train_a/p.tif", None, left), ("q", "train_a/q.tif", None, right),
                           ("1", None, "train_b/1.tif", right), ("2", None, "train_b/2.tif", left)]
    ]  # fmt: skip
    write_index(root, rows, "EPSG:32633")
    layout = find_layout(root)
    assert layout.kind == "pairs"
    assert [(a.stem, b.stem) for a, b in zip(layout.a, layout.b, strict=True)] == [
        ("p", "2"),
        ("q", "1"),
    ]


def test_a_stored_split_is_honoured_and_the_buffer_left_out(empty_files):
    root = empty_files(*_both("train_a", "train_b", 4))
    splits = ["train", "valid", "buffer", "train"]
    write_index(root, [
        {"stem": str(i), "a": f"train_a/{i}.tif", "b": f"train_b/{i}.tif", "split": split,
         "geometry": box(i, 0, i + 1, 1)} for i, split in enumerate(splits)], None)  # fmt: skip
    layout = find_layout(root)
    assert [p.name for p in layout.a] == [p.name for p in layout.b] == ["0.tif", "3.tif"]
    assert [p.name for p in (*layout.valid_a, *layout.valid_b)] == ["1.tif", "1.tif"]


def test_the_card_says_whether_sides_are_pairs(empty_files):
    root = empty_files(*_both("train_a", "train_b"))
    write_card(root, {"paired": False, "a": {}, "b": {}})
    assert find_layout(root).kind == "unpaired"


def test_class_folders_are_recognised_also_nested(empty_files):
    root = empty_files(
        "Forest/1.jpg", "Forest/2.jpg", "Water/1.jpg", "Latin/a/1.png", "notes/x.txt"
    )
    layout = find_layout(root)
    assert (layout.name, layout.kind) == ("classes", "classes")
    assert layout.classes == ("Forest", "Latin/a", "Water")
    assert layout.labels == tuple(p.parent.relative_to(root).as_posix() for p in layout.a)


def test_class_folders_below_splits_keep_their_class(empty_files):
    root = empty_files("train/Forest/1.jpg", "train/Water/1.jpg", "val/Water/2.jpg")
    layout = find_layout(root)
    assert layout.labels == ("Forest", "Water")
    assert layout.valid_labels == ("Water",)


def _pictures(folder, sizes):
    folder.mkdir(parents=True)
    for i, (width, height) in enumerate(sizes):
        Image.fromarray(np.zeros((height, width, 3), np.uint8)).save(folder / f"{i}.png")
    return folder


def test_images_twice_as_wide_as_high_are_aligned(tmp_path):
    layout = find_layout(_pictures(tmp_path / "x", [(64, 32)] * 3))
    assert (layout.name, layout.kind, len(layout.a), layout.b) == ("aligned", "aligned", 3, ())


def test_aligned_images_below_splits(tmp_path):
    for name in ("train", "val", "test"):
        _pictures(tmp_path / "maps" / name, [(64, 32)])
    layout = find_layout(tmp_path / "maps")
    assert layout.kind == "aligned"
    assert [len(x) for x in (layout.a, layout.valid_a, layout.test_a)] == [1, 1, 1]


def test_a_flat_folder_is_single(tmp_path):
    folder = _pictures(tmp_path / "x", [(32, 32)] * 3)
    assert find_layout(folder).kind == "single"
    with pytest.raises(LayoutError, match=r"can't be read as 'aligned'.* 32 x 32 px"):
        find_layout(folder, "aligned")
    with pytest.raises(LayoutError, match=r"flat \(single\) and can't be read as 'pairs'"):
        find_layout(folder, "pairs")


def test_halves_that_differ_are_refused(tmp_path):
    folder = _pictures(tmp_path / "x", [(65, 32)])
    with pytest.raises(LayoutError, match=r"0.png is 65 x 32 px: A and B side by side need"):
        find_layout(folder)
    assert find_layout(folder, "single").kind == "single"


def test_one_raster_from_arcgis_is_single(tmp_path):
    _pictures(tmp_path / "x" / "images", [(32, 32)])
    layout = find_layout(tmp_path / "x")
    assert (layout.name, layout.kind) == ("esri_tiles", "single")


@pytest.mark.parametrize(("there", "missing"), [("train_a", "train_b"), ("B/images", "A/images")])
def test_a_side_without_its_partner_is_refused(empty_files, there, missing):
    root = empty_files(f"{there}/1.tif")
    with pytest.raises(
        PairError, match=f"has {there} but not {missing}; add it, or pass kind='single'"
    ):
        find_layout(root)
    assert find_layout(root, "single").a == (root / there / "1.tif",)


def test_a_validation_side_without_its_partner_is_refused(empty_files):
    with pytest.raises(PairError, match=r"has valid_b but not valid_a"):
        find_layout(empty_files(*_both("train_a", "train_b"), "valid_b/1.tif"))


def test_an_empty_side_is_named(empty_files):
    root = empty_files("train_a/1.tif", "train_b/readme.txt")
    with pytest.raises(LayoutError, match=r"there are no images in .*train_b"):
        find_layout(root)


def test_a_folder_without_images_says_what_was_expected(empty_files):
    with pytest.raises(LayoutError, match=r"there are no images in .*expected train_a and train_b"):
        find_layout(empty_files("readme.txt"))


def test_an_unknown_kind_is_refused(empty_files):
    with pytest.raises(UnknownNameError, match=r"no dataset kind named 'pair'; there are aligned"):
        find_layout(empty_files("train_a/1.tif"), "pair")


def test_two_sides_are_no_classes(empty_files):
    with pytest.raises(LayoutError, match=r"has two sides, train_a and train_b, and can't be read"):
        find_layout(empty_files(*_both("train_a", "train_b")), "classes")


def test_loose_images_are_no_class(empty_files):
    with pytest.raises(LayoutError, match=r"these images lie in none: 1.jpg"):
        find_layout(empty_files("1.jpg", "Forest/2.jpg"), "classes")


def test_a_picture_beside_exported_class_folders_is_no_chip(empty_files):
    folder = empty_files("forest/1.tif", "river/2.tif")
    Image.new("RGB", (8, 8)).save(folder / "preview.png")
    assert find_layout(folder).kind == "single"
    write_card(folder, {"style": "classes"})
    layout = find_layout(folder)
    assert (layout.kind, layout.classes, len(layout.a)) == ("classes", ("forest", "river"), 2)


def test_reading_leaves_a_folder_as_it_was(tmp_path, empty_files):
    root = empty_files(*_both("train_a", "train_b"))
    write_index(root, [{"stem": "0", "a": "train_a/0.tif", "split": "train",
                        "geometry": box(0, 0, 1, 1)}], "EPSG:32633")  # fmt: skip
    before = sorted((p, p.stat().st_mtime_ns) for p in root.rglob("*"))
    find_layout(root)
    assert sorted((p, p.stat().st_mtime_ns) for p in root.rglob("*")) == before


@pytest.mark.slow  # makes 100,000 files
def test_a_hundred_thousand_chips_are_listed_in_seconds(tmp_path):
    for side in ("train_a", "train_b"):
        (tmp_path / side).mkdir()
        for i in range(50_000):
            (tmp_path / side / f"{i:06d}.tif").touch()
    find_layout(tmp_path)
    start = time.process_time()
    layout = find_layout(tmp_path)
    assert time.process_time() - start < 3
    assert len(layout.a) == len(layout.b) == 50_000


@pytest.mark.data
def test_real_datasets_are_recognised(imagery):
    maps = find_layout(imagery / "maps256")
    assert (maps.kind, len(maps.a), len(maps.test_b)) == ("pairs", 1000, 96)
    assert find_layout(imagery / "maps600").kind == "aligned"
    assert len(find_layout(imagery / "eurosat_rgb").classes) == 10
