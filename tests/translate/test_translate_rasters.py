"""Whatever raster comes in: its mask, its grid and the area asked for come out again."""

from __future__ import annotations

import json
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from affine import Affine
from rio_cogeo.cogeo import cog_validate
from shapely.geometry import Point, box
from torch import nn
from translating import grid_of, scene, to_float, write

from rs_gen.errors import AreaError, GridWarning, SettingError, TranslationError
from rs_gen.raster.grid import Grid
from rs_gen.raster.reader import RasterReader
from rs_gen.raster.values import Stretch
from rs_gen.raster.writer import geotiff
from rs_gen.translate.canvas import Canvas
from rs_gen.translate.sides import Side
from rs_gen.translate.translator import Translator

REAL = Path(__file__).parents[2].parent / "shared" / "data" / "geotiff"
UTM = "EPSG:32633"
GRIDS = {
    "north-up": (Affine(10, 0, 5e5, 0, -10, 5e6), UTM),
    "south-up": (Affine(10, 0, 5e5, 0, 10, 5e6), UTM),
    "rotated": (Affine.translation(5e5, 5e6) @ Affine.rotation(25) @ Affine.scale(10, -10), UTM),
    "geographic": (Affine(1e-4, 0, 14, 0, -1e-4, 46), "EPSG:4326"),
}


class Mixing(nn.Module):
    """Each band of the result is the mean of all bands, 3 x 3 px round."""

    def __init__(self, bands: int, out: int):
        super().__init__()
        self.conv = nn.Conv2d(bands, out, 3, padding=1, padding_mode="reflect", bias=False)
        nn.init.constant_(self.conv.weight, 1 / (9 * bands))

    def forward(self, x):
        return self.conv(x)


def mixing(bands: int, out: int, dtype="uint8", to="uint8", **options) -> Translator:
    tops = {"uint8": 255.0, "uint16": 5000.0, "int16": 5000.0, "float32": 1.0}
    source = Side(Stretch((0.0,) * bands, (tops[dtype],) * bands), dtype)
    target = Side(Stretch((0.0,) * out, (tops[to],) * out), to, **options)
    return Translator(Mixing(bands, out), source, target, device="cpu", size=32)


def mask_of(path) -> np.ndarray:
    with RasterReader(path, palette="ids") as reader:
        return np.ma.getmaskarray(reader.read(reader.grid.window)).any(axis=0)


def pixels_of(path) -> np.ma.MaskedArray:
    with RasterReader(path, palette="ids") as reader:
        return reader.read(reader.grid.window)


# ---- values --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
@pytest.mark.parametrize("to", ["uint8", "uint16", "int16", "float32"])
def test_any_dtype_and_band_count_goes_in_and_out(tmp_path, dtype, to):
    bands, out = (1, 3) if dtype == to else (4, 2)
    pixels = scene((50, 60), bands, "uint8").astype(dtype)
    if dtype == "float32":
        pixels /= 255
    path = write(tmp_path / "in.tif", pixels, colors=["gray"] + ["undefined"] * (bands - 1))
    translate = mixing(bands, out, dtype, to)
    made = pixels_of(translate(path, tmp_path / "out.tif", tile_size=32, mixed_precision=False))
    assert made.dtype == to
    assert made.shape == (out, 50, 60)
    whole = translate.translate_whole(pixels)
    assert np.abs(made.astype(float) - whole.astype(float)).max() <= (1e-6 if to[0] == "f" else 1)


# ---- masks ---------------------------------------------------------------------------------------

