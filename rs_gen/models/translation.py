"""What a model for translation has: two sides, and rasters that go from one to the other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..data.side import Side
from ..games.base import Game
from ..games.package import Package
from ..networks.blocks import start_at
from ..training.evaluate import PAIRED, Scorer, scorer_for
from . import applying, figures, keeping
from .base import Model
from .fitting import check_chips

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class TranslationModel(Model):
    """A model for image translation. Use ``Pix2Pix`` or ``CycleGAN``.

    Attributes:
        a: What side A holds, with its stretch.
        b: What side B holds.
        statistics: Direction to norm statistics of the training chips; empty until they are needed.
        palettes: Direction to the few colours of its target's chips, or None.
        references: Direction to what the training chips looked like; empty until they are needed.
    """

    supported_backbones: ClassVar[tuple[str, ...]] = ("efficientnet_lite0",)
    available_metrics: ClassVar[tuple[str, ...]] = PAIRED
    does_without_data: ClassVar[str] = "predict and translate"
    a: Side
    b: Side

    def show_results(self, rows: int = 4, rgb_bands: Any = None) -> Figure:
        """Validation chips with what the model makes of them; for pairs also the truth."""
        self._needs_data("show_results")
        return figures.results_figure(self, rows, rgb_bands)

    def predict(
        self, chip: str | Path | np.ndarray, direction: str = "AtoB", out: str | Path | None = None
    ) -> np.ma.MaskedArray:
        """Translate one chip as a whole.

        Args:
            chip: A raster's path, or (C, H, W) stored values, masked where nothing was measured.
            direction: ``"AtoB"``, or ``"BtoA"`` for a model that goes back as well.
            out: Also write a GeoTIFF with the place of ``chip``, which must be a path.

        Returns:
            (C', H, W) stored values of the target, masked where the chip is.
        """
        return applying.predict(self, chip, direction, out)

    def translate_raster(
        self, src: str | Path, dst: str | Path, direction: str = "AtoB",
        statistics: str = "sampled", tile_size: int | str = "auto", batch_size: int = 4,
        device: Any = None, *, trust: str | Sequence[str] = (), trust_models: Sequence[Any] = (),
        drift: str = "off", **options: Any,
    ) -> Path:  # fmt: skip
        """Translate a raster of any size into a GeoTIFF on the same grid, without seams.

        Args:
            src: What GDAL reads.
            dst: The GeoTIFF.
            direction: ``"AtoB"``, or ``"BtoA"`` for a model that goes back as well.
            statistics: ``"sampled"`` from this raster, ``"exact"``, ``"regional"`` or ``"model"``.
            tile_size: Side of a tile in pixels, or ``"auto"``; changes speed and memory, not the
                result.
            batch_size: Tiles computed at once.
            device: Where to compute; None is the model's.
            trust: Layers that say how far to believe each pixel, written to ``dst`` with "_trust"
                in its name: of "cycle", "disagreement", "drift" and "realness", or "all".
            trust_models: More models: "disagreement" is then over all of them.
            drift: Whether to "warn" of a raster unlike the training chips, "refuse" it, or "off".
            **options: As ``translate.translator.Translator`` takes them, such as ``area``.
        """
        if statistics == "model":
            self._gather()
        if trust or drift != "off":
            self._remember()
        options |= {"statistics": statistics, "tile_size": tile_size, "batch_size": batch_size}
        return applying.translate(
            self, src, dst, direction, device, options, drift=drift, trust=trust,
            models=trust_models,
        )  # fmt: skip

    # What a kind of model says.

    def _from_data(self, data: Any) -> None:
        self.a, self.b = data.a, data.b

    def _shape(self) -> dict[str, Any]:
        return {"in_channels": self.a.count, "out_channels": self.b.count}

    def _from_package(self, path: str | Path, package: Package) -> None:
        card = package.card
        a, b = Side.from_dict(card.source), Side.from_dict(card.target)
        if self.data is not None:
            keeping.check_fit(path, (a, b), (self.data.a, self.data.b))
        self.a, self.b, self.palettes = a, b, dict(card.palettes)
        self.statistics, self.references = package.statistics, dict(package.references)

    def _scorer(self) -> Scorer:
        return scorer_for(self.data)

    def _card_fields(self) -> dict[str, Any]:
        palettes = {way: held for way, held in self.palettes.items() if held}
        return {"source": self.a.to_dict(), "target": self.b.to_dict(), "palettes": palettes}

    def _check_chips(self, game: Game, data: Any) -> None:
        check_chips(game, data)

    def _forget(self) -> None:
        super()._forget()
        self.statistics, self.references = {}, {}

    def _remember(self) -> None:
        """Fill what rasters are held against, if the weights have changed."""
        self._gather()
        if not self.references and self.data is not None:
            self.references = keeping.training_references(self)

    def _package_options(self) -> dict[str, Any]:
        return {"statistics": self.statistics, "references": self.references}

    def _start_at_mean(self) -> None:
        for direction, side in zip(self.game.directions, (self.b, self.a), strict=False):
            if len(side.mean) == side.count:
                stored = np.array(side.mean, dtype="float64")[:, None, None]
                start_at(self.game.generator(direction), side.stretch.encode(stored).ravel())

    def _gather(self) -> None:
        """Fill the norm statistics over the training chips, if the weights have changed."""
        if not self.statistics and self.data is not None:
            self.statistics = keeping.training_statistics(self)
        if not self.palettes and self.data is not None:
            self.palettes = keeping.training_palettes(self)

    def _begin(self, data: Any, device: Any) -> None:
        super()._begin(data, device)
        self.statistics: Any = {}
        self.palettes: dict[str, Any] = {}
        self.references: Any = {}

    def _about(self) -> list[str]:
        return [
            f"{type(self).__name__}: {self.a.count} to {self.b.count} bands, chips of "
            f"{self.size} px, {', '.join(self.game.directions)}"
        ]
