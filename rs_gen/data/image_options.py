"""What ``prepare_data`` may be told about chips to generate from, checked before any is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ..errors import SettingError
from .loader import check_whole
from .options import Fit, fit_of, refuse_unknown


@dataclass(frozen=True)
class ImageOptions:
    """The keyword-only options of ``prepare_data`` for images with a class each.

    Attributes:
        classes: Names of the classes to take, labelled in this order; a number takes so many,
            drawn by the seed; None takes all.
        n_per_class: Training chips to take of each class, drawn by the seed; None takes all.
        shrink: Average this many pixels, down and across, into one: 64 px chips at 10 m become
            32 px at 20 m with 2.
        epoch_items: Chips shown in an epoch; None shows all, and some again to fill the last batch.
        stretch: As in ``prepare_data``.
        sample: Chips to fit a stretch to that is not stored.
        valid_path: Another dataset, of the same classes, to hold out.
        min_size: Leave out chips whose shorter side is below this many pixels, before ``shrink``.
        cache: As in ``prepare_data``; so are all below.
    """

    classes: Sequence[str] | int | None = None
    n_per_class: int | None = None
    shrink: int = 1
    epoch_items: int | None = None
    stretch: object = None
    sample: int = 128
    valid_path: str | Path | None = None
    min_size: int | None = None
    cache: object = "auto"
    num_workers: int | None = None
    device: object = None
    start_method: str | None = None

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> ImageOptions:
        """From keyword arguments.

        Raises:
            SettingError: One is unknown (the nearest known is named), or a value can't work.
        """
        refuse_unknown(given, [field.name for field in fields(cls)])
        options = cls(**given)
        for name, least in (("shrink", 1), ("sample", 1)):
            check_whole(name, getattr(options, name), least)
        for name, least in (
            ("n_per_class", 1), ("epoch_items", 1), ("min_size", 1), ("num_workers", 0)
        ):  # fmt: skip
            if getattr(options, name) is not None:
                check_whole(name, getattr(options, name), least)
        options._check_classes()
        return options

    @property
    def fit(self) -> Fit:
        """How the stretch is made."""
        return fit_of("stretch", self.stretch)

    def _check_classes(self) -> None:
        if self.classes is None:
            return
        if isinstance(self.classes, str):
            raise SettingError(f"classes={self.classes!r} is one text; give a list of class names")
        if isinstance(self.classes, Sequence):
            if not self.classes or len(set(self.classes)) < len(self.classes):
                raise SettingError(
                    f"classes={list(self.classes)} must name at least one class, and none twice"
                )
            return
        check_whole("classes", self.classes, 1)