HOLES = np.zeros((90, 100), bool)
HOLES[:, :10] = True
HOLES[40:50, 40:60] = True
for row in range(90):  # a wedge, as at the edge of a warped scene
    HOLES[row, 100 - row // 2 :] = True


def masked_scene(kind: str, folder: Path) -> Path:
    """A raster with ``HOLES``, said in one of the ways that GDAL knows."""
    pixels, path = scene((90, 100)), folder / "in.tif"
    if kind == "nodata":
        return write(path, np.where(HOLES, 0, pixels), nodata=0)
    if kind == "nan":
        return write(path, np.where(HOLES, np.nan, pixels / 255).astype("float32"))
    if kind == "mask in the file":
        return write(path, np.ma.MaskedArray(pixels, np.broadcast_to(HOLES, pixels.shape)),
                     mask=True)  # fmt: skip
    if kind == "alpha":
        alpha = np.where(HOLES, 0, 255).astype("uint8")[None]
        return write(path, np.concatenate([pixels, alpha]),
                     colors=("red", "green", "blue", "alpha"))  # fmt: skip
    write(path, pixels)
    if kind == "mask beside the file":
        with (
            rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False),
            rasterio.open(path, "r+") as dataset,
        ):
            dataset.write_mask(~HOLES)
        assert (folder / "in.tif.msk").exists()
        return path
    assert kind == "band by band"
    pixels[0, :, :10], pixels[1, 40:50, 40:60], pixels[2, HOLES] = 0, 254, 255
    pixels = np.where(np.isin(pixels, (0, 254, 255)) & ~HOLES, 100, pixels).astype("uint8")
    write(path, pixels)
    bands = "".join(
        f'<VRTRasterBand dataType="Byte" band="{i}"><NoDataValue>{value}</NoDataValue>'
        f'<ComplexSource><SourceFilename relativeToVRT="1">in.tif</SourceFilename>'
        f"<SourceBand>{i}</SourceBand></ComplexSource></VRTRasterBand>"
        for i, value in enumerate((0, 254, 255), start=1)
    )
    vrt = folder / "in.vrt"
    vrt.write_text(
        f'<VRTDataset rasterXSize="100" rasterYSize="90"><SRS>{UTM}</SRS>'
        f"<GeoTransform>500000, 10, 0, 5000000, 0, -10</GeoTransform>{bands}</VRTDataset>"
    )
    return vrt


KINDS = ("nodata", "nan", "mask in the file", "mask beside the file", "alpha", "band by band")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stored", ["nodata", "mask", "cog", "classes"])
def test_the_mask_that_goes_in_comes_out(tmp_path, kind, stored):
    path = masked_scene(kind, tmp_path)
    assert (mask_of(path) == HOLES).all()
    translate = mixing(3, 3, "float32" if kind == "nan" else "uint8")
    options = {
        "nodata": {"nodata": 0}, "mask": {}, "cog": {"cog": True},
        "classes": {"palette": "#000000,#808080,#ffffff"},
    }[stored]  # fmt: skip
    out = translate(path, tmp_path / "out.tif", tile_size=32, **options)
    assert (mask_of(out) == HOLES).all()
    if stored == "cog":
        assert cog_validate(out)[0]


def test_tiles_without_anything_wanted_are_not_computed(tmp_path, monkeypatch):
    from rs_gen.translate import engine

    pixels = np.where(np.arange(256)[:, None] < 128, 0, scene((256, 256), 1)).astype("uint8")
    path = write(tmp_path / "in.tif", pixels, nodata=0)
    translate, seen, cores = mixing(1, 1), [], engine.Engine.cores

    def count(self, images, *rest):
        seen.append(len(images))
        return cores(self, images, *rest)

    monkeypatch.setattr(engine.Engine, "cores", count)
    translate(path, tmp_path / "half.tif", tile_size=64, batch_size=1)
    assert sum(seen) == 8, "the upper half was not measured"
    seen.clear()
    read, reads = Canvas.read, []
    monkeypatch.setattr(Canvas, "read", lambda self, w: reads.append(w) or read(self, w))
    inside = grid_of((256, 256))
    area = box(*inside.at(130, 255), *inside.at(180, 200))
    translate(path, tmp_path / "area.tif", area=area, area_mode="mask", tile_size=64)
    assert sum(seen) == 1, "all but one tile lie outside the area"
    assert len(reads) == 1


