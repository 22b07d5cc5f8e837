"""A game and data small enough to train in a blink, with everything that resuming must keep."""

from __future__ import annotations

import torch
from fastai.data.core import DataLoaders
from torch import nn
from torch.nn.functional import l1_loss

from rs_gen.metrics.protocol import Score

SIZE, BANDS = 8, 2


class ToyGame(nn.Module):
    """A generator with batch norm and dropout, a discriminator, and a pool of one image."""

    directions = ("AtoB",)

    def __init__(self, seed=0, blow_up_at=None, term="l1"):
        super().__init__()
        torch.manual_seed(seed)
        self.settings = {"width": 4, "adversarial": "lsgan"}
        self.blow_up_at, self.blow_up_term, self.calls = blow_up_at, term, 0
        self.generators = nn.ModuleDict({"AtoB": nn.Sequential(
            nn.Conv2d(BANDS, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.3),
            nn.Conv2d(4, BANDS, 3, padding=1), nn.Tanh())})  # fmt: skip
        self.discriminators = nn.ModuleDict({"D": nn.Conv2d(2 * BANDS, 1, 3)})
        self.pool = None

    def forward(self, a, b):
        return a, b, self.translate(a)

    def translate(self, images, direction="AtoB"):
        return self.generators[direction](images)

    def judge(self, a, image):
        return self.discriminators["D"](torch.cat([a, image], 1)).float()

    def generator_loss(self, out):
        a, b, fake = out
        terms = {
            "adversarial": (self.judge(a, fake) - 1).square().mean(),
            "l1": 10 * l1_loss(fake.float(), b),
        }
        if self.calls == self.blow_up_at:
            terms[self.blow_up_term] = terms[self.blow_up_term] * float("nan")
        self.calls += 1
        return terms

    def discriminator_loss(self, out):
        a, b, fake = out
        fake = fake.detach().float()
        shown = fake if self.pool is None else self.pool
        self.pool = fake.clone()
        real, fake = self.judge(a, b), self.judge(a, shown)
        return {"discriminator": ((real - 1).square().mean() + fake.square().mean()) / 2}

    def memory(self):
        return {"pool": self.pool, "list": [1, {"x": torch.ones(2)}]}

    def load_memory(self, memory):
        assert memory["list"][0] == 1
        self.pool = memory["pool"]


class ToyLoader:
    """Batches in an order that depends on (seed, epoch, batch) alone, as a DataBunch's."""

    def __init__(self, a, b, batch_size, shuffle):
        self.left, self.right, self.batch_size, self.shuffle = a, b, batch_size, shuffle
        self.epoch = self.batch = 0

    def __len__(self):
        return len(self.left) // self.batch_size

    def set_position(self, epoch, batch):
        self.epoch, self.batch = epoch, batch

    def __iter__(self):
        order = torch.arange(len(self.left))
        if self.shuffle:
            dice = torch.Generator().manual_seed(self.epoch)
            order = torch.randperm(len(self.left), generator=dice)
        for i in range(self.batch, len(self)):
            held = order[i * self.batch_size : (i + 1) * self.batch_size]
            yield self.left[held], self.right[held]


class ToyData(DataLoaders):
    """Pairs whose target is the inverted source."""

    kind, seed, chip_size = "Pix2Pix", 42, SIZE

    def __init__(self, count=12, batch_size=3, valid=4):
        dice = torch.Generator().manual_seed(7)
        a = torch.rand(count + valid, BANDS, SIZE, SIZE, generator=dice) * 2 - 1
        self.batch_size = batch_size
        super().__init__(
            ToyLoader(a[valid:], -a[valid:], batch_size, True),
            ToyLoader(a[:valid], -a[:valid], 2, False), device="cpu",
        )  # fmt: skip


class ToyScorer:
    """Mean absolute error."""

    names, monitor, paired = ("l1",), "l1", True

    def reset(self):
        self.sum, self.n = 0.0, 0

    def update(self, game, batch):
        fake = game.translate(batch[0]).float()
        self.sum += float((fake - batch[1]).abs().mean((1, 2, 3)).sum())
        self.n += len(fake)
        return {"AtoB": fake}

    def result(self):
        return {"l1": Score(self.sum / self.n, self.n, "a toy's")}
