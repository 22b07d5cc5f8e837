import threading

import numpy as np
import pytest
import rasterio
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import integers
from rasterio.control import GroundControlPoint
from rasterio.rpc import RPC
from rasterio.windows import Window

from rs_gen.errors import RasterError, SettingError, UnknownNameError
from rs_gen.raster.grid import Grid
from rs_gen.raster.reader import ArrayReader, RasterReader

DTYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64")
HOLE = np.s_[5:15, 10:30]


def read(path, **options):
    with RasterReader(path, **options) as reader:
        return reader.read(reader.grid.window)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("count", [1, 3, 4, 13])
def test_values_come_as_they_are_stored(stored, pixels, grid, dtype, count):
    values = pixels(count, dtype)
    with RasterReader(stored(values)) as reader:
        assert (reader.count, reader.dtype, reader.grid) == (count, dtype, grid)
        out = reader.read(grid.window)
    assert out.dtype == dtype
    assert (out.data == values).all()
    assert out.mask.shape == values.shape
    assert not out.mask.any()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("nodata", [0, 120, -1])
def test_nodata_masks_its_band_only(stored, pixels, dtype, nodata):
    values = pixels(2, dtype)
    if dtype.startswith("u") and nodata < 0:
        return
    values[0][HOLE] = nodata
    values[1][values[1] == nodata] = 7
    with RasterReader(stored(values, nodata=nodata)) as reader:
        out = reader.read(reader.grid.window)
        assert reader.has_mask
        assert reader.nodata == nodata
    assert (out.mask == (values == nodata)).all()
    assert not out.mask[1].any()
    assert out.fill_value == nodata


def test_nodata_of_nan_and_of_the_lowest_float_are_found(stored, pixels):
    values = pixels(2, "float32")
    values[0][HOLE] = np.nan
    assert (read(stored(values, nodata=np.nan)).mask == np.isnan(values)).all()
    lowest = np.finfo("float32").min
    values[0][HOLE] = lowest
    assert (read(stored(values, nodata=-3.4028234663852886e38)).mask == (values == lowest)).all()


def test_floats_that_are_not_finite_are_masked_without_any_nodata_value(stored, pixels):
    values = pixels(2, "float32")
    values[0][HOLE], values[1, 0, 0] = np.nan, -np.inf
    with RasterReader(stored(values, nodata=-9999)) as reader:
        assert (reader.read(reader.grid.window).mask == ~np.isfinite(values)).all()


@pytest.mark.parametrize("internal", [True, False])
def test_a_mask_inside_or_beside_the_file_masks_all_bands(stored, pixels, tmp_path, internal):
    shown = np.ones((40, 50), bool)
    shown[HOLE] = False
    path = stored(pixels(), mask=shown, internal=internal)
    assert (tmp_path / "scene.tif.msk").exists() is not internal
    assert (read(path).mask == ~shown).all()


def test_alpha_is_a_mask_and_no_band(stored, pixels, grid):
    values = pixels(4)
    values[3] = 255
    values[3][HOLE], values[3, 0, 0] = 0, 1
    path = stored(values, ALPHA="YES", colors=("red", "green", "blue", "alpha"))
    with RasterReader(path) as reader:
        assert (reader.count, reader.names) == (3, ("red", "green", "blue"))
        out = reader.read(grid.window)
    assert (out.data == values[:3]).all()
    assert (out.mask == (values[3] == 0)).all()


def test_four_bands_without_alpha_are_four_bands(stored, pixels):
    assert read(stored(pixels(4))).shape[0] == 4


def test_a_pixel_is_masked_if_any_source_says_so(stored, pixels, grid):
    values = pixels(4)
    shown = np.ones((40, 50), bool)
    shown[0], values[3], values[0, 5] = False, 255, 0
    values[3, 10] = 0
    path = stored(values, nodata=0, mask=shown, colors=("red", "green", "blue", "alpha"))
    mask = read(path).mask
    assert mask[:, 0].all()
    assert mask[0, 5].all()
    assert not mask[1, 5].any()
    assert mask[:, 10].all()


