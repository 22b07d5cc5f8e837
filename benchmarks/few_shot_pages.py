"""Pictures of the few-shot benchmark: drawn chips, sweeps, and what F2GAN borrowed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.common import grid
from benchmarks.few_shot_data import Trial

CLASSES, DRAWN, SIDE = 10, 8, 72


def of_system(model: Any, given: Trial, made: Tensor, per_class: int, folder: Path) -> None:
    """``NAME_drawn.png``, ``NAME_sweeps.png``, ``NAME.npz``; for F2GAN ``borrowing.png``."""
    name = type(model).__name__
    count = min(CLASSES, len(given.supports))
    drawn = made.unflatten(0, (-1, per_class))[:count, :DRAWN]
    supports = given.supports[:count]
    columns = {f"chip {k + 1}": supports[:, k] for k in range(supports.shape[1])}
    grid(columns | {f"drawn {i + 1}": drawn[:, i] for i in range(DRAWN)},
         folder / f"{name}_drawn.png", SIDE)  # fmt: skip
    sweeps = torch.stack([
        model.sweep(images, steps=DRAWN, seed=0, encoded=True) for images in supports[:6]
    ])  # fmt: skip
    ends = {"first": supports[:6, 0], "last": supports[:6, -1]}
    grid(ends | {str(i + 1): sweeps[:, i] for i in range(DRAWN)},
         folder / f"{name}_sweeps.png", SIDE)  # fmt: skip
    bytes_ = (drawn.clamp(-1, 1) * 127.5 + 127.5).round().byte().numpy()
    np.savez_compressed(folder / f"{name}.npz", drawn=bytes_, supports=supports.numpy())
    if hasattr(model, "borrowing"):
        borrowing(model, supports, folder / "borrowing.png")


def borrowing(model: Any, supports: Tensor, path: Path) -> None:
    """What F2GAN borrowed for some classes, equal shares of the supports, one row each."""
    from PIL import Image

    rows = []
    for images in supports[:4]:
        figure = model.borrowing(images)
        figure.savefig(path, dpi=80)
        rows.append(Image.open(path).convert("RGB"))
    sheet = Image.new("RGB", (rows[0].width, sum(row.height for row in rows)), "white")
    for i, row in enumerate(rows):
        sheet.paste(row, (0, i * rows[0].height))
    sheet.save(path)


def comparison(folder: Path, names: list[str]) -> Path | None:
    """``systems.png``: for each class its supports, then two chips of each system."""
    columns: dict[str, Tensor] = {}
    for name in names:
        path = folder / f"{name}.npz"
        if not path.exists():
            continue
        with np.load(path) as held:
            if not columns:
                supports = torch.from_numpy(held["supports"])
                columns |= {f"chip {k + 1}": supports[:, k] for k in range(supports.shape[1])}
            drawn = torch.from_numpy(held["drawn"]).float() / 127.5 - 1
        columns |= {f"{name[:9]} {i + 1}": drawn[:, i] for i in range(2)}
    return grid(columns, folder / "systems.png", SIDE) if columns else None
