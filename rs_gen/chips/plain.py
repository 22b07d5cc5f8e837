"""Datasets with one side: class folders, images side by side in one file, and plain folders."""

from __future__ import annotations

from pathlib import Path

from ..errors import LayoutError
from .files import list_folders, list_images, some
from .index import read_card, read_rows
from .reading import size_of
from .splits import Found, Sides

_SPLIT_NAMES = {"train": "train", "valid": "valid", "val": "valid", "validation": "valid",
                "test": "test"}  # fmt: skip
_LOOKED_AT = 8  # images whose header is read to see whether they are two side by side


def find(root: Path, kind: str | None) -> Found | None:
    """What a folder without two sides holds; None when it has no images at all."""
    folders = list_folders(root)
    flat = list_images(root, deep=False)
    splits = {name: _SPLIT_NAMES[name.lower()] for name in folders if name.lower() in _SPLIT_NAMES}
    if not flat and "train" in splits.values():
        return _with_splits(root, splits, kind)
    if flat and kind is None and (read_card(root) or {}).get("style") == "classes":
        flat = []  # a mosaic or a preview beside the class folders of an export
        return _classes(root, {"train": [n for n in list_images(root) if "/" in n]}, kind)
    if flat and kind != "classes":
        return _flat("flat", root, {"train": (flat, [])}, kind)
    if folders == ["images"] or (kind == "single" and folders):
        name = "esri_tiles" if folders == ["images"] else "flat"
        names = list_images(root)
        return _flat(name, root, {"train": (names, [])}, kind) if names else None
    return _classes(root, {"train": list_images(root)}, kind)


def _with_splits(root: Path, folders: dict[str, str], kind: str | None) -> Found | None:
    names: dict[str, list[str]] = {"train": [], "valid": [], "test": []}
    for folder, split in folders.items():
        names[split] += [f"{folder}/{name}" for name in list_images(root / folder)]
    if kind == "classes" or any(name.count("/") > 1 for name in names["train"]):
        return _classes(root, names, kind, depth=1)
    return _flat("flat", root, {split: (n, []) for split, n in names.items()}, kind)


def _flat(name: str, root: Path, sides: dict[str, Sides], kind: str | None) -> Found:
    """Single images, or aligned ones if they are twice as wide as high."""
    names = sides["train"][0]
    aligned = kind != "single" and looks_aligned([root / n for n in _spread(names)])
    if kind == "aligned" and not aligned:
        sizes = {size_of(root / n) for n in _spread(names)}
        shown = ", ".join(f"{w} x {h} px" for w, h in sorted(sizes))
        raise LayoutError(
            f"{root} can't be read as 'aligned': an image with A left and B right is twice as wide"
            f" as high, and these are {shown}"
        )
    found = Found("aligned", "aligned") if aligned else Found(name, "single")
    found.sides.update(_by_index(root, sides))
    return found


def looks_aligned(paths: list[Path]) -> bool:
    """True where every image is about twice as wide as high (within 5 %), so A and B side by side.

    Raises:
        LayoutError: An image is twice as wide as high, but of odd width: its halves differ.
    """
    sizes = {path: size_of(path) for path in paths}
    if not sizes or not all(1.9 * h <= w <= 2.1 * h for w, h in sizes.values()):
        return False
    odd = {path.name: size for path, size in sizes.items() if size[0] % 2}
    if odd:
        name, (width, height) = next(iter(odd.items()))
        raise LayoutError(
            f"{name} is {width} x {height} px: A and B side by side need an even width; crop it,"
            " or pass kind='single' if it is one image"
        )
    return True


def _classes(
    root: Path, names: dict[str, list[str]], kind: str | None, depth: int = 0
) -> Found | None:
    """Images by the folder they lie in, below ``depth`` folders for the split."""
    loose = [n for n in names["train"] if n.count("/") == depth]
    if loose:
        raise LayoutError(
            f"{root} can't be read as class folders: these images lie in none: {some(loose)}"
        )
    if not names["train"] or kind not in (None, "classes"):
        return None if not names["train"] else Found("classes", "classes", _sides(names))
    found = Found("classes", "classes", label=lambda n: "/".join(n.split("/")[depth:-1]))
    found.sides.update(_by_index(root, _sides(names)))
    return found


def _sides(names: dict[str, list[str]]) -> dict[str, Sides]:
    return {split: (names.get(split, []), []) for split in ("train", "valid", "test")}


def _by_index(root: Path, sides: dict[str, Sides]) -> dict[str, Sides]:
    """The same chips, where chips.gpkg stores a split by that one."""
    stored = dict(read_rows(root, "a", "split"))
    if not stored:
        return sides
    moved: dict[str, Sides] = {split: ([], []) for split in ("train", "valid", "test")}
    for split, (names, _) in sides.items():
        for name in names:
            where = stored.get(name) or split
            if where in moved:
                moved[where][0].append(name)
    return moved


def _spread(names: list[str]) -> list[str]:
    """A few names from first to last."""
    step = max(1, len(names) // _LOOKED_AT)
    return names[::step][:_LOOKED_AT]
