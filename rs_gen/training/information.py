"""How much a generator and its discriminator know: how their features are spread, and over-fitting.

After Su et al. 2024 (arXiv:2303.05240): with less data the features of a GAN hold less
information. A discriminator that over-fits makes its features longer, which raises the entropy of
a sample by itself, so read the scale-free entropy and the effective rank beside it.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import SettingError
from ..games.generative import GenerativeGame
from ..losses.regularizers import directions, entropy, uniformity
from ..metrics.protocol import Score

CHUNK = 16  # rows that uniformity is taken over; it can be compared at one number alone
BATCH = 64  # images in memory at a time
SAMPLES = 512
T = 2.0
INFORMATION = (
    "uniformity_g", "uniformity_d", "entropy_g", "entropy_d", "scale_free_entropy_g",
    "scale_free_entropy_d", "norm_g", "norm_d", "erank_g", "erank_d", "d_train_test_gap",
)  # fmt: skip


class Shown(NamedTuple):
    """Real images and their classes.

    Attributes:
        images: (N, C, H, W) in [-1, 1].
        labels: (N,) class numbers; zeros where there are no classes.
    """

    images: Tensor
    labels: Tensor


@torch.no_grad()
def feature_information(
    game: GenerativeGame, train: Shown | None = None, held: Shown | None = None, *,
    n: int = SAMPLES, seed: int = 0,
) -> dict[str, Score]:  # fmt: skip
    """What the features of both players tell, by name; ``_g`` generator, ``_d`` discriminator.

    ``uniformity`` in chunks of 16 at t = 2 (-4.267, spread out, to 0, all alike), ``entropy`` as if
    normal, ``scale_free_entropy`` (entropy less the logarithm of the norm), ``norm``, ``erank``
    (effective rank). ``d_train_test_gap`` is by how many deviations the discriminator holds
    training images for more real than held-out ones; 0 where it has not learnt them by heart.

    Args:
        game: A game that hands out its features. Its discriminator sees generated images.
        train: Some images that were trained on; None leaves out the gap.
        held: Some that were not.
        n: Images to generate, at least 16; rounded down to whole chunks.
        seed: Of the noise.

    Raises:
        SettingError: ``n`` is too small, or the game does not hand out features.
    """
    if n < CHUNK:
        raise SettingError(f"n={n} makes no chunk of {CHUNK} images; take more")
    training, n = game.training, n // CHUNK * CHUNK
    game.eval()
    try:
        fg, fd = _features(game, n, seed)
        found: dict[str, Score] = {}
        for name, features in (("g", fg), ("d", fd)):
            found |= {f"{key}_{name}": score for key, score in spread_of(features).items()}
        if train is not None and held is not None:
            found["d_train_test_gap"] = _gap(game, train, held)
    finally:
        game.train(training)
    return {name: found[name] for name in INFORMATION if name in found}


def spread_of(features: Tensor) -> dict[str, Score]:
    """Uniformity, entropies, norm and effective rank of (N, d) features, N a multiple of 16."""
    count, norm = len(features), features.norm(dim=1).clamp_min(1e-8)
    rich = entropy(features)
    about = f"{count} generated images, {features.shape[1]} features"
    values = {
        "uniformity": (uniformity(features, T, count // CHUNK), f", t={T:g}, chunks of {CHUNK}"),
        "entropy": (rich.mean(), ", gaussian"),
        "scale_free_entropy": ((rich - norm.log()).mean(), ", gaussian less log norm"),
        "norm": (norm.mean(), ""),
        "erank": (torch.tensor(effective_rank(features)), ", centred directions"),
    }
    return {name: Score(float(v), count, about + how) for name, (v, how) in values.items()}


def effective_rank(features: Tensor) -> float:
    r"""The exponential of the entropy of the singular values' shares, of centred rows of length 1.

    .. math:: \exp\Bigl(-\sum_k p_k \log p_k\Bigr), \quad p_k = \sigma_k / \sum_j \sigma_j

    Between 1, all rows on a line, and the smaller of N - 1 and d. Roy & Vetterli 2007, "The
    Effective Rank". It sees a collapse of dimensions, which uniformity does not.

    Args:
        features: (N, d).
    """
    rows = directions(features.double())
    rows = rows - rows.mean(0)
    products = rows @ rows.T if len(rows) < rows.shape[1] else rows.T @ rows
    singular = torch.linalg.eigvalsh(products).clamp_min(0).sqrt()
    if not float(singular.sum()) > 0:
        return 1.0
    shares = singular / singular.sum()
    return float(torch.exp(-torch.xlogy(shares, shares).sum()))


def _features(game: GenerativeGame, n: int, seed: int) -> tuple[Tensor, Tensor]:
    device = next(game.parameters()).device
    z, made = game.noise(n, seed, device), []
    labels = torch.arange(n, device=device) % max(1, game.classes)
    for part, named in zip(z.split(BATCH), labels.split(BATCH), strict=True):
        images, fg = game.generate_features(part, named)
        made.append((fg, game.judge_features(images, named)[1]))
    fg, fd = (torch.cat(side).float().cpu() for side in zip(*made, strict=True))
    return fg, fd


def _gap(game: GenerativeGame, train: Shown, held: Shown) -> Score:
    """Difference of the mean logits, in deviations of those of the held-out images."""
    known, new = (_logits(game, side) for side in (train, held))
    gap = (known.mean() - new.mean()) / new.std().clamp_min(1e-8)
    about = f"mean logit of {len(known)} training less {len(new)} held-out images, in deviations"
    return Score(float(gap), min(len(known), len(new)), about)


def _logits(game: GenerativeGame, side: Shown) -> Tensor:
    device = next(game.parameters()).device
    parts = [
        game.judge_features(images.to(device), labels.to(device))[0].cpu()
        for images, labels in zip(side.images.split(BATCH), side.labels.split(BATCH), strict=True)
    ]
    return torch.cat(parts)
