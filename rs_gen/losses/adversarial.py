"""Adversarial losses as pure pairs: what the discriminator minimises, and what the generator.

All take logits of any shape and any float dtype, and are computed in float32.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import UnknownNameError


class Adversarial(NamedTuple):
    """The two sides of one adversarial loss.

    Attributes:
        discriminator: (logits of real, logits of fake) to a scalar.
        generator: Logits of fake to a scalar.
    """

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]


def lsgan_d(real: Tensor, fake: Tensor) -> Tensor:
    """Least squares, real to 1 and fake to 0. Mao et al. 2017, eq. 9 with a=0, b=1."""
    return ((_f(real) - 1).square().mean() + _f(fake).square().mean()) / 2


def lsgan_g(fake: Tensor) -> Tensor:
    """Least squares, fake to 1. Mao et al. 2017, eq. 9 with c=1, doubled as is usual."""
    return (_f(fake) - 1).square().mean()


def vanilla_d(real: Tensor, fake: Tensor) -> Tensor:
    """Cross entropy of real against 1 and fake against 0, halved. Goodfellow et al. 2014, eq. 1.

    Halved as Isola et al. 2017 (section 3.3) do, to slow the discriminator.
    """
    return (F.softplus(-_f(real)).mean() + F.softplus(_f(fake)).mean()) / 2


def vanilla_g(fake: Tensor) -> Tensor:
    """Cross entropy of fake against 1, which doesn't saturate. Goodfellow et al. 2014, sect. 3."""
    return F.softplus(-_f(fake)).mean()


def hinge_d(real: Tensor, fake: Tensor) -> Tensor:
    """A margin of one on either side. Miyato et al. 2018, eq. 16."""
    return F.relu(1 - _f(real)).mean() + F.relu(1 + _f(fake)).mean()


def hinge_g(fake: Tensor) -> Tensor:
    """Minus the mean logit. Miyato et al. 2018, eq. 17."""
    return -_f(fake).mean()


def wasserstein_d(real: Tensor, fake: Tensor) -> Tensor:
    """Fake below real without end. Arjovsky et al. 2017, eq. 2; wants a gradient penalty."""
    return _f(fake).mean() - _f(real).mean()


def wasserstein_g(fake: Tensor) -> Tensor:
    """Minus the mean logit. Arjovsky et al. 2017, algorithm 1."""
    return -_f(fake).mean()


ADVERSARIAL: dict[str, Adversarial] = {
    "lsgan": Adversarial(lsgan_d, lsgan_g),
    "vanilla": Adversarial(vanilla_d, vanilla_g),
    "hinge": Adversarial(hinge_d, hinge_g),
    "wasserstein": Adversarial(wasserstein_d, wasserstein_g),
}


def adversarial(name: str) -> Adversarial:
    """The pair of losses by name.

    Raises:
        UnknownNameError: There is no such pair.
    """
    if name not in ADVERSARIAL:
        raise UnknownNameError("adversarial loss", name, ADVERSARIAL)
    return ADVERSARIAL[name]


def _f(logits: Tensor) -> Tensor:
    """float32 at least: half precision can't average thousands of logits."""
    return logits if logits.dtype == torch.float64 else logits.float()
