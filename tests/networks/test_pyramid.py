import pytest
import torch

from rs_gen.errors import ChipError, SettingError, UnknownNameError
from rs_gen.networks.pyramid import Decoder, Encoder, Sprout, halvings, norm_of, widths_of


@pytest.mark.parametrize(
    ("size", "times"), [(8, 3), (24, 3), (32, 3), (40, 3), (64, 4), (96, 4), (128, 5), (256, 5)]
)
def test_chips_are_halved_at_least_three_times_and_down_to_four_pixels(size, times):
    assert halvings(size) == times
    assert size % 2**times == 0


@pytest.mark.parametrize(("size", "named"), [(28, "24 or 32"), (30, "24 or 32"), (4, "8")])
def test_a_side_that_is_no_multiple_of_eight_is_refused(size, named):
    with pytest.raises(ChipError, match=f"{size} px .* multiple of 8; try {named}"):
        halvings(size)


@pytest.mark.parametrize(("size", "bands"), [(24, 1), (32, 4), (64, 13)])
def test_images_go_down_and_come_back_at_their_size(size, bands):
    widths = widths_of(4, halvings(size))
    features = Encoder(bands, widths)(torch.randn(2, bands, size, size))
    assert [f.shape[1] for f in features] == widths[::-1]
    assert [f.shape[-1] for f in features] == [size // 2**n for n in range(len(widths))][::-1]
    image = Decoder(bands, widths)(features[0])
    assert image.shape == (2, bands, size, size)
    assert image.abs().max() <= 1


def test_the_fill_is_asked_after_every_block_at_its_resolution():
    widths, asked = widths_of(4, 3), []

    def fill(level, h):
        asked.append((level, h.shape[-1]))
        return torch.ones_like(h[:, :2]) if level == 1 else None

    image = Decoder(1, widths, [0, 2, 0])(torch.randn(1, widths[-1], 2, 2), fill)
    assert asked == [(0, 4), (1, 8), (2, 16)]
    assert image.shape == (1, 1, 16, 16)


def test_what_is_filled_in_reaches_the_image():
    torch.manual_seed(0)
    net, x = Decoder(1, widths_of(4, 3), [3, 0, 0]).eval(), torch.randn(1, 16, 2, 2)
    one, two = (net(x, lambda _, h, v=v: h[:, :3] * 0 + v if h.shape[-1] == 4 else None)
                for v in (0.0, 1.0))  # fmt: skip
    assert (one - two).abs().max() > 1e-4


def test_the_last_layer_is_squashed_only_on_request():
    net, x = Decoder(1, widths_of(4, 3)).eval(), torch.randn(1, 16, 2, 2)
    assert torch.allclose(torch.tanh(net(x, squash=False)), net(x))


def test_numbers_sprout_into_features():
    assert Sprout(5, 7, 3)(torch.randn(2, 5)).shape == (2, 7, 3, 3)


def test_a_decoder_wants_one_number_a_block():
    with pytest.raises(SettingError, match="must have 3 entries"):
        Decoder(1, widths_of(4, 3), [1])


def test_a_norm_that_is_not_known_is_named():
    with pytest.raises(UnknownNameError, match="no norm named 'instant'; there are batch, layer"):
        norm_of("instant", 3)


def test_the_layer_norm_looks_at_one_image_alone():
    norm, x = norm_of("layer", 4), torch.randn(3, 4, 5, 5)
    assert torch.allclose(norm(x)[1:2], norm(x[1:2]), atol=1e-6)
