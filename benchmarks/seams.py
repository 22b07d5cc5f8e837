"""What tiles do to a picture: the usual ways to hide them, and statistics that need no hiding.

    python -m benchmarks.seams --minutes 3

A small CycleGAN is trained on a place of the sample world and applied to another, a city beside
water, in tiles: cropped as they come, overlapped and faded (Hann, cosine), with a halo but divided
by their own statistics, and by this project's ways. Each is compared with the network run on the
whole image. Then the kinds of statistics are scored against the truth, on the sample world and on
Sentinel-1 mosaics of scenes that were kept back by place (``--imagery``). What is done is kept;
``--only`` does a part of it.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch

from benchmarks.common import CORES, IMAGERY, Stopwatch, kept, machine
from rs_gen import CycleGAN, export_chips, prepare_data
from rs_gen.errors import RSGenWarning
from rs_gen.metrics.image import psnr, ssim
from rs_gen.metrics.image import score as score_of
from rs_gen.metrics.seams import seam_ratio
from rs_gen.networks.norm import unfreeze
from rs_gen.raster.tiles import inside, walk
from rs_gen.translate.translator import Translator
from sample_data.make import write_scene
from sample_data.world import World

SEED, METRES, CHIP = 7, 1.5, 128
TRAINING, TEST = (499712.0, 5302272.0), (511712.0, 5302272.0)
WATER, BUILT = (1,), (5, 6, 7)
TILE, OVERLAP = 256, 64
KINDS = ("sampled", "regional", "exact")
NETWORK = {"width": 16, "blocks": 4, "d_width": 16}
WINDOW = 128  # px of the windows that are scored


def main() -> None:
    options = _options()
    torch.set_num_threads(options.threads)
    warnings.simplefilter("ignore", RSGenWarning)
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "world training": lambda: train(
            options, "world", world_chips(options.out), options.minutes
        ),
        "world": lambda: compare(options, "world", mixed_scene(options.out), options.out),
    }
    if options.imagery.exists():
        parts["sar training"] = lambda: train(options, "sar", sar_chips(options), options.minutes)
        parts["sar"] = lambda: quality(options, "sar", sar_mosaic(options))
    report = {"machine": machine(), "threads": options.threads, "network": NETWORK}
    for name, part in parts.items():
        path = options.out / f"{name.replace(' ', '_')}.json"
        if options.only in ("", name):
            report[name] = kept(path, part)
        elif path.exists():
            report[name] = json.loads(path.read_text())
    (options.out / "seams.json").write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report, indent=1))


# ---- places and chips ------------------------------------------------------------------------


def world_chips(out: Path) -> Path:
    """Chips of a place of 3 x 3 km."""
    seen = scene(out / "training", 2048, TRAINING)
    return export_chips(*seen, out / "chips", CHIP, overwrite=True).folder


def mixed_scene(out: Path, size: int = 1024) -> tuple[Path, Path]:
    """A place that the model has not seen, about half of it water beside a city."""
    side, step = size * METRES, 192.0
    left, top = TEST
    classes = World(SEED).draw((left, top - 9216, left + 9216, top), ("classes",), resolution=12)
    found = classes["classes"][0]
    n, jump = int(side // 12), int(step // 12)

    def least(row: int, col: int) -> float:
        part = found[row : row + n, col : col + n]
        return min(np.isin(part, kinds).mean() for kinds in (WATER, BUILT))

    places = [
        (r, c) for r in range(0, len(found) - n, jump) for c in range(0, len(found) - n, jump)
    ]
    row, col = max(places, key=lambda place: least(*place))
    return scene(out / "mixed", size, (left + col * 12, top - row * 12))


def scene(folder: Path, size: int, origin: tuple[float, float]) -> tuple[Path, Path]:
    """Satellite and map of a place; those that are there are kept."""
    paths = folder / "satellite.tif", folder / "map.tif"
    if not all(path.exists() for path in paths):
        write_scene(
            folder, (size, size), SEED, ("satellite", "map"), resolution=METRES, origin=origin,
            bands=3, vectors=False,
        )  # fmt: skip
    return paths


def sar_chips(options: argparse.Namespace) -> Path:
    """Chips of the Sentinel scenes, without those kept back and the ground around them."""
    from benchmarks.sar_to_rgb import cut

    return cut(options.imagery, options.out)


def sar_mosaic(options: argparse.Namespace) -> tuple[Path, Path]:
    """The scenes kept back, put together: Sentinel-1 and Sentinel-2."""
    from benchmarks.sar_to_rgb import KEPT_BACK, merged

    return tuple(
        merged([options.imagery / side / f"{name}.tif" for name in KEPT_BACK],
               options.out / f"{side}.tif")
        for side in ("sar", "opt")
    )  # fmt: skip


def train(options: argparse.Namespace, name: str, chips: Path, minutes: float) -> dict[str, Any]:
    """A small CycleGAN, saved as ``NAME_model``."""
    data = prepare_data(
        chips, "CycleGAN", chip_size=CHIP, batch_size=1, seed=options.seed,
        working_dir=options.out, **({"bands": [0]} if name == "sar" else {}),
    )  # fmt: skip
    model = CycleGAN(data, preset="small", **NETWORK)
    watch = Stopwatch()
    model.fit(
        max_minutes=minutes, preview=False, checkpoint=False,
        valid_every=10**6, folder=options.out / f"{name}_training",
    )  # fmt: skip
    model.save(options.out / f"{name}_model", compute_metrics=False, overwrite=True)
    return {**watch.seconds(), "steps": model.history[-1]["step"], "chips": len(data.train_ds)}


# ---- ways to tile ----------------------------------------------------------------------------


class Ways:
    """One raster through one network in many ways; all answers in levels, (C, H, W) float32."""

    def __init__(self, model: Path, raster: Path, folder: Path):
        self.apply = Translator.of(model, device="cpu")
        self.raster, self.folder = raster, folder
        bands = list(range(self.apply.source.count))
        with rasterio.open(raster) as dataset:
            self.stored = np.ma.array(dataset.read([b + 1 for b in bands], masked=True))
        self.pixels = self.apply.source.stretch.encode(self.stored)
        self.shape = self.pixels.shape[1:]

    def whole(self, statistics: Any = None) -> np.ndarray:
        """The network on the whole image, by its own statistics unless others are given."""
        made = self.apply.translate_whole(self.stored, statistics=statistics, dtype="float32")
        return np.asarray(made)

    def ours(self, kind: str, tile: int = TILE) -> np.ndarray:
        """This project's translation, in float32 and not rounded."""
        out = self.apply(
            self.raster, self.folder / f"{kind}.tif", statistics=kind, tile_size=tile,
            mixed_precision=False, dtype="float32", nodata=None, stac=False,
        )  # fmt: skip
        with rasterio.open(out) as dataset:
            return dataset.read()

    @torch.inference_mode()
    def net(self, rows: slice, cols: slice) -> np.ndarray:
        """A window by itself: its own statistics, its own edges."""
        unfreeze(self.apply.generator)
        fake = self.apply.generator(torch.from_numpy(self.pixels[None, :, rows, cols]))[0].numpy()
        return self.apply.target.stretch.decode(fake, "float32")

    def crops(self, tile: int = TILE, halo: int = 0) -> np.ndarray:
        """Tiles side by side, each by its own statistics, read with a halo or without."""
        made = np.empty((self.apply.target.count, *self.shape), "float32")
        for one in walk(self.shape, tile, halo, phase=self.apply.reach.phase):
            made[:, *one.write.toslices()] = self.net(*one.read.toslices())[:, *inside(one)]
        return made

    def faded(self, tile: int, overlap: int) -> np.ndarray:
        """Tiles that overlap, weighted by half a cosine at each end: Hann for half a tile."""
        made = np.zeros((self.apply.target.count, *self.shape), "float64")
        total = np.zeros(self.shape)
        ramp = 0.5 - 0.5 * np.cos(np.pi * (np.arange(overlap) + 0.5) / overlap)
        line = np.ones(tile)
        line[:overlap] = ramp
        line[-overlap:] *= ramp[::-1]
        starts = [
            [min(at, n - tile) for at in range(0, max(n - overlap, 1), tile - overlap)]
            for n in self.shape
        ]
        for row in starts[0]:
            for col in starts[1]:
                rows, cols = slice(row, row + tile), slice(col, col + tile)
                weight = np.outer(line, line) + 1e-6
                made[:, rows, cols] += self.net(rows, cols) * weight
                total[rows, cols] += weight
        return (made / total).astype("float32")


