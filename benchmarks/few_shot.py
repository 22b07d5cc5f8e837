"""Six few-shot systems on real classes, for equal training time, beside floors and ceilings.

    python -m benchmarks.few_shot --set omniglot --splits 0 1 2 --minutes 5
    python -m benchmarks.few_shot --set aid --splits 0 --minutes 10
    python -m benchmarks.few_shot --set ucmerced --splits 0 --minutes 10

For each split of the classes the script trains every system for ``--minutes`` of CPU time on one
thread, in a process of its own, draws the unseen classes from three chips each, and scores the
chips against real ones that were no support. It writes a JSON and a table with mean and spread over
the splits, and pages of pictures. Finished runs are kept, one that was killed goes on where it
stopped; another ``--minutes`` has a folder of its own. ``--jobs 2`` trains two at a time.
``--trial details --change '{"details": true}' --systems F2GAN`` tries other settings, in a folder
of their own beside the same floors; ``--share 0.25`` has a classifier see fewer drawn chips. With
``--quick`` it shows within a minute or two that all of it runs; its figures mean nothing.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import rs_gen
from benchmarks import few_shot_pages as pages
from benchmarks.common import kept, machine
from benchmarks.few_shot_data import QUICK, SETS, per_class, prepared, trial
from benchmarks.few_shot_scores import accuracy, extractor_of, from_one, scores
from benchmarks.few_shot_table import table
from rs_gen.models.presets import PRESETS

SYSTEMS = ("F2GAN", "MatchingGAN", "DAGAN", "GMN", "FIGR", "DAWSON")
# Beside the "small" preset, which is for scenes: strokes of one bit want more of L_1, and their
# finest detail is all there is to them, so that handing it down would copy a chip.
SETTINGS: dict[str, dict[str, dict[str, Any]]] = {
    "omniglot": {
        "F2GAN": {"l1_weight": 10.0, "warmup": 0.3, "details": False},
        "MatchingGAN": {"l1_weight": 10.0, "warmup": 0.3},
    },
    "aid": {},
    "ucmerced": {},
}
BOUND_IMAGES = 10  # GMN's bound is measured with 0 to 9 support images
BOUND_ORDERS = 6  # one alone leaves noise as large as what the last images add


def main() -> None:
    options = _options()
    if options.quick:
        options.minutes = 0.05
        QUICK.update(on=True)
    if options.part:
        _part(options)
        return
    wanted = [(split, "floors") for split in options.splits]
    _all(options, wanted)  # first: the features that all others are scored in
    _all(options, [(split, name) for split in options.splits for name in options.systems])
    results: dict[str, Any] = {"machine": machine(), "set": options.set, "minutes": options.minutes}
    for split in options.splits:
        folder = _folder(options, split)
        files = [_result(options, split, "floors"), *sorted(folder.glob("*.json"))]
        held = {path.stem: json.loads(path.read_text()) for path in files}
        results[f"split {split}"] = held
        pages.comparison(folder, [name for name in SYSTEMS if name in held])
    out = _folder(options, 0).parent
    (out / "few_shot.json").write_text(json.dumps(results, indent=1) + "\n")
    text = table(results, SYSTEMS)
    (out / "table.md").write_text(text)
    print(text)
    print(out)


def _all(options: argparse.Namespace, wanted: list[tuple[int, str]]) -> None:
    """Each part that is not finished, in a process of its own."""
    left = [(s, n) for s, n in wanted if not _result(options, s, n).exists()]

    def run(one: tuple[int, str]) -> None:
        split, name = one
        command = [sys.executable, "-m", "benchmarks.few_shot", "--part", name, "--splits",
                   str(split), "--set", options.set, "--minutes", str(options.minutes),
                   "--out", str(options.out), "--trial", options.trial, "--change",
                   json.dumps(options.change), "--share", str(options.share),
                   *(["--quick"] if options.quick else [])]  # fmt: skip
        failed = subprocess.run(command).returncode
        print(f"{options.set} split {split}: {name}{' FAILED' if failed else ''}", flush=True)
        if failed:
            missing.append(f"{name} of split {split}")

    missing: list[str] = []
    with ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(run, left))
    if missing:
        raise SystemExit(f"{', '.join(missing)} failed, see above; the others are kept")


def _part(options: argparse.Namespace) -> None:
    torch.set_num_threads(1)  # one CPU minute is one minute, whatever else runs
    (split,) = options.splits
    result = _result(options, split, options.part)
    result.parent.mkdir(parents=True, exist_ok=True)
    work: Callable[[], dict[str, Any]] = lambda: (  # noqa: E731
        _floors(options, split) if options.part == "floors"
        else _system(options, split, result.parent)
    )  # fmt: skip
    kept(result, work)


def _floors(options: argparse.Namespace, split: int) -> dict[str, Any]:
    """Copies of the supports, other real chips, and classifiers without drawn chips."""
    data = prepared(options.set, split, options.out / "work", 8)
    extractor = _extractor(options, data, split)
    given = trial(data)
    shots = given.supports.shape[1]
    copies = given.supports.flatten(0, 1)
    known = np.repeat(np.arange(len(given.supports)), shots)
    return {
        "unseen": list(data.unseen),
        "copies of the supports": scores(extractor, copies, known, given),
        "other real chips": scores(extractor, given.others, given.other_labels, given),
        "real": accuracy(given, None, None, traditional=False, turns=data.turns),
        "real + traditional": accuracy(given, None, None, traditional=True, turns=data.turns),
    }


def _system(options: argparse.Namespace, split: int, folder: Path) -> dict[str, Any]:
    """Train one system for its time, draw the unseen classes, score them and keep pictures."""
    name, count = options.part, per_class(options.set)
    batch = PRESETS[name.lower()]["small"].batch_size or 8
    data = prepared(options.set, split, options.out / "work", batch, gmn=name == "GMN")
    torch.manual_seed(split)
    model = getattr(rs_gen, name)(data, **SETTINGS[options.set].get(name, {}) | options.change)
    start = time.process_time()
    model.fit(
        max_minutes=options.minutes, budget="cpu", progress=False, preview=False, resume=True,
        folder=folder / name,
    )  # fmt: skip
    spent = time.process_time() - start
    given, extractor = trial(data), _extractor(options, data, split)
    start = time.process_time()
    made = torch.cat([
        model.draw(images, count, seed=label)
        for label, images in enumerate(given.supports)
    ])  # fmt: skip
    each = (time.process_time() - start) / len(made) * 100
    labels = np.repeat(np.arange(len(given.supports)), count)
    model.save(folder / f"{name}.dlpk", compute_metrics=False, overwrite=True)
    found: dict[str, Any] = scores(extractor, made, labels, given)
    found["from_one"] = from_one(extractor, model, given)
    found["by_code_alone"] = from_one(extractor, model, given, views=None)
    for row, traditional in (("real + drawn", False), ("real + drawn + traditional", True)):
        found[row] = accuracy(given, made, labels, traditional=traditional, turns=data.turns,
                              share=options.share)  # fmt: skip
    found |= {"steps": model.history[-1]["step"], "cpu_seconds": round(spent, 1),
              "seconds_per_100": round(each, 2), "settings": model.game.settings}  # fmt: skip
    if name == "GMN":
        found["bound"] = _bound(model, data)
    pages.of_system(model, given, made, count, folder)
    return found


def _extractor(options: argparse.Namespace, data: Any, split: int) -> Any:
    """What looks at the chips of this set and split."""
    path = options.out / "work" / f"features_{options.set}_{split}.safetensors"
    return extractor_of(data, path)


@torch.no_grad()
def _bound(model: Any, data: Any) -> list[float]:
    """GMN's bound of an image in nats, given 0, 1, ... others of its unseen class.

    Every image has its turn at every place of the order, so that places differ by what went before
    alone, and not by how hard their images are. Six orders of twenty images of each class.
    """
    dice = torch.Generator().manual_seed(0)
    total: list[Tensor] = []
    for _ in range(BOUND_ORDERS):
        images = torch.stack([
            data.images(name)[torch.randperm(2 * BOUND_IMAGES, generator=dice)]
            for name in data.unseen
        ])  # fmt: skip
        for part in images.split(BOUND_IMAGES, 1):
            for turn in range(BOUND_IMAGES):
                found = model.game.bounds(part.roll(turn, 1), generator=dice)
                total.append((found.nats - found.divergence).mean(0))
    return [round(float(x), 2) for x in torch.stack(total).mean(0)]


def _result(options: argparse.Namespace, split: int, part: str) -> Path:
    """Where a part's figures are kept; a trial has no floors of its own."""
    trial = "" if part == "floors" else options.trial
    return _folder(options, split, trial) / f"{part}.json"


def _folder(options: argparse.Namespace, split: int, trial: str | None = None) -> Path:
    trial = options.trial if trial is None else trial
    name = "_".join([options.set, f"{options.minutes:g}m", *([trial] if trial else [])])
    return Path(options.out) / name / f"split{split}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--set", choices=sorted(SETS), default="omniglot")
    parser.add_argument("--splits", type=int, nargs="+", default=[0])
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=list(SYSTEMS))
    parser.add_argument("--minutes", type=float, default=5.0, help="CPU minutes of each training")
    parser.add_argument("--jobs", type=int, default=1, help="trainings at a time, a thread each")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/out/few_shot"))
    parser.add_argument("--trial", default="", help="name of other settings: a folder of its own")
    parser.add_argument("--change", type=json.loads, default={}, help="those settings, as JSON")
    parser.add_argument("--share", type=float, default=0.5, help="of a batch that is drawn chips")
    parser.add_argument("--quick", action="store_true", help="show that it runs")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if (options.change or options.share != 0.5) and not options.trial:
        parser.error("--change and --share need a --trial, or finished figures would be taken")
    return options


if __name__ == "__main__":
    main()
