import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from rs_gen.errors import SettingError
from rs_gen.networks.norm import InstanceNorm, freeze, norm_layers
from rs_gen.networks.reach import Reach, norm_sights, patch, reach, sight
from rs_gen.networks.resnet import resnet_generator
from rs_gen.networks.unet import unet_generator

TABLE = {
    "resnet-6": (lambda: resnet_generator(1, 1, 1, 6), 60, 4),
    "resnet-9": (lambda: resnet_generator(1, 1, 1, 9), 84, 4),
    "unet-128": (lambda: unet_generator(1, 1, 1, 7), 381, 128),
    "unet-256": (lambda: unet_generator(1, 1, 1, 8), 765, 256),
}


def positive(net):
    """A copy that only ever adds: what is seen can't cancel. Norms are the identity."""
    net = copy.deepcopy(net).double().eval()
    for name, layer in list(net.named_modules()):
        bounded = isinstance(layer, nn.Tanh | nn.ReLU6 | nn.BatchNorm2d | InstanceNorm)
        if bounded and name:
            parent = net.get_submodule(name.rpartition(".")[0])
            setattr(parent, name.rpartition(".")[2], nn.Identity())
    for parameter in net.parameters():
        # Mean over the taps, so that sums neither vanish nor leave the range of a double.
        fan = parameter[0].numel() if parameter.dim() > 1 else 1
        nn.init.constant_(parameter, 1 / fan if parameter.dim() > 1 else 0)
    return net


