"""What ``prepare_data`` may be told about few-shot data, and which classes stay unseen."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ..errors import SettingError, UnknownNameError
from .draws import dice
from .loader import check_whole
from .options import Fit, fit_of, refuse_unknown


@dataclass(frozen=True)
class FewShotOptions:
    """The keyword-only options of ``prepare_data`` for few-shot generation.

    Attributes:
        shots: Support images of an episode.
        targets: Further images of an episode, which GMN and the meta-learners learn from; None
            for as many as ``shots``, or fewer where a class has no more.
        unseen: Classes to keep for tests: their names, how many, or which share of them, drawn by
            the seed; or a file that ``save_split`` wrote.
        turns: Whether a flip or a quarter turn keeps the class: so in images from above, not so
            for characters. If so training images are turned by chance, and one support image is
            shown to a model from all eight sides.
        classes: Names of the classes to take; None for all.
        episodes: Episodes in an epoch; None for as many as have room for every chip once.
        shrink: Average this many pixels, down and across, into one.
        stretch: As in ``prepare_data``.
        sample: Chips to fit a stretch to that is not stored.
        cache: As in ``prepare_data``; so are all below.
    """

    shots: int = 3
    targets: int | None = None
    unseen: Sequence[str] | int | float | str | Path = 0.25
    turns: bool = True
    classes: Sequence[str] | None = None
    episodes: int | None = None
    shrink: int = 1
    stretch: object = None
    sample: int = 128
    cache: object = "auto"
    num_workers: int | None = None
    device: object = None
    start_method: str | None = None

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> FewShotOptions:
        """From keyword arguments.

        Raises:
            SettingError: One is unknown (the nearest known is named), or a value can't work.
        """
        refuse_unknown(given, [field.name for field in fields(cls)])
        options = cls(**given)
        for name, least in (("shots", 1), ("shrink", 1), ("sample", 1)):
            check_whole(name, getattr(options, name), least)
        for name, least in (("targets", 0), ("episodes", 1), ("num_workers", 0)):
            if getattr(options, name) is not None:
                check_whole(name, getattr(options, name), least)
        if isinstance(options.classes, str):
            raise SettingError(f"classes={options.classes!r} is one text; give a list of names")
        return options

    @property
    def fit(self) -> Fit:
        """How the stretch is made."""
        return fit_of("stretch", self.stretch)


def split_classes(
    names: Sequence[str], unseen: object, seed: int
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(seen, unseen) names, sorted.

    Args:
        names: Of all classes.
        unseen: As ``FewShotOptions.unseen``. With one seed, more hold the fewer.
        seed: Of the draw.

    Raises:
        SettingError: Nothing is left to train on or to test with.
        UnknownNameError: A class that is named is not there.
    """
    held = _named(names, unseen) if _names(unseen) else _drawn(names, unseen, seed)
    seen = tuple(sorted(set(names) - set(held)))
    if not seen or not held:
        raise SettingError(
            f"unseen={unseen!r} leaves {len(seen)} of {len(names)} classes to train on and "
            f"{len(held)} to test with; at least one of each is needed"
        )
    return seen, tuple(sorted(held))


def _names(unseen: object) -> bool:
    return isinstance(unseen, str | Path | Sequence)


def _named(names: Sequence[str], unseen: Any) -> list[str]:
    if isinstance(unseen, str | Path):
        unseen = read_split(Path(unseen))["unseen"]
    for name in unseen:
        if name not in names:
            raise UnknownNameError("class", name, names)
    return list(unseen)


def _drawn(names: Sequence[str], unseen: Any, seed: int) -> list[str]:
    known = sorted(names)
    if isinstance(unseen, bool) or not isinstance(unseen, int | float) or unseen <= 0:
        raise SettingError(f"unseen={unseen!r}; give names, a number of classes, or a share")
    count = round(unseen * len(known)) if isinstance(unseen, float) and unseen < 1 else int(unseen)
    order = dice(seed, "unseen").permutation(len(known))
    return [known[i] for i in order[: max(1, count)]]


def read_split(path: Path) -> dict[str, Any]:
    """What ``save_split`` wrote.

    Raises:
        SettingError: The file is missing or is something else.
    """
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        if all(isinstance(name, str) for part in ("seen", "unseen") for name in held[part]):
            return dict(held)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise SettingError(f"unseen={str(path)!r} is no file that save_split of few-shot data wrote")
