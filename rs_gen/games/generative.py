"""Games whose generator starts from noise: images of a class, or of whatever the chips show."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from ..errors import SettingError, UnknownNameError
from .base import Game


class GenerativeGame(Game):
    """A game with one generator, ``"G"``, that makes images from noise and translates nothing.

    Attributes:
        z_dim: Numbers of noise an image is made from.
        classes: Classes that images can be asked for; 0 where the game knows none.
    """

    makes: ClassVar[str] = "makes images from noise"
    z_dim: int
    classes: int = 0

    def noise(self, count: int, seed: int = 0, device: torch.device | str = "cpu") -> Tensor:
        """(count, z_dim) normal numbers. The first are the same however many are asked for."""
        dice = np.random.default_rng(seed)  # torch's draws depend on how many are made at once
        return torch.from_numpy(dice.standard_normal((count, self.z_dim), "float32")).to(device)

    @abstractmethod
    def generate(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images, (B, C, H, W), about within [-1, 1].

        Args:
            z: (B, z_dim).
            labels: (B,) class numbers; not looked at where the game knows no classes.
        """

    def generate_features(self, z: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """As ``generate``, and (B, d) features of the generator on the way.

        Raises:
            SettingError: The game hands out none.
        """
        raise SettingError(f"a {self.name} model does not hand out the features of its generator")

    def judge_features(self, images: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(B,) logits of images as they are, and (B, d) features of the discriminator.

        Raises:
            SettingError: The game hands out none.
        """
        raise SettingError(f"a {self.name} model has no discriminator that hands out features")


def numbers_of(
    names: Sequence[str], count: int, labels: int | str | Sequence[int | str] | None = None
) -> Tensor:
    """(count,) class numbers, from what a person asks for.

    Args:
        names: Of the classes; empty where there are none.
        count: Images, at least 1.
        labels: A class by name or number for all, or one for each image; None goes through the
            classes in turn.

    Raises:
        SettingError: A number can't work, or there are no classes to ask for.
        UnknownNameError: There is no such class.
    """
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise SettingError(f"n={count!r} is no number of images; give at least 1")
    if labels is None:
        return torch.arange(count) % max(1, len(names))
    if not names:
        raise SettingError(
            f"labels={labels!r}: this model knows no classes; train it on class folders"
        )
    each = [labels] * count if isinstance(labels, int | str | np.integer) else list(labels)
    if len(each) != count:
        raise SettingError(f"{len(each)} labels for n={count} images; give one for all or one each")
    return torch.tensor([_number_of(names, label) for label in each])


def _number_of(names: Sequence[str], label: int | str) -> int:
    if isinstance(label, str):
        if label not in names:
            raise UnknownNameError("class", label, names)
        return list(names).index(label)
    if not 0 <= label < len(names):
        raise SettingError(f"class {label} is not within 0 to {len(names) - 1}")
    return int(label)