def telling(span, number=8):
    """Positions of one period: those that see farthest, and others spread over it."""
    lefts = [p - low for p, low in enumerate(span.low)]
    rights = [high - p for p, high in enumerate(span.high)]
    spread = range(0, span.period, -(-span.period // number))
    return {lefts.index(max(lefts)), rights.index(max(rights)), *spread}


def check_by_impulses(net, size, row=0, exhaustive=False):
    """Assert that columns in the middle of an image see exactly what the layers say."""
    _, span = sight(net)
    image = torch.ones(1, 1, *size, dtype=torch.float64, requires_grad=True)
    out = positive(net)(image)
    start = size[1] // 2 // span.phase * span.phase
    for position in range(span.period) if exhaustive else telling(span):
        at = start + position
        (gradient,) = torch.autograd.grad(out[0, 0, row, at], image, retain_graph=True)
        columns = gradient[0, 0].amax(0).nonzero().flatten()
        seen = columns.min().item(), columns.max().item()
        assert 0 < seen[0] <= seen[1] < size[1] - 1, "the image is too small for this test"
        assert seen == span.seen(at)


@pytest.mark.parametrize("name", TABLE)
def test_the_published_generators_reach_as_far_as_is_known(name):
    make, side, phase = TABLE[name]
    assert reach(make(), applied=True) == Reach(side, side, phase)


@pytest.mark.parametrize(
    ("name", "size"),
    [("resnet-6", (32, 256)), ("resnet-9", (32, 256)), ("unet-128", (128, 1152)),
     ("unet-256", (256, 2304))],
)  # fmt: skip
def test_impulses_reach_as_far_as_the_layers_say(name, size):
    check_by_impulses(TABLE[name][0](), size)


@pytest.mark.parametrize(
    "net",
    [
        resnet_generator(1, 1, 2, 1, antialias=True),
        resnet_generator(1, 1, 2, 2, 3),
        unet_generator(1, 1, 1, 5, norm="pixel", dropout=0),
        unet_generator(1, 1, 1, 6, norm="none"),
    ],
    ids=["antialiased", "resnet-8", "unet-32", "unet-64"],
)
def test_other_generators_reach_as_far_as_the_layers_say(net):
    found = reach(net, applied=True)
    assert found.exact
    wide = (2 * (found.left + found.right) // found.phase + 3) * found.phase
    for layer in net.modules():
        if type(layer).__name__ == "ChannelNorm":
            layer.forward = lambda x: x
    check_by_impulses(net, (max(found.phase, 16), wide), exhaustive=found.phase <= 8)


class AsymmetricUNet(nn.Module):
    """Strides 2 to 32 with TensorFlow's padding, depthwise blocks, skips and the input itself."""

    def __init__(self):
        super().__init__()
        self.downs = nn.ModuleList(self.down(1 if i == 0 else 2, 3 + 2 * (i % 2)) for i in range(5))
        self.mid = nn.Sequential(nn.Conv2d(2, 2, 5, 1, 2, groups=2), nn.ReLU6(), nn.Dropout2d(0.2))
        self.ups = nn.ModuleList(nn.Conv2d(2 + (2 if i < 4 else 1), 2, 3, 1, 1) for i in range(5))
        self.head = nn.Conv2d(2, 1, 1)

    def down(self, c_in, kernel):
        before, behind = (kernel - 2) // 2, (kernel - 1) // 2
        return nn.Sequential(
            nn.ZeroPad2d((before, behind, before, behind)),
            nn.Conv2d(c_in, 2, kernel, 2, bias=False),
            nn.BatchNorm2d(2),
            nn.ReLU6(inplace=True),
        )

    def forward(self, images):
        skips, x = [images], images
        for down in self.downs:
            x = down(x)
            skips.append(x)
        x = x + self.mid(x)
        for up, skip in zip(self.ups, skips[-2::-1], strict=True):
            x = F.interpolate(x, size=skip.shape[-2:], mode="nearest")
            x = F.relu(up(torch.cat([x, skip.to(x.dtype)], dim=1)))
        return torch.tanh(self.head(x)) if self.training else self.head(x)


def test_asymmetric_padding_gives_two_different_sides():
    net = AsymmetricUNet().eval()
    found = reach(net)
    assert (found.phase, found.exact) == (32, True)
    assert found.left != found.right
    check_by_impulses(net, (32, 1024), exhaustive=True)


def test_the_pretrained_unet_is_followed():
    from rs_gen.networks.efficient import efficient_unet

    for widths, expected in (((8, 8, 8), (197, 212, 16)), ((8, 8, 8, 8), (485, 516, 32))):
        found = reach(efficient_unet(4, 3, pretrained=False, widths=widths), applied=True)
        assert found == Reach(*expected)


@pytest.mark.slow  # the encoder can't be made narrow
def test_the_pretrained_unet_sees_what_the_layers_say():
    from rs_gen.networks.efficient import EfficientUNet, efficient_unet

    class Linear(EfficientUNet):
        """Without the tanh, which would round small slopes to nothing."""

        def forward(self, images):
            return self.answer(images)

    net = efficient_unet(1, 1, pretrained=False, widths=(1, 1, 1))
    net.__class__ = Linear
    check_by_impulses(net, (32, 1536))


class TestWhatIsNotExact:
    def test_an_instance_norm_until_it_is_frozen(self):
        net = resnet_generator(1, 1, 2, 1)
        found = reach(net)
        assert not found.exact
        assert found.reason.startswith(
            "layer '2' (InstanceNorm) takes its statistics from the tile until they are frozen"
        )
        assert "and 6 more" in found.reason
        ones = {
            name: (torch.zeros(1, m.channels, 1, 1), torch.ones(1, m.channels, 1, 1))
            for name, m in norm_layers(net).items()
        }
        freeze(net, ones)
        assert reach(net) == reach(net, applied=True) == Reach(found.left, found.right, 4)

    def test_a_batch_norm_in_train_mode(self):
        net = nn.Sequential(nn.Conv2d(1, 1, 3, 1, 1), nn.BatchNorm2d(1))
        assert "layer '1' (BatchNorm2d) takes its statistics from the tile" in reach(net).reason
        assert reach(net.eval()) == Reach(1, 1, 1)
        unlearned = nn.BatchNorm2d(1, track_running_stats=False).eval()
        assert not reach(nn.Sequential(unlearned)).exact

    def test_dropout_in_train_mode(self):
        net = nn.Sequential(nn.Dropout(0.5))
        assert "layer '0' (Dropout) is in train mode and drops at random" in reach(net).reason
        assert reach(net.eval()).exact
        assert reach(nn.Sequential(nn.Dropout(0.0))).exact

    @pytest.mark.parametrize(
        "layer",
        [nn.GroupNorm(1, 1), nn.AdaptiveAvgPool2d(1), nn.InstanceNorm2d(1), nn.Softmax(dim=2),
         nn.Upsample(scale_factor=1, mode="bilinear", align_corners=True),
         nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular")],
        ids=lambda layer: type(layer).__name__,
    )  # fmt: skip
    def test_layers_that_look_at_all_of_space(self, layer):
        class Gated(nn.Module):
            def __init__(self):
                super().__init__()
                self.inner = layer

            def forward(self, x):
                return x * self.inner(x)

        found = reach(Gated().eval())
        assert not found.exact
        assert f"layer 'inner' ({type(layer).__name__})" in found.reason

    @pytest.mark.parametrize(
        ("operation", "reason"),
        [
            (lambda x: x * x.mean((2, 3), keepdim=True), "'mean' looks at the whole image"),
            (lambda x: x * F.adaptive_avg_pool2d(x, 1), "looks at the whole image"),
            (lambda x: torch.softmax(x, -1), "looks at the whole image"),
            (lambda x: x @ x.transpose(2, 3), "is not one whose reach is known"),
            (lambda x: torch.fft.fft2(x).real, "is not one whose reach is known"),
            (lambda x: x.flip(-1), "'flip' is not one whose reach is known"),
            (lambda x: x[:, :, ::-1], "is not one whose reach is known"),
            (lambda x: torch.cat([x, x], -1), "joins images side by side"),
            (lambda x: F.pad(x, (1, 1), mode="circular"), "pads with the opposite edge"),
            (lambda x: F.interpolate(x, size=(64, 64)), "resamples to a size that is computed"),
            (lambda x: F.interpolate(x, scale_factor=1.5), "resamples by 1.5"),
            (lambda x: F.dropout(x, 0.5), "drops at random"),
            (lambda x: F.conv2d(x, x[:1, :, :3, :3]), "has a kernel that is computed"),
            (lambda x: F.max_pool2d(x, 2), "one position for 2 px of the input"),
        ],
    )
    def test_operations(self, operation, reason):
        class Net(nn.Module):
            def forward(self, x):
                return operation(x)

        found = reach(Net())
        assert not found.exact
        assert reason in found.reason

    def test_a_layer_of_an_unknown_kind(self):
        found = reach(nn.Sequential(nn.Conv2d(1, 1, 3, 1, 1), nn.Linear(8, 8)))
        assert found.reason == "layer '1' (Linear) is not one whose reach is known"
        assert (found.left, found.right) == (1, 1)


class Functional(nn.Module):
    """The usual functions of torch in place of layers."""

    def __init__(self):
        super().__init__()
        self.kernel = nn.Parameter(torch.ones(1, 1, 3, 5))
        self.register_buffer("blur", torch.ones(1, 1, 3, 3))

    def forward(self, x):
        y = F.pad(x, (2, 2, 1, 1), mode="reflect")
        y = F.conv2d(y, self.kernel)
        y = F.conv2d(y, self.blur.to(y.dtype), stride=2, padding=1)
        y = F.leaky_relu(y, 0.2).mul(0.5)
        y = F.conv_transpose2d(y, self.blur, None, 2, 1, 1)
        a, b = torch.cat([y, x], 1).chunk(2, 1)
        z = F.avg_pool2d(a + b, 2)
        z = F.interpolate(z, scale_factor=2, mode="bilinear", align_corners=False)
        return z + x


def test_functions_are_followed_like_layers():
    net = Functional()
    found = reach(net)
    assert (found.phase, found.exact) == (2, True)
    check_by_impulses(net, (16, 64), row=8)


def test_rows_and_columns_count_alike():
    wide, tall = nn.Conv2d(1, 1, (3, 7), padding=(1, 3)), nn.Conv2d(1, 1, (7, 3), padding=(3, 1))
    assert reach(wide) == reach(tall) == Reach(3, 3, 1)
    mixed = nn.Sequential(
        nn.Conv2d(1, 1, 2, (2, 3)), nn.Upsample(scale_factor=(2, 3), mode="nearest")
    )
    assert reach(mixed).phase == 6


def test_pixel_shuffles_and_same_padding_are_followed():
    net = nn.Sequential(
        nn.PixelUnshuffle(4), nn.Conv2d(16, 16, 3, padding="same"), nn.PixelShuffle(4)
    )
    assert reach(net) == Reach(7, 7, 4)
    assert reach(nn.Conv2d(1, 1, 4, padding="same")) == Reach(1, 2, 1)
    assert reach(nn.Conv2d(1, 1, 3, padding="valid")) == Reach(0, 2, 1)


def test_cutting_off_the_edge_moves_the_image():
    class Cut(nn.Module):
        def forward(self, x):
            return F.pad(x, (3, 0, 3, 0))[..., 1:-1, 1:-1]

    assert reach(Cut()) == Reach(2, 0, 1)


def test_the_network_keeps_its_modes():
    net = unet_generator(1, 1, 1, 6)
    net.model[1].eval()
    before = [m.training for m in net.modules()]
    reach(net, applied=True)
    assert [m.training for m in net.modules()] == before
    assert net.training
    assert not net.model[1].training


def test_a_network_that_depends_on_the_pixels_is_refused():
    class Fickle(nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    with pytest.raises(SettingError, match="the reach of Fickle can't be read from its layers"):
        reach(Fickle())


def test_layers_that_do_not_fit_are_named():
    class Misfit(nn.Module):
        def forward(self, x):
            return x + F.max_pool2d(x, 2)

    with pytest.raises(SettingError, match="operation 'add': layers of stride 1 and 2 px can't"):
        reach(Misfit())


def test_a_network_without_an_image_is_refused():
    with pytest.raises(SettingError, match="Sequential gives no image, so it has no reach"):
        reach(nn.Sequential(nn.AdaptiveAvgPool2d(1)))


def test_patch_is_what_one_logit_sees():
    assert patch(nn.Conv2d(1, 1, (3, 5))) == (3, 5)
    assert patch(nn.Sequential(nn.Conv2d(1, 1, 4, 2, 1), nn.Conv2d(1, 1, 4, 2, 1))) == (10, 10)


@torch.inference_mode()
@pytest.mark.parametrize("name", ["resnet-6", "unet-128"])
def test_a_shift_by_the_phase_shifts_the_output_and_a_smaller_one_does_not(name):
    make, side, phase = TABLE[name]
    net = make().eval()
    for parameter in net.parameters():
        if parameter.dim() == 4:
            nn.init.kaiming_normal_(parameter)
    for layer in norm_layers(net).values():
        layer.frozen_mean = torch.zeros(1, layer.channels, 1, 1)
        layer.frozen_var = torch.ones(1, layer.channels, 1, 1)
    margin = -(-side // phase) * phase
    image = torch.randn(1, 1, max(phase, 16), 2 * margin + 4 * phase)
    whole = net(image)

    def disagreement(shift):
        size = image.shape[-1] - phase
        part = net(image[..., shift : shift + size])
        a = part[..., margin : margin + phase]
        b = whole[..., shift + margin : shift + margin + phase]
        return (a - b).abs().max().item()

    assert disagreement(phase) < 1e-5
    assert disagreement(phase // 2) > 1e-3


def test_norms_are_told_in_the_order_they_run_with_what_they_see():
    net = unet_generator(1, 1, 1, 5, norm="instance", dropout=0)
    ran = []
    for name, layer in norm_layers(net).items():
        layer.register_forward_hook(lambda *_, name=name: ran.append(name))
    net(torch.randn(1, 1, 64, 64))
    found = norm_sights(net)
    assert list(found) == ran
    assert [rows.stride for rows, _ in found.values()] == [4, 8, 16, 16, 8, 4, 2]
    rows, cols = next(iter(found.values()))
    assert rows == cols
    assert (rows.left, rows.right) == (3, 6)  # two convolutions of 4 px, strides 2, padding 1
