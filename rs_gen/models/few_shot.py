"""What a few-shot model is for an analyst: some chips of a class in, further ones out.

Six systems, one sentence: ``image = render(condition(support), code)``. All that a person calls is
here and the same for all of them; see docs/few_shot.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

import torch
from torch import Tensor

from ..data.side import Side
from ..errors import SettingError
from ..games.few_shot import FewShotGame, nudges
from ..games.few_shot import views as eight_views
from ..games.package import Package
from ..training.callbacks import Part
from ..training.few_shot import Progressing, Share, Turns, drawn_figure
from ..training.record import History
from .base import Model
from .drawing import Drawn, augment, ready_supports
from .few_shot_scores import METRICS, score_unseen

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..metrics.protocol import Score

SHOWN = 4  # classes in a preview


class FewShotModel(Model):
    """Learn to draw classes from a few chips each; then draw one that was never seen.

    Args:
        data: Few-shot data: ``prepare_data(path, dataset_type="FewShot")``.
        preset: ``"small"`` is for a CPU, ``"published"`` has the published sizes and rates.
        device: Where to train and draw; None is where the data go.
        pretrained_path: A saved model of the same kind to start from.
        **settings: Any other of the game and of ``training.recipe.Recipe``.

    Attributes:
        side: What the chips hold, with their stretch.
        split: Names of the ``seen`` and ``unseen`` classes, ``turns``, ``shots``, ``shrink``.

    Raises:
        SettingError: Data of another kind, or a setting that can't work.
        UnknownNameError: There is no such setting or preset.
        ChipError: The chips' side is not a multiple of 8.
    """

    supported_datasets: ClassVar[tuple[str, ...]] = ("FewShot",)
    available_metrics: ClassVar[tuple[str, ...]] = METRICS
    does_without_data: ClassVar[str] = "generate"
    presets: ClassVar[tuple[str, ...]] = ("small", "published")
    side: Side
    split: dict[str, Any]

    def __init__(
        self, data: Any, preset: str | None = "small", *, device: Any = None,
        pretrained_path: str | Path | None = None, **settings: Any,
    ):  # fmt: skip
        super().__init__(data, self._usual(data, settings), preset, device, pretrained_path)

    # Training.

    def lr_find(self, allow_plot: bool = False, **options: Any) -> float:
        """As for every model, where a loss tells how a learning rate does.

        Raises:
            SettingError: The model learns to learn: its outer loss has no scale.
        """
        if self.few_shot.meta:
            raise SettingError(
                f"lr_find means nothing for {type(self).__name__}, whose loss is a direction; "
                "keep lr=1e-3, or lower it where previews fall apart"
            )
        return super().lr_find(allow_plot, **options)

    def fit(
        self, epochs: int | None = None, lr: float | None = None, *args: Any,
        callbacks: Iterable[Any] = (), preview: bool = True, folder: str | Path | None = None,
        **options: Any,
    ) -> History:  # fmt: skip
        """Train on episodes of the seen classes. Arguments are those of ``Model.fit``.

        ``split.json`` in the training's folder tells which classes were seen. With ``preview``
        there are pictures of some unseen classes; nothing is chosen by them.
        """
        self._needs_data("fit")
        where = Path(folder) if folder is not None else self.folder
        parts: list[Part] = [Share()]
        steps = self.game.settings.get("critic_steps", 1)
        parts += [Turns(steps)] if steps > 1 else []
        if preview:
            parts.append(Progressing(where / "previews", self._some_supports(SHOWN), self.side))
        self.data.save_split(where / "split.json")
        return super().fit(
            epochs, lr, *args, callbacks=[*parts, *callbacks], preview=False, folder=where,
            **options,
        )  # fmt: skip

    # Drawing.

    def generate(
        self, images: Any, n: int = 16, seed: int = 0, *, views: str | None = "auto",
        out: str | Path | None = None, place: Any = "support", encoded: bool = False,
    ) -> Any:  # fmt: skip
        """Draw chips of the class that some chips show.

        Args:
            images: Paths of chips, a folder of them, stored values (K, C, H, W), or a float tensor
                in [-1, 1]; any K from 1 on.
            n: How many.
            seed: Of the codes. One seed always gives the same chips.
            views: What a single support image is made into: its eight flips and quarter turns
                (``"turns"``), eight small shifts, turns and scales of it (``"nudges"``), or itself
                (None). ``"auto"`` is turns where the data say that those keep the class, else
                nudges. Several images are taken as they are.
            out: Folder to write the chips to, as GeoTIFFs.
            place: Where they lie on the ground: ``"support"`` puts each where a support chip lies,
                in turn, and nowhere if none has a place; a ``Grid`` or a raster's path lays them
                side by side from its upper left corner, row by row; None nowhere.
            encoded: Give a tensor in [-1, 1] instead.

        Returns:
            (n, C, H, W) stored values; paths of the files with ``out``.

        Raises:
            ChipError: The images are not such as the model was trained on.
            SettingError: An option can't work.
        """
        supports = ready_supports(self, images)
        drawn = self.draw(supports.images, n, seed, views=views)
        if encoded:
            return drawn
        found = Drawn(self, drawn, supports)
        return found.write(Path(out), place) if out is not None else found.stored()

    def draw(self, images: Tensor, n: int, seed: int = 0, *, views: str | None = "auto") -> Tensor:
        """``generate`` for (K, C, H, W) in [-1, 1], and giving (n, C, H, W) such."""
        if n < 1:
            raise SettingError(f"n={n} draws nothing; ask for 1 or more")
        dice = torch.Generator().manual_seed(seed)
        state = self._learnt(images, views, dice)
        code = self.few_shot.draw(state, n, generator=dice)
        return self.few_shot.show(state, code).float().cpu()

    def sweep(
        self, images: Any, steps: int = 8, seed: int = 0, *, start: Any = None, end: Any = None,
        views: str | None = "auto", encoded: bool = False,
    ) -> Any:  # fmt: skip
        """Chips on the way from one code to another.

        Args:
            images: As for ``generate``.
            steps: Chips, both ends among them.
            seed: Of the ends that are not given.
            start: A code, as ``game.draw`` gives them: coefficients of the support images for
                F2GAN, random numbers for the others. None draws one; F2GAN takes the first
                support image alone.
            end: As ``start``; F2GAN takes the last support image alone.
            views: As for ``generate``.
            encoded: Give a tensor in [-1, 1] instead.

        Returns:
            (steps, C, H, W) stored values.
        """
        supports = ready_supports(self, images)
        dice = torch.Generator().manual_seed(seed)
        state = self._learnt(supports.images, views, dice)
        first, last = self._ends(state, dice)
        ends = [first if start is None else start, last if end is None else end]
        codes = [torch.as_tensor(e, dtype=torch.float32, device=self.device) for e in ends]
        drawn = self.few_shot.show(state, self.few_shot.between(*codes, steps)).float().cpu()
        return drawn if encoded else Drawn(self, drawn, supports).stored()

    def augment(
        self, folder: str | Path, per_class: int, out: str | Path, *, shots: int | None = None,
        seed: int = 0, views: str | None = "auto", progress: Any = None,
    ) -> Path:  # fmt: skip
        """Draw chips of every class of a folder, into class folders of the same names.

        Plain 8-bit chips give PNGs, all others GeoTIFFs that lie where a support chip lies.

        Args:
            folder: Class folders of real chips.
            per_class: Chips to draw of each.
            out: The new folder.
            shots: Support images at a time, drawn anew for every eight chips or so; None is as in
                training. A class with fewer chips gives all it has.
            seed: Of all draws; a class's chips depend on it and on the class's name alone.
            views: As for ``generate``.
            progress: Wrapper ``progress(iterable, total=None, label="")``.

        Returns:
            ``out``.
        """
        return augment(
            self, Path(folder), per_class, Path(out), shots=shots, seed=seed, views=views,
            progress=progress,
        )  # fmt: skip

    # Looking.

    def show_results(self, rows: int = 4, rgb_bands: Any = None) -> Figure:
        """Unseen classes, a row each: support images, and chips drawn from them."""
        self._needs_data("show_results")
        self.game.to(self.device)
        names = self.data.unseen[:rows]
        return drawn_figure(
            self.game, self._some_supports(len(names)), self.side, rgb_bands=rgb_bands,
            captions=list(names),
        )  # fmt: skip

    def compute_metrics(
        self, n: int = 32, *, extractor: Any = None, classes: int | None = None
    ) -> dict[str, Score]:
        """Scores on the unseen classes, against chips that are no support images.

        Args:
            n: Chips to draw of each class.
            extractor: What looks at them; None for ImageNet features, or, where their package is
                missing, the pixels themselves. The name is in every score.
            classes: How many of the unseen classes; None for all.
        """
        self._needs_data("compute_metrics")
        self._scores = score_unseen(self, n, extractor, classes)
        return self._scores

    # What a kind of model says.

    @property
    def few_shot(self) -> FewShotGame:
        """The game."""
        return cast(FewShotGame, self.game)

    def _usual(self, data: Any, settings: dict[str, Any]) -> dict[str, Any]:
        """Settings with those that the data suggest."""
        return settings

    def _ends(self, state: Any, dice: torch.Generator) -> Iterable[Tensor]:
        """Where a sweep begins and ends."""
        return self.few_shot.draw(state, 2, generator=dice)

    def _learnt(self, images: Tensor, views: str | None, dice: torch.Generator) -> Any:
        self.game.to(self.device)
        return self.few_shot.learn(self._shown(images, views, dice).to(self.device), dice)

    def _shown(
        self, images: Tensor, views: str | None, dice: torch.Generator | None = None
    ) -> Tensor:
        """What the game is shown: a single image from several sides."""
        if views == "auto":
            views = "turns" if self.split.get("turns", True) else "nudges"
        if views not in ("turns", "nudges", None):
            raise SettingError(f"views={views!r}; there are 'auto', 'turns', 'nudges' and None")
        if len(images) > 1 or views is None:
            return images
        if views == "turns":
            return eight_views(images)
        return nudges(images, generator=dice or torch.Generator().manual_seed(0))

    def _some_supports(self, classes: int) -> Tensor:
        data = self.data
        return torch.stack([data.images(name, data.shots) for name in data.unseen[:classes]])

    def _from_data(self, data: Any) -> None:
        self.side, self.split = data.a, {**data.split(), "bands": data.bands}

    def _shape(self) -> dict[str, Any]:
        return {"in_channels": self.side.count, "size": self.size, "classes": self.data.c}

    def _from_package(self, path: str | Path, package: Package) -> None:
        card = package.card
        self.side, self.split = Side.from_dict(card.target), dict(card.training.get("split") or {})
        if self.data is None:
            return
        if self.data.a.count != self.side.count or self.data.chip_size != card.size:
            raise SettingError(
                f"{path} was trained on chips of {self.side.count} bands and {card.size} px, and "
                f"the data have {self.data.a.count} and {self.data.chip_size}"
            )
        known = set(self.split.get("seen", ())) & set(self.data.unseen)
        if known:
            raise SettingError(
                f"{path} has seen {', '.join(sorted(known)[:5])}, unseen in the data; prepare them "
                "with unseen= set to the model's own split['unseen']"
            )

    def _scorer(self) -> Any:
        return None  # whole classes are unseen: nothing to choose the best weights by

    def _card_fields(self) -> dict[str, Any]:
        return {"source": self.side.to_dict(), "target": self.side.to_dict()}

    def _training_facts(self) -> dict[str, Any]:
        return {"split": self.split}

    def _about(self) -> list[str]:
        seen, unseen = (len(self.split.get(k, ())) for k in ("seen", "unseen"))
        return [
            f"{type(self).__name__}: {self.side.count} bands, chips of {self.size} px, {seen} seen "
            f"and {unseen} unseen classes"
        ]
