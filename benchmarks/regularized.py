"""RegularizedGAN on few real chips: what uniformity and entropy do, and what few samples do.

    python -m benchmarks.regularized --part regularizers --workers 2
    python -m benchmarks.regularized --part samples classes --workers 2
    python -m benchmarks.regularized --table

Every run is a process of one thread with a fixed number of steps; a finished run is kept as JSON,
so a sweep that was stopped goes on. Distances are to held-out images; beside them stand those of
other real chips. ``--table`` prints Markdown of what is there, and ``arms.png`` shows held-out
chips beside what each arm made of 100 chips.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch

from benchmarks.common import Stopwatch, kept, machine
from benchmarks.scenes import SIDE, SOURCES, bunch, scene_features
from rs_gen.errors import RSGenWarning
from rs_gen.metrics.features import ImageNetFeatures
from rs_gen.metrics.generation import GenerationScorer
from rs_gen.models.regularized_gan import RegularizedGAN

# Weights of uniformity and of entropy, and the entropy above which there is nothing to gain.
ARMS: dict[str, tuple[float, float, str]] = {
    "baseline": (0.0, 0.0, "none"), "UR": (0.2, 0.0, "none"), "ER": (0.0, 0.05, "none"),
    "UR+ER": (0.2, 0.05, "none"), "UR+ER capped": (0.2, 0.05, "real"),
}  # fmt: skip
SEEDS = (0, 1, 2)
STEPS, BATCH = 5000, 16
FAKES = 1000  # generated and held-out images of a distance, at most
SEEN = 500  # of them in ImageNet's features, which take long; the kernel distance has no bias
SHOWN, ZOOM = 64, 3  # images in a grid, and how much larger they are drawn there
# One base for all arms.
SETTINGS: dict[str, Any] = {
    "base": "dcgan", "widths": [64, 64, 32, 16], "r1_weight": 2.0, "penalty_interval": 8,
    "uniformity_chunks": 1, "lr": 1e-3, "ema_halflife": 300.0,
}  # fmt: skip


class Run(NamedTuple):
    """One training.

    Attributes:
        source: Key of ``SOURCES``.
        arm: Key of ``ARMS``.
        per_class: Training chips of each class.
        classes: How many classes, 0 for all.
        seed: Of chips, order and weights.
    """

    source: str
    arm: str
    per_class: int
    classes: int
    seed: int

    @property
    def name(self) -> str:
        """A file name."""
        arm = self.arm.replace(" ", "_")
        return f"{self.source}_{arm}_{self.per_class}x{self.classes or 'all'}_{self.seed}"


def regularizers() -> Iterator[Run]:
    """Baseline, UR, ER, both, and both capped on 100 to 400 chips of EuroSAT; paired seeds.

    What matters most comes first, for a sweep that may be stopped.
    """
    for arms, numbers in (
        (("baseline", "UR+ER capped"), (10, 40)), (("UR", "ER", "UR+ER"), (10,)),
        (("UR", "UR+ER"), (40,)), (tuple(ARMS), (20,)), (("ER",), (40,)),
    ):  # fmt: skip
        for per_class in numbers:
            for seed in SEEDS:
                for arm in arms:
                    yield Run("eurosat", arm, per_class, 0, seed)


def samples() -> Iterator[Run]:
    """The baseline on more and more chips a class, of three sources."""
    for seed in SEEDS:
        for source, numbers in (
            ("eurosat", (3, 10, 40, 150)), ("digits", (3, 10, 40, 80)), ("ucmerced", (3, 10, 40)),
        ):  # fmt: skip
            for per_class in numbers:
                yield Run(source, "baseline", per_class, 0, seed)


def classes() -> Iterator[Run]:
    """The baseline on more and more classes of 40 chips; both sources have ten."""
    for seed in SEEDS:
        for source in ("eurosat", "digits"):
            for count in (1, 2, 5, 0):
                yield Run(source, "baseline", 40, count, seed)


PARTS = {"regularizers": regularizers, "samples": samples, "classes": classes}


def train_and_measure(run: Run, out: Path, steps: int) -> dict[str, Any]:
    """Train, measure against held-out images, draw a grid."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", RSGenWarning)
    data = bunch(
        run.source, out, run.seed, n_per_class=run.per_class, batch_size=BATCH,
        classes=run.classes or None, num_workers=0,
    )  # fmt: skip
    uniformity, entropy, cap = ARMS[run.arm]
    model = RegularizedGAN(
        data, uniformity, entropy, entropy_cap=cap, conditional=False, preset="fast", **SETTINGS
    )
    watch = Stopwatch()
    model.fit(
        steps=steps, checkpoint=False, preview=False, progress=False, valid_every=10**6,
        folder=out / "logs" / run.name,
    )  # fmt: skip
    spent = watch.seconds()
    fakes = model.generate_encoded(FAKES, seed=0)
    draw(fakes[:SHOWN], out / "grids" / f"{run.name}.png")
    return {
        "run": run._asdict(), "steps": model.history[-1]["step"], "settings": SETTINGS,
        "machine": machine(), **spent, "training chips": len(data.train_ds.labels),
        **measured(model, data, fakes, run, out),
    }  # fmt: skip


