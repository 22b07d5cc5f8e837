from __future__ import annotations

import numpy as np

from rs_gen.raster.grid import Grid
from rs_gen.raster.identity import digest_of
from rs_gen.raster.reader import ArrayReader, RasterReader
from rs_gen.raster.writer import geotiff


def test_a_copy_under_another_name_and_compression_is_the_same(tmp_path, grid, pixels):
    digests = set()
    for name, compress in (("a.tif", "deflate"), ("b.tif", "none")):
        with geotiff(tmp_path / name, grid, count=3, dtype="uint8", compress=compress) as writer:
            writer.write(pixels(3))
        with RasterReader(tmp_path / name) as reader:
            digests.add(digest_of(reader))
    assert len(digests) == 1
    assert len(digests.pop()) == 16


def test_any_pixel_mask_or_place_changes_it(grid, pixels):
    values = np.ma.MaskedArray(pixels(3), False)
    first = digest_of(ArrayReader(values, grid))
    other = values.copy()
    other[1, 17, 31] += 1
    hole = values.copy()
    hole[:, 3, 3] = np.ma.masked
    moved = Grid(grid.shape, grid.transform.translation(1, 0) @ grid.transform, grid.crs)
    found = {
        digest_of(ArrayReader(other, grid)), digest_of(ArrayReader(hole, grid)),
        digest_of(ArrayReader(values, moved)), digest_of(ArrayReader(values[:2], grid)),
    }  # fmt: skip
    assert len(found) == 4
    assert first not in found


def test_what_lies_below_a_mask_does_not_count(grid, pixels):
    one = np.ma.MaskedArray(pixels(1), False)
    one[:, 5, 5] = np.ma.masked
    two = one.copy()
    two.data[:, 5, 5] = 99
    assert digest_of(ArrayReader(one, grid)) == digest_of(ArrayReader(two, grid))


def test_a_large_raster_is_sampled_from_corner_to_corner(grid):
    class Counting:
        count, dtype, names = 1, "uint8", ("a",)

        def __init__(self):
            self.grid, self.windows = Grid((20_000, 30_000), grid.transform), []

        def read(self, window):
            self.windows.append(window)
            return np.ma.zeros((1, window.height, window.width), "uint8")

    reader = Counting()
    digest_of(reader)
    assert len(reader.windows) == 256
    assert max(w.row_off + w.height for w in reader.windows) == 20_000
    assert max(w.col_off + w.width for w in reader.windows) == 30_000
