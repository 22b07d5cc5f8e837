"""Support chips in, drawn chips out: how a few-shot model meets files and the ground."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from rasterio.errors import NotGeoreferencedWarning
from torch import Tensor

from .. import __version__
from ..chips.files import list_images
from ..chips.layouts import find_layout
from ..chips.reading import open_chip
from ..data.draws import dice
from ..data.labelled import groups_of
from ..data.side import Side
from ..data.transforms import averaged, crop
from ..errors import ChipError, LayoutError, SettingError
from ..raster.files import whole_or_not
from ..raster.grid import Grid
from ..raster.reader import RasterReader
from ..raster.writer import geotiff
from ..translate.tags import SYNTHETIC

if TYPE_CHECKING:
    from .few_shot import FewShotModel

EACH = 8  # chips drawn from one choice of support images, when a whole class is drawn


class Supports(NamedTuple):
    """Support images, ready for a game.

    Attributes:
        images: (K, C, size, size) in [-1, 1].
        grids: Where each lies; None for one without a place.
        plain: They are 8-bit pictures without a place, such as PNGs.
    """

    images: Tensor
    grids: tuple[Grid | None, ...]
    plain: bool = False


def ready_supports(model: FewShotModel, images: Any) -> Supports:
    """What ``FewShotModel.generate`` takes, as a game takes it.

    Raises:
        ChipError: They are too small, or have other bands than the model was trained on.
        LayoutError: A folder holds no images.
    """
    if isinstance(images, Tensor):
        return Supports(images.float(), (None,) * len(images))
    if isinstance(images, str | Path):
        images = _in_folder(Path(images))
    if len(images) and isinstance(images[0], str | Path):
        return _from_files(model, [Path(path) for path in images])
    stored = [images] if np.ndim(images) == 3 else list(images)
    encoded = [_encoded(model, np.ma.asarray(one), "an image")[0] for one in stored]
    return Supports(_stacked(encoded), (None,) * len(encoded))


def _in_folder(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = [path / name for name in list_images(path, deep=False)]
    if not found:
        raise LayoutError(f"there are no images in {path}; give the folder of one class's chips")
    return found


def _from_files(model: FewShotModel, paths: Sequence[Path]) -> Supports:
    images, grids = [], []
    for path in paths:
        stored, head = open_chip(path, model.split.get("bands"))
        image, top, left = _encoded(model, stored, f"chip {path}")
        images.append(image)
        placed = head.grid is not None and head.grid.crs is not None
        grids.append(_cut(head.grid, model, top, left) if placed else None)  # type: ignore[arg-type]
    plain = all(path.suffix.lower() in (".png", ".jpg", ".jpeg") for path in paths)
    return Supports(_stacked(images), tuple(grids), plain and not any(grids))


def _encoded(model: FewShotModel, stored: Any, what: str) -> tuple[Tensor, int, int]:
    """(C, size, size) from the middle, and where that began, in pixels after averaging."""
    side, size = model.side, model.size
    if stored.ndim != 3 or len(stored) != side.count:
        raise ChipError(
            f"{what} is {' x '.join(map(str, stored.shape))} where (C, H, W) with {side.count} "
            "bands is due, as in training"
        )
    pixels = averaged(stored, model.split.get("shrink", 1))
    height, width = pixels.shape[1:]
    if min(height, width) < size:
        raise ChipError(f"{what} is {width} x {height} px and the model needs {size} px")
    pixels = crop(pixels, size)
    top, left = (int(0.5 * (n - size + 1)) for n in (height, width))
    return torch.from_numpy(np.ascontiguousarray(side.stretch.encode(pixels))), top, left


def _cut(grid: Grid, model: FewShotModel, top: int, left: int) -> Grid:
    """The grid of what ``_encoded`` gave."""
    from rasterio.windows import Window

    shrink = model.split.get("shrink", 1)
    side = model.size * shrink
    return grid.crop(Window(left * shrink, top * shrink, side, side)).zoom(1 / shrink)


def _stacked(images: Sequence[Tensor]) -> Tensor:
    if not images:
        raise ChipError("there are no support images; give one or more")
    return torch.stack(list(images))


@dataclass(frozen=True)
class Drawn:
    """Chips that a model drew.

    Attributes:
        model: Which.
        images: (n, C, H, W) in [-1, 1].
        supports: What they were drawn from.
    """

    model: FewShotModel
    images: Tensor
    supports: Supports

    def stored(self) -> np.ndarray:
        """(n, C, H, W) stored values, as the chips of the training hold them."""
        return stored_values(self.model.side, self.images)

    def write(self, folder: Path, place: Any = "support", *, first: int = 0) -> list[Path]:
        """GeoTIFFs ``drawn_0000.tif`` and so on; see ``FewShotModel.generate`` for ``place``.

        Raises:
            SettingError: There is no such place.
        """
        grids = self._grids(place)
        side, paths = self.model.side, []
        for i, (pixels, grid) in enumerate(zip(self.stored(), grids, strict=True), first):
            path = folder / f"drawn_{i:04d}.tif"
            with _unplaced_is_fine(), geotiff(
                path, grid, count=side.count, dtype=side.dtype, nodata=side.nodata,
                names=side.names if any(side.names) else None, tags=made_by(self.model),
            ) as writer:  # fmt: skip
                writer.write(pixels)
            paths.append(path)
        return paths

    def write_plain(self, folder: Path, *, first: int = 0) -> list[Path]:
        """PNGs, for 8-bit chips of one or three bands; a text chunk says they are synthetic."""
        from PIL import Image, PngImagePlugin

        folder.mkdir(parents=True, exist_ok=True)
        note, paths = PngImagePlugin.PngInfo(), []
        for name, text in made_by(self.model).items():
            note.add_text(name, text)
        for i, pixels in enumerate(self.stored(), first):
            path = folder / f"drawn_{i:04d}.png"
            with whole_or_not(path) as part:
                image = pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)
                Image.fromarray(image).save(part, format="PNG", pnginfo=note)
            paths.append(path)
        return paths

    def _grids(self, place: Any) -> list[Grid]:
        n, size = len(self.images), self.model.size
        if place is None:
            return [_nowhere(size)] * n
        if isinstance(place, str) and place == "support":
            return self._of_supports(n)
        if isinstance(place, Grid | str | Path):
            return tiles_of(place, size, n)
        raise SettingError(f"place={place!r}; there are 'support', a Grid, a raster and None")

    def _of_supports(self, n: int) -> list[Grid]:
        known = [grid for grid in self.supports.grids if grid is not None]
        if not known:
            return [_nowhere(self.model.size)] * n
        return [known[i % len(known)] for i in range(n)]


def tiles_of(place: Grid | str | Path, size: int, n: int) -> list[Grid]:
    """Grids of n chips side by side, row by row from the upper left corner of a grid.

    Raises:
        SettingError: The name of a place and no file.
    """
    from rasterio.windows import Window

    if not isinstance(place, Grid):
        if not Path(place).exists():
            raise SettingError(f"place={str(place)!r} is neither 'support' nor a raster's path")
        with RasterReader(place) as reader:
            place = reader.grid
    across = max(1, place.shape[1] // size)
    return [place.crop(Window(i % across * size, i // across * size, size, size)) for i in range(n)]


def stored_values(side: Side, drawn: Tensor) -> np.ndarray:
    """(n, C, H, W) in [-1, 1] as stored values of a side."""
    images = drawn.clamp(-1, 1).numpy()
    return np.stack([side.stretch.decode(one, side.dtype, side.nodata) for one in images])


def made_by(model: FewShotModel) -> dict[str, str]:
    """Tags for whoever finds a drawn chip."""
    return {
        "RS_GEN_SYNTHETIC": SYNTHETIC, "RS_GEN_VERSION": __version__, "RS_GEN_MODEL": model.name,
    }  # fmt: skip


def augment(
    model: FewShotModel, folder: Path, per_class: int, out: Path, *, shots: int | None, seed: int,
    views: str | None, progress: Callable[..., Iterable] | None,
) -> Path:  # fmt: skip
    """See ``FewShotModel.augment``.

    Raises:
        SettingError: ``per_class`` is none, or ``out`` is ``folder``.
        LayoutError: There are no class folders.
    """
    if per_class < 1:
        raise SettingError(f"per_class={per_class} draws nothing; ask for 1 or more")
    if out.resolve() == folder.resolve():
        raise SettingError(f"{out} holds the real chips; drawn ones need a folder of their own")
    layout = find_layout(folder, "classes")
    groups = groups_of(layout.a, layout.labels)
    shots = shots or model.split.get("shots", 3)
    wrap = progress or (lambda items, total=None, label="": items)
    for name in wrap(list(groups), len(groups), "drawing classes"):
        _draw_class(model, name, groups[name], per_class, out / name, shots, seed, views)
    return out


def _draw_class(
    model: FewShotModel, name: str, paths: Sequence[Path], count: int, out: Path, shots: int,
    seed: int, views: str | None,
) -> None:  # fmt: skip
    rng = dice(seed, "augment", name)
    alone = len(paths) <= shots or model.few_shot.meta  # adapting once a class is dear enough
    each = count if alone else EACH
    for first in range(0, count, each):
        chosen = sorted(rng.permutation(len(paths))[: len(paths) if alone else shots])
        supports = ready_supports(model, [paths[i] for i in chosen])
        n = min(each, count - first)
        images = model.draw(supports.images, n, int(rng.integers(2**31)), views=views)
        drawn = Drawn(model, images, supports)
        plain = supports.plain and model.side.dtype == "uint8" and model.side.count in (1, 3)
        if plain:
            drawn.write_plain(out, first=first)
        else:
            drawn.write(out, first=first)


@contextmanager
def _unplaced_is_fine() -> Iterator[None]:
    """Inside, a chip without a place on the ground is no reason to warn."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield


def _nowhere(size: int) -> Grid:
    from affine import Affine

    return Grid((size, size), Affine.scale(1, -1), None)
