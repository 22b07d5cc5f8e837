from __future__ import annotations

import numpy as np
import pytest

from rs_gen.errors import SettingError
from rs_gen.metrics.seams import seam_ratio


def raster(seed: int = 0, bands: int = 2, side: int = 256) -> np.ndarray:
    return np.random.default_rng(seed).normal(100, 10, (bands, side, side))


def tiled(pixels: np.ndarray, tile: int, step: float, offset=(0, 0)) -> np.ndarray:
    """Every second tile brighter, as tiles with statistics of their own are."""
    rows = (np.arange(pixels.shape[1]) - offset[0]) // tile
    cols = (np.arange(pixels.shape[2]) - offset[1]) // tile
    return pixels + step * ((rows[:, None] + cols) % 2)


def test_a_raster_without_tiles_passes():
    found = seam_ratio(raster(), 64)
    assert found.passes
    assert len(found.bands) == 2
    for score in found.bands:
        assert score.value == pytest.approx(1, abs=0.05)
        assert score.low <= 1 <= score.high


def test_tiles_that_differ_are_found_in_the_band_that_has_them():
    pixels = raster()
    pixels[1] = tiled(pixels, 64, 30)[1]
    found = seam_ratio(pixels, 64)
    assert not found.passes
    assert found.bands[0].value < 1.05
    assert found.bands[1].value > 2
    assert found.bands[1].low > 1.05


def test_the_step_of_known_tiles_is_known():
    ramp = np.broadcast_to(np.arange(64.0) + np.arange(64.0)[:, None], (1, 64, 64))
    assert seam_ratio(ramp, 16).bands[0].value == pytest.approx(1)
    steps = ramp + 3.0 * ((np.arange(64) // 16)[:, None] + np.arange(64) // 16)
    assert seam_ratio(steps, 16).bands[0].value == pytest.approx(4)


def test_lines_lie_where_the_offset_says():
    pixels = tiled(raster(1), 64, 30, offset=(10, 20))
    assert not seam_ratio(pixels, 64, offset=(10, 20)).passes
    assert seam_ratio(pixels, 64, offset=(40, 50)).passes
    moved = seam_ratio(pixels, 64, offset=(10 + 64, 20 - 64))
    assert moved == seam_ratio(pixels, 64, offset=(10, 20))


def test_only_steps_between_valid_pixels_count():
    pixels = raster()
    mask = np.zeros(pixels.shape, bool)
    mask[:, 64:80] = True  # its upper edge lies on a tile line
    pixels[mask] = -9999
    assert not seam_ratio(pixels, 64).passes
    assert seam_ratio(np.ma.masked_array(pixels, mask), 64).passes
    pixels[mask] = np.nan
    assert seam_ratio(pixels, 64).passes


def test_integers_do_not_wrap():
    pixels = np.zeros((1, 64, 64), np.uint8)
    pixels[:, ::2] = 200
    assert seam_ratio(pixels, 16).bands[0].value == pytest.approx(1)


def test_a_flat_raster_has_no_seams_and_a_step_in_one_is_a_seam():
    flat = np.zeros((64, 64))
    assert seam_ratio(flat, 16).passes
    flat[:, 16:] = 1
    found = seam_ratio(flat, 16)
    assert found.bands[0].value == np.inf
    assert not found.passes


def test_a_score_counts_its_pieces_of_line_and_repeats():
    found = seam_ratio(raster(), 64).bands[0]
    assert found.n == 2 * 3 * 256 // 32
    assert "tile 64 px" in found.protocol
    assert found == seam_ratio(raster(), 64).bands[0]


def test_what_has_no_tile_lines_is_refused():
    with pytest.raises(SettingError, match="tile=2 px leaves no room for control lines"):
        seam_ratio(raster(), 2)
    with pytest.raises(SettingError, match="no tile line of tile=512 px with both sides valid in "):
        seam_ratio(raster(), 512)
