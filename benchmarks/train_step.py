"""One training step of ours against a plain float32 one, in one run.

    python -m benchmarks.train_step

For Pix2Pix (U-Net-256) and CycleGAN (ResNet-9) at 256 px, batch 1 and 4. Plain is what a tutorial
writes: eager float32, one Adam a player, discriminators frozen for the generators' step, the same
networks, losses and image pool. Ours is the step of ``Model.fit``. Both take turns, the first step
of each untimed, so that other work on the machine meets both. Figures: the ratio of times with its
spread over the turns, and the convolutions' FLOPs of a step over its time as a share of the best
rate that one convolution of the same machine reaches.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from fastai.data.core import DataLoaders
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.common import CORES, machine
from rs_gen.games.base import Game, total
from rs_gen.games.registry import create_game
from rs_gen.networks.device import autocast_dtype, reused_memory
from rs_gen.training.loop import game_learner
from rs_gen.training.recipe import Recipe

GAMES = {
    "Pix2Pix U-Net-256": ("pix2pix", {"generator": "unet"}),
    "CycleGAN ResNet-9": ("cyclegan", {"blocks": 9}),
}
SIZE = 256


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--steps", type=int, default=2, help="steps a turn")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--only", default="", help="part of a name")
    parser.add_argument("--out", type=Path, default=Path("runs/train_step.json"))
    options = parser.parse_args()
    torch.set_num_threads(CORES)
    peaks = {str(d): conv_peak(d) for d in (torch.float32, autocast_dtype("cpu")) if d}
    report: dict[str, Any] = {"machine": machine(), "conv peak, GFLOP/s": peaks, "rows": []}
    print(f"conv peak, GFLOP/s: {peaks}")
    for (name, (game, settings)), batch in itertools.product(GAMES.items(), options.batches):
        if options.only in name:
            row = {"model": name, "batch": batch,
                   **compare(game, settings, batch, options, peaks)}  # fmt: skip
            report["rows"].append(row)
            print(json.dumps(row), flush=True)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(report, indent=1) + "\n")


def compare(
    name: str, settings: dict[str, Any], batch: int, options: argparse.Namespace,
    peaks: dict[str, float],
) -> dict[str, Any]:  # fmt: skip
    """Turns of plain and of ours, on networks of their own with equal weights."""
    images = torch.rand(2, batch, 3, SIZE, SIZE) * 2 - 1
    games = []
    for _ in range(2):
        torch.manual_seed(0)
        games.append(create_game(name, in_channels=3, out_channels=3, **settings).train())
    games[0].to(memory_format=torch.contiguous_format)  # as torch makes them
    plain, ours = plain_steps(games[0], *images), our_steps(games[1], *images)
    flops = step_flops(games[0], *images)
    seconds = {"plain": [], "ours": []}
    for _ in range(options.turns):
        for key, steps in (("plain", plain), ("ours", ours)):
            seconds[key].append(taking_turns(steps, options.steps, keep=key == "ours"))
    ratios = [a / b for a, b in zip(seconds["plain"], seconds["ours"], strict=True)]
    best = min(seconds["ours"])
    return {
        "plain s": round(statistics.median(seconds["plain"]), 3),
        "ours s": round(statistics.median(seconds["ours"]), 3),
        "ratio": round(statistics.median(ratios), 2),
        "ratio, least and most": [round(min(ratios), 2), round(max(ratios), 2)],
        "turns": options.turns,
        "GFLOP a step": round(flops / 1e9, 1),
        "share of conv peak": round(flops / 1e9 / best / max(peaks.values()), 3),
    }


def taking_turns(steps: Iterator[None], times: int, *, keep: bool) -> float:
    """Wall seconds a step, after one that is not timed.

    Args:
        steps: To take.
        times: How many.
        keep: Keep memory from step to step, as ``Model.fit`` does.
    """
    with reused_memory() if keep else nullcontext():
        next(steps)
        return timed(lambda: next(steps), times)


def plain_steps(game: Game, a: Tensor, b: Tensor) -> Iterator[None]:
    """What a tutorial writes."""
    players = game.generators, game.discriminators
    optimizers = [
        torch.optim.Adam(p.parameters(), 2e-4, betas=(0.5, 0.999), foreach=False) for p in players
    ]
    while True:
        out = game(a, b)
        for optimizer, loss in zip(
            optimizers, (game.generator_loss, game.discriminator_loss), strict=True
        ):
            optimizer.zero_grad()
            total(loss(out)).backward()
            optimizer.step()
        yield


def our_steps(game: Game, a: Tensor, b: Tensor) -> Iterator[None]:
    """The step of ``Model.fit``: fastai's Learner with all its parts."""
    recipe = Recipe(epochs=10**6)
    learn = game_learner(DataLoaders([(a, b)], [(a, b)], device="cpu"), game, recipe)
    learn.validates = False
    return _one_at_a_time(learn, (a, b))


def _one_at_a_time(learn: Any, batch: tuple[Tensor, Tensor]) -> Iterator[None]:
    learn.epoch, learn.n_epoch = 0, 1
    learn.create_opt()
    learn("before_fit")
    learn("before_epoch")
    learn("before_train")
    for i in itertools.count():
        learn.one_batch(i, batch)
        yield


def timed(work: Callable[[], object], times: int) -> float:
    """Wall seconds a call."""
    started = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - started) / times


def step_flops(game: Game, a: Tensor, b: Tensor) -> float:
    """Of the convolutions, forward and backward, of one step."""
    with FlopCounterMode(display=False) as counter:
        out = game(a, b)
        total(game.generator_loss(out)).backward()
        total(game.discriminator_loss(out)).backward()
    game.zero_grad(set_to_none=True)
    return float(counter.get_total_flops())


def conv_peak(dtype: torch.dtype) -> float:
    """GFLOP/s of the best of a few 3 x 3 convolutions, forward and backward."""
    best = 0.0
    for channels, side in ((256, 64), (128, 128), (512, 32)):
        conv = torch.nn.Conv2d(channels, channels, 3, padding=1, bias=False).to(dtype)
        conv = conv.to(memory_format=torch.channels_last)
        x = torch.randn(4, channels, side, side, dtype=dtype)
        x = x.contiguous(memory_format=torch.channels_last).requires_grad_()
        grad = torch.randn_like(conv(x))
        flops = 3 * 2 * 9 * channels**2 * grad[:, 0].numel()

        def step(conv=conv, x=x, grad=grad) -> None:
            torch.autograd.grad(conv(x), (x, conv.weight), grad)

        step()
        best = max(best, flops / min(timed(step, 1) for _ in range(8)) / 1e9)
    return round(best, 1)


if __name__ == "__main__":
    main()
