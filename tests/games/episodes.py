"""Episodes to play few-shot games with, made up on the spot."""

import torch
from torch import Tensor


def shapes(classes: int, each: int, size: int = 16, bands: int = 1, seed: int = 0) -> Tensor:
    """(classes, each, bands, size, size) two-valued: one bar a class, moved about a little."""
    dice = torch.Generator().manual_seed(seed)
    images = -torch.ones(classes, each, bands, size, size)
    for c in range(classes):
        high, wide = 2 + c % 4 * size // 8, 2 + c // 4 % 4 * size // 8
        for i in range(each):
            row, col = torch.randint(0, 3, (2,), generator=dice).tolist()
            images[c, i, :, 2 + row : 2 + row + high, 2 + col : 2 + col + wide] = 1
    return images


def episodes(images: Tensor, batch: int, k: int, t: int, seed: int = 0):
    """(supports, targets, labels) of some classes of (classes, each, C, H, W)."""
    dice = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, len(images), (batch,), generator=dice)
    chosen = torch.stack(
        [images[c][torch.randperm(images.shape[1], generator=dice)[: k + t]] for c in labels]
    )
    return chosen[:, :k], chosen[:, k:], labels


def play(game, images, steps, batch=4, k=3, t=2, lr=1e-3, seed=0, share=None):
    """Train as the loop does: generators on their loss, then discriminators on theirs."""
    torch.manual_seed(seed)
    optimizers = [
        torch.optim.Adam(part.parameters(), lr, (0.5, 0.9)) if len(part) else None
        for part in (game.generators, game.discriminators)
    ]
    terms = {}
    game.train()
    for step in range(steps):
        game.share = step / steps if share is None else share
        out = game(*episodes(images, batch, k, t, seed=seed * 10_000 + step))
        for part, optimizer, loss in zip(
            (game.generators, game.discriminators), optimizers,
            (game.generator_loss, game.discriminator_loss), strict=True,
        ):  # fmt: skip
            found = loss(out)
            if not found or optimizer is None:
                continue
            part.zero_grad()
            sum(found.values()).backward()
            optimizer.step()
            terms |= {name: value.item() for name, value in found.items()}
    game.eval()
    return terms
