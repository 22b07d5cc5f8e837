"""Small datasets, drawn by the tests themselves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from PIL import Image

FOLDERS = {"rs_gen": ("train_a", "train_b"), "unaligned": ("trainA", "trainB")}


def draw(seed: int, bands: int, height: int, width: int, dtype: str = "uint8") -> np.ndarray:
    """(bands, height, width) that no turn maps onto itself, another for each seed."""
    rng = np.random.default_rng(seed)
    top = 255 if dtype == "uint8" else 4000
    return (rng.random((bands, height, width)) * top).astype(dtype)


def write(path: Path, pixels: np.ndarray, **profile) -> Path:
    """A chip; GeoTIFFs get a place on the ground."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".tif":
        count, height, width = pixels.shape
        place = {"crs": "EPSG:32633", "transform": Affine(10, 0, 5e5, 0, -10, 5e6)}
        with rasterio.open(
            path, "w", driver="GTiff", count=count, height=height, width=width,
            dtype=pixels.dtype, **{**place, **profile},
        ) as file:  # fmt: skip
            file.write(pixels)
    else:
        image = pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)
        Image.fromarray(image).save(path)
    return path


@pytest.fixture
def make(tmp_path):
    """A function that writes a dataset with two sides and gives its folder."""

    def dataset(
        a: int | Sequence[str] = 8,
        b: int | Sequence[str] | None = None,
        *,
        size: int | tuple[int, int] = 32,
        bands: tuple[int, int] = (3, 3),
        dtypes: tuple[str, str] = ("uint8", "uint8"),
        suffix: str = ".png",
        layout: str = "rs_gen",
        name: str = "chips",
        same: bool = False,
    ) -> Path:
        root = tmp_path / name
        stems = _stems(a), _stems(a if b is None else b)
        height, width = (size, size) if isinstance(size, int) else size
        for side, folder in enumerate(FOLDERS[layout]):
            for number, stem in enumerate(stems[side]):
                seed = number if same else 1000 * side + number
                chip = draw(seed, bands[side], height, width, dtypes[side])
                write(root / folder / (stem + suffix), chip)
        return root

    return dataset


def _stems(given: int | Sequence[str]) -> list[str]:
    return [f"{i:03d}" for i in range(given)] if isinstance(given, int) else list(given)


@pytest.fixture
def chip():
    """The function that draws a chip."""
    return draw


@pytest.fixture
def write_chip():
    """The function that writes a chip."""
    return write


@pytest.fixture
def make_classes(tmp_path):
    """A function that writes folders of chips, such as ``{"forest": 4}``, and gives their root."""

    def dataset(
        counts: dict[str, int],
        *,
        name: str = "classes",
        size: int | tuple[int, int] = 16,
        bands: int = 3,
        dtype: str = "uint8",
        suffix: str = ".png",
        apart: bool = True,
    ) -> Path:
        root, number = tmp_path / name, 0
        height, width = (size, size) if isinstance(size, int) else size
        for folder, count in counts.items():
            for i in range(count):
                number += 1
                place = Affine(10, 0, 5e5 + (1000 * number if apart else 0), 0, -10, 5e6)
                chip = draw(number, bands, height, width, dtype)
                write(root / folder / f"{i:03d}{suffix}", chip, transform=place)
        return root

    return dataset


@pytest.fixture
def classes_of(make_classes):
    """The same for plain chips: ``classes_of(forest=4, river=2)``."""
    return lambda name="classes", **counts: make_classes(counts, name=name)
