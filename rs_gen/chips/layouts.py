"""What a folder of chips is: the dataset conventions that rs_gen reads.

==================  =======================================  =====================================
name                folders                                  kind
==================  =======================================  =====================================
``rs_gen``          ``train_a train_b`` (``valid_a ...``)    pairs where the stems agree, else
                                                             unpaired
``images_train``    ``Images/train_a Images/train_b``        as ``rs_gen`` (arcgis.learn, by hand)
``esri_cyclegan``   ``A/images B/images``                    unpaired (ArcGIS Pro "CycleGAN")
``esri_pairs``      ``images images2``                       pairs (ArcGIS Pro "Export Tiles")
``esri_tiles``      ``images``                               single
``unaligned``       ``trainA trainB`` (``testA testB``)      unpaired (CycleGAN, CUT)
``prompts``         ``train_A train_B`` (``test_A test_B``)  unpaired (img2img-turbo)
``aligned``         images twice as wide as high, or         aligned: left half A, right half B
                    ``train val test`` of those
``classes``         a folder for each class                  classes
``flat``            images                                   single
==================  =======================================  =====================================

Nothing is written into a folder that is only read. Sidecars are skipped, subfolders of a side are
part of it, and a stored split (the ``split`` column of chips.gpkg) is honoured.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ..errors import LayoutError, UnknownNameError
from . import plain, sided
from .files import existing_folder
from .splits import Found

KINDS = ("pairs", "unpaired", "aligned", "classes", "single")


@dataclass(frozen=True)
class Layout:
    """The chips of a dataset, by side and split. Nothing has been opened yet.

    Attributes:
        name: Convention, as in the table at the top of this module.
        kind: ``pairs`` (``a[i]`` belongs to ``b[i]``), ``unpaired``, ``aligned`` (``a`` holds
            files whose left half is A and whose right half is B; ``b`` is empty), ``classes``
            (``labels[i]`` is the class of ``a[i]``) or ``single``.
        root: The dataset's folder.
        a: Chips to train on, side A.
        b: As ``a``, side B; empty for the kinds with one side.
        valid_a: Chips of the stored validation split; empty where there is none.
        valid_b: As ``valid_a``, side B.
        test_a: Chips of a stored test split.
        test_b: As ``test_a``, side B.
        labels: Class of each chip in ``a``; empty unless the kind is ``classes``.
        valid_labels: Class of each chip in ``valid_a``.
        test_labels: Class of each chip in ``test_a``.
    """

    name: str
    kind: str
    root: Path
    a: tuple[Path, ...]
    b: tuple[Path, ...] = ()
    valid_a: tuple[Path, ...] = ()
    valid_b: tuple[Path, ...] = ()
    test_a: tuple[Path, ...] = ()
    test_b: tuple[Path, ...] = ()
    labels: tuple[str, ...] = field(default=(), repr=False)
    valid_labels: tuple[str, ...] = field(default=(), repr=False)
    test_labels: tuple[str, ...] = field(default=(), repr=False)

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names, sorted."""
        return tuple(sorted({*self.labels, *self.valid_labels, *self.test_labels}))

    def __repr__(self) -> str:
        sides = ("a", "b", "valid_a", "valid_b", "test_a", "test_b")
        counts = ", ".join(f"{s}: {len(getattr(self, s))}" for s in sides if getattr(self, s))
        return f"Layout({self.name}, {self.kind}, {counts}, {str(self.root)!r})"


def find_layout(path: str | Path, kind: str | None = None) -> Layout:
    """The layout of the dataset in the folder ``path``, recognised by its folders' names.

    Pairs are matched by stem, or, where the stems differ and a chips.gpkg tells the footprints,
    by place; never by position. ``train_a train_b`` (also inside ``Images``) are pairs when their
    stems agree and unpaired when hardly any does (at most half of the smaller side).

    Args:
        path: Folder that holds the dataset.
        kind: Force ``pairs``, ``unpaired``, ``aligned``, ``classes`` or ``single``. None lets the
            folder tell.

    Raises:
        LayoutError: The folder is missing, holds no images, or can't be read as ``kind``.
        PairError: One side of a pair is missing, or chips have no partner (up to ten are named).
        UnknownNameError: There is no such ``kind``.
    """
    if kind is not None and kind not in KINDS:
        raise UnknownNameError("dataset kind", kind, KINDS)
    root = existing_folder(path)
    found = sided.find(root, kind) or plain.find(root, kind)
    if found is None or not found.sides["train"][0]:
        raise LayoutError(_nothing(root, found))
    if kind is not None and found.kind != kind:
        raise LayoutError(
            f"{root} is laid out as {found.name} ({found.kind}) and can't be read as {kind!r}"
        )
    return _layout(root, found)


def _layout(root: Path, found: Found) -> Layout:
    chips = {
        side + "_" + end: tuple(root / name for name in names)
        for side, sides in found.sides.items()
        for end, names in zip("ab", sides, strict=True)
    }
    labels = {}
    if found.kind == "classes":
        labels = {split: tuple(map(found.label, a)) for split, (a, _) in found.sides.items()}
    return Layout(
        found.name,
        found.kind,
        root,
        a=chips["train_a"],
        b=chips["train_b"],
        valid_a=chips["valid_a"],
        valid_b=chips["valid_b"],
        test_a=chips["test_a"],
        test_b=chips["test_b"],
        labels=labels.get("train", ()),
        valid_labels=labels.get("valid", ()),
        test_labels=labels.get("test", ()),
    )


def _nothing(root: Path, found: Found | None) -> str:
    if found is not None:
        return f"{root} holds no chips to train on; its stored split has none"
    return (
        f"there are no images in {root}, nor in its folders; expected train_a and train_b, images"
        " and images2, A/images and B/images, trainA and trainB, a folder for each class, or images"
    )