def test_a_vrt_may_have_a_nodata_value_and_a_dtype_for_each_band(stored, pixels, tmp_path):
    values = pixels(2)
    stored(values, "base.tif")
    path = tmp_path / "bands.vrt"
    path.write_text(vrt(('Byte"', 3, 1), ('Float32"', 7, 2)))
    with RasterReader(path) as reader:
        assert (reader.dtype, reader.nodata) == ("float32", None)
        out = reader.read(reader.grid.window)
    assert (out.mask[0] == (values[0] == 3)).all()
    assert (out.mask[1] == (values[1] == 7)).all()
    assert (out.data == values).all()


def vrt(*bands):
    """A VRT over base.tif; each band is (type, nodata or None, source band)."""
    parts = [
        f'<VRTRasterBand dataType="{kind} band="{i}">'
        + ("" if nodata is None else f"<NoDataValue>{nodata}</NoDataValue>")
        + '<SimpleSource><SourceFilename relativeToVRT="1">base.tif</SourceFilename>'
        f"<SourceBand>{source}</SourceBand></SimpleSource></VRTRasterBand>"
        for i, (kind, nodata, source) in enumerate(bands, start=1)
    ]
    return (
        '<VRTDataset rasterXSize="50" rasterYSize="40"><SRS>EPSG:32633</SRS>'
        "<GeoTransform>500000,10,0,5000000,0,-10</GeoTransform>" + "".join(parts) + "</VRTDataset>"
    )


def test_jpeg_2000_is_read(stored, pixels):
    values = pixels(3, "uint16")
    path = stored(values, "scene.jp2", driver="JP2OpenJPEG", QUALITY="100", REVERSIBLE="YES")
    assert (read(path).data == values).all()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(col=integers(-60, 60), row=integers(-60, 60), width=integers(1, 70), height=integers(1, 70))
def test_disk_and_array_agree_and_mask_what_lies_past_the_raster(
    stored, pixels, grid, tmp_path, col, row, width, height
):
    values = pixels(2, "int16")
    values[0][HOLE] = -5
    path = tmp_path / "scene.tif"
    if not path.exists():
        stored(values, nodata=-5)
    window = Window(col, row, width, height)
    with RasterReader(path) as disk:
        ours = disk.read(window)
    twin = ArrayReader(np.ma.masked_equal(values, -5), grid).read(window)
    assert ours.shape == twin.shape == (2, height, width)
    assert (ours.mask == twin.mask).all()
    assert (ours.filled(0) == twin.filled(0)).all()
    padded = np.full((2, 40 + 200, 50 + 200), -5)
    padded[:, 100:140, 100:150] = values
    expected = padded[:, 100 + row : 100 + row + height, 100 + col : 100 + col + width]
    assert (ours.filled(-5) == expected).all()


def test_bands_are_chosen_by_index_or_name_in_the_order_asked_for(stored, pixels):
    values = pixels(3)
    path = stored(values, colors=("red", "green", "blue"), photometric="RGB")
    with RasterReader(path, bands=["Blue", 0, 0]) as reader:
        assert (reader.count, reader.names) == (3, ("blue", "red", "red"))
        assert (reader.read(reader.grid.window).data == values[[2, 0, 0]]).all()


def test_bands_are_named_by_description_then_colour_then_number(stored, pixels):
    path = stored(pixels(2))
    with RasterReader(path) as reader:
        assert reader.names == ("band_1", "band_2")
    with rasterio.open(path, "r+") as dataset:
        dataset.descriptions = ("VV", "VH")
    with RasterReader(path) as reader:
        assert reader.names == ("VV", "VH")
        assert "RasterReader(scene.tif, 2 x uint8" in repr(reader)