def compare(
    options: argparse.Namespace, name: str, pair: tuple[Path, Path], out: Path
) -> dict[str, Any]:
    """Seams, errors and costs of every way, and the scores of the kinds of statistics."""
    ways = Ways(out / f"{name}_model", pair[0], out)
    halo = ways.apply.reach.left // 4 * 4 + 4
    methods: dict[str, tuple[int, Callable[[], np.ndarray]]] = {
        "naive crop": (TILE, ways.crops),
        "50 % Hann overlap": (TILE // 2, lambda: ways.faded(TILE, TILE // 2)),
        "cosine overlap of 64 px": (TILE - OVERLAP, lambda: ways.faded(TILE, OVERLAP)),
        "per tile, with halo": (TILE, lambda: ways.crops(TILE, halo)),
        **{f"ours, {kind}": (TILE, lambda kind=kind: ways.ours(kind)) for kind in KINDS},
    }
    began = time.process_time()
    whole = ways.whole()
    base = time.process_time() - began
    report: dict[str, Any] = {"pixels": list(ways.shape), "whole, CPU s": round(base, 2)}
    pictures = {"whole image": whole}
    for method, (step, run) in methods.items():
        began = time.process_time()
        pictures[method] = made = run()
        spent = time.process_time() - began
        seams = seam_ratio(made, step)
        error = np.abs(made - whole)
        held = {
            "seam ratio": [band._asdict() for band in seams.bands],
            "max error to the whole image, levels": float(error.max()),
            "mean error": float(error.mean()), "cost, x whole image": round(spent / base, 2),
        }  # fmt: skip
        if method in ("ours, sampled", "ours, regional"):
            found = ways.apply.statistics_of(ways.raster, method.split(", ")[1])
            same = np.abs(made - ways.whole(found)).max()
            held["max error to the whole image by the same statistics"] = float(same)
        report[method] = held
    seams = seam_ratio(whole, TILE)
    report["whole image"] = {"seam ratio": [band._asdict() for band in seams.bands]}
    picture(ways, pictures, pair[1], out / "seams.png")
    done = {kind: pictures[f"ours, {kind}"] for kind in KINDS}
    return {**report, **quality(options, name, pair, done)}


def quality(
    options: argparse.Namespace,
    name: str,
    pair: tuple[Path, Path],
    done: dict[str, np.ndarray] | None = None,
) -> dict[str, Any]:
    """PSNR and SSIM against the truth, over windows, for each kind of statistics."""
    ways = Ways(options.out / f"{name}_model", pair[0], options.out)
    halo = ways.apply.reach.left // 4 * 4 + 4
    with rasterio.open(pair[1]) as dataset:
        truth = dataset.read().astype("float32")
    runs: dict[str, Callable[[], np.ndarray]] = {
        f"per tile of {CHIP} px": lambda: ways.crops(CHIP, halo),
        f"per tile of {TILE} px": lambda: ways.crops(TILE, halo),
        **{kind: lambda kind=kind: ways.ours(kind) for kind in ("model", *KINDS)},
    }
    report: dict[str, Any] = {}
    for kind, run in runs.items():
        made = np.rint(np.clip(done[kind] if done and kind in done else run(), 0, 255))
        fake, real = (torch.from_numpy(_windows(image)) for image in (made, truth))
        report[kind] = {
            metric.__name__: score_of(metric(fake, real, data_range=(0, 255)), "windows")._asdict()
            for metric in (psnr, ssim)
        }
    return {"quality": report, "scored on": list(ways.shape)}


def _windows(image: np.ndarray) -> np.ndarray:
    """(N, C, WINDOW, WINDOW) side by side."""
    c, height, width = image.shape
    rows, cols = height // WINDOW, width // WINDOW
    cut = image[:, : rows * WINDOW, : cols * WINDOW].reshape(c, rows, WINDOW, cols, WINDOW)
    return cut.transpose(1, 3, 0, 2, 4).reshape(-1, c, WINDOW, WINDOW).astype("float32")


def picture(ways: Ways, made: dict[str, np.ndarray], truth: Path, out: Path) -> None:
    """All ways side by side, around a corner of tiles, and how far each is from the whole image."""
    from matplotlib.figure import Figure

    side = 2 * TILE
    rows, cols = (slice(n // 2 - side // 2, n // 2 + side // 2) for n in ways.shape)
    with rasterio.open(truth) as dataset:
        shown = {"satellite": (ways.pixels + 1) * 127.5, "true map": dataset.read(), **made}
    figure = Figure(figsize=(20, 12.6), layout="constrained")
    axes = figure.subplots(3, 5).ravel()
    for axis in axes:
        axis.set_axis_off()
    errors = {f"error: {n}": np.abs(image - made["whole image"]).mean(0)
              for n, image in made.items() if n != "whole image"}  # fmt: skip
    wanted = {**shown, **{n: errors[n] for n in list(errors)[:1] + list(errors)[3:7]}}
    for axis, (name, image) in zip(axes, wanted.items(), strict=False):
        if image.ndim == 2:
            axis.imshow(image[rows, cols], vmin=0, vmax=40, cmap="magma")
        else:
            axis.imshow(np.clip(image[:3, rows, cols], 0, 255).astype("uint8").transpose(1, 2, 0))
        axis.set_title(name)
    figure.savefig(out, dpi=70)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/seams"))
    parser.add_argument("--imagery", type=Path, default=IMAGERY / "sar_optical_geotiff")
    parser.add_argument("--minutes", type=float, default=3, help="of training, each")
    parser.add_argument("--threads", type=int, default=CORES)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--only", default="", help="world training, world, sar training or sar")
    return parser.parse_args()


if __name__ == "__main__":
    main()
