"""Jobs: the pixels of a single run, whoever computes them; what fails is told, the rest done."""

import json
import logging
import shutil
import subprocess
import sys
import warnings

import numpy as np
import pytest
import rasterio
from jobs import SMALL, digests, make_model, pixels_of, raster
from rasterio.windows import Window
from shapely.geometry import Polygon
from translating import write

from rs_gen.errors import BandWarning, Cancelled, JobError, PartlyDoneError, SettingError
from rs_gen.games.package import load, save
from rs_gen.raster.vector import write_gpkg
from rs_gen.translate import job as job_module
from rs_gen.translate.batch import Batch, translate_batch
from rs_gen.translate.blocks import path_of
from rs_gen.translate.engines import Here
from rs_gen.translate.estimate import estimate
from rs_gen.translate.manifest import NAME, Manifest
from rs_gen.translate.status import status
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


@pytest.fixture(scope="module")
def whole(tmp_path_factory, model, scenes):
    """What the translator makes of each scene by itself."""
    folder, translate = tmp_path_factory.mktemp("whole"), Translator.of(model, device="cpu")
    for path in scenes.glob("*.tif"):
        translate(path, folder / path.name, **SMALL["options"])
    return folder


def manifest_of(out):
    return Manifest(out / "job" / NAME)


def stopping(after):
    """A progress that ends the walk over the blocks early."""

    def progress(items, total=None, label=""):
        for done, item in enumerate(items):
            if label == "Translating blocks" and done == after:
                return
            yield item

    return progress


def started(out, scenes, model, after=3, **options):
    """A job that was stopped after some blocks."""
    with pytest.raises(Cancelled, match=rf"stopped after {after} of \d+; go on with --resume"):
        translate_batch(scenes, model, out, progress=stopping(after), **SMALL, **options)


def test_a_job_gives_the_pixels_of_single_runs(tmp_path, scenes, model, whole):
    out = translate_batch(scenes, model, tmp_path / "out", **SMALL)
    assert digests(out) == digests(whole)
    with rasterio.open(out / "a.tif") as made, rasterio.open(scenes / "a.tif") as source:
        assert (made.transform, made.crs) == (source.transform, source.crs)
        with rasterio.open(whole / "a.tif") as alone:
            assert made.tags() == alone.tags()
        assert (made.read_masks(1) == source.read_masks(1)).all()
    assert sorted(p.name for p in (out / "job").iterdir()) == ["lock.sqlite", NAME]
    assert (out / "a.stac.json").exists()


def test_a_block_knows_its_state_and_digest(tmp_path, scenes, model):
    out = tmp_path / "out"
    started(out, scenes, model)
    with manifest_of(out) as manifest:
        done = list(manifest.blocks("done"))
        assert len(done) == 3
        for block in done:
            assert (block.attempts, len(block.digest)) == (1, 64)
            assert block.seconds > 0
            assert block.valid <= block.height * block.width
            with rasterio.open(path_of(out / "job", block)) as dataset:
                assert dataset.shape == (block.height, block.width)


def test_a_stopped_job_goes_on_where_it_was(tmp_path, scenes, model, whole):
    out = tmp_path / "out"
    started(out, scenes, model)
    assert not list(out.glob("*.tif"))
    with manifest_of(out) as manifest:
        before = {block[:3]: block.finished for block in manifest.blocks("done")}
    translate_batch(scenes, model, out, resume=True, **SMALL)
    assert digests(out) == digests(whole)
    with manifest_of(out) as manifest:
        after = {block[:3]: (block.finished, block.attempts) for block in manifest.blocks()}
    assert {key: after[key] for key in before} == {k: (v, 1) for k, v in before.items()}


def test_a_resumed_job_keeps_its_statistics(tmp_path, scenes, model, whole, monkeypatch):
    out = tmp_path / "out"
    started(out, scenes, model)

    def never(*_, **__):
        raise AssertionError("gathered again")

    monkeypatch.setattr(Translator, "_statistics", never)
    translate_batch(scenes, model, out, resume=True, **SMALL)
    assert digests(out) == digests(whole)


