"""Generative Matching Network: a VAE whose prior and decoder read the support images by matching.

Bartunov & Vetrov 2018, "Few-shot Generative Modelling with Generative Matching Networks",
AISTATS; arXiv:1612.02192. No adversary: it maximises a bound on the probability of each image
given those before it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import UnknownNameError
from ..losses.few_shot import bernoulli_nats, laplace_nats, normal_kl
from ..networks.pyramid import Decoder, Encoder, Sprout
from .base import Terms, check_weights, given
from .few_shot import FewShotGame, level_widths
from .registry import register

LIKELIHOODS = ("laplace", "bernoulli")
WARM = 8.0  # of the matching before anything is learnt


class Memory(NamedTuple):
    """What a class is known by.

    Attributes:
        values: (B, M, D), the learnt pseudo-image first.
        usable: (B, T, M), True where a query may look.
    """

    values: Tensor
    usable: Tensor


class Bounds(NamedTuple):
    """The bound of each image given those before it; (B, T) each, in nats.

    Attributes:
        nats: Log probability of the images, given the codes drawn.
        divergence: Of the code's distribution from the prior.
    """

    nats: Tensor
    divergence: Tensor


@register("gmn")
class GMNGame(FewShotGame):
    """Maximise ``sum_t log p(x_t | x_1 .. x_t-1)``, or rather a bound on it.

    Args:
        in_channels: Bands of the chips.
        size: Side of the chips in pixels, a multiple of 8.
        classes: Not used: images of an episode are of one class, and that is all that counts.
        width: Channels at full resolution.
        latent: Numbers of a code.
        hidden: Numbers that images are remembered, compared and read in.
        hops: Reads of recognition and likelihood, one after another; the paper has up to 4.
        likelihood: ``"laplace"``, or ``"bernoulli"`` for two-valued images, which are then handed
            out as two values, too.
        matching: False reads the average of the memory: the paper's poorer rival.
        kl_weight: Of the divergence; 1 is the bound.
        pseudo: Show the pseudo-image also to generate. The paper finds better images without.

    Raises:
        SettingError: A size or a weight can't work.
        UnknownNameError: There is no such likelihood.
        ChipError: The chips' side is not a multiple of 8.
    """

    def __init__(
        self, in_channels: int, size: int, classes: int = 0, *, width: int = 32, latent: int = 32,
        hidden: int = 128, hops: int = 2, likelihood: str = "laplace", matching: bool = True,
        kl_weight: float = 1.0, pseudo: bool = False,
    ):  # fmt: skip
        settings = given(locals())
        widths = level_widths(settings)
        check_weights(["kl_weight"], settings)
        if likelihood not in LIKELIHOODS:
            raise UnknownNameError("likelihood", likelihood, LIKELIHOODS)
        super().__init__()
        self.settings = settings
        side = size // 2 ** (len(widths) - 1)
        net = _Networks(in_channels, widths, side, latent, hidden, hops, matching)
        self.generators = nn.ModuleDict({"draw": net})
        self.discriminators = nn.ModuleDict()

    def condition(self, supports: Tensor, *, generator: torch.Generator | None = None) -> Memory:
        """The support images as one query sees them."""
        memory = self.net.remember(supports)
        usable = torch.ones(len(memory), 1, memory.shape[1], dtype=torch.bool, device=memory.device)
        usable[..., 0] = self.settings["pseudo"]
        return Memory(memory, usable)

    def draw(self, state: Memory, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """(n, latent) from the prior of this class."""
        mean, log_var = self.net.prior(state.values, state.usable)
        noise = torch.randn(n, self.settings["latent"], generator=generator).to(mean.device)
        codes: Tensor = mean[0] + (0.5 * log_var[0]).exp() * noise
        return codes

    def render(self, state: Memory, code: Tensor) -> Tensor:
        """The likeliest image for each code, (B, C, H, W)."""
        shown, _ = self.net.decode(code[:, None], state.values, state.usable)
        images: Tensor = torch.tanh(shown[:, 0] / 2)
        return images  # of a logit, 2p - 1

    def finished(self, images: Tensor) -> Tensor:
        """Two-valued where the images trained on were: a mean of two values is grey."""
        return torch.sign(images) if self.settings["likelihood"] == "bernoulli" else images

    def between(self, start: Tensor, end: Tensor, steps: int) -> Tensor:
        """A straight line: these codes have a mean that is not 0."""
        t = torch.linspace(0, 1, steps, device=start.device)[:, None]
        return torch.lerp(start[None], end[None], t)

    def forward(self, supports: Tensor, targets: Tensor, labels: Tensor) -> Bounds:
        """The bound of every image of the episodes, given those before it."""
        return self.bounds(torch.cat([supports, targets], 1))

    def bounds(self, images: Tensor, *, generator: torch.Generator | None = None) -> Bounds:
        """Of (B, T, C, H, W) images; image t sees those before it and the pseudo-image."""
        memory = self.net.remember(images)
        length = images.shape[1]
        usable = torch.ones(length, length + 1, dtype=torch.bool, device=images.device).tril()
        usable = usable.expand(len(images), -1, -1)
        prior = self.net.prior(memory, usable)
        mean, log_var = self.net.recognise(memory[:, 1:], memory, usable)
        noise = torch.randn(mean.shape, generator=generator).to(mean.device)
        z = mean + (0.5 * log_var).exp() * noise
        shown, log_scale = self.net.decode(z, memory, usable)
        if self.settings["likelihood"] == "bernoulli":
            nats = bernoulli_nats(shown, images)
        else:
            nats = laplace_nats(torch.tanh(shown / 2), log_scale, images)
        return Bounds(nats, normal_kl(mean, log_var, *prior))

    def generator_loss(self, out: Bounds) -> Terms:
        """``nats``, of an image, and ``divergence``; their sum is minus the bound."""
        weight = self.settings["kl_weight"]
        return {"nats": -out.nats.mean(), "divergence": weight * out.divergence.mean()}

    @property
    def net(self) -> Any:
        """All of its networks."""
        return self.generators["draw"]


class _Reader(nn.Module):
    """Reads of a memory by full context matching: queries and keys depend on the reads before."""

    def __init__(self, query: int, values: int, hidden: int, matching: bool):
        super().__init__()
        self.matching = matching
        self.query = nn.Linear(query, hidden) if query else None
        self.query_state, self.key_state = (nn.Linear(hidden, hidden) for _ in range(2))
        self.key = nn.Linear(values, hidden)
        self.temperature = nn.Linear(hidden, 1)
        nn.init.zeros_(self.temperature.weight)
        nn.init.constant_(self.temperature.bias, WARM)
        self.cell = nn.GRUCell(values, hidden)

    def forward(
        self, query: Tensor | None, values: Tensor, usable: Tensor, hops: int
    ) -> tuple[Tensor, Tensor]:
        """What was read, (B, T, D), and the state after it, (B, T, hidden)."""
        batch, queries, _ = usable.shape
        state = values.new_zeros(batch, queries, self.cell.hidden_size)
        keys, read = self.key(values)[:, None], values[:, :1].expand(-1, queries, -1)
        for _ in range(hops):
            asked = self.query_state(state)
            if query is not None and self.query is not None:
                asked = asked + self.query(query)
            read = (
                self._shares(asked, keys + self.key_state(state)[:, :, None], state, usable)
                @ values
            )
            state = self.cell(read.flatten(0, 1), state.flatten(0, 1)).view_as(state)
        return read, state

    def _shares(self, asked: Tensor, keys: Tensor, state: Tensor, usable: Tensor) -> Tensor:
        """(B, T, M) shares."""
        if not self.matching:
            return usable.float() / usable.sum(-1, keepdim=True)
        cosines = F.cosine_similarity(asked[:, :, None], keys, dim=-1)
        logits = F.softplus(self.temperature(state)) * cosines
        return logits.masked_fill(~usable, float("-inf")).softmax(-1)


class _Networks(nn.Module):
    def __init__(
        self, bands: int, widths: list[int], side: int, latent: int, hidden: int, hops: int,
        matching: bool,
    ):  # fmt: skip
        super().__init__()
        coarse = widths[-1]
        self.hops = hops
        self.encoder = Encoder(bands, widths, "layer")
        self.value = nn.Linear(coarse * side * side, hidden)
        self.pseudo = nn.Parameter(0.1 * torch.randn(1, 1, hidden))
        self.prior_reader = _Reader(0, hidden, hidden, matching)
        # Recognition and likelihood ask in different words and read with one cell.
        self.reader = _Reader(hidden, hidden, hidden, matching)
        self.ask = nn.Linear(latent, hidden)
        self.prior_head = nn.Linear(2 * hidden, 2 * latent)
        self.head = nn.Sequential(
            nn.Linear(3 * hidden, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, 2 * latent)
        )
        self.sprout = Sprout(latent + 2 * hidden, coarse, side)
        self.scale = nn.Linear(latent + 2 * hidden, 1)
        self.decoder = Decoder(bands, widths, norm="layer")

    def remember(self, images: Tensor) -> Tensor:
        """(B, T, C, H, W) to (B, T + 1, hidden), the pseudo-image first."""
        coarsest = self.encoder(images.flatten(0, 1))[0].flatten(1)
        values = self.value(coarsest).unflatten(0, images.shape[:2])
        return torch.cat([self.pseudo.expand(len(values), -1, -1), values], 1)

    def prior(self, values: Tensor, usable: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of codes, (B, T, latent) each."""
        read, state = self.prior_reader(None, values, usable, 1)
        return _mean_and_log_var(self.prior_head(torch.cat([read, state], -1)))

    def recognise(self, own: Tensor, values: Tensor, usable: Tensor) -> tuple[Tensor, Tensor]:
        """As ``prior``, for those who see the image: its values are ``own`` (B, T, hidden)."""
        read, state = self.reader(own, values, usable, self.hops)
        return _mean_and_log_var(self.head(torch.cat([own, read, state], -1)))

    def decode(self, z: Tensor, values: Tensor, usable: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, C, H, W) before the sigmoid, and a log scale (B, T) of each."""
        read, state = self.reader(self.ask(z), values, usable, self.hops)
        known = torch.cat([z, read, state], -1)
        shown = self.decoder(self.sprout(known.flatten(0, 1)), squash=False)
        return shown.unflatten(0, known.shape[:2]), self.scale(known)[..., 0].clamp(-5, 2)

    def forward(self, images: Tensor) -> Tensor:
        return self.remember(images)


def _mean_and_log_var(both: Tensor) -> tuple[Tensor, Tensor]:
    mean, log_var = both.float().chunk(2, -1)
    return mean, log_var.clamp(-8, 8)
