"""Chips with a class each become batches of images and labels, to generate from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from ..chips.index import grid_of
from ..chips.layouts import Layout
from ..errors import SettingError
from ..networks.device import pick_device
from .building import counted, keep_decoded, spoken_sizes, spoken_stretch
from .bunch import Bunch, ChipLoader, folder_for_models, usual_workers
from .cache import budget
from .datasets import Chips, Files
from .draws import dice
from .finding import common_size
from .image_options import ImageOptions
from .images import Images
from .knowing import Known, know
from .labelled import Held, find_labelled, hold_out
from .loader import Draw, check_whole
from .side import Side
from .transforms import Augment

KIND, BATCH_SIZE, MOST_SHOWN = "ImageGeneration", 32, 8


class ImageBunch(Bunch):
    """Training and held-out batches of images with their classes.

    A batch is (images, labels): (B, C, H, W) float32 in [-1, 1] and (B,) int64. What was not
    measured is 0; without classes every label is 0.

    Attributes:
        kind: "ImageGeneration"; also as ``dataset_type``.
        a: What the chips hold, with their stretch, after ``shrink``; ``b`` is the same.
        classes: Names of the classes, in the order of the labels; empty without classes.
        c: Number of classes.
        n_channel: Bands.
        chip_size: Side of an image, in pixels.
        shrink: Pixels averaged into one, down and across.
        path: The dataset's folder. Nothing is written there.
        working_dir: Where models and logs go.
        seed: Of split, subsets, order and augmentation.
        layout: The folders found.
    """

    def __init__(
        self,
        train: ChipLoader,
        valid: ChipLoader,
        *,
        layout: Layout,
        known: Known,
        held: Held,
        working_dir: Path,
        seed: int,
        cached: bool,
        notes: Sequence[str] = (),
    ):
        super().__init__(
            train, valid, layout=layout, kind=KIND, working_dir=working_dir, seed=seed,
            chip_size=train.dataset.chips.size, notes=[*held.notes, *notes], cached=cached,
        )  # fmt: skip
        self.a: Side = train.dataset.chips.side
        self.b, self.n_channel = self.a, self.a.count
        self.classes, self.c = list(held.classes), len(held.classes)
        self.shrink, self.paired_valid = train.dataset.chips.shrink, False
        self._held, self._sizes = held, known.sizes

    def images(
        self, split: str = "valid", n: int | None = None, *, seed: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """Chips as they are, not augmented: (N, C, H, W) in [-1, 1] and their (N,) labels.

        Args:
            split: "valid" for the held-out chips, which a generator is measured against, or
                "train".
            n: How many, drawn without replacement; None for all, in order. With one seed, more
                hold the fewer.
            seed: Of the draw; None for the bunch's own.

        Raises:
            SettingError: There is no such split, or there are not so many.
        """
        if split not in ("train", "valid"):
            raise SettingError(f"split={split!r} is neither 'train' nor 'valid'")
        chips: Images = self.train_ds if split == "train" else self.valid_ds
        if n is None:
            return chips.stack()
        there = len(chips.labels)
        if check_whole("n", n, 1) > there:
            raise SettingError(f"n={n}: there are {there} chips in split {split!r}")
        order = dice(self.seed if seed is None else seed, "look", split).permutation(there)
        return chips.stack(order[:n])

    def show_batch(self, rows: int = 4, rgb_bands: Any = None, valid: bool = False) -> Any:
        """A figure of chips, a column for each class, augmented as in the first epoch.

        Args:
            rows: Chips of each class, at most those there are in all of the classes shown.
            rgb_bands: As :func:`rs_gen.data.show.grid_figure` takes them.
            valid: Show held-out chips.

        Returns:
            A ``matplotlib.figure.Figure``: a notebook displays it, ``savefig`` writes it. With
            more than eight classes the first eight are shown.
        """
        from .show import grid_figure

        chips: Images = self.valid_ds if valid else self.train_ds
        columns = self._columns(chips, check_whole("rows", rows, 1))
        shown = {head: np.stack([chips.draw(d)[0].numpy() for d in draws])
                 for head, draws in columns.items()}  # fmt: skip
        left = self.c - len(shown)
        return grid_figure(
            shown,
            sides=dict.fromkeys(shown, self.a),
            rgb_bands=rgb_bands,
            title=f"{left} more classes are not shown" if left > 0 else None,
        )

    def summary(self) -> str:
        """What was found and how it is used, for a person."""
        train, valid, batches = self._held.train, self._held.valid, self.train.batches
        named = f" of {counted(self.c, 'class', 'classes')}" if self.c else ""
        larger = any(
            size != (self.chip_size,) * 2 for size in after_shrinking(self._sizes, self.shrink)
        )
        cut = f", cut to {self.chip_size} px" if larger else ""
        less = (
            f", {self.shrink} x {self.shrink} pixels averaged into one" if self.shrink > 1 else ""
        )
        lines = [
            f"DataBunch for {self.kind}: {counted(len(train), 'chip')}{named} to train on, "
            f"{len(valid)} held out",
            f"folder      {self.layout.root} (layout {self.layout.name}, {self.layout.kind})",
            f"split       {self._held.how}",
            *self._class_lines(),
            f"chips       {spoken_sizes((self._sizes,))}{less}{cut}",
            f"images      {self.a}; {spoken_stretch(self.a)}",
            f"batches     {len(self.train)} of {self.batch_size} an epoch, {self._augmented()}",
            f"            seed {self.seed}, {batches.num_workers} workers, device {self.device}, "
            f"{'chips kept in memory' if self._cached else 'chips read as needed'}",
            *(f"note        {note}" for note in self._notes),
        ]
        return "\n".join(lines)

    def _columns(self, chips: Images, rows: int) -> dict[str, list[Draw]]:
        """Heading -> the first draws of epoch 0 that show this class; each chip once."""
        found: dict[int, dict[int, Draw]] = {}
        for position, (index,) in enumerate(chips.order(0).tolist()):
            of_class = found.setdefault(int(chips.labels[index]), {})
            of_class.setdefault(index, Draw(0, position, (index,)))
        if not self.classes:
            draws = list(found[0].values())
            wide = min(4, len(draws))
            rows = min(rows, len(draws) // wide)
            return {f"chips {i + 1}": draws[i * rows : (i + 1) * rows] for i in range(wide)}
        shown = [i for i in range(self.c) if i in found][:MOST_SHOWN]
        rows = min(rows, *(len(found[i]) for i in shown)) if shown else 0
        return {self.classes[i]: list(found[i].values())[:rows] for i in shown}

    def _class_lines(self) -> list[str]:
        if not self.classes:
            return []
        counts = [np.bincount(part.labels, minlength=self.c).tolist()
                  for part in (self._held.train, self._held.valid)]  # fmt: skip
        each = [f"{name} {t} + {v}" for name, t, v in zip(self.classes, *counts, strict=True)]
        more = f" and {len(each) - 12} more" if len(each) > 12 else ""
        return [f"classes     {', '.join(each[:12])}{more} (training + held out)"]

    def _augmented(self) -> str:
        dataset: Images = self.train_ds
        parts = ["flips and quarter turns"] if dataset.augment.turns else []
        parts += ["your transform"] if dataset.custom is not None else []
        return "with " + ", ".join(parts) if parts else "without augmentation"


def prepare_images(
    path: Path,
    chip_size: int | None = None,
    val_split_pct: float = 0.1,
    *,
    batch_size: int | None = None,
    transforms: Any = None,
    seed: int = 42,
    bands: Any = None,
    working_dir: str | Path | None = None,
    **options: Any,
) -> ImageBunch:
    """What ``prepare_data`` gives for ``dataset_type="ImageGeneration"``; described there."""
    chosen = ImageOptions.of(options)
    count = BATCH_SIZE if batch_size is None else check_whole("batch_size", batch_size, 1)
    asked = None if chip_size is None else check_whole("chip_size", chip_size, 1)
    seed, device = check_whole("seed", seed, -(2**63)), pick_device(chosen.device)  # type: ignore[arg-type]
    custom = transforms if callable(transforms) else None
    augment = Augment.of(None if custom else transforms)
    limit, layout = budget(chosen.cache), find_labelled(path)
    placed = grid_of(layout.a[0]).crs is not None
    held = hold_out(layout, val_split_pct, seed, chosen, placed=placed)
    # Of all that n_per_class draws from: fewer chips must not mean another stretch.
    known = know(replace(layout, a=held.pool), bands=bands, fit=chosen.fit,
                 sample=chosen.sample, seed=seed)  # fmt: skip
    side = shrunk(known.side, chosen.shrink)
    size, note = common_size(after_shrinking(known.sizes, chosen.shrink), asked)
    files = [Files(part.paths, side.count, side.dtype, bands=known.bands)
             for part in (held.train, held.valid)]  # fmt: skip
    cached = keep_decoded(files, [known] * 2, limit)
    chips = [Chips(one, side, size, shrink=chosen.shrink) for one in files]
    length = chosen.epoch_items or -(-len(held.train) // count) * count
    train = Images(chips[0], held.train.labels, seed, augment, custom=custom, length=length)
    valid = Images(chips[1], held.valid.labels, seed)
    workers = usual_workers(cached, device) if chosen.num_workers is None else chosen.num_workers
    load: dict[str, Any] = {
        "num_workers": workers, "start_method": chosen.start_method, "device": device,
    }  # fmt: skip
    return ImageBunch(
        ChipLoader(train, count, **load), ChipLoader(valid, count, **load),
        layout=layout, known=known, held=held, seed=seed, cached=cached,
        working_dir=folder_for_models(layout.root, working_dir),
        notes=[*([note] if note else []), *_flattering(held, placed)],
    )  # fmt: skip


def shrunk(side: Side, factor: int) -> Side:
    """The side with pixels ``factor`` times larger."""
    if side.resolution is None or factor == 1:
        return side
    return replace(side, resolution=side.resolution * factor)


def after_shrinking(sizes: Sequence[tuple[int, int]], shrink: int) -> list[tuple[int, int]]:
    """(width, height) after averaging."""
    return [(width // shrink, height // shrink) for width, height in sizes]


def _flattering(held: Held, placed: bool) -> list[str]:
    if not (held.drawn and placed):
        return []
    return [
        "the held-out chips were drawn chip by chip, so neighbours of training chips are among "
        "them and scores flatter; export_class_chips splits by place"
    ]
