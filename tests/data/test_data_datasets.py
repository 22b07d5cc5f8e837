import numpy as np
import pytest
import torch

from rs_gen.data.cache import ChipCache
from rs_gen.data.datasets import Chips, Files, Paired, Unpaired, one_colour
from rs_gen.data.loader import Batches
from rs_gen.data.side import Side
from rs_gen.data.transforms import Augment, Jitter
from rs_gen.errors import ChipError, SettingError
from rs_gen.raster.values import Stretch


def side_of(count, dtype="uint8", top=255):
    return Side(count, dtype, None, (), Stretch((0,) * count, (top,) * count))


@pytest.fixture
def chips(tmp_path, write_chip, chip):
    def some(count=6, *, size=16, chip_size=None, bands=1, dtype="uint8", folder="a", start=0):
        paths = [
            write_chip(tmp_path / folder / f"{i}.tif", chip(start + i, bands, size, size, dtype))
            for i in range(count)
        ]
        side = side_of(bands, dtype, 255 if dtype == "uint8" else 4000)
        return Chips(Files(paths, bands, dtype), side, chip_size or size)

    return some


def epoch_of(chip_set, epoch=0):
    return list(Batches(chip_set, 1).run(epoch))


def test_both_sides_of_a_pair_are_turned_and_cut_alike(chips):
    side = chips(4, size=20, chip_size=8)
    pairs = Paired(side, side, 1, Augment())
    items = [item for epoch in range(8) for item in epoch_of(pairs, epoch)]
    assert all(torch.equal(a, b) for a, b in items)


def test_augmentation_reaches_the_tensors_in_all_eight_ways_and_many_places(chips):
    side = chips(1, size=10, chip_size=8, bands=2)
    side.files.cache = ChipCache(1, (2, 10, 10), "uint8")
    pairs = Paired(side, side, 1, Augment())
    seen = {epoch_of(pairs, epoch)[0][0].numpy().tobytes() for epoch in range(600)}
    assert len(seen) == 8 * 9


def test_the_two_sides_of_unpaired_chips_are_turned_independently(chips):
    side = chips(1)
    unpaired = Unpaired(side, side, 1, Augment())
    equal = [torch.equal(*epoch_of(unpaired, epoch)[0]) for epoch in range(64)]
    assert 1 <= sum(equal) <= 24


def test_a_pair_keeps_its_two_chips_together(chips):
    a, b = chips(6), chips(6, folder="b")
    for epoch in range(3):
        assert all(torch.equal(x, y) for x, y in epoch_of(Paired(a, b, 1, Augment()), epoch))


def test_without_augmentation_a_larger_chip_is_cut_in_the_middle(chips):
    side = chips(1, size=20, chip_size=8)
    (a, _) = Paired(side, side, 1)[0]
    middle = side.stored(0)[:, 6:14, 6:14]
    assert np.allclose(a.numpy(), middle.data / 127.5 - 1, atol=1e-5)


def test_validation_is_in_the_order_of_the_chips_and_never_changes(chips):
    side = chips(5)
    pairs = Paired(side, side, 1)
    assert pairs.order(0)[:, 0].tolist() == pairs.order(9)[:, 0].tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(("count_a", "count_b"), [(3, 7), (7, 3), (4, 4)])
def test_every_chip_of_both_sides_is_seen_in_every_epoch(chips, count_a, count_b):
    unpaired = Unpaired(chips(count_a), chips(count_b, folder="b"), 1, Augment())
    assert len(unpaired) == max(count_a, count_b)
    for epoch in range(3):
        order = unpaired.order(epoch)
        assert set(order[:, 0]) == set(range(count_a))
        assert set(order[:, 1]) == set(range(count_b))


def test_the_partner_of_a_chip_changes_from_epoch_to_epoch(chips):
    unpaired = Unpaired(chips(20), chips(20, folder="b"), 1, Augment())
    partners = [dict(unpaired.order(epoch).tolist()) for epoch in range(2)]
    assert partners[0] != partners[1]


def test_validation_partners_are_fixed_by_the_seed(chips):
    a, b = chips(4), chips(9, folder="b")
    one, other = Unpaired(a, b, 1), Unpaired(a, b, 2)
    assert (one.order(0) == one.order(5)).all()
    assert (one.order(0) != other.order(0)).any()
    assert set(one.order(0)[:, 1]) == set(range(9))


def test_twins_meet_in_validation(chips):
    twins = Unpaired(chips(4), chips(4, folder="b"), 1)
    twins.twins = True
    assert twins.order(0).tolist() == [[i, i] for i in range(4)]


def test_jitter_changes_the_source_and_leaves_the_target(chips):
    side = chips(3)
    plain = Paired(side, side, 1, Augment(turns=False, random_crop=False))
    jittered = Paired(
        side, side, 1, Augment(turns=False, random_crop=False, jitter=Jitter(0.2, 0.2, 0.2))
    )
    for (a, b), (a2, b2) in zip(epoch_of(plain), epoch_of(jittered), strict=True):
        assert torch.equal(b, b2)
        assert not torch.equal(a, a2)


def test_what_was_not_measured_is_zero_also_after_jitter(tmp_path, write_chip, chip):
    pixels = chip(0, 2, 8, 8, "uint16") + 1
    pixels[:, :3, :5] = 0
    path = write_chip(tmp_path / "hole.tif", pixels, nodata=0)
    side = Chips(Files([path], 2, "uint16"), side_of(2, "uint16", 4000), 8)
    still = Augment(turns=False, random_crop=False, jitter=Jitter(0.5, 0, 0))
    (a, b) = Paired(side, side, 1, still)[0]
    assert (a[:, :3, :5] == 0).all()
    assert (b[:, :3, :5] == 0).all()
    assert (b[:, 3:] != 0).all()


