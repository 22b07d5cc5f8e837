"""How each trust layer is set up for one raster: its networks, their statistics, its reach."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rasterio.windows import Window

from ..errors import TranslationError
from ..games.package import Package, load
from ..networks.blocks import smallest_side
from ..networks.norm import norm_layers
from .canvas import Canvas, Encoded, round_up
from .checks import Output, choose_output
from .cycle import NOISE, CycleError, Stored
from .disagreement import Several, Turned
from .drift import FeatureDrift, encoder_of, gaussian_of, reference_of
from .engine import Engine, ready
from .fitting import fitted
from .realness import Judge, Realness, patch_reach, smallest_image
from .seen import Layer, Seen
from .statistics import gather, stored_statistics
from .translator import Translator
from .windows import choose_windows

_WINDOWS = 8  # of the raster, from which networks behind the generator take their statistics


@dataclass
class Setting:
    """One raster under one model, for as long as its layers are computed.

    Attributes:
        package: The model.
        direction: That is judged.
        there: The translator of that direction.
        canvas: Of the raster, as the translation has it.
        kind: Of statistics, as a translation takes it.
        stack: Closes what the layers opened.
        judged: A canvas of a translation on disk, to be judged instead of one made here.
        others: More models, whose answers are compared.
        noise: As ``cycle.Stored`` takes it.
        seed: Likewise.
    """

    package: Package
    direction: str
    there: Translator
    canvas: Canvas
    kind: str
    stack: ExitStack
    judged: Canvas | None = None
    others: Sequence[Translator] = ()
    noise: float = NOISE
    seed: int = 42
    _sample: list[Seen] = field(init=False, default_factory=list)

    @cached_property
    def engine(self) -> Engine:
        """Of the generator that is judged, with its statistics frozen."""
        return self._fitted(self.there, self.canvas, self.kind)

    @property
    def reach(self) -> int:
        """Of the translation that is judged; none where it is read from disk."""
        return 0 if self.judged is not None else _farther(self.there)

    def seen(self, window: Window, encoded: Encoded) -> Seen:
        """A window with what the layers share."""
        return Seen(window, encoded.pixels, encoded.valid, self._translated)

    def layer(self, name: str) -> Layer:
        """A layer by its name, ready to be asked."""
        makers: dict[str, Callable[[], Layer]] = {
            "cycle": self._cycle,
            "disagreement": self._disagreement,
            "drift": self._drift,
            "realness": self._realness,
        }
        return makers[name]()

    def _translated(self, pixels: np.ndarray, window: Window) -> np.ndarray:
        if self.judged is not None:
            return self.judged.read(window).pixels
        return self.engine(pixels[None], [(int(window.row_off), int(window.col_off))])[0]

    def _fitted(self, model: Translator, canvas: Canvas, kind: str) -> Engine:
        """An engine of a model with the raster's statistics, until the setting is left."""
        statistics = model._statistics(canvas, kind)
        return self.stack.enter_context(fitted(model._engine(False, "float32"), statistics))

    def _samples(self) -> list[Seen]:
        """Windows spread over the raster, the same whatever the tiles."""
        if not self._sample:
            side = round_up(self.there.size, self.canvas.phase)
            windows = choose_windows(self.canvas, side, _WINDOWS)
            self._sample = [self._sampled(window) for window in windows]
        return self._sample

    def _sampled(self, window: Window) -> Seen:
        """A window whose translation was made with all that the generator looks at around it."""
        halo, (height, width) = round_up(self.reach, self.canvas.phase), self.canvas.padded
        top, left = max(window.row_off - halo, 0), max(window.col_off - halo, 0)
        bottom = min(window.row_off + window.height + halo, height)
        right = min(window.col_off + window.width + halo, width)
        around = Window(left, top, right - left, bottom - top)
        fake = self._translated(self.canvas.read(around).pixels, around)
        rows = slice(window.row_off - top, window.row_off - top + window.height)
        cols = slice(window.col_off - left, window.col_off - left + window.width)
        encoded = self.canvas.read(window)
        return Seen(window, encoded.pixels, encoded.valid, lambda *_: fake[:, rows, cols])

    def _gathered(self, net: torch.nn.Module, look: Callable[[Seen], np.ndarray]) -> Any:
        """Statistics of a network's norms over the sample, as ``look`` shows it."""
        if not norm_layers(net) or not self._samples():
            return {}
        images = torch.from_numpy(np.stack([look(seen) for seen in self._samples()]))
        valid = torch.from_numpy(np.stack([seen.valid for seen in self._samples()])[:, None])
        device = self.there.device
        return gather(net, images.to(device), valid.to(device))

    def _cycle(self) -> CycleError:
        back = translator_of(self.package, other(self.direction), self.there.device)
        stored = Stored(
            self.there.target, self._output(), self.canvas.reader.grid, self.noise, self.seed
        )
        if self.kind == "model" and norm_layers(back.generator):
            statistics = stored_statistics(back.generator, back.norms)
        else:
            statistics = self._gathered(back.generator, stored)
        engine = self.stack.enter_context(back._engine(False, "float32").frozen(statistics))
        return CycleError(stored, engine, self.reach + _farther(back), back.reach.phase)

    def _output(self) -> Output:
        return choose_output(self.there.target, None, "auto", holes=True)

    def _disagreement(self) -> Turned | Several:
        if not self.others:
            engine = self.engine
            if self.kind == "regional":  # statistics of a place can't be turned with the raster
                again = translator_of(self.package, self.direction, self.there.device)
                engine = self._fitted(again, self.canvas, "sampled")
            return Turned(engine, _farther(self.there), self.there.reach.phase)
        members = [self._member(each) for each in (self.there, *self.others)]
        models = (self.there, *self.others)
        reach = max(map(_farther, models))
        return Several(members, reach, math.lcm(*(each.reach.phase for each in models)))

    def _member(self, model: Translator) -> Callable[[Window], np.ndarray]:
        """A model's answer for a window of the raster, in the range of the first."""
        canvas, engine = self.canvas, None
        if model is not self.there:
            if model.source.count != self.there.source.count:
                raise TranslationError(
                    f"{model.name} takes {model.source.count} bands and {self.there.name} "
                    f"{self.there.source.count}; compare models of the same bands"
                )
            if model.target.count != self.there.target.count:
                raise TranslationError(
                    f"{model.name} makes {model.target.count} bands and {self.there.name} "
                    f"{self.there.target.count}; compare models of the same target"
                )
            canvas = model._canvas(self.canvas.reader)
            engine = self._fitted(model, canvas, self.kind)
        engine = engine or self.engine
        mine, its = self.there.target.stretch, model.target.stretch

        def answer(window: Window) -> np.ndarray:
            place = _on(canvas, self.canvas, window)
            origin = int(place.row_off), int(place.col_off)
            fake = engine(canvas.read(place).pixels[None], [origin])[0]
            if its != mine:
                fake = mine.encode(its.decode(fake, "float64"))
            return _fitted(fake, int(window.height), int(window.width))

        return answer

    def _drift(self) -> FeatureDrift:
        there, reference = self.there, reference_of(self.package.references, self.direction)
        if not reference.has_features:
            raise TranslationError(
                "the model was trained on too few chips to tell a drift of features; the "
                "histograms of its bands are there: drift='warn'"
            )
        net = ready(there.generator, there.device)
        encoder = encoder_of(net, there.source.count, there.reach.phase, there.norms)
        gaussian, block = gaussian_of(reference), int(reference.block)
        if len(gaussian.mean) != 2 * encoder.features or block % encoder.step:
            raise TranslationError(
                "the model's reference of its training chips is not of this generator; save it "
                "again with its data"
            )
        phase = math.lcm(there.reach.phase, block)
        engine = Engine(encoder, there.device)
        return FeatureDrift(
            engine, encoder.step, gaussian, float(reference.limit), block, _farther(there), phase
        )

    def _realness(self) -> Realness:
        discriminator, conditional = _judge_of(self.package, self.direction)
        net = ready(Judge(discriminator, self.there.source.count, conditional), self.there.device)
        rows, cols = net.sight
        engine = Engine(net, self.there.device)
        frozen = self._gathered(net, lambda seen: np.concatenate([seen.pixels, seen.fake]))
        engine = self.stack.enter_context(engine.frozen(frozen))
        reach = self.reach + max(patch_reach(rows), patch_reach(cols))
        phase = math.lcm(int(rows.stride), int(cols.stride))
        return Realness(engine, rows, cols, reach, phase)


