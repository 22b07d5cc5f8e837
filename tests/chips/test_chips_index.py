from __future__ import annotations

import json

import pytest
from shapely.geometry import box

from rs_gen.chips.index import (
    COLUMNS,
    read_card,
    read_footprints,
    read_index,
    read_rows,
    write_card,
    write_index,
)
from rs_gen.errors import LayoutError

ROW = {"stem": "x", "a": "train_a/x.tif", "b": "train_b/x.tif", "source": "s.tif", "col_off": 4,
       "row_off": 8, "width": 2, "height": 2, "valid_share": 0.5, "split": "valid",
       "geometry": box(0, 0, 1, 2)}  # fmt: skip


@pytest.mark.parametrize("crs", ["EPSG:32633", None])
def test_rows_come_back_with_their_footprint(tmp_path, crs):
    write_index(tmp_path, [ROW, {**ROW, "stem": "y", "b": None}], crs)
    table = read_index(tmp_path)
    assert [*table.columns] == [*COLUMNS, "geometry"]
    assert table.iloc[0].geometry.equals(ROW["geometry"])
    assert (None if table.crs is None else table.crs.to_string()) == crs or crs is None
    assert read_rows(tmp_path, "stem", "col_off", "split") == [("x", 4, "valid"), ("y", 4, "valid")]
    assert read_footprints(tmp_path)["train_b/x.tif"].equals(ROW["geometry"])


def test_a_folder_without_index_and_card_says_nothing(tmp_path):
    assert read_card(tmp_path) is None
    assert read_index(tmp_path) is None
    assert read_rows(tmp_path, "a") == []
    assert read_footprints(tmp_path) == {}


def test_a_column_that_is_missing_gives_no_rows(tmp_path):
    write_index(tmp_path, [ROW], None)
    assert read_rows(tmp_path, "a", "weather") == []


def test_the_card_comes_back(tmp_path):
    write_card(tmp_path, {"size": 64})
    assert read_card(tmp_path) == {"rs_gen": 1, "size": 64}
    assert not list(tmp_path.glob(".part*"))


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"rs_gen": null}'])
def test_a_foreign_card_is_refused(tmp_path, text):
    (tmp_path / "chips.json").write_text(text)
    with pytest.raises(LayoutError, match=r"chips.json is not a card of rs_gen's"):
        read_card(tmp_path)


def test_a_newer_card_says_so(tmp_path):
    (tmp_path / "chips.json").write_text(json.dumps({"rs_gen": 2}))
    with pytest.raises(LayoutError, match=r"has version 2; this rs_gen reads up to 1"):
        read_card(tmp_path)


def test_a_broken_index_is_named(tmp_path):
    (tmp_path / "chips.gpkg").write_bytes(b"nothing like it" * 100)
    with pytest.raises(LayoutError, match=r"chips.gpkg can't be read .*remove it to go without"):
        read_rows(tmp_path, "a")
