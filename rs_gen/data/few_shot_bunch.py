"""Class folders become episodes of seen classes, and unseen classes to test with."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..chips.files import some
from ..chips.layouts import Layout, find_layout
from ..errors import LayoutError, SettingError, UnknownNameError
from ..networks.device import pick_device
from ..raster.files import whole_or_not
from .building import counted, keep_decoded, spoken_sizes, spoken_stretch
from .bunch import Bunch, ChipLoader, folder_for_models, usual_workers
from .cache import budget
from .datasets import Chips, Files
from .episodes import Episodes
from .few_shot_options import FewShotOptions, split_classes
from .finding import common_size
from .imagebunch import after_shrinking, shrunk
from .knowing import Known, know
from .labelled import Paths, chosen_classes, groups_of
from .loader import check_whole
from .side import Side

KIND, BATCH_SIZE, FEW_CLASSES = "FewShot", 8, 10


class FewShotBunch(Bunch):
    """Episodes of seen classes to train on, and of unseen ones to test with.

    A batch is (supports, targets, labels): (B, shots, C, H, W) and (B, targets, C, H, W) float32
    in [-1, 1], (B,) int64. What was not measured is 0.

    Attributes:
        kind: "FewShot"; also as ``dataset_type``.
        a: What the chips hold, with their stretch; ``b`` is the same.
        seen: Names of the classes that are trained on, in the order of the labels.
        unseen: Names of the classes that are kept for tests.
        shots: Support images of an episode.
        turns: Whether flips and quarter turns keep the class.
        two_valued: Nearly all pixels have one of two values, as in drawings.
        n_channel: Bands.
        c: Number of seen classes.
        shrink: Pixels averaged into one, down and across.
        chip_size: Side of an image, in pixels.
        seed: Of split, order, choice and turning.
    """

    def __init__(
        self, train: ChipLoader, valid: ChipLoader, *, seen: tuple[str, ...],
        unseen: tuple[str, ...], known: Known, turns: bool, **common: Any,
    ):  # fmt: skip
        super().__init__(train, valid, kind=KIND, **common)
        dataset: Episodes = train.dataset
        self.a: Side = dataset.chips.side
        self.b, self.n_channel, self.shrink = self.a, self.a.count, dataset.chips.shrink
        self.seen, self.unseen, self.c = seen, unseen, len(seen)
        self.shots, self.turns = dataset.shots, turns
        self.bands = None if known.bands is None else list(known.bands)
        self.classes, self._sizes = list(seen), known.sizes
        self.two_valued = _two_valued(dataset)

    def images(self, name: str, n: int | None = None) -> Tensor:
        """(N, C, H, W) in [-1, 1]: chips of a class, seen or not; None for all of them.

        Raises:
            UnknownNameError: There is no such class.
        """
        for names, dataset in ((self.seen, self.train_ds), (self.unseen, self.valid_ds)):
            if name in names:
                return dataset.images_of(names.index(name), n)
        raise UnknownNameError("class", name, (*self.seen, *self.unseen))

    def paths(self, name: str) -> Paths:
        """Files of a class.

        Raises:
            UnknownNameError: There is no such class.
        """
        for names, dataset in ((self.seen, self.train_ds), (self.unseen, self.valid_ds)):
            if name in names:
                files = dataset.chips.files.paths
                return tuple(files[i] for i in dataset.by_class[names.index(name)])
        raise UnknownNameError("class", name, (*self.seen, *self.unseen))

    def split(self) -> dict[str, Any]:
        """Which classes are seen and which are not, as plain JSON."""
        return {"seen": list(self.seen), "unseen": list(self.unseen), "seed": self.seed,
                "shots": self.shots, "turns": self.turns, "shrink": self.shrink}  # fmt: skip

    def save_split(self, path: str | Path) -> Path:
        """Write ``split`` to a file, which ``prepare_data(unseen=)`` takes."""
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with whole_or_not(path) as part:
            part.write_text(json.dumps(self.split(), indent=1), encoding="utf-8")
        return Path(path)

    def show_batch(self, rows: int = 4, rgb_bands: Any = None, valid: bool = False) -> Any:
        """A figure of episodes, a row each: support images, then targets.

        Args:
            rows: Episodes.
            rgb_bands: As :func:`rs_gen.data.show.grid_figure` takes them.
            valid: Show unseen classes.
        """
        from .show import grid_figure

        dataset: Episodes = self.valid_ds if valid else self.train_ds
        names = self.unseen if valid else self.seen
        shown = [dataset[i] for i in range(min(check_whole("rows", rows, 1), len(dataset)))]
        columns = {}
        for part, head in enumerate(("support", "target")):
            for i in range(len(shown[0][part])):
                columns[f"{head} {i + 1}"] = torch.stack([episode[part][i] for episode in shown])
        return grid_figure(
            columns, sides=dict.fromkeys(columns, self.a), rgb_bands=rgb_bands, width=1.2,
            captions=[names[int(label)] for _, _, label in shown],
        )  # fmt: skip

    def summary(self) -> str:
        """What was found and how it is used, for a person."""
        train, batches = self.train_ds, self.train.batches
        turned = "turned and flipped by chance" if self.turns else "as they are"
        less = (
            f", {self.shrink} x {self.shrink} pixels averaged into one" if self.shrink > 1 else ""
        )
        lines = [
            f"DataBunch for {self.kind}: {counted(len(train.labels), 'chip')} of "
            f"{counted(self.c, 'seen class', 'seen classes')}, {len(self.valid_ds.labels)} of "
            f"{len(self.unseen)} unseen",
            f"folder      {self.layout.root}",
            f"unseen      {some(self.unseen, 12)}",
            f"chips       {spoken_sizes((self._sizes,))}{less}, {self.chip_size} px used",
            f"images      {self.a}; {spoken_stretch(self.a)}",
            f"episodes    {train.shots} support images and {train.targets} targets, {turned}",
            f"batches     {len(self.train)} of {self.batch_size} an epoch, seed {self.seed}, "
            f"{batches.num_workers} workers, device {self.device}",
            *(f"note        {note}" for note in self._notes),
        ]
        return "\n".join(lines)


def prepare_few_shot(
    path: Path, chip_size: int | None = None, *, batch_size: int | None = None,
    transforms: Any = None, seed: int = 42, bands: Any = None,
    working_dir: str | Path | None = None, **options: Any,
) -> FewShotBunch:  # fmt: skip
    """What ``prepare_data`` gives for ``dataset_type="FewShot"``; described there."""
    chosen = FewShotOptions.of(options)
    if transforms not in (None, True, False):
        raise SettingError("few-shot data know transforms=True, False or None, and turns=")
    count = BATCH_SIZE if batch_size is None else check_whole("batch_size", batch_size, 1)
    asked = None if chip_size is None else check_whole("chip_size", chip_size, 8)
    seed, device = check_whole("seed", seed, -(2**63)), pick_device(chosen.device)  # type: ignore[arg-type]
    layout, groups = _groups(path, chosen, seed)
    targets, groups, notes = _enough(groups, chosen)
    seen, unseen = split_classes(list(groups), chosen.unseen, seed)
    known = know(_of(layout, groups, seen), bands=bands, fit=chosen.fit,
                 sample=chosen.sample, seed=seed)  # fmt: skip
    side = shrunk(known.side, chosen.shrink)
    size, note = common_size(after_shrinking(known.sizes, chosen.shrink), asked)
    notes += [note] if note else []
    if len(seen) < FEW_CLASSES:
        notes.append(f"{len(seen)} seen classes are few: expect copies of what was seen")
    parts = [[p for name in names for p in groups[name]] for names in (seen, unseen)]
    files = [Files(paths, side.count, side.dtype, bands=known.bands) for paths in parts]
    cached = keep_decoded(files, [known] * 2, budget(chosen.cache))
    datasets = [
        Episodes(
            Chips(one, side, size, shrink=chosen.shrink),
            [label for label, name in enumerate(names) for _ in groups[name]], seed,
            shots=chosen.shots, targets=targets, length=length,
            turns=chosen.turns and transforms is not False and names is seen,
        )
        for one, names, length in zip(
            files, (seen, unseen), (chosen.episodes, len(unseen)), strict=True
        )
    ]  # fmt: skip
    workers = usual_workers(cached, device) if chosen.num_workers is None else chosen.num_workers
    load: dict[str, Any] = {
        "num_workers": workers, "start_method": chosen.start_method, "device": device,
    }  # fmt: skip
    train, valid = (ChipLoader(dataset, count, **load) for dataset in datasets)
    return FewShotBunch(
        train, valid, seen=seen, unseen=unseen, known=known, layout=layout, seed=seed,
        turns=chosen.turns, chip_size=size, cached=cached, notes=notes,
        working_dir=folder_for_models(layout.root, working_dir),
    )  # fmt: skip


def _groups(path: Path, chosen: FewShotOptions, seed: int) -> tuple[Layout, dict[str, Paths]]:
    """Chips of each class, whatever split the dataset stores: here whole classes are split."""
    layout = find_layout(path)
    if layout.kind != "classes":
        raise LayoutError(
            f"{layout.root} is laid out as {layout.name} ({layout.kind}); few-shot data need a "
            "folder for each class"
        )
    paths = layout.a + layout.valid_a + layout.test_a
    labels = layout.labels + layout.valid_labels + layout.test_labels
    groups = groups_of(paths, labels)
    names = chosen_classes(groups, chosen.classes, seed)
    return layout, {name: groups[name] for name in names}


def _enough(
    groups: dict[str, Paths], chosen: FewShotOptions
) -> tuple[int, dict[str, Paths], list[str]]:
    """Targets of an episode, the classes with chips enough for one, and notes."""
    least = chosen.shots + (1 if chosen.targets is None else chosen.targets)
    short = [name for name, paths in groups.items() if len(paths) < least]
    kept = {name: paths for name, paths in groups.items() if name not in short}
    if not kept:
        raise SettingError(
            f"no class has {least} chips, which an episode of shots={chosen.shots} needs; take "
            "fewer shots, or add chips"
        )
    notes = [f"{some(short)}: fewer than {least} chips, left out"] if short else []
    room = min(map(len, kept.values())) - chosen.shots
    targets = min(chosen.shots, room) if chosen.targets is None else chosen.targets
    return targets, kept, notes


def _of(layout: Layout, groups: dict[str, Paths], names: tuple[str, ...]) -> Layout:
    return replace(layout, a=tuple(p for name in names for p in groups[name]))


def _two_valued(dataset: Episodes) -> bool:
    """Whether nine of ten pixels of some chips are at one of the ends."""
    step = max(1, len(dataset.labels) // 16)
    images = torch.stack([dataset.image(i) for i in range(0, len(dataset.labels), step)])
    return float((images.abs() > 0.8).float().mean()) > 0.9
