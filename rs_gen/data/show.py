"""Grids of chips as a matplotlib figure, for a notebook, a file or a log.

No pyplot: a figure of ours belongs to nobody's state, needs no display and leaves the backend
that a notebook has chosen alone. matplotlib is imported when something is drawn.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from torch import Tensor

from ..errors import SettingError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ({"red", "r"}, {"green", "g"}, {"blue", "b"})


class Look(Protocol):
    """What a ``Side`` tells about showing its chips."""

    names: tuple[str, ...]
    dtype: str


def grid_figure(
    columns: Mapping[str, Tensor | np.ndarray],
    *,
    sides: Mapping[str, Look] | None = None,
    rgb_bands: Sequence[int | str] | None = None,
    cut: float | None = None,
    captions: Sequence[str] | None = None,
    title: str | None = None,
    width: float = 2.4,
) -> Figure:
    """A figure with one row a chip and one column an entry of ``columns``.

    Args:
        columns: Heading -> (N, C, H, W) in [-1, 1]. Every column has the same N; C, H and W may
            differ.
        sides: Heading -> the ``Side`` whose chips these are: its band names choose the colours,
            and columns of one side share their display stretch, so that fake and real compare.
        rgb_bands: One or three bands to show, by name or by index from 0, in the order red,
            green, blue; None for the bands named so, else the first three, else the first in
            grey. Columns that have no such bands are shown by the rule for None.
        cut: Percent left off either end of each side by the display stretch, 0 to 50; None for
            nothing on 8-bit sides (and those without a ``Side``) and 1 on others.
        captions: A line to the left of each row.
        title: Above the figure.
        width: Of a chip, in inches.

    Returns:
        A ``matplotlib.figure.Figure`` that a notebook displays and ``savefig`` writes.

    Raises:
        SettingError: The columns are empty, or differ in their number of chips.
    """
    arrays = {head: _array(chips) for head, chips in columns.items()}
    rows = _rows(arrays)
    figure, axes = _canvas(rows, len(arrays), width, title)
    looks = {head: (sides or {}).get(head) for head in arrays}
    shown = {
        head: chips[:, _bands_or_default(looks[head], chips.shape[1], rgb_bands)]
        for head, chips in arrays.items()
    }
    for (head, chips), column in zip(shown.items(), axes.T, strict=True):
        look = looks[head]
        alike = [shown[h] for h in shown if h == head or (look is not None and looks[h] is look)]
        _draw_column(column, head, display(chips, _limits(alike, _cut_for(look, cut))))
    for axis, caption in zip(axes[:, 0], captions or (), strict=False):
        axis.set_ylabel(caption, fontsize=8)
    return figure


def display_bands(
    names: Sequence[str], count: int, rgb_bands: Sequence[int | str] | None = None
) -> tuple[int, ...]:
    """Which bands to show, one or three, as indices from 0.

    Args:
        names: Of the bands, or empty.
        count: Of the bands.
        rgb_bands: As in ``grid_figure``.

    Raises:
        SettingError: ``rgb_bands`` are not one or three of the bands.
    """
    if rgb_bands is None:
        return _usual_bands([name.lower() for name in names], count)
    asked = list(rgb_bands)
    found = [band if isinstance(band, int) else _place(band, names) for band in asked]
    if len(found) not in (1, 3) or not all(0 <= band < count for band in found):
        there = ", ".join(names) if any(names) else f"0 to {count - 1}"
        raise SettingError(
            f"rgb_bands={asked} are not one or three of the bands; there are {there}"
        )
    return tuple(found)


def display(chips: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """(N, C, H, W) with C = 1 or 3 to (N, H, W, C) in [0, 1]; (2, C) limits become 0 and 1."""
    low, high = limits[:, :, None, None]
    unit = (chips - low) / np.maximum(high - low, 1e-6)
    return np.moveaxis(np.clip(np.nan_to_num(unit), 0, 1), 1, -1)


def _usual_bands(names: list[str], count: int) -> tuple[int, ...]:
    named = [[i for i, name in enumerate(names) if name in words] for words in COLOURS]
    if all(named):
        return tuple(found[0] for found in named)
    return (0, 1, 2) if count >= 3 else (0,)


def _place(band: str, names: Sequence[str]) -> int:
    lower = [name.lower() for name in names]
    return lower.index(band.lower()) if band.lower() in lower else -1


def _bands_or_default(
    side: Look | None, count: int, rgb_bands: Sequence[int | str] | None
) -> list[int]:
    names = side.names if side is not None else ()
    try:
        return list(display_bands(names, count, rgb_bands))
    except SettingError:
        return list(display_bands(names, count))


def _cut_for(side: Look | None, cut: float | None) -> float:
    if cut is not None:
        return cut
    return 0 if side is None or side.dtype == "uint8" else 1


def _limits(columns: list[np.ndarray], cut: float) -> np.ndarray:
    """(2, C): what becomes black and white, over whole columns of one side."""
    bands = columns[0].shape[1]
    if not cut:
        return np.tile(np.float32([[-1], [1]]), (1, bands))
    values = [np.moveaxis(chips, 1, 0).reshape(bands, -1) for chips in columns]
    ends = np.nanpercentile(np.concatenate(values, axis=1), (cut, 100 - cut), axis=1)
    return ends.astype("float32")


def _array(chips: Tensor | np.ndarray) -> np.ndarray:
    if isinstance(chips, Tensor):
        chips = chips.detach().to("cpu", torch.float32).numpy()
    return np.asarray(chips, "float32")


def _rows(arrays: Mapping[str, np.ndarray]) -> int:
    counts = {head: len(chips) for head, chips in arrays.items()}
    if len(set(counts.values())) != 1 or not next(iter(counts.values())):
        raise SettingError(f"nothing to show, or columns of unequal length: {counts}")
    return next(iter(counts.values()))


def _canvas(rows: int, columns: int, width: float, title: str | None):
    captions, headings = 0.3, 0.3 + (0.35 if title else 0)
    size = columns * width + captions, rows * width + headings
    figure = _picture()(figsize=size, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0.01, hspace=0.01)
    if title:
        figure.suptitle(title)
    return figure, figure.subplots(rows, columns, squeeze=False)


def _draw_column(column: Sequence[Axes], head: str, shown: np.ndarray) -> None:
    column[0].set_title(head, fontsize=10)
    for axis, chip in zip(column, shown, strict=True):
        if chip.shape[-1] == 1:
            axis.imshow(chip[..., 0], cmap="gray", vmin=0, vmax=1)
        else:
            axis.imshow(chip)
        axis.set_xticks([])
        axis.set_yticks([])


def _picture() -> type[Figure]:
    from matplotlib.figure import Figure

    class Picture(Figure):
        """A figure that a notebook shows also where pyplot was never imported."""

        def _repr_png_(self) -> bytes:
            held = io.BytesIO()
            self.savefig(held, format="png", dpi=96)
            return held.getvalue()

    return Picture