def test_resuming_begins_a_job_that_is_not_there(tmp_path, scenes, model, whole):
    translate_batch(scenes / "a.tif", model, tmp_path / "out", resume=True, **SMALL)
    assert digests(tmp_path / "out")["a.tif"] == digests(whole)["a.tif"]


def test_a_job_is_not_begun_over_another_one(tmp_path, scenes, model):
    out = tmp_path / "out"
    started(out, scenes, model)
    with pytest.raises(JobError, match=r"holds a job of which 3 of \d+ blocks are done; go on"):
        translate_batch(scenes, model, out, **SMALL)
    translate_batch(scenes / "b.tif", model, out, overwrite=True, **SMALL)
    assert list(digests(out)) == ["b.tif"]
    shutil.rmtree(out / "job")
    with pytest.raises(JobError, match=r"b.tif is there already, and no job that made it"):
        translate_batch(scenes, model, out, **SMALL)


def test_new_rasters_join_a_job(tmp_path, scenes, model, whole):
    out = translate_batch(scenes / "b.tif", model, tmp_path / "out", **SMALL)
    translate_batch(scenes, model, out, resume=True, **SMALL)
    assert digests(out) == digests(whole)


def test_an_output_that_was_removed_is_made_again(tmp_path, scenes, model, whole):
    out = translate_batch(scenes, model, tmp_path / "out", **SMALL)
    (out / "a.tif").unlink()
    translate_batch(scenes, model, out, resume=True, **SMALL)
    assert digests(out) == digests(whole)


@pytest.mark.parametrize("harm", ["cut", "remove", "change"])
def test_a_block_that_was_harmed_is_computed_again(tmp_path, scenes, model, whole, harm, caplog):
    out = tmp_path / "out"
    started(out, scenes, model)
    with manifest_of(out) as manifest:
        path = path_of(out / "job", next(manifest.blocks("done")))
    if harm == "remove":
        path.unlink()
    else:
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2] if harm == "cut" else data[:-1] + b"\xff\xfe")
    translate_batch(scenes, model, out, resume=True, **SMALL)
    assert digests(out) == digests(whole)
    assert "is not on the disk as it was written; once more" in caplog.text


# ---- the guard -------------------------------------------------------------------------------


def test_another_model_is_refused(tmp_path, scenes):
    model = make_model(tmp_path / "m")
    started(tmp_path / "out", scenes, model)
    make_model(tmp_path / "m", seed=1)
    with pytest.raises(JobError, match=r"differs: model weights was \w+ and is \w+\. Give what"):
        translate_batch(scenes, model, tmp_path / "out", resume=True, **SMALL)


def test_other_options_are_refused_by_name(tmp_path, scenes, model):
    started(tmp_path / "out", scenes, model)
    other = {**SMALL, "options": {**SMALL["options"], "tile_size": 64}, "statistics": "model"}
    text = "option statistics was sampled and is model; option tile_size was 32 and is 64"
    with pytest.raises(JobError, match=text):
        translate_batch(scenes, model, tmp_path / "out", resume=True, **other)


def test_other_code_is_refused(tmp_path, scenes, model, monkeypatch):
    started(tmp_path / "out", scenes, model)
    monkeypatch.setattr("rs_gen.translate.identity.__version__", "99")
    with pytest.raises(JobError, match=r"code rs_gen was .* and is 99"):
        translate_batch(scenes, model, tmp_path / "out", resume=True, **SMALL)


def test_a_source_that_changed_is_refused_or_done_again(tmp_path, model):
    scenes, out = tmp_path / "in", tmp_path / "out"
    raster(scenes / "a.tif")
    started(out, scenes, model)
    raster(scenes / "a.tif", seed=5)
    with pytest.raises(JobError, match=r"a.tif changed since the job began: digest was \w+ and is"):
        translate_batch(scenes, model, out, resume=True, **SMALL)
    translate_batch(scenes, model, out, redo_changed=True, **SMALL)
    fresh = translate_batch(scenes, model, tmp_path / "fresh", **SMALL)
    assert digests(out) == digests(fresh)


