"""Datasets whose sides A and B are two folders."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ..errors import LayoutError, PairError
from .files import list_images
from .index import read_card, read_footprints, read_rows
from .pairing import Match, all_matched, match_places, match_stems
from .splits import Found


class Convention(NamedTuple):
    """One way to name the two folders.

    Attributes:
        name: What we call it.
        train: The folders of side A and side B.
        others: Folders of other splits, as (split, A, B); the first that exists counts.
        kind: What the convention says the sides are; None lets the stems tell.
    """

    name: str
    train: tuple[str, str]
    others: tuple[tuple[str, str, str], ...] = ()
    kind: str | None = None


def _others(a: str, b: str) -> tuple[tuple[str, str, str], ...]:
    """Folders of the other splits; ``a`` and ``b`` have a gap for the split's name."""
    words = {"valid": "valid", "val": "valid", "test": "test"}
    return tuple((split, a.format(word), b.format(word)) for word, split in words.items())


CONVENTIONS = (
    Convention("rs_gen", ("train_a", "train_b"), _others("{}_a", "{}_b")),
    Convention("images_train", ("Images/train_a", "Images/train_b"),
               _others("Images/{}_a", "Images/{}_b")),
    Convention("esri_cyclegan", ("A/images", "B/images"), kind="unpaired"),
    Convention("esri_pairs", ("images", "images2"), kind="pairs"),
    Convention("unaligned", ("trainA", "trainB"), _others("{}A", "{}B"), "unpaired"),
    Convention("prompts", ("train_A", "train_B"), _others("{}_A", "{}_B"), "unpaired"),
)  # fmt: skip


def find(root: Path, kind: str | None) -> Found | None:
    """What ``root`` holds, if it has both sides of a convention, or one (see ``_one_side``).

    Raises:
        LayoutError: A side holds no images, or ``kind`` is neither pairs nor unpaired.
        PairError: A side is missing, or chips of pairs have no partner.
    """
    for convention in CONVENTIONS:
        if all((root / folder).is_dir() for folder in convention.train):
            return _both_sides(root, convention, kind)
    for convention in CONVENTIONS:
        there = [folder for folder in convention.train if (root / folder).is_dir()]
        if there and there != ["images"]:  # images alone is one raster from ArcGIS Pro
            return _one_side(root, convention, there[0], kind)
    return None


def _both_sides(root: Path, convention: Convention, kind: str | None) -> Found:
    listed = {f: list_images(root / f) for f in convention.train}
    for folder, names in listed.items():
        if not names:
            raise LayoutError(f"there are no images in {root / folder}")
    kind = kind or convention.kind or _kind(root, *convention.train, *listed.values())
    if kind not in ("pairs", "unpaired"):
        raise LayoutError(
            f"{root} has two sides, {' and '.join(convention.train)}, and can't be read as {kind!r}"
        )
    stored = _stored_splits(root)
    found = Found(convention.name, kind)
    for split, *folders in _split_folders(root, convention):
        a, b = (listed.get(folder) or list_images(root / folder) for folder in folders)
        if kind == "pairs":
            a, b = _paired(root, folders[0], folders[1], a, b)
        for folder, names, side in zip(folders, (a, b), (0, 1), strict=True):
            for name in (f"{folder}/{name}" for name in names):
                where = stored.get(name, split)
                if where in found.sides:  # a chip in the buffer between the splits is in neither
                    found.sides[where][side].append(name)
    return found


def _one_side(root: Path, convention: Convention, folder: str, kind: str | None) -> Found:
    card = read_card(root)
    if kind != "single" and (card is None or card.get("b") is not None):
        missing = next(name for name in convention.train if name != folder)
        raise PairError(
            f"{root} has {folder} but not {missing}; add it, or pass kind='single' if these chips"
            " have no other side"
        )
    found, stored = Found(convention.name, "single"), _stored_splits(root)
    for name in (f"{folder}/{name}" for name in list_images(root / folder)):
        where = stored.get(name, "train")
        if where in found.sides:
            found.sides[where][0].append(name)
    if not any(sides[0] for sides in found.sides.values()):
        raise LayoutError(f"there are no images in {root / folder}")
    return found


def _split_folders(root: Path, convention: Convention) -> Iterator[tuple[str, str, str]]:
    """(split, A, B) of the training folders and of those of other splits that exist."""
    yield "train", *convention.train
    for split, a, b in convention.others:
        there = [folder for folder in (a, b) if (root / folder).is_dir()]
        if len(there) == 1:
            missing = b if there == [a] else a
            raise PairError(f"{root} has {there[0]} but not {missing}; add it, or move it away")
        if there:
            yield split, a, b


def _kind(root: Path, folder_a: str, folder_b: str, a: list[str], b: list[str]) -> str:
    """Pairs or unpaired: by the card, else by whether most stems agree, else by the index."""
    card = read_card(root)
    if card is not None and "paired" in card:
        return "pairs" if card["paired"] else "unpaired"
    match = match_stems(a, b)
    if 2 * len(match.pairs) > min(len(a), len(b)):
        return "pairs"
    return "pairs" if _in_place(root, folder_a, folder_b, a, b).pairs else "unpaired"


def _paired(
    root: Path, folder_a: str, folder_b: str, a: list[str], b: list[str]
) -> tuple[list[str], list[str]]:
    """Both sides in the order of their pairs."""
    match = match_stems(a, b)
    if match.only_a or match.only_b:
        by_place = _in_place(root, folder_a, folder_b, a, b)
        match = max(match, by_place, key=lambda m: len(m.pairs))
    remedy = "Add or remove chips, or pass kind='unpaired' if they were never pairs"
    pairs = all_matched(match, str(root / folder_a), str(root / folder_b), remedy)
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def _in_place(root: Path, folder_a: str, folder_b: str, a: list[str], b: list[str]) -> Match:
    """Pairs by their footprints in chips.gpkg; none where there is no such file."""
    footprints = read_footprints(root)
    sides = [
        {name: footprints[f"{folder}/{name}"] for name in names if f"{folder}/{name}" in footprints}
        for folder, names in ((folder_a, a), (folder_b, b))
    ]
    pairs = match_places(*sides).pairs if all(sides) else []
    paired_a, paired_b = {p[0] for p in pairs}, {p[1] for p in pairs}
    return Match(pairs, [n for n in a if n not in paired_a], [n for n in b if n not in paired_b])


def _stored_splits(root: Path) -> dict[str, str]:
    """Split of each chip that chips.gpkg names; empty without one."""
    return {
        name: split
        for a, b, split in read_rows(root, "a", "b", "split")
        for name in (a, b)
        if name and split
    }