def test_a_transform_of_ones_own_runs_last_and_with_a_generator_that_repeats(chips):
    def noise(a, b, generator):
        return a + torch.rand(a.shape, generator=generator), b * 0

    side = chips(3)
    pairs = Paired(side, side, 1, Augment.of(noise))
    first, again = epoch_of(pairs, 4), epoch_of(pairs, 4)
    assert all(torch.equal(x[0], y[0]) for x, y in zip(first, again, strict=True))
    assert all((b == 0).all() for _, b in first)
    assert not torch.equal(first[0][0], epoch_of(pairs, 5)[0][0])


def test_a_transform_that_gives_something_else_is_refused(chips):
    side = chips(1)
    pairs = Paired(side, side, 1, Augment.of(lambda a, b, g: a))
    with pytest.raises(SettingError, match=r"transforms gave Tensor where a tuple \(a, b\)"):
        pairs[0]


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_a_cached_chip_gives_the_same_item_as_the_file(chips, dtype):
    side = chips(4, bands=5, dtype=dtype)
    fresh = epoch_of(Paired(side, side, 1, Augment()), 2)
    side.files.cache = ChipCache(4, (5, 16, 16), dtype)
    filling = epoch_of(Paired(side, side, 1, Augment()), 2)
    assert len(side.files.cache) == 4
    for path in side.files.paths:
        path.unlink()
    held = epoch_of(Paired(side, side, 1, Augment()), 2)
    for x, y, z in zip(fresh, filling, held, strict=True):
        assert torch.equal(x[0], y[0])
        assert torch.equal(x[1], z[1])


def test_an_item_is_float32_in_range_and_can_be_indexed(chips):
    pairs = Paired(chips(3, bands=5, dtype="uint16"), chips(3, folder="b"), 1, Augment())
    a, b = pairs[-1]
    assert a.shape == (5, 16, 16)
    assert b.shape == (1, 16, 16)
    assert a.dtype == torch.float32
    assert a.abs().max() <= 1
    assert a.is_contiguous()
    with pytest.raises(IndexError, match="no item 3 of 3"):
        pairs[3]


def test_bands_are_read_in_the_order_asked_for(chips):
    side = chips(1, bands=3)
    some = Files(side.files.paths, 2, "uint8", bands=(2, 0))
    assert (some.read(0) == side.files.read(0)[[2, 0]]).all()


def test_halves_of_one_image_are_its_left_and_right(tmp_path, write_chip, chip):
    pixels = chip(0, 3, 8, 16)
    path = write_chip(tmp_path / "both.png", pixels)
    last = []
    left = Files([path], 3, "uint8", half=0, last=last)
    right = Files([path], 1, "uint8", half=1, last=last, bands=(1,))
    assert (left.read(0) == pixels[:, :, :8]).all()
    assert (right.read(0) == pixels[1:2, :, 8:]).all()


def test_a_chip_unlike_the_others_is_named(tmp_path, write_chip, chip):
    path = write_chip(tmp_path / "odd.tif", chip(0, 3, 8, 8, "uint16"))
    with pytest.raises(ChipError, match=r"odd.tif has 3 bands where the others .* have 4"):
        Files([path], 4, "uint16").read(0)
    with pytest.raises(ChipError, match=r"odd.tif is uint16 where the others .* are uint8"):
        Files([path], 3, "uint8").read(0)
    with pytest.raises(ChipError, match=r"odd.tif: .*no band 5"):
        Files([path], 1, "uint16", bands=(5,)).read(0)
    with pytest.raises(ChipError, match=r"odd.tif is 8 x 8 px, smaller than chip_size=16; pass "):
        Chips(Files([path], 3, "uint16"), side_of(3, "uint16", 4000), 16).stored(0)


def test_a_broken_chip_is_named(tmp_path):
    path = tmp_path / "torn.jpg"
    path.write_bytes(b"\xff\xd8\xff\xe0 not much of a picture")
    with pytest.raises(ChipError, match=r"torn\.jpg"):
        Files([path], 3, "uint8").read(0)


def test_sides_of_unequal_size_are_no_pair(chips):
    pairs = Paired(chips(1, size=16), chips(1, size=32, folder="b", chip_size=16), 1)
    with pytest.raises(ChipError, match=r"is 16 x 16 px but its partner .* is 32 x 32 px"):
        pairs[0]


def test_one_colour_chips_are_found_whatever_jpeg_did_to_them(tmp_path, write_chip, chip):
    sea = np.full((3, 32, 32), [[[160]], [[190]], [[230]]], "uint8")
    coast = sea.copy()
    coast[:, :, :8] = chip(1, 3, 32, 8)
    drawn = {"sea": sea, "coast": coast, "town": chip(2, 3, 32, 32)}
    paths = [write_chip(tmp_path / f"{name}.jpg", drawn[name]) for name in drawn]
    found = one_colour(Chips(Files(paths, 3, "uint8"), side_of(3), 32))
    assert found.tolist() == [True, False, False]


def test_rare_pairs_are_shown_less_often(chips):
    side = chips(8)
    rare = np.arange(8) < 4
    pairs = Paired(side, side, 1, Augment(), rare=(rare, rare), share=0.25)
    assert len(pairs) == 5
    seen = np.concatenate([pairs.order(epoch)[:, 0] for epoch in range(4)])
    assert np.bincount(seen).tolist() == [1, 1, 1, 1, 4, 4, 4, 4]
