r"""Losses that judge a fake beside a real image, not by itself. Pure pairs, as in ``adversarial``.

.. math:: L_D = \operatorname{softplus}(-(D(x) - D(\tilde x))) \qquad
    L_G = \operatorname{softplus}(-(D(\tilde x) - D(x)))
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import softplus


def rpgan_d(real: Tensor, fake: Tensor) -> Tensor:
    """Each real image should look more real than the fake beside it. Huang et al. 2024, eq. 2.

    Args:
        real: (B, ...) logits of real images.
        fake: As ``real``, of fakes. The pairs are those of the batch's order.

    Returns:
        A scalar; log 2 where both look alike.

    Source:
        The relativistic pairing loss of Jolicoeur-Martineau 2018, arXiv:1807.00734, as R3GAN
        (Huang et al. 2024, arXiv:2501.05441) uses it.
    """
    return softplus(_f(fake) - _f(real)).mean()


def rpgan_g(real: Tensor, fake: Tensor) -> Tensor:
    """Each fake should look more real than the real image beside it; ``rpgan_d`` turned round."""
    return softplus(_f(real) - _f(fake)).mean()


def _f(logits: Tensor) -> Tensor:
    return logits.float() if logits.element_size() < 4 else logits
