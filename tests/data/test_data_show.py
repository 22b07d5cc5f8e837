import sys

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from rs_gen.data.show import grid_figure
from rs_gen.data.side import Side
from rs_gen.errors import SettingError
from rs_gen.raster.values import Stretch


def Look(names=("",), dtype="uint8"):
    return Side(
        len(names), dtype, None, tuple(names), Stretch((0,) * len(names), (255,) * len(names))
    )


def images(figure):
    return [axis.images[0].get_array() for axis in figure.axes]


def test_a_grid_has_a_row_a_chip_and_a_column_a_heading(tmp_path):
    chips = torch.rand(3, 3, 8, 8) * 2 - 1
    figure = grid_figure({"source": chips, "target": chips[:, :1]}, title="Chips", captions="xyz")
    assert isinstance(figure, Figure)
    assert len(figure.axes) == 6
    assert figure.axes[0].get_title() == "source"
    assert figure.axes[2].get_ylabel() == "y"
    figure.savefig(tmp_path / "grid.png")
    assert (tmp_path / "grid.png").stat().st_size > 1000


def test_a_notebook_can_show_it_without_pyplot():
    assert grid_figure({"a": torch.zeros(1, 1, 4, 4)})._repr_png_().startswith(b"\x89PNG")


def test_drawing_leaves_pyplot_and_its_backend_alone():
    before = "matplotlib.pyplot" in sys.modules and sys.modules["matplotlib.pyplot"].get_fignums()
    grid_figure({"a": torch.zeros(1, 1, 4, 4)})
    after = "matplotlib.pyplot" in sys.modules and sys.modules["matplotlib.pyplot"].get_fignums()
    assert before == after


def test_eight_bit_chips_are_shown_as_they_are():
    chips = torch.tensor([-1.0, 0.0, 0.5, 1.0]).reshape(1, 1, 2, 2)
    (shown,) = images(grid_figure({"a": chips}, sides={"a": Look()}))
    assert np.allclose(shown.ravel(), [0, 0.5, 0.75, 1])


def test_other_chips_get_a_percentile_stretch():
    chips = torch.linspace(-0.5, 0, 1600).reshape(1, 1, 40, 40)
    (shown,) = images(grid_figure({"a": chips}, sides={"a": Look(dtype="uint16")}))
    assert shown.min() == 0
    assert shown.max() == 1
    assert 0.2 < shown.mean() < 0.8


def test_columns_of_one_side_share_their_stretch_whichever_comes_first():
    real, side = torch.linspace(-0.5, 0, 1600).reshape(1, 1, 40, 40), Look(dtype="uint16")
    pair = {"real": real, "fake": real - 0.25}
    for columns in (pair, dict(reversed(pair.items()))):
        figure = grid_figure(columns, sides=dict.fromkeys(pair, side))
        shown = dict(zip(columns, images(figure), strict=True))
        assert shown["fake"].mean() == pytest.approx(shown["real"].mean() - 1 / 3, abs=0.02)


def test_a_column_without_the_asked_bands_is_shown_by_the_usual_rule():
    columns = {"many": torch.zeros(1, 5, 4, 4), "one": torch.zeros(1, 1, 4, 4)}
    many, one = images(grid_figure(columns, rgb_bands=[4, 3, 2]))
    assert many.shape == (4, 4, 3)
    assert one.shape == (4, 4)


def test_half_precision_and_nan_are_shown_too():
    chips = torch.full((1, 3, 4, 4), torch.nan, dtype=torch.bfloat16)
    (shown,) = images(grid_figure({"a": chips}))
    assert (shown == 0).all()


def test_columns_of_unequal_length_are_refused():
    with pytest.raises(SettingError, match=r"unequal length: \{'a': 1, 'b': 2\}"):
        grid_figure({"a": torch.zeros(1, 1, 4, 4), "b": torch.zeros(2, 1, 4, 4)})
    with pytest.raises(SettingError, match="nothing to show"):
        grid_figure({"a": torch.zeros(0, 1, 4, 4)})
