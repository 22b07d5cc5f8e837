import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.windows import Window

from rs_gen.errors import GridMismatchError, RasterError, SettingError
from rs_gen.raster.grid import Grid
from rs_gen.raster.reader import RasterReader

# Five pixels wider all round than the scene, on the same lattice; and the same half a pixel off.
WIDER = Grid((50, 60), Affine(10, 0, 499950, 0, -10, 5000050), "EPSG:32633")
HALF = Grid((50, 60), Affine(10, 0, 499955, 0, -10, 5000055), "EPSG:32633")
SCENE = np.s_[:, 5:45, 5:55]


def aligned(path, grid=WIDER, **options):
    with RasterReader.aligned(path, grid, **options) as reader:
        assert reader.grid == grid
        return reader.read(grid.window)


def as_it_is(path):
    with RasterReader(path) as reader:
        return reader.read(reader.grid.window)


def with_holes(values, nodata):
    values = values.copy()
    values[0, 5:15, 10:30], values[-1, 0:3] = nodata, nodata
    return values


CASES = {
    "plain": lambda v: {},
    "nodata": lambda v: {"nodata": 7},
    "nodata unlike any value": lambda v: {"nodata": 0},
    "mask": lambda v: {"mask": v[0] > 30},
    "mask and nodata": lambda v: {"mask": v[0] > 30, "nodata": 7},
}


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "float32", "float64"])
@pytest.mark.parametrize("case", CASES)
def test_laid_on_the_same_lattice_nothing_changes_and_what_is_outside_is_masked(
    stored, pixels, case, dtype
):
    values = pixels(3, dtype) if dtype[0] != "f" else np.abs(pixels(3, dtype)) + 1
    path = stored(values, **CASES[case](values))
    before, after = as_it_is(path), aligned(path)
    outside = np.ones(after.shape, bool)
    outside[SCENE] = False
    assert after.dtype == dtype
    assert after.mask[outside].all()
    assert (after.mask[SCENE] == before.mask).all()
    assert (after[SCENE].filled(0) == before.filled(0)).all()


def test_alpha_and_nodata_together_are_kept(stored, pixels):
    values = pixels(4)
    values[3] = np.where(values[0] > 30, 255, 0)
    for nodata in (None, 7):
        path = stored(values, nodata=nodata, colors=("red", "green", "blue", "alpha"))
        before, after = as_it_is(path), aligned(path)
        assert after.shape[0] == 3
        assert (after.mask[SCENE] == before.mask).all()


def test_floats_that_are_not_finite_are_masked_and_do_not_bleed_when_unlisted(stored, pixels):
    values = with_holes(pixels(2, "float32"), np.nan)
    path = stored(values)
    assert (aligned(path).mask[SCENE] == np.isnan(values)).all()
    half = aligned(path, HALF)
    assert half.mask[0, 12, 20]
    assert np.isfinite(half.compressed()).all()


def test_a_hole_in_one_band_is_none_in_the_others_and_is_never_averaged_in(stored, pixels):
    values = with_holes(np.full((3, 40, 50), 100, "uint8"), 0)
    half = aligned(stored(values, nodata=0), HALF)
    assert (half.compressed() == 100).all()
    assert half.mask[0, 12, 20]
    assert not half.mask[1, 12, 20]


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
def test_an_average_that_lands_on_nodata_stays_measured(stored, dtype):
    stripes = np.ones((1, 40, 50), dtype)
    stripes[0, ::2] = 101  # half a pixel down, every mean is 51
    down = Grid((39, 50), Affine(10, 0, 500000, 0, -10, 4999995), "EPSG:32633")
    out = aligned(stored(stripes, nodata=51), down)
    assert not out.mask.any()
    assert np.abs(out.data - 51.0).max() <= 1


def test_bands_with_unlike_nodata_values_are_masked_each_by_its_own(stored, pixels, tmp_path):
    values = pixels(2)
    stored(values, "base.tif")
    bands = [
        '<VRTRasterBand dataType="{}" band="{i}">{}<SimpleSource><SourceFilename relativeToVRT="1">'
        "base.tif</SourceFilename><SourceBand>{i}</SourceBand></SimpleSource></VRTRasterBand>"
    ] * 2
    head = (
        '<VRTDataset rasterXSize="50" rasterYSize="40"><SRS>EPSG:32633</SRS>'
        "<GeoTransform>500000,10,0,5000000,0,-10</GeoTransform>"
    )
    three = "<NoDataValue>3</NoDataValue>"
    seven = "<NoDataValue>7</NoDataValue>"
    for second in (("Byte", seven), ("Byte", ""), ("Float32", ""), ("Float32", seven)):
        path = tmp_path / "bands.vrt"
        first = bands[0].format("Byte", three, i=1)
        path.write_text(head + first + bands[1].format(*second, i=2) + "</VRTDataset>")
        before, after = as_it_is(path), aligned(path)
        assert after.dtype == before.dtype
        assert (after.mask[SCENE] == before.mask).all()
        assert (after[SCENE].filled(0) == before.filled(0)).all()
        assert after.mask[:, :5].all()
        assert aligned(path, bands=[1]).shape[0] == 1


