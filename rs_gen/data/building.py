"""From paths to datasets: what the sides hold, their stretch, the size, the cache.

Opens a seeded sample of the chips; all of them only where ``balance`` or ``min_size`` ask for it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..chips.index import size_of
from ..chips.layouts import Layout
from ..errors import ChipError, SettingError
from .cache import ChipCache, nbytes
from .datasets import Chips, ChipSet, Files, Paired, Unpaired, one_colour, unequal
from .finding import Division, Part, common_size
from .knowing import Known, know
from .options import Options
from .side import Side
from .transforms import Augment

if TYPE_CHECKING:
    from .databunch import DataBunch

_PAIRS_LOOKED_AT = 16


@dataclass(frozen=True)
class Wish:
    """What ``prepare_data`` was asked for, checked.

    Attributes:
        kind: "Pix2Pix" or "CycleGAN".
        size: ``chip_size``, or None.
        seed: Of order and augmentation.
        augment: In training.
        bands: Of side A and of side B.
        options: All else.
        limit: Bytes that the cache may take.
    """

    kind: str
    size: int | None
    seed: int
    augment: Augment
    bands: tuple[Sequence[int | str] | None, Sequence[int | str] | None]
    options: Options
    limit: int


@dataclass(frozen=True)
class Built:
    """The datasets, and what to tell about them.

    Attributes:
        train: To train on.
        valid: To validate with.
        cached: All chips are kept in memory once read.
        sizes: (width, height) found on each side.
        notes: What a person should know.
    """

    train: ChipSet
    valid: ChipSet
    cached: bool
    sizes: tuple[tuple[tuple[int, int], ...], ...]
    notes: tuple[str, ...]


def build(layout: Layout, division: Division, wish: Wish) -> Built:
    """Both datasets.

    Raises:
        ChipError: Chips looked at are broken, unlike each other, too small, or of unequal size
            in a pair.
        SettingError: A band or a stretch does not suit the chips.
    """
    # The facts are those of the chips that are trained on.
    layout = replace(layout, a=division.train.a, b=() if _aligned(layout) else division.train.b)
    known = [
        know(
            layout, side, bands=bands, fit=wish.options.stretch_of(side),
            sample=wish.options.sample, seed=wish.seed,
        )
        for side, bands in zip("ab", wish.bands, strict=True)
    ]  # fmt: skip
    if wish.kind == "Pix2Pix" and not _aligned(layout):
        _refuse_unequal(division.train)
    size, note = common_size([s for k in known for s in k.sizes], wish.size)
    parts = [division.train, division.valid]
    sides = [_chips(part, known, size, _aligned(layout)) for part in parts]
    files = [chips.files for pair in sides for chips in pair]
    cached = keep_decoded(files, known * 2, wish.limit)
    rare, few = _rare(sides[0], wish)
    share = wish.options.rare_share()
    make = Paired if wish.kind == "Pix2Pix" else Unpaired
    train = make(*sides[0], wish.seed, wish.augment, rare=rare, share=1 if share is None else share)
    valid = make(*sides[1], wish.seed)
    if isinstance(valid, Unpaired):
        valid.twins = division.paired
    notes = (*division.notes, *([note] if note else []), *few)
    if division.drawn and known[0].side.crs:
        notes += (
            "the split was drawn chip by chip, so neighbours may lie on both sides of it and "
            "scores flatter; export_chips splits by place",
        )
    return Built(train, valid, cached, tuple(k.sizes for k in known), notes)


def cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def summary(data: DataBunch) -> str:
    """What was found and how it is used, one line a thing."""
    layout, built, division = data.layout, data._built, data._division
    train, valid = (
        counted(len(part.a), "pair") if built.train.paired else f"{len(part.a)} A, {len(part.b)} B"
        for part in (division.train, division.valid)
    )
    lines = [
        f"DataBunch for {data.kind}: {train} to train on, {valid} to validate with",
        f"folder      {layout.root} (layout {layout.name}, {layout.kind})",
        f"split       {division.how}",
        f"chips       {spoken_sizes(built.sizes)}{_cut(built, data.chip_size)}",
        f"source A    {data.a}; {spoken_stretch(data.a)}",
        f"target B    {data.b}; {spoken_stretch(data.b)}",
        f"batches     {len(data.train)} of {data.batch_size} an epoch, {_augment(built.train)}",
        f"            seed {data.seed}, {data.train.batches.num_workers} workers, device "
        f"{data.device}, {'chips kept in memory' if built.cached else 'chips read as needed'}",
        *(f"note        {note}" for note in built.notes),
    ]
    return "\n".join(lines)


def counted(count: int, thing: str, things: str | None = None) -> str:
    """A number with its noun, such as "3 pairs"; ``things`` where an s is not all there is."""
    return f"{count} {thing if count == 1 else things or thing + 's'}"


def _refuse_unequal(part: Part) -> None:
    step = max(1, len(part.a) // _PAIRS_LOOKED_AT)
    for a, b in list(zip(part.a, part.b, strict=True))[::step][:_PAIRS_LOOKED_AT]:
        sizes = size_of(a), size_of(b)
        if sizes[0] != sizes[1]:
            raise ChipError(unequal(a, sizes[0], b, sizes[1]))


def _chips(part: Part, known: list[Known], size: int, aligned: bool) -> tuple[Chips, Chips]:
    last: list = []

    def one(paths: tuple[Path, ...], of: Known, half: int) -> Chips:
        files = Files(
            paths,
            of.side.count,
            of.side.dtype,
            bands=of.bands,
            half=half if aligned else None,
            last=last,
        )
        return Chips(files, of.side, size)

    return one(part.a, known[0], 0), one(part.b, known[1], 1)


def keep_decoded(files: Sequence[Files], known: Sequence[Known], limit: int) -> bool:
    """Give all chips a place in memory, if they fit into ``limit`` bytes; True where they do.

    Args:
        files: Sets of chips.
        known: What each of them is.
        limit: For all of them together.
    """
    shapes = []
    for one, of in zip(files, known, strict=True):
        if len(of.sizes) != 1:
            return False
        width, height = of.sizes[0]
        shapes.append((len(one), (of.side.count, height, width), of.side.dtype))
    if sum(nbytes(*shape) for shape in shapes) > limit:
        return False
    for one, shape in zip(files, shapes, strict=True):
        one.cache = ChipCache(*shape)
    return True


def _rare(
    sides: tuple[Chips, Chips], wish: Wish
) -> tuple[tuple[np.ndarray | None, np.ndarray | None], list[str]]:
    """Chips to show less often on each side, and a note for each side that was looked at."""
    share = wish.options.rare_share()
    if share is None:
        return (None, None), []
    if wish.kind == "Pix2Pix":
        flat = one_colour(sides[1])
        return (flat, flat), [_few("pairs", flat, share)]
    flats = one_colour(sides[0]), one_colour(sides[1])
    notes = [_few(f"chips of {n}", flat, share) for n, flat in zip("AB", flats, strict=True)]
    return flats, notes


def _few(what: str, flat: np.ndarray, share: float) -> str:
    if flat.all():
        raise SettingError(f"balance: all {len(flat)} {what} are of one colour; leave balance out")
    return f"{int(flat.sum())} {what} are of one colour; {share:.0%} of them are shown an epoch"


def _aligned(layout: Layout) -> bool:
    return layout.kind == "aligned"


def spoken_sizes(sizes: tuple[tuple[tuple[int, int], ...], ...]) -> str:
    """The (width, height) found on each side, in words."""
    found = list(dict.fromkeys(size for side in sizes for size in side))
    shown = ", ".join(f"{w} x {h}" for w, h in found[:4])
    return f"{shown}{' and more' if len(found) > 4 else ''} px"


def _cut(built: Built, size: int) -> str:
    if all(found == (size, size) for side in built.sizes for found in side):
        return ""
    how = "at random places" if built.train.augment.random_crop else "in the middle"
    return f", cut to {size} px {how}"


def spoken_stretch(side: Side) -> str:
    """The ends of a side's stretch, in words."""
    ends = ", ".join(
        f"{low:.6g}..{high:.6g}"
        for low, high in zip(side.stretch.low[:4], side.stretch.high[:4], strict=True)
    )
    unit = " dB" if side.stretch.scale == "db" else ""
    return f"stretch {ends}{', ...' if side.count > 4 else ''}{unit}"


def _augment(train: ChipSet) -> str:
    augment = train.augment
    parts = [
        "flips and quarter turns" if augment.turns else "",
        "jitter on the source" if augment.jitter else "",
        "your transform" if augment.custom else "",
    ]
    return "with " + ", ".join(filter(None, parts)) if any(parts) else "without augmentation"
