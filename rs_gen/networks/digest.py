"""Which weights a network has, in a word."""

from __future__ import annotations

import hashlib

import torch
from torch import nn


def digest(net: nn.Module) -> str:
    """Sixteen hexadecimal digits that change with any weight of a network."""
    sha = hashlib.sha256()
    for name, tensor in sorted(net.state_dict().items()):
        values = tensor.detach().cpu().contiguous()
        sha.update(f"{name} {values.dtype} {tuple(values.shape)}".encode())
        sha.update(values.flatten().view(torch.uint8).numpy().tobytes())
    return sha.hexdigest()[:16]
