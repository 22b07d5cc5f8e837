"""The statistics of the whole raster: streamed in tiles, they are those of one pass over all."""

import numpy as np
import pytest
import rasterio
import torch
from torch import nn
from translating import BYTES, grid_of, scene, to_float, write

from rs_gen.errors import Cancelled, TranslationError
from rs_gen.networks.norm import InstanceNorm
from rs_gen.networks.reach import reach
from rs_gen.raster.reader import ArrayReader
from rs_gen.translate import exact
from rs_gen.translate.canvas import Canvas
from rs_gen.translate.exact import Moments, exact_statistics

CPU = torch.device("cpu")


def holey(shape=(203, 261)):
    """With a hole inside, a wedge at the edge, and one band masked elsewhere."""
    pixels = np.ma.array(scene(shape), mask=False)
    pixels[:, 40:90, 100:170] = np.ma.masked
    pixels[:, np.tri(*shape, -120, dtype=bool)] = np.ma.masked
    pixels[1, 3:17, 3:9] = np.ma.masked
    return pixels


def quiet(tiles, total=None, label=""):
    return tiles


def gathered(net, pixels, **options):
    phase = reach(net, applied=True).phase
    canvas = Canvas(ArrayReader(pixels, grid_of(pixels.shape[1:])), BYTES, phase)
    settings = {"floats": 8, "device": CPU, "memory": 2**32, "progress": quiet, **options}
    return exact_statistics(net.eval(), canvas, **settings)


@pytest.fixture
def small(monkeypatch):
    """Tiles much smaller than the raster."""
    monkeypatch.setattr(exact, "_CORE", 64)


def test_streams_merge_to_what_all_values_give():
    values = torch.randn(20, 9, 50, dtype=torch.float64) * 3 + 1e4
    weights = torch.rand(9, 50).round(decimals=1)
    moments = Moments()
    for part in (slice(0, 7), slice(7, 30), slice(30, 50)):
        moments.add(values[..., part], weights[..., part])
        moments.add(values[..., part], torch.zeros_like(weights[..., part]))
    mean, var = moments.result()
    w = weights.double()
    expected = (values * w).sum((1, 2)) / w.sum()
    spread = ((values - expected[:, None, None]) ** 2 * w).sum((1, 2)) / w.sum()
    torch.testing.assert_close(mean.flatten().double(), expected, rtol=1e-6, atol=0)
    torch.testing.assert_close(var.flatten().double(), spread, rtol=1e-6, atol=0)


@pytest.mark.parametrize("kind", ["resnet-instance", "resnet-smooth", "unet-instance-5"])
def test_exact_is_the_original_network_on_the_whole_raster(tmp_path, nets, small, kind):
    """Holes inside, a size that is no multiple of tile or phase, and another tile size."""
    translate = to_float(nets(kind), nodata=-9.0)
    pixels = holey()
    path = write(tmp_path / "in.tif", pixels.filled(0), nodata=0)
    out = translate(path, tmp_path / "out.tif", statistics="exact", tile_size=96)
    with rasterio.open(out) as dataset:
        got = dataset.read(masked=True)
        assert dataset.tags()["RS_GEN_STATISTICS"] == "exact"
    pixels.mask |= pixels.data == 0
    expected = translate.translate_whole(pixels)  # by its own statistics, in one piece
    assert (got.mask == expected.mask).all()
    assert np.abs(got - expected).max() <= 2e-4
    sampled = translate.translate_whole(pixels, statistics=translate.statistics_of(path))
    assert np.abs(sampled - expected).max() > 1e-2, "a sample is another thing"


def test_a_position_counts_by_its_share_of_valid_pixels_and_halos_do_not(small):
    net = nn.Sequential(nn.AvgPool2d(4), InstanceNorm(3), nn.Upsample(scale_factor=4))
    pixels = holey()
    mean, var = gathered(net, pixels)["1"]
    valid = ~pixels.mask.any(axis=0)
    encoded = torch.from_numpy(BYTES.encode(pixels)).double()
    padded = torch.zeros(3, 204, 264, dtype=torch.float64)
    padded[:, :203, :261] = encoded
    padded[:, 203:, :261] = encoded[:, 201:202]  # mirrored about the last row and column
    padded[:, :, 261:] = padded[:, :, 257:260].flip(-1)
    share = torch.zeros(204, 264, dtype=torch.float64)
    share[:203, :261] = torch.from_numpy(valid)
    blocks = padded.unfold(1, 4, 4).unfold(2, 4, 4).mean((-1, -2))
    weight = share.unfold(0, 4, 4).unfold(1, 4, 4).mean((-1, -2))
    expected = (blocks * weight).sum((1, 2)) / weight.sum()
    spread = ((blocks - expected[:, None, None]) ** 2 * weight).sum((1, 2)) / weight.sum()
    torch.testing.assert_close(mean.flatten().double(), expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(var.flatten().double(), spread, atol=1e-6, rtol=1e-5)


def test_each_pass_stops_at_the_layer_that_it_is_for(small):
    calls = []
    net = nn.Sequential(
        nn.Conv2d(3, 2, 1), InstanceNorm(2), nn.Conv2d(2, 2, 3, padding=1), InstanceNorm(2),
        nn.Conv2d(2, 1, 1),
    )  # fmt: skip
    for name in ("0", "2", "4"):
        net.get_submodule(name).register_forward_hook(lambda *_, name=name: calls.append(name))
    gathered(net, np.ma.array(scene((128, 64))))
    assert calls == ["0"] * 2 + ["0", "2"] * 2


def test_memory_makes_tiles_smaller_and_changes_no_number(nets):
    net = nets("resnet-instance")
    pixels = holey((150, 170))
    large, little = gathered(net, pixels), gathered(net, pixels, memory=2**20)
    for name, (mean, var) in large.items():
        torch.testing.assert_close(little[name][0], mean, atol=1e-5, rtol=0)
        torch.testing.assert_close(little[name][1], var, atol=1e-5, rtol=1e-5)


def test_an_empty_raster_has_no_exact_statistics(nets):
    pixels = np.ma.array(scene((90, 90)), mask=True)
    assert gathered(nets("resnet-instance"), pixels) is None


def test_gathering_is_shown_and_can_be_stopped(tmp_path, nets, small):
    path = write(tmp_path / "in.tif", scene((100, 120)))
    told, asked = [], iter([False] * 5 + [True])

    def progress(tiles, total, label):
        told.append((label, total))
        return tiles

    translate = to_float(nets("resnet-instance"))
    options = {"statistics": "exact", "tile_size": 64, "progress": progress}
    translate(path, tmp_path / "out.tif", **options)
    layers = 3 + 4 + 2
    assert told == [("Gathering statistics", 4 * layers), ("Translating", 4)]
    with pytest.raises(Cancelled, match=f"stopped after 6 of {4 * layers} tiles; no file was"):
        translate(path, tmp_path / "no.tif", cancel=lambda: next(asked), **options)
    assert not (tmp_path / "no.tif").exists()


def test_a_layer_that_cuts_pixels_unevenly_is_named(small):
    net = nn.Sequential(nn.Conv2d(3, 3, 2), InstanceNorm(3), nn.Upsample(size=(64, 64)))
    with pytest.raises(TranslationError, match="norm layer 1 has 64 positions for 65 px"):
        gathered(net, np.ma.array(scene((128, 128))))