# ---- grids ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("cog", [False, True])
def test_every_grid_is_kept_and_an_area_gives_the_pixels_of_the_full_run(tmp_path, nets, name, cog):
    grid = Grid((90, 110), *GRIDS[name])
    pixels = scene(grid.shape)
    with geotiff(tmp_path / "in.tif", grid, count=3, dtype="uint8") as writer:
        writer.write(pixels)
    translate = to_float(nets("resnet-instance"), nodata=-9.0)
    full = translate(tmp_path / "in.tif", tmp_path / "full.tif", tile_size=64, cog=cog)
    with rasterio.open(full) as made:
        assert made.transform.almost_equals(grid.transform, 1e-9)
        assert made.crs == grid.crs
        assert made.shape == grid.shape
        everything = made.read()
    middle = Point(grid.at(70, 40)).buffer(abs(grid.resolution[0]) * 17)
    clipped = translate(tmp_path / "in.tif", tmp_path / "clip.tif", area=middle, cog=cog)
    masked = translate(
        tmp_path / "in.tif", tmp_path / "mask.tif", area=middle, area_mode="mask", tile_size=48
    )
    with rasterio.open(clipped) as part, rasterio.open(masked) as same:
        assert same.shape == grid.shape
        assert same.transform.almost_equals(grid.transform, 1e-9)
        col, row = (round(v) for v in grid.pixel_at(*(part.transform @ (0, 0))))
        inside = part.read_masks(1) > 0
        window = np.s_[:, row : row + part.height, col : col + part.width]
        assert part.height < 40
        assert inside.sum() == pytest.approx(np.pi * 17**2, rel=0.03)
        difference = np.abs(part.read() - everything[window])[:, inside]
        assert difference.max() <= 2e-4
        assert ((same.read_masks(1) > 0)[window[1:]] == inside).all()
        assert (same.read_masks(1) > 0).sum() == inside.sum()
        assert np.abs(same.read() - everything)[:, same.read_masks(1) > 0].max() <= 2e-4
        if cog:
            assert cog_validate(clipped)[0]


def test_several_areas_in_several_systems_and_layers_are_one(tmp_path):
    grid = grid_of((100, 100))
    path = write(tmp_path / "in.tif", scene((100, 100), 1))
    squares = [box(*grid.at(c, c + 20), *grid.at(c + 20, c)) for c in (5, 40, 75)]
    tables = [gpd.GeoDataFrame(geometry=[s], crs=UTM) for s in squares]
    tables[0].to_crs(3857).to_file(tmp_path / "one.geojson")
    tables[1].to_file(tmp_path / "more.gpkg", layer="first")
    tables[2].to_file(tmp_path / "more.gpkg", layer="second")
    out = mixing(1, 1)(
        path, tmp_path / "out.tif", area_mode="mask",
        area=[tmp_path / "one.geojson", f"{tmp_path}/more.gpkg|layername=first",
              tmp_path / "more.gpkg" / "main.second"],
    )  # fmt: skip
    shown = ~mask_of(out)
    expected = np.zeros((100, 100), bool)
    for c in (5, 40, 75):
        expected[c : c + 20, c : c + 20] = True
    assert (shown != expected).sum() <= 4, "an edge may bend by rounding in another system"
    with pytest.raises(AreaError, match="misses the raster"):
        mixing(1, 1)(path, tmp_path / "b.tif", area=[box(0, 0, 1, 1)], area_mode="mask")
    with pytest.raises(SettingError, match="area_mode='cut' is unknown"):
        mixing(1, 1)(path, tmp_path / "b.tif", area=squares, area_mode="cut")


