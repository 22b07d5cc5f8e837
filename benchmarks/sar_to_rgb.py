"""SAR to RGB on georeferenced Sentinel-1 and Sentinel-2 pairs, split by place; and a mosaic.

    python -m benchmarks.sar_to_rgb --minutes 10

Two neighbouring scenes in the east are kept back for scoring, with a strip of ground around them.
Chips are cut from the others, Pix2Pix is trained on them, the kept-back scenes are scored, and the
whole Sentinel-1 mosaic, put together as a VRT, is translated into one GeoTIFF, which is checked
with rasterio and for seams.
"""

from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import geopandas
import numpy as np
import rasterio
import torch
from rasterio.windows import Window

from benchmarks.common import (
    CORES,
    IMAGERY,
    Stopwatch,
    distance,
    grid,
    machine,
    translated,
)
from rs_gen import Pix2Pix, export_chips, prepare_data
from rs_gen.errors import RSGenWarning
from rs_gen.metrics.image import ImageScores
from rs_gen.metrics.seams import seam_ratio
from rs_gen.raster.grid import Grid
from rs_gen.raster.reader import RasterReader

KEPT_BACK = ("076", "089")
APART = 1300.0  # m (EPSG:3395) of ground between training chips and the scenes kept back
SIZE = 256


def main() -> None:
    options = _options()
    torch.set_num_threads(CORES)
    warnings.simplefilter("ignore", RSGenWarning)
    out = options.out
    out.mkdir(parents=True, exist_ok=True)
    chips = cut(options.data, out)
    data = prepare_data(
        chips, "Pix2Pix", batch_size=4, seed=options.seed, bands=[0], working_dir=out
    )
    model = Pix2Pix(data, preset="fast")
    watch = Stopwatch()
    model.fit(
        max_minutes=options.minutes * CORES, budget="cpu", preview=False, checkpoint=False,
        valid_every=10**6, folder=out / "training",
    )  # fmt: skip
    report: dict[str, Any] = {"machine": machine(), "seed": options.seed, **watch.seconds(),
                              "steps": model.history[-1]["step"],
                              "training pairs": len(data.train_ds)}  # fmt: skip
    saved = model.save(out / "model", compute_metrics=False)
    sources, truths = kept_back(options.data, data)
    fakes = translated(model.game, sources)
    report["kept-back scenes"] = scores(fakes, truths)
    mean = truths.mean((0, 2, 3), keepdim=True).expand_as(truths)
    report["baseline: one mean colour"] = scores(mean, truths)
    shown = list(range(0, len(sources), max(1, len(sources) // 6)))[:6]
    grid({"Sentinel-1 VH": sources[shown], "ours": fakes[shown], "Sentinel-2": truths[shown]},
         out / "sar_to_rgb.png")  # fmt: skip
    mosaic = build_vrt(sorted((options.data / "sar").glob("*.tif")), out / "sar.vrt")
    result = Pix2Pix.from_model(saved).translate_raster(
        mosaic, out / "mosaic_rgb.tif", tile_size=512, overwrite=True
    )
    report["mosaic"] = check(mosaic, result)
    picture(mosaic, result, options.data / "opt", out / "mosaic.png")
    (out / "sar_to_rgb.json").write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report, indent=1))


def cut(data: Path, out: Path) -> Path:
    """Chips from all scenes but those kept back and the ground around them."""
    sources = sorted(p for p in (data / "sar").glob("*.tif") if p.stem not in KEPT_BACK)
    targets = [data / "opt" / p.name for p in sources]
    everything = _footprints(sorted((data / "sar").glob("*.tif")))
    held = _footprints([data / "sar" / f"{name}.tif" for name in KEPT_BACK])
    area = everything.union_all().difference(held.union_all().buffer(APART))
    path = out / "training_area.gpkg"
    geopandas.GeoDataFrame(geometry=[area], crs=everything.crs).to_file(path)
    return export_chips(
        sources, targets, out / "chips", SIZE, SIZE // 2, area=path, valid_share=0.08
    ).folder


def _footprints(paths: list[Path]) -> geopandas.GeoSeries:
    grids = []
    for path in paths:
        with RasterReader(path) as reader:
            grids.append(reader.grid)
    return geopandas.GeoSeries([g.polygon for g in grids], crs=grids[0].crs)


def kept_back(data: Path, bunch: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Encoded windows of the scenes kept back, side by side."""
    pairs = []
    for name in KEPT_BACK:
        with (
            RasterReader(data / "sar" / f"{name}.tif", bands=[0]) as a,
            RasterReader(data / "opt" / f"{name}.tif") as b,
        ):
            for row in range(0, 1024, SIZE):
                for col in range(0, 1024, SIZE):
                    window = Window(col, row, SIZE, SIZE)
                    pairs.append((bunch.a.stretch.encode(a.read(window)),
                                  bunch.b.stretch.encode(b.read(window))))  # fmt: skip
    return tuple(torch.from_numpy(np.stack(side)) for side in zip(*pairs, strict=True))


def scores(fake: torch.Tensor, real: torch.Tensor) -> dict[str, Any]:
    """Pixel scores and a kernel distance, each with its n."""
    held = ImageScores()
    held.update(fake, real)
    found = {name: score._asdict() for name, score in held.compute().items()}
    return {**found, "kernel_distance": distance(fake, real)}


def build_vrt(paths: list[Path], out: Path) -> Path:
    """A virtual mosaic of rasters that lie on one lattice; empty where there is none."""
    opened = [rasterio.open(path) for path in paths]
    left, top = min(d.bounds.left for d in opened), max(d.bounds.top for d in opened)
    first = opened[0]
    step = first.transform.a
    width = round((max(d.bounds.right for d in opened) - left) / step)
    height = round((top - min(d.bounds.bottom for d in opened)) / step)
    root = ET.Element("VRTDataset", rasterXSize=str(width), rasterYSize=str(height))
    ET.SubElement(root, "SRS").text = first.crs.to_wkt()
    ET.SubElement(root, "GeoTransform").text = f"{left}, {step}, 0, {top}, 0, {-step}"
    band = ET.SubElement(root, "VRTRasterBand", dataType="Byte", band="1")
    ET.SubElement(band, "NoDataValue").text = "0"
    for dataset in opened:
        source = ET.SubElement(band, "ComplexSource")
        ET.SubElement(source, "SourceFilename").text = str(Path(dataset.name).resolve())
        ET.SubElement(source, "SourceBand").text = "1"
        sides = {"xSize": str(dataset.width), "ySize": str(dataset.height)}
        ET.SubElement(source, "SrcRect", xOff="0", yOff="0", **sides)
        at = {"xOff": str(round((dataset.bounds.left - left) / step)),
              "yOff": str(round((top - dataset.bounds.top) / step))}  # fmt: skip
        ET.SubElement(source, "DstRect", **at, **sides)
        dataset.close()
    ET.ElementTree(root).write(out)
    return out


def check(source: Path, result: Path, tile: int = 512) -> dict[str, Any]:
    """Place, size and holes as rasterio sees them, and the seam ratio of each band."""
    with rasterio.open(source) as a, rasterio.open(result) as b:
        holes = a.read_masks(1) == 0, b.dataset_mask() == 0
        pixels = np.ma.masked_array(b.read(), np.broadcast_to(holes[1], (b.count, *b.shape)))
        seams = seam_ratio(pixels, tile)
        same = Grid.of(a).matches(Grid.of(b))
        return {
            "size": f"{b.width} x {b.height} px, {b.count} bands, {b.dtypes[0]}",
            "crs": [str(a.crs), str(b.crs)],
            "same grid": bool(same and a.crs == b.crs),
            "holes, share": float(holes[0].mean()),
            "holes equal": bool((holes[0] == holes[1]).all()),
            "seam ratio": [score._asdict() for score in seams.bands],
            "seam ratio passes": seams.passes,
        }


def picture(source: Path, result: Path, optical: Path, out: Path, side: int = 1100) -> None:
    """The mosaic before and after, and what Sentinel-2 saw."""
    truth = merged(sorted(optical.glob("*.tif")), out.with_name("optical.tif"))
    images = {}
    for name, path in {"Sentinel-1 VH": source, "ours": result, "Sentinel-2": truth}.items():
        with rasterio.open(path) as d:
            shape = (min(3, d.count), side * d.height // d.width, side)
            pixels = d.read(list(range(1, shape[0] + 1)), out_shape=shape)
            images[name] = torch.from_numpy(pixels[None]).float() / 127.5 - 1
    from matplotlib.figure import Figure

    figure = Figure(figsize=(21, 6.6), layout="constrained")
    for axis, (name, image) in zip(figure.subplots(1, 3), images.items(), strict=True):
        shown = image[0].expand(3, -1, -1) if image.shape[1] == 1 else image[0]
        axis.imshow((shown.permute(1, 2, 0).numpy() + 1) / 2)
        axis.set_title(name)
        axis.set_axis_off()
    figure.savefig(out, dpi=80)


def merged(paths: list[Path], path: Path) -> Path:
    """A mosaic put together in memory: only a picture is made of it."""
    from rasterio.merge import merge

    pixels, transform = merge(paths)
    with rasterio.open(paths[0]) as first:
        profile = {**first.profile, "transform": transform, "height": pixels.shape[1],
                   "width": pixels.shape[2]}  # fmt: skip
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.write(pixels)
    return path


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=IMAGERY / "sar_optical_geotiff")
    parser.add_argument("--out", type=Path, default=Path("runs/sar_to_rgb"))
    parser.add_argument("--minutes", type=float, default=10, help="of training on two cores")
    parser.add_argument("--seed", type=int, default=42)
    return parser.parse_args()


if __name__ == "__main__":
    main()