def test_a_mosaic_changes_with_its_parts(tmp_path, model):
    part = raster(tmp_path / "a.tif", (64, 64), hole=False)
    vrt = tmp_path / "all.vrt"
    bands = "".join(
        f'<VRTRasterBand dataType="Byte" band="{i}"><SimpleSource><SourceFilename '
        f'relativeToVRT="1">a.tif</SourceFilename><SourceBand>{i}</SourceBand></SimpleSource>'
        "</VRTRasterBand>"
        for i in (1, 2, 3)
    )
    vrt.write_text(f'<VRTDataset rasterXSize="64" rasterYSize="64">{bands}</VRTDataset>')
    out = translate_batch(vrt, model, tmp_path / "out", **SMALL)
    assert list(digests(out)) == ["all.tif"]
    raster(part, (64, 64), seed=1, hole=False)
    with pytest.raises(JobError, match=r"all.vrt changed since the job began: digest was"):
        translate_batch(vrt, model, out, resume=True, **SMALL)


def test_a_worker_with_other_code_does_nothing(tmp_path, scenes, model, monkeypatch):
    monkeypatch.setattr("rs_gen.translate.work.code_digest", lambda: "other")
    with pytest.raises(JobError, match=r"runs other code of rs_gen \(other\) than the job"):
        translate_batch(scenes, model, tmp_path / "out", **SMALL)


def test_blocks_of_two_kinds_of_device_are_not_mixed(tmp_path, scenes, model):
    out = translate_batch(scenes / "b.tif", model, tmp_path / "out", **SMALL)
    with manifest_of(out) as manifest:
        manifest.put("device", "cuda bfloat16")
    text = "were computed on cuda bfloat16 and a worker now computes on cpu float32"
    with pytest.raises(JobError, match=text):
        translate_batch(scenes, model, out, resume=True, **SMALL)


# ---- failures ----------------------------------------------------------------------------------


def damaged(path):
    """A raster of which one tile of the file can't be read."""
    raster(path, (200, 230), hole=False, blocksize=64)
    with rasterio.open(path) as dataset:
        offset = int(dataset.get_tag_item("BLOCK_OFFSET_1_2", "TIFF", bidx=1))
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(b"\xff" * 64)
    return path


def test_a_damaged_source_costs_its_block_and_no_more(tmp_path, model):
    scenes, out = tmp_path / "in", tmp_path / "out"
    damaged(scenes / "bad.tif")
    raster(scenes / "good.tif", (64, 64), hole=False)
    with pytest.raises(PartlyDoneError) as caught:
        translate_batch(scenes, model, out, **SMALL)
    assert caught.value.code == 3
    text = str(caught.value)
    assert "bad.tif, rows 80 to 159, columns 0 to 79: " in text
    assert "can't be read, so the file is damaged or cut short" in text
    assert "try them again with --only-failed" in text
    assert list(digests(out)) == ["good.tif"]
    told = status(out)
    assert told["blocks"]["failed"] >= 1
    assert told["blocks"]["done"] == told["blocks"]["all"] - told["blocks"]["failed"]
    assert told["failed"][0]["source"] == str(scenes / "bad.tif")
    with pytest.raises(PartlyDoneError):
        translate_batch(scenes, model, out, only_failed=True, allow_gaps=True, **SMALL)
    made = pixels_of(out / "bad.tif")[3] > 0
    with manifest_of(out) as manifest:
        for block in manifest.blocks(source=1):
            at = Window(block.col, block.row, block.width, block.height).toslices()
            assert made[at].all() == (block.state == "done")
            assert made[at].any() == (block.state == "done")


def test_a_raster_that_does_not_suit_is_left_out(tmp_path, model, whole, scenes):
    folder, out = tmp_path / "in", tmp_path / "out"
    shutil.copytree(scenes, folder)
    write(folder / "flat.tif", np.zeros((1, 20, 20), "uint8"))
    (folder / "junk.tif").write_bytes(b"II*\0" + bytes(64))
    with pytest.raises(PartlyDoneError, match=r"flat.tif has 1 bands .*junk.tif: .*can't be read"):
        translate_batch(folder, model, out, **SMALL)
    assert digests(out) == digests(whole)
    with pytest.raises(JobError, match=r"no raster can be translated; the first: .*flat.tif has 1"):
        translate_batch(folder / "flat.tif", model, tmp_path / "none", **SMALL)
    assert not (tmp_path / "none/job" / NAME).exists()


