import pytest

from rs_gen.errors import RasterError
from rs_gen.raster.files import whole_or_not


def test_a_file_appears_only_when_it_is_whole(tmp_path):
    path = tmp_path / "new" / "folder" / "a.txt"
    with whole_or_not(path) as part:
        part.write_text("all")
        assert not path.exists()
        assert part.name.startswith(".")
    assert path.read_text() == "all"
    assert [p.name for p in path.parent.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("stop", [ValueError, KeyboardInterrupt, SystemExit])
def test_whatever_stops_the_work_leaves_the_old_file_and_nothing_else(tmp_path, stop):
    path = tmp_path / "a.tif"
    path.write_text("old")

    def work():
        with whole_or_not(path) as part:
            part.write_text("half")
            (tmp_path / (part.name + ".aux.xml")).write_text("half")
            raise stop

    with pytest.raises(stop):
        work()
    assert [p.name for p in tmp_path.iterdir()] == ["a.tif"]
    assert path.read_text() == "old"


def test_sidecars_are_replaced_with_their_file(tmp_path):
    path = tmp_path / "a.tif"
    for name in ("a.tif", "a.tif.ovr", "a.tif.msk", "a.tif.aux.xml"):
        (tmp_path / name).write_text("old")
    with whole_or_not(path) as part:
        part.write_text("new")
        (tmp_path / (part.name + ".msk")).write_text("new")
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {
        "a.tif": "new",
        "a.tif.msk": "new",
    }


def test_what_an_earlier_run_left_behind_is_not_taken_up(tmp_path):
    (tmp_path / ".a.part.tif").write_text("left")
    with whole_or_not(tmp_path / "a.tif") as part:
        assert not part.exists()
        part.write_text("new")


def test_a_name_that_can_not_be_written_is_refused(tmp_path):
    with (
        pytest.raises(RasterError, match="is a folder; give the name of a file"),
        whole_or_not(tmp_path),
    ):
        pass
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(RasterError, match="file can't be made a folder"),
        whole_or_not(tmp_path / "file" / "a.tif"),
    ):
        pass