def test_a_mosaic_is_translated_as_one_raster(tmp_path, nets):
    pixels, grid = scene((80, 120)), grid_of((80, 120))
    write(tmp_path / "whole.tif", pixels)
    sources = []
    for i, (row, col) in enumerate(((0, 0), (0, 60), (40, 0), (40, 60))):
        part = grid.crop(rasterio.windows.Window(col, row, 60, 40))
        with geotiff(tmp_path / f"{i}.tif", part, count=3, dtype="uint8") as writer:
            writer.write(pixels[:, row : row + 40, col : col + 60])
        sources.append((f"{i}.tif", row, col))
    bands = "".join(
        f'<VRTRasterBand dataType="Byte" band="{band}">' + "".join(
            f'<SimpleSource><SourceFilename relativeToVRT="1">{name}</SourceFilename>'
            f'<SourceBand>{band}</SourceBand><SrcRect xOff="0" yOff="0" xSize="60" ySize="40"/>'
            f'<DstRect xOff="{col}" yOff="{row}" xSize="60" ySize="40"/></SimpleSource>'
            for name, row, col in sources
        ) + "</VRTRasterBand>"
        for band in (1, 2, 3)
    )  # fmt: skip
    (tmp_path / "mosaic.vrt").write_text(
        f'<VRTDataset rasterXSize="120" rasterYSize="80"><SRS>{UTM}</SRS>'
        f"<GeoTransform>500000, 10, 0, 5000000, 0, -10</GeoTransform>{bands}</VRTDataset>"
    )
    translate = to_float(nets("resnet-instance"))
    one = translate(tmp_path / "whole.tif", tmp_path / "a.tif", tile_size=48)
    two = translate(tmp_path / "mosaic.vrt", tmp_path / "b.tif", tile_size=48)
    assert (pixels_of(one) == pixels_of(two)).all()


# ---- resolution ----------------------------------------------------------------------------------


@pytest.mark.parametrize("metres", [5.0, 20.0])
@pytest.mark.parametrize("turned", [False, True])
def test_a_raster_is_brought_to_the_resolution_of_training(tmp_path, metres, turned, caplog):
    transform = Affine.translation(5e5, 5e6) @ Affine.rotation(25 * turned)
    grid = Grid((120, 80), transform @ Affine.scale(metres, -metres), UTM)
    rows = np.broadcast_to(np.linspace(20, 230, 120)[:, None], (1, 120, 80))
    pixels = np.ma.MaskedArray(rows.astype("uint8"), False)
    pixels[:, :30] = np.ma.masked
    with geotiff(tmp_path / "in.tif", grid, count=1, dtype="uint8", nodata=0) as writer:
        writer.write(pixels)
    translate = mixing(1, 1)
    source = Side(translate.source.stretch, "uint8", resolution=10.0)
    translate = Translator(nn.Identity(), source, translate.target, device="cpu", size=32)
    with pytest.warns(GridWarning, match=r"resample it to 10 m with resample=True \(--resample\)"):
        translate(tmp_path / "in.tif", tmp_path / "plain.tif")
    with caplog.at_level("INFO"):
        out = translate(tmp_path / "in.tif", tmp_path / "out.tif", resample=True, tile_size=32)
    assert f"is resampled from {metres:g} m to 10 m" in caplog.text
    with RasterReader(out) as made:
        assert made.grid.ground_resolution == pytest.approx(10, rel=1e-3)
        assert made.grid.shape == tuple(round(n * metres / 10) for n in grid.shape)
        for mine, theirs in zip(made.grid.corners, grid.corners, strict=True):
            assert mine == pytest.approx(theirs, abs=0.1)
        held = made.read(made.grid.window)[0]
        assert json.loads(made.tags["RS_GEN_PARAMETERS"])["resample"] is True
    quarter = held.shape[0] // 4
    assert held.mask[: quarter - 1].all()
    assert not held.mask[quarter + 1 : -1, 1:-1].any()
    shown = held[quarter + 1 : -1, 1:-1].astype(float).mean(axis=1)
    rows = (np.arange(quarter + 1, held.shape[0] - 1) + 0.5) * 10 / metres - 0.5
    assert np.abs(shown - (20 + rows * 210 / 119)).max() < 3


