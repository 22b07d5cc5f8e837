import numpy as np
import torch

from rs_gen.models.borrowing import blended, provenance, sharpest, spread_map


def test_the_place_that_borrows_from_the_fewest_is_found():
    places = torch.full((2, 4, 4), 0.25)
    places[:, 3] = torch.tensor([1.0, 0, 0, 0])
    assert int(sharpest(places, torch.full((2, 4), 0.5))) == 3


def test_a_map_is_bright_where_the_most_was_borrowed():
    row = torch.zeros(16)
    row[5] = 1  # row 1, column 1 of 4 x 4
    shown = spread_map(row, 4, 32)
    assert shown.shape == (32, 32)
    assert (shown.min(), shown.max()) == (0, 1)
    assert np.unravel_index(shown.argmax(), shown.shape) in [(11, 11), (11, 12), (12, 11), (12, 12)]


def test_the_colour_is_that_of_whoever_lent_most():
    shares = torch.tensor([[0.9, 0.1, 0.5, 0.4], [0.1, 0.9, 0.5, 0.6]])
    colours = provenance(shares, 2, 8)
    assert colours.shape == (8, 8, 3)
    red, green = colours[0, 0], colours[0, 7]
    assert red.argmax() == 0
    assert green.argmax() == 1
    # from 0.25 where both lent half to 1 where one lent all
    assert np.allclose(colours[7, 7] / (0.25 + 0.75 * 0.2), green / (0.25 + 0.75 * 0.8))


def test_where_nothing_was_borrowed_the_chip_is_grey_and_else_orange():
    image = np.full((4, 4, 3), 0.8)
    image[..., 0] = 1.0
    spots = np.zeros((4, 4))
    spots[0, 0] = 1
    shown = blended(image, spots)
    assert shown[3, 3].max() - shown[3, 3].min() < 1e-6
    assert shown[0, 0, 0] - shown[0, 0, 2] > 0.6
