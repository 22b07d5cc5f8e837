"""CycleGAN on real chips: satellite and map, unpaired, 128 px, on a CPU budget.

    python -m benchmarks.unpaired --minutes 20

Trains a preset, "fast" unless asked, on random 128 px crops and scores both directions on the
held-out chips at 256 px, whose true pairs the training never used.
"""

from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path
from typing import Any

import torch

from benchmarks.common import (
    CORES,
    IMAGERY,
    Stopwatch,
    distance,
    encoded,
    grid,
    machine,
    map_scores,
    translated,
)
from rs_gen import CycleGAN, prepare_data
from rs_gen.errors import RSGenWarning
from rs_gen.metrics.palette import Palette

SHOWN = (3, 20, 40, 60, 80, 90)


def main() -> None:
    options = _options()
    torch.set_num_threads(CORES)
    warnings.simplefilter("ignore", RSGenWarning)
    data = prepare_data(
        options.data, "CycleGAN", chip_size=options.size, batch_size=options.batch_size,
        seed=options.seed, working_dir=options.out,
    )  # fmt: skip
    model = CycleGAN(data, preset=options.preset)
    watch = Stopwatch()
    model.fit(
        max_minutes=options.minutes * CORES, budget="cpu", preview=False, checkpoint=False,
        valid_every=10**6, folder=options.out / options.preset,
    )  # fmt: skip
    report: dict[str, Any] = {
        "machine": machine(), "preset": options.preset, "seed": options.seed, **watch.seconds(),
        "steps": model.history[-1]["step"],
    }  # fmt: skip
    pairs = prepare_data(options.data, "Pix2Pix", transforms=False, working_dir=options.out)
    maps = torch.stack([pairs.train_ds[i][1] for i in range(0, len(pairs.train_ds), 2)])
    satellite, true_map = encoded(pairs.valid_ds)
    to_map = translated(model.game, satellite, "AtoB")
    to_satellite = translated(model.game, true_map, "BtoA")
    report["satellite to map"] = map_scores(to_map, true_map, Palette.learn(maps, 6))
    report["map to satellite"] = {"kernel_distance": distance(to_satellite, satellite)}
    report["nothing done"] = {
        "kernel_distance": distance(satellite, true_map),
    }
    shown = list(SHOWN)
    grid(
        {"satellite": satellite[shown], "to map": to_map[shown], "true map": true_map[shown],
         "map to satellite": to_satellite[shown]},
        options.out / f"unpaired_{options.preset}.png",
    )  # fmt: skip
    model.save(options.out / f"{options.preset}_model", compute_metrics=False)
    (options.out / f"unpaired_{options.preset}.json").write_text(
        json.dumps(report, indent=1) + "\n"
    )
    print(json.dumps(report, indent=1))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=IMAGERY / "maps256")
    parser.add_argument("--out", type=Path, default=Path("runs/unpaired"))
    parser.add_argument("--minutes", type=float, default=20, help="of training on two cores")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--batch-size", type=int, default=2)
    parser.add_argument("--seed", type=int, default=42)
    return parser.parse_args()


if __name__ == "__main__":
    main()
