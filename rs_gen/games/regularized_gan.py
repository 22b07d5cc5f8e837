r"""RegularizedGAN: images from few samples, with features that are kept spread out.

After Su et al. 2024, "Intriguing Property and Counterfactual Explanation of GAN for Remote Sensing
Image Generation" (IJCV; arXiv:2303.05240), on a relativistic pair (R3GAN) or the paper's logistic
loss:

.. math:: L_G = L_{adv} + \lambda_U (U(f^G) + U(f^D)) - \lambda_E (\bar H(f^G) + \bar H(f^D))

with U and H of ``losses.regularizers``, f^G the features of the generator's stage at ``hook``
pixels and f^D those of the discriminator on the fakes. The discriminator's own loss has no such
term, and no gradient of them reaches its weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..losses.adversarial import vanilla_d, vanilla_g
from ..losses.penalties import input_gradient
from ..losses.regularizers import check_chunks, entropy, uniformity
from ..losses.relativistic import rpgan_d, rpgan_g
from . import augment as changes
from .base import Terms, frozen, given
from .generative import GenerativeGame
from .registry import register
from .regularized_settings import R1, check, make_players

ADA_TARGET = 0.6  # mean sign of D(real) - D(fake) that adaptive augmentation holds
ADA_IMAGES = 100_000  # images in which its strength could go from 0 to 1
CAP_DECAY = 0.99  # of the running mean of the entropy of real images


class Made(NamedTuple):
    """What a step is about.

    Attributes:
        real: (B, C, S, S) in [-1, 1].
        labels: (B,) classes, of real and fake alike; None where the game knows none.
        fake: As ``real``, from the generator.
        features: (B, ...) of the generator's stage at ``hook`` pixels.
    """

    real: Tensor
    labels: Tensor | None
    fake: Tensor
    features: Tensor


@register("regularized_gan")
class RegularizedGANGame(GenerativeGame):
    """A generator from noise, a discriminator, and terms that keep their features spread out.

    Args:
        out_channels: Bands.
        size: Side of an image, in pixels: 16, 32, 64, 128 or 256.
        classes: Classes to ask for; 0 for none.
        base: ``"r3gan"``, or ``"dcgan"`` for plain convolutions.
        scale: Name in ``regularized_settings.WIDTHS``: "toy", "tiny", "cpu", "small" or "gpu".
        widths: Channels at 4, 8, 16, ... pixels instead.
        stage_blocks: Residual blocks a stage of ``"r3gan"``.
        z_dim: Numbers of noise.
        loss: ``"rpgan"``, or ``"nonsaturating"`` as the paper has it.
        r1_weight: Gamma of ``gamma / 2 * squared gradient norm`` on real images, which keeps
            training stable. Larger images want more; None is 1 at 32 pixels, 2 at 64, 20 at 128 and
            150 at 256. Where a training blows up, try four times as much.
        r2_weight: As ``r1_weight``, on fakes; None for the same with ``"rpgan"``, else 0.
        penalty_interval: Steps between both penalties, which then weigh as many times more.
        uniformity_weight: Lambda_U; 0 builds no such term.
        uniformity_t: Temperature.
        uniformity_chunks: Parts of a batch that are judged by themselves; the paper has 2.
        entropy_weight: Lambda_E; 0 builds no such term. By itself, without uniformity, it makes
            features alike.
        entropy_mode: ``"gaussian"``, or ``"code"`` as the released code has it.
        entropy_cap: Entropy above which a sample gains nothing: ``"real"`` for that of real
            images' features (for the generator's, what they began with), a number, or
            ``"none"``, as the paper has it: features then grow for as long as the training goes on.
        hook: Side in pixels of the stage that features come from; None for half the image's, at
            most 32. The released code has 32.
        feature_site: ``"flatten"`` compares maps place by place, ``"gap"`` their means.
        reg_on: Whose features the terms look at, of ``"g"`` and ``"d"``.
        reg_interval: Steps between the terms, which then weigh as many times more.
        reg_warmup_steps: Steps over which their weights rise from 0.
        augment: What the discriminator is shown: ``"none"`` changes nothing beside what the data
            do, ``"diffaug"`` colour, shift and a hole always, ``"ada"`` as often as it overfits.

    Raises:
        SettingError: A size or a weight can't work.
        UnknownNameError: No base, scale, loss, mode or augmentation has that name.
        ChipError: There is no network for images of this size.
    """

    def __init__(
        self,
        out_channels: int,
        size: int,
        classes: int = 0,
        *,
        base: str = "r3gan",
        scale: str = "cpu",
        widths: Sequence[int] | None = None,
        stage_blocks: int = 1,
        z_dim: int = 64,
        loss: str = "rpgan",
        r1_weight: float | None = None,
        r2_weight: float | None = None,
        penalty_interval: int = 1,
        uniformity_weight: float = 0.2,
        uniformity_t: float = 2.0,
        uniformity_chunks: int = 2,
        entropy_weight: float = 0.05,
        entropy_mode: str = "gaussian",
        entropy_cap: float | str = "real",
        hook: int | None = None,
        feature_site: str = "flatten",
        reg_on: Sequence[str] = ("g", "d"),
        reg_interval: int = 1,
        reg_warmup_steps: int = 0,
        augment: str = "none",
    ):
        if r1_weight is None:
            r1_weight = R1.get(size, 1.0)
        if r2_weight is None:
            r2_weight = r1_weight if loss == "rpgan" else 0.0
        settings = given(locals())
        check(settings)
        super().__init__()
        self.settings, self.size, self.classes, self.z_dim = settings, size, classes, z_dim
        self.loss, self.weights = loss, (r1_weight, r2_weight)
        self.penalty_interval, self.augment = penalty_interval, augment
        self.uniformity_weight, self.entropy_weight = uniformity_weight, entropy_weight
        self.uniformity = partial(uniformity, t=uniformity_t, chunks=uniformity_chunks)
        self.entropy_mode, self.entropy_cap = entropy_mode, entropy_cap
        self.feature_site, self.reg_on = feature_site, tuple(reg_on)
        self.reg_interval, self.reg_warmup_steps = reg_interval, reg_warmup_steps
        G, D = make_players(settings)
        self.generators, self.discriminators = nn.ModuleDict({"G": G}), nn.ModuleDict({"D": D})
        # Steps of both players; strength of the augmentation; mean entropies that cap the term.
        self.steps: dict[str, int] = {"g": 0, "d": 0}
        self.strength, self.caps = 0.0, dict[str, float]()

    def forward(self, real: Tensor, labels: Tensor | None = None) -> Made:
        """A fake beside every real image, of the same class."""
        labels = labels if self.classes else None
        z = torch.randn(len(real), self.z_dim, device=real.device)
        return Made(real, labels, *_run(self.generators["G"], z, labels))

    def generate(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images, (B, C, S, S); see ``GenerativeGame``."""
        images: Tensor = self.generators["G"](z, labels if self.classes else None)
        return images

    def generate_features(self, z: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Images, and the generator's features that the terms look at, (B, d)."""
        images, features = _run(self.generators["G"], z, labels if self.classes else None)
        return images, self._seen(features)

    def judge_features(self, images: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(B,) logits of images, not augmented, and the discriminator's features, (B, d)."""
        logits, features = _run(self.discriminators["D"], images, labels if self.classes else None)
        return logits.float(), self._seen(features)

    def generator_loss(self, out: Made) -> Terms:
        """Term ``adversarial``, and ``uniformity_g|d`` and ``entropy_g|d`` where weighted."""
        with frozen(self.discriminators):
            fake, features = self._judge(self._shown(out.fake), out.labels)
            real = None
            if self.loss == "rpgan":
                with torch.no_grad():
                    real, _ = self._judge(self._shown(out.real), out.labels)
        terms = {"adversarial": vanilla_g(fake) if real is None else rpgan_g(real, fake)}
        terms |= self._spread(out.features, features)
        if self.training:
            self.steps["g"] += 1
        return terms

    def discriminator_loss(self, out: Made) -> Terms:
        """Term ``discriminator``, and ``r1`` and ``r2`` where they have a weight.

        The penalties are of the gradients to the images before they were augmented.
        """
        images = out.real.detach().float(), out.fake.detach().float()
        due = any(self.weights) and self.steps["d"] % self.penalty_interval == 0
        if due:
            images = images[0].requires_grad_(), images[1].requires_grad_()
        device = out.real.device.type
        calm = torch.autocast(device, enabled=False) if due else nullcontext()
        with torch.enable_grad() if due else nullcontext(), calm:
            both = self._shown(torch.cat(images))
            labels = None if out.labels is None else out.labels.repeat(2)
            logits, features = self._judge(both, labels)
            real, fake = logits.chunk(2)
            judged = rpgan_d(real, fake) if self.loss == "rpgan" else 2 * vanilla_d(real, fake)
            terms = {"discriminator": judged}
            if due:
                terms |= self._penalties((real, fake), images)
        self._after(real.detach(), fake.detach(), features.detach()[: len(real)])
        return terms

    def memory(self) -> dict[str, Any]:
        """Steps, the augmentation's strength, and the mean entropies."""
        return {"steps": dict(self.steps), "strength": self.strength, "caps": dict(self.caps)}

    def load_memory(self, memory: Mapping[str, Any]) -> None:
        """Take up what ``memory`` gave."""
        self.steps, self.caps = dict(memory["steps"]), dict(memory["caps"])
        self.strength = float(memory["strength"])

    def check_batch(self, count: int) -> None:
        """Refuse a batch size that uniformity can't be computed on.

        Raises:
            SettingError: The text tells what would do.
        """
        if self.uniformity_weight:
            check_chunks(count, self.settings["uniformity_chunks"])

    # Inside.

    def _judge(self, images: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor]:
        logits, features = _run(self.discriminators["D"], images, labels)
        return logits.float(), features

    def _shown(self, images: Tensor) -> Tensor:
        if self.augment == "none" or not self.training:
            return images
        if self.augment == "diffaug":
            return changes.diffaug(images)
        return changes.adaptive(images, self.strength)

    def _seen(self, features: Tensor) -> Tensor:
        gap = self.feature_site == "gap"
        return (features.float().mean((2, 3)) if gap else features.float()).flatten(1)

    def _spread(self, fg: Tensor, fd: Tensor) -> Terms:
        """Uniformity and entropy, weighted; a weight of 0 builds nothing and draws nothing."""
        if not (self.uniformity_weight or self.entropy_weight):
            return {}
        if self.steps["g"] % self.reg_interval:
            return {}
        share = self.reg_interval * min(1.0, (self.steps["g"] + 1) / (self.reg_warmup_steps + 1))
        terms = {}
        with torch.autocast(fg.device.type, enabled=False):
            for name, features in (("g", fg), ("d", fd)):
                if name not in self.reg_on:
                    continue
                seen = self._seen(features)
                if self.uniformity_weight:
                    terms[f"uniformity_{name}"] = (
                        share * self.uniformity_weight * self.uniformity(seen)
                    )
                if self.entropy_weight:
                    held = self._capped(name, entropy(seen, self.entropy_mode))
                    terms[f"entropy_{name}"] = -share * self.entropy_weight * held.mean()
        return terms

    def _capped(self, name: str, found: Tensor) -> Tensor:
        if self.entropy_cap == "none":
            return found
        if self.entropy_cap != "real":
            return found.clamp_max(float(self.entropy_cap))
        if name == "g":
            self.caps.setdefault("g", float(found.detach().mean()))
        return found.clamp_max(self.caps[name]) if name in self.caps else found

    def _penalties(self, logits: tuple[Tensor, Tensor], images: tuple[Tensor, Tensor]) -> Terms:
        terms = {}
        for name, weight, answer, image in zip(
            ("r1", "r2"), self.weights, logits, images, strict=True
        ):
            if weight:
                squares = input_gradient(answer, image).square().flatten(1).sum(1)
                terms[name] = self.penalty_interval * weight / 2 * squares.mean()
        return terms

    def _after(self, real: Tensor, fake: Tensor, features: Tensor) -> None:
        """Count the step, and follow how sure the discriminator is and how rich real images are."""
        if not self.training:
            return
        self.steps["d"] += 1
        if self.augment == "ada":
            sure = float((real - fake if self.loss == "rpgan" else real).sign().mean())
            step = len(real) / ADA_IMAGES * (1 if sure > ADA_TARGET else -1)
            self.strength = min(changes.MOST, max(0.0, self.strength + step))
        if self.entropy_cap == "real" and self.entropy_weight:
            now = float(entropy(self._seen(features), self.entropy_mode).mean())
            was = self.caps.get("d", now)
            self.caps["d"] = CAP_DECAY * was + (1 - CAP_DECAY) * now


def _run(player: nn.Module, images: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor]:
    """What a player makes, and its features on the way."""
    made, features = player.run(images, labels)  # type: ignore[operator]
    return made, features
