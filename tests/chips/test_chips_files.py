from __future__ import annotations

import pytest

from rs_gen.chips.files import existing_folder, is_image, list_images, some, stem_of
from rs_gen.errors import LayoutError


@pytest.mark.parametrize(
    "name",
    ["a.xml", "a.tif.aux.xml", "a.tif.ovr", "a.tif.msk", "a.tfw", "a.jgw", "a.json", ".a.tif",
     ".a.part.tif", "tif", "chips.gpkg", "map.txt", "Thumbs.db"],
)  # fmt: skip
def test_sidecars_and_hidden_files_are_no_images(name):
    assert not is_image(name)


@pytest.mark.parametrize("name", ["a.tif", "a.TIFF", "a.b.jpg", "a.jp2", "a.png", "a.vrt"])
def test_images_are_known_by_their_extension(name):
    assert is_image(name)


def test_listing_looks_into_subfolders_and_is_sorted(empty_files):
    root = empty_files("b.tif", "a.tif", "x/c.tif", "x/c.tif.aux.xml", ".hidden/d.tif")
    assert list_images(root) == ["a.tif", "b.tif", "x/c.tif"]
    assert list_images(root, deep=False) == ["a.tif", "b.tif"]


def test_a_stem_keeps_folders_and_inner_dots():
    assert stem_of("x/0012.aerial.tif") == "x/0012.aerial"


def test_up_to_ten_names_are_listed_and_the_rest_counted():
    assert some([str(i) for i in range(12)]) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more"
    assert some(["a"]) == "a"


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(LayoutError, match=r"there is no folder '.*nowhere'$"):
        existing_folder(tmp_path / "nowhere")


@pytest.mark.parametrize("path", ["C:\\data\\chips", "C:\new\table", "data\table"])
def test_a_windows_path_gets_the_hint_to_write_it_raw(path):
    with pytest.raises(LayoutError, match=r"write Windows paths as raw strings: r'C:"):
        existing_folder(path)


def test_a_file_in_place_of_a_folder_is_told(empty_files):
    with pytest.raises(LayoutError, match=r"a.tif is a file; give the folder"):
        existing_folder(empty_files("a.tif") / "a.tif")
