r"""What keeps a generator's features spread out: uniformity and entropy of Su et al. 2024.

Both are functions of features alone. Rows are flattened and taken as float32 (float64 stays). With
:math:`n_i = f_i / \max(\lVert f_i \rVert, 10^{-8})`, :math:`d` coordinates and :math:`M` rows:

.. math::
    U(f) = \frac1K \sum_{k=1}^{K} \log \frac{2}{M(M-1)}
        \sum_{i<j \in k} e^{-t\lVert n_i-n_j\rVert^2}

    H_i = \tfrac12 \log(2 \pi e \operatorname{Var}_k f_{ik})
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..errors import SettingError, UnknownNameError

MODES = ("gaussian", "code")
_LEAST_NORM = 1e-8


def uniformity(features: Tensor, t: float = 2.0, chunks: int = 1) -> Tensor:
    r"""How far a batch is from covering the unit sphere evenly, the mean over its chunks.

    .. math:: U_k = -2t + \log \sum_{i<j} e^{2t \, n_i \cdot n_j} - \log \tfrac{M(M-1)}{2}

    which is the form with pairwise distances, for :math:`\lVert n_i-n_j\rVert^2 = 2 - 2 n_i \cdot
    n_j`; the M x M products are cheaper for long features, and finite where two rows coincide.

    Args:
        features: (N, ...), N a multiple of ``chunks``; any scale, for rows are normalised here.
        t: Temperature, positive.
        chunks: Parts of M = N / chunks consecutive rows that are judged by themselves.

    Returns:
        A scalar in [-2tM/(M-1), 0]. 0 when all rows of a chunk point one way (mode collapse), -2t
        when they are orthogonal, least for a regular simplex. It depends on M: compare only at
        equal M.

    Raises:
        SettingError: N is no multiple of ``chunks``, or a chunk has fewer than two rows.

    Source:
        Wang & Isola 2020, arXiv:2005.10242, section 4.1.2, on half-batches as Su et al. 2024,
        arXiv:2303.05240, train with it. Unlike theirs, a row of zeros gives no NaN.
    """
    rows = check_chunks(len(features), chunks)
    n = directions(features).view(chunks, rows, -1)
    products = n @ n.mT
    first, second = torch.triu_indices(rows, rows, offset=1, device=n.device)
    pairs = products[:, first, second]
    spread: Tensor = ((2 * t * pairs).logsumexp(1) - 2 * t - math.log(pairs.shape[1])).mean()
    return spread


def entropy(features: Tensor, mode: str = "gaussian") -> Tensor:
    r"""(N,) differential entropy of each row, were its coordinates draws of one normal number.

    .. math::
        \text{gaussian: } H_i = \log \lVert f_i \rVert + \log \operatorname{std}(n_i)
            + \tfrac12 \log 2 \pi e
        \qquad \text{code: } H_i = \log \lVert f_i \rVert + \tfrac12 \log \operatorname{std}(n_i)

    Since :math:`\operatorname{std}(n)^2 = (1 - d m^2)/(d - 1)` with :math:`m` the mean of n, both
    are the logarithm of the norm less a penalty on the share of the norm that is common to all
    coordinates. They see nothing else: a row with one coordinate and a row of normal numbers of
    the same norm have about the same entropy. Both have no upper bound, for scale alone raises
    them: :math:`H(a f) = H(f) + \log a`.

    Args:
        features: (N, ...), at least two coordinates a row.
        mode: ``"gaussian"``, or ``"code"`` as the released code of the paper has it, which takes
            half of the logarithm of the deviation.

    Raises:
        UnknownNameError: There is no such mode.

    Source:
        Su et al. 2024, arXiv:2303.05240; the released code, commit 07ffa06, for ``"code"``.
    """
    if mode not in MODES:
        raise UnknownNameError("entropy mode", mode, MODES)
    f = _rows(features)
    norm = f.norm(dim=1).clamp_min(_LEAST_NORM)
    # Of the variance, for the root's own gradient is infinite at 0.
    deviation = directions(f).var(dim=1).clamp_min(_LEAST_NORM**2).log() / 2
    found: Tensor = norm.log() + deviation / 2
    if mode == "code":
        return found
    return found + deviation / 2 + 0.5 * math.log(2 * math.pi * math.e)


def directions(features: Tensor) -> Tensor:
    """(N, d) rows of length 1; a row of zeros stays zeros."""
    f = _rows(features)
    unit: Tensor = f / f.norm(dim=1, keepdim=True).clamp_min(_LEAST_NORM)
    return unit


def check_chunks(count: int, chunks: int) -> int:
    """Rows in a chunk.

    Raises:
        SettingError: They do not come out even, or make no pair.
    """
    if chunks < 1 or count % chunks:
        raise SettingError(
            f"a batch of {count} can't be parted into {chunks} equal chunks for uniformity; use a "
            f"batch_size that is a multiple of {max(1, chunks)}, or uniformity_chunks=1"
        )
    if count // chunks < 2:
        raise SettingError(
            f"uniformity compares pairs, and a batch of {count} in {chunks} chunks has none; use a "
            f"batch_size of at least {2 * chunks}"
        )
    return count // chunks


def _rows(features: Tensor) -> Tensor:
    flat = features.flatten(1)
    return flat if flat.dtype == torch.float64 else flat.float()
