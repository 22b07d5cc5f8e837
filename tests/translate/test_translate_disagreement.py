import numpy as np
import pytest
import torch
from rasterio.windows import Window
from translating import lively, scene

from rs_gen.networks.resnet import resnet_generator
from rs_gen.translate.disagreement import Turned, spread, turned
from rs_gen.translate.engine import Engine, ready
from rs_gen.translate.seen import Seen

CPU = torch.device("cpu")


def seen(pixels):
    height, width = pixels.shape[1:]
    return Seen(
        Window(0, 0, width, height), pixels, np.ones((height, width), bool), lambda p, w: p
    )  # fmt: skip


@pytest.mark.parametrize("k", range(8))
def test_a_turn_is_undone(k):
    pixels = np.arange(2 * 3 * 5).reshape(2, 3, 5)
    assert (turned(turned(pixels, k), k, back=True) == pixels).all()


def test_the_eight_turns_are_eight():
    pixels = np.arange(9).reshape(1, 3, 3)
    assert len({turned(pixels, k).tobytes() for k in range(8)}) == 8


def test_the_spread_is_the_deviation_over_the_answers_as_a_share_of_the_range():
    answers = [np.full((3, 2, 2), value, "float32") for value in (-1, 1)]
    assert spread(answers) == pytest.approx(np.full((2, 2), 0.5))
    stack = np.random.default_rng(0).uniform(-1, 1, (8, 3, 5, 6)).astype("float32")
    assert spread(stack) == pytest.approx(stack.std(axis=0).mean(axis=0) / 2, abs=1e-6)


def test_a_network_without_a_direction_agrees_with_itself():
    net = torch.nn.Conv2d(3, 2, 1)
    pixels = scene((8, 12)).astype("float32") / 127.5 - 1
    layer = Turned(Engine(ready(net, CPU), CPU), 0, 1)
    assert layer(seen(pixels)).max() < 1e-6


def test_turns_equal_what_a_person_would_do_by_hand():
    net = lively(resnet_generator(3, 2, 4, blocks=1, norm="batch"))
    pixels = scene((24, 32)).astype("float32") / 127.5 - 1
    image = torch.from_numpy(pixels[None])
    with torch.inference_mode():
        answers = []
        for flip in (False, True):
            for turns in range(4):
                x = image.flip(-1) if flip else image
                y = net(torch.rot90(x, turns, (-2, -1)))
                y = torch.rot90(y, -turns, (-2, -1))
                answers.append((y.flip(-1) if flip else y)[0])
        wanted = torch.stack(answers).std(0, correction=0).mean(0) / 2
    found = Turned(Engine(ready(net, CPU), CPU), 0, 4)(seen(pixels))
    assert found == pytest.approx(wanted.numpy(), abs=1e-5)
    assert found.mean() > 0.01