def test_a_colour_table_is_read_as_colours_or_as_ids(stored, pixels):
    ids = (pixels(1) % 4).astype("uint8")
    path = stored(ids, photometric="PALETTE")
    with rasterio.open(path, "r+") as dataset:
        dataset.write_colormap(1, {0: (9, 8, 7), 1: (255, 0, 0), 2: (0, 255, 0), 3: (0, 0, 255)})
    with RasterReader(path) as reader:
        assert (reader.count, reader.names) == (3, ("red", "green", "blue"))
        colors = reader.read(Window(-1, 0, 51, 40))
    assert colors.mask[:, :, 0].all()
    table = np.array([(9, 8, 7), (255, 0, 0), (0, 255, 0), (0, 0, 255)])
    assert (colors.data[:, :, 1:] == table[ids[0]].transpose(2, 0, 1)).all()
    with RasterReader(path, bands=["blue"]) as reader:
        assert (reader.read(reader.grid.window).data == table[ids[0]][None, ..., 2]).all()
    with RasterReader(path, palette="ids") as reader:
        assert reader.count == 1
        assert reader.colormap[1] == (255, 0, 0, 255)
        assert (reader.read(reader.grid.window).data == ids).all()


def test_a_nodata_id_of_a_colour_table_is_masked(stored, pixels):
    ids = (pixels(1) % 4).astype("uint8")
    path = stored(ids, photometric="PALETTE", nodata=2)
    with rasterio.open(path, "r+") as dataset:
        dataset.write_colormap(1, {i: (i, i, i) for i in range(4)})
    with RasterReader(path) as reader:
        assert reader.has_mask
        assert reader.nodata is None  # an id is no colour
        assert (reader.read(reader.grid.window).mask == (ids == 2)).all()


def test_each_thread_reads_with_a_reader_of_its_own(stored, pixels, grid):
    values, seen = pixels(3, "uint16"), []
    path = stored(values, tiled=True, blockxsize=16, blockysize=16)

    def work():
        with RasterReader(path) as reader:
            seen.append(all((reader.read(grid.window).data == values).all() for _ in range(5)))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [True] * 4


def test_a_plain_image_without_a_crs_is_read_unless_a_place_is_needed(stored, pixels, recwarn):
    path = stored(
        pixels(), "photo.png", driver="PNG", crs=None, transform=rasterio.Affine(1, 0, 0, 0, 1, 0)
    )
    recwarn.clear()
    with RasterReader(path) as reader:
        assert reader.grid.crs is None
        assert reader.read(Window(0, 0, 2, 2)).shape == (3, 2, 2)
    assert not recwarn.list
    with pytest.raises(RasterError, match=r"photo.png has no CRS.*rio edit-info --crs"):
        RasterReader(path, georeferenced=True)


def test_a_raster_placed_by_ground_control_points_is_refused_with_the_remedy(stored, pixels):
    points = [GroundControlPoint(r, c, 10 + c, 50 - r) for r, c in ((0, 0), (0, 50), (40, 0))]
    path = stored(pixels(), "raw.tif", crs=None, transform=None)
    with rasterio.open(path, "r+") as dataset:
        dataset.gcps = points, rasterio.CRS.from_epsg(4326)
    with pytest.raises(
        RasterError, match=r"by 3 ground control points only; warp it first: rio warp raw.tif"
    ):
        RasterReader(path)


def test_a_raster_placed_by_rpcs_is_refused_with_the_remedy(stored, pixels):
    path = stored(pixels(), "raw.tif", crs=None, transform=None)
    ones = [1.0] * 20
    with rasterio.open(path, "r+") as dataset:
        dataset.rpcs = RPC(0, 1, 0, 1, ones, ones, 0, 1, 0, 1, ones, ones, 0, 1)
    with pytest.raises(RasterError, match=r"by RPCs only; warp it first: gdalwarp -rpc .* raw.tif"):
        RasterReader(path)


def test_complex_rasters_are_refused(stored, pixels):
    path = stored(pixels(1, "float32").astype("complex64"))
    with pytest.raises(RasterError, match=r"holds complex numbers \(complex64\)"):
        RasterReader(path)


