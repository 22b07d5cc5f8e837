import warnings

import numpy as np
import pytest
import torch
from translating import scene, write
from trusting import make_package, read

from rs_gen.errors import DriftWarning, SettingError, TranslationError
from rs_gen.games.package import load, save
from rs_gen.translate.drift import histograms
from rs_gen.translate.trust import check_drift, write_trust


@pytest.fixture(scope="module")
def package():
    return make_package()


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    """A raster with the values of the training chips, which are scenes of another seed."""
    rows = [np.concatenate([scene((64, 64), seed=r + c) for c in range(3)], 2) for r in (20, 30)]
    return write(tmp_path_factory.mktemp("usual") / "usual.tif", np.concatenate(rows, 1))


@pytest.fixture(scope="module")
def strange(usual):
    """The same ground, as a sensor with another stretch would give it."""
    pixels = read(usual).filled(0)
    return write(usual.with_name("strange.tif"), (pixels / 2 + 20).astype("uint8"))


def test_a_raster_like_the_chips_passes_and_another_stretch_is_told(package, usual, strange):
    near = check_drift(package, usual, "refuse")
    assert [band.name for band in near] == ["red", "green", "blue"]
    assert max(band.psi for band in near) < 0.1
    assert max(band.ks for band in near) < 0.1
    with pytest.warns(DriftWarning, match=r"strange.tif does not look like .*red \(PSI \d"):
        far = check_drift(package, strange, "warn")
    assert min(band.psi for band in far) > 0.25


def test_a_strange_raster_is_refused_where_asked(package, strange):
    with pytest.raises(TranslationError, match="pass drift='warn' or 'off'"):
        check_drift(package, strange, "refuse")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert check_drift(package, strange, "off") == []
    with pytest.raises(SettingError, match="drift='maybe' is not known; there are warn, refuse"):
        check_drift(package, strange, "maybe")


def test_a_model_that_keeps_nothing_says_so_where_it_matters(package, usual, tmp_path):
    old = package._replace(references={})
    assert check_drift(old, usual, "warn") == []
    with pytest.raises(TranslationError, match="holds no histograms of its training chips for A"):
        check_drift(old, usual, "refuse")
    import rasterio

    with rasterio.open(write_trust(old, usual, tmp_path / "t.tif", "disagreement")) as out:
        assert out.tags()["RS_GEN_DRIFT"].startswith("not known")


def test_histograms_of_other_bands_are_no_reference(package, usual):
    odd = package._replace(references={"AtoB": package.references["BtoA"]})
    with pytest.raises(TranslationError, match="histograms of 2 bands and the raster has 3"):
        check_drift(odd, usual)


def test_blocks_like_training_lie_within_the_limit_and_strange_ones_beyond(
    package, usual, strange, tmp_path
):
    near, far = (
        read(write_trust(package, path, tmp_path / path.name, "drift", device="cpu"))
        for path in (usual, strange)
    )
    assert np.median(near.filled(np.nan)) < 1.2
    assert far.min() > np.median(near.filled(np.nan))
    assert np.median(far.filled(np.nan)) > 1.5


def test_a_strange_block_is_found_where_it_is(package, usual, tmp_path):
    pixels = read(usual).filled(0)
    pixels[:, 64:96, 96:128] = 250
    odd = write(tmp_path / "odd.tif", pixels)
    drift = read(write_trust(package, odd, tmp_path / "t.tif", "drift", device="cpu"))[0]
    row, col = np.unravel_index(drift.argmax(), drift.shape)
    assert (row // 32, col // 32) == (2, 3)
    assert len(np.unique(drift[64:96, 96:128])) == 1, "a block has one value"


def test_a_reference_comes_back_from_disk_as_it_was(package, usual, tmp_path):
    path = save(
        tmp_path / "kept", package.game, package.card, statistics=package.statistics,
        references=package.references,
    )  # fmt: skip
    again = load(path)
    for direction, reference in package.references.items():
        for name, tensor in reference.tensors().items():
            assert torch.equal(again.references[direction].tensors()[name], tensor), name
    assert again.judged
    assert check_drift(path, usual, "refuse") == check_drift(package, usual, "refuse")


def test_every_value_has_its_bin():
    counts = histograms(np.array([[-1.0, -0.999, 0.0, 0.999, 1.0]], "float32"))
    assert counts.shape == (1, 256)
    assert (counts[0, 0], counts[0, 128], counts[0, 255], counts.sum()) == (2, 1, 2, 5)
