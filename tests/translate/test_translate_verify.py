"""The certificate: it passes what is exact and fails what is not."""

import pytest
import torch
from torch import nn
from translating import scene, to_float, write

from rs_gen.raster.tiles import walk
from rs_gen.translate.verify import _moved


@pytest.mark.parametrize("kind", ["resnet-instance", "unet-batch-5"])
def test_an_exact_translation_passes(tmp_path, nets, kind):
    path = write(tmp_path / "in.tif", scene((300, 290)))
    found = to_float(nets(kind)).verify(path)
    assert found.passed
    assert found.difference <= 1e-4
    assert found.shift <= 1e-4
    assert min(found.window.height, found.window.width) > 2 * found.core


def test_a_network_that_looks_everywhere_fails(tmp_path, caplog):
    class Global(nn.Module):
        def forward(self, x):
            return x - x.mean((2, 3), keepdim=True)

    path = write(tmp_path / "in.tif", scene((300, 320)))
    translate = to_float(Global())
    assert "can differ" in caplog.text
    assert not translate.reach.exact
    assert not translate.verify(path).passed


def test_moved_tiles_cover_everything_once_on_the_phase():
    shape, seen = (96, 80), torch.zeros(96, 80)
    tiles = list(_moved(shape, 32, 8, 4, 12))
    for tile in tiles:
        seen[tile.write.toslices()] += 1
        assert tile.read.row_off % 4 == tile.read.col_off % 4 == 0
        assert tile.read.row_off <= tile.write.row_off
    assert (seen == 1).all()
    straight = {(t.write.row_off, t.write.col_off) for t in walk(shape, 32, 8, phase=4)}
    assert {(t.write.row_off, t.write.col_off) for t in tiles} - straight
