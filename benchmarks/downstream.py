"""What generated chips are good for: a scene classifier with few real chips, four ways to train.

    python -m benchmarks.downstream --source eurosat --per-class 10 20 --seeds 0 1 2 --workers 2
    python -m benchmarks.downstream --table

For each seed another draw of the real chips, a RegularizedGAN trained on these chips alone, images
of each class from it, and classifiers on real chips; real ones with traditional augmentation; with
generated ones; with both. The ceiling adds other real chips instead, as many as were generated at
most. Tested on the half of each class that is held out. All that is finished is kept, generated
images too, so a sweep that was stopped goes on. ``--table`` prints Markdown of what is there.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file, save_file

from benchmarks.common import Stopwatch, kept, machine
from benchmarks.regularized import SETTINGS, draw
from benchmarks.scenes import SOURCES, bunch
from rs_gen.errors import RSGenWarning
from rs_gen.models.regularized_gan import RegularizedGAN
from rs_gen.raster.files import whole_or_not
from rs_gen.reports.downstream import Arm, collect, four_arms, judge, table
from rs_gen.training.scenes import Labelled, SceneRecipe
from rs_gen.training.traditional import Traditional

BATCH, SHOWN = 16, 64  # of the GAN; images in the grid that is kept


class Run(NamedTuple):
    """One draw of real chips, one generator, its classifiers.

    Attributes:
        source: Key of ``benchmarks.scenes.SOURCES``.
        per_class: Real training chips of each class.
        seed: Of chips, generator and classifiers.
    """

    source: str
    per_class: int
    seed: int

    @property
    def setting(self) -> str:
        """A folder name, for all seeds."""
        return f"{self.source}_{self.per_class}"

    @property
    def name(self) -> str:
        """A file name."""
        return f"{self.setting}_{self.seed}"


def play(run: Run, options: argparse.Namespace) -> None:
    """Generate, then train and test the classifiers; what is kept is left alone."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", RSGenWarning)
    data = bunch(run.source, options.out, run.seed, n_per_class=run.per_class, batch_size=BATCH,
                 num_workers=0)  # fmt: skip
    upright = not SOURCES[run.source].turns
    change = Traditional.upright() if upright else Traditional()
    arms = four_arms(generated(data, run, options), change)
    pool = bunch(run.source, options.out, run.seed, batch_size=BATCH, num_workers=0)
    arms["ceiling: other real chips"] = Arm(others(data, pool, options.generated), change)
    watch = Stopwatch()
    judge(
        Labelled(*data.images("train")), Labelled(*data.images("valid")), arms, data.c,
        seed=run.seed, recipe=SceneRecipe(steps=options.classifier_steps),
        folder=options.out / "arms" / run.setting,
    )  # fmt: skip
    facts = {"run": run._asdict(), "machine": machine(), **watch.seconds()}
    kept(options.out / "runs" / f"{run.name}.json", lambda: facts)


def generated(data: Any, run: Run, options: argparse.Namespace) -> Labelled:
    """``options.generated`` images of each class, from a generator trained on the few chips."""
    name = f"{run.name}_{options.steps}steps_{options.generated}.safetensors"
    path = options.out / "generated" / name
    if not path.exists():
        model = RegularizedGAN(data, conditional=True, preset="fast", seed=run.seed, **SETTINGS)
        watch = Stopwatch()
        model.fit(
            steps=options.steps, checkpoint=False, preview=False, progress=False,
            valid_every=10**6, folder=options.out / "logs" / run.name,
        )  # fmt: skip
        labels = torch.arange(data.c).repeat_interleave(options.generated)
        images = model.generate_encoded(len(labels), labels.tolist(), seed=run.seed)
        shown = torch.linspace(0, len(images) - 1, int(min(SHOWN, len(images)) ** 0.5) ** 2).long()
        draw(images[shown], options.out / "grids" / f"{run.name}.png")  # a square, class by class
        facts = {"steps": options.steps, "settings": SETTINGS, "machine": machine(),
                 **watch.seconds()}  # fmt: skip
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_or_not(path) as part:
            save_file({"images": images, "labels": labels}, part, {"facts": json.dumps(facts)})
    held = load_file(path)
    return Labelled(held["images"], held["labels"])


def others(data: Any, pool: Any, per_class: int) -> Labelled:
    """Real chips of the pool that the run was not given, at most ``per_class`` of each class."""
    given = set(data.train_ds.chips.files.paths)
    paths, labels = pool.train_ds.chips.files.paths, pool.train_ds.labels
    counts, chosen = dict.fromkeys(range(pool.c), 0), []
    for i, (path, label) in enumerate(zip(paths, labels.tolist(), strict=True)):
        if path not in given and counts[label] < per_class:
            counts[label] += 1
            chosen.append(i)
    return Labelled(*pool.train_ds.stack(chosen))


def report(out: Path) -> str:
    """Markdown: a table for each source and number of chips."""
    parts = []
    for folder in sorted((out / "arms").iterdir()):
        source, per_class = folder.name.rsplit("_", 1)
        parts.append(f"**{SOURCES[source].about}; {per_class} real chips a class**\n")
        parts.append(table(collect(folder)) + "\n")
    return "\n".join(parts)


def main() -> None:
    options = _options()
    if options.one:
        play(Run(**json.loads(options.one)), options)
        return
    if not options.table:
        _sweep(options)
    print(report(options.out))


def _sweep(options: argparse.Namespace) -> None:
    """Each run in a process of one thread, some at a time, seed by seed."""
    runs = [Run(source, n, seed) for seed in options.seeds for source in options.source
            for n in options.per_class]  # fmt: skip
    todo = [r for r in runs if not (options.out / "runs" / f"{r.name}.json").exists()]
    print(f"{len(runs) - len(todo)} of {len(runs)} runs are there", file=sys.stderr)
    environ = {**os.environ, "OMP_NUM_THREADS": "1", "GOMP_SPINCOUNT": "0"}
    numbers = {"--steps": options.steps, "--generated": options.generated,
               "--classifier-steps": options.classifier_steps}  # fmt: skip
    same = ["--out", str(options.out), *(str(x) for pair in numbers.items() for x in pair)]

    def start(run: Run) -> None:
        subprocess.run(
            [sys.executable, "-m", "benchmarks.downstream", "--one", json.dumps(run._asdict()),
             *same], check=True, env=environ,
        )  # fmt: skip
        print(f"done: {run.name}", file=sys.stderr, flush=True)

    with ThreadPoolExecutor(options.workers) as pool:
        list(pool.map(start, todo))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", nargs="+", choices=SOURCES, default=["eurosat"])
    parser.add_argument("--per-class", nargs="+", type=int, default=[20])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=5000, help="of the generator")
    parser.add_argument("--generated", type=int, default=200, help="images of each class")
    parser.add_argument("--classifier-steps", type=int, default=SceneRecipe.steps)
    parser.add_argument("--workers", type=int, default=1, help="processes at a time")
    parser.add_argument("--out", type=Path, default=Path("runs/downstream"))
    parser.add_argument("--table", action="store_true", help="only print what is there")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
