import pytest

from rs_gen.errors import RasterError
from rs_gen.raster.files import whole_folder_or_not, whole_or_not


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


def fill_half(out):
    with whole_folder_or_not(out) as part:
        (part / "half.txt").write_text("half")
        raise ZeroDivisionError


def test_a_folder_is_there_whole_or_not_at_all(tmp_path):
    out = tmp_path / "new" / "out"
    with pytest.raises(ZeroDivisionError):
        fill_half(out)
    assert not list(out.parent.iterdir())
    with whole_folder_or_not(out) as part:
        (part / "one.txt").write_text("one")
        assert not out.exists()
    assert [p.name for p in out.parent.iterdir()] == ["out"]
    with pytest.raises(ZeroDivisionError):
        fill_half(out)
    assert [p.name for p in out.iterdir()] == ["one.txt"]
    with whole_folder_or_not(out) as part:
        (part / "two.txt").write_text("two")
    assert [p.name for p in out.iterdir()] == ["two.txt"]
    assert [p.name for p in out.parent.iterdir()] == ["out"]


def test_a_folder_that_a_killed_run_had_moved_away_is_brought_back(tmp_path):
    (tmp_path / ".out.old").mkdir()
    (tmp_path / ".out.old" / "kept.txt").touch()
    with pytest.raises(ZeroDivisionError):
        fill_half(tmp_path / "out")
    assert (tmp_path / "out" / "kept.txt").exists()


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "out").touch()
    with pytest.raises(RasterError, match="out is a file; give the name of a folder"):  # noqa: SIM117
        with whole_folder_or_not(tmp_path / "out"):
            pass