def test_a_raster_at_the_resolution_of_training_is_left_alone(tmp_path):
    path = write(tmp_path / "in.tif", scene((40, 40), 1), metres=10.02)
    side = Side(Stretch((0.0,), (255.0,)), "uint8", resolution=10.0)
    translate = Translator(nn.Identity(), side, side, device="cpu")
    same = translate(path, tmp_path / "out.tif", resample=True)
    assert (pixels_of(same) == pixels_of(path)).all()


def test_what_can_not_be_resampled_is_told(tmp_path):
    path = write(tmp_path / "in.tif", scene((40, 40), 1))
    with pytest.raises(TranslationError, match="does not say at which resolution"):
        mixing(1, 1)(path, tmp_path / "out.tif", resample=True)
    with geotiff(tmp_path / "bare.tif", Grid((8, 8), Affine.scale(1, -1)), count=1,
                 dtype="uint8") as writer:  # fmt: skip
        writer.write(np.ones((1, 8, 8), "uint8"))
    side = Side(Stretch((0.0,), (255.0,)), "uint8", resolution=10.0)
    translate = Translator(nn.Identity(), side, side, device="cpu")
    with pytest.raises(TranslationError, match=r"bare\.tif has no CRS"):
        translate(tmp_path / "bare.tif", tmp_path / "out.tif", resample=True)


# ---- storage -------------------------------------------------------------------------------------


@pytest.mark.parametrize("compress", ["deflate", "lzw", "zstd", "packbits", "none"])
def test_compression_is_as_asked_and_changes_no_pixel(tmp_path, compress):
    path = write(tmp_path / "in.tif", scene((60, 70)))
    translate = mixing(3, 3)
    out = translate(path, tmp_path / "out.tif", compress=compress, overviews="2,4")
    with rasterio.open(out) as made:
        found = made.compression.name.lower() if made.compression else "none"
        assert found == compress
        assert made.overviews(1) == [2, 4]
        assert made.is_tiled
    plain = translate(path, tmp_path / "plain.tif")
    assert (pixels_of(out) == pixels_of(plain)).all()


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
def test_a_cloud_optimised_output_is_valid_with_overviews(tmp_path, dtype):
    path = write(tmp_path / "in.tif", scene((700, 600), 1))
    out = mixing(1, 1, to=dtype)(path, tmp_path / "out.tif", cog=True, compress="zstd")
    valid, errors, warnings = cog_validate(out, strict=True)
    assert valid, (errors, warnings)
    with rasterio.open(out) as made:
        assert made.overviews(1) == [2]
        assert made.compression.name == "zstd"


# ---- real files ----------------------------------------------------------------------------------

FILES = sorted(p.relative_to(REAL).as_posix() for p in REAL.rglob("*.tif"))


@pytest.mark.data
@pytest.mark.parametrize("name", [name for name in FILES if "gcps" not in name])
def test_real_rasters_keep_mask_and_grid(tmp_path, name):
    path = REAL / name
    with RasterReader(path) as reader:
        grid, pixels = reader.grid, reader.read(reader.grid.window)
        count, dtype = reader.count, reader.dtype
    mask = np.ma.getmaskarray(pixels).any(axis=0)
    stretch = Stretch((-1.0,) * count, (float(max(pixels.max() or 1, 1)),) * count)
    target = Side(Stretch((0.0,) * 2, (255.0,) * 2), "uint8")
    translate = Translator(Mixing(count, 2), Side(stretch, dtype), target, device="cpu")
    out = translate(path, tmp_path / "out.tif", cog=True, tile_size=128)
    assert (mask_of(out) == mask).all()
    assert cog_validate(out)[0]
    with RasterReader(out) as made:
        assert made.grid.matches(grid)
    plain = translate(path, tmp_path / "plain.tif", nodata=0, tile_size=96)
    assert (mask_of(plain) == mask).all()
