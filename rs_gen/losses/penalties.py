"""Penalties on how fast a discriminator's answer changes with the image."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Judge = Callable[[Tensor], Tensor]


def input_gradient(logits: Tensor, images: Tensor) -> Tensor:
    """d(sum of logits) / d(images), (B, C, H, W), itself differentiable."""
    (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return gradient


def r1(discriminator: Judge, real: Tensor) -> Tensor:
    """Squared gradient norm on real images, halved. Mescheder et al. 2018, eq. 9 with gamma=1.

    Args:
        discriminator: Maps (B, C, H, W) to logits of any shape; no answer may depend on the
            other images of the batch. Call it in float32: squares of gradients leave half
            precision.
        real: (B, C, H, W) in [-1, 1].

    Returns:
        A scalar, 0 where the discriminator is flat.
    """
    real = real.detach().requires_grad_()
    return input_gradient(discriminator(real), real).square().flatten(1).sum(1).mean() / 2


def gradient_penalty(
    discriminator: Judge, real: Tensor, fake: Tensor, *, generator: torch.Generator | None = None
) -> Tensor:
    """(norm - 1)^2 between real and fake images. Gulrajani et al. 2017, algorithm 1.

    Args:
        discriminator: As for ``r1``. The paper advises against batch norm in it.
        real: (B, C, H, W) in [-1, 1].
        fake: As ``real``; its graph is cut.
        generator: Draws the places between the two; None for torch's global one.

    Returns:
        A scalar, 0 where the gradient has norm 1.
    """
    mix = torch.rand(len(real), 1, 1, 1, device=real.device, generator=generator, dtype=real.dtype)
    between = torch.lerp(real.detach(), fake.detach(), mix).requires_grad_()
    squares = input_gradient(discriminator(between), between).square().flatten(1).sum(1)
    # The root's own gradient is infinite at 0, where an untrained discriminator may well be.
    norm = (squares + 1e-12).sqrt()
    return (norm - 1).square().mean()
