from affine import Affine
from rasterio.windows import Window
from translating import grid_of

from rs_gen.raster.grid import Grid
from rs_gen.translate.noise import ground_noise


def test_a_part_has_the_noise_of_the_whole_whoever_cuts_it_out():
    grid = grid_of((90, 120))
    whole = ground_noise(grid, grid.window, 2, 7)
    window = Window(31, 17, 40, 50)
    assert (ground_noise(grid, window, 2, 7) == whole[:, 17:67, 31:71]).all()
    cut = grid.crop(window)  # a raster of its own, on the same ground
    assert (ground_noise(cut, cut.window, 2, 7) == whole[:, 17:67, 31:71]).all()


def test_noise_has_mean_0_deviation_1_and_no_pattern():
    noise = ground_noise(grid_of((512, 512)), Window(0, 0, 512, 512), 3, 1)
    assert abs(noise.mean()) < 0.01
    assert abs(noise.std() - 1) < 0.01
    for moved in (noise[:, 1:] * noise[:, :-1], noise[..., 1:] * noise[..., :-1],
                  noise[0] * noise[1]):  # fmt: skip
        assert abs(moved.mean()) < 0.01
    assert abs((noise**4).mean() - 2.7) < 0.1  # of four even numbers; 3 would be normal


def test_another_seed_is_another_noise():
    grid = grid_of((64, 64))
    one, two = (ground_noise(grid, grid.window, 1, seed) for seed in (1, 2))
    assert abs((one * two).mean()) < 0.05


def test_a_raster_without_a_place_counts_from_its_corner():
    grid = Grid((20, 30), Affine.identity())
    assert (
        ground_noise(grid, Window(3, 4, 5, 6), 1, 0)
        == ground_noise(grid, grid.window, 1, 0)[:, 4:10, 3:8]
    ).all()  # fmt: skip
