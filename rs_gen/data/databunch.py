"""``prepare_data``: a folder of chips becomes batches that a model is trained with.

The only module of this room that knows fastai, and only its middle layer. A ``DataBunch`` is a
fastai ``DataLoaders`` with the attributes that users of arcgis.learn know.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..chips.layouts import Layout
from ..errors import ChipError, LayoutError
from ..networks.device import pick_device
from . import building, finding
from .cache import budget
from .datasets import ChipSet
from .loader import Batches, check_whole
from .options import Options, kind_of
from .side import Side
from .transforms import Augment

with warnings.catch_warnings():
    warnings.simplefilter("ignore", FutureWarning)  # fastai's own, of torch.jit.script
    from fastai.data.core import DataLoaders
    from fastai.data.load import DataLoader

BATCH_SIZE = {"Pix2Pix": 4, "CycleGAN": 1}


def prepare_data(
    path: str | Path,
    dataset_type: str | None = None,
    chip_size: int | None = None,
    val_split_pct: float = 0.1,
    batch_size: int | None = None,
    transforms: Any = None,
    seed: int = 42,
    bands: Any = None,
    working_dir: str | Path | None = None,
    **options: Any,
) -> DataBunch:
    """A ``DataBunch`` from a folder of chips. The folder is only read.

    Any layout that :mod:`rs_gen.chips.layouts` knows is recognised: what ``export_chips`` and
    ArcGIS Pro write, ``trainA trainB``, and images with A and B side by side.

    Args:
        path: Folder of the dataset.
        dataset_type: "Pix2Pix" (pairs; also as "Export_Tiles") or "CycleGAN" (two sides that
            need not match); None lets the folder tell.
        chip_size: Side of what a network reads, in pixels. Larger chips are cut: at random places
            in training, in the middle for validation. None takes the chips' own size, or where
            they differ or are not square the largest multiple of 4 that all of them hold.
        val_split_pct: Share of the chips to validate with, above 0 and below 1, drawn by ``seed``;
            at least one chip. Used only where the dataset stores no split of its own (the split
            column of chips.gpkg, ``valid_a valid_b`` or test folders). Of unpaired data both sides
            are split.
        batch_size: Items in a batch; None is 4 for pairs and 1 for CycleGAN.
        transforms: None or True for random flips, quarter turns and crops, on both sides of a pair
            alike; False for none; or a callable ``(a, b, generator) -> (a, b)`` that is run after
            them on encoded (C, H, W) tensors and draws from ``generator`` only.
        seed: Of split, order and augmentation. Equal seeds give equal batches, bit for bit, with
            any number of workers.
        bands: Of side A, as indices from 0 or names, in the order wanted; None for all.
        working_dir: Where models and logs go. None is ``path`` if ``export_chips`` wrote it (it
            has a chips.json), else the current folder: others' datasets are not written into.
        **options: ``bands_b``: bands of side B.
            ``stretch``, ``a_stretch``, ``b_stretch``: for both or one side a preset's name
            ("percentile", "minmax", "meanstd", "db", "reflectance", "dtype"), a ``Stretch``, or a
            dict such as ``{"preset": "percentile", "cut": 2}``; default what chips.json stores, or
            else "auto" (the full range of 8 bits, percentiles of others).
            ``sample``: chips to fit a stretch to that is not stored, 128.
            ``valid_path``: another dataset to validate with. ``valid``: names of the chips (with
            or without extension) to validate with.
            ``min_size``: leave out chips whose shorter side is below this many pixels; reads the
            header of every chip.
            ``jitter``: change brightness, contrast and gamma of the source at random: True, a
            number (how far, 0 to below 1), a dict of :class:`~rs_gen.data.transforms.Jitter`'s
            fields; default none.
            ``balance``: show chips of one colour (sea, desert; judged by the target) less often:
            True for a quarter of them an epoch, or their share; looks at every training chip once.
            ``cache``: keep decoded chips in memory: "auto" if all fit into 2 GiB and a quarter of
            the machine's memory, True, False, or a limit in GiB.
            ``num_workers``: processes that read ahead; default see :func:`usual_workers`.
            ``start_method``: of those, "fork", "spawn" or "forkserver".
            ``drop_last``: leave out a last training batch that is not full, False.
            ``device``: where batches go; default the first CUDA device, or the CPU.

    Raises:
        LayoutError: The folder is missing, holds no images, or is laid out in no known way.
        PairError: Chips without partner; they are listed.
        ChipError: A chip is broken, or has the wrong size, band count or dtype.
        SettingError: An option is unknown or can't work, or nothing is left to validate with.
    """
    kind, chosen = kind_of(dataset_type), Options.of(options)
    augment = Augment.of(transforms, chosen.jitter)
    size = None if chip_size is None else check_whole("chip_size", chip_size, 1)
    count = None if batch_size is None else check_whole("batch_size", batch_size, 1)
    check_whole("seed", seed, -(2**63))
    device = pick_device(chosen.device)  # type: ignore[arg-type]
    limit = budget(chosen.cache)
    layout, kind = finding.find(_as_path(path), kind)
    division = finding.divide(layout, kind, val_split_pct, seed, chosen)
    wish = building.Wish(kind, size, seed, augment, (bands, chosen.bands_b), chosen, limit)
    built = building.build(layout, division, wish)
    count = count or BATCH_SIZE[kind]
    workers = chosen.num_workers
    if workers is None:
        workers = usual_workers(built.cached, device)
    load = {"num_workers": workers, "start_method": chosen.start_method, "device": device}
    train = ChipLoader(built.train, count, drop_last=chosen.drop_last, **load)
    valid = ChipLoader(built.valid, count, **load)
    return DataBunch(
        train, valid, layout=layout, kind=kind, built=built, division=division,
        working_dir=_working_dir(layout.root, working_dir), seed=seed,
    )  # fmt: skip


class ChipLoader(DataLoader):
    """Batches (a, b) whose order and augmentation depend on (seed, epoch, batch) alone.

    Each iteration is the next epoch, also when the one before was broken off. ``set_position``
    goes to any other place.

    Args:
        dataset: The items.
        bs: Items in a batch.
        num_workers: Processes that read ahead.
        drop_last: Leave out a last batch that is not full.
        device: Where batches go; None leaves them where they are made.
        start_method: How workers start; None for the platform's way.
        **kwargs: As fastai's ``DataLoader`` takes them.
    """

    def __init__(
        self,
        dataset: ChipSet,
        bs: int = 1,
        *,
        num_workers: int = 0,
        drop_last: bool = False,
        device: torch.device | None = None,
        start_method: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(
            dataset, bs=bs, num_workers=0, drop_last=drop_last, device=device, **kwargs
        )
        pinned = num_workers > 0 and device is not None and torch.device(device).type == "cuda"
        self.batches = Batches(
            dataset,
            bs,
            num_workers=num_workers,
            drop_last=drop_last,
            pin_memory=pinned,
            start_method=start_method,
        )
        self._next = (0, 0)

    def set_position(self, epoch: int, batch: int = 0) -> None:
        """Let the next iteration give the batches of ``epoch`` from number ``batch`` on.

        The iteration after that starts the epoch that follows. ``len`` stays that of a whole
        epoch.

        Raises:
            SettingError: One of the two is not a whole number of at least 0.
        """
        self._next = check_whole("epoch", epoch, 0), check_whole("batch", batch, 0)

    @property
    def position(self) -> tuple[int, int]:
        """(epoch, batch) that the next iteration starts at."""
        return self._next

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        epoch, batch = self._next
        self._next = epoch + 1, 0
        self.before_iter()
        for made in self.batches.run(epoch, batch):
            yield self._ready(made)
        self.after_iter()

    def one_batch(self) -> tuple[Tensor, Tensor]:
        """The first batch of the epoch that comes next. Moves nothing, starts no worker."""
        return self._ready(self.batches.one(self._next[0]))

    def new(
        self, dataset: ChipSet | None = None, cls: type[DataLoader] | None = None, **kwargs: Any
    ) -> DataLoader:
        """A loader like this one, over another dataset if one is given, at epoch 0."""
        batches = self.batches
        held = {
            "bs": batches.batch_size,
            "num_workers": batches.num_workers,
            "drop_last": batches.drop_last,
            "start_method": batches.start_method,
            "device": self.device,
        }
        return (cls or type(self))(dataset or self.dataset, **{**held, **kwargs})

    def _ready(self, batch: tuple[Tensor, ...]) -> Any:
        if self.device is not None:
            batch = tuple(side.to(self.device, non_blocking=True) for side in batch)
        return self.after_batch(batch)


class DataBunch(DataLoaders):
    """Training and validation batches of one dataset, and what is known about it.

    A batch is (a, b): (B, C, H, W) float32 in [-1, 1], source and target. What was not measured
    is 0.

    Attributes:
        kind: "Pix2Pix" or "CycleGAN"; also as ``dataset_type``.
        a: What side A holds, with its stretch; ``b`` likewise.
        paired_valid: What meets in validation is a pair, so that images can be compared. Always
            so for Pix2Pix; for CycleGAN where the chips are pairs after all.
        path: The dataset's folder. Nothing is written there.
        working_dir: Where models and logs go.
        chip_size: Side of what a network reads, in pixels.
        n_channel: Bands of the source; ``c`` those of the target.
        seed: Of split, order and augmentation.
        layout: The folders found.
    """

    def __init__(
        self,
        train: ChipLoader,
        valid: ChipLoader,
        *,
        layout: Layout,
        kind: str,
        built: building.Built,
        division: finding.Division,
        working_dir: Path,
        seed: int,
    ):
        super().__init__(train, valid, path=layout.root, device=train.device)
        self.layout, self.kind, self.dataset_type = layout, kind, kind
        self.a: Side = built.train.a.side
        self.b: Side = built.train.b.side
        self.chip_size, self.seed, self.working_dir = built.train.a.size, seed, working_dir
        self.n_channel, self.c, self.classes = self.a.count, self.b.count, []
        self.paired_valid = division.paired
        self._built, self._division = built, division

    @property
    def train_dl(self) -> ChipLoader:
        """The training loader; fastai calls it ``train``."""
        return self.train

    @property
    def valid_dl(self) -> ChipLoader:
        """The validation loader; fastai calls it ``valid``."""
        return self.valid

    @property
    def batch_size(self) -> int:
        """Items in a batch."""
        return self.train.batches.batch_size

    def check_size(self, multiple: int) -> None:
        """Make sure that the chips suit a network.

        Args:
            multiple: What the network needs the chips' side to be a multiple of, in pixels.

        Raises:
            ChipError: They do not; the text tells the chip_size that does.
        """
        size = self.chip_size
        if size % multiple:
            down = size // multiple * multiple
            remedy = f"try {down}" if down else f"export chips of {multiple} px"
            raise ChipError(
                f"chips are {size} px but this generator needs a multiple of {multiple}; {remedy}"
            )

    def show_batch(self, rows: int = 4, rgb_bands: Any = None, valid: bool = False) -> Any:
        """A figure of source and target chips, augmented as in the first epoch.

        Args:
            rows: Chips to show, at most those there are.
            rgb_bands: As :func:`rs_gen.data.show.grid_figure` takes them.
            valid: Show validation chips.

        Returns:
            A ``matplotlib.figure.Figure``: a notebook displays it, ``savefig`` writes it.
        """
        from .show import grid_figure

        chips: ChipSet = self.valid_ds if valid else self.train_ds
        rows = min(check_whole("rows", rows, 1), len(chips))
        (draws,) = Batches(chips, rows).plan(0, 0, 1)
        a, b = (torch.stack(side) for side in zip(*map(chips.draw, draws), strict=True))
        names = [[path.stem for path in chips.names(draw)] for draw in draws]
        return grid_figure(
            {"source (A)": a, "target (B)": b},
            sides={"source (A)": self.a, "target (B)": self.b},
            rgb_bands=rgb_bands,
            captions=[pair[0] if len(set(pair)) == 1 else " / ".join(pair) for pair in names],
        )

    def summary(self) -> str:
        """What was found and how it is used, for a person."""
        return building.summary(self)

    def __repr__(self) -> str:
        return self.summary()


def usual_workers(cached: bool, device: torch.device, cores: int | None = None) -> int:
    """How many processes read ahead when nobody says.

    On a CPU none for chips that stay in memory: an encoded 256 px pair takes 1 to 2 ms, far less
    than any step on it, and workers would take the trainer's cores. Chips that are decoded anew
    (3 to 5 ms) get up to two, from four cores on. A GPU gets up to four in both cases. None on
    Windows and macOS, where to start one takes seconds: there say num_workers if it pays.

    Args:
        cached: Chips stay in memory.
        device: Where the training is.
        cores: Of this machine; None looks.
    """
    if sys.platform in ("win32", "darwin"):
        return 0
    cores = building.cores() if cores is None else cores
    if device.type == "cpu":
        return 0 if cached else max(0, min(2, cores - 2))
    return max(0, min(4, cores - 1))


def _as_path(path: object) -> Path:
    if isinstance(path, str | Path):
        return Path(path)
    raise LayoutError(f"path={path!r} is not one folder; give a text or a Path")


def _working_dir(root: Path, given: str | Path | None) -> Path:
    if given is not None:
        return Path(given)
    return root if (root / "chips.json").exists() else Path.cwd()


__all__ = ["BATCH_SIZE", "ChipLoader", "DataBunch", "prepare_data", "usual_workers"]
