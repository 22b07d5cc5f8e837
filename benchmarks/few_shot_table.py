"""The few-shot benchmark as a table: mean and spread over the splits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

HEADS = ("", "steps", "Fréchet", "kernel", "hit", "diversity", "from one chip", "to support",
         "real + drawn", "+ traditional")  # fmt: skip
SCORES = ("frechet_distance", "kernel_distance", "category_hit", "diversity")


def table(results: dict[str, Any], systems: Sequence[str]) -> str:
    """Markdown: floors and ceilings, then the systems; what was measured below it."""
    splits = [held for key, held in results.items() if key.startswith("split ")]
    lines = [f"| {' | '.join(HEADS)} |", f"|{'---|' * len(HEADS)}"]
    for floor in ("other real chips", "copies of the supports"):
        rows = [split["floors"][floor] for split in splits]
        lines.append(_line(f"*{floor}*", ["", *_scores(rows), "", _score(rows, "support_distance"),
                                          "", ""]))  # fmt: skip
    plain, traditional = (_accuracies(splits, lambda s, n=name: s["floors"][n])
                          for name in ("real", "real + traditional"))  # fmt: skip
    lines.append(_line("*real chips alone*", ["", "", "", "", "", "", "", plain, traditional]))
    for name in systems:
        rows = [split[name] for split in splits if name in split]
        if rows:
            lines.append(_line(f"**{name}**", _system(rows)))
    lines += ["", *_notes(results, splits, systems)]
    return "\n".join(lines) + "\n"


def _system(rows: list[dict[str, Any]]) -> list[str]:
    steps = f"{np.mean([row['steps'] for row in rows]):.0f}"
    fixed = _spread([row["from_one"] for row in rows])
    return [steps, *_scores(rows), fixed, _score(rows, "support_distance"),
            _accuracies(rows, lambda row: row["real + drawn"]),
            _accuracies(rows, lambda row: row["real + drawn + traditional"])]  # fmt: skip


def _scores(rows: list[dict[str, Any]]) -> list[str]:
    return [_score(rows, name) for name in SCORES]


def _score(rows: list[dict[str, Any]], name: str) -> str:
    return _spread([row[name]["value"] for row in rows])


def _accuracies(rows: list[Any], of: Callable[[Any], list[float]]) -> str:
    return _spread([float(np.mean(of(row))) for row in rows])


def _spread(values: list[float]) -> str:
    mean = float(np.mean(values))
    shown = f"{mean:.0f}" if abs(mean) >= 100 else f"{mean:.3g}"
    return shown if len(values) < 2 else f"{shown} ± {np.std(values, ddof=1):.2g}"


def _line(name: str, cells: list[str]) -> str:
    return f"| {name} | {' | '.join(cells)} |"


def _splits(n: int) -> str:
    return f"{n} split{'s' if n > 1 else ''}"


def _notes(results: dict[str, Any], splits: list[Any], systems: Sequence[str]) -> list[str]:
    one = next(iter(splits[0]["floors"].values())) if splits else {}
    floors = splits[0]["floors"]
    protocol = floors["other real chips"]["frechet_distance"]["protocol"]
    notes = [
        f"{results['set']}: {_splits(len(splits))}, {len(one)} unseen classes, 3 support chips "
        f"each; {results['minutes']:g} CPU minutes a system on one thread, "
        f"{results['machine']['processor']}. Mean ± sd over splits. Features and sets of the "
        f"ceiling: {protocol}; {floors['other real chips']['category_hit']['protocol']}.",
        "Accuracy: a small convnet for the unseen classes, 2 seeds each; *real chips alone* has "
        "its two columns without and with traditional augmentation.",
    ]
    bounds = [s["GMN"]["bound"] for s in splits if "bound" in s.get("GMN", {})]
    if bounds and "GMN" in systems:
        shown = ", ".join(f"{x:.1f}" for x in np.mean(bounds, 0))
        notes.append(f"GMN's bound of an unseen class's image given 0, 1, ... 9 others: {shown}.")
    wins = [s for s in splits if "F2GAN" in s and np.mean(s["F2GAN"]["real + drawn + traditional"])
            > np.mean(s["floors"]["real + traditional"])]  # fmt: skip
    if any("F2GAN" in s for s in splits):
        notes.append(f"Real + traditional + F2GAN beats real + traditional in {len(wins)} of "
                     f"{_splits(len(splits))}.")  # fmt: skip
    return [note for pair in zip(notes, [""] * len(notes), strict=True) for note in pair]
