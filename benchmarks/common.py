"""What the benchmarks share: the machine in words, scores of translated chips, picture grids."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rs_gen.metrics.distance import kernel_distance
from rs_gen.metrics.features import ImageNetFeatures, features_of
from rs_gen.metrics.image import ImageScores
from rs_gen.metrics.palette import Palette, class_iou, confusion, mean_iou
from rs_gen.networks.device import autocast_dtype
from rs_gen.raster.files import whole_or_not

IMAGERY = Path(os.environ.get("RS_GEN_IMAGERY", "../shared/data"))
CORES = 2  # "minutes on two cores" are this process's CPU minutes over two


def machine() -> dict[str, Any]:
    """What a reader must know to compare figures."""
    model = "unknown processor"
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        named = [x for x in cpuinfo.read_text().splitlines() if x.startswith("model name")]
        model = named[0].split(":")[1].strip() if named else model
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "bfloat16": str(autocast_dtype(torch.device("cpu"))),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def encoded(chips: Any) -> tuple[Tensor, Tensor]:
    """All (a, b) of a validation set, each (N, C, H, W) in [-1, 1]."""
    pairs = [chips[i] for i in range(len(chips))]
    return torch.stack([a for a, _ in pairs]), torch.stack([b for _, b in pairs])


@torch.inference_mode()
def translated(
    game: Any, images: Tensor, direction: str = "AtoB", batch: int = 4, bf16: bool = True
) -> Tensor:
    """(N, C, H, W) in [-1, 1] and rounded to 8 bits, as they would be stored."""
    net = game.generator(direction).eval()
    dtype = autocast_dtype(torch.device("cpu"), "auto" if bf16 else False)
    made = []
    with torch.autocast("cpu", dtype or torch.bfloat16, enabled=dtype is not None):
        for part in torch.split(images, batch):
            made.append(net(part).float().clamp(-1, 1))
    return (torch.cat(made).add(1).mul(127.5).round() / 127.5) - 1


def map_scores(fake: Tensor, real: Tensor, palette: Palette) -> dict[str, Any]:
    """Pixel scores, palette IoU and kernel distance of translated maps, each with its n."""
    held = ImageScores()
    held.update(fake, real)
    scores: dict[str, Any] = {name: score._asdict() for name, score in held.compute().items()}
    tables = confusion(fake, real, palette)
    scores["palette_miou"] = mean_iou(tables)._asdict()
    scores["palette_iou"] = [round(s.value, 4) for s in class_iou(tables, palette)]
    scores["kernel_distance"] = distance(fake, real)
    return scores


def distance(fake: Tensor, real: Tensor) -> dict[str, Any]:
    """Kernel distance between two sets, in features that need no download."""
    extractor = ImageNetFeatures()
    features = [features_of(extractor, images) for images in (real, fake)]
    return kernel_distance(*features, extractor=extractor.name)._asdict()


def nearest_neighbour(train_a: Tensor, train_b: Tensor, valid_a: Tensor, side: int = 16) -> Tensor:
    """For each chip the map of the training chip whose source looks most alike.

    The distance is Euclidean between sources thinned to ``side`` px.
    """
    thin = [torch.nn.functional.adaptive_avg_pool2d(x, side).flatten(1) for x in (train_a, valid_a)]
    return train_b[torch.cdist(thin[1], thin[0]).argmin(1)]


def grid(columns: dict[str, Tensor], path: Path, side: int | None = None) -> Path:
    """A PNG with one row a chip and one column a name."""
    from PIL import Image, ImageDraw

    count = len(next(iter(columns.values())))
    tiles = [_rgb(images) for images in columns.values()]
    size = side or tiles[0].shape[2]
    gap, head = 6, 22
    sheet = Image.new("RGB", (len(tiles) * (size + gap) + gap, count * (size + gap) + gap + head),
                      "white")  # fmt: skip
    draw = ImageDraw.Draw(sheet)
    for column, (name, images) in enumerate(zip(columns, tiles, strict=True)):
        left = gap + column * (size + gap)
        draw.text((left + 2, 5), name, fill="black")
        for row in range(count):
            picture = Image.fromarray(images[row].permute(1, 2, 0).numpy())
            sheet.paste(picture.resize((size, size)), (left, head + row * (size + gap)))
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)
    return path


def _rgb(images: Tensor) -> Tensor:
    images = images[:, :3] if images.shape[1] >= 3 else images[:, :1].expand(-1, 3, -1, -1)
    return images.clamp(-1, 1).add(1).mul(127.5).round().byte()


def kept(path: Path, work: Callable[[], dict[str, Any]], again: bool = False) -> dict[str, Any]:
    """A result that was made before, or the one that ``work`` makes: a sweep can be continued."""
    if path.exists() and not again:
        return json.loads(path.read_text())
    result = work()
    with whole_or_not(path) as part:
        part.write_text(json.dumps(result, indent=1, default=str) + "\n")
    return result


def in_a_process(module: str, arguments: Sequence[str]) -> None:
    """Run a part of a benchmark by itself, so that CPU time and memory are its own."""
    environ = {**os.environ, "GOMP_SPINCOUNT": "0"}  # waiting threads must not count as work
    subprocess.run([sys.executable, "-m", module, *arguments], check=True, env=environ)


class Stopwatch:
    """Wall seconds, and CPU seconds of this process over two cores."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def seconds(self) -> dict[str, float]:
        """What has passed, in minutes."""
        cpu = time.process_time() - self._cpu
        return {
            "wall_minutes": round((time.perf_counter() - self._wall) / 60, 2),
            "two_core_minutes": round(cpu / 60 / CORES, 2),
        }
