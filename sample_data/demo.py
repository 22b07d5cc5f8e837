"""The whole job in one go, on a world of our own: ``make demo``.

Two places are drawn. Chips are cut from one, a model is trained on them for a few minutes, and the
satellite picture of the other place, which the model has never seen, is translated to a map.
"""

from __future__ import annotations

import argparse
import logging
import time
from pathlib import Path

import numpy as np

from rs_gen import tools
from rs_gen.cli.screen import TextScreen
from rs_gen.raster.reader import RasterReader
from sample_data.make import write_scene

TRAINING_ORIGIN = (500_000.0, 5_300_000.0)  # metres, UTM 33 N
TEST_ORIGIN = (512_000.0, 5_300_000.0)  # 12 km east: another place of the same world


def main() -> None:
    """Draw, cut, train, translate, show."""
    options = _options()
    out, started = Path(options.out), time.monotonic()
    with TextScreen("demo") as screen:
        logging.getLogger("rs_gen.chips").setLevel(logging.WARNING)
        progress = screen.progress
        seen = scene(out / "training", options.training_size, TRAINING_ORIGIN, progress)
        unseen = scene(out / "test", options.size, TEST_ORIGIN, progress)
        chips = tools.export_chips(
            seen["satellite"], seen["map"], out / "chips", progress=progress, overwrite=True
        )
        model = tools.train(
            chips, out / "satellite_to_map", preset="fast",
            max_minutes=options.minutes, progress=progress,
        )  # fmt: skip
        result = tools.translate(
            unseen["satellite"], model, out / "test" / "translated.tif",
            overwrite=True, progress=progress,
        )  # fmt: skip
        scores = tools.evaluate(result, unseen["map"], progress=progress)
        picture = compare(unseen["satellite"], result, unseen["map"], out / "comparison.png")
    minutes = (time.monotonic() - started) / 60
    print(f"\nDone in {minutes:.1f} minutes. On a place the model has never seen:")
    for name in ("PSNR", "SSIM", "within 10 of 256 levels"):
        held = scores[name]
        print(f"  {name}: {held['value']:.3g}  (n = {held['n']} {held['unit']})")
    print(f"\nGeoTIFF, opens in any GIS:         {result}")
    print(f"Source | translated | true map:    {picture}")


def scene(folder: Path, size: int, origin: tuple[float, float], progress) -> dict[str, Path]:
    """A drawn place as rasters; one that is there already is kept."""
    paths = {look: folder / f"{look}.tif" for look in ("satellite", "map")}
    if not all(path.exists() and _side(path) == size for path in paths.values()):
        write_scene(
            folder, (size, size), seed=7, looks=tuple(paths), resolution=1.5, origin=origin,
            bands=3, progress=progress,
        )  # fmt: skip
    return paths


def compare(source: Path, result: Path, truth: Path, out: Path, side: int = 640) -> Path:
    """A PNG of the whole place and of two details, each as source, result and truth."""
    from matplotlib.figure import Figure

    with RasterReader(source) as a, RasterReader(result) as b, RasterReader(truth) as c:
        height, width = a.grid.shape
        crop = min(height, width) // 6
        windows = [
            (0, 0, height, width),
            (height // 3, width // 4, crop, crop),
            (height // 2, width * 5 // 8, crop, crop),
        ]
        figure = Figure(figsize=(12, 12.4), layout="constrained", dpi=side / 4)
        axes = figure.subplots(3, 3)
        for row, window in zip(axes, windows, strict=True):
            for axis, reader in zip(row, (a, b, c), strict=True):
                axis.imshow(_look(reader, window, side), interpolation="nearest")
                axis.set_xticks([])
                axis.set_yticks([])
    for axis, title in zip(axes[0], ("Satellite (source)", "Translated", "True map"), strict=True):
        axis.set_title(title, fontsize=15)
    ground = a.grid.ground_resolution / 1000
    for axis, (_, _, rows, _) in zip(axes[:, 0], windows, strict=True):
        axis.set_ylabel(f"{rows * ground:.1f} km", fontsize=13)
    figure.savefig(out)
    return out


def _look(reader: RasterReader, window: tuple[int, int, int, int], side: int) -> np.ndarray:
    """(H, W, 3) uint8 of a window, thinned to about ``side`` px, stretched if not 8 bit."""
    from rasterio.windows import Window

    row, col, rows, cols = window
    step = max(1, rows // side)
    rows, cols = rows // step * step, cols // step * step
    lines = [
        reader.read(Window(col, r, cols, step))[:3].reshape(3, step, cols // step, step)
        for r in range(row, row + rows - step + 1, step)
    ]
    pixels = np.stack([line.mean(axis=(1, 3)) for line in lines], axis=1).filled(0)
    if reader.dtype != "uint8":
        low, high = np.percentile(pixels, (1, 99.5))
        pixels = np.clip((pixels - low) / (high - low), 0, 1) ** 0.7 * 255
    return np.moveaxis(pixels, 0, -1).round().astype("uint8")


def _side(path: Path) -> int:
    with RasterReader(path) as reader:
        return reader.grid.shape[0]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default="demo", help="folder for everything that is made")
    parser.add_argument("--size", type=int, default=4096, help="side of the unseen place, px")
    parser.add_argument("--training-size", type=int, default=4096, help="side of the seen one, px")
    parser.add_argument("--minutes", type=float, default=4.0, help="training time")
    return parser.parse_args()


if __name__ == "__main__":
    main()
