"""From a saved generator to tiles on a grid: what the generate tool runs. Needs no training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..chips.progress import Progress, quiet
from ..errors import SettingError
from ..games.generative import GenerativeGame, numbers_of
from ..games.package import Package, load
from ..networks.device import pick_device
from ..networks.digest import digest
from .generated import Tiles, export_tiles

BATCH = 8  # images at a time, always


def make_tiles(
    package: str | Path | Package,
    out: str | Path,
    count: int,
    *,
    labels: int | str | Sequence[int | str] | None = None,
    seed: int = 0,
    truncation: float = 1.0,
    device: Any = None,
    tags: Mapping[str, Any] | None = None,
    progress: Progress = quiet,
    **where: Any,
) -> Tiles:
    """Generate images and write them as GeoTIFFs, in class folders where there are classes.

    Args:
        package: A saved generator: its folder, .emd or .dlpk; or what ``games.package.load`` gave.
        out: Folder for the tiles.
        count: Images, at least 1.
        labels: A class by name or number for all, or one for each; None goes through the classes.
        seed: Of the noise. With one seed, more images begin with the fewer.
        truncation: Factor on the noise, above 0: below 1 images are more typical and vary less.
        device: Where to compute; None picks.
        tags: More to say in each file.
        progress: Wrapper that shows how far it has come.
        **where: As ``export_tiles`` takes them: ``like``, ``crs`` and ``transform``, ``columns``,
            ``mosaic``, ``overwrite``.

    Raises:
        PackageError: It is no saved model, or one that this version can't read.
        SettingError: The model does not generate, or an option can't work.
        UnknownNameError: There is no such class.
    """
    name = Path(package).stem if isinstance(package, str | Path) else "model"
    held = package if isinstance(package, Package) else load(package, discriminators=False)
    game, card = held.game, held.card
    if not isinstance(game, GenerativeGame):
        raise SettingError(f"{name} is a {card.model} model, which makes no images from noise")
    chosen = numbers_of(card.classes, count, labels)
    images = made(game, noise_of(game, count, seed, truncation), chosen, device)
    said = {"model": name, "model_digest": digest(game.generators["G"]), "seed": seed,
            "truncation": truncation, **(tags or {})}  # fmt: skip
    return export_tiles(
        images, out, card.target, labels=chosen if card.classes else None,
        classes=card.classes or None, tags=said, progress=progress, **where,
    )  # fmt: skip


def noise_of(game: GenerativeGame, count: int, seed: int = 0, truncation: float = 1.0) -> Tensor:
    """(count, z_dim) noise, shortened where ``truncation`` is below 1.

    Raises:
        SettingError: ``truncation`` is not above 0.
    """
    if not 0 < truncation < float("inf"):
        raise SettingError(f"truncation={truncation!r} is not above 0; 1 changes nothing")
    return game.noise(count, seed) * truncation


@torch.no_grad()
def made(game: GenerativeGame, z: Tensor, labels: Tensor, device: Any = None) -> Tensor:
    """(N, C, H, W) images in [-1, 1], on the CPU, of (N, z_dim) noise and (N,) class numbers.

    Convolutions round differently in batches of other sizes, so the last one is filled up: an image
    has the same bits however many are asked for.
    """
    device = pick_device(device)
    game = game.to(device).eval()
    count, rest = len(z), -len(z) % BATCH
    z = torch.cat([z, z[:1].expand(rest, -1)]).to(device)
    labels = torch.cat([labels, labels[:1].expand(rest)]).to(device)
    images = [
        game.generate(part, named).float().clamp(-1, 1).cpu()
        for part, named in zip(z.split(BATCH), labels.split(BATCH), strict=True)
    ]
    return torch.cat(images)[:count].contiguous()
