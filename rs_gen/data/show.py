"""Grids of chips as a matplotlib figure, for a notebook, a file or a log.

No pyplot: a figure of ours belongs to nobody's state, needs no display and leaves the backend
that a notebook has chosen alone. matplotlib is imported when something is drawn.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ..errors import SettingError
from .colours import Look, coloured

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


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
        cut: Percent left off either end of each side by the display stretch, 0 to 50; None as in
            ``colours.coloured``: red, green and blue share one stretch, so colours are natural.
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
    for (head, shown), column in zip(
        _shown(arrays, sides or {}, rgb_bands, cut), axes.T, strict=True
    ):
        _draw_column(column, head, shown)
    for axis, caption in zip(axes[:, 0], captions or (), strict=False):
        axis.set_ylabel(caption, fontsize=8)
    return figure


def _shown(
    arrays: Mapping[str, np.ndarray],
    sides: Mapping[str, Look],
    rgb_bands: Sequence[int | str] | None,
    cut: float | None,
) -> list[tuple[str, np.ndarray]]:
    """(heading, (N, H, W, 1 or 3)) in order; the columns of one side under one stretch."""
    done: dict[str, np.ndarray] = {}
    for head in arrays:
        if head not in done:
            look = sides.get(head)
            alike = {h: chips for h, chips in arrays.items() if look and sides.get(h) is look}
            done |= coloured(alike or {head: arrays[head]}, look, rgb_bands, cut)
    return [(head, done[head]) for head in arrays]


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