@pytest.mark.parametrize("method", ["nearest", "bilinear", "cubic", "average"])
def test_windows_of_a_warped_raster_are_those_of_the_whole(stored, method):
    values = np.random.default_rng(0).integers(0, 60000, (2, 300, 300)).astype("uint16")
    path = stored(values)
    other = Grid((330, 330), Affine(9, 0, 29500, 0, -9, 5019000), "EPSG:32634")
    whole = aligned(path, other, resampling=method)
    assert 0.05 < whole.mask.mean() < 0.9
    with RasterReader.aligned(path, other, method) as reader:
        for window in (Window(17, 33, 100, 51), Window(200, 250, 130, 80), Window(-5, 0, 9, 9)):
            part = reader.read(window)
            inner = part[:, :, 5:] if window.col_off < 0 else part
            row, col = window.row_off, max(window.col_off, 0)
            expected = whole[:, row : row + inner.shape[1], col : col + inner.shape[2]]
            assert (inner.mask == expected.mask).all()
            assert (inner.filled(0) == expected.filled(0)).all()


def test_a_south_up_raster_and_its_twin_show_the_same(stored, pixels, grid):
    values = pixels(2)
    south = Grid(grid.shape, Affine(10, 0, 500000, 0, 10, 4999600), grid.crs)
    path = stored(values, transform=south.transform)
    assert (aligned(path, grid).data == values[:, ::-1]).all()
    assert (aligned(stored(values, "north.tif"), south).data == values[:, ::-1]).all()


def test_a_rotated_grid_is_met_at_its_true_place(stored, grid):
    ramp = np.tile(np.arange(50, dtype="float32"), (1, 40, 1))
    turned = Grid((20, 20), Affine(0, 10, 500100, 10, 0, 4999700), grid.crs)  # x and y swapped
    out = aligned(stored(ramp), turned)
    assert (out.data[0] == np.arange(10, 30)[:, None]).all()


def test_a_raster_already_on_the_grid_is_read_as_it_is(stored, pixels, grid):
    path = stored(pixels(), crs=None)
    with RasterReader.aligned(path, Grid(grid.shape, grid.transform)) as reader:
        assert not reader.has_mask
        assert (reader.read(grid.window).data == pixels()).all()


def test_a_colour_table_is_never_averaged(stored, pixels):
    ids = (pixels(1) % 2).astype("uint8")
    path = stored(ids, photometric="PALETTE")
    with rasterio.open(path, "r+") as dataset:
        dataset.write_colormap(1, {0: (10, 20, 30), 1: (200, 210, 220)})
    out = aligned(path, HALF, resampling="bilinear")
    colors = {tuple(c) for c in out.data[:, ~out.mask[0]].T.tolist()}
    assert colors == {(10, 20, 30), (200, 210, 220)}
    assert set(np.unique(aligned(path, HALF, palette="ids").compressed())) == {0, 1}


def test_what_can_not_be_aligned_is_refused_with_the_reason(stored, pixels, grid):
    path = stored(pixels(), "there.tif")
    away = Grid((9, 9), Affine(10, 0, 0, 0, -10, 0), "EPSG:32633")
    with pytest.raises(GridMismatchError, match=r"there.tif covers .* and does not meet the grid"):
        RasterReader.aligned(path, away)
    with pytest.raises(RasterError, match="the grid to align it with has no CRS"):
        RasterReader.aligned(path, Grid((9, 9), grid.transform))
    with pytest.raises(RasterError, match=r"bare.tif has no CRS, so the two can't be aligned"):
        RasterReader.aligned(stored(pixels(), "bare.tif", crs=None), WIDER)
    with pytest.raises(SettingError, match="resampling='linear' is unknown; it is one of"):
        RasterReader.aligned(path, WIDER, "linear")


@pytest.mark.data
def test_a_scene_on_the_date_line_is_found_from_either_side(imagery):
    path = imagery / "geotiff/rio-tiler/cog_dateline.tif"
    for west in (179.0, -180.0):
        grid = Grid((50, 50), Affine(0.01, 0, west, 0, -0.01, 52.0), "EPSG:4326")
        with RasterReader.aligned(path, grid) as reader:
            assert (~reader.read(grid.window).mask).any()


@pytest.mark.data
def test_overlapping_scenes_agree_best_where_they_are_laid(imagery):
    first = imagery / "geotiff/rio-tiler/mosaic_cog1.tif"
    with RasterReader(first) as one:
        a = one.read(one.grid.window)
        with RasterReader.aligned(imagery / "geotiff/rio-tiler/mosaic_cog2.tif", one.grid) as two:
            b = two.read(one.grid.window)
    likeness = {}  # two days with different clouds, so likeness is low wherever they are laid
    for shift in ((0, 0), (0, 1), (0, -1), (1, 0), (-1, 0)):
        values, mask = (np.roll(x, shift, (1, 2)) for x in (b.data, b.mask))
        both = ~(a.mask | mask)
        likeness[shift] = np.corrcoef(a.data[both], values[both])[0, 1]
    assert max(likeness, key=likeness.get) == (0, 0)
