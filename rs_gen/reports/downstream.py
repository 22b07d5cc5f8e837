"""What generated chips are good for: a scene classifier trained on few chips, without and with.

The rival to beat is traditional augmentation, not nothing. Every arm takes the same number of
steps from the same weights and is tested on real held-out chips. Finished arms are kept on disk, so
a comparison that was stopped goes on, and can be given more seeds.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..errors import SettingError
from ..metrics.protocol import Score, mean_score
from ..training.scenes import Change, Labelled, SceneRecipe, fit_scenes, right
from ..training.traditional import Traditional
from .writing import write_report

RIVAL = "real + traditional"

#: Arm -> seed -> accuracy.
Outcome = dict[str, dict[int, Score]]


@dataclass(frozen=True)
class Arm:
    """One way to train.

    Attributes:
        extra: Chips that fill a part of each batch, generated or other; None for real ones alone.
        change: Augmentation of all chips alike; None for none.
    """

    extra: Labelled | None = None
    change: Change | None = None


def four_arms(generated: Labelled, change: Change | None = None) -> dict[str, Arm]:
    """The four ways to train on few chips, by name.

    Add others to the dictionary: real chips that were not given as ``extra`` are a ceiling, and
    repeated ones a floor.

    Args:
        generated: Images in [-1, 1] with the labels that they were asked for.
        change: Traditional augmentation; None for ``Traditional()``, for aerial scenes.
    """
    change = Traditional() if change is None else change
    return {
        "real": Arm(),
        RIVAL: Arm(change=change),
        "real + generated": Arm(generated),
        "real + both": Arm(generated, change),
    }


def judge(
    real: Labelled,
    test: Labelled,
    arms: Mapping[str, Arm],
    classes: int,
    *,
    seed: int = 0,
    recipe: SceneRecipe | None = None,
    folder: str | Path | None = None,
    progress: Callable[..., Iterable[Any]] | None = None,
) -> dict[str, Score]:
    """Accuracy on ``test`` of a classifier trained in each way, by the arm's name.

    Args:
        real: The few chips to train on.
        test: Held-out real chips.
        arms: Ways to train, such as :func:`four_arms` gives.
        classes: How many there are.
        seed: Of weights and order, the same in every arm. For independent runs the real chips and
            the generator are another draw too: pass those of the seed.
        recipe: Numbers of the training; None for the usual.
        folder: Where finished arms are kept as JSON, one file an arm and seed, and taken from.
            None keeps nothing.
        progress: Wrapper that shows how far it has come.

    Returns:
        Scores whose interval is a bootstrap over the test chips, which says nothing of another
        draw of the training chips: that is what seeds are for.

    Raises:
        SettingError: A kept arm was trained on other chips or with other numbers, test chips are
            among the real ones, or labels do not fit.
    """
    recipe = recipe or SceneRecipe()
    _refuse_leak(real, test)
    wrap = progress or (lambda items, total=None, label="": items)
    found = {}
    for name in wrap(list(arms), total=len(arms), label=f"classifiers, seed {seed}"):
        arm = arms[name]
        facts = _facts(name, arm, real, test, classes, seed, recipe)
        path = None if folder is None else Path(folder) / f"{_file(name)}_{seed}.json"
        found[name] = _kept(path, facts) or _trained(arm, real, test, classes, seed, recipe, path,
                                                     facts)  # fmt: skip
    return found


def collect(folder: str | Path) -> Outcome:
    """What :func:`judge` has kept in a folder: arm -> seed -> accuracy, in the order of the arms.

    Raises:
        SettingError: There is nothing, or a file is something else.
    """
    found: Outcome = {}
    for path in sorted(Path(folder).glob("*.json")):
        facts, score = _read(path)
        found.setdefault(str(facts["arm"]), {})[int(facts["seed"])] = score
    if not found:
        raise SettingError(f"{folder} holds no finished arms; run judge(..., folder=) first")
    order = list(four_arms(Labelled(torch.empty(0), torch.empty(0))))
    ranked = sorted(found, key=lambda arm: (order.index(arm) if arm in order else len(order), arm))
    return {arm: dict(sorted(found[arm].items())) for arm in ranked}


def table(outcome: Outcome, rival: str = RIVAL) -> str:
    """A Markdown table: a row an arm, with the mean over seeds, their spread, and each seed.

    The last column is the mean gain over the rival, seed by seed, and in how many seeds there was
    one: with three seeds, three of three happen by chance once in eight.

    Args:
        outcome: From :func:`collect`.
        rival: The arm that others are compared with.
    """
    heads = ["training", "seeds", "accuracy", "lowest to highest", "by seed", f"against {rival}"]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for arm, scores in outcome.items():
        values = np.array([score.value for score in scores.values()])
        cells = [
            arm, str(len(values)), f"{values.mean():.3f}",
            f"{values.min():.3f} to {values.max():.3f}", " / ".join(f"{v:.3f}" for v in values),
            _gain(scores, outcome.get(rival, {})) if arm != rival else "",
        ]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _gain(scores: Mapping[int, Score], rival: Mapping[int, Score]) -> str:
    common = [seed for seed in scores if seed in rival]
    if not common:
        return "not run"
    gains = np.array([scores[seed].value - rival[seed].value for seed in common])
    return f"{gains.mean():+.3f}, better in {int((gains > 0).sum())} of {len(gains)}"


def _trained(
    arm: Arm, real: Labelled, test: Labelled, classes: int, seed: int, recipe: SceneRecipe,
    path: Path | None, facts: dict[str, Any],
) -> Score:  # fmt: skip
    net = fit_scenes(real, classes, extra=arm.extra, change=arm.change, recipe=recipe, seed=seed)
    made = 0 if arm.extra is None else len(arm.extra.labels)
    protocol = (
        f"accuracy on real held-out chips, {classes} classes, {len(real.labels)} real and {made} "
        f"other chips, {recipe.steps} steps, seed {seed}"
    )
    hits = right(net, test).double().numpy()
    score = mean_score(hits, protocol, seed=seed)
    if path is not None:
        write_report({**facts, "score": score._asdict()}, path)
    return score


def _facts(
    name: str, arm: Arm, real: Labelled, test: Labelled, classes: int, seed: int,
    recipe: SceneRecipe,
) -> dict[str, Any]:  # fmt: skip
    """What decides the number, as JSON holds it."""
    change = arm.change
    told = None if change is None else repr(change) if isinstance(change, Traditional) else "own"
    return {
        "arm": name, "seed": seed, "classes": classes, "recipe": asdict(recipe), "change": told,
        "real": _digest(real), "test": _digest(test),
        "extra": None if arm.extra is None else _digest(arm.extra),
    }  # fmt: skip


def _digest(part: Labelled) -> str:
    held = hashlib.sha256()
    for tensor in part:
        held.update(str(tuple(tensor.shape)).encode())
        held.update(np.ascontiguousarray(tensor.cpu().numpy()).tobytes())
    return held.hexdigest()[:16]


def _kept(path: Path | None, facts: Mapping[str, Any]) -> Score | None:
    if path is None or not path.exists():
        return None
    known, score = _read(path)
    other = [key for key, value in facts.items() if known.get(key) != value]
    if other:
        raise SettingError(
            f"{path} was made with another {' and another '.join(other)}; remove it, or take "
            "another folder"
        )
    return score


def _read(path: Path) -> tuple[dict[str, Any], Score]:
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        return held, Score(**held.pop("score"))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SettingError(f"{path} is not a finished arm ({error}); move it away") from error


def _refuse_leak(real: Labelled, test: Labelled) -> None:
    known = {image.numpy().tobytes() for image in real.images.cpu().contiguous()}
    shared = sum(image.numpy().tobytes() in known for image in test.images.cpu().contiguous())
    if 2 * shared > len(test.labels):
        raise SettingError(
            f"{shared} of {len(test.labels)} test chips are trained on; test with held-out ones, "
            "such as data.images('valid')"
        )


def _file(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
