"""Maps are made of few colours: how well the right colour is in the right place.

A pixel score flatters a map of one flat colour. Here both maps are snapped to the palette of the
training maps, and the classes are compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import SettingError
from .protocol import Array, Score, bootstrap

_SAMPLE = 200_000  # pixels that a palette is learned from
_GLANCE = 10_000  # pixels that are enough to tell a map from a photograph, in a second
_STARTS = 8
_STEPS = 100


@dataclass(frozen=True)
class Palette:
    """Colours that a map is drawn in.

    Attributes:
        colours: One tuple a colour with a value a band, in [-1, 1], most frequent first.
        shares: Share of the training pixels that each colour had.
    """

    colours: tuple[tuple[float, ...], ...]
    shares: tuple[float, ...] = ()

    @classmethod
    def learn(
        cls, maps: Tensor, colours: int = 6, *, seed: int = 0, valid: Tensor | None = None
    ) -> Palette:
        """The palette of training maps, by k-means.

        Args:
            maps: (N, C, H, W) in [-1, 1].
            colours: How many to find; fewer come back where the maps have fewer.
            seed: Of the sample and the starts.
            valid: (N, H, W), True where a map was measured; None for everywhere.

        Raises:
            SettingError: There is no pixel, or fewer than one colour is asked for.

        Source:
            Arthur & Vassilvitskii 2007, "k-means++", then Lloyd's steps; the best of 8 starts.
        """
        if colours < 1:
            raise SettingError(f"colours={colours} must be at least 1")
        pixels = maps.detach().cpu().float().permute(0, 2, 3, 1).flatten(0, 2).numpy()
        if valid is not None:
            pixels = pixels[valid.detach().cpu().bool().flatten().numpy()]
        if not len(pixels):
            raise SettingError("there is no pixel to learn a palette from")
        dice = np.random.default_rng(seed)
        if len(pixels) > _SAMPLE:
            pixels = pixels[dice.choice(len(pixels), _SAMPLE, replace=False)]
        # equal colours once, with their count: flat maps shrink to little
        points, counts = np.unique(pixels, axis=0, return_counts=True)
        points, weights = points.astype(np.float64), counts.astype(np.float64)
        starts = [_lloyd(points, weights, colours, dice) for _ in range(_STARTS)]
        _, centres, shares = min(starts, key=lambda start: start[0])
        order = np.argsort(-shares, kind="stable")
        return cls(
            tuple(tuple(float(v) for v in centres[i]) for i in order),
            tuple(float(shares[i]) for i in order),
        )

    @property
    def levels(self) -> list[tuple[int, ...]]:
        """The colours in 8-bit levels, to look at."""
        return [tuple(round((v + 1) * 127.5) for v in colour) for colour in self.colours]

    def snap(self, images: Tensor) -> Tensor:
        """(B, C, H, W) in [-1, 1] to (B, H, W), the index of each pixel's nearest colour."""
        colours = torch.tensor(self.colours, dtype=torch.float32)
        if images.shape[1] != colours.shape[1]:
            raise SettingError(
                f"the palette has {colours.shape[1]} bands and the images {images.shape[1]}"
            )
        # |x - c|^2 less |x|^2, which all colours share, is a convolution of one pixel
        kernel, bias = -2 * colours[:, :, None, None], colours.square().sum(1)
        each = torch.split(images.detach().cpu().float(), 1)
        with torch.autocast("cpu", enabled=False):  # bfloat16 can't tell near colours apart
            return torch.cat([F.conv2d(image, kernel, bias).argmin(1) for image in each])

    def nearest(self, pixels: npt.NDArray[np.float32]) -> npt.NDArray[np.intp]:
        """(C, H, W) in [-1, 1] to (H, W), the index of each pixel's nearest colour.

        As ``snap``, but in sums that are the same whatever the size of the image: a tile gives
        what the whole gives.

        Raises:
            SettingError: The bands differ.
        """
        if len(pixels) != len(self.colours[0]):
            raise SettingError(
                f"the palette has {len(self.colours[0])} bands and the image {len(pixels)}"
            )
        best = np.full(pixels.shape[1:], np.inf, np.float32)
        found = np.zeros(pixels.shape[1:], np.intp)
        for i, colour in enumerate(self.colours):
            distance = np.zeros(pixels.shape[1:], np.float32)
            for band, value in zip(pixels, colour, strict=True):
                distance += np.square(band - np.float32(value))
            nearer = distance < best
            found[nearer], best[nearer] = i, distance[nearer]
        return found

    def within(self, pixels: npt.NDArray[np.float32], levels: float) -> float:
        """Share of the pixels whose every band is at most ``levels`` of 255 off a colour."""
        colours = np.array(self.colours, np.float32)[self.nearest(pixels)]
        off = np.abs(np.moveaxis(pixels, 0, -1) - colours).max(-1)
        return float((off <= levels / 127.5).mean())

    def main(
        self, number: int | None = None, *, least: float = 0.005, apart: float = 16.0
    ) -> Palette:
        """The colours that a person would name: those that merely lean on another one are left.

        A palette that was learned with many colours holds shades of one class and the mixtures at
        its edges too. From the most frequent one on, a colour close to one before it joins that.

        Args:
            number: Most colours to keep; None for all that are frequent enough.
            least: Share of the pixels that a colour needs where ``number`` is None.
            apart: Levels of 255 that some band of two colours must differ by.

        Raises:
            SettingError: ``number`` is below 1.
        """
        if number is not None and number < 1:
            raise SettingError(f"number={number} colours; it must be at least 1")
        kept: list[tuple[float, ...]] = []
        shares: list[float] = []
        for colour, share in zip(self.colours, self.shares, strict=True):
            gaps = [max(abs(a - b) for a, b in zip(colour, k, strict=True)) for k in kept]
            if gaps and min(gaps) < apart / 127.5:
                shares[gaps.index(min(gaps))] += share
            else:
                kept.append(colour)
                shares.append(share)
        order = np.argsort(-np.array(shares), kind="stable")[:number]
        wanted = [i for i in order if number is not None or shares[i] >= least] or [order[0]]
        return Palette(tuple(kept[i] for i in wanted), tuple(shares[i] for i in wanted))

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, for JSON."""
        return {"colours": [list(c) for c in self.colours], "shares": list(self.shares)}

    @classmethod
    def from_dict(cls, held: dict[str, Any]) -> Palette:
        """What ``to_dict`` gave."""
        return cls(tuple(tuple(c) for c in held["colours"]), tuple(held["shares"]))


def palette_of_map(
    maps: Tensor, *, colours: int = 24, levels: float = 4.0, share: float = 0.7, seed: int = 0
) -> Palette | None:
    """The palette of images that are drawn in few colours; None for photographs and the like.

    Args:
        maps: (N, C, H, W) in [-1, 1].
        colours: How many to learn; ``Palette.main`` makes few of them.
        levels: Of 255, that a drawn pixel may be off its colour: noise of a lossy file.
        share: Share of the pixels that must be so close.
        seed: Of the palette.
    """
    step = max(1, round((maps.shape[0] * maps.shape[2] * maps.shape[3] / _GLANCE) ** 0.5))
    some = maps[..., ::step, ::step].detach().cpu().float()
    pixels = some.permute(1, 0, 2, 3).flatten(1)[:, None].numpy()
    cells = np.unique((pixels * 16).round().reshape(len(pixels), -1), axis=1, return_counts=True)[1]
    if np.sort(cells)[-2 * colours :].sum() < share * cells.sum():
        return None  # seen at once, without learning
    palette = Palette.learn(some, colours, seed=seed)
    return palette if palette.within(pixels, levels) >= share else None


def confusion(
    fake: Tensor, real: Tensor, palette: Palette, *, valid: Tensor | None = None
) -> Array:
    """(B, K, K) pixels of each image by (class of the truth, class of the image).

    Args:
        fake: (B, C, H, W) in [-1, 1].
        real: As ``fake``.
        palette: What both are snapped to.
        valid: (B, H, W), True where there is truth; None for everywhere.
    """
    if fake.shape != real.shape:
        raise SettingError(f"images differ in shape: {tuple(fake.shape)}, {tuple(real.shape)}")
    k = len(palette.colours)
    pairs = palette.snap(real) * k + palette.snap(fake)
    if valid is None:
        valid = torch.ones(pairs.shape, dtype=torch.bool)
    valid = valid.detach().cpu().bool().reshape(pairs.shape)
    counts = [torch.bincount(p[v], minlength=k * k) for p, v in zip(pairs, valid, strict=True)]
    table: Array = torch.stack(counts).reshape(-1, k, k).double().numpy()
    return table


def class_iou(tables: Array, palette: Palette, *, seed: int = 0, draws: int = 1000) -> list[Score]:
    """Intersection over union of each class over all images, in the palette's order.

    Args:
        tables: (N, K, K) of ``confusion``, batches joined.
        palette: The palette they were made with.
        seed: Of the bootstrap over images.
        draws: Resamples.
    """
    return [
        _iou_score(tables, i, f"IoU of colour {colour}, palette of {len(tables[0])}", seed, draws)
        for i, colour in enumerate(palette.levels)
    ]


def mean_iou(tables: Array, *, seed: int = 0, draws: int = 1000) -> Score:
    """Mean over classes of the intersection over union over all images.

    A class that neither truth nor images hold is left out; one that only one of them holds is 0.

    Args:
        tables: (N, K, K) of ``confusion``, batches joined.
        seed: Of the bootstrap over images.
        draws: Resamples.
    """
    about = f"mean IoU over all images after snapping to a palette of {tables.shape[1]}"
    return _iou_score(tables, None, about, seed, draws)


def _iou_score(tables: Array, which: int | None, about: str, seed: int, draws: int) -> Score:
    def value(table: Array) -> float:
        iou = _iou(table)
        if which is not None:
            return float(iou[which])
        return float(np.nanmean(iou)) if not np.isnan(iou).all() else float("nan")

    low, high = bootstrap(len(tables), lambda i: value(tables[i].sum(0)), seed=seed, draws=draws)
    return Score(value(tables.sum(0)), len(tables), about, low, high)


def _iou(table: Array) -> Array:
    """(K,) from (K, K); NaN for a class that is nowhere."""
    both = np.diagonal(table)
    either = table.sum(0) + table.sum(1) - both
    iou: Array = np.divide(both, either, out=np.full(len(both), np.nan), where=either > 0)
    return iou


def _lloyd(
    points: Array, weights: Array, k: int, dice: np.random.Generator
) -> tuple[float, Array, Array]:
    """(weighted squared error, centres, shares) of one start."""
    centres = _start(points, weights, k, dice)
    nearest = np.full(len(points), -1)
    for _ in range(_STEPS):
        distance = _squared(points, centres)
        before, nearest = nearest, distance.argmin(1)
        if (nearest == before).all():
            break
        for i in range(len(centres)):
            own = nearest == i
            if own.any():
                centres[i] = np.average(points[own], axis=0, weights=weights[own])
    shares = np.bincount(nearest, weights, len(centres)) / weights.sum()
    error = float((_squared(points, centres)[np.arange(len(points)), nearest] * weights).sum())
    return error, centres, shares


def _start(points: Array, weights: Array, k: int, dice: np.random.Generator) -> Array:
    """First centres, each far from those before."""
    centres = [points[dice.choice(len(points), p=weights / weights.sum())]]
    while len(centres) < k:
        odds = _squared(points, np.array(centres)).min(1) * weights
        if odds.sum() == 0:  # fewer colours than asked for
            break
        centres.append(points[dice.choice(len(points), p=odds / odds.sum())])
    return np.array(centres)


def _squared(points: Array, centres: Array) -> Array:
    distance: Array = np.square(points[:, None] - centres).sum(2)
    return distance
