"""A small model whose translations can be doubted."""

from pathlib import Path

import numpy as np
import torch
from translating import lively, scene

from rs_gen.games.card import Card
from rs_gen.games.package import Package
from rs_gen.games.registry import create_game
from rs_gen.networks.norm import norm_layers
from rs_gen.raster.reader import RasterReader
from rs_gen.translate.engine import ready
from rs_gen.translate.measure import measure
from rs_gen.translate.realness import Judge
from rs_gen.translate.statistics import gather

A = {"count": 3, "dtype": "uint8", "names": ["red", "green", "blue"], "resolution": 10.0,
     "stretch": {"low": [0] * 3, "high": [255] * 3}}  # fmt: skip
B = {"count": 2, "dtype": "uint8", "names": ["roads", "houses"],
     "stretch": {"low": [0] * 2, "high": [255] * 2}}  # fmt: skip
CPU = torch.device("cpu")


def make_package(model: str = "cyclegan", seed: int = 0, **settings) -> Package:
    """A game with lively weights, and what it keeps of a few chips of ``scene``."""
    options = {"width": 4, "blocks": 1, "d_width": 4, "generator": "resnet", **settings}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        game = create_game(model, in_channels=3, out_channels=2, **options).eval()
        for player in game.discriminators.values():
            for p in player.parameters():
                torch.nn.init.normal_(p, 0, 0.15)
    for direction, bands in zip(game.directions, (3, 2), strict=False):
        lively(game.generator(direction), bands, seed)
    card = Card(model, game.settings, A, B, 64)
    statistics, references = {}, {}
    chips = torch.from_numpy(np.stack([scene((64, 64), seed=s) for s in range(12)]))
    a = chips.float() / 127.5 - 1
    b = a[:, :2].flip(1)
    for direction, source, real in (("AtoB", a, b), ("BtoA", b, a))[: len(game.directions)]:
        net, valid = game.generator(direction), torch.ones_like(source[:, :1], dtype=torch.bool)
        if norm_layers(net):
            statistics[direction] = dict(gather(net, source, valid))
        d, conditional = game.judge_of(direction)
        references[direction] = measure(
            ready(net, CPU), source, 4, statistics=statistics.get(direction),
            judge=ready(Judge(d, source.shape[1], conditional), CPU), real=real,
        )  # fmt: skip
    return Package(game, card, statistics, references, True)


def read(path: Path) -> np.ma.MaskedArray:
    """All bands, masked where nothing is said."""
    with RasterReader(path) as reader:
        return reader.read(reader.grid.window)


def apart(a: np.ma.MaskedArray, b: np.ma.MaskedArray) -> np.ndarray:
    """Largest difference of each band, as a share of the band's range; masks must agree."""
    assert (np.ma.getmaskarray(a) == np.ma.getmaskarray(b)).all()
    off, flat = np.abs(a - b).reshape(len(a), -1), a.reshape(len(a), -1)
    spans = np.maximum(flat.max(axis=1) - flat.min(axis=1), 1e-9)
    return np.asarray(off.max(axis=1) / spans)
