from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from rs_gen.errors import SettingError
from rs_gen.metrics.image import psnr
from rs_gen.metrics.palette import Palette, class_iou, confusion, mean_iou, palette_of_map

COLOURS = [(-1.0, -1.0, -1.0), (1.0, 1.0, 1.0), (1.0, -1.0, -1.0), (-0.5, 0.5, 0.9)]


def a_map(seed: int, count: int = 2, side: int = 16, noise: float = 0.0) -> torch.Tensor:
    """Maps of the four colours, the first most frequent."""
    dice = torch.Generator().manual_seed(seed)
    classes = torch.multinomial(
        torch.tensor([0.4, 0.3, 0.2, 0.1]), count * side * side, True, generator=dice
    )
    image = torch.tensor(COLOURS)[classes].view(count, side, side, 3).permute(0, 3, 1, 2)
    blur = torch.randn(image.shape, generator=dice) * noise
    return (image + blur).clamp(-1, 1)


@pytest.fixture(scope="module")
def palette() -> Palette:
    return Palette.learn(a_map(0, 8), 4)


@pytest.mark.parametrize("noise", [0.0, 0.03])
def test_the_colours_of_a_map_are_found_most_frequent_first(noise):
    found = Palette.learn(a_map(0, 8, noise=noise), 4)
    assert np.allclose(found.colours, COLOURS, atol=0.03)
    assert found.shares == pytest.approx((0.4, 0.3, 0.2, 0.1), abs=0.03)


def test_the_same_seed_learns_the_same_palette():
    maps = a_map(0, 8, noise=0.3)
    assert Palette.learn(maps, 6, seed=1) == Palette.learn(maps, 6, seed=1)


def test_a_map_of_fewer_colours_has_a_smaller_palette():
    assert len(Palette.learn(a_map(0, 8), 9).colours) == 4
    assert len(Palette.learn(torch.zeros(1, 3, 4, 4), 6).colours) == 1


def test_a_palette_never_sees_nodata():
    maps = a_map(0, 8)
    valid = torch.ones(8, 16, 16, dtype=torch.bool)
    maps[:, :, :4], valid[:, :4] = 0.123, False
    found = Palette.learn(maps, 5, valid=valid)
    assert len(found.colours) == 4
    with pytest.raises(SettingError, match="there is no pixel to learn a palette from"):
        Palette.learn(maps, valid=torch.zeros_like(valid))
    with pytest.raises(SettingError, match="colours=0 must be at least 1"):
        Palette.learn(maps, 0)


def test_snapping_takes_the_nearest_colour(palette):
    images = torch.rand(2, 3, 9, 9, generator=torch.Generator().manual_seed(0)) * 2 - 1
    colours = np.array(palette.colours)
    snapped = palette.snap(images)
    for b, i, j in np.ndindex(2, 9, 9):
        distance = np.linalg.norm(colours - images[b, :, i, j].numpy(), axis=1)
        assert snapped[b, i, j] == distance.argmin()
    with pytest.raises(SettingError, match="the palette has 3 bands and the images 1"):
        palette.snap(images[:, :1])


def test_a_palette_survives_json(palette):
    assert Palette.from_dict(json.loads(json.dumps(palette.to_dict()))) == palette
    assert palette.levels[:2] == [(0, 0, 0), (255, 255, 255)]


def test_a_perfect_map_has_an_iou_of_one(palette):
    real = a_map(1)
    tables = confusion(real, real, palette)
    assert mean_iou(tables).value == 1
    assert [s.value for s in class_iou(tables, palette)] == [1, 1, 1, 1]
    assert mean_iou(tables).n == 2


def test_iou_of_known_confusion_is_known(palette):
    tables = np.array([[[3, 1, 0, 0], [1, 5, 0, 0], [0, 0, 0, 0], [0, 0, 2, 0]]], float)
    each = [s.value for s in class_iou(tables, palette)]
    assert each[:2] == pytest.approx([3 / 5, 5 / 7])
    assert each[2:] == [0, 0], "one that only one of both holds is 0"
    assert mean_iou(tables).value == pytest.approx((3 / 5 + 5 / 7) / 4)


def test_a_class_that_is_nowhere_is_left_out():
    tables = np.array([[[3, 1, 0], [0, 4, 0], [0, 0, 0]]], float)
    assert mean_iou(tables).value == pytest.approx((3 / 4 + 4 / 5) / 2)


