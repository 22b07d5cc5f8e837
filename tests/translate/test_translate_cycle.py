import numpy as np
import pytest
import torch
from rasterio.windows import Window
from translating import grid_of

from rs_gen.raster.values import Stretch
from rs_gen.translate.checks import Output
from rs_gen.translate.cycle import CycleError, Stored
from rs_gen.translate.engine import Engine
from rs_gen.translate.seen import Seen
from rs_gen.translate.sides import Side

CPU = torch.device("cpu")
SIDE = Side(Stretch((0,), (255,)), "uint8")


class Hider(torch.nn.Module):
    """The way back of a cheat: it reads the source from far below a level of 8 bits."""

    def forward(self, x):
        levels = (x + 1) * 127.5
        return ((levels - levels.round()) * 4).clamp(-1, 1)


def hidden(source):
    """A plain grey translation that carries its source in fractions of a level."""
    return (128 + source / 4) / 127.5 - 1


def seen_of(source):
    height, width = source.shape[1:]
    valid = np.ones((height, width), bool)
    return Seen(Window(0, 0, width, height), source, valid, lambda p, w: hidden(p))


@pytest.fixture(scope="module")
def source():
    return np.random.default_rng(0).uniform(-1, 1, (1, 40, 50)).astype("float32")


def error(source, dtype, noise):
    stored = Stored(SIDE, Output(dtype, None, False), grid_of((40, 50)), noise)
    layer = CycleError(stored, Engine(Hider(), CPU), 0, 1)
    return layer(seen_of(source)).mean()


def test_a_source_hidden_in_the_translation_is_found_again_unless_it_is_stored(source):
    assert error(source, "float32", 0.0) < 1e-3, "the cheat works from network to network"
    assert error(source, "uint8", 0.0) > 0.2, "rounding takes it away"


def test_noise_takes_away_what_a_float_file_would_keep(source):
    assert error(source, "float32", 0.01) > 0.2


def test_what_was_not_measured_goes_back_as_the_middle(source):
    seen = seen_of(source)
    seen.valid[:10] = False
    kept = Stored(SIDE, Output("uint8", None, False), grid_of((40, 50)))(seen)
    assert (kept[:, :10] == 0).all()
    assert (kept[:, 10:] != 0).any()
    assert np.abs(kept).max() <= 1
