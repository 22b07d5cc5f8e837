import numpy as np
import pytest
import torch

from rs_gen.data.datasets import Chips, Files
from rs_gen.data.images import Images
from rs_gen.data.loader import Draw
from rs_gen.data.side import Side
from rs_gen.data.transforms import Augment, dihedral
from rs_gen.errors import SettingError
from rs_gen.raster.values import Stretch


@pytest.fixture
def chips(make_classes):
    folder = make_classes({"a": 5})
    paths = sorted((folder / "a").iterdir())
    side = Side(3, "uint8", None, (), Stretch((0,) * 3, (255,) * 3))
    return Chips(Files(paths, 3, "uint8"), side, 16)


def test_an_item_is_a_function_of_seed_epoch_and_position(chips):
    labels = [0, 1, 2, 3, 4]
    one, two = (Images(chips, labels, 7, Augment()) for _ in range(2))
    for draw in (Draw(3, 2, (1,)), Draw(0, 0, (4,))):
        (x, y), (x2, y2) = one.draw(draw), two.draw(draw)
        assert torch.equal(x, x2)
        assert y == y2 == labels[draw.chips[0]]
        assert y.dtype == torch.int64
    turns = [one.draw(Draw(epoch, 0, (0,)))[0] for epoch in range(40)]
    assert len({t.numpy().tobytes() for t in turns}) == 8


def test_all_eight_turns_are_those_of_the_stored_chip(chips):
    images = Images(chips, [0] * 5, 0)
    plain = images.image(2).numpy()
    for turn in range(8):
        assert (images.image(2, turn).numpy() == dihedral(plain, turn)).all()


def test_a_longer_epoch_goes_round_in_whole_permutations(chips):
    images = Images(chips, [0] * 5, 0, Augment(), length=12)
    order = images.order(4)[:, 0]
    assert len(images) == len(order) == 12
    assert sorted(order[:5]) == sorted(order[5:10]) == list(range(5))
    assert Images(chips, [0] * 5, 0, length=12).order(4)[:, 0].tolist() == list(range(5))


def test_a_stack_is_the_chips_themselves(chips):
    images, labels = Images(chips, [4, 3, 2, 1, 0], 0, Augment()).stack([1, 3])
    stored = np.stack([chips.stored(i) for i in (1, 3)])
    assert torch.allclose((images + 1) * 127.5, torch.from_numpy(stored).float(), atol=1e-3)
    assert labels.tolist() == [3, 1]
    with pytest.raises(SettingError, match="no chips to stack"):
        Images(chips, [0] * 5, 0).stack([])


def test_a_transform_of_ones_own_runs_last_with_dice_of_its_own(chips):
    def noisy(image, generator):
        return image + torch.rand(image.shape, generator=generator)

    images = Images(chips, [0] * 5, 0, Augment(), custom=noisy)
    draw = Draw(0, 1, (1,))
    assert torch.equal(images.draw(draw)[0], images.draw(draw)[0])
    assert images.draw(draw)[0].max() > 1
    bad = Images(chips, [0] * 5, 0, Augment(), custom=lambda image, generator: (image, image))
    with pytest.raises(SettingError, match="gave tuple where one"):
        bad.draw(draw)


def test_labels_must_be_as_many_as_chips(chips):
    with pytest.raises(SettingError, match="4 labels for 5 chips"):
        Images(chips, [0] * 4, 0)


def test_shrinking_averages_measured_pixels_only(chips):
    small = Chips(chips.files, chips.side, 8, shrink=2)
    stored = chips.stored(0).astype(float)
    expected = stored.reshape(3, 8, 2, 8, 2).mean(axis=(2, 4))
    assert np.allclose(small.stored(0), expected)
