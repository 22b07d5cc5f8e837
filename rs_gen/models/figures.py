"""Figures of a model: results, losses, learning rates. They need no display."""

from __future__ import annotations

import io
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import torch

from ..training.preview import first_chips, strip
from ..training.record import LEAD, LOSS, History

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..training.lr_find import LrCurve
    from .translation import TranslationModel


@torch.no_grad()
def results_figure(model: TranslationModel, rows: int, rgb_bands: Any) -> Figure:
    """Validation chips and their translations."""
    game = model.game.eval().to(model.device)
    a, b = (side.to(model.device) for side in first_chips(model.data.valid, rows))
    fakes = {d: game.translate(a if d == "AtoB" else b, d).float() for d in game.directions}
    paired = model.data.kind == "Pix2Pix"
    return strip(a, b, fakes, (model.a, model.b), paired=paired, rgb_bands=rgb_bands)


def losses_figure(history: History, without: Collection[str] = ()) -> Figure:
    """Loss terms on the left, metrics on the right, but for those ``without``."""
    figure = new_figure((9, 3.2))
    left, right = figure.subplots(1, 2)
    epochs = range(1, len(history) + 1)
    for name in history.columns:
        if name in LEAD or name == "n" or name in without:
            continue
        values = [float("nan") if v is None else v for v in history.values(name)]
        axis = left if name.startswith(LOSS) else right
        label = name.removeprefix(LOSS)
        axis.plot(epochs, _relative(values) if axis is right else values, ".-", label=label)
    left.set(title="losses", xlabel="epoch", yscale="symlog")
    right.set(title="metrics, share of their largest", xlabel="epoch")
    for axis in (left, right):
        if axis.lines:
            axis.legend(fontsize=7)
    return figure


def information_figure(history: History) -> Figure:
    """What the features tell over the training, a panel for each kind, a point a validation."""
    figure = new_figure((10, 5.5))
    panels = figure.subplots(2, 3).ravel()
    kinds = {
        "uniformity, -4.27 spread out to 0 alike": ("uniformity_g", "uniformity_d"),
        "entropy": ("entropy_g", "entropy_d"),
        "scale-free entropy": ("scale_free_entropy_g", "scale_free_entropy_d"),
        "effective rank": ("erank_g", "erank_d"),
        "discriminator's gap, training to held-out": ("d_train_test_gap",),
        "distance to the nearest training chip": ("nearest_ratio", "nearest_ratio_pixels"),
    }
    for axis, (title, names) in zip(panels, kinds.items(), strict=True):
        for name in names:
            points = [(row["step"], row[name]) for row in history if row.get(name) is not None]
            if points:
                axis.plot(*zip(*points, strict=True), ".-", label=name)
        axis.set_title(title, fontsize=9)
        axis.set_xlabel("step", fontsize=8)
        if axis.lines:
            axis.legend(fontsize=7)
    return figure


def lr_figure(found: LrCurve) -> Figure:
    """Running loss against learning rate, the suggestion in red."""
    figure = new_figure((5, 3.2))
    axis = figure.subplots()
    axis.plot(found.rates, found.losses)
    axis.axvline(found.suggestion, color="red", linewidth=1)
    axis.set(xscale="log", xlabel="learning rate", ylabel="running loss of the generators")
    return figure


def png(figure: Figure) -> bytes:
    """A figure as a PNG."""
    held = io.BytesIO()
    figure.savefig(held, format="png", dpi=96)
    return held.getvalue()


def _relative(values: list[float]) -> list[float]:
    most = max((abs(v) for v in values if v == v), default=1.0) or 1.0
    return [v / most for v in values]


def new_figure(size: tuple[float, float]) -> Figure:
    """An empty figure of (width, height) inches, which no display needs to hold."""
    from matplotlib.figure import Figure

    class Picture(Figure):
        """A figure that a notebook shows also where pyplot was never imported."""

        def _repr_png_(self) -> bytes:
            return png(self)

    return Picture(figsize=size, layout="constrained")