def test_a_missing_file_a_foreign_file_and_a_container_are_told_apart(stored, pixels, tmp_path):
    with pytest.raises(RasterError, match=r"none.tif: no such file"):
        RasterReader(tmp_path / "none.tif")
    (tmp_path / "text.tif").write_text("not a raster")
    with pytest.raises(RasterError, match=r"text.tif can't be read as a raster"):
        RasterReader(tmp_path / "text.tif")
    for table in ("one", "two"):
        stored(pixels(1), "both.gpkg", driver="GPKG", RASTER_TABLE=table, APPEND_SUBDATASET="YES")
    with pytest.raises(
        RasterError, match=r"container of rasters; name one of those inside: GPKG:.*one"
    ):
        RasterReader(tmp_path / "both.gpkg")


def test_a_damaged_block_is_named_with_its_file_and_window(stored, pixels, tmp_path):
    random = np.random.default_rng(0).integers(0, 255, (1, 64, 64)).astype("uint8")
    path = stored(random, tiled=True, blockxsize=16, blockysize=16, compress="deflate")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2] + b"\0" * (len(data) - len(data) // 2))
    with pytest.raises(
        RasterError, match=r"scene.tif: rows 48 to 63, columns 32 to 63 can't be read"
    ):
        read_window(path, Window(32, 48, 40, 30))


def read_window(path, window):
    with RasterReader(path) as reader:
        return reader.read(window)


def test_only_alpha_is_nothing_to_read(stored, pixels):
    with pytest.raises(RasterError, match="has only an alpha band"):
        RasterReader(stored(pixels(1), colors=("alpha",)))


def test_bands_and_options_that_do_not_exist_are_named(stored, pixels, grid):
    path = stored(pixels(2))
    with pytest.raises(SettingError, match=r"has no band 2; its 2 bands are 0 to 1 \(band_1, ban"):
        RasterReader(path, bands=[2])
    with pytest.raises(
        UnknownNameError, match=r"no band of scene.tif named 'nir'; there are band_1"
    ):
        RasterReader(path, bands=["nir"])
    with pytest.raises(SettingError, match=r"bands=\[\] leaves nothing"):
        RasterReader(path, bands=[])
    with pytest.raises(SettingError, match="palette='gray' must be 'rgb' or 'ids'"):
        RasterReader(path, palette="gray")
    with pytest.raises(
        SettingError, match=r"pixels of shape \(2, 4, 4\) are not \(C, \*\(40, 50\)\)"
    ):
        ArrayReader(np.zeros((2, 4, 4)), grid)


def test_an_array_reader_masks_floats_that_are_not_finite(grid, pixels):
    values = pixels(1, "float32")
    values[0][HOLE] = np.nan
    reader = ArrayReader(values, grid)
    assert reader.has_mask
    assert reader.names == ("band_1",)
    assert (reader.read(grid.window).mask == np.isnan(values)).all()


REAL = [
    # name, bands, dtype, share of masked pixels
    ("deepforest/OSBS_029.tif", 3, "uint8", 0.0081), ("rasterio/RGB.byte.tif", 3, "uint8", 0.3259),
    ("rasterio/RGBA.byte.tif", 3, "uint8", 0.3255), ("rasterio/cogeo.tif", 3, "uint8", 0),
    ("rasterio/rgb1.tif", 3, "uint8", 0.3181), ("rasterio/rgb2.tif", 3, "uint8", 0.3057),
    ("rasterio/rgb3.tif", 3, "uint8", 0.3133), ("rasterio/rgb4.tif", 3, "uint8", 0.3724),
    ("rasterio/world.rgb.tif", 3, "uint8", 0), ("rio-color/rgb16.tif", 3, "uint16", 0),
    ("rio-tiler/cog_dateline.tif", 1, "uint16", 0), ("rio-tiler/cog_rgba.tif", 3, "uint8", 0.113),
    ("rio-tiler/mosaic_cog1.tif", 3, "uint16", 0.3246),
    ("rio-tiler/mosaic_cog2.tif", 3, "uint16", 0.3085),
    ("rio-tiler/pix4d_alpha_nodata.tif", 3, "uint8", 0.1244),
    ("sen1floods11/Spain_7370579_LabelHand.tif", 1, "int16", 0),
    ("sen1floods11/Spain_7370579_S1Hand.tif", 2, "float32", 0),
    ("sen1floods11/Spain_7370579_S2Hand.tif", 13, "int16", 0),
    ("solaris/ms1.tif", 4, "float64", 0), ("solaris/pan1.tif", 1, "uint16", 0),
    ("solaris/rgb_unmasked.tif", 3, "uint8", 0), ("solaris/sar_masked.tif", 4, "float32", 0.3915),
    ("stars/L7_ETMs.tif", 6, "uint8", 0),
]  # fmt: skip


@pytest.mark.data
@pytest.mark.parametrize(("name", "count", "dtype", "share"), REAL, ids=[r[0] for r in REAL])
def test_real_rasters_are_read_whole_and_in_windows(imagery, name, count, dtype, share):
    with RasterReader(imagery / "geotiff" / name, georeferenced=True) as reader:
        whole = reader.read(reader.grid.window)
        part = reader.read(Window(-9, 100, 70, 50))
    assert (reader.count, reader.dtype) == (count, dtype)
    assert whole.mask.mean() == pytest.approx(share, abs=1e-4)
    assert reader.has_mask or not whole.mask.any()
    assert part.mask[:, :, :9].all()
    assert (part.mask[:, :, 9:] == whole.mask[:, 100:150, :61]).all()
    assert (part[:, :, 9:].filled(0) == whole[:, 100:150, :61].filled(0)).all()


@pytest.mark.data
def test_every_real_raster_is_tried(imagery):
    found = {p.relative_to(imagery / "geotiff").as_posix() for p in imagery.glob("geotiff/*/*.tif")}
    assert found == {r[0] for r in REAL} | {"rio-tiler/cog_gcps.tif"}
    with pytest.raises(RasterError, match="placed by 210 ground control points only"):
        RasterReader(imagery / "geotiff/rio-tiler/cog_gcps.tif")


@pytest.mark.data
def test_a_mosaic_cut_in_four_is_one_again_through_a_vrt(imagery, tmp_path):
    parts = [imagery / f"geotiff/rasterio/rgb{i}.tif" for i in (1, 2, 3, 4)]
    with RasterReader(imagery / "geotiff/rasterio/RGB.byte.tif") as reader:
        expected = reader.read(reader.grid.window)
        left, top = reader.grid.bounds[0], reader.grid.bounds[3]
        x, y = reader.grid.resolution
    sources = ""
    for path in parts:
        with RasterReader(path) as part:
            (height, width), bounds = part.grid.shape, part.grid.bounds
        col, row = round((bounds[0] - left) / x), round((top - bounds[3]) / y)
        sources += (
            f"<SimpleSource><SourceFilename>{path}</SourceFilename><SourceBand>1</SourceBand>"
            f'<SrcRect xOff="0" yOff="0" xSize="{width}" ySize="{height}"/>'
            f'<DstRect xOff="{col}" yOff="{row}" xSize="{width}" ySize="{height}"/></SimpleSource>'
        )
    (tmp_path / "mosaic.vrt").write_text(
        f'<VRTDataset rasterXSize="791" rasterYSize="718"><SRS>EPSG:32618</SRS>'
        f"<GeoTransform>{left},{x},0,{top},0,{-y}</GeoTransform>"
        f'<VRTRasterBand dataType="Byte" band="1"><NoDataValue>0</NoDataValue>{sources}'
        "</VRTRasterBand></VRTDataset>"
    )
    with RasterReader(tmp_path / "mosaic.vrt") as reader:
        assert reader.grid.shape == (718, 791)
        whole = reader.read(reader.grid.window)
    assert isinstance(reader.grid, Grid)
    assert (whole.filled(0) == expected[:1].filled(0)).all()
