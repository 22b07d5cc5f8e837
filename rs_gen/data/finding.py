"""Which chips of a folder are trained on, which are validated with, and how that was decided.

Paths only; no pixel is read here. A validation set is never empty.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..chips.files import some
from ..chips.index import read_rows, size_of
from ..chips.layouts import Layout, find_layout
from ..errors import ChipError, LayoutError, PairError, SettingError
from .draws import split
from .options import Options

Paths = tuple[Path, ...]
_KINDS = {"pairs": "Pix2Pix", "aligned": "Pix2Pix", "unpaired": "CycleGAN"}
_SPEECH = {"kind='unpaired'": "dataset_type='CycleGAN'", "kind='single'": "another folder"}


@dataclass(frozen=True)
class Part:
    """The chips of one split. For pairs, ``a[i]`` belongs to ``b[i]``."""

    a: Paths
    b: Paths


@dataclass(frozen=True)
class Division:
    """A dataset in two.

    Attributes:
        train: To train on.
        valid: To validate with.
        how: How the split was made, for a person.
        notes: What was left out, and why.
        paired: ``valid.a[i]`` and ``valid.b[i]`` are a pair. True for Pix2Pix; for CycleGAN where
            the chips are pairs after all, so that validation can compare images.
        drawn: The split is at random.
    """

    train: Part
    valid: Part
    how: str
    notes: tuple[str, ...] = ()
    paired: bool = False
    drawn: bool = False


def find(path: str | Path, kind: str | None) -> tuple[Layout, str]:
    """The layout of a folder, and the kind of model that its chips are for.

    Args:
        path: The dataset's folder.
        kind: "Pix2Pix" or "CycleGAN"; None lets the folder tell.

    Raises:
        LayoutError: The folder is missing, holds no images, or has one side only.
        PairError: Chips that should be pairs are not; unmatched ones are listed.
    """
    try:
        layout = _as_pairs(path) if kind == "Pix2Pix" else find_layout(path)
    except PairError as error:
        if kind == "CycleGAN":
            layout = find_layout(path, "unpaired")
        else:
            raise PairError(_in_our_words(error)) from error
    if layout.kind not in _KINDS:
        what = "class folders" if layout.kind == "classes" else "single images"
        raise LayoutError(
            f"{layout.root} holds {what} with no other side to translate to; image translation "
            "needs two folders such as train_a and train_b, or images with A and B side by side. "
            "To generate images from one side, pass dataset_type='ImageGeneration'"
        )
    return layout, kind or _KINDS[layout.kind]


def divide(layout: Layout, kind: str, share: float, seed: int, options: Options) -> Division:
    """The training and the validation chips.

    In this order: ``valid_path``, ``valid``, the split stored with the chips, a test folder,
    and else ``share`` of the chips drawn by ``seed``. Pairs stay together, also where they are
    used as unpaired chips: or training B would show what validation A is asked for.

    Raises:
        SettingError: ``share`` or ``valid`` leave one of the two empty.
    """
    division = _divided(layout, kind, share, seed, options)
    notes = _left_by_index(layout) + division.notes
    division = replace(division, notes=notes)
    if options.min_size is not None:
        division = _without_small(division, options.min_size, layout)
    _refuse_empty(division)
    return division


def _divided(layout: Layout, kind: str, share: float, seed: int, options: Options) -> Division:
    paired = layout.kind != "unpaired"
    if options.valid_path is not None:
        other = find(options.valid_path, kind)[0]
        if "aligned" in {layout.kind, other.kind} and layout.kind != other.kind:
            raise SettingError(
                f"valid_path={str(options.valid_path)!r} is laid out as {other.name} but "
                f"{layout.root} as {layout.name}; give both one layout"
            )
        how, paired = f"chips of {options.valid_path}", other.kind != "unpaired"
        return Division(_training(layout), _whole(other), how, paired=paired)
    if options.valid is not None:
        train, valid = _named(_whole(layout), options.valid, paired)
        return Division(train, valid, "the chips named in valid", paired=paired)
    stored = _stored(layout)
    if stored is not None:
        return stored
    train, valid = _drawn(_training(layout), share, seed, paired)
    how = f"{share:.3g} of the chips, drawn with seed {seed}"
    return Division(train, valid, how, paired=paired, drawn=True)


def _as_pairs(path: str | Path) -> Layout:
    """Two folders with pairs, or images with both sides."""
    try:
        return find_layout(path, "pairs")
    except LayoutError as error:
        try:
            return find_layout(path, "aligned")
        except LayoutError:
            raise error from None


def _in_our_words(error: PairError) -> str:
    text = str(error)
    for theirs, ours in _SPEECH.items():
        text = text.replace(theirs, ours)
    return text


def _training(layout: Layout) -> Part:
    return Part(layout.a, layout.a if layout.kind == "aligned" else layout.b)


def _whole(layout: Layout) -> Part:
    """Training and stored validation chips together."""
    a, b = layout.a + layout.valid_a, layout.b + layout.valid_b
    return Part(a, a if layout.kind == "aligned" else b)


def _stored(layout: Layout) -> Division | None:
    """By the split column of chips.gpkg or by folders; None where there is neither."""
    for name in ("valid", "test"):
        a = getattr(layout, f"{name}_a")
        b = a if layout.kind == "aligned" else getattr(layout, f"{name}_b")
        if a and b:
            indexed = bool(read_rows(layout.root, "split"))
            how = "stored in chips.gpkg" if indexed else f"the dataset's own {name} folders"
            alone = name == "valid" and bool(layout.test_a)
            notes = (f"{len(layout.test_a)} test chips are left alone",) if alone else ()
            return Division(
                _training(layout), Part(a, b), how, notes, paired=layout.kind != "unpaired"
            )
    return None


def _drawn(part: Part, share: float, seed: int, paired: bool) -> tuple[Part, Part]:
    held_a = split(len(part.a), share, seed, "a")
    held_b = held_a if paired else split(len(part.b), share, seed, "b")
    return _parted(part, held_a, held_b)


def _named(part: Part, names: Sequence[str], paired: bool) -> tuple[Part, Part]:
    wanted = {Path(name).name for name in names}
    known = {word for side in (part.a, part.b) for path in side for word in (path.name, path.stem)}
    if wanted - known:
        raise SettingError(f"valid names chips that are not there: {some(sorted(wanted - known))}")
    held_a, held_b = (_mentioned(side, wanted) for side in (part.a, part.b))
    if paired:
        held_a = held_b = held_a | held_b
    return _parted(part, held_a, held_b)


def _parted(part: Part, held_a: np.ndarray, held_b: np.ndarray) -> tuple[Part, Part]:
    """Training and validation chips, where True is held back for validation."""
    train = Part(_pick(part.a, ~held_a), _pick(part.b, ~held_b))
    return train, Part(_pick(part.a, held_a), _pick(part.b, held_b))


def _mentioned(paths: Paths, wanted: set[str]) -> np.ndarray:
    return np.array([path.name in wanted or path.stem in wanted for path in paths], bool)


def _left_by_index(layout: Layout) -> tuple[str, ...]:
    buffered = sum(split == "buffer" for (split,) in read_rows(layout.root, "split"))
    if not buffered:
        return ()
    return (f"{buffered} chips between training and validation are left out (buffer)",)


def _without_small(division: Division, least: int, layout: Layout) -> Division:
    together, parts, dropped = layout.kind != "unpaired", [], 0
    for part in (division.train, division.valid):
        a, b = (_large(side, least, layout.kind == "aligned") for side in (part.a, part.b))
        if together:
            a = b = a & b
        dropped += int((~a).sum()) + (0 if together else int((~b).sum()))
        parts.append(Part(_pick(part.a, a), _pick(part.b, b)))
    what = "pairs" if together else "chips"
    note = f"{dropped} {what} smaller than {least} px are left out"
    notes = (*division.notes, note) if dropped else division.notes
    return replace(division, train=parts[0], valid=parts[1], notes=notes)


def _large(paths: Paths, least: int, aligned: bool) -> np.ndarray:
    def short(path: Path) -> int:
        width, height = size_of(path)
        return min(width // 2 if aligned else width, height)

    return np.array([short(path) >= least for path in paths], bool)


def _refuse_empty(division: Division) -> None:
    asks: list[tuple[str, Callable[[Part], Paths]]] = [("A", lambda p: p.a), ("B", lambda p: p.b)]
    for use, part in (("train on", division.train), ("validate with", division.valid)):
        for side, paths in asks:
            if not paths(part):
                raise SettingError(
                    f"no chips of side {side} are left to {use} (split: {division.how}); "
                    "check valid, valid_path, min_size and the stored split"
                )


def _pick(paths: Paths, chosen: np.ndarray) -> Paths:
    return tuple(path for path, keep in zip(paths, chosen, strict=True) if keep)


def common_size(sizes: Sequence[tuple[int, int]], asked: int | None) -> tuple[int, str | None]:
    """The side of what a network reads, in pixels, and a note for a person or None.

    Args:
        sizes: (width, height) of the chips found, both sides.
        asked: What ``prepare_data`` was given; None takes the chips' own size if they are all
            one square size, else the largest multiple of 4 that all of them hold.

    Raises:
        ChipError: A chip is smaller than ``asked``.
    """
    found = sorted(set(sizes))
    shown = ", ".join(f"{w} x {h}" for w, h in found[:6]) + (" ..." if len(found) > 6 else "")
    least = min(min(size) for size in found)
    if asked is not None:
        if least < asked:
            raise ChipError(
                f"chip_size={asked} does not fit chips of {shown} px; pass chip_size={least} or "
                f"less, or leave small chips out with min_size={asked}"
            )
        return asked, None
    if found == [(least, least)]:
        return least, None
    size = max(least // 4 * 4, 1)
    return size, f"chips are {shown} px; chip_size={size} is the largest multiple of 4 in them all"
