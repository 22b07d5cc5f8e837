"""What a job costs beside its network: planning a huge raster, memory, workers of a cluster.

    python -m benchmarks.jobs --parts plan memory workers

``plan``: a sparse raster of 100,000 px a side is cut into blocks, and a slice of it is run.
``memory``: the most that the process of a job holds, for rasters of growing side; those above
10,000 px are empty but for a corner. ``workers``: seconds of two single-threaded Dask workers
against one, on the same blocks, in turns. Each part runs in processes of its own. Close other
programs before ``workers``.
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

from benchmarks.translate_memory import memory as resident

SIDE = {"count": 3, "dtype": "uint8", "names": ["red", "green", "blue"], "resolution": 10.0,
        "stretch": {"low": [0] * 3, "high": [255] * 3}}  # fmt: skip
DENSE = 10_000  # px a side up to which rasters are drawn throughout


def main() -> None:
    options = arguments()
    if options.child:
        print(json.dumps(CHILDREN[options.child](options)))
        return
    from benchmarks.common import machine

    report: dict[str, Any] = {"machine": machine(), "options": vars(options)}
    for part in options.parts:
        report[part] = PARTS[part](options)
        print(part, json.dumps(report[part], indent=1), flush=True)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(report, indent=1, default=str) + "\n", encoding="utf-8")
    print(options.out)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=list(PARTS))
    parser.add_argument("--sizes", type=int, nargs="+", default=[2000, 5000, 10000, 40000])
    parser.add_argument("--max-memory", default="2GB", help="that a job is told to stay under")
    parser.add_argument("--width", type=int, default=8, help="of the ResNet generator")
    parser.add_argument("--repeats", type=int, default=3, help="of the comparison of workers")
    parser.add_argument("--workers", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--size", type=int, default=4096, help="side for the comparison of workers")
    parser.add_argument("--folder", type=Path, help="for the rasters; a temporary one if left out")
    parser.add_argument("--out", type=Path, default=Path("runs/jobs.json"))
    parser.add_argument("--child", help=argparse.SUPPRESS)
    return parser.parse_args()


def in_a_process(child: str, *arguments: object) -> dict[str, Any]:
    """A part measured in a process that does nothing else; later options win."""
    command = [sys.executable, "-m", "benchmarks.jobs", *sys.argv[1:], "--child", child]
    done = subprocess.run([*command, *map(str, arguments)], stdout=subprocess.PIPE, text=True,
                          check=True)  # fmt: skip
    row: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return row


def plan(options: argparse.Namespace) -> dict[str, Any]:
    return in_a_process("plan")


def memory_by_size(options: argparse.Namespace) -> list[dict[str, Any]]:
    return [in_a_process("memory", "--size", size) for size in options.sizes]


def workers(options: argparse.Namespace) -> dict[str, Any]:
    """Ratios of seconds, one worker's over two workers', in turns."""
    rows = []
    for _ in range(options.repeats):
        one, two = (in_a_process("workers", "--workers", n)["seconds"] for n in (1, 2))
        rows.append({"one": one, "two": two, "gain": round(one / two, 3)})
    gains = sorted(row["gain"] for row in rows)
    return {"n": len(rows), "runs": rows, "least": gains[0], "most": gains[-1],
            "median": gains[len(gains) // 2]}  # fmt: skip


def plan_child(options: argparse.Namespace) -> dict[str, Any]:
    from rs_gen.translate.batch import Batch
    from rs_gen.translate.planning import cut

    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        raster = sparse(Path(folder) / "huge.tif", 100_000)
        model = make_model(Path(folder) / "model", options.width)
        batch = Batch(raster, model, Path(folder) / "out", options={"tile_size": 1024})
        load = batch.translator  # read before the clock starts
        before, started = resident("VmRSS"), time.perf_counter()
        _, blocks = cut(load, raster, batch.options, batch.block_size)
        seconds, grown = time.perf_counter() - started, resident("VmHWM") - before
        slice_ = timed(raster, model, Path(folder) / "slice", 1, {"area": corner(raster)})
    return {"side": 100_000, "blocks": len(blocks), "seconds": round(seconds, 2),
            "grown_mib": round(grown, 1), "slice_seconds": slice_}  # fmt: skip


def memory_child(options: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        raster = Path(folder) / "scene.tif"
        if options.size <= DENSE:
            program = (
                "import sys; from benchmarks.translate_memory import draw; draw(*sys.argv[1:])"
            )
            command = [sys.executable, "-c", program, str(raster), str(options.size)]
            subprocess.run(command, check=True)
        else:
            sparse(raster, options.size)
        model = make_model(Path(folder) / "model", options.width)
        before = resident("VmRSS")
        seconds = timed(raster, model, Path(folder) / "out", 1, {"max_memory": options.max_memory})
    return {"side": options.size, "seconds": seconds, "before_mib": round(before),
            "peak_mib": round(resident("VmHWM")), "bound": options.max_memory}  # fmt: skip


def workers_child(options: argparse.Namespace) -> dict[str, Any]:
    """Seconds between a cluster's first block and its last, so that its start does not count."""
    from benchmarks.translate_memory import draw
    from rs_gen.translate import engine_dask

    engine_dask.cores = lambda: options.workers  # a thread each: one worker would take all cores

    marks: list[float] = []

    def progress(items: Any, total: int | None = None, label: str = "") -> Any:
        for item in items:
            marks.append(time.perf_counter())
            yield item

    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        raster = Path(folder) / "scene.tif"
        draw(raster, options.size)
        model = make_model(Path(folder) / "model", 32)
        timed(raster, model, Path(folder) / "out", options.workers,
              {"tile_size": 256, "mixed_precision": False}, block_size=512, scheduler="local",
              progress=progress)  # fmt: skip
    first = 1 + options.workers  # the preparation, then a block of each worker loads the model
    done = len(marks) - 1 - first
    return {"seconds": round((marks[-1] - marks[first]) / done * 100, 2), "per": "100 blocks"}


