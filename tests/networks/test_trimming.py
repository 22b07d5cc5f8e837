"""Leaving out what a core does not need never changes the core."""

import pytest
import torch
from test_folding import NETS, applied
from torch import nn

from rs_gen.networks.folding import fold
from rs_gen.networks.fused import CLOSED
from rs_gen.networks.reach import reach
from rs_gen.networks.trimming import trim

CORE = 32
OPEN = (True, True, True, True)


def halo_of(net):
    found = reach(net, applied=True)
    return -(-max(found.left, found.right) // found.phase) * found.phase


@pytest.fixture(params=NETS, scope="module")
def case(request):
    """A network, the same folded and trimmed, its halo, and what is left of it."""
    net = applied(request.param).double()  # so that only what is left out could differ
    halo, folded = halo_of(net), fold(net)
    return net, folded, halo, trim(folded, halo)


SIDES = [OPEN, (True, False, False, True), (False, True, True, False)]


@pytest.mark.parametrize("sides", SIDES)
def test_the_core_is_the_same(case, sides):
    _, folded, halo, left = case
    assert left is not None
    top, bottom, before, behind = (halo if is_open else 0 for is_open in sides)
    generator = torch.Generator().manual_seed(2)
    shape = (1, 3, top + CORE + bottom, before + CORE + behind)
    images = torch.rand(shape, generator=generator).double() * 2 - 1
    wanted = folded(images)[:, :, top : top + CORE, before : before + CORE]
    row, col = (left[0] if is_open else 0 for is_open in (sides[0], sides[2]))
    got = folded(images, sides)
    assert (got[:, :, row : row + CORE, col : col + CORE] - wanted).abs().max() <= 1e-9
    assert wanted.std() > 0.1


def test_less_is_computed(case):
    _, folded, halo, left = case
    side = CORE + 2 * halo
    assert max(left) < halo
    assert folded(torch.zeros(1, 3, side, side).double(), OPEN).shape[-1] == CORE + sum(left)


def test_nothing_changes_while_all_sides_are_closed(case):
    net, folded, *_ = case
    images = torch.rand(1, 3, 64, 64).double()
    assert torch.equal(folded(images), folded(images, CLOSED))
    assert (folded(images) - net(images)).abs().max() <= 1e-6


def test_a_halo_that_is_too_small_is_not_trimmed():
    net = applied("resnet")
    folded = fold(net)
    assert trim(folded, halo_of(net) - 4) is None
    assert torch.allclose(
        folded(torch.ones(1, 3, 32, 32)), net(torch.ones(1, 3, 32, 32)), atol=1e-4
    )


@pytest.mark.parametrize(
    "layer",
    [nn.AdaptiveAvgPool2d(8), nn.Upsample(scale_factor=2, mode="bicubic"), nn.Conv2d(1, 1, 3),
     nn.ConvTranspose2d(1, 1, 3, 2), nn.MaxPool2d(3, 1, 1)],
    ids=lambda layer: type(layer).__name__,
)  # fmt: skip
def test_layers_whose_needs_are_not_known_are_not_trimmed(layer):
    assert trim(fold(nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), layer).eval()), 64) is None


def test_operations_whose_needs_are_not_known_are_not_trimmed():
    class Rolled(nn.Module):
        def forward(self, x):
            return torch.roll(x, 1, 2)

    assert trim(fold(Rolled()), 64) is None
