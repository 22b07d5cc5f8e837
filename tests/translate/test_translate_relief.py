"""Memory that runs out makes batches and tiles smaller, and never changes a pixel."""

import logging

import numpy as np
import pytest
import rasterio
import torch
from hypothesis import given
from hypothesis import strategies as st
from translating import scene, to_float, write

from rs_gen.errors import TranslationError
from rs_gen.translate import engine as engines
from rs_gen.translate.plan import Plan
from rs_gen.translate.relief import is_out_of_memory, pieces

CPU_TEXT = (
    "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"
)


@pytest.fixture
def shortage(monkeypatch):
    """Engines that fail above so many pixels at once, and what was put through them."""
    seen, cores = [], engines.Engine.cores

    def install(most, error=None):
        def fail(self, pixels, *rest):
            size = pixels[:, 0].size
            if size > most:
                raise error or RuntimeError(CPU_TEXT)
            seen.append(pixels.shape)
            return cores(self, pixels, *rest)

        monkeypatch.setattr(engines.Engine, "cores", fail)
        return seen

    return install


def read(path):
    with rasterio.open(path) as dataset:
        return dataset.read()


@pytest.fixture
def case(tmp_path, nets):
    """A translator, a raster, and its translation in ample memory."""
    translate = to_float(nets("resnet-instance"))
    path = write(tmp_path / "in.tif", scene((150, 270)))
    options = {"tile_size": 64, "batch_size": 4}
    return translate, path, options, read(translate(path, tmp_path / "ample.tif", **options))


def test_batches_become_smaller(case, shortage, tmp_path, caplog):
    translate, path, options, ample = case
    seen = shortage(120 * 120)
    with caplog.at_level(logging.WARNING, "rs_gen"):
        got = read(translate(path, tmp_path / "out.tif", **options))
    assert np.abs(got - ample).max() <= 2e-4
    assert max(shape[0] for shape in seen) == 1
    assert "out of memory: going on with batches of 1 instead of 2 tiles" in caplog.text
    assert "going on with tiles" not in caplog.text


def test_then_tiles_become_smaller(case, shortage, tmp_path, caplog):
    translate, path, options, ample = case
    seen = shortage(95 * 95)  # 32 px and twice a halo of 28 px are 88
    with caplog.at_level(logging.WARNING, "rs_gen"):
        got = read(translate(path, tmp_path / "out.tif", **options))
    assert np.abs(got - ample).max() <= 2e-4
    assert max(np.prod(shape[2:]) for shape in seen) <= 95 * 95
    assert "out of memory: going on with tiles of 32 instead of 64 px" in caplog.text


def test_windows_off_the_phase_are_cut_rightly_too(case, shortage, tmp_path):
    translate, path, options, ample = case
    shortage(95 * 95)
    window = rasterio.windows.Window(37, 21, 133, 90)
    got = read(translate(path, tmp_path / "out.tif", window=window, **options))
    assert np.abs(got - ample[:, 21:111, 37:170]).max() <= 2e-4


def test_memory_that_never_suffices_is_said(case, shortage, tmp_path):
    translate, path, options, _ = case
    shortage(0)
    message = "out of memory even for a tile of 4 px with a halo of 28 px; free some memory"
    with pytest.raises(TranslationError, match=message):
        translate(path, tmp_path / "out.tif", **options)
    assert not (tmp_path / "out.tif").exists()


def test_other_errors_are_not_swallowed(case, shortage, tmp_path):
    translate, path, options, _ = case
    shortage(0, RuntimeError("the weights are of another shape"))
    with pytest.raises(RuntimeError, match="another shape"):
        translate(path, tmp_path / "out.tif", **options)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (RuntimeError(CPU_TEXT), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate"), True),
        (MemoryError(), True),
        (RuntimeError("shapes differ"), False),
        (OSError("not enough memory"), False),
    ],
)
def test_what_says_that_memory_ran_out(error, says):
    assert is_out_of_memory(error) == says


@given(
    phase=st.sampled_from([1, 4, 32]), cores=st.integers(1, 6), halos=st.integers(0, 3),
    start=st.integers(0, 70), length=st.integers(1, 150), parts=st.sampled_from([2, 4, 8]),
)  # fmt: skip
def test_pieces_cover_a_tile_once_with_their_halo(phase, cores, halos, start, length, parts):
    plan = Plan(cores * phase, halos * phase, phase, 1, 0, 1.0)
    keep = slice(start, start + length)
    size = -(-keep.stop // phase) * phase + plan.halo
    covered = np.zeros(size, int)
    for piece in pieces(keep, parts, plan, size, (False, True)):
        begin = piece.read.start + piece.keep.start
        end = piece.read.start + piece.keep.stop
        covered[begin:end] += 1
        assert (piece.at.start, piece.at.stop) == (begin - start, end - start)
        assert piece.read.start % phase == 0
        assert piece.open == (piece.read.start > 0, True)
        assert not piece.open[0] or begin - piece.read.start >= plan.halo
        assert piece.read.stop - end >= plan.halo
    assert (covered[keep] == 1).all()
    assert covered.sum() == length
