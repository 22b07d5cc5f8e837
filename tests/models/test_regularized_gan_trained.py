"""R3, R4 and the end of the reference's table: what training with the terms does, on drawn scenes.

Slow: four trainings a seed, three seeds, some ten seconds each.
"""

import math

import numpy as np
import pytest
import torch

from rs_gen.games.regularized_gan import RegularizedGANGame
from rs_gen.training.information import feature_information

STEPS, BATCH, CHIPS, SEEDS = 200, 16, 100, (0, 1, 2)
BARE = {"entropy_mode": "code", "entropy_cap": "none"}
ARMS = {
    "baseline": {"uniformity_weight": 0.0, "entropy_weight": 0.0},
    "uniformity": {"uniformity_weight": 0.2, "entropy_weight": 0.0},
    "entropy": {"uniformity_weight": 0.0, "entropy_weight": 0.05, **BARE},
    "default": {},
}


def scenes(count, seed):
    """(N, 3, 16, 16): furrows, rivers, roofs and pivots of any pose, as section 7.1 draws them."""
    dice = np.random.default_rng(seed)
    rows, cols = np.mgrid[:32, :32] - 15.5
    made = [_scene(dice, rows, cols, int(dice.integers(4))) for _ in range(count)]
    fine = torch.from_numpy(np.stack(made)).float()
    return torch.nn.functional.avg_pool2d(fine, 2) * 2 - 1


def _scene(dice, rows, cols, kind):
    angle, scale = dice.uniform(0, 2 * math.pi), math.exp(dice.uniform(-0.5, 0.5))
    x, y = cols - dice.uniform(-8, 8), rows - dice.uniform(-8, 8)
    u = (x * math.cos(angle) + y * math.sin(angle)) / scale
    v = (-x * math.sin(angle) + y * math.cos(angle)) / scale

    def soft(d):
        return 1 / (1 + np.exp(-2 * np.clip(d, -30, 30)))

    mask = (
        0.5 + 0.5 * np.sin(1.3 * u),
        soft(4 - np.abs(v - 5 * np.sin(u / 6))),
        soft(3 - np.abs((u + 6) % 12 - 6)) * soft(3 - np.abs((v + 5) % 10 - 5)),
        soft(11 - np.hypot(u, v)),
    )[kind]
    paint = ((0.55, 0.45, 0.3), (0.1, 0.25, 0.45), (0.75, 0.4, 0.3), (0.55, 0.45, 0.3))[kind]
    ground, colour = (np.array(c) + dice.normal(0, 0.06, 3) for c in ((0.2, 0.45, 0.2), paint))
    image = ground[:, None, None] * (1 - mask) + colour[:, None, None] * mask
    return np.clip(image * dice.uniform(0.85, 1.15) + dice.normal(0, 0.02, image.shape), 0, 1)


def trained(arm, seed):
    """A game after a short training on few scenes, with its average in place."""
    torch.manual_seed(seed)
    game = RegularizedGANGame(
        3, 16, base="dcgan", widths=[32, 32, 16], z_dim=32, r1_weight=2.0, penalty_interval=4,
        **ARMS[arm],
    ).train()  # fmt: skip
    chips, dice = scenes(CHIPS, 100 + seed), torch.Generator().manual_seed(seed)
    sides = [(game.generators, game.generator_loss), (game.discriminators, game.discriminator_loss)]
    adams = [torch.optim.Adam(nets.parameters(), 1e-3, betas=(0.0, 0.99)) for nets, _ in sides]
    average = [p.detach().clone() for p in game.generators.parameters()]
    for _ in range(STEPS):
        out = game(chips[torch.randint(CHIPS, (BATCH,), generator=dice)])
        for (_, loss), adam in zip(sides, adams, strict=True):
            adam.zero_grad()
            sum(loss(out).values()).backward()
            adam.step()
        for kept, now in zip(average, game.generators.parameters(), strict=True):
            kept.lerp_(now.detach(), 0.02)
    for now, kept in zip(game.generators.parameters(), average, strict=True):
        now.data.copy_(kept)
    return game.eval()


@pytest.fixture(scope="module")
def runs():
    """Arm to what its games tell, a seed each."""
    return {arm: [_told(trained(arm, seed)) for seed in SEEDS] for arm in ARMS}


def _told(game):
    return {name: score.value for name, score in feature_information(game, n=256).items()}


@pytest.mark.slow  # twelve trainings
def test_uniformity_spreads_the_generators_features_in_every_seed(runs):
    pairs = list(zip(runs["uniformity"], runs["baseline"], strict=True))
    assert all(ours["uniformity_g"] < base["uniformity_g"] for ours, base in pairs)
    assert all(ours["erank_g"] > base["erank_g"] for ours, base in pairs)


@pytest.mark.slow  # shares the trainings
def test_entropy_raises_that_of_the_generators_features_in_every_seed(runs):
    pairs = list(zip(runs["entropy"], runs["baseline"], strict=True))
    assert all(ours["entropy_g"] > base["entropy_g"] for ours, base in pairs)


@pytest.mark.slow  # shares the trainings
def test_the_defaults_keep_features_spread_out_in_every_seed(runs):
    pairs = list(zip(runs["default"], runs["baseline"], strict=True))
    assert all(ours["uniformity_g"] < base["uniformity_g"] for ours, base in pairs)
    assert all(ours["erank_g"] > base["erank_g"] for ours, base in pairs)
