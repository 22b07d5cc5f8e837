"""Translating a raster: ours against the usual loop and against the network alone, in one run.

    python -m benchmarks.translate --only resnet-9

The usual loop reads a tile, runs it in float32 at batch 1, blends tiles that overlap by half under
a Hann window and writes a GeoTIFF. The network alone runs on a tensor that lies in memory: the
network as it was trained, under bfloat16 autocast and channels_last where that is faster, on a
tile with its halo. All use the same weights and the same frozen statistics and take turns, so
that other work on the machine meets all of them. With --clock cpu seconds are those of this
process on the CPU over its threads, which other work hardly changes. Figures: written megapixels a
second, ratios with their spread over the turns, how far each result lies from the whole image in
float32, and our time against the size of the raster, with the exponent of a line through its
logarithms (1 is linear).
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch
from rasterio.windows import Window
from torch import nn

from benchmarks.common import machine
from benchmarks.translate_memory import draw
from rs_gen.networks.device import autocast_dtype
from rs_gen.networks.efficient import efficient_unet
from rs_gen.networks.norm import freeze, norm_layers, unfreeze
from rs_gen.networks.resnet import resnet_generator
from rs_gen.networks.unet import unet_generator
from rs_gen.raster.values import Stretch
from rs_gen.translate.engine import Engine
from rs_gen.translate.translator import Translator

NETS: dict[str, Callable[[], nn.Module]] = {
    "resnet-9": lambda: resnet_generator(3, 3, 64, blocks=9),
    "small": lambda: resnet_generator(3, 3, 16, blocks=3),
    "efficient": lambda: efficient_unet(3, 3, pretrained=False),
    "unet-256": lambda: unet_generator(3, 3, 64, depth=8),
}
CPU = torch.device("cpu")


def main() -> None:
    options = arguments()
    torch.set_num_threads(options.threads)
    report: dict[str, Any] = {"machine": machine(), "options": vars(options), "rows": []}
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for name in options.only or NETS:
            row = {"network": name, **Bench(name, Path(folder), options).run()}
            report["rows"].append(row)
            print(json.dumps(row, indent=1), flush=True)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(report, indent=1, default=str) + "\n", encoding="utf-8")
    print(options.out)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", choices=list(NETS), help="networks; all if left out")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--side", type=int, default=1536, help="of the raster, in px")
    parser.add_argument("--loop-tile", type=int, default=256, help="of the usual loop, in px")
    parser.add_argument("--tile-size", default="auto", help="of ours, in px")
    parser.add_argument("--tiles", type=int, nargs="*", default=[], help="also time these sizes")
    parser.add_argument("--curve", type=int, nargs="*", default=[], help="sides of the cost curve")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall")
    parser.add_argument("--folder", type=Path, help="for the rasters; a temporary one if left out")
    parser.add_argument("--out", type=Path, default=Path("runs/translate.json"))
    return parser.parse_args()


class Bench:
    """One network, its rasters and all ways of translating them."""

    def __init__(self, name: str, folder: Path, options: argparse.Namespace):
        torch.manual_seed(0)
        net = lively(NETS[name]())
        stretch = Stretch((0.0,) * 3, (255.0,) * 3)
        translator = Translator(net, stretch, stretch, device=CPU, dtype="uint8")
        self.folder, self.options = folder, options
        self.source = self.raster(options.side)
        self.statistics = translator.statistics_of(self.source) or {}
        self.translator = replace(translator, norms=self.statistics)
        self.net = self.translator.generator
        self.inside: list[float] = []
        self.clock = time.perf_counter if options.clock == "wall" else cpu_clock

    def run(self) -> dict[str, Any]:
        """Turns of all three, the sizes of tiles and the cost curve."""
        with self.translator.flow(self.source, tile_size=self.options.tile_size,
                                  batch_size=1) as flow:  # fmt: skip
            plan, read = flow.plan, sum(tile.read.width * tile.read.height for tile in flow.tiles())
        ways = {
            "ours in float32": lambda: self.ours(self.source, plan.core, precise=True),
            "ours": lambda: self.ours(self.source, plan.core),
            "usual loop": self.usual_loop,
            "network alone": lambda: self.alone(plan.core + 2 * plan.halo),
        }
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        shares = []
        for _ in range(self.options.turns):
            for name, way in ways.items():
                self.inside.clear()
                seconds[name].append(self.timed(way))
                if name == "ours":
                    shares.append(1 - sum(self.inside) / seconds[name][-1])
        written, tile = self.options.side**2 / 1e6, (plan.core + 2 * plan.halo) ** 2 / 1e6
        pairs = list(zip(*seconds.values(), strict=True))
        return {
            "tile": plan.core, "halo": plan.halo, "turns": self.options.turns,
            "written Mpx/s": spread([written / s for s in seconds["ours"]]),
            "usual loop, written Mpx/s": spread([written / s for s in seconds["usual loop"]]),
            "over the usual loop": spread([loop / ours for _, ours, loop, _ in pairs]),
            "over the usual loop, both in float32": spread(
                [loop / precise for precise, _, loop, _ in pairs]
            ),
            "read Mpx/s": spread([read / 1e6 / s for s in seconds["ours"]]),
            "network alone, Mpx/s": spread([tile / s for s in seconds["network alone"]]),
            "over the network alone": spread(
                [read / 1e6 / ours / (tile / alone) for _, ours, _, alone in pairs]
            ),
            "share outside the network": spread(shares),
            **self.errors(),
            "tiles, written Mpx/s": self.sizes(written),
            **self.curve(),
        }  # fmt: skip

    def timed(self, work: Callable[[], object]) -> float:
        """Seconds by the clock chosen."""
        start = self.clock()
        work()
        return self.clock() - start

    def raster(self, side: int) -> Path:
        """A drawn raster of this side."""
        path = self.folder / f"{side}.tif"
        if not path.exists():
            draw(path, side)
        return path

    def ours(self, source: Path, tile_size: int | str, precise: bool = False) -> Path:
        """A call of the Translator, and the seconds of each of its batches."""
        cores, inside = Engine.cores, self.inside

        def clocked(*args: Any) -> np.ndarray:
            start = self.clock()
            made = cores(*args)
            inside.append(self.clock() - start)
            return made

        Engine.cores = clocked  # type: ignore[method-assign]
        try:
            return self.translator(
                source, self.folder / "ours.tif", tile_size=tile_size, batch_size=1,
                statistics="model", mixed_precision=False if precise else "auto",
            )  # fmt: skip
        finally:
            Engine.cores = cores  # type: ignore[method-assign]

    @torch.inference_mode()
    def usual_loop(self) -> Path:
        """Tiles that overlap by half, float32, one at a time, blended and written."""
        out, side = self.folder / "loop.tif", self.options.loop_tile
        hann = np.hanning(side + 2)[1:-1].astype("float32")
        window = np.outer(hann, hann)
        with rasterio.open(self.source) as source, self._frozen():
            height, width = source.shape
            total = np.zeros((3, height, width), "float32")
            weight = np.zeros((height, width), "float32")
            for top in steps(height, side):
                for left in steps(width, side):
                    stored = source.read(window=Window(left, top, side, side))
                    images = torch.from_numpy(stored.astype("float32") / 127.5 - 1)[None]
                    fake = self.net(images)[0].numpy()
                    total[:, top : top + side, left : left + side] += fake * window
                    weight[top : top + side, left : left + side] += window
            pixels = ((total / weight + 1) * 127.5).round().clip(0, 255).astype("uint8")
            with rasterio.open(out, "w", **{**source.profile, "compress": "deflate"}) as target:
                target.write(pixels)
        return out

    @torch.inference_mode()
    def alone(self, side: int) -> None:
        """The network as it was trained on one tile with its halo, in memory."""
        images = torch.rand(1, 3, side, side) * 2 - 1
        images = images.contiguous(memory_format=torch.channels_last)
        dtype = autocast_dtype(CPU)
        with self._frozen(), torch.autocast("cpu", dtype, enabled=dtype is not None):
            self.net(images)

    def errors(self, side: int = 512) -> dict[str, float]:
        """Mean distance from the whole image in float32, in levels of 255, in the upper left."""
        with rasterio.open(self.source) as source:
            part = source.read(window=Window(0, 0, *[min(side * 2, self.options.side)] * 2))
        whole = self.translator.translate_whole(part, statistics=self.statistics)
        inner = slice(0, min(side, self.options.side))
        half = self.translator.translate_whole(
            part, statistics=self.statistics, mixed_precision="auto"
        )
        made = {"the network in bfloat16": half}
        for name in ("ours", "loop"):
            with rasterio.open(self.folder / f"{name}.tif") as dataset:
                made[name] = dataset.read()
        found = {}
        for name, pixels in made.items():
            near = pixels[:, inner, inner].astype(int) - whole[:, inner, inner]
            found[f"{name}: mean error, levels"] = round(float(np.abs(near).mean()), 3)
            found[f"{name}: within 1 level"] = round(float((np.abs(near) <= 1).mean()), 4)
        return found

    def sizes(self, written: float) -> dict[int, float]:
        """Megapixels a second with tiles of other sizes, one turn each."""
        return {
            size: round(written / self.timed(lambda size=size: self.ours(self.source, size)), 3)
            for size in self.options.tiles
        }

    def curve(self) -> dict[str, Any]:
        """Seconds against the side of the raster, tiles chosen anew for each."""
        sides = self.options.curve
        rasters = [self.raster(side) for side in sides]
        took = [self.timed(lambda r=r: self.ours(r, self.options.tile_size)) for r in rasters]
        found = {
            "curve, written Mpx/s": {
                side: round(side**2 / 1e6 / s, 3) for side, s in zip(sides, took, strict=True)
            }
        }
        if len(sides) > 1:
            exponent = np.polyfit(np.log(np.square(sides)), np.log(took), 1)[0]
            found["curve, exponent"] = round(float(exponent), 3)
        return found

    def _frozen(self) -> Any:
        return Frozen(self.net, self.statistics)


class Frozen:
    """Statistics frozen within a block."""

    def __init__(self, net: nn.Module, held: Any):
        self.net, self.held = net, held

    def __enter__(self) -> None:
        if norm_layers(self.net):
            freeze(self.net, self.held)

    def __exit__(self, *_: Any) -> None:
        unfreeze(self.net)


def lively(net: nn.Module) -> nn.Module:
    """Weights that make the output vary, and batch norms that have met data."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(module.weight)
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    with torch.no_grad():
        net.train()(torch.rand(2, 3, 256, 256) * 2 - 1)
    return net.eval()


def steps(length: int, side: int) -> list[int]:
    """Where tiles that overlap by half begin; the last one ends at the edge."""
    starts = list(range(0, length - side, side // 2))
    return [*starts, length - side]


def cpu_clock() -> float:
    """CPU seconds of this process over its threads."""
    return time.process_time() / torch.get_num_threads()


def spread(values: list[float]) -> dict[str, float]:
    """Median, least and most."""
    numbers = statistics.median(values), min(values), max(values)
    return dict(zip(("median", "least", "most"), (round(n, 3) for n in numbers), strict=True))


if __name__ == "__main__":
    main()
