"""What a direction's rasters looked like in training, so that later ones can be held against it.

Plain tensors of bounded size, kept with the weights under ``reference.<direction>.<part>``. How
they are measured, and how rasters are compared with them, is ``translate.drift``'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from ..errors import SettingError

BINS = 256  # of a band's histogram, over [-1, 1]
MOST_FEATURES, MOST_AXES = 8192, 64  # sizes that a stranger's file may ask for


@dataclass(frozen=True)
class Reference:
    """Statistics of the training chips of one direction. All float32.

    Attributes:
        bands: (C, 256) counts of the source's encoded values over [-1, 1], band by band.
        spread: (C,) population stability index of one half of the chips against the other: what
            chance and the variety of the training places come to.
        mean: (D,) of the block vectors; D is 0 where the generator's features were not measured.
        axes: (K, D) orthonormal directions of their largest variance.
        variances: (K,) along them.
        rest: () variance along every other direction.
        limit: () distance within which 95 % of the training blocks lie that the fit had not seen.
        block: () side of a block in pixels.
        count: () blocks that were measured.
        real: (3,) logits that the discriminator gives real chips: 5 %, 50 % and 95 %; (0,) where
            there is no discriminator.

    Raises:
        SettingError: Shapes or values can't be those of such statistics.
    """

    bands: Tensor
    spread: Tensor
    mean: Tensor
    axes: Tensor
    variances: Tensor
    rest: Tensor
    limit: Tensor
    block: Tensor
    count: Tensor
    real: Tensor

    def __post_init__(self) -> None:
        if self.bands.dim() != 2 or self.bands.shape[1] != BINS:
            _refuse("bands", f"is {tuple(self.bands.shape)}; it must be (bands, {BINS})")
        features, rank = len(self.mean.flatten()), len(self.variances.flatten())
        wanted: dict[str, tuple[int, ...]] = {
            "mean": (features,), "axes": (rank, features), "variances": (rank,), "rest": (),
            "limit": (), "block": (), "count": (), "spread": (self.bands.shape[0],),
        }  # fmt: skip
        for name, shape in wanted.items():
            if tuple(getattr(self, name).shape) != shape:
                _refuse(name, f"is {tuple(getattr(self, name).shape)}; it must be {shape}")
        if tuple(self.real.shape) not in ((0,), (3,)):
            _refuse("real", f"is {tuple(self.real.shape)}; it must be (3,) or (0,)")
        if features > MOST_FEATURES or rank > MOST_AXES:
            _refuse("axes", f"is {rank} x {features}; at most {MOST_AXES} x {MOST_FEATURES}")
        for field in fields(self):
            if not torch.isfinite(getattr(self, field.name)).all():
                _refuse(field.name, "is not finite")
        for name in ("variances", "rest", "limit"):
            if features and not (getattr(self, name) > 0).all():
                _refuse(name, "must be above 0")
        if features and not (1 <= float(self.block) <= 4096 and float(self.block).is_integer()):
            _refuse("block", f"is {float(self.block):g} px; it must be 1 to 4096")

    @property
    def has_features(self) -> bool:
        """Whether the generator's features were measured."""
        return len(self.mean) > 0

    def tensors(self) -> dict[str, Tensor]:
        """By name of the attribute."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> Reference:
        """What ``tensors`` gave.

        Raises:
            SettingError: A part is missing, unknown or can't be right.
        """
        names = {field.name for field in fields(cls)}
        if odd := sorted(names ^ set(tensors)):
            _refuse(odd[0], "is missing" if odd[0] in names else "is unknown")
        return cls(**tensors)


def _refuse(name: str, why: str) -> None:
    raise SettingError(f"the reference of the training chips is broken: {name} {why}")
