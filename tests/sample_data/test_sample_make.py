"""Scenes on disk, the command line, and the committed scenes."""

import json

import geopandas as gpd
import numpy as np
import pytest
import rasterio

from rs_gen.errors import SettingError
from sample_data import committed
from sample_data.kinds import CLASSES
from sample_data.make import main, write_scene
from sample_data.world import World

ORIGIN = (501460.0, 5398828.0)


def test_a_scene_is_written_as_it_is_drawn(tmp_path):
    seen = []

    def progress(items, total=None, label=""):
        for item in items:
            seen.append((total, label))
            yield item

    paths = write_scene(tmp_path, (620, 530), 2, origin=ORIGIN, bands=3, progress=progress)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "classes.tif", "map.tif", "sar.tif", "satellite.tif", "vectors.gpkg",
    ]  # fmt: skip
    drawn = World(2).draw((ORIGIN[0], ORIGIN[1] - 620, ORIGIN[0] + 530, ORIGIN[1]), bands=3)
    for look, picture in drawn.items():
        with rasterio.open(paths[look]) as dataset:
            assert np.array_equal(dataset.read(), picture)
            assert dataset.crs.to_epsg() == 32633
            assert (dataset.transform.c, dataset.transform.f) == ORIGIN
            assert dataset.res == (1, 1)
            assert dataset.tags()["SEED"] == "2"
    assert seen == [(len(seen), "drawing")] * len(seen)


def test_files_say_what_their_bands_and_values_are(tmp_path):
    paths = write_scene(
        tmp_path, 64, 1, bands=10, polarisations=("VV", "VH"), season="winter", vectors=False
    )
    assert "vectors" not in paths
    with rasterio.open(paths["satellite"]) as dataset:
        assert dataset.nodata == 0
        assert dataset.descriptions[:3] == ("blue", "green", "red")
        assert json.loads(dataset.tags()["OPTIONS"])["season"] == "winter"
    with rasterio.open(paths["sar"]) as dataset:
        assert np.isnan(dataset.nodata)
        assert dataset.descriptions == ("VV", "VH")
    with rasterio.open(paths["classes"]) as dataset:
        colours = dataset.colormap(1)
        assert all(colours[k][:3] == colour for k, (_, colour) in CLASSES.items())
    with rasterio.open(paths["map"]) as dataset:
        assert [c.name for c in dataset.colorinterp] == ["red", "green", "blue"]


def test_a_wedge_leaves_its_share_unmeasured(tmp_path):
    paths = write_scene(tmp_path, 200, 1, ["satellite", "sar"], wedge=0.2, vectors=False)
    for path in paths.values():
        with rasterio.open(path) as dataset:
            assert (dataset.read_masks(1) == 0).mean() == pytest.approx(0.2, abs=0.02)


def test_vectors_hold_each_feature_once(tmp_path, monkeypatch):
    parts = World.vector_parts
    monkeypatch.setattr(World, "vector_parts", lambda self, bounds: parts(self, bounds, faces=2))
    path = write_scene(tmp_path, 500, 2, [], origin=ORIGIN)["vectors"]
    bounds = (ORIGIN[0], ORIGIN[1] - 500, ORIGIN[0] + 500, ORIGIN[1])
    expected = World(2).vectors(bounds)
    found = [gpd.read_file(path, layer=name) for name in ("areas", "roads", "buildings")]
    assert sum(map(len, found)) == len(expected)
    assert set(found[2]["class"]) == {"building"}
    assert set(found[1]["class"]) == {"road"}
    assert {t.crs.to_epsg() for t in found} == {32633}


def test_a_failed_scene_leaves_no_file(tmp_path):
    def stop(items, total=None, label=""):
        yield next(iter(items))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_scene(tmp_path, (64, 1200), 1, ["map"], progress=stop)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"size": 0}, "size=0 holds no pixel"),
        ({"wedge": 0.95}, "wedge=0.95 is a share of the scene, from 0 to 0.9"),
    ],
)
def test_a_scene_that_cannot_be_is_refused(tmp_path, options, text):
    with pytest.raises(SettingError, match=text):
        write_scene(tmp_path, **options)


def test_the_command_line_writes_a_scene_and_says_where(tmp_path, capsys):
    status = main([str(tmp_path), "--size", "40", "60", "--seed", "3", "--looks", "map", "classes"])
    out, err = capsys.readouterr()
    assert status == 0
    assert out.splitlines() == [
        str(tmp_path / name) for name in ("map.tif", "classes.tif", "vectors.gpkg")
    ]
    assert "drawing 1/" in err
    with rasterio.open(tmp_path / "map.tif") as dataset:
        assert dataset.shape == (40, 60)


def test_the_command_line_shows_an_error_as_text(tmp_path, capsys):
    assert main([str(tmp_path), "--size", "40", "--clouds", "7"]) == 1
    assert capsys.readouterr().err == "error: clouds=7.0 is a share, from 0 to 1\n"


@pytest.mark.parametrize("name", committed.SCENES)
def test_the_generator_still_draws_the_committed_scenes(name, tmp_path):
    """Classes exactly; the rest but for the last bit of another machine's arithmetic."""
    paths = write_scene(tmp_path, **committed.SCENES[name])
    for look in ("satellite", "map", "sar", "classes"):
        with (
            rasterio.open(paths[look]) as new,
            rasterio.open(committed.FOLDER / name / f"{look}.tif") as kept,
        ):
            assert str(new.profile) == str(kept.profile)
            assert new.tags() == kept.tags()
            drawn, stored = new.read().astype(float), kept.read().astype(float)
        assert (np.isnan(drawn) == np.isnan(stored)).all()
        apart = np.abs(np.nan_to_num(drawn) - np.nan_to_num(stored))
        assert apart.max() <= {"satellite": 2, "map": 1, "sar": 1 / 32, "classes": 0}[look], look
        assert (apart > 0).mean() < 0.01, look
    table, kept = (gpd.read_file(p / "vectors.gpkg", layer="areas") for p in
                   (tmp_path, committed.FOLDER / name))  # fmt: skip
    assert list(table.kind) == list(kept.kind)
    assert table.area.to_numpy() == pytest.approx(kept.area.to_numpy(), rel=1e-6)


def test_the_committed_scenes_are_small():
    files = [p for p in committed.FOLDER.rglob("*") if p.is_file()]
    assert len(files) == 5 * len(committed.SCENES)
    assert sum(p.stat().st_size for p in files) < 1_500_000
