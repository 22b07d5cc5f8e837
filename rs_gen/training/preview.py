"""Pictures of the same few chips, epoch after epoch: the surest way to see a training go wrong."""
# ruff: noqa: D102 - fastai's events say what they are

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..data.show import grid_figure
from .callbacks import Part
from .loop import batches


class Preview(Part):
    """Write ``epoch_0001.png``, source | result | truth, after each validation.

    Args:
        folder: Where to.
        sides: The two ``Side`` of the data, for colours; None shows the first bands.
        paired: Whether the truth of a source is known, and shown.
        rows: Chips.
    """

    order = 40

    def __init__(self, folder: Path, sides: tuple[Any, Any] | None, paired: bool, rows: int = 4):
        self.folder, self.sides, self.paired, self.rows = folder, sides, paired, rows
        self._chips: tuple[Tensor, ...] = ()

    def before_fit(self) -> None:
        self._chips = first_chips(self.dls.valid, self.rows)

    def after_validate(self) -> None:
        device = next(self.model.parameters()).device
        a, b = (chips.to(device) for chips in self._chips)
        with torch.no_grad(), self.learn.autocast():
            fakes = {d: self.model.translate(a if d == "AtoB" else b, d)
                     for d in self.model.directions}  # fmt: skip
        title = f"epoch {self.epoch + 1}, step {self.step}"
        figure = strip(a, b, fakes, self.sides, paired=self.paired, title=title)
        self.folder.mkdir(parents=True, exist_ok=True)
        figure.savefig(self.folder / f"epoch_{self.epoch + 1:04d}.png", dpi=80)


def strip(
    a: Tensor, b: Tensor, fakes: dict[str, Tensor], sides: tuple[Any, Any] | None, *,
    paired: bool, title: str | None = None, rgb_bands: Any = None,
) -> Any:  # fmt: skip
    """A figure with a row a chip.

    Args:
        a: (N, C, H, W) of side A.
        b: (N, C', H, W) of side B.
        fakes: Direction -> what came out.
        sides: Of the data.
        paired: Shows source | result | truth; else each domain beside its translation.
        title: Above the figure.
        rgb_bands: As in ``data.show.grid_figure``.
    """
    side_a, side_b = sides or (None, None)
    if paired:
        columns = {"source": a, "result": fakes["AtoB"], "truth": b}
        looks = {"source": side_a, "result": side_b, "truth": side_b}
    else:
        columns = {"A": a, "A to B": fakes["AtoB"]}
        looks = {"A": side_a, "A to B": side_b}
        if "BtoA" in fakes:
            columns |= {"B": b, "B to A": fakes["BtoA"]}
            looks |= {"B": side_b, "B to A": side_a}
    looks = {head: look for head, look in looks.items() if look is not None}
    return grid_figure(columns, sides=looks, title=title, rgb_bands=rgb_bands)


def first_chips(loader: Any, count: int) -> tuple[Tensor, ...]:
    """The first ``count`` chips of each side, or as many as there are."""
    held: list[tuple[Tensor, ...]] = []
    for batch in batches(loader, 0):
        held.append(tuple(batch))
        if sum(len(sides[0]) for sides in held) >= count:
            break
    return tuple(torch.cat(side)[:count].cpu() for side in zip(*held, strict=True))
