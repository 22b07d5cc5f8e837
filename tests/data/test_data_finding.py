import pytest
from PIL import Image

from rs_gen.chips.layouts import find_layout
from rs_gen.data.finding import common_size, divide, find
from rs_gen.data.options import Options
from rs_gen.errors import ChipError, LayoutError, PairError, SettingError


def stems(paths):
    return [path.stem for path in paths]


def division(path, kind=None, share=0.25, seed=1, **options):
    layout, kind = find(path, kind)
    return divide(layout, kind, share, seed, Options.of(options))


def test_a_folder_of_pairs_is_for_pix2pix_and_an_unpaired_one_for_cyclegan(make):
    assert find(make(4), None)[1] == "Pix2Pix"
    assert find(make(4, 3, layout="unaligned", name="other"), None)[1] == "CycleGAN"


def test_pairs_can_be_used_as_unpaired_chips(make):
    layout, kind = find(make(4), "CycleGAN")
    assert (layout.kind, kind) == ("pairs", "CycleGAN")


def test_images_with_both_sides_serve_both_kinds(tmp_path):
    for i in range(3):
        Image.new("RGB", (32, 16), (i, i, i)).save(tmp_path / f"{i}.png")
    for kind in (None, "Pix2Pix", "CycleGAN"):
        assert find(tmp_path, kind)[0].kind == "aligned"


def test_a_missing_folder_is_said_to_be_missing(tmp_path):
    for kind in (None, "Pix2Pix", "CycleGAN"):
        with pytest.raises(LayoutError, match=r"there is no folder '.*nowhere'"):
            find(tmp_path / "nowhere", kind)


def test_a_folder_without_images_is_refused(tmp_path):
    (tmp_path / "readme.txt").write_text("none here")
    with pytest.raises(LayoutError, match="no images"):
        find(tmp_path, None)


def test_single_images_have_nothing_to_be_translated_to(tmp_path):
    for i in range(3):
        Image.new("RGB", (16, 16)).save(tmp_path / f"{i}.png")
    with pytest.raises(LayoutError, match="holds single images with no other side to translate"):
        find(tmp_path, None)
    with pytest.raises(LayoutError):
        find(tmp_path, "Pix2Pix")


def test_unmatched_chips_are_listed_and_the_remedy_is_in_our_words(make):
    folder = make(["1", "2", "3", "4"], ["1", "2", "3", "9"])
    with pytest.raises(PairError, match=r"4\.png.*9\.png.*dataset_type='CycleGAN'"):
        find(folder, None)
    assert find(folder, "CycleGAN")[1] == "CycleGAN"


def test_a_missing_side_is_named(make):
    folder = make(3)
    for path in (folder / "train_b").iterdir():
        path.unlink()
    (folder / "train_b").rmdir()
    with pytest.raises(PairError, match="has train_a but not train_b"):
        find(folder, None)