def other(direction: str) -> str:
    """The way back."""
    return "AtoB" if direction == "BtoA" else "BtoA"


def canvas_of(package: Package, there: Translator, reader: Any, names: Sequence[str]) -> Canvas:
    """The translation's own canvas, or a larger one where a layer of ``names`` needs that."""
    phase, least = there.reach.phase, smallest_side(there.generator, there.reach.phase)
    if "cycle" in names:
        back = translator_of(package, other(there.direction), there.device)
        phase = math.lcm(phase, back.reach.phase)
        least = max(least, smallest_side(back.generator, back.reach.phase))
    if "realness" in names:
        least = max(least, smallest_image(_judge_of(package, there.direction)[0]))
    return Canvas(reader, there.source.stretch, phase, least)


def translator_of(package: Package, direction: str, device: Any, name: str = "model") -> Translator:
    """The translator of one direction of a loaded model."""
    card = package.card
    sides = (card.source, card.target) if direction == "AtoB" else (card.target, card.source)
    return Translator(
        package.game.generator(direction), *sides, direction=direction, device=device,
        norms=(package.statistics or {}).get(direction), size=card.size, name=name,
    )  # fmt: skip


def opened(package: str | Path | Package) -> tuple[Package, str]:
    """A model with its discriminators, and its name."""
    if isinstance(package, str | Path):
        return load(package), Path(package).stem
    return package, "model"


