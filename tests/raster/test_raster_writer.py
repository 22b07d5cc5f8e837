import subprocess
import sys

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.windows import Window
from rio_cogeo import cog_validate

from rs_gen.errors import RasterError, SettingError, UnknownNameError, ValueRangeError
from rs_gen.raster.grid import Grid
from rs_gen.raster.reader import RasterReader
from rs_gen.raster.tiles import walk
from rs_gen.raster.writer import COMPRESSIONS, geotiff, optimise

DTYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64")
BIG = Grid((520, 600), Affine(10, 0, 500000, 0, -10, 5000000), "EPSG:32633")


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out.tif"


def read(path, **options):
    with RasterReader(path, **options) as reader:
        return reader.read(reader.grid.window)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("count", [1, 3, 4, 13])
def test_what_is_written_is_read_again(out, grid, pixels, dtype, count):
    values = pixels(count, dtype)
    with geotiff(out, grid, count=count, dtype=dtype) as writer:
        writer.write(values)
    with RasterReader(out) as reader:
        assert (reader.count, reader.dtype, reader.grid) == (count, dtype, grid)
        assert not reader.has_mask or dtype.startswith("f")
        assert (reader.read(grid.window).data == values).all()


@pytest.mark.parametrize("compress", COMPRESSIONS)
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_every_compression_keeps_every_value(out, grid, pixels, compress, dtype):
    with geotiff(out, grid, count=2, dtype=dtype, compress=compress) as writer:
        writer.write(pixels(2, dtype))
    assert (read(out).data == pixels(2, dtype)).all()


def test_windows_written_one_by_one_make_the_whole(out, pixels, grid):
    values = pixels(2, "uint16")
    with geotiff(out, grid, count=2, dtype="uint16") as writer:
        for tile in walk(grid.shape, 16):
            (top, bottom), (left, right) = tile.write.toranges()
            writer.write(values[:, top:bottom, left:right], tile.write)
    assert (read(out).data == values).all()


@pytest.mark.parametrize(
    "transform",
    [Affine(10, 0, 5e5, 0, 10, 4.9e6), Affine(8, 6, 5e5, 6, -8, 5e6)],
    ids=["south-up", "rotated"],
)
@pytest.mark.parametrize("crs", ["EPSG:32633", None])
def test_the_place_is_kept_exactly(out, transform, crs):
    grid = Grid((20, 30), transform, crs)
    with geotiff(out, grid, count=1, dtype="uint8") as writer:
        writer.write(np.ones((1, 20, 30), "uint8"))
    with RasterReader(out) as reader:
        assert reader.grid == grid


def test_the_file_is_tiled_compressed_and_grows_past_4_gib_if_it_must(out):
    with geotiff(out, BIG, count=1, dtype="float32") as writer:
        writer.write(np.zeros((1, *BIG.shape), "float32"))
    with rasterio.open(out) as dataset:
        assert dataset.block_shapes == [(256, 256)]
        structure = dataset.tags(ns="IMAGE_STRUCTURE")
        assert (structure["COMPRESSION"], structure["PREDICTOR"]) == ("DEFLATE", "3")
    huge = Grid((60_000, 60_000), BIG.transform, BIG.crs)
    with geotiff(out, huge, count=3, dtype="uint16", nodata=0):
        pass
    assert out.read_bytes()[:4] == b"II+\0"  # BigTIFF
    assert out.stat().st_size < 10_000_000  # what nobody wrote takes no room


def test_pixels_never_written_are_nodata(out):
    with geotiff(out, BIG, count=1, dtype="int16", nodata=-5) as writer:
        writer.write(np.ones((1, 10, 10), "int16"), Window(300, 300, 10, 10))
    assert (~read(out).mask).sum() == 100


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
def test_what_is_not_valid_takes_nodata_in_every_band(out, grid, pixels, dtype):
    values, valid = pixels(2, dtype), np.ones(grid.shape, bool)
    valid[5:15, 10:30] = False
    nodata = float("nan") if dtype == "float32" else 0
    with geotiff(out, grid, count=2, dtype=dtype, nodata=nodata) as writer:
        writer.write(values, valid=valid)
    back = read(out)
    assert (back.mask == ~valid).all()
    assert (back.data[:, valid] == values[:, valid]).all()
    assert (values == pixels(2, dtype)).all()  # the caller's array is left alone


def test_a_masked_array_says_itself_what_is_valid(out, grid, pixels):
    values = np.ma.masked_greater(pixels(2), 100)
    with geotiff(out, grid, count=2, dtype="uint8", nodata=0) as writer:
        writer.write(values)
    assert (read(out).mask == values.mask).all()


