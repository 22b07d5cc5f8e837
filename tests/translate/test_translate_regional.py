"""Statistics that change with the place: smooth, fixed on the ground, and blind to tiles."""

import numpy as np
import pytest
import rasterio
import torch
from affine import Affine
from rasterio.windows import Window
from translating import BYTES, grid_of, scene, to_float, write

from rs_gen.networks.norm import InstanceNorm, norm_layers
from rs_gen.raster.grid import Grid
from rs_gen.raster.reader import ArrayReader
from rs_gen.translate import regional
from rs_gen.translate.canvas import Canvas
from rs_gen.translate.engine import Engine, ready
from rs_gen.translate.regional import Lattice, Patch, Regional, RegionalEngine

CPU = torch.device("cpu")


def made(pixels, net=None, side=16, phase=4, grid=None):
    net = ready(net or torch.nn.Sequential(InstanceNorm(len(pixels))), CPU)
    grid = grid or grid_of(pixels.shape[1:])
    canvas = Canvas(ArrayReader(np.ma.array(pixels), grid), BYTES, phase)
    return Regional(net, canvas, side=side, floats=8, device=CPU)


def read(path):
    with rasterio.open(path) as dataset:
        return dataset.read(masked=True)


@pytest.mark.parametrize("kind", ["resnet-instance", "unet-instance-5"])
def test_tiles_and_areas_do_not_show(tmp_path, nets, kind):
    translate = to_float(nets(kind), size=32, nodata=-9.0)
    pixels = scene((203, 261))
    pixels[:, 50:90, 100:180] = 0
    path = write(tmp_path / "in.tif", pixels, nodata=0)
    options = {"statistics": "regional"}
    one = read(translate(path, tmp_path / "1.tif", tile_size=64, batch_size=3, **options))
    two = read(translate(path, tmp_path / "2.tif", tile_size=256, **options))
    assert one.std() > 0.2
    assert np.abs(one - two).max() <= 2e-4
    window = Window(90, 20, 60, 70)
    part = read(translate(path, tmp_path / "3.tif", tile_size=64, window=window, **options))
    assert np.abs(part - one[:, 20:90, 90:150]).max() <= 2e-4
    everything = translate.translate_whole(
        np.ma.masked_equal(pixels, 0), statistics=translate.statistics_of(path, "regional")
    )
    assert np.abs(everything - one).max() <= 2e-4
    sampled = read(translate(path, tmp_path / "4.tif"))
    assert np.abs(sampled - one).max() > 0.05, "other statistics, another picture"
    with rasterio.open(tmp_path / "1.tif") as dataset:
        assert dataset.tags()["RS_GEN_STATISTICS"] == "regional"


def test_a_raster_as_small_as_a_chip_divides_by_itself(tmp_path, nets):
    translate = to_float(nets("resnet-instance"), size=128)
    path = write(tmp_path / "in.tif", scene((100, 120)))
    got = read(translate(path, tmp_path / "out.tif", statistics="regional", tile_size=64))
    assert np.abs(got - translate.translate_whole(read(path))).max() <= 2e-4


def test_nodes_lie_at_whole_steps_on_the_ground_whatever_the_raster():
    whole = grid_of((4000, 4000))
    lattice = Lattice.of(whole, 64)
    assert lattice.step == (1024.0, 1024.0)  # two windows of 640 m, as a power of two
    crop = Lattice.of(whole.crop(Window(1234, 777, 500, 600)), 64)
    assert crop.step == lattice.step
    node = 510_000 // 1024, 4_980_000 // 1024
    row, col = lattice.pixel(node)
    assert crop.pixel(node) == pytest.approx((row - 777, col - 1234))
    assert lattice.at(np.array(row), np.array(col)) == (
        pytest.approx(node[0]),
        pytest.approx(node[1]),
    )
    near = Grid((4000, 4000), Affine(10.001, 0, 3, 0, -9.999, 7), "EPSG:32633")
    assert Lattice.of(near, 64).step == lattice.step


def test_turned_and_south_up_rasters_know_where_their_pixels_are():
    turned = Grid((60, 80), Affine(3, 4, 1e5, -4, 3, 2e5), "EPSG:32633")
    south = Grid((60, 80), Affine(0.001, 0, 12, 0, 0.001, -7), "EPSG:4326")
    for grid in (turned, south):
        lattice = Lattice.of(grid, 8)
        node = tuple(int(np.floor(part)) for part in lattice.at(np.array(30.0), np.array(40.0)))
        row, col = lattice.pixel(node)
        u, v = lattice.at(np.array(row), np.array(col))
        assert (u, v) == pytest.approx(node)


