from __future__ import annotations

from types import SimpleNamespace

import torch

from rs_gen.metrics.palette import Palette
from rs_gen.models.applying import palette_of
from rs_gen.models.keeping import training_palettes


def model(directions=("AtoB", "BtoA")) -> SimpleNamespace:
    """A satellite-to-map model, as far as palettes need one."""
    dice = torch.Generator().manual_seed(0)
    photo = torch.rand(4, 3, 64, 64, generator=dice) * 2 - 1
    drawn = torch.full((4, 3, 64, 64), 0.8)
    drawn[:, 2, :20] = -0.5
    data = SimpleNamespace(train=[(photo, drawn)])
    game = SimpleNamespace(directions=directions)
    return SimpleNamespace(size=64, game=game, data=data, palettes={})


def test_the_side_that_is_a_map_has_a_palette_and_the_photograph_none():
    found = training_palettes(model())
    assert found["BtoA"] is None
    colours = Palette.from_dict(found["AtoB"]).main().levels
    assert sorted(colours) == [(230, 230, 64), (230, 230, 230)]
    assert set(training_palettes(model(("AtoB",)))) == {"AtoB"}


def test_a_model_learns_its_palette_once_when_it_is_first_asked():
    one = model()
    palette = palette_of(one, "AtoB")
    assert len(palette.main().colours) == 2
    one.data = None
    assert palette_of(one, "AtoB") == palette
    assert palette_of(one, "BtoA") is None
    assert palette_of(SimpleNamespace(palettes={}, data=None), "AtoB") is None
