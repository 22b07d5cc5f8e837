"""An engine answers for cores alone, and as its network does."""

import numpy as np
import pytest
import torch
from torch import nn

from rs_gen.errors import TranslationError
from rs_gen.networks.norm import norm_layers
from rs_gen.translate.engine import Engine, digest, ready, uniform

CPU = torch.device("cpu")
HALO = 28  # of the networks below
KEEP = (slice(HALO, HALO + 32), slice(HALO, HALO + 64))


@pytest.fixture
def net(nets):
    return ready(nets("resnet-instance"), CPU)


@pytest.fixture
def pixels():
    rng = np.random.default_rng(0)
    return (rng.random((2, 3, 32 + 2 * HALO, 64 + 2 * HALO), "float32") * 2 - 1).astype("float32")


def statistics_of(net, shift=0.0):
    return {
        name: (torch.full((1, layer.channels, 1, 1), shift), torch.ones(1, layer.channels, 1, 1))
        for name, layer in norm_layers(net).items()
    }


@pytest.mark.parametrize("dtype", [None, torch.bfloat16])
def test_cores_are_those_of_the_network_as_it_is(net, pixels, dtype):
    plain, quick = Engine(net, CPU), Engine(net, CPU, dtype, halo=HALO)
    with plain.frozen(statistics_of(net)):
        wanted = plain(pixels)[:, :, KEEP[0], KEEP[1]]
    with quick.frozen(statistics_of(net)):
        assert quick.spent is not None
        got = quick.cores(pixels, KEEP, (True,) * 4)
        whole = quick(pixels)[:, :, KEEP[0], KEEP[1]]
    assert got.shape == (2, 3, 32, 64)
    limit = 2e-4 if dtype is None else 0.1
    assert np.abs(got - wanted).max() <= limit
    assert np.abs(whole - wanted).max() <= limit


def test_statistics_end_with_the_block(net, pixels):
    engine = Engine(net, CPU, halo=HALO)
    answers = []
    for shift in (0.0, 0.5):
        with engine.frozen(statistics_of(net, shift)):
            answers.append(engine.cores(pixels, KEEP, (True,) * 4))
    assert np.abs(answers[0] - answers[1]).max() > 0.05
    assert engine.spent is None
    assert np.abs(engine(pixels)[:, :, KEEP[0], KEEP[1]] - answers[1]).max() > 0.05


def test_statistics_with_a_number_for_each_pixel_leave_the_network_as_it_is(net, pixels):
    maps = {
        name: tuple(part.expand(-1, -1, 2, 2) for part in pair)
        for name, pair in statistics_of(net).items()
    }
    assert uniform(statistics_of(net))
    assert not uniform(maps)


def test_numbers_that_are_none_are_not_given(pixels):
    class Broken(nn.Module):
        def forward(self, x):
            return x * float("nan")

    with pytest.raises(TranslationError, match="not numbers: its weights are broken"):
        Engine(Broken(), CPU)(pixels)


def test_a_digest_changes_with_a_weight(net):
    before = digest(net)
    assert before == digest(ready(net, CPU))
    with torch.no_grad():
        next(net.parameters()).add_(1e-3)
    assert digest(net) != before
