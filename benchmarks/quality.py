"""Satellite to map on real pairs: the published Pix2Pix beside ours, for the same CPU time.

    python -m benchmarks.quality --minutes 16

trains, each in a process of its own, the published configuration (U-Net-256, batch 1, float32),
ours for a tenth of its time, and ours for all of it; scores all on the same held-out pairs beside
two trivial baselines; and writes a JSON, a table and a picture grid. Finished runs are kept, so a
run that was stopped can be continued. Time is CPU time of the process over two cores, so that other
work on the machine does not change the budget.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch

from benchmarks.common import (
    CORES,
    IMAGERY,
    Stopwatch,
    encoded,
    grid,
    in_a_process,
    kept,
    machine,
    map_scores,
    nearest_neighbour,
    translated,
)
from rs_gen import Pix2Pix, prepare_data
from rs_gen.metrics.palette import Palette

SHOWN = (3, 20, 40, 60, 80, 90)
COLUMNS = ("psnr", "ssim", "l1", "within_5", "within_10", "palette_miou", "kernel_distance")


def main() -> None:
    options = _options()
    if options.part:
        _part(options)
        return
    budgets = {
        "published": ("published", options.minutes),
        "ours_tenth": ("fast", options.minutes / 10),
        "ours": ("fast", options.minutes),
    }
    results = {"machine": machine(), "seed": options.seed}
    results["baselines"] = kept(options.out / "baselines.json", lambda: _baselines(options))
    for name, (preset, minutes) in budgets.items():
        path = options.out / f"{name}.json"
        if not path.exists():
            in_a_process(
                "benchmarks.quality",
                ["--part", name, "--preset", preset, "--minutes", str(minutes), "--data",
                 str(options.data), "--out", str(options.out), "--seed", str(options.seed)],
            )  # fmt: skip
        results[name] = json.loads(path.read_text())
    (options.out / "quality.json").write_text(json.dumps(results, indent=1) + "\n")
    print(table(results))
    print(_picture(options))


def _part(options: argparse.Namespace) -> None:
    """Train one configuration for its budget, score it, keep its pictures and weights."""
    torch.set_num_threads(CORES)
    torch.manual_seed(options.seed)
    data = _data(options, 1 if options.preset == "published" else 4)
    model = Pix2Pix(data, preset=options.preset)
    watch = Stopwatch()
    model.fit(
        max_minutes=options.minutes * CORES, budget="cpu", progress=True, preview=False,
        checkpoint=False, valid_every=10**6, folder=options.out / options.part,
    )  # fmt: skip
    spent = watch.seconds()
    real = encoded(data.valid_ds)
    fake = translated(model.game, real[0], bf16=options.preset != "published")
    result = {
        "preset": options.preset,
        "steps": model.history[-1]["step"],
        **spent,
        **map_scores(fake, real[1], _palette(data)),
    }
    torch.save(fake[list(SHOWN)], options.out / f"{options.part}.pt")
    kept(options.out / f"{options.part}.json", lambda: result, again=True)
    model.save(options.out / f"{options.part}_model", compute_metrics=False)


def _baselines(options: argparse.Namespace) -> dict[str, Any]:
    """The median map colour everywhere; the map of the training chip that looks most alike."""
    data = _data(options, 4)
    train, valid = encoded(_plain(data)), encoded(data.valid_ds)
    palette = _palette(data)
    median = train[1].permute(1, 0, 2, 3).flatten(1)[:, ::97].median(1).values
    flat = median[None, :, None, None].expand_as(valid[1])
    near = nearest_neighbour(*train, valid[0])
    return {
        "palette": palette.levels,
        "median colour": map_scores(flat, valid[1], palette),
        "nearest neighbour": map_scores(near, valid[1], palette),
    }


def _data(options: argparse.Namespace, batch_size: int) -> Any:
    return prepare_data(
        options.data, "Pix2Pix", batch_size=batch_size, seed=options.seed, working_dir=options.out
    )


def _plain(data: Any) -> Any:
    """The training chips without augmentation."""
    return prepare_data(
        data.path, "Pix2Pix", transforms=False, seed=data.seed, working_dir=data.working_dir
    ).train_ds


def _palette(data: Any) -> Palette:
    chips = _plain(data)
    maps = torch.stack([chips[i][1] for i in range(0, len(chips), 2)])
    return Palette.learn(maps, 6, seed=0)


def table(results: dict[str, Any]) -> str:
    """The scores as Markdown."""
    rows = dict(results["baselines"])
    rows.pop("palette")
    rows |= {name: results[name] for name in ("published", "ours_tenth", "ours")}
    lines = ["| run | two-core minutes | steps | " + " | ".join(COLUMNS) + " |",
             "|---|---|---|" + "---|" * len(COLUMNS)]  # fmt: skip
    for name, row in rows.items():
        cells = [f"{row[c]['value']:.3g}" for c in COLUMNS]
        spent = row.get("two_core_minutes", "-")
        lines.append(f"| {name} | {spent} | {row.get('steps', '-')} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _picture(options: argparse.Namespace) -> Path:
    data = _data(options, 4)
    source, truth = (x[list(SHOWN)] for x in encoded(data.valid_ds))
    made = {
        name: torch.load(options.out / f"{name}.pt", weights_only=True)
        for name in ("published", "ours_tenth", "ours")
    }
    columns = {"satellite": source, **made, "true map": truth}
    return grid(columns, options.out / "quality.png")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=IMAGERY / "maps256")
    parser.add_argument("--out", type=Path, default=Path("runs/quality"))
    parser.add_argument("--minutes", type=float, default=16, help="on two cores, for the longest")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--part", help=argparse.SUPPRESS)
    parser.add_argument("--preset", default="fast", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
