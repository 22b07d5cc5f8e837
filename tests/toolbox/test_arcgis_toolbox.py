from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin
from strict_arcpy import ExecuteError, Host

from rs_gen import tools

PYT = Path(__file__).parents[2] / "toolbox" / "arcgis" / "rs_gen.pyt"


@pytest.fixture
def rasters(tmp_path: Path) -> tuple[Path, Path]:
    dice = np.random.default_rng(0)
    paths = []
    for name in ("satellite", "map"):
        path = tmp_path / f"{name}.tif"
        profile = {"driver": "GTiff", "count": 3, "dtype": "uint8", "height": 256, "width": 320,
                   "crs": "EPSG:32633", "transform": from_origin(5e5, 5e6, 2, 2)}  # fmt: skip
        with rasterio.open(path, "w", **profile) as dataset:
            dataset.write(dice.integers(0, 255, (3, 256, 320), dtype="uint8"))
        paths.append(path)
    return paths[0], paths[1]


def tool(host: Host, name: str) -> type:
    return next(t for t in host.load(PYT).tools if t.__name__ == name)


def test_the_toolbox_lists_every_tool():
    assert len(Host().load(PYT).tools) == len(tools.TOOLS)


@pytest.mark.parametrize("index", range(len(tools.TOOLS)), ids=list(tools.TOOLS))
def test_a_dialog_has_the_parameters_of_its_tool(index):
    shown = Host().load(PYT).tools[index]().getParameterInfo()
    known = tools.parameters(list(tools.TOOLS.values())[index])
    assert [p.name for p in shown] == [p.name for p in known]
    assert all(p.input.help for p in known)


def test_chips_are_exported_and_progress_is_shown(rasters, tmp_path):
    host = Host()
    messages = host.run(
        tool(host, "ExportChips"), source=str(rasters[0]), target=str(rasters[1]),
        out=str(tmp_path / "chips"), size=64, valid_share=0.0,
    )  # fmt: skip
    assert len(list((tmp_path / "chips" / "train_a").glob("*.tif"))) == 20
    assert host.positions > 0
    assert any("chips" in line for line in messages.info)


def test_the_losses_of_a_training_stand_above_the_progress_bar():
    host = Host()
    messenger = host.load(PYT).tools[0].execute.__globals__["Messenger"](host.messages)
    told = {
        "event": "progress",
        "done": 3,
        "total": 8,
        "unit": "training",
        "losses": {"l1": 4.5678},
    }
    messenger(told)
    assert host.labels == ["training: l1 4.57"]


def test_a_broken_input_is_an_error_message_with_its_name(rasters, tmp_path):
    broken = tmp_path / "broken.tif"
    broken.write_bytes(b"no raster")
    host = Host()
    with pytest.raises(ExecuteError, match=r"broken\.tif"):
        host.run(
            tool(host, "ExportChips"), source=str(broken), target=str(rasters[1]),
            out=str(tmp_path / "chips"),
        )  # fmt: skip
    assert "broken.tif" in host.messages.errors[0]
    assert not list(tmp_path.glob("chips/train_a/*"))


def test_cancelling_stops_the_run_and_says_so(rasters, tmp_path):
    host = Host(cancel_after=1)
    host.run(
        tool(host, "ExportChips"), source=str(rasters[0]), target=str(rasters[1]),
        out=str(tmp_path / "chips"), size=16, stride=2, valid_share=0.0,
    )  # fmt: skip
    assert any("stopped" in line for line in host.messages.warnings)
    assert not list((tmp_path / "chips").glob("**/.*.part"))


def test_pro_validates_before_a_tool_runs(tmp_path):
    host = Host()
    with pytest.raises(ExecuteError, match="000735"):
        host.run(tool(host, "Translate"), raster=None)
    with pytest.raises(ExecuteError, match="000732"):
        host.run(
            tool(host, "Translate"), raster=str(tmp_path / "no.tif"), model=str(tmp_path),
            out=str(tmp_path / "out.tif"),
        )  # fmt: skip
    with pytest.raises(ExecuteError, match="at least 1"):
        host.run(
            tool(host, "Translate"), raster=str(tmp_path), model=str(tmp_path),
            out=str(tmp_path / "out.tif"), batch_size=0,
        )  # fmt: skip


def test_a_report_is_shown_and_written(rasters, tmp_path):
    host = Host()
    report = tmp_path / "report.json"
    host.run(tool(host, "Inspect"), file=str(rasters[0]), report=str(report))
    assert json.loads(report.read_text())["size"] == "320 x 256 px"
    assert any("EPSG:32633" in line for line in host.messages.info)


def test_several_areas_reach_the_tool_one_by_one(tmp_path, monkeypatch):
    host = Host()
    toolbox = host.load(PYT)
    seen = []
    monkeypatch.setattr(sys.modules["runner"], "run", lambda words, *_: seen.extend(words))
    for name in ("a b.gpkg", "c.gpkg", "in.tif"):
        (tmp_path / name).touch()
    host.run(
        next(t for t in toolbox.tools if t.__name__ == "Translate"),
        raster=str(tmp_path / "in.tif"), model=str(tmp_path), out=str(tmp_path / "out.tif"),
        area=[str(tmp_path / "a b.gpkg"), str(tmp_path / "c.gpkg")],
    )  # fmt: skip
    at = seen.index("--area")
    assert seen[at : at + 4] == [
        "--area", str(tmp_path / "a b.gpkg"), "--area", str(tmp_path / "c.gpkg")
    ]  # fmt: skip


def test_the_stand_in_refuses_what_arcpy_lacks():
    from strict_arcpy import Parameter

    good = {"name": "a", "displayName": "A", "datatype": "GPLong", "direction": "Input",
            "parameterType": "Required"}  # fmt: skip
    shown = Parameter(**good)
    with pytest.raises(AttributeError, match="valueAsTxt"):
        shown.valueAsTxt = 3
    for wrong in ({"datatype": "GPInteger"}, {"direction": "In"}, {"parameterType": "Must"}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Parameter(**{**good, **wrong})
    with pytest.raises(TypeError):
        Parameter(display_name="A", **good)