def timed(
    raster: Path, model: Path, out: Path, workers: int, more: dict[str, Any], **run: Any
) -> float:
    """Seconds of a job from its beginning to its end."""
    from rs_gen.translate.batch import translate_batch

    options = {"tile_size": 1024, "batch_size": 1, "stac": False, **more}
    started = time.perf_counter()
    translate_batch(raster, model, out, options=options, workers=workers, device="cpu", **run)
    return round(time.perf_counter() - started, 2)


def sparse(path: Path, side: int) -> Path:
    """A raster that holds pixels in its upper left corner, 2048 px a side, and nothing else."""
    import numpy as np
    from affine import Affine
    from rasterio.windows import Window

    from rs_gen.raster.grid import Grid
    from rs_gen.raster.writer import geotiff

    grid = Grid((side, side), Affine(10, 0, 100000, 0, -10, 9000000), "EPSG:32633")
    pixels = np.random.default_rng(0).integers(1, 255, (3, 2048, 2048), dtype="uint8")
    with geotiff(path, grid, count=3, dtype="uint8", nodata=0) as writer:
        writer.write(pixels, window=Window(0, 0, 2048, 2048))
    return path


def corner(raster: Path) -> Any:
    """The part of a sparse raster that holds pixels, as a polygon."""
    from rasterio.windows import Window

    from rs_gen.raster.reader import RasterReader

    with RasterReader(raster) as reader:
        return reader.grid.crop(Window(0, 0, 3000, 3000)).polygon


def make_model(folder: Path, width: int) -> Path:
    """A CycleGAN of two blocks that was never trained."""
    import torch

    from rs_gen.games.package import Card, save
    from rs_gen.games.registry import create_game

    torch.manual_seed(0)
    game = create_game("cyclegan", in_channels=3, out_channels=3, width=width, blocks=2, d_width=2)
    return save(folder, game, Card("cyclegan", {}, SIDE, SIDE, 256), overwrite=True)


PARTS = {"plan": plan, "memory": memory_by_size, "workers": workers}
CHILDREN = {"plan": plan_child, "memory": memory_child, "workers": workers_child}

if __name__ == "__main__":
    main()
