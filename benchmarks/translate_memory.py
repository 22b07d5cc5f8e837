"""Memory, speed and overlap of translating rasters of growing size.

    python -m benchmarks.translate_memory --sizes 5000 20000

Each raster (3 bands of uint8, deflate) is drawn to disk window by window and translated through a
small ResNet, each in a process of its own. Figures: the most memory that the process held and how
much of it came with the translation, pixels a second, and the share of the time that went by
outside the network. Memory must not grow with the raster. The network is small so that reading and
writing have little to hide behind; a published one hides them with ease.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

FIELDS = (
    "size", "wall_s", "mpx_per_s", "network_s", "outside_share", "before_mib", "peak_mib",
    "growth_mib",
)  # fmt: skip


def main() -> None:
    options = arguments()
    if options.child:
        print(json.dumps(measure(options)))
        return
    from benchmarks.common import machine

    report: dict[str, Any] = {"machine": machine(), "options": vars(options), "rows": []}
    print("  ".join(f"{name:>13}" for name in FIELDS))
    for size in options.sizes:
        row = in_a_process(size)
        report["rows"].append(row)
        print("  ".join(f"{row[name]:>13}" for name in FIELDS), flush=True)
    first, last = report["rows"][0], report["rows"][-1]
    report["peak_ratio"] = round(last["peak_mib"] / first["peak_mib"], 3)
    print(f"peak memory at {last['size']} px over that at {first['size']} px: "
          f"{report['peak_ratio']}")  # fmt: skip
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(report, indent=1, default=str) + "\n", encoding="utf-8")
    print(options.out)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[5000, 20000], help="sides in px")
    parser.add_argument("--width", type=int, default=8, help="of the ResNet generator")
    parser.add_argument("--blocks", type=int, default=2)
    parser.add_argument("--tile-size", default="1024")
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--max-memory", help="bound of the run, such as 1.5GB")
    parser.add_argument("--precision", choices=["auto", "float32", "bfloat16"], default="auto")
    parser.add_argument("--threads", type=int, help="of the network; torch's default if left out")
    parser.add_argument("--folder", type=Path, help="for the rasters; a temporary one if left out")
    parser.add_argument("--out", type=Path, default=Path("runs/translate_memory.json"))
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def in_a_process(size: int) -> dict[str, Any]:
    """One size, measured in a process that does nothing else; later options win."""
    command = [sys.executable, "-m", "benchmarks.translate_memory", *sys.argv[1:],
               "--child", "--sizes", str(size)]  # fmt: skip
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    row: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return row


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Draw one raster and translate it."""
    (size,) = options.sizes
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        raster = Path(folder) / "scene.tif"
        # Drawn elsewhere, so that the drawing's memory is not counted as the translation's.
        program = "import sys; from benchmarks.translate_memory import draw; draw(*sys.argv[1:])"
        subprocess.run([sys.executable, "-c", program, str(raster), str(size)], check=True)
        return translate(raster, Path(folder) / "out.tif", options)


def draw(path: str | Path, size: int | str, block: int = 1024) -> None:
    """A raster of soft hills with a little noise, a row of windows at a time."""
    import numpy as np
    from affine import Affine
    from rasterio.windows import Window

    from rs_gen.raster.cache import block_cache
    from rs_gen.raster.grid import Grid
    from rs_gen.raster.tiles import walk
    from rs_gen.raster.writer import geotiff

    grid = Grid((int(size), int(size)), Affine(10, 0, 500000, 0, -10, 5000000), "EPSG:32633")
    with block_cache(), geotiff(path, grid, count=3, dtype="uint8") as writer:
        for tile in walk(grid.shape, block):
            at: Window = tile.write
            rows = np.arange(at.row_off, at.row_off + at.height)[:, None]
            cols = np.arange(at.col_off, at.col_off + at.width)
            noise = np.random.default_rng((at.row_off, at.col_off))
            hills = np.stack([np.sin(rows / p) * np.cos(cols / (p + 9)) for p in (60, 90, 140)])
            grain = noise.integers(-6, 7, hills.shape)
            writer.write((hills * 110 + 127 + grain).clip(0, 255).astype("uint8"), at)


def translate(raster: Path, out: Path, options: argparse.Namespace) -> dict[str, Any]:
    """The figures of one translation."""
    import torch

    from rs_gen.networks.resnet import resnet_generator
    from rs_gen.raster.values import Stretch
    from rs_gen.translate.translator import Translator

    if options.threads:
        torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    stretch = Stretch((0,) * 3, (255,) * 3)
    net = resnet_generator(3, 3, options.width, blocks=options.blocks)
    translator = Translator(net, stretch, stretch, device="cpu", dtype="uint8")
    inside = network_clock()
    before = memory("VmRSS")
    precision = options.precision
    start = time.perf_counter()
    translator(
        raster, out, tile_size=options.tile_size, batch_size=options.batch_size,
        max_memory=options.max_memory,
        mixed_precision="auto" if precision == "auto" else precision == "bfloat16",
    )  # fmt: skip
    wall, (size,), peak = time.perf_counter() - start, options.sizes, memory("VmHWM")
    figures = (
        size, round(wall, 2), round(size * size / 1e6 / wall, 3), round(sum(inside), 2),
        round(1 - sum(inside) / wall, 4), round(before), round(peak), round(peak - before),
    )  # fmt: skip
    return dict(zip(FIELDS, figures, strict=True))


def network_clock() -> list[float]:
    """Seconds of each batch, as they are made from now on."""
    from rs_gen.translate.engine import Engine

    seconds: list[float] = []
    cores = Engine.cores

    def clocked(*args: Any) -> Any:
        start = time.perf_counter()
        made = cores(*args)
        seconds.append(time.perf_counter() - start)
        return made

    Engine.cores = clocked  # type: ignore[method-assign]
    return seconds


def memory(field: str) -> float:
    """MiB of this process: ``VmRSS`` now, ``VmHWM`` at most, since it began its program.

    Read from /proc, because getrusage counts what the parent held when it forked.
    """
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith(field))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main()
