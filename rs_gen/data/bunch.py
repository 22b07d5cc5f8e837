"""Loaders whose order and dice are ours, and what all kinds of data have in common.

The only module of this room that knows fastai, and only its middle layer.
"""

from __future__ import annotations

import sys
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..chips.layouts import Layout
from ..errors import ChipError
from . import building
from .loader import Batches, Source, check_whole

with warnings.catch_warnings():
    warnings.simplefilter("ignore", FutureWarning)  # fastai's own, of torch.jit.script
    from fastai.data.core import DataLoaders
    from fastai.data.load import DataLoader


class ChipLoader(DataLoader):
    """Batches whose order and augmentation depend on (seed, epoch, batch) alone.

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
        dataset: Source,
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
        self, dataset: Source | None = None, cls: type[DataLoader] | None = None, **kwargs: Any
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


class Bunch(DataLoaders, ABC):
    """What all kinds of data have: two loaders, a folder, a size and a seed.

    Attributes:
        kind: Such as "Pix2Pix"; also as ``dataset_type``.
        path: The dataset's folder. Nothing is written there.
        working_dir: Where models and logs go.
        chip_size: Side of what a network reads, in pixels.
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
        working_dir: Path,
        seed: int,
        chip_size: int,
        cached: bool,
        notes: Sequence[str] = (),
    ):
        super().__init__(train, valid, path=layout.root, device=train.device)
        self.layout, self.kind, self.dataset_type = layout, kind, kind
        self.chip_size, self.seed, self.working_dir = chip_size, seed, working_dir
        self._cached, self._notes = cached, tuple(notes)

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

    @abstractmethod
    def summary(self) -> str:
        """What was found and how it is used, for a person."""

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


def folder_for_models(root: Path, given: str | Path | None) -> Path:
    """Where models and logs of the dataset in ``root`` go; ``working_dir`` of ``prepare_data``."""
    if given is not None:
        return Path(given)
    return root if (root / "chips.json").exists() else Path.cwd()
