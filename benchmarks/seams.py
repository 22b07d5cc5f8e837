"""What tiles do to a picture: the usual ways to hide them, and statistics that need no hiding.

    python -m benchmarks.seams --minutes 3

A small CycleGAN (``--game Pix2Pix``: a generator with instance norms that learns from pairs) is
trained on a place of the sample world and applied to another, a city beside water, in tiles:
cropped as they come, overlapped and faded (Hann, cosine), with a halo but divided by their own
statistics, and by this project's ways. Each is compared with the network run on the whole image.
Then the kinds of statistics are scored against the truth, on the sample world and on
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
from rs_gen import CycleGAN, Pix2Pix, export_chips, prepare_data
from rs_gen.errors import RSGenWarning
from rs_gen.metrics.image import psnr, ssim
from rs_gen.metrics.image import score as score_of
from rs_gen.metrics.seams import seam_ratio
from rs_gen.models.base import Model
from rs_gen.networks.norm import unfreeze
from rs_gen.raster.files import whole_or_not
from rs_gen.raster.tiles import inside, walk
from rs_gen.translate.canvas import round_up
from rs_gen.translate.translator import Translator
from sample_data.make import ORIGIN, write_scene
from sample_data.world import World

SEED, METRES, CHIP = 7, 1.0, 128
TEST = (ORIGIN[0] + 12_000, ORIGIN[1])  # the training place lies within 9 km of ORIGIN
WATER, BUILT = (1,), (5, 6, 7)
TILE, OVERLAP = 256, 64
KINDS = ("sampled", "regional", "exact")
NETWORK = {"width": 16, "blocks": 3, "d_width": 16, "lambda_identity": 0.0}
TRAINING = {"lr": 5e-4, "betas": (0.5, 0.99), "schedule": "warmup_flat_linear"}
WINDOW = 128  # px of the windows that are scored


def main() -> None:
    options = _options()
    torch.set_num_threads(options.threads)
    warnings.simplefilter("ignore", RSGenWarning)
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "world training": lambda: train(
            options, "world", world_chips(options.out), options.minutes
        ),
        "world": lambda: compare(options, "world", mixed_scene(options.out)),
    }
    if options.model is not None:
        del parts["world training"]
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
    """Chips of a place of 1.5 x 1.5 km, with water and a city as well."""
    if (out / "chips" / "chips.json").exists():
        return out / "chips"
    seen = scene(out / "training", 1536, mixed_place(ORIGIN, 1536))
    return export_chips(*seen, out / "chips", CHIP, overwrite=True).folder


def mixed_scene(out: Path, size: int = 1024) -> tuple[Path, Path]:
    """A place that the model has not seen, about half of it water beside a city."""
    return scene(out / "mixed", size, mixed_place(TEST, size))


def mixed_place(corner: tuple[float, float], size: int) -> tuple[float, float]:
    """Upper left corner of the square, within 9 km of a corner, with most water and most city."""
    side, step = size * METRES, 192.0
    left, top = corner
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
    return left + col * 12, top - row * 12


def scene(folder: Path, size: int, origin: tuple[float, float]) -> tuple[Path, Path]:
    """Satellite and map of a place; those that are there are kept."""
    paths = folder / "satellite.tif", folder / "map.tif"
    if not all(path.exists() for path in paths):
        write_scene(
            folder, (size, size), SEED, ("satellite", "map"), resolution=METRES, origin=origin,
            vectors=False,
        )  # fmt: skip
    return paths


def sar_chips(options: argparse.Namespace) -> Path:
    """Chips of the Sentinel scenes, without those kept back and the ground around them."""
    from benchmarks.sar_to_rgb import cut

    folder = options.out / "scenes"
    if (folder / "chips" / "chips.json").exists():
        return folder / "chips"
    folder.mkdir(parents=True, exist_ok=True)
    return cut(options.imagery, folder)


def sar_mosaic(options: argparse.Namespace) -> tuple[Path, Path]:
    """The scenes kept back, put together: Sentinel-1 and Sentinel-2."""
    from benchmarks.sar_to_rgb import KEPT_BACK, merged

    return tuple(
        merged([options.imagery / side / f"{name}.tif" for name in KEPT_BACK],
               options.out / f"{side}.tif")
        for side in ("sar", "opt")
    )  # fmt: skip


def train(options: argparse.Namespace, name: str, chips: Path, minutes: float) -> dict[str, Any]:
    """A small model, saved as ``NAME_model``."""
    pairs = options.game == "Pix2Pix"
    data = prepare_data(
        chips, options.game, chip_size=CHIP, batch_size=4 if pairs else 1, seed=options.seed,
        working_dir=options.out, **({"bands": [0]} if name == "sar" else {}),
    )  # fmt: skip
    if pairs:
        settings = {**NETWORK, "generator": "resnet", "norm": "instance", "colour_balance": 0.5}
        del settings["lambda_identity"]
        model: Model = Pix2Pix(data, **settings, **TRAINING)
    else:
        model = CycleGAN(data, preset="small", **NETWORK, **TRAINING)
    watch = Stopwatch()
    model.fit(
        max_minutes=minutes * CORES, budget="cpu", preview=False, checkpoint=False,
        valid_every=10**6, folder=options.out / f"{name}_training",
    )  # fmt: skip
    model.save(options.out / f"{name}_model", compute_metrics=False, overwrite=True)
    return {**watch.seconds(), "steps": model.history[-1]["step"], "chips": len(data.train_ds)}


# ---- ways to tile ----------------------------------------------------------------------------


class Ways:
    """One raster through one network in many ways; all answers in levels, (C, H, W) float32."""

    def __init__(self, options: argparse.Namespace, name: str, raster: Path):
        self.apply = Translator.of(model_of(options, name), device="cpu")
        self.raster, self.folder = raster, options.out / f"{name}_made"
        self.folder.mkdir(parents=True, exist_ok=True)
        with rasterio.open(raster) as dataset:
            bands = list(range(1, self.apply.source.count + 1))
            self.stored = np.ma.array(dataset.read(bands, masked=True))
        self.pixels = self.apply.source.stretch.encode(self.stored)
        self.shape = self.pixels.shape[1:]

    def made(self, way: str) -> tuple[np.ndarray, float]:
        """What a way gives, and the CPU seconds that it took; made once and kept."""
        path = self.folder / f"{way.replace(' ', '_').replace('%', '')}.npz"
        if not path.exists():
            began = time.process_time()
            image = self._ways()[way]()
            seconds = time.process_time() - began
            with whole_or_not(path) as part:
                np.savez(part, image=image, seconds=seconds)
        held = np.load(path)
        return held["image"], float(held["seconds"])

    def _ways(self) -> dict[str, Callable[[], np.ndarray]]:
        reach = self.apply.reach
        halo = round_up(max(reach.left, reach.right), reach.phase)
        fitted = {
            f"whole by {kind} statistics": lambda kind=kind: self.whole(
                self.apply.statistics_of(self.raster, kind)
            )
            for kind in KINDS
        }
        return {
            "whole": self.whole,
            "naive crop": self.crops,
            "50 % Hann overlap": lambda: self.faded(TILE, TILE // 2),
            "cosine overlap of 64 px": lambda: self.faded(TILE, OVERLAP),
            **{f"per tile of {n} px": lambda n=n: self.crops(n, halo) for n in (CHIP, TILE)},
            **{kind: lambda kind=kind: self.ours(kind) for kind in ("model", *KINDS)},
            **fitted,
        }

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


def model_of(options: argparse.Namespace, name: str) -> Path:
    """The model given, for the sample world; else the one trained here."""
    if name == "world" and options.model is not None:
        return options.model
    return options.out / f"{name}_model"


def compare(options: argparse.Namespace, name: str, pair: tuple[Path, Path]) -> dict[str, Any]:
    """Seams, errors and costs of every way, and the scores of the kinds of statistics."""
    ways = Ways(options, name, pair[0])
    steps = {
        "naive crop": TILE, "50 % Hann overlap": TILE // 2,
        "cosine overlap of 64 px": TILE - OVERLAP, f"per tile of {TILE} px": TILE,
        **dict.fromkeys(KINDS, TILE),
    }  # fmt: skip
    whole, base = ways.made("whole")
    report: dict[str, Any] = {
        "pixels": list(ways.shape), "whole image, CPU s": round(base, 2),
        "seam ratio of the whole image": seams_of(whole, TILE),
    }  # fmt: skip
    pictures = {"whole image": whole}
    for method, step in steps.items():
        pictures[method], spent = ways.made(method)
        error = np.abs(pictures[method] - whole)
        report[method] = {
            "seam ratio": seams_of(pictures[method], step),
            "max error to the whole image, levels": float(error.max()),
            "mean error": float(error.mean()), "cost, x whole image": round(spent / base, 2),
        }  # fmt: skip
        if method in ("sampled", "regional"):
            same, _ = ways.made(f"whole by {method} statistics")
            report[method]["max error to the whole image by the same statistics"] = float(
                np.abs(pictures[method] - same).max()
            )
    picture(ways, pictures, pair[1], options.out / "seams.jpg")
    return {**report, **quality(options, name, pair)}


def seams_of(image: np.ndarray, step: int) -> list[dict[str, Any]]:
    """The seam ratio of each band."""
    return [band._asdict() for band in seam_ratio(image, step).bands]


def quality(options: argparse.Namespace, name: str, pair: tuple[Path, Path]) -> dict[str, Any]:
    """PSNR and SSIM against the truth, over windows, for each kind of statistics."""
    ways = Ways(options, name, pair[0])
    with rasterio.open(pair[1]) as dataset:
        truth = torch.from_numpy(_windows(dataset.read().astype("float32")))
    kinds = (f"per tile of {CHIP} px", f"per tile of {TILE} px", "model", *KINDS)
    values = {}
    for kind in kinds:
        fake = torch.from_numpy(_windows(np.rint(np.clip(ways.made(kind)[0], 0, 255))))
        values[kind] = {m.__name__: m(fake, truth, data_range=(0, 255)) for m in (psnr, ssim)}
    report = {
        kind: {
            **{m: score_of(found, "windows")._asdict() for m, found in values[kind].items()},
            **{f"{m} above sampled":
               score_of(found - values["sampled"][m], "the same windows")._asdict()
               for m, found in values[kind].items()},
        }
        for kind in kinds
    }  # fmt: skip
    return {"quality": report, "scored on": list(ways.shape)}


def _windows(image: np.ndarray) -> np.ndarray:
    """(N, C, WINDOW, WINDOW) side by side."""
    c, height, width = image.shape
    rows, cols = height // WINDOW, width // WINDOW
    cut = image[:, : rows * WINDOW, : cols * WINDOW].reshape(c, rows, WINDOW, cols, WINDOW)
    return cut.transpose(1, 3, 0, 2, 4).reshape(-1, c, WINDOW, WINDOW).astype("float32")


def picture(ways: Ways, made: dict[str, np.ndarray], truth: Path, out: Path) -> None:
    """All ways side by side around corners of tiles, and how far each is from the whole image."""
    from matplotlib.figure import Figure

    side = 2 * TILE
    rows, cols = (slice(n // 2 - side // 2, n // 2 + side // 2) for n in ways.shape)
    with rasterio.open(truth) as dataset:
        shown = {"satellite": (ways.pixels + 1) * 127.5, "true map": dataset.read(), **made}
    figure = Figure(figsize=(20, 12.6), layout="constrained")
    axes = figure.subplots(3, 5).ravel()
    for axis in axes:
        axis.set_axis_off()
    told = ("naive crop", f"per tile of {TILE} px", *KINDS)
    errors = {f"{n}: error": np.abs(made[n] - made["whole image"]).mean(0) for n in told}
    for axis, (name, image) in zip(axes, {**shown, **errors}.items(), strict=True):
        if image.ndim == 2:
            axis.imshow(image[rows, cols], vmin=0, vmax=40, cmap="magma")
        else:
            axis.imshow(np.clip(image[:3, rows, cols], 0, 255).astype("uint8").transpose(1, 2, 0))
        axis.set_title(name)
    figure.savefig(out, dpi=60, pil_kwargs={"quality": 80})


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/seams"))
    parser.add_argument("--imagery", type=Path, default=IMAGERY / "sar_optical_geotiff")
    parser.add_argument(
        "--model", type=Path, default=None,
        help="a saved satellite to map model of this world, such as benchmarks.trust trains",
    )  # fmt: skip
    parser.add_argument("--minutes", type=float, default=3, help="on two cores, of each training")
    parser.add_argument("--game", choices=("CycleGAN", "Pix2Pix"), default="CycleGAN")
    parser.add_argument("--threads", type=int, default=CORES)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--only", default="", help="world training, world, sar training or sar")
    return parser.parse_args()


if __name__ == "__main__":
    main()
