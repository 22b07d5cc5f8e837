"""Chips with a class each: which are trained on, which are held out, and how that was drawn.

Paths only; of georeferenced chips the headers too. Held-out chips are drawn first, class by class,
so they are the same however few chips are then trained on, and whichever classes are taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..chips.files import list_folders, list_images, some
from ..chips.index import read_rows, size_of
from ..chips.layouts import Layout, find_layout
from ..chips.overlaps import overlapping
from ..errors import LayoutError, PairError, SettingError, UnknownNameError
from .draws import dice, split
from .image_options import ImageOptions

Paths = tuple[Path, ...]
Groups = Mapping[str, Paths]  # class -> its chips, sorted; "" for chips without classes


@dataclass(frozen=True)
class Labelled:
    """Chips and the class of each.

    Attributes:
        paths: The chips.
        labels: Index into the classes, one a chip; 0 where there are none.
    """

    paths: Paths
    labels: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.paths)


@dataclass(frozen=True)
class Held:
    """A dataset in two.

    Attributes:
        train: To train on.
        valid: Held out; none of it overlaps a training chip.
        pool: What the training chips were drawn from; they alone without ``n_per_class``.
        classes: Names, in the order of the labels; empty for a folder without classes.
        how: How the split was made, for a person.
        notes: What was left out, and why.
        drawn: The split is at random.
    """

    train: Labelled
    valid: Labelled
    pool: Paths
    classes: tuple[str, ...]
    how: str
    notes: tuple[str, ...] = ()
    drawn: bool = False


def find_labelled(path: str | Path) -> Layout:
    """The layout of class folders, or of a folder of chips; its kind is "classes" or "single".

    Raises:
        LayoutError: The folder is missing, holds no images, has two sides, or holds images both
            loose and in folders, so that nobody can tell which are meant.
    """
    try:
        layout = find_layout(path)
        if layout.kind == "aligned":  # one image that is twice as wide as high is an image too
            layout = find_layout(path, "single")
    except PairError:
        layout = find_layout(path, "single")
    if layout.kind not in ("classes", "single"):
        first = layout.a[0].parent
        raise LayoutError(
            f"{layout.root} holds two sides ({layout.name}); to generate images give one of them, "
            f"such as {first}"
        )
    if layout.kind == "single" and any(chip.parent == layout.root for chip in layout.a):
        _refuse_mixture(layout)
    return layout


def groups_of(paths: Sequence[Path], labels: Sequence[str]) -> dict[str, Paths]:
    """The chips of each class, sorted by path, classes sorted by name."""
    found: dict[str, list[Path]] = {}
    for path, label in zip(paths, labels or [""] * len(paths), strict=True):
        found.setdefault(label, []).append(path)
    return {label: tuple(sorted(found[label])) for label in sorted(found)}


def chosen_classes(
    known: Iterable[str], wanted: Sequence[str] | int | None, seed: int
) -> tuple[str, ...]:
    """Names of the classes to take.

    Args:
        known: All there are.
        wanted: Names, kept in this order; or a number of them, drawn by ``seed`` and sorted: with
            one seed, more classes hold the fewer ones. None takes all, sorted.
        seed: Of the draw.

    Raises:
        UnknownNameError: A class is not there.
        SettingError: There are not so many.
    """
    names = sorted(known)
    if wanted is None:
        return tuple(names)
    if isinstance(wanted, int):
        if wanted > len(names):
            raise SettingError(f"classes={wanted}: there are {len(names)}, {some(names)}")
        order = dice(seed, "classes").permutation(len(names))
        return tuple(sorted(names[i] for i in order[:wanted]))
    for name in wanted:
        if name not in names:
            raise UnknownNameError("class", name, names)
    return tuple(wanted)


def hold_out(
    layout: Layout, share: float, seed: int, options: ImageOptions, *, placed: bool = False
) -> Held:
    """The training and the held-out chips.

    Held out are, in this order: ``valid_path``, the validation or test chips that the dataset
    stores, and else ``share`` of each class, drawn by ``seed``. Of what is left ``n_per_class``
    are taken; with one seed, the larger set holds the smaller.

    Args:
        layout: From :func:`find_labelled`.
        share: To hold out, above 0 and below 1; at least one chip of each class.
        seed: Of all draws.
        options: Classes, numbers and the least size.
        placed: The chips have a place on the ground: training chips that share ground with a
            held-out one are left out.

    Raises:
        SettingError: Nothing is left to train on or to hold out, or a class has too few chips.
        UnknownNameError: There is no such class.
    """
    train, valid, how, notes = _parted(layout, options)
    if options.min_size is not None:
        train, valid, dropped = _without_small(train, valid, options.min_size)
        notes += (f"{dropped} chips smaller than {options.min_size} px are left out",)
    if options.classes is not None and layout.kind != "classes":
        raise SettingError(
            f"{layout.root} is one folder of chips without classes; leave classes out, or give the "
            "folder above it"
        )
    classes = chosen_classes(train, options.classes, seed)
    train = {name: train[name] for name in classes}
    drawn = valid is None
    if valid is None:
        train, valid = _drawn(train, share, seed)
        what = "each class" if layout.kind == "classes" else "the chips"
        how = f"{share:.3g} of {what}, drawn with seed {seed}"
    valid = {name: valid.get(name, ()) for name in classes}
    notes += _without_held_out(valid, classes)
    if placed and (drawn or options.valid_path is not None):
        train, note = _apart(layout, train, valid)
        notes += note
    pool = _flat(train, classes).paths
    train = _subset(train, options.n_per_class, seed)
    labelled = layout.kind == "classes"
    held = Held(_flat(train, classes), _flat(valid, classes), pool,
                classes if labelled else (), how, notes, drawn)  # fmt: skip
    _refuse_empty(held)
    return held


def _parted(
    layout: Layout, options: ImageOptions
) -> tuple[dict[str, Paths], dict[str, Paths] | None, str, tuple[str, ...]]:
    """Training chips, held-out chips or None if they are to be drawn, how, and notes."""
    train, notes = groups_of(layout.a, layout.labels), _left_by_index(layout)
    if options.valid_path is not None:
        other = find_labelled(options.valid_path)
        if other.kind != layout.kind or other.root.resolve() == layout.root.resolve():
            raise SettingError(
                f"valid_path={str(options.valid_path)!r} must be another dataset than "
                f"{layout.root}, and like it {'in class folders' if layout.labels else 'flat'}"
            )
        paths = other.a + other.valid_a
        return (
            train,
            groups_of(paths, other.labels + other.valid_labels),
            f"chips of {other.root}",
            notes,
        )
    for name in ("valid", "test"):
        paths = getattr(layout, f"{name}_a")
        if paths:
            indexed = bool(read_rows(layout.root, "split"))
            how = "stored in chips.gpkg" if indexed else f"the dataset's own {name} folder"
            if name == "valid" and layout.test_a:
                notes += (f"{len(layout.test_a)} test chips are left alone",)
            return train, groups_of(paths, getattr(layout, f"{name}_labels")), how, notes
    return train, None, "", notes


def _drawn(groups: Groups, share: float, seed: int) -> tuple[dict[str, Paths], dict[str, Paths]]:
    """Each class in two. What a class loses depends on its own name and chips only."""
    train, valid = {}, {}
    for name, paths in groups.items():
        if len(paths) < 2:
            raise SettingError(
                f"{_called(name)} has {len(paths)} chip; 2 are the least, one of them held out"
            )
        held = split(len(paths), share, seed, f"class {name}")
        train[name] = tuple(p for p, h in zip(paths, held, strict=True) if not h)
        valid[name] = tuple(p for p, h in zip(paths, held, strict=True) if h)
    return train, valid


def _subset(groups: Groups, count: int | None, seed: int) -> dict[str, Paths]:
    """``count`` chips of each class: the first ones of an order that ``seed`` alone decides."""
    if count is None:
        return dict(groups)
    taken = {}
    for name, paths in groups.items():
        if len(paths) < count:
            raise SettingError(
                f"n_per_class={count}, but {_called(name)} has {len(paths)} chips to train on "
                "once the held-out ones are taken away; take fewer, or leave the class out with "
                "classes="
            )
        order = dice(seed, "subset", name).permutation(len(paths))[:count]
        taken[name] = tuple(paths[i] for i in sorted(order))
    return taken


def _apart(
    layout: Layout, train: Groups, valid: Groups
) -> tuple[dict[str, Paths], tuple[str, ...]]:
    """Training chips without those that lie on the ground of a held-out one, and a note."""
    held = [path for paths in valid.values() for path in paths]
    others = [path for paths in train.values() for path in paths]
    hit = overlapping(layout.root, others, held)
    shared = {path for path, h in zip(others, hit, strict=True) if h}
    kept = {name: tuple(p for p in paths if p not in shared) for name, paths in train.items()}
    empty = [_called(name) for name, paths in kept.items() if not paths]
    if empty:
        raise SettingError(
            f"every training chip of {some(empty)} shares ground with a held-out chip; export "
            "them again without overlap, or with export_class_chips, which splits by place"
        )
    notes = (f"{len(shared)} training chips that share ground with held-out ones are left out",)
    return kept, notes if shared else ()


def _without_small(
    train: Groups, valid: Groups | None, least: int
) -> tuple[dict[str, Paths], dict[str, Paths] | None, int]:
    def large(groups: Groups) -> dict[str, Paths]:
        kept = {n: tuple(p for p in g if min(size_of(p)) >= least) for n, g in groups.items()}
        return {name: paths for name, paths in kept.items() if paths}

    before = sum(map(len, [*train.values(), *(valid or {}).values()]))
    kept, held = large(train), None if valid is None else large(valid)
    after = sum(map(len, [*kept.values(), *(held or {}).values()]))
    return kept, held, before - after


def _without_held_out(valid: Groups, classes: Sequence[str]) -> tuple[str, ...]:
    bare = [name for name in classes if not valid[name]]
    return (f"no held-out chips of class {some(bare)}",) if bare else ()


def _left_by_index(layout: Layout) -> tuple[str, ...]:
    buffered = sum(part == "buffer" for (part,) in read_rows(layout.root, "split"))
    note = f"{buffered} chips between training and validation are left out (buffer)"
    return (note,) if buffered else ()


def _flat(groups: Groups, classes: Sequence[str]) -> Labelled:
    paths = tuple(path for name in classes for path in groups[name])
    labels = tuple(i for i, name in enumerate(classes) for _ in groups[name])
    return Labelled(paths, labels)


def _refuse_mixture(layout: Layout) -> None:
    folders = [f for f in list_folders(layout.root) if list_images(layout.root / f)]
    if folders:
        loose = [chip.name for chip in layout.a]
        raise LayoutError(
            f"{layout.root} holds images that lie loose ({some(loose, 3)}) and others in folders "
            f"({some(folders, 3)}); move the loose ones away for class folders, or the folders "
            "for chips without classes"
        )


def _refuse_empty(held: Held) -> None:
    for use, part in (("train on", held.train), ("hold out", held.valid)):
        if not len(part):
            raise SettingError(
                f"no chips are left to {use} (split: {held.how}); check classes, min_size and "
                "the stored split"
            )


def _called(name: str) -> str:
    return f"class {name!r}" if name else "the folder"