def measured(model: RegularizedGAN, data: Any, fakes: Any, run: Run, out: Path) -> dict[str, Any]:
    """Scores in the domain's features and in ImageNet's, and what the features tell."""
    held, train = held_out(data), data.images("train")[0]
    scenes, accuracy = scene_features(run.source, out, run.seed)
    turns = SOURCES[run.source].turns
    domain = GenerationScorer(held, train, scenes, turns=turns, draws=0, batch_size=250)(fakes)
    general = GenerationScorer(held[:SEEN], train, ImageNetFeatures(), turns=turns, draws=0)(
        fakes[:SEEN]
    )
    information = model.feature_information(512)
    found = {"domain": domain, "imagenet": general, "information": information}
    return {"classifier accuracy": accuracy, "held-out images": len(held)} | {
        name: {key: score._asdict() for key, score in scores.items()}
        for name, scores in found.items()
    }


def held_out(data: Any) -> torch.Tensor:
    """The chips that all distances are to."""
    return data.images("valid", min(FAKES, len(data.valid_ds.labels)))[0]


def other_real_chips(source: str, seed: int, out: Path) -> dict[str, Any]:
    """What half of the training chips score as if they were generated and the rest trained on."""
    data = bunch(source, out, seed, batch_size=BATCH, num_workers=0)
    train = data.images("train")[0]
    train = train[torch.randperm(len(train), generator=torch.Generator().manual_seed(0))]
    fakes, rest = train[: len(train) // 2], train[len(train) // 2 :]
    scenes, _ = scene_features(source, out, seed)
    scorer = GenerationScorer(
        held_out(data), rest, scenes, turns=SOURCES[source].turns, draws=0, batch_size=250
    )
    scores = scorer(fakes[:FAKES])
    return {"source": source, "seed": seed, "chips": len(fakes[:FAKES])} | {
        "domain": {key: score._asdict() for key, score in scores.items()}
    }


def draw(images: torch.Tensor, path: Path) -> None:
    """Images in a square, ``ZOOM`` times as large."""
    from PIL import Image

    count, bands, height, width = images.shape
    wide = int(count**0.5)
    levels = (
        images.clamp(-1, 1).add(1).mul(127.5).round().byte().view(wide, wide, *images.shape[1:])
    )
    sheet = levels.permute(0, 3, 1, 4, 2).reshape(wide * height, wide * width, bands)
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(sheet.numpy())
    picture.resize((ZOOM * wide * width, ZOOM * wide * height), Image.Resampling.NEAREST).save(path)


def compare(out: Path, seed: int = 0) -> None:
    """``arms.png``: held-out chips, then a part of each arm's grid of 100 chips of EuroSAT."""
    from PIL import Image, ImageDraw

    real = out / "grids" / f"eurosat_real_{seed}.png"
    if not real.exists():
        images = held_out(bunch("eurosat", out, seed, batch_size=BATCH, num_workers=0))
        dice = torch.Generator().manual_seed(seed)
        draw(images[torch.randperm(len(images), generator=dice)[:SHOWN]], real)
    named = {"held-out chips": real} | {
        arm: out / "grids" / f"{Run('eurosat', arm, 10, 0, seed).name}.png" for arm in ARMS
    }
    left_half = (0, 0, 4 * SIDE * ZOOM, 8 * SIDE * ZOOM)
    width, height, head, gap = left_half[2] // 2, left_half[3] // 2, 22, 10
    parts = {
        name: Image.open(path).crop(left_half).resize((width, height))
        for name, path in named.items() if path.exists()
    }  # fmt: skip
    sheet = Image.new("RGB", (len(parts) * (width + gap) - gap, height + head), "white")
    for i, (name, part) in enumerate(parts.items()):
        sheet.paste(part, (i * (width + gap), head))
        ImageDraw.Draw(sheet).text((i * (width + gap) + 2, 5), name, fill="black")
    sheet.save(out / "arms.png")


COLUMNS = {
    "Fréchet, in domain": ("domain", "frechet"),
    "kernel, in domain": ("domain", "kernel"),
    "kernel, ImageNet": ("imagenet", "kernel"),
    "Fréchet, pixels": ("domain", "frechet_pixels"),
    "coverage": ("domain", "coverage"),
    "norm G": ("information", "norm_g"),
    "erank G": ("information", "erank_g"),
    "erank D": ("information", "erank_d"),
    "nearest ratio": ("domain", "nearest_ratio_pixels"),
    "D gap": ("information", "d_train_test_gap"),
}


def table(out: Path) -> str:
    """Markdown: a row for each setting, the mean over its seeds, and the Fréchet of each seed."""
    held: dict[tuple, list[dict[str, Any]]] = {}
    for path in sorted((out / "runs").glob("*.json")):
        result = json.loads(path.read_text())
        run = Run(**result["run"])
        held.setdefault(run[:4], []).append(result)
    lines = [
        f"| data | chips | arm | seeds | {' | '.join(COLUMNS)} | Fréchet by seed |",
        "|---" * (5 + len(COLUMNS)) + "|",
    ]
    order = list(ARMS)
    for (source, arm, per_class, count), results in sorted(
        held.items(), key=lambda item: (item[0][0], item[0][3], item[0][2], order.index(item[0][1]))
    ):
        cells = []
        for where, key in COLUMNS.values():
            values = [r[where][key]["value"] for r in results]
            cells.append(f"{sum(values) / len(values):.3g}")
        each = " / ".join(f"{r['domain']['frechet']['value']:.3g}" for r in results)
        chips = f"{per_class} x {count or 'all'}"
        lines.append(
            f"| {source} | {chips} | {arm} | {len(results)} | {' | '.join(cells)} | {each} |"
        )
    return "\n".join([*lines, "", *_gains(held), *_floors(out)])


def _floors(out: Path) -> Iterator[str]:
    """What real chips that nobody trained on score."""
    for path in sorted((out / "floors").glob("*.json")):
        found = json.loads(path.read_text())
        scores = {
            name: found[where][key]["value"]
            for name, (where, key) in COLUMNS.items() if where == "domain"
        }  # fmt: skip
        told = ", ".join(f"{name} {value:.2f}" for name, value in scores.items())
        name = f"{found['chips']} other real chips of {found['source']}, seed {found['seed']}"
        yield f"- {name}: {told}"


def _gains(held: dict[tuple, list[dict[str, Any]]]) -> Iterator[str]:
    """By how much each arm lowers the Fréchet distance against the baseline, seed by seed."""
    for (source, arm, per_class, count), results in sorted(held.items()):
        base = {
            r["run"]["seed"]: r["domain"]["frechet"]["value"]
            for r in held.get((source, "baseline", per_class, count), [])
        }
        changes = [
            f"{100 * (r['domain']['frechet']['value'] / base[r['run']['seed']] - 1):+.0f} %"
            for r in results if r["run"]["seed"] in base
        ]  # fmt: skip
        if arm != "baseline" and changes:
            yield f"- {source}, {per_class} x {count or 'all'}, {arm}: {', '.join(changes)}"


def main() -> None:
    options = _options()
    if options.one:
        run = Run(**json.loads(options.one))
        kept(options.out / "runs" / f"{run.name}.json",
             lambda: train_and_measure(run, options.out, options.steps))  # fmt: skip
        return
    if not options.table:
        runs = [run for part in options.part for run in PARTS[part]()]
        runs = [run for run in dict.fromkeys(runs) if options.seeds is None
                or run.seed in options.seeds]  # fmt: skip
        _play(runs, options)
        for source, seed in dict.fromkeys((run.source, run.seed) for run in runs):
            kept(options.out / "floors" / f"{source}_{seed}.json",
                 partial(other_real_chips, source, seed, options.out))  # fmt: skip
    print(table(options.out))
    compare(options.out)


def _play(runs: list[Run], options: argparse.Namespace) -> None:
    """Each run in a process of its own, some at a time; what is kept is left alone."""
    (options.out / "runs").mkdir(parents=True, exist_ok=True)
    todo = [r for r in runs if not (options.out / "runs" / f"{r.name}.json").exists()]
    print(f"{len(runs) - len(todo)} of {len(runs)} runs are there", file=sys.stderr)
    environ = {**os.environ, "OMP_NUM_THREADS": "1", "GOMP_SPINCOUNT": "0"}

    def play(run: Run) -> None:
        subprocess.run(
            [sys.executable, "-m", "benchmarks.regularized", "--one", json.dumps(run._asdict()),
             "--out", str(options.out), "--steps", str(options.steps)],
            check=True, env=environ,
        )  # fmt: skip
        print(f"done: {run.name}", file=sys.stderr, flush=True)

    with ThreadPoolExecutor(options.workers) as pool:
        list(pool.map(play, todo))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/regularized"))
    parser.add_argument("--part", nargs="+", choices=list(PARTS), default=["regularizers"])
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seeds", type=int, nargs="+", help="only these; all if left out")
    parser.add_argument("--workers", type=int, default=1, help="runs at a time, a core each")
    parser.add_argument("--table", action="store_true", help="only print what is there")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
