"""A job's blocks are divided by the same numbers as a single run, whatever kind they are."""

import pytest
from jobs import SMALL, digests, make_model, raster

from rs_gen.errors import Cancelled
from rs_gen.translate.batch import translate_batch
from rs_gen.translate.translator import Translator


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return make_model(tmp_path_factory.mktemp("models") / "m")


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes")
    raster(folder / "a.tif")
    raster(folder / "b.tif", (60, 90), 1, hole=False)
    return folder


@pytest.mark.parametrize("kind", ["exact", "regional"])
def test_a_stopped_job_gives_the_pixels_of_a_single_run(tmp_path, scenes, model, kind):
    for name in ("a.tif", "b.tif"):
        translate = Translator.of(model, device="cpu")
        translate(scenes / name, tmp_path / "whole" / name, statistics=kind, **SMALL["options"])

    def stop(items, total=None, label=""):
        for done, item in enumerate(items):
            if label == "Translating blocks" and done == 3:
                return
            yield item

    out = tmp_path / "out"
    with pytest.raises(Cancelled):
        translate_batch(scenes, model, out, statistics=kind, progress=stop, **SMALL)
    translate_batch(scenes, model, out, statistics=kind, resume=True, **SMALL)
    assert digests(out) == digests(tmp_path / "whole")
    sampled = translate_batch(scenes, model, tmp_path / "sampled", **SMALL)
    assert digests(sampled)["a.tif"] != digests(out)["a.tif"]