@pytest.mark.parametrize("grid", [
    grid_of((96, 128)), Grid((96, 128), Affine(3, 4, 1e5, -4, 3, 2e5), "EPSG:32633")
])  # fmt: skip
def test_between_nodes_statistics_are_bilinear(grid):
    """A plane over the nodes is a plane over the pixels."""
    found = made(scene((96, 128)), side=8, grid=grid)
    found.node = lambda node: torch.tensor([[2.0 * node[0] - node[1]] * 3, [1.0] * 3])
    mean, var = Patch(found, (8, 12), (40, 64)).ask("0", torch.zeros(1, 3, 20, 32))
    rows, cols = 8 + 2 * (np.arange(20) + 0.5), 12 + 2 * (np.arange(32) + 0.5)
    u, v = found.lattice.at(rows[:, None], cols[None, :])
    assert mean.shape == var.shape == (1, 3, 20, 32)
    np.testing.assert_allclose(mean[0, 1].numpy(), 2 * u - v, rtol=1e-6, atol=1e-3)
    np.testing.assert_allclose(var.numpy(), 1, rtol=1e-6)
    assert mean.is_contiguous(memory_format=torch.channels_last)


def test_a_node_has_the_statistics_of_the_window_around_it():
    pixels = scene((400, 400))
    found = made(pixels)
    lattice = found.lattice
    u, v = lattice.at(np.array(200.0), np.array(200.0))
    node = int(u), int(v)
    window = next(found.windows(node))
    row, col = lattice.pixel(node)
    assert abs(window.row_off + 8 - row) <= 2
    assert abs(window.col_off + 8 - col) <= 2
    held = BYTES.encode(np.ma.array(pixels))[:, *window.toslices()].reshape(3, -1)
    mean, var = found.node(node)
    assert mean.numpy() == pytest.approx(held.mean(1), abs=1e-5)
    assert var.numpy() == pytest.approx(held.var(1), rel=1e-3)


def test_a_cell_with_little_valid_looks_around_then_borrows_then_takes_the_sample():
    pixels = np.ma.array(scene((400, 400)), mask=False)
    found = made(pixels)
    u, v = found.lattice.at(np.array(200.0), np.array(200.0))
    node = int(u), int(v)
    nine = list(found.windows(node))
    assert len(nine) == 9
    middle = nine[0].toslices()
    pixels[:, *middle] = np.ma.masked
    assert made(pixels)._measure(node) is not None, "the places around the middle do"
    for window in nine:
        pixels[:, *window.toslices()] = np.ma.masked
    empty = made(pixels)
    assert empty._measure(node) is None
    near = [empty._measure(other) for other in regional._ring(node, 1)]
    torch.testing.assert_close(
        empty.node(node), torch.stack([n for n in near if n is not None]).mean(0)
    )
    pixels[:, :300] = np.ma.masked
    lonely = made(pixels)
    held = BYTES.encode(pixels)[:, 300:].reshape(3, -1)
    assert lonely.node(node)[0].numpy() == pytest.approx(held.mean(1), abs=0.1)


def test_an_empty_raster_divides_by_one(tmp_path, nets):
    translate = to_float(nets("resnet-instance"), nodata=-9.0)
    path = write(tmp_path / "in.tif", np.zeros((3, 90, 90), "uint8"), nodata=0)
    out = translate(path, tmp_path / "out.tif", tile_size=32, statistics="regional")
    assert read(out).mask.all()
    assert made(np.ma.masked_all((3, 50, 50), "uint8")).node((0, 0)).tolist() == [[0] * 3, [1] * 3]


def test_only_the_latest_nodes_are_remembered():
    found = made(scene((200, 200)))
    measured = []
    found._most = 4
    found._made = lambda node: measured.append(node) or torch.zeros(2, 3)
    for i in (0, 1, 2, 3, 0, 4, 0, 1):
        found.node((i, 0))
    assert [i for i, _ in measured] == [0, 1, 2, 3, 4, 1]
    assert len(found._known) == 4


def test_neighbouring_scenes_agree_away_from_their_edges(nets):
    """One scene is cut from the other: where windows lie whole in both, nodes are the same."""
    pixels = scene((300, 300))
    net = nets("resnet-instance")
    whole = made(pixels, net)
    crop = Window(40, 60, 240, 220)
    part = made(pixels[:, *crop.toslices()], net, grid=grid_of((300, 300)).crop(crop))
    u, v = whole.lattice.at(np.array(170.0), np.array(160.0))
    node = int(u), int(v)
    torch.testing.assert_close(part.node(node), whole.node(node))


def test_an_engine_puts_each_image_at_its_place(nets):
    net = ready(nets("resnet-instance"), CPU)
    pixels = scene((128, 128))
    found = made(pixels, net, side=16)
    engine = RegionalEngine(Engine(net, CPU), found)
    window = BYTES.encode(np.ma.array(pixels[:, :64, :64]))[None]
    both = engine(np.concatenate([window, window]), [(0, 0), (64, 64)])
    assert np.abs(both[0] - engine(window)[0]).max() == 0
    assert np.abs(both[0] - both[1]).max() > 0.01
    assert not any(layer.frozen for layer in norm_layers(net).values())
