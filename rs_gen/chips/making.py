"""The loop of an export: every cell of every raster once, with progress."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ..errors import ChipError, SettingError
from ..raster.reader import RasterReader
from .cutting import Chip, Choice, Recipe, Run, Skipped, added, cut, refuse_unlike
from .job import Journal
from .progress import Progress
from .sampling import Lattice
from .scenes import Scene
from .welford import Moments


@dataclass
class Made:
    """What an export has made.

    Attributes:
        scenes: The rasters cut.
        lattices: Their lattices, in the same order.
        chips: Written or kept, in the order of the rasters, row by row.
        skipped: Cells that gave no chip.
        poor: Those of them with too little measured.
        best: The highest measured share among the poor.
        moments: Running statistics by side; empty unless gathered.
    """

    scenes: list[Scene]
    lattices: list[Lattice]
    chips: list[Chip] = field(default_factory=list)
    skipped: int = 0
    poor: int = 0
    best: float = 0.0
    moments: dict[str, tuple[Moments, ...]] = field(default_factory=dict)

    @property
    def kept(self) -> int:
        """Chips that were there before."""
        return sum(chip.kept for chip in self.chips)

    @property
    def written(self) -> int:
        """Chips that are new."""
        return len(self.chips) - self.kept

    def add(self, cell: Chip | Skipped) -> None:
        """Count one cell."""
        if isinstance(cell, Chip):
            self.chips.append(cell)
            return
        self.skipped += 1
        if not cell.outside:
            self.poor += 1
            self.best = max(self.best, cell.share)

    def gather(self, scene: Scene, run: Run) -> None:
        """Add the statistics of a run to those of its sides."""
        sides = "ab" if scene.partners else scene.side
        for side, found in zip(sides, run.moments, strict=False):
            old = [self.moments[side]] if side in self.moments else []
            self.moments[side] = added(old, [found])[0]


def make(
    scenes: list[Scene],
    lattices: list[Lattice],
    choose: Choice,
    recipe: Recipe,
    journal: Journal,
    progress: Progress,
) -> Made:
    """Cut all scenes.

    Raises:
        SettingError: The chips are larger than every raster.
        ChipError: No cell gave a chip; the text says why.
    """
    _refuse_small(scenes, recipe, lattices)
    _refuse_unlike(scenes, recipe)
    made = Made(scenes, lattices)

    def cells() -> Iterator[Chip | Skipped]:
        for scene, lattice in zip(scenes, lattices, strict=True):
            for run in cut(scene, lattice, choose, recipe, journal):
                made.gather(scene, run)
                yield from run.cells

    for cell in progress(cells(), total=sum(map(len, lattices)), label="Cutting chips"):
        made.add(cell)
    if not made.chips:
        raise ChipError(_why_none(made, recipe))
    return made


def _why_none(made: Made, recipe: Recipe) -> str:
    outside = made.skipped - made.poor
    text = f"none of {made.skipped} windows gives a chip: {outside} lie outside of the area"
    if made.poor:
        text += (
            f" and {made.poor} have less than min_valid={recipe.min_valid:g} measured; the best has"
            f" {made.best:.2f}, so a lower min_valid may help"
        )
    return text + ("; smaller chips or a lower area_share may help" if outside else "")


def _refuse_small(scenes: Sequence[Scene], recipe: Recipe, lattices: Sequence[Lattice]) -> None:
    if any(len(lattice) for lattice in lattices):
        return
    size = lattices[0].size
    largest = max(min(scene.grid.shape) for scene in scenes)
    scene = max(scenes, key=lambda s: min(s.grid.shape))
    height, width = scene.grid.shape
    raise SettingError(
        f"size={size} leaves no window in {scene.path.name} of {width} x {height} px where both"
        f" sides reach; try size={min(largest, size // 2)}"
    )


def _refuse_unlike(scenes: Sequence[Scene], recipe: Recipe) -> None:
    """All rasters of a side must give chips of one kind, before any is cut."""
    first: dict[str, RasterReader] = {}
    for scene in scenes:
        sides = [
            (scene.side, scene.path, recipe.target_bands if scene.side == "b" else recipe.bands)
        ]
        sides += [("b", partner.path, recipe.target_bands) for partner in scene.partners]
        for side, path, bands in sides:
            with RasterReader(path, bands) as reader:
                refuse_unlike(reader, first.setdefault(side, reader))
