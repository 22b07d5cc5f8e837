"""``prepare_data``: a folder of chips becomes batches that a model is trained with.

A ``DataBunch`` is a fastai ``DataLoaders`` with the attributes that users of arcgis.learn know.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ..chips.layouts import Layout
from ..errors import LayoutError
from ..networks.device import pick_device
from . import building, finding
from .bunch import Bunch, ChipLoader, folder_for_models, usual_workers
from .cache import budget
from .datasets import ChipSet
from .loader import Batches, check_whole
from .options import Options, kind_of
from .side import Side
from .transforms import Augment

if TYPE_CHECKING:
    from .few_shot_bunch import FewShotBunch
    from .imagebunch import ImageBunch

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
) -> DataBunch | ImageBunch | FewShotBunch:
    """A ``DataBunch`` from a folder of chips. The folder is only read.

    Any layout that :mod:`rs_gen.chips.layouts` knows is recognised: what ``export_chips`` and
    ArcGIS Pro write, ``trainA trainB``, and images with A and B side by side.

    Args:
        path: Folder of the dataset.
        dataset_type: "Pix2Pix" (pairs; also as "Export_Tiles"), "CycleGAN" (two sides that
            need not match), "ImageGeneration" (class folders, or one folder of chips) or
            "FewShot" (class folders, some of whose classes are kept for tests); None lets the
            folder tell, between the first two.
        chip_size: Side of what a network reads, in pixels. Larger chips are cut: at random places
            in training, in the middle for validation. None takes the chips' own size, or where
            they differ or are not square the largest multiple of 4 that all of them hold.
        val_split_pct: Share of the chips to validate with, above 0 and below 1, drawn by ``seed``;
            at least one chip. Used only where the dataset stores no split of its own (the split
            column of chips.gpkg, ``valid_a valid_b`` or test folders). Of unpaired data both sides
            are split, and of class folders each class.
        batch_size: Items in a batch; None is 4 for pairs, 1 for CycleGAN, 32 for ImageGeneration,
            8 episodes for FewShot.
        transforms: None or True for random flips, quarter turns and crops, on both sides of a pair
            alike; False for none; or a callable ``(a, b, generator) -> (a, b)`` that is run after
            them on encoded (C, H, W) tensors and draws from ``generator`` only; for
            ImageGeneration ``(image, generator) -> image``.
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
            ImageGeneration knows ``classes n_per_class shrink epoch_items`` besides, and has no
            ``bands_b a_stretch b_stretch valid jitter balance drop_last``; see
            :class:`~rs_gen.data.image_options.ImageOptions`.
            FewShot knows ``shots unseen turns targets episodes`` and some of the others; see
            :class:`~rs_gen.data.few_shot_options.FewShotOptions`.

    Returns:
        A ``DataBunch``, or for ImageGeneration an :class:`~rs_gen.data.imagebunch.ImageBunch`,
        for FewShot a :class:`~rs_gen.data.few_shot_bunch.FewShotBunch`.

    Raises:
        LayoutError: The folder is missing, holds no images, or is laid out in no known way.
        PairError: Chips without partner; they are listed.
        ChipError: A chip is broken, or has the wrong size, band count or dtype.
        SettingError: An option is unknown or can't work, or nothing is left to validate with.
    """
    kind = kind_of(dataset_type)
    if kind == "ImageGeneration":
        from .imagebunch import prepare_images

        return prepare_images(
            _as_path(path), chip_size, val_split_pct, batch_size=batch_size, transforms=transforms,
            seed=seed, bands=bands, working_dir=working_dir, **options,
        )  # fmt: skip
    if kind == "FewShot":
        from .few_shot_bunch import prepare_few_shot

        return prepare_few_shot(
            _as_path(path), chip_size, batch_size=batch_size, transforms=transforms, seed=seed,
            bands=bands, working_dir=working_dir, **options,
        )  # fmt: skip
    chosen = Options.of(options)
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
        working_dir=folder_for_models(layout.root, working_dir), seed=seed,
    )  # fmt: skip


class DataBunch(Bunch):
    """Training and validation batches of two sides, source and target.

    A batch is (a, b): (B, C, H, W) float32 in [-1, 1], source and target. What was not measured
    is 0. With :class:`Bunch` it shares loaders, folder, size and seed.

    Attributes:
        kind: "Pix2Pix" or "CycleGAN".
        a: What side A holds, with its stretch; ``b`` likewise.
        paired_valid: What meets in validation is a pair, so that images can be compared. Always
            so for Pix2Pix; for CycleGAN where the chips are pairs after all.
        n_channel: Bands of the source; ``c`` those of the target.
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
        super().__init__(
            train, valid, layout=layout, kind=kind, working_dir=working_dir, seed=seed,
            chip_size=built.train.a.size, cached=built.cached, notes=built.notes,
        )  # fmt: skip
        self.a: Side = built.train.a.side
        self.b: Side = built.train.b.side
        self.n_channel, self.c, self.classes = self.a.count, self.b.count, []
        self.paired_valid = division.paired
        self._built, self._division = built, division

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


def _as_path(path: object) -> Path:
    if isinstance(path, str | Path):
        return Path(path)
    raise LayoutError(f"path={path!r} is not one folder; give a text or a Path")


__all__ = ["BATCH_SIZE", "Bunch", "ChipLoader", "DataBunch", "prepare_data", "usual_workers"]
