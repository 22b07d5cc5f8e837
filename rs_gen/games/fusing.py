"""What F2GAN and MatchingGAN share: images fused by coefficients, and a critic that knows classes.

Both minimise ``L_G + L_1 + L_c`` and more; they differ in where the coefficients come from and in
how the features of the support images are put together.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..losses.adversarial import hinge_d, hinge_g
from ..losses.few_shot import matching_l1, mode_seeking, weighted_l1
from ..networks.critic import Critic, Judgement
from .base import Terms, frozen
from .few_shot import FewShotGame, some_supports, steadying


class Fused(NamedTuple):
    """What a step is about. Two images are drawn from each episode; in the warm-up one.

    Attributes:
        supports: (B, K, C, H, W).
        labels: (B,).
        codes: (2B, D), those of the first images before those of the second.
        a: (2B, K) coefficients.
        fakes: (2B, C, H, W).
        warming: Whether the generator learns to reconstruct and nothing else.
    """

    supports: Tensor
    labels: Tensor
    codes: Tensor
    a: Tensor
    fakes: Tensor
    warming: bool


class FusingGame(FewShotGame):
    """Fuse support images into one by coefficients on the simplex.

    ``settings`` must hold ``warmup``, ``one``, ``l1_side``, ``spectral`` and the weights. For the
    first ``warmup`` share of a training only L_1 is minimised: a generator that is judged before it
    heeds the support images learns one image for all; see docs/few_shot.md.
    """

    def build(self, generator: nn.Module, widths: list[int]) -> Critic:
        """Take the generator, and make the critic."""
        bands, classes = self.settings["in_channels"], self.settings["classes"]
        self.generators = nn.ModuleDict({"draw": generator})
        wide = [*widths, 2 * widths[-1]]
        critic = Critic(bands, wide, classes, spectral=self.settings["spectral"])
        self.discriminators = nn.ModuleDict({"critic": critic})
        return critic

    @abstractmethod
    def coefficients(self, state: Any, code: Tensor) -> Tensor:
        """(B, K) on the simplex, for (B, D) codes."""

    @abstractmethod
    def training_codes(self, state: Any) -> Tensor:
        """(B, D) codes to train on, one for each episode of ``state``."""

    def forward(self, supports: Tensor, targets: Tensor, labels: Tensor) -> Fused:
        """Fuse each episode twice."""
        warming = self.training and self.share < self.settings["warmup"]
        supports = some_supports(supports, self.settings["one"])
        state = self.condition(supports)
        codes = self.training_codes(state)
        if not warming:
            codes, state = torch.cat([codes, self.training_codes(state)]), twice(state)
        fakes = self.render(state, codes)
        return Fused(supports, labels, codes, self.coefficients(state, codes), fakes, warming)

    def generator_loss(self, out: Fused) -> Terms:
        """``l1``, alone in the warm-up; then ``adversarial classes mode matching``, too."""
        s = self.settings
        supports = out.supports if out.warming else torch.cat([out.supports] * 2)
        # No gradient to the coefficients: the nearest way to a lower L_1 is to copy one image.
        a = out.a.detach()
        terms = {"l1": s["l1_weight"] * weighted_l1(out.fakes, supports, a, s["l1_side"])}
        if out.warming:
            return terms
        with frozen(self.discriminators["critic"]):
            fakes = self.critic(out.fakes)
            terms["adversarial"] = s["adversarial_weight"] * hinge_g(fakes.real)
            if s["class_weight"] and fakes.classes.shape[1]:
                labels = torch.cat([out.labels, out.labels])
                terms["classes"] = s["class_weight"] * F.cross_entropy(fakes.classes, labels)
            if s["mode_weight"]:
                (first, second), (code, other) = fakes.features.chunk(2), out.codes.chunk(2)
                terms["mode"] = s["mode_weight"] * mode_seeking(first, second, code, other)
            return terms | self.feature_terms(out, fakes, a)

    def feature_terms(self, out: Fused, fakes: Judgement, a: Tensor) -> Terms:
        """Terms that need the critic's features of the support images, too."""
        if not self.settings["matching_weight"]:
            return {}
        matched = matching_l1(fakes.features, self.seen_features(out), a)
        return {"matching": self.settings["matching_weight"] * matched}

    @torch.no_grad()
    def seen_features(self, out: Fused) -> Tensor:
        """(2B, K, D) critic's features of the support images, twice over."""
        found = self.critic(out.supports.flatten(0, 1)).features
        return torch.cat([unflat(found, out.supports)] * 2)

    def discriminator_loss(self, out: Fused) -> Terms:
        """``discriminator``, and ``real_classes``: of real images alone. Empty in the warm-up."""
        if out.warming:
            return {}
        reals = self.critic(out.supports.flatten(0, 1))
        fakes = self.critic(out.fakes.detach())
        terms = {"discriminator": hinge_d(reals.real, fakes.real)}
        if self.settings["class_weight"] and reals.classes.shape[1]:
            labels = out.labels.repeat_interleave(out.supports.shape[1])
            weight = self.settings["class_weight"]
            terms["real_classes"] = weight * F.cross_entropy(reals.classes, labels)
        if self.settings["r1_weight"]:
            images = out.supports.flatten(0, 1)
            weight = self.settings["r1_weight"]
            terms |= steadying(lambda x: self.critic(x).real, images, weight, self.training)
        return terms | self.reading_terms(out, reals, fakes)

    def reading_terms(self, out: Fused, reals: Judgement, fakes: Judgement) -> Terms:
        """What else is learnt beside the critic."""
        return {}

    @property
    def net(self) -> Any:
        """The generator."""
        return self.generators["draw"]

    def critic(self, images: Tensor) -> Judgement:
        """What the critic says of (B, C, H, W)."""
        judged: Judgement = self.discriminators["critic"](images)
        return judged


def twice(state: Any) -> Any:
    """The state of B episodes as that of 2B."""
    if isinstance(state, Tensor):
        return torch.cat([state, state])
    if isinstance(state, list):
        return [twice(part) for part in state]
    return type(state)(*(twice(part) for part in state))


def fused(features: Tensor, a: Tensor) -> Tensor:
    """``sum_k a_k x_k`` of (B, K, C, H, W) features."""
    return torch.einsum("bk,bkchw->bchw", a.to(features.dtype), features)


def dirichlet(
    n: int, k: int, alpha: float = 1.0, generator: torch.Generator | None = None
) -> Tensor:
    """(n, k) on the simplex, float32. Even for ``alpha`` = 1, near the corners below it."""
    if alpha == 1:  # the gaps between sorted uniform numbers; torch's gamma takes no generator
        cuts = torch.rand(n, k - 1, generator=generator).sort(1).values
        ends = torch.zeros(n, 1), torch.ones(n, 1)
        return torch.cat([ends[0], cuts, ends[1]], 1).diff(dim=1)
    seed = int(torch.randint(0, 2**62, (), generator=generator))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return torch.distributions.Dirichlet(torch.full((k,), float(alpha))).sample((n,))


def unflat(features: Tensor, supports: Tensor) -> Tensor:
    """(B * K, D) features of (B, K, ...) support images as (B, K, D)."""
    return features.view(*supports.shape[:2], -1)