def test_a_drawn_split_follows_the_seed_and_keeps_pairs(make):
    folder = make(12)
    first, again, other = (division(folder, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert stems(first.valid.a) != stems(other.valid.a)
    assert stems(first.train.a) == stems(first.train.b)
    assert len(first.valid.a) == 3
    assert not set(first.train.a) & set(first.valid.a)
    assert "0.25 of the chips, drawn with seed 1" in first.how


def test_both_sides_of_unpaired_chips_are_split(make):
    found = division(make(8, 12, layout="unaligned"), share=0.25)
    assert (len(found.valid.a), len(found.valid.b)) == (2, 3)
    assert not set(found.train.b) & set(found.valid.b)
    assert not found.paired


def test_pairs_used_as_unpaired_never_leak_their_partner_into_training(make):
    found = division(make(12), "CycleGAN")
    assert stems(found.valid.a) == stems(found.valid.b)
    assert not set(stems(found.train.b)) & set(stems(found.valid.a))
    assert found.paired


def test_equal_names_alone_do_not_make_pairs_of_an_unpaired_convention(make):
    assert not division(make(6, layout="unaligned")).paired


def test_stored_validation_and_test_folders_are_used(make, write_chip, chip):
    folder = make(6)
    for side in "ab":
        write_chip(folder / f"test_{side}" / "t.png", chip(1, 3, 32, 32))
    found = division(folder)
    assert stems(found.valid.a) == ["t"]
    assert len(found.train.a) == 6
    assert found.how == "the dataset's own test folders"
    for side in "ab":
        write_chip(folder / f"valid_{side}" / "v.png", chip(2, 3, 32, 32))
    found = division(folder)
    assert stems(found.valid.b) == ["v"]
    assert found.notes == ("1 test chips are left alone",)


def test_chips_can_be_named_for_validation(make):
    found = division(make(6), valid=["002", "004.png"])
    assert stems(found.valid.a) == stems(found.valid.b) == ["002", "004"]
    assert len(found.train.a) == 4


def test_names_that_are_not_there_are_listed(make):
    with pytest.raises(SettingError, match="valid names chips that are not there: 777, 888"):
        division(make(4), valid=["001", "888", "777"])


def test_another_dataset_can_validate(make):
    found = division(make(4), valid_path=make(3, name="held out"))
    assert len(found.train.a) == 4
    assert len(found.valid.a) == 3
    assert "held out" in found.how


def test_unpaired_chips_can_validate_what_was_trained_on_pairs(make):
    other = make(3, 5, layout="unaligned", name="held out")
    found = division(make(4), "CycleGAN", valid_path=other)
    assert (len(found.valid.a), len(found.valid.b)) == (3, 5)
    assert not found.paired


def test_a_dataset_that_validates_must_be_laid_out_alike(make, tmp_path):
    both = tmp_path / "both"
    both.mkdir()
    for i in range(3):
        Image.new("RGB", (32, 16), (i, i, i)).save(both / f"{i}.png")
    with pytest.raises(SettingError, match=r"is laid out as aligned but .* as rs_gen; give"):
        division(make(4), valid_path=both)


def test_small_chips_can_be_left_out_with_their_partners(make, write_chip, chip):
    folder = make(6)
    write_chip(folder / "train_b" / "003.png", chip(1, 3, 32, 20))
    found = division(folder, min_size=32)
    assert "003" not in stems(found.train.a + found.valid.a + found.train.b)
    assert "1 pairs smaller than 32 px are left out" in found.notes


def test_a_split_that_leaves_a_side_empty_is_refused(make):
    folder = make(3)
    with pytest.raises(SettingError, match="no chips of side A are left to train on"):
        division(folder, valid=["000", "001", "002"])
    with pytest.raises(SettingError, match="no chips of side A are left to validate with"):
        division(folder, valid=[])
    with pytest.raises(SettingError, match="no chips of side A are left to train on"):
        division(folder, min_size=64)


def test_two_chips_can_be_split_and_one_can_not(make):
    found = division(make(2), share=0.01)
    assert len(found.train.a) == len(found.valid.a) == 1
    with pytest.raises(SettingError, match="1 chip on side a can't be split"):
        division(make(1, name="one"))
    with pytest.raises(SettingError, match="val_split_pct=0 leaves nothing to validate on"):
        division(make(4, name="four"), share=0)


def test_the_split_of_chips_gpkg_is_used_and_its_buffer_left_out(make):
    from shapely.geometry import box

    from rs_gen.chips.index import write_index

    folder = make(6)
    splits = ["train", "train", "buffer", "valid", "valid", "train"]
    rows = [
        {
            "stem": f"{i:03d}", "a": f"train_a/{i:03d}.png", "b": f"train_b/{i:03d}.png",
            "split": splits[i], "geometry": box(i, 0, i + 1, 1),
        }
        for i in range(6)
    ]  # fmt: skip
    write_index(folder, rows, "EPSG:32633")
    for kind in ("Pix2Pix", "CycleGAN"):
        found = division(folder, kind)
        assert stems(found.valid.a) == stems(found.valid.b) == ["003", "004"]
        assert stems(found.train.b) == ["000", "001", "005"]
        assert found.how == "stored in chips.gpkg"
        assert found.notes == ("1 chips between training and validation are left out (buffer)",)
        assert found.paired
    assert find_layout(folder).valid_a


def test_the_size_is_that_of_the_chips():
    assert common_size([(250, 250)], None) == (250, None)


def test_unequal_chips_get_the_largest_multiple_of_four_that_fits_all():
    size, note = common_size([(256, 256), (300, 250)], None)
    assert size == 248
    assert note.startswith("chips are 256 x 256, 300 x 250 px; chip_size=248 is the largest")
    assert common_size([(512, 256)], None)[0] == 256


def test_a_size_that_does_not_fit_names_what_was_found():
    assert common_size([(256, 256)], 128) == (128, None)
    with pytest.raises(ChipError, match="chip_size=256 does not fit chips of 200 x 256, 256 x 256"):
        common_size([(256, 256), (200, 256)], 256)
    with pytest.raises(ChipError, match="pass chip_size=200 or less, or leave small chips out"):
        common_size([(200, 256)], 256)