def test_a_mask_goes_into_the_file_and_leaves_all_values_free(out, grid):
    values = np.arange(2000).reshape(1, 40, 50).astype("uint8")
    valid = np.ones(grid.shape, bool)
    valid[5:15, 10:30] = False
    with geotiff(out, grid, count=1, dtype="uint8", mask=True) as writer:
        writer.write(values[:, :20], Window(0, 0, 50, 20), valid[:20])
        writer.write(values[:, 20:], Window(0, 20, 50, 20))
    assert [p.name for p in out.parent.iterdir()] == ["out.tif"]
    back = read(out)
    assert (back.mask[0] == ~valid).all()
    assert (back.data[:, valid] == values[:, valid]).all()


def test_holes_without_a_way_to_say_so_are_refused(out, grid, pixels):
    valid = np.ones(grid.shape, bool)
    valid[0, :7] = False
    with (
        pytest.raises(
            ValueRangeError, match=r"7 pixels have no measurement, but out.tif has no way"
        ),
        geotiff(out, grid, count=3, dtype="uint8") as writer,
    ):
        writer.write(pixels(), valid=valid)
    assert not out.exists()


def test_names_colours_and_tags_are_read_again(out, grid, pixels):
    colors = ("red", "green", "blue", "undefined")
    with geotiff(
        out, grid, count=4, dtype="uint8", names=list("abcd"), colors=colors, tags={"made_by": 1}
    ) as writer:
        writer.write(pixels(4))
        writer.tag(seam_ratio=1.01)
    with RasterReader(out) as reader:
        assert (reader.names, reader.colors) == (("a", "b", "c", "d"), colors)
        assert reader.tags["made_by"] == "1"
        assert reader.tags["seam_ratio"] == "1.01"


def test_a_fourth_band_is_alpha_only_when_it_is_said_to_be(out, grid, pixels):
    for colors, count in ((None, 4), (("red", "green", "blue", "nir"), 4), (None, 4)):
        with geotiff(out, grid, count=4, dtype="uint8", colors=colors) as writer:
            writer.write(pixels(4))
        assert read(out).shape[0] == count
    alpha = ("red", "green", "blue", "alpha")
    with geotiff(out, grid, count=4, dtype="uint8", colors=alpha) as writer:
        writer.write(pixels(4))
    assert read(out).shape[0] == 3


def test_a_colour_table_is_written(out, grid, pixels):
    ids = (pixels(1) % 3).astype("uint8")
    table = {0: (1, 2, 3), 1: (255, 0, 0), 2: (0, 0, 255, 255)}
    for cog in (False, True):
        with geotiff(out, grid, count=1, dtype="uint8", colormap=table, cog=cog) as writer:
            writer.write(ids)
        assert (read(out)[1].data == np.array([2, 0, 0])[ids[0]]).all()
        assert (read(out, palette="ids").data == ids).all()


