"""What ``prepare_data`` may be told, checked before anything is read."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ..errors import SettingError
from ..raster.values import Stretch
from .loader import check_whole

#: dataset_type in any case, also by arcgis.learn's names -> kind of a DataBunch.
KINDS = {"pix2pix": "Pix2Pix", "cyclegan": "CycleGAN", "export_tiles": "Pix2Pix",
         "imagegeneration": "ImageGeneration", "fewshot": "FewShot"}  # fmt: skip
_SHOWN = ("CycleGAN", "Pix2Pix", "Export_Tiles", "ImageGeneration", "FewShot")
RARE_SHARE = 0.25  # of the one-colour chips in an epoch, when balance is just True

#: Words of arcgis.learn that have no twin here -> what to do instead.
_ELSEWHERE = {
    "resize_to": "chips are cut, not resampled; use chip_size (image generation knows shrink= too)",
    "class_mapping": "image translation knows no classes; leave it out",
    "collate_fn": "batches are stacked chips; leave it out",
    "imagery_type": "bands are named by the chips; choose some with bands=",
    "rgb_bands": "give it to show_batch(rgb_bands=...)",
    "extract_bands": "use bands, indices from 0 or names",
    "test_path": "use valid_path",
    "norm_pct": "use sample, the number of chips to fit the stretch to",
    "n_workers": "use num_workers",
    **dict.fromkeys(
        ("classes", "n_per_class", "shrink", "epoch_items"),
        "it is for dataset_type='ImageGeneration'",
    ),
    **dict.fromkeys(
        ("bands_b", "a_stretch", "b_stretch", "valid", "jitter", "balance", "drop_last"),
        "it is for translation from one side to another (Pix2Pix, CycleGAN)",
    ),
}


@dataclass(frozen=True)
class Options:
    """The keyword-only options of ``prepare_data``; described there."""

    bands_b: Sequence[int | str] | None = None
    stretch: object = None
    a_stretch: object = None
    b_stretch: object = None
    sample: int = 128
    valid_path: str | Path | None = None
    valid: Sequence[str] | None = None
    min_size: int | None = None
    jitter: object = None
    balance: bool | float = False
    cache: object = "auto"
    num_workers: int | None = None
    drop_last: bool = False
    device: object = None
    start_method: str | None = None

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Options:
        """From keyword arguments.

        Raises:
            SettingError: One is unknown (the nearest known is named), or a value can't work.
        """
        refuse_unknown(given, [field.name for field in fields(cls)])
        options = cls(**given)
        check_whole("sample", options.sample, 1)
        if options.num_workers is not None:
            check_whole("num_workers", options.num_workers, 0)
        if options.min_size is not None:
            check_whole("min_size", options.min_size, 1)
        if options.valid is not None and options.valid_path is not None:
            raise SettingError("valid and valid_path both choose the validation chips; give one")
        if isinstance(options.valid, str):
            raise SettingError(f"valid={options.valid!r} is one text; give a list of chip names")
        options.rare_share()
        return options

    def rare_share(self) -> float | None:
        """Of the one-colour chips in an epoch; None to treat them as all others."""
        if self.balance is False or self.balance is None:
            return None
        share = RARE_SHARE if self.balance is True else self.balance
        if not isinstance(share, int | float) or not 0 <= share <= 1:
            raise SettingError(f"balance={self.balance!r} is neither a bool nor between 0 and 1")
        return float(share)

    def stretch_of(self, side: str) -> Fit:
        """How the stretch of side "a" or "b" is made.

        Raises:
            SettingError: It is neither a Stretch, nor a preset, nor a dict of one of them.
        """
        name = f"{side}_stretch"
        given = getattr(self, name)
        given, name = (self.stretch, "stretch") if given is None else (given, name)
        return fit_of(name, given)


@dataclass(frozen=True)
class Fit:
    """Where a stretch comes from: a given one, a preset, or (neither) what the dataset stores."""

    stretch: Stretch | None = None
    preset: str | None = None
    options: Mapping[str, Any] | None = None


def fit_of(name: str, given: object) -> Fit:
    """How a stretch is made, from what the option ``name`` was given.

    Raises:
        SettingError: It is neither a Stretch, nor a preset, nor a dict of one of them.
    """
    if given is None or isinstance(given, str):
        return Fit(preset=given)
    if isinstance(given, Stretch):
        return Fit(stretch=given)
    if isinstance(given, Mapping) and "low" in given:
        return Fit(stretch=Stretch.from_dict(given))
    if isinstance(given, Mapping) and "preset" in given:
        rest = {key: value for key, value in given.items() if key != "preset"}
        return Fit(preset=given["preset"], options=rest)
    raise SettingError(
        f"{name}={given!r} is neither a preset's name, a Stretch, nor a dict such as "
        "{'preset': 'percentile', 'cut': 2}"
    )


def refuse_unknown(given: Mapping[str, Any], known: Sequence[str]) -> None:
    """Make sure that every option given is one of those known.

    Raises:
        SettingError: One is not; the nearest known is named, or what to do instead.
    """
    for name in given:
        if name not in known:
            raise SettingError(_unknown(name, known))


def kind_of(dataset_type: str | None) -> str | None:
    """Pix2Pix, CycleGAN or None, from what a person calls it.

    Raises:
        SettingError: There is no such dataset type.
    """
    if dataset_type is None:
        return None
    if str(dataset_type).lower() not in KINDS:
        raise SettingError(
            f"dataset_type={dataset_type!r} is unknown; there are {', '.join(_SHOWN)}"
            f"{_nearest(str(dataset_type), _SHOWN)}"
        )
    return KINDS[str(dataset_type).lower()]


def _unknown(name: str, known: Sequence[str]) -> str:
    if name in _ELSEWHERE:
        return f"prepare_data has no option {name!r}: {_ELSEWHERE[name]}"
    return (
        f"prepare_data has no option {name!r}{_nearest(name, known)}; there are {', '.join(known)}"
    )


def _nearest(name: str, known: Sequence[str]) -> str:
    lower = {word.lower(): word for word in known}
    near = difflib.get_close_matches(name.lower(), lower, n=1, cutoff=0.5)
    return f" (did you mean {lower[near[0]]}?)" if near else ""
