"""Small rasters and small networks whose outputs are worth comparing."""

from pathlib import Path

import numpy as np
import torch
from affine import Affine
from torch import nn

from rs_gen.networks.resnet import resnet_generator
from rs_gen.networks.unet import unet_generator
from rs_gen.raster.grid import Grid
from rs_gen.raster.values import Stretch
from rs_gen.raster.writer import geotiff
from rs_gen.translate.translator import Translator


def lively(net: nn.Module, bands: int = 3, seed: int = 0, side: int = 64) -> nn.Module:
    """The network with weights that make its output vary, and batch norms that have met data."""
    generator = torch.Generator().manual_seed(seed)
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            fan = (
                module.weight[0].numel()
                if isinstance(module, nn.Conv2d)
                else 4 * module.in_channels
            )
            module.weight.data.normal_(0, (2 / fan) ** 0.5, generator=generator)
    for module in net.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the plain mean of what it meets
    net.train()
    with torch.no_grad():
        for _ in range(2):
            net(torch.rand(2, bands, side, side, generator=generator) * 2 - 1)
    return net.eval()


def make_net(kind: str) -> nn.Module:
    """A narrow network by a short name, the same whenever it is asked for."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # or the biases would be of the moment
        return lively(_of_kind(kind))


def _of_kind(kind: str) -> nn.Module:
    if kind == "resnet-instance":
        return resnet_generator(3, 3, 4, blocks=2)
    if kind == "resnet-batch":
        return resnet_generator(3, 3, 4, blocks=2, norm="batch")
    if kind == "resnet-smooth":
        return resnet_generator(3, 3, 4, blocks=1, antialias=True)
    family, norm, depth = kind.split("-")
    assert family == "unet"
    return unet_generator(3, 3, 4, depth=int(depth), norm=norm)


def scene(
    shape: tuple[int, int], bands: int = 3, dtype: str = "uint8", seed: int = 0
) -> np.ndarray:
    """(C, H, W): a smooth slope with noise, brighter to one side, so that tiles differ."""
    rng = np.random.default_rng(seed)
    rows, cols = np.mgrid[: shape[0], : shape[1]]
    slope = (rows / shape[0] + 2 * cols / shape[1]) / 3
    pixels = 0.6 * slope + 0.4 * rng.random((bands, *shape))
    top = 250 if dtype == "uint8" else 4000
    return (1 + pixels * top).astype(dtype)


def grid_of(shape: tuple[int, int], metres: float = 10.0) -> Grid:
    return Grid(shape, Affine(metres, 0, 500000, 0, -metres, 5000000), "EPSG:32633")


def write(path: Path, pixels: np.ndarray, *, metres: float = 10.0, **options) -> Path:
    """A GeoTIFF of these pixels."""
    grid = grid_of(pixels.shape[1:], metres)
    settings = {"count": len(pixels), "dtype": pixels.dtype.name, "mask": False, **options}
    with geotiff(path, grid, **settings) as writer:
        writer.write(pixels)
    return path


BYTES = Stretch((0.0,) * 3, (255.0,) * 3)
UNIT = Stretch((-1.0,) * 3, (1.0,) * 3)


def to_float(net: nn.Module, **options) -> Translator:
    """From bytes to the network's own answers, so that they can be compared unrounded."""
    return Translator(net, BYTES, UNIT, device="cpu", **{"dtype": "float32", "size": 64, **options})
