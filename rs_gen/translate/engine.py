"""A generator made ready to be applied: on its device, in its precision, with frozen statistics."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

from ..errors import TranslationError
from ..networks.norm import freeze, unfreeze
from .statistics import Statistics


def ready(net: nn.Module, device: torch.device) -> nn.Module:
    """A copy of a network in evaluation mode, on a device, laid out for fast convolution.

    A copy, so that freezing statistics here never reaches a network that is still trained.
    """
    net = copy.deepcopy(net).eval().requires_grad_(False)
    return net.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]


class Engine:
    """Encoded images in, encoded images out.

    Args:
        net: As ``ready`` gives it.
        device: Where it is.
        dtype: To autocast to; None stays in float32.
    """

    def __init__(self, net: nn.Module, device: torch.device, dtype: torch.dtype | None = None):
        self.net, self.device, self.dtype = net, device, dtype

    @torch.inference_mode()
    def __call__(self, pixels: np.ndarray, origins: Sequence[tuple[int, int]] = ()) -> np.ndarray:
        """(B, C_in, H, W) float32 in [-1, 1] to (B, C_out, H, W) float32 in [-1, 1].

        Args:
            pixels: Encoded windows of a canvas.
            origins: (row, col) of each on the canvas, for engines to which the place matters; to
                this one it does not.

        Raises:
            TranslationError: The network gave NaN or infinity.
        """
        images = torch.from_numpy(pixels).to(self.device, memory_format=torch.channels_last)
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype is not None):
            fake = self.net(images)
        if not torch.isfinite(fake).all():
            remedy = "; try mixed_precision=False" if self.dtype else ": its weights are broken"
            raise TranslationError(f"the generator gave values that are not numbers{remedy}")
        return fake.float().cpu().numpy()

    @contextmanager
    def frozen(self, statistics: Statistics | None) -> Iterator[Engine]:
        """Inside, every normalisation layer uses these statistics; None: those of each image."""
        if statistics:
            freeze(self.net, statistics)
        try:
            yield self
        finally:
            unfreeze(self.net)


def digest(net: nn.Module) -> str:
    """Sixteen hexadecimal digits that change with any weight of a network."""
    sha = hashlib.sha256()
    for name, tensor in sorted(net.state_dict().items()):
        values = tensor.detach().cpu().contiguous()
        sha.update(f"{name} {values.dtype} {tuple(values.shape)}".encode())
        sha.update(values.flatten().view(torch.uint8).numpy().tobytes())
    return sha.hexdigest()[:16]