def available(package: Package, direction: str) -> dict[str, str]:
    """Every layer, with the reason why a model can't give it; "" where it can."""
    reference = package.references.get(direction)
    return {
        "cycle": "" if other(direction) in package.game.directions else (
            f"a {package.card.model} does not translate back"
        ),
        "disagreement": "",
        "drift": "" if reference is not None and reference.has_features else (
            "the model keeps no features of its training chips (they were too few, or it was saved "
            "without them); load it with its data and save it again"
        ),
        "realness": "" if package.judged and package.game.judge_of(direction) is not None else (
            "no discriminator was saved with the model"
        ),
    }  # fmt: skip


def _judge_of(package: Package, direction: str) -> tuple[torch.nn.Module, bool]:
    found = package.game.judge_of(direction) if package.judged else None
    if found is None:
        raise TranslationError("no discriminator was saved with the model, so none can judge")
    return found


def _farther(model: Translator) -> int:
    return max(model.reach.left, model.reach.right)


def _on(canvas: Canvas, asked: Canvas, window: Window) -> Window:
    """A window of one canvas on another of the same raster, whose end may lie elsewhere."""
    ends = [window.row_off + window.height, window.col_off + window.width]
    for axis in range(2):
        if ends[axis] >= min(asked.padded[axis], canvas.padded[axis]):
            ends[axis] = canvas.padded[axis]
    rows, cols = ends[0] - window.row_off, ends[1] - window.col_off
    return Window(window.col_off, window.row_off, cols, rows)


def _fitted(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Cut to a size; what lies beyond the image is padding, which is nobody's answer: 0."""
    image = image[:, :height, :width]
    rows, cols = height - image.shape[1], width - image.shape[2]
    return np.pad(image, ((0, 0), (0, rows), (0, cols))) if rows or cols else image
