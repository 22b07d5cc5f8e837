"""A small model and small rasters for the tests of jobs."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import rasterio
from translating import lively, scene, write

from rs_gen.games.package import Card, save
from rs_gen.games.registry import create_game

SIDE = {"count": 3, "dtype": "uint8", "names": ["red", "green", "blue"], "resolution": 10.0,
        "stretch": {"low": [0] * 3, "high": [255] * 3}}  # fmt: skip
#: Blocks of 64 px in tiles of 32, in float32: the same on any CPU.
SMALL = {"block_size": 64, "options": {"tile_size": 32, "batch_size": 1, "mixed_precision": False},
         "device": "cpu"}  # fmt: skip


def make_model(folder: Path, width: int = 4, seed: int = 0, **settings) -> Path:
    """A CycleGAN that was never trained, but whose answers vary."""
    game = create_game("cyclegan", in_channels=3, out_channels=3, width=width, blocks=1, d_width=2,
                       **settings)  # fmt: skip
    lively(game.generator("AtoB"), seed=seed)
    return save(folder, game, Card("cyclegan", {}, SIDE, SIDE, 64), overwrite=True)


def raster(path: Path, shape=(100, 130), seed: int = 0, hole: bool = True, **options) -> Path:
    """A scene of which a corner was not measured."""
    pixels = scene(shape, seed=seed)
    valid = np.ones(shape, bool)
    if hole:
        valid[:40, :50] = False
        pixels[:, ~valid] = 0
        options = {"nodata": 0, **options}
    path.parent.mkdir(parents=True, exist_ok=True)
    return write(path, pixels, names=SIDE["names"], **options)


def pixels_of(path: Path) -> np.ndarray:
    with rasterio.open(path) as dataset:
        return np.concatenate([dataset.read(), dataset.read_masks()])


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of pixels and masks of every output."""
    return {
        path.name: hashlib.sha256(pixels_of(path).tobytes()).hexdigest()
        for path in sorted(folder.glob("*.tif"))
    }


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "rs_gen.cli.main", "translate-batch", *map(str, arguments)]


def start(*arguments: object, **options) -> subprocess.Popen:
    """The command line in a process of its own, its output on pipes."""
    environ = {**os.environ, "PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True, env=environ, **options)  # fmt: skip
