"""The picture of what F2GAN borrowed: for one place of a drawn chip, where in each support chip.

The attention has a softmax for each support chip, which tells where in it and never how much of it.
So the shares of the chips are shown beside the maps, and all over the drawn chip as colours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..data.colours import coloured
from ..errors import SettingError
from . import figures

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from .f2gan import F2GAN

COLOURS = ("#e6194b", "#3cb44b", "#4363d8", "#f58231", "#911eb4", "#42d4f4", "#f032e6", "#bfef45")


def borrowing_figure(
    model: F2GAN, supports: Tensor, state: Any, code: Tensor, at: tuple[int, int] | None,
    level: int, rgb_bands: Any,
) -> Figure:  # fmt: skip
    """Drawn chip, provenance, and a map over each support chip; see ``F2GAN.borrowing``.

    Raises:
        SettingError: The coefficients, the place or the level are not such as there are.
    """
    size, k = model.size, len(supports)
    if code.shape[1] != k or abs(float(code.sum()) - 1) > 1e-3 or float(code.min()) < 0:
        raise SettingError(f"a={code[0].tolist()} must be {k} numbers from 0 that sum to 1")
    with torch.no_grad():
        image, found = model.game.eval().borrow(state, code.to(model.device))
    if not found or not -len(found) <= level < len(found):
        raise SettingError(f"level={level}: there are {len(found)} attentions, 0 the coarsest")
    borrowed = found[level]
    places, shares = borrowed.places[0].float().cpu(), borrowed.shares[0].float().cpu()
    side = borrowed.features.shape[-1]
    if at is None:
        cell = int(sharpest(places, shares))
        at = (cell // side * size // side + size // side // 2,
              cell % side * size // side + size // side // 2)  # fmt: skip
    if not all(0 <= x < size for x in at):
        raise SettingError(f"at={at} is not within a chip of {size} px")
    cell = at[0] * side // size * side + at[1] * side // size
    shown = coloured(
        {"drawn": image.cpu().numpy(), "support": supports.numpy()}, model.side, rgb_bands
    )
    figure = figures.new_figure((2.1 * (k + 2), 2.6))
    axes = figure.subplots(1, k + 2)
    _draw(axes[0], shown["drawn"][0], "drawn")
    _mark(axes[0], at, size, side)
    _draw(axes[1], provenance(shares, side, size), "who lent most")
    for i, axis in enumerate(axes[2:]):
        spots = spread_map(places[i, cell], side, size)
        title = f"{shares[i, cell]:.0%} from {i + 1} (a={float(code[0, i]):.2f})"
        _draw(axis, blended(shown["support"][i], spots), title, COLOURS[i % len(COLOURS)])
        row, col = np.unravel_index(int(places[i, cell].argmax()), (side, side))
        half = size / side / 2
        axis.plot(col * 2 * half + half, row * 2 * half + half, "+", color="white", markersize=9)
    return figure


def sharpest(places: Tensor, shares: Tensor) -> Tensor:
    """The place whose borrowing, weighted by shares, is from the fewest places (K, N, N) (K, N)."""
    entropy = -(places * places.clamp_min(1e-12).log()).sum(-1)
    return (entropy * shares).sum(0).argmin()


def spread_map(row: Tensor, side: int, size: int) -> np.ndarray:
    """(size, size) in [0, 1] of one row of an attention, (side * side,)."""
    wide = F.interpolate(row.view(1, 1, side, side), size=(size, size), mode="bilinear")[0, 0]
    wide = wide - wide.min()
    return (wide / wide.max().clamp_min(1e-12)).numpy()


def blended(image: np.ndarray, spots: np.ndarray) -> np.ndarray:
    """(H, W, 3): a chip in grey, and orange over it where much was borrowed."""
    grey = image.mean(-1, keepdims=True).repeat(3, -1)
    cover = 0.75 * spots[..., None]
    return np.clip((1 - cover) * grey + cover * np.array([1.0, 0.45, 0.0]), 0, 1)


def provenance(shares: Tensor, side: int, size: int) -> np.ndarray:
    """(size, size, 3): the colour of the chip that lent most to each place.

    Bright where it lent all, dark where it lent no more than the others.
    """
    from matplotlib.colors import to_rgb

    colours = np.array([to_rgb(COLOURS[i % len(COLOURS)]) for i in range(len(shares))])
    most = shares.max(0)
    even = 1 / len(shares)
    lead = (most.values.numpy() - even) / max(1 - even, 1e-12)
    cells = colours[most.indices.numpy()] * (0.25 + 0.75 * lead[:, None])
    factor = -(-size // side)
    return cells.reshape(side, side, 3).repeat(factor, 0).repeat(factor, 1)[:size, :size]


def _draw(axis: Axes, image: np.ndarray, title: str, colour: str | None = None) -> None:
    axis.imshow(image.squeeze(-1) if image.shape[-1] == 1 else image, cmap="gray", vmin=0, vmax=1)
    axis.set_title(title, fontsize=8, color=colour or "black")
    axis.set(xticks=[], yticks=[])


def _mark(axis: Axes, at: tuple[int, int], size: int, side: int) -> None:
    """Outline the place in question."""
    from matplotlib.patches import Rectangle

    cell = size / side
    row, col = (int(x // cell) * cell for x in at)
    axis.add_patch(Rectangle((col - 0.5, row - 0.5), cell, cell, fill=False, color="white", lw=3))
    axis.add_patch(Rectangle((col - 0.5, row - 0.5), cell, cell, fill=False, color="red", lw=1.5))