def test_warnings_about_a_raster_are_given_once(tmp_path, model):
    pixels = np.full((4, 60, 64), 100, "uint8")
    path = write(tmp_path / "four.tif", pixels)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        translate_batch(path, model, tmp_path / "out", **SMALL)
    (told,) = [w for w in caught if issubclass(w.category, BandWarning)]
    assert "has 4 bands and the model needs 3" in str(told.message)


def test_a_source_that_changes_under_a_running_job_is_left_out(tmp_path, model):
    path = raster(tmp_path / "in/a.tif")

    def touch(items, total=None, label=""):
        for item in items:
            path.touch()
            yield item

    with pytest.raises(PartlyDoneError, match=r"a.tif: it changed while the job ran"):
        translate_batch(path, model, tmp_path / "out", progress=touch, **SMALL)
    assert digests(tmp_path / "out") == {}


# ---- what is computed --------------------------------------------------------------------------


def test_blocks_without_a_measurement_are_not_computed(tmp_path, model, monkeypatch):
    path = raster(tmp_path / "in.tif", (160, 160), hole=False, nodata=0)
    with rasterio.open(path, "r+") as dataset:
        dataset.write(np.zeros((3, 160, 80), "uint8"), window=Window(0, 0, 80, 160))
    out = translate_batch(path, model, tmp_path / "out", **SMALL)
    with manifest_of(out) as manifest:
        assert manifest.count() == {"done": 2, "empty": 2}
        assert {b.col for b in manifest.blocks("empty")} == {0}
    assert not pixels_of(out / "in.tif")[3, :, :80].any()


def test_only_the_area_is_cut_into_blocks(tmp_path, model, scenes):
    path = scenes / "a.tif"
    with rasterio.open(path) as dataset:
        corners = [dataset.xy(*at, offset="ul") for at in ((30, 20), (30, 70), (55, 70))]
    area = write_gpkg(tmp_path / "area.gpkg", "a", [{"geometry": Polygon(corners)}], "EPSG:32633")
    options = {**SMALL["options"], "area": area}
    out = translate_batch(path, model, tmp_path / "out", **{**SMALL, "options": options})
    alone = Translator.of(model, device="cpu")(path, tmp_path / "alone.tif", **options)
    assert (pixels_of(out / "a.tif") == pixels_of(alone)).all()
    with manifest_of(out) as manifest:
        assert 0 < sum(manifest.count().values()) <= 2


def test_a_cloud_optimised_output_is_asked_for_like_a_single_one(tmp_path, scenes, model, whole):
    out = translate_batch(
        scenes / "b.tif",
        model,
        tmp_path / "out",
        **{**SMALL, "options": {**SMALL["options"], "cog": True}},
    )
    with rasterio.open(out / "b.tif") as dataset:
        assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
    assert digests(out)["b.tif"] == digests(whole)["b.tif"]


@pytest.mark.parametrize("kind", ["sampled", "model"])
def test_every_kind_of_statistics_has_its_blocks(tmp_path, scenes, kind):
    package = load(make_model(tmp_path / "plain"))
    probe = Translator.of(package, device="cpu")
    norms = {"AtoB": probe.statistics_of(scenes / "b.tif")}
    model = save(tmp_path / "m", package.game, package.card, statistics=norms)
    out = translate_batch(scenes / "a.tif", model, tmp_path / "out", statistics=kind, **SMALL)
    alone = Translator.of(model, device="cpu")(
        scenes / "a.tif", tmp_path / "alone.tif", statistics=kind, **SMALL["options"]
    )
    assert (pixels_of(out / "a.tif") == pixels_of(alone)).all()


# ---- what is told ------------------------------------------------------------------------------


def test_a_dry_run_tells_the_cost_and_writes_nothing(tmp_path, scenes, model):
    told = estimate(Batch(scenes, model, tmp_path / "out", **SMALL), workers=2)
    assert (told["rasters"], told["blocks timed"], told["workers"]) == (2, 3, 2)
    assert told["megapixels"] == pytest.approx((100 * 130 + 60 * 90) / 1e6, abs=0.01)
    assert told["pixels computed for each written"] > 1
    assert told["seconds, about"] > 0
    json.dumps(told)
    assert not (tmp_path / "out").exists()