@pytest.mark.parametrize("stop", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("cog", [False, True])
def test_a_run_that_stops_leaves_the_old_raster_and_nothing_else(out, grid, pixels, stop, cog):
    out.write_text("old")

    def work():
        with geotiff(out, grid, count=3, dtype="uint8", mask=True, cog=cog) as writer:
            writer.write(pixels())
            raise stop

    with pytest.raises(stop):
        work()
    assert [p.name for p in out.parent.iterdir()] == ["out.tif"]
    assert out.read_text() == "old"


def test_an_old_mask_beside_the_file_does_not_outlive_it(stored, pixels, grid, tmp_path):
    path = stored(pixels(), mask=np.zeros((40, 50), bool), internal=False)
    assert read(path).mask.all()
    with geotiff(path, grid, count=3, dtype="uint8") as writer:
        writer.write(pixels())
    assert not read(path).mask.any()
    assert [p.name for p in tmp_path.iterdir()] == ["scene.tif"]


@pytest.mark.parametrize("options", [{}, {"mask": True}, {"nodata": 0}, {"compress": "zstd"}])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_a_cloud_optimised_file_is_valid_and_keeps_everything(out, options, dtype):
    values = np.random.default_rng(0).integers(1, 200, (3, *BIG.shape)).astype(dtype)
    holes = bool({"mask", "nodata"} & options.keys())
    valid = np.ones(BIG.shape, bool)
    valid[50:300, 100:400] = not holes
    with geotiff(
        out, BIG, count=3, dtype=dtype, names=list("xyz"), tags={"a": "b"}, cog=True, **options
    ) as writer:
        writer.write(values, valid=valid if holes else None)
    assert cog_validate(str(out), strict=True, quiet=True)[0]
    assert [p.name for p in out.parent.iterdir()] == ["out.tif"]
    with RasterReader(out) as reader:
        assert reader.grid == BIG
        assert (reader.names, reader.tags["a"]) == (("x", "y", "z"), "b")
        back = reader.read(BIG.window)
    assert (back.mask == ~valid).all()
    assert (back.data[:, valid] == values[:, valid]).all()


def test_optimising_says_what_it_can_not_do(out, stored, pixels):
    with pytest.raises(SettingError, match="compress='packbits' is not for cloud-optimised"):
        optimise(stored(pixels()), out, compress="packbits")
    with pytest.raises(RasterError, match=r"out.tif can't be written from .*none.tif"):
        optimise(out.with_name("none.tif"), out)
    assert optimise(stored(pixels()), out) == out


def test_a_full_disk_is_an_error_and_leaves_nothing(tmp_path):
    code = """
import resource, signal, sys
import numpy as np
from affine import Affine
from rs_gen.errors import RasterError
from rs_gen.raster.grid import Grid
from rs_gen.raster.writer import geotiff
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
grid = Grid((1000, 1000), Affine.identity(), "EPSG:32633")
noise = np.random.default_rng(0).integers(0, 255, (1, 1000, 1000)).astype("uint8")
try:
    with geotiff(sys.argv[1], grid, count=1, dtype="uint8") as writer:
        writer.write(noise)
except RasterError as error:
    print("RasterError:", error)
"""
    pytest.importorskip("resource", reason="file size limits exist on POSIX only")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, str(tmp_path / "out.tif")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "RasterError:" in done.stdout, done.stderr
    assert not list(tmp_path.iterdir())


def test_pixels_that_do_not_fit_are_refused(out, grid, pixels):
    with geotiff(out, grid, count=3, dtype="uint8") as writer:
        with pytest.raises(SettingError, match=r"shape \(2, 40, 50\) do not fit \(3, 40, 50\)"):
            writer.write(pixels(2))
        with pytest.raises(SettingError, match=r"reaches past the raster of \(40, 50\) px"):
            writer.write(pixels(), Window(1, 0, 50, 40))
        with pytest.raises(
            ValueRangeError, match=r"float32 pixels may not fit uint8, .*\('uint8'\)"
        ):
            writer.write(pixels(3, "float32"))
        with pytest.raises(SettingError, match=r"valid has shape \(2, 2\), not \(40, 50\)"):
            writer.write(pixels(), valid=np.ones((2, 2), bool))


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        (
            {"nodata": -1},
            ValueRangeError,
            "nodata=-1 does not fit uint8, which holds whole numbers",
        ),
        ({"compress": "jpeg"}, SettingError, "compress='jpeg' is unknown; it is one of"),
        ({"blocksize": 100}, SettingError, "blocksize=100 must be a multiple of 16"),
        ({"count": 0}, SettingError, "count=0 must be at least 1"),
        ({"names": ["a"]}, SettingError, "1 names for 3 bands"),
        ({"colors": ["red"]}, SettingError, "1 colors for 3 bands"),
        ({"colors": ["red", "green", "blu"]}, UnknownNameError, "no colour interpretation named"),
        ({"colormap": {0: (0, 0, 0)}}, SettingError, "a colormap needs one band of uint8 or uint1"),
        ({"dtype": "complex64", "compress": "none"}, SettingError, "dtype='complex64' can't be"),
        ({"dtype": "nonsense"}, SettingError, "dtype='nonsense' can't be"),
    ],
)
def test_options_that_can_not_work_are_refused_and_leave_nothing(out, grid, options, error, text):
    options = {"count": 3, "dtype": "uint8", **options}
    with pytest.raises(error, match=text), geotiff(out, grid, **options):
        pass
    assert not list(out.parent.iterdir())


def test_what_lies_below_a_mask_is_zero(out):
    valid = np.ones(BIG.shape, bool)
    valid[100:200, 50:300] = False
    with geotiff(out, BIG, count=1, dtype="uint8", mask=True) as writer:
        writer.write(np.full((1, *BIG.shape), 7, "uint8"), valid=valid)
    with rasterio.open(out) as dataset:  # as a program sees it that looks at no mask
        assert (dataset.read(1) == np.where(valid, 7, 0)).all()
