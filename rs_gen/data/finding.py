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
_KINDS = {"Pix2Pix": ("pairs", "aligned"), "CycleGAN": ("unpaired", "aligned")}
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
        twins: ``valid.a[i]`` and ``valid.b[i]`` are a pair, although the kind may be CycleGAN.
    """

    train: Part
    valid: Part
    how: str
    notes: tuple[str, ...] = ()
    twins: bool = False


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
        if kind is None:
            return _told_by_folder(find_layout(path))
        first, second = _KINDS[kind]
        try:
            return find_layout(path, first), kind
        except LayoutError as error:
            try:
                return find_layout(path, second), kind
            except LayoutError:
                raise error from None
    except PairError as error:
        text = str(error)
        for theirs, ours in _SPEECH.items():
            text = text.replace(theirs, ours)
        raise PairError(text) from error


def divide(layout: Layout, kind: str, share: float, seed: int, options: Options) -> Division:
    """The training and the validation chips.

    In this order: ``valid_path``, ``valid``, the split stored with the chips, a test folder,
    and else ``share`` of the chips drawn by ``seed``.

    Raises:
        SettingError: ``share`` or ``valid`` leave one of the two empty.
    """
    notes = _left_by_index(layout)
    everything = _training(layout)
    twins = kind == "Pix2Pix" or _are_twins(layout, everything)
    if options.valid_path is not None:
        other = find(options.valid_path, kind)[0]
        twins = kind == "Pix2Pix" or _are_twins(other, _whole(other))
        how = f"chips of {options.valid_path}"
        division = Division(everything, _whole(other), how, notes, twins)
    elif options.valid is not None:
        division = _named(_whole(layout), options.valid, kind, notes, twins)
    else:
        division = _stored(layout, everything, notes, twins) or Division(
            *_drawn(everything, share, seed, twins),
            f"{share:.3g} of the chips, drawn with seed {seed}",
            notes,
            twins,
        )
    if options.min_size is not None:
        division = _without_small(division, options.min_size, kind, layout.kind == "aligned")
    _refuse_empty(division)
    return division


def _told_by_folder(layout: Layout) -> tuple[Layout, str]:
    kinds = {"pairs": "Pix2Pix", "aligned": "Pix2Pix", "unpaired": "CycleGAN"}
    if layout.kind not in kinds:
        what = "class folders" if layout.kind == "classes" else "single images"
        raise LayoutError(
            f"{layout.root} holds {what} with no other side to translate to; image translation "
            "needs two folders such as train_a and train_b, or images with A and B side by side"
        )
    return layout, kinds[layout.kind]


def _training(layout: Layout) -> Part:
    return Part(layout.a, layout.a if layout.kind == "aligned" else layout.b)


def _whole(layout: Layout) -> Part:
    """Training and stored validation chips together."""
    a, b = layout.a + layout.valid_a, layout.b + layout.valid_b
    return Part(a, a if layout.kind == "aligned" else b)


def _are_twins(layout: Layout, part: Part) -> bool:
    """Whether chips to be used as unpaired ones are pairs, by what their folder says."""
    if layout.kind == "aligned":
        return True
    try:
        return find_layout(layout.root).kind == "pairs" and _same_stems(part)
    except PairError:
        return False


def _same_stems(part: Part) -> bool:
    stems = [[path.stem for path in side] for side in (part.a, part.b)]
    return stems[0] == stems[1] and len(set(stems[0])) == len(stems[0])


def _stored(layout: Layout, train: Part, notes: tuple[str, ...], twins: bool) -> Division | None:
    for name in ("valid", "test"):
        a = getattr(layout, f"{name}_a")
        b = a if layout.kind == "aligned" else getattr(layout, f"{name}_b")
        if a and b:
            indexed = bool(read_rows(layout.root, "split"))
            how = "stored in chips.gpkg" if indexed else f"the dataset's own {name} folders"
            part = Part(a, b)
            twins = twins and (layout.kind != "unpaired" or _same_stems(part))
            if name == "valid" and layout.test_a:
                notes += (f"{len(layout.test_a)} test chips are left alone",)
            return Division(train, part, how, notes, twins)
    return None


def _drawn(part: Part, share: float, seed: int, twins: bool) -> tuple[Part, Part]:
    held_a = split(len(part.a), share, seed, "a")
    # Twins fall on the same side, or training B would show what validation A is asked for.
    held_b = held_a if twins else split(len(part.b), share, seed, "b")
    return tuple(  # type: ignore[return-value]
        Part(_pick(part.a, held_a == valid), _pick(part.b, held_b == valid))
        for valid in (False, True)
    )


def _named(
    part: Part, names: Sequence[str], kind: str, notes: tuple[str, ...], twins: bool
) -> Division:
    wanted = {Path(name).name for name in names}
    held = [_mentioned(side, wanted) for side in (part.a, part.b)]
    if kind == "Pix2Pix":
        held = [held[0] | held[1]] * 2
    known = {word for side in (part.a, part.b) for path in side for word in (path.name, path.stem)}
    if wanted - known:
        raise SettingError(f"valid names chips that are not there: {some(sorted(wanted - known))}")
    train, valid = (
        Part(_pick(part.a, held[0] == v), _pick(part.b, held[1] == v)) for v in (False, True)
    )
    return Division(train, valid, "the chips named in valid", notes, twins and _same_stems(valid))


def _mentioned(paths: Paths, wanted: set[str]) -> np.ndarray:
    return np.array([path.name in wanted or path.stem in wanted for path in paths], bool)


def _left_by_index(layout: Layout) -> tuple[str, ...]:
    buffered = sum(split == "buffer" for (split,) in read_rows(layout.root, "split"))
    if not buffered:
        return ()
    return (f"{buffered} chips between training and validation are left out (buffer)",)


def _without_small(division: Division, least: int, kind: str, aligned: bool) -> Division:
    parts, dropped = [], 0
    for part in (division.train, division.valid):
        large = [_large(side, least, aligned) for side in (part.a, part.b)]
        if kind == "Pix2Pix":
            large = [large[0] & large[1]] * 2
        dropped += sum(int((~side).sum()) for side in large[: 1 if kind == "Pix2Pix" else 2])
        parts.append(Part(_pick(part.a, large[0]), _pick(part.b, large[1])))
    what = "pairs" if kind == "Pix2Pix" else "chips"
    notes = (*division.notes, f"{dropped} {what} smaller than {least} px are left out")
    twins = division.twins and _same_stems(parts[1])
    return replace(
        division,
        train=parts[0],
        valid=parts[1],
        notes=notes if dropped else division.notes,
        twins=division.twins if kind == "Pix2Pix" else twins,
    )


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
