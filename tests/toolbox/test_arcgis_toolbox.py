"""Every tool of the toolbox in a strict stand-in for ArcGIS Pro, through real runs of rs-gen."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin
from shapely.geometry import box
from strict_arcpy import ExecuteError, Host, Layer, Parameter

from rs_gen import listing, tools
from rs_gen.games.card import Card
from rs_gen.games.package import save
from rs_gen.games.registry import create_game
from rs_gen.parameters import Input

PYT = Path(__file__).parents[2] / "toolbox" / "arcgis" / "rs_gen.pyt"


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """Two rasters, two areas, and a model of one direction and one of two, untrained."""
    folder = tmp_path_factory.mktemp("my data")  # a blank, as people's folders have
    dice = np.random.default_rng(0)
    profile = {"driver": "GTiff", "dtype": "uint8", "height": 96, "width": 128,
               "crs": "EPSG:32633", "transform": from_origin(5e5, 5e6, 2, 2)}  # fmt: skip
    for name, count in (("a.tif", 3), ("b.tif", 3), ("grey.tif", 1)):
        with rasterio.open(folder / name, "w", count=count, **profile) as dataset:
            dataset.write(dice.integers(0, 255, (count, 96, 128), dtype="uint8"))
    places = [box(5e5 + x, 5e6 - 100, 5e5 + x + 60, 5e6 - 20) for x in (0, 150)]
    gpd.GeoDataFrame(geometry=places, crs=32633).to_file(folder / "areas.gpkg")
    stretch = {"low": [0.0] * 3, "high": [255.0] * 3}
    side = {"count": 3, "dtype": "uint8", "nodata": None, "stretch": stretch, "resolution": 2.0}
    game = create_game("cyclegan", in_channels=3, out_channels=3, width=4, blocks=1, d_width=4)
    palette = {"colours": [[-0.2, 0.0, 0.1], [0.1, 0.0, -0.2]], "shares": [0.6, 0.4]}
    save(folder / "both", game, Card("cyclegan", game.settings, side, side, 64,
                                     palettes={"AtoB": palette}))  # fmt: skip
    game = create_game("pix2pix", in_channels=3, out_channels=3, width=4, depth=5, d_width=4)
    save(folder / "one.dlpk", game, Card("pix2pix", game.settings, side, side, 64))
    game = create_game("regularized_gan", out_channels=3, size=16, classes=2, base="dcgan",
                       widths=[8, 8, 8], z_dim=8)  # fmt: skip
    card = Card("regularized_gan", {}, {}, side, 16, classes=["field", "water"])
    save(folder / "noise.dlpk", game, card)
    return folder


@pytest.fixture
def host(tmp_path) -> Host:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return Host(scratch=scratch)


def tool(host: Host, name: str) -> type:
    return next(t for t in host.load(PYT).tools if t.__name__ == name)


def translated(host: Host, files: Path, out: Path, **values) -> None:
    chosen = {"in_raster": str(files / "a.tif"),
              "in_model_definition": str(files / "both" / "both.emd"),
              "out_raster": str(out), **values}  # fmt: skip
    host.run(tool(host, "TranslateRaster"), **chosen)


def test_the_toolbox_lists_every_tool_under_its_title(host):
    found = [t() for t in host.load(PYT).tools]
    assert [t.label for t in found] == [listing.label_of(name)[0] for name in tools.TOOLS]
    assert {t.category for t in found} >= {"Training", "Translation", "Utilities"}


@pytest.mark.parametrize("index", range(len(tools.TOOLS)), ids=list(tools.TOOLS))
def test_a_dialog_asks_for_every_parameter_of_its_tool(host, index):
    shown = host.open(host.load(PYT).tools[index]())
    asked = [p for p in shown if p.parameterType != "Derived"]
    name, function = list(tools.TOOLS.items())[index]
    hidden = {"device"} | ({"overwrite"} if name in ("translate", "export_onnx") else set())
    known = [p for p in tools.parameters(function) if p.name not in hidden]
    assert len(asked) == len(known)
    assert [p.parameterType for p in asked] == [
        "Required" if p.required else "Optional" for p in known]  # fmt: skip
    assert all(
        p.category or listing.shown_first(name, k) for p, k in zip(asked, known, strict=True)
    )


def test_names_follow_those_of_pros_own_tools(host):
    names = [p.name for p in host.open(tool(host, "TrainImageTranslationModel")())]
    assert names[:4] == ["in_folder", "out_folder", "model_type", "max_epochs"]
    assert names[-1] == "out_model_definition"


def count_trees(
    raster: Annotated[Path, Input("Raster to look at.", "raster")],
    most: Annotated[int, Input("Trees at most.", low=1)] = 3,
) -> Path:
    """Count trees."""


def test_a_tool_that_nobody_has_described_for_arcgis_is_shown_all_the_same(host, monkeypatch):
    monkeypatch.setitem(tools.TOOLS, "count_trees", count_trees)
    found = tool(host, "CountTrees")()
    assert (found.label, found.category) == ("Count Trees", "Utilities")
    assert [p.displayName for p in host.open(found)] == ["Raster", "Most"]


@pytest.mark.slow  # real runs, several seconds each
def test_chips_are_exported_a_model_is_trained_and_a_raster_translated(host, files, tmp_path):
    chips = tmp_path / "chips"
    host.run(tool(host, "ExportTrainingChips"), in_raster=str(files / "a.tif"),
             in_raster2=str(files / "b.tif"), out_folder=str(chips), tile_size=32,
             valid_share=0.2)  # fmt: skip
    assert len(list((chips / "train_a").glob("*.tif"))) == 12
    assert host.positions > 0
    out = tmp_path / "model"
    host.run(tool(host, "TrainImageTranslationModel"), in_folder=str(chips), out_folder=str(out),
             model_type="cyclegan", preset="small", max_epochs=1, max_minutes=0.02)  # fmt: skip
    definition = host.parameters["out_model_definition"].value
    assert Path(definition).exists()
    assert any("training: " in label for label in host.labels)
    translated(host, files, tmp_path / "out.tif", in_model_definition=definition)
    with rasterio.open(tmp_path / "out.tif") as made:
        assert made.crs.to_epsg() == 32633


@pytest.mark.slow  # real runs, several seconds each
def test_a_translation_hands_its_trust_layers_and_polygons_to_the_map(host, files, tmp_path):
    out = tmp_path / "out.tif"
    translated(host, files, out, trust=["cycle", "disagreement"], palette="model",
               out_polygons=str(tmp_path / "out.gpkg"))  # fmt: skip
    assert host.parameters["out_trust_raster"].value == str(tmp_path / "out_trust.tif")
    features = Path(host.parameters["out_polygon_features"].value)
    assert features == tmp_path / "out.gpkg" / "main.classes"
    assert "classes" in gpd.list_layers(features.parent)["name"].to_list()


@pytest.mark.slow  # real runs, several seconds each
def test_many_rasters_are_translated_from_a_folder_and_listed(host, files, tmp_path):
    host.run(tool(host, "TranslateManyRasters"),
             in_rasters=[str(files / "a.tif"), str(files / "b.tif")],
             in_model_definition=str(files / "both" / "both.emd"),
             out_folder=str(tmp_path / "out"))  # fmt: skip
    assert host.parameters["out_rasters"].value == [
        str(tmp_path / "out" / name) for name in ("a.tif", "b.tif")]  # fmt: skip
    host.run(tool(host, "TranslateManyRasters"), in_rasters=[str(files / "a.tif")],
             in_model_definition=str(files / "both" / "both.emd"),
             out_folder=str(tmp_path / "out"), status=True)  # fmt: skip
    assert json.loads(host.parameters["report_json"].value)["rasters"]["all"] == 2


@pytest.mark.slow  # real runs, several seconds each
def test_reports_are_messages_values_and_files(host, files, tmp_path):
    report = tmp_path / "report.json"
    host.run(tool(host, "Inspect"), in_data=str(files / "a.tif"), out_report=str(report))
    assert json.loads(report.read_text())["size"] == "128 x 96 px"
    assert any("EPSG:32633" in line for line in host.messages.info)
    host.run(tool(host, "EvaluateTranslatedRaster"), in_raster=str(files / "a.tif"),
             in_truth_raster=str(files / "b.tif"), in_areas=str(files / "areas.gpkg"),
             out_scores=str(tmp_path / "scores.gpkg"))  # fmt: skip
    assert '"psnr"' in host.parameters["report_json"].value.lower()
    assert (tmp_path / "scores.gpkg").exists()
    host.run(tool(host, "Doctor"))
    assert "packages:" in host.messages.info


def test_what_fails_is_an_error_message_with_its_name(host, files, tmp_path):
    broken = tmp_path / "broken.tif"
    broken.write_bytes(b"no raster")
    with pytest.raises(ExecuteError, match=r"broken\.tif"):
        host.run(tool(host, "ExportTrainingChips"), in_raster=str(broken),
                 in_raster2=str(files / "b.tif"), out_folder=str(tmp_path / "chips"))  # fmt: skip
    assert "broken.tif" in host.messages.errors[0]
    assert not list(tmp_path.glob("chips/train_a/*"))


def test_cancelling_stops_the_run_and_says_so(files, tmp_path):
    host = Host(cancel_after=1, scratch=tmp_path)
    with pytest.raises(ExecuteError, match="Cancelled"):
        host.run(tool(host, "ExportTrainingChips"), in_raster=str(files / "a.tif"),
                 in_raster2=str(files / "b.tif"), out_folder=str(tmp_path / "chips"),
                 tile_size=16, stride=1, valid_share=0.0)  # fmt: skip
    assert any("nothing half-written" in line for line in host.messages.warnings)
    assert not list((tmp_path / "chips").glob("**/.*.part"))


@pytest.mark.slow  # real runs, several seconds each
def test_images_are_made_and_shown_as_a_mosaic(host, files, tmp_path):
    host.run(tool(host, "GenerateImages"), in_model_definition=str(files / "noise.dlpk"),
             out_folder=str(tmp_path / "tiles"), count=3, label="water")  # fmt: skip
    assert len(list((tmp_path / "tiles" / "water").glob("*.tif"))) == 3
    assert Path(host.parameters["out_mosaic"].value).exists()


def test_a_model_of_another_kind_is_sent_to_its_own_tool(host, files, tmp_path):
    with pytest.raises(ExecuteError, match="draws images from noise; use Generate Images"):
        translated(host, files, tmp_path / "o.tif", in_model_definition=str(files / "noise.dlpk"))
    with pytest.raises(ExecuteError, match="translates rasters; use Translate Raster"):
        host.run(tool(host, "GenerateImages"), in_model_definition=str(files / "one.dlpk"),
                 out_folder=str(tmp_path / "tiles"))  # fmt: skip


@pytest.mark.slow  # real runs, several seconds each
def test_a_model_is_written_as_onnx(host, files, tmp_path):
    host.run(tool(host, "ExportModelToOnnx"), in_model_definition=str(files / "one.dlpk"),
             out_file=str(tmp_path / "town.onnx"))  # fmt: skip
    assert (tmp_path / "town.onnx").exists()
    assert "max difference from torch" in host.parameters["report_json"].value


@pytest.mark.slow  # real runs, several seconds each
def test_a_selection_of_features_is_what_counts(host, files, tmp_path):
    layer = Layer("Areas", str(files / "areas.gpkg"), FIDSet="1")
    translated(host, files, tmp_path / "out.tif", in_mask_polygons=[layer])
    with rasterio.open(tmp_path / "out.tif") as made:
        assert made.bounds.left == 5e5 + 150
        assert made.width == 30
    assert not list(host.scratch.iterdir())


def words_of(host: Host, monkeypatch, name: str, **values) -> list[str]:
    """The command line of a tool that is not run."""
    chosen, seen = tool(host, name), []
    monkeypatch.setattr(sys.modules["rs_gen_arcgis"].runner, "run",
                        lambda words, *_: seen.extend(words) or [])  # fmt: skip
    host.run(chosen, **values)
    return seen


def test_several_areas_reach_the_tool_one_by_one(host, files, tmp_path, monkeypatch):
    for name in ("a b.gpkg", "c.gpkg"):
        (tmp_path / name).touch()
    layers = [Layer("A B", str(tmp_path / "a b.gpkg")), str(tmp_path / "c.gpkg")]
    words = words_of(host, monkeypatch, "TranslateRaster", in_raster=str(files / "a.tif"),
                     in_model_definition=str(files / "one.dlpk"), in_mask_polygons=layers,
                     out_raster=str(tmp_path / "out.tif"))  # fmt: skip
    at = words.index("--area")
    assert words[at : at + 4] == [
        "--area", str(tmp_path / "a b.gpkg"), "--area", str(tmp_path / "c.gpkg")
    ]  # fmt: skip


def test_pros_environments_choose_the_processor_and_overwriting(host, files, tmp_path, monkeypatch):
    chosen = {"in_raster": Layer("Scene", str(files / "a.tif")),
              "in_model_definition": str(files / "one.dlpk"),
              "out_raster": str(tmp_path / "out.tif")}  # fmt: skip
    host.env.processorType, host.env.gpuId = "GPU", 1
    words = words_of(host, monkeypatch, "TranslateRaster", **chosen)
    assert words[words.index("--device") + 1] == "cuda:1"
    assert "--overwrite" in words
    assert words[-3:] == [str(files / "a.tif"), str(files / "one.dlpk"), str(tmp_path / "out.tif")]
    host.env.processorType, host.env.overwriteOutput = "CPU", False
    words = words_of(host, monkeypatch, "TranslateRaster", **chosen)
    assert words[words.index("--device") + 1] == "cpu"
    assert "--overwrite" not in words


def test_pro_validates_before_a_tool_runs(host, files, tmp_path):
    with pytest.raises(ExecuteError, match="000735"):
        host.run(tool(host, "TranslateRaster"), in_raster=str(files / "a.tif"))
    with pytest.raises(ExecuteError, match="000732"):
        translated(host, files, tmp_path / "out.tif", in_raster=str(tmp_path / "no.tif"))
    with pytest.raises(ExecuteError, match="000800"):
        translated(host, files, tmp_path / "out.tif", statistics="best")
    with pytest.raises(ExecuteError, match="000854"):
        host.run(tool(host, "ExportTrainingChips"), tile_size=4)
    with pytest.raises(ExecuteError, match="000814"):
        translated(host, files, tmp_path / "out.tif", in_model_definition=str(files / "a.tif"))


@pytest.mark.parametrize(("values", "message"), [
    ({"batch_size": 0}, "at least 1"),
    ({"out_raster": "x.gdb/out"}, r"ends in \.tif, in a folder"),
    ({"in_raster": "grey.tif"}, "has 1 bands and the model needs 3"),
    ({"in_model_definition": "foreign.emd"}, "saved by arcgis.learn .* train again"),
    ({"in_model_definition": "chips.emd"}, "describes training chips, not a model"),
    ({"in_model_definition": "broken.emd"}, "save the model again"),
    ({"in_model_definition": "broken.dlpk"}, r"is no \.dlpk; copy it again"),
])  # fmt: skip
def test_a_dialog_explains_what_can_not_work(host, files, tmp_path, values, message):
    (tmp_path / "foreign.emd").write_text('{"Framework": "arcgis.learn.models._inferencing"}')
    (tmp_path / "chips.emd").write_text('{"MetaDataMode": "Export_Tiles"}')
    for name in ("broken.emd", "broken.dlpk"):
        (tmp_path / name).write_text("{")
    places = {v: tmp_path / v for v in ("foreign.emd", "chips.emd", "broken.emd", "broken.dlpk")}
    places["grey.tif"] = files / "grey.tif"
    values = {k: str(places.get(v, v)) if isinstance(v, str) else v for k, v in values.items()}
    with pytest.raises(ExecuteError, match=message):
        translated(host, files, tmp_path / "out.tif", **values)


def test_a_dialog_warns_of_another_ground_resolution(host, files, tmp_path, monkeypatch):
    profile = {"driver": "GTiff", "dtype": "uint8", "height": 32, "width": 32, "count": 3,
               "crs": "EPSG:32633", "transform": from_origin(5e5, 5e6, 10, 10)}  # fmt: skip
    with rasterio.open(tmp_path / "coarse.tif", "w", **profile):
        pass
    chosen = {"in_raster": str(tmp_path / "coarse.tif"), "out_raster": str(tmp_path / "o.tif"),
              "in_model_definition": str(files / "one.dlpk")}  # fmt: skip
    words_of(host, monkeypatch, "TranslateRaster", **chosen)
    assert "pixels are 10 m and the model was trained on 2 m; check Resample" in host.warnings[0]
    words_of(host, monkeypatch, "TranslateRaster", **chosen, resample=True)
    assert host.warnings == []


def test_fields_come_and_go_with_what_was_chosen(host, files):
    chosen = tool(host, "TranslateRaster")()
    fields = {p.name: p for p in host.open(chosen)}
    assert not fields["trust_models"].enabled
    fields["trust"].value = ["cycle"]
    fields["in_model_definition"].value = str(files / "one.dlpk")
    chosen.updateParameters(list(fields.values()))
    assert fields["trust_models"].enabled
    assert fields["direction"].filter.list == ["AtoB"]
    train = tool(host, "TrainImageTranslationModel")()
    fields = {p.name: p for p in host.open(train)}
    assert fields["preset"].filter.list == ["published", "fast"]
    fields["model_type"].value = "cyclegan"
    train.updateParameters(list(fields.values()))
    assert fields["preset"].filter.list == ["published", "fast", "small"]


def test_the_presets_of_a_dialog_are_those_that_there_are(host):
    from rs_gen.models.presets import PRESETS

    host.load(PYT)
    known = sys.modules["rs_gen_arcgis.checking"]._PRESETS
    assert known == {model: list(PRESETS[model]) for model in tools.MODELS}


def test_a_missing_command_is_told_in_the_dialog(host, files, tmp_path, monkeypatch):
    monkeypatch.setenv("RS_GEN_COMMAND", str(tmp_path))
    with pytest.raises(ExecuteError, match=r"no rs-gen in .*name the folder"):
        translated(host, files, tmp_path / "out.tif")


def test_progress_without_an_end_is_a_label(host):
    host.load(PYT)
    messenger = sys.modules["rs_gen_arcgis.work"].Messenger(host.messages)
    messenger({"event": "progress", "done": 3, "total": None, "unit": "chips"})
    messenger({"event": "progress", "done": 3, "total": 8, "unit": "training",
               "losses": {"l1": 4.5678, "d": None}})  # fmt: skip
    assert host.labels == ["chips: 3", "training: l1 4.57"]


def test_the_stand_in_refuses_what_arcpy_lacks():
    good = {"name": "a", "displayName": "A", "datatype": "GPLong", "direction": "Input",
            "parameterType": "Required"}  # fmt: skip
    shown = Parameter(**good)
    with pytest.raises(AttributeError, match="valueAsTxt"):
        shown.valueAsTxt = 3
    with pytest.raises(AttributeError, match="category"):
        shown.category = "Advanced"  # fixed once it is built
    with pytest.raises(ValueError, match="not a GPLong"):
        shown.value = "3"
    with pytest.raises(ValueError, match="filter type 'File'"):
        shown.filter.type = "File"
    for wrong in ({"datatype": "GPInteger"}, {"direction": "In"}, {"parameterType": "Must"}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Parameter(**{**good, **wrong})
    with pytest.raises(TypeError):
        Parameter(display_name="A", **good)
