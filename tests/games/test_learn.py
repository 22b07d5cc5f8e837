from __future__ import annotations

import json
import zipfile

import pytest

from rs_gen.errors import PackageError
from rs_gen.games.learn import described, read_definition
from rs_gen.reports.inspection import inspect_path

CYCLEGAN = {  # the keys and shapes that arcgis.learn writes
    "Framework": "arcgis.learn.models._inferencing", "ModelConfiguration": "_cyclegan",
    "InferenceFunction": "ArcGISImageTranslation.py", "ModelType": "CycleGAN",
    "n_intput_channel": 3, "n_channel": 3, "n_channel_rev": 1, "ArcGISLearnVersion": "2.4.4",
    "NormalizationStats": {"band_min_values": [0], "band_max_values": [4000]},
    "NormalizationStats_b": {"band_min_values": [0, 0, 0], "band_max_values": [255, 255, 250]},
    "ModelParameters": {"gen_blocks": 9, "lsgan": True}, "ModelFile": "town.pth",
    "ImageHeight": 256, "FID_A": "1.2e+02", "MinCellSize": None,
}  # fmt: skip


@pytest.mark.parametrize("packed", [False, True])
def test_a_model_of_arcgis_learn_is_read_as_far_as_it_can_be(tmp_path, packed):
    path = tmp_path / ("town.dlpk" if packed else "town.emd")
    if packed:
        with zipfile.ZipFile(path, "w") as held:
            held.writestr("town.emd", json.dumps(CYCLEGAN))
            held.writestr("town.pth", b"\x80\x04never read")
    else:
        path.write_text(json.dumps(CYCLEGAN))
    told = inspect_path(path)
    assert told["model"] == "CycleGAN"
    assert told["bands"] == {"A": 1, "B": 3}
    assert told["values"]["A"] == [[0, 4000]]
    assert told["directions"] == ["AtoB", "BtoA"]
    assert told["metrics"] == {"FID_A": "1.2e+02"}
    assert not told["can be used"]
    assert "town.pth" in told["why"]
    assert told["instead"].endswith("rs-gen train CHIPS OUT --model cyclegan")


def test_what_is_missing_or_of_another_kind_is_no_error():
    told = described({"Framework": "arcgis.learn", "ModelType": "SuperResolution"})
    assert told["bands"] == {"A": None, "B": None}
    assert told["values"] == {"A": None, "B": None}
    assert "rs_gen has no model of this kind" in told["instead"]


def test_a_definition_of_others_is_not_taken_for_theirs(tmp_path):
    (tmp_path / "town.emd").write_text('{"Framework": "Keras"}')
    assert read_definition(tmp_path / "town.emd") is None
    with pytest.raises(PackageError, match=r"not a model of rs_gen \(Framework='Keras'\)"):
        inspect_path(tmp_path / "town.emd")
    (tmp_path / "town.emd").write_text("{")
    with pytest.raises(PackageError, match=r"town\.emd is broken: it is not JSON"):
        inspect_path(tmp_path / "town.emd")