def test_counts_are_pooled_over_images_before_the_ratio():
    tables = np.array([[[1, 0], [0, 99]], [[90, 10], [0, 0]]], float)
    assert mean_iou(tables).value == pytest.approx((91 / 101 + 99 / 109) / 2)


def test_one_flat_colour_has_a_fair_pixel_score_and_a_poor_iou(palette):
    real = a_map(3)
    real[:, :, :12] = -1.0  # a map that is mostly one colour
    flat = torch.full_like(real, -1.0)
    sorted_out = real.clone()
    sorted_out[:, :, 12:] = (sorted_out[:, :, 12:] + 0.6).clamp(-1, 1)  # right places, off colours
    assert mean_iou(confusion(flat, real, palette)).value < 0.3
    assert mean_iou(confusion(sorted_out, real, palette)).value > 0.5
    assert psnr(flat, real, data_range=2).isfinite().all()


def test_only_valid_pixels_are_counted(palette):
    real, fake = a_map(1), a_map(2)
    valid = torch.zeros(2, 16, 16, dtype=torch.bool)
    valid[:, :8] = True
    part = confusion(fake[:, :, :8], real[:, :, :8], palette)
    assert (confusion(fake, real, palette, valid=valid) == part).all()
    assert part.sum() == 2 * 8 * 16
    with pytest.raises(SettingError, match="images differ in shape"):
        confusion(fake[:1], real, palette)


def test_batches_join_to_the_whole_and_have_an_interval(palette):
    real, fake = a_map(1, 12), a_map(1, 12, noise=0.6)
    whole = confusion(fake, real, palette)
    parts = [confusion(fake[i : i + 5], real[i : i + 5], palette) for i in range(0, 12, 5)]
    assert (np.concatenate(parts) == whole).all()
    score = mean_iou(whole)
    assert score.low < score.value < score.high
    assert (score.n, "palette of 4" in score.protocol) == (12, True)


# ---- few colours of many -------------------------------------------------------------------------


def noisy_map(noise: int = 2) -> torch.Tensor:
    """(2, 3, 64, 64): land, a lake and a road in three colours, as a lossy file keeps them."""
    colours = torch.tensor([[232, 229, 222], [177, 208, 254], [255, 160, 40]])
    ids = torch.zeros(2, 64, 64, dtype=torch.long)
    ids[:, 10:30, 10:50] = 1
    ids[:, 40:44] = 2
    dice = torch.Generator().manual_seed(0)
    pixels = colours[ids] + torch.randint(-noise, noise + 1, (2, 64, 64, 3), generator=dice)
    return pixels.permute(0, 3, 1, 2) / 127.5 - 1


def test_a_map_has_a_palette_and_a_photograph_has_none():
    palette = palette_of_map(noisy_map())
    found = palette.main().levels
    assert len(found) == 3
    for colour, wanted in zip(
        found, [(232, 229, 222), (177, 208, 254), (255, 160, 40)], strict=True
    ):
        assert max(abs(a - b) for a, b in zip(colour, wanted, strict=True)) <= 3
    photo = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert palette_of_map(photo) is None


def test_the_main_colours_take_in_their_shades():
    palette = Palette(((0.0,), (0.02,), (0.9,), (-0.9,)), (0.5, 0.3, 0.197, 0.003))
    main = palette.main()
    assert main.colours == ((0.0,), (0.9,))
    assert main.shares == pytest.approx((0.8, 0.197))
    assert palette.main(3).colours == ((0.0,), (0.9,), (-0.9,))
    assert palette.main(1).colours == ((0.0,),)
    with pytest.raises(SettingError, match="number=0 colours"):
        palette.main(0)


def test_nearest_agrees_with_snap_on_any_part():
    images = noisy_map(40)
    palette = Palette.learn(images, 5)
    snapped = palette.snap(images)[0].numpy()
    pixels = images[0].numpy()
    assert (palette.nearest(pixels) == snapped).mean() > 0.999
    whole = palette.nearest(pixels)
    assert (palette.nearest(pixels[:, 7:20, 3:50]) == whole[7:20, 3:50]).all()
    with pytest.raises(SettingError, match="the palette has 3 bands and the image 1"):
        palette.nearest(pixels[:1])


def test_the_share_within_a_few_levels_is_counted():
    palette = Palette(((0.0,), (1.0,)))
    pixels = np.array([[[0.0, 4 / 127.5, 6 / 127.5, 1.0]]], np.float32)
    assert palette.within(pixels, 5) == 0.75