def test_status_is_told_while_a_job_is_stopped_and_after(tmp_path, scenes, model):
    out = tmp_path / "out"
    with pytest.raises(JobError, match="there is no job in"):
        status(out)
    started(out, scenes, model)
    told = status(out)
    assert told["blocks"]["done"] == 3
    assert 0 < told["share done"] < 1
    assert told["worker seconds left"] > 0
    translate_batch(scenes, model, out, resume=True, **SMALL)
    for place in (out, out / "job", out / "job" / NAME):
        told = status(place)
        assert (told["share done"], told["rasters"]["assembled"]) == (1, 2)
        assert told["computed on"] == "cpu float32"


def test_progress_counts_rasters_then_blocks(tmp_path, scenes, model):
    told = []

    def progress(items, total=None, label=""):
        told.append((label, total))
        return items

    translate_batch(scenes, model, tmp_path / "out", progress=progress, **SMALL)
    with manifest_of(tmp_path / "out") as manifest:
        blocks = sum(manifest.count().values())
    assert told == [("Preparing rasters", 2), ("Translating blocks", blocks)]


def test_ctrl_c_says_how_to_go_on(tmp_path, scenes, model, caplog):
    def interrupted(items, total=None, label=""):
        for done, item in enumerate(items):
            if label == "Translating blocks" and done == 2:
                raise KeyboardInterrupt
            yield item

    with caplog.at_level(logging.INFO, "rs_gen"), pytest.raises(KeyboardInterrupt):
        translate_batch(scenes, model, tmp_path / "out", progress=interrupted, **SMALL)
    assert "2 blocks are done; go on with --resume" in caplog.text


def test_a_job_can_be_cancelled_from_outside(tmp_path, scenes, model):
    with pytest.raises(Cancelled, match="stopped after 1 of 2"):
        translate_batch(scenes, model, tmp_path / "out", cancel=lambda: True, **SMALL)


def test_numbers_that_can_not_work_are_refused(tmp_path, scenes, model):
    with pytest.raises(SettingError, match="workers=0 is below 1"):
        translate_batch(scenes, model, tmp_path / "out", workers=0, **SMALL)
    with pytest.raises(SettingError, match="block_size=0 is below 1"):
        translate_batch(scenes, model, tmp_path / "out", **{**SMALL, "block_size": 0})


def test_a_lost_worker_is_tried_again_and_then_given_up(tmp_path, scenes, model, whole):
    """Told by a stand-in that loses its first tasks; real processes are killed elsewhere."""

    class Losing:
        workers = 1

        def __init__(self, order, times):
            self.inner, self.left = Here(order), times

        def run(self, tasks):
            for done in self.inner.run(tasks):
                if done.task.window and self.left:
                    self.left -= 1
                    done = done._replace(result=None, error="lost", again=True)
                yield done

    for times, works in ((1, True), (500, False)):
        out = tmp_path / str(times)
        batch = Batch(scenes / "b.tif", model, out, **SMALL)
        out.joinpath("job").mkdir(parents=True)
        batch._plan(out / "job" / NAME, overwrite=False)
        with manifest_of(out) as manifest:
            job = job_module.Job(out / "job", manifest, batch.translator, batch.order)
            job.run(Losing(batch.order, times))
            attempts = {block.attempts for block in manifest.blocks()}
            assert set(manifest.count()) == ({"done"} if works else {"failed"})
        assert attempts == ({1, 2} if works else {3})
        assert digests(out) == ({"b.tif": digests(whole)["b.tif"]} if works else {})


def test_asking_how_far_a_job_is_loads_nothing_heavy(tmp_path, scenes, model):
    out = translate_batch(scenes / "b.tif", model, tmp_path / "out", **SMALL)
    code = (
        "import sys\nfrom rs_gen.tools import inspect, translate_batch\n"
        "told = translate_batch('', '', sys.argv[1], status=True)\n"
        "assert 'torch' not in sys.modules\n"
        "assert inspect(sys.argv[1]) == told\n"
        "print(told['share done'])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(out)], capture_output=True, text=True,
                          check=True)  # fmt: skip
    assert done.stdout.strip() == "1.0"
