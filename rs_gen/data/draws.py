"""Which chips come when, and with which dice: functions of (seed, epoch, index) and nothing else.

No global generator is read or moved, so workers, a restart in the middle of an epoch and other
users of random numbers all meet the same chips in the same order. Philox (Salmon et al. 2011) is
a counter-based generator: any item's dice can be made without rolling those before it.
"""

from __future__ import annotations

import zlib

import numpy as np

from ..errors import SettingError


def dice(seed: int, *at: int | str) -> np.random.Generator:
    """A generator of its own for one place, such as ``dice(42, "item", epoch, index)``.

    Args:
        seed: Of the data set, any int.
        at: Where: words and non-negative ints. Another place gives independent numbers.
    """
    key = [zlib.crc32(part.encode()) if isinstance(part, str) else int(part) for part in at]
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed % 2**64, *key])))


class Order:
    """The order in which the chips of one side are shown, epoch by epoch.

    Every epoch shows every chip once, in an order of its own. With ``rare``, those chips are
    shown in turns instead: an epoch holds ``share`` of them, and each comes round once in about
    ``1 / share`` epochs. Every epoch is equally long.

    Args:
        count: Number of chips, 1 or more.
        seed: Of the data set.
        side: A word that keeps the sides of an unpaired set independent.
        rare: (count,) bool, True for chips to show less often; None for none.
        share: Of the rare chips in one epoch, 0 to 1; rounded up to a whole chip.
    """

    def __init__(
        self,
        count: int,
        seed: int,
        side: str = "a",
        *,
        rare: np.ndarray | None = None,
        share: float = 1.0,
    ):
        if not 0 <= share <= 1:
            raise SettingError(f"share={share} is not between 0 and 1")
        rare = np.zeros(count, bool) if rare is None else np.asarray(rare, bool)
        self.seed, self.side = seed, side
        self.common = np.flatnonzero(~rare)
        self.rare = dice(seed, "rare", side).permutation(np.flatnonzero(rare))
        self.turn = int(np.ceil(share * len(self.rare)))
        self._held: tuple[tuple[int, int], np.ndarray] | None = None

    def __len__(self) -> int:
        """Chips in an epoch."""
        return len(self.common) + self.turn

    def epoch(self, epoch: int, round_: int = 0) -> np.ndarray:
        """The chips of one epoch, in order; another ``round_`` of it gives another order."""
        if self._held is None or self._held[0] != (epoch, round_):
            turns = epoch * self.turn + np.arange(self.turn)
            chips = np.concatenate([self.common, self.rare[turns % max(1, len(self.rare))]])
            shuffled = dice(self.seed, "order", self.side, epoch, round_).permutation(chips)
            self._held = (epoch, round_), shuffled
        return self._held[1]

    def fill(self, epoch: int, length: int) -> np.ndarray:
        """``length`` chips: whole rounds of the epoch, one after another, and a part of the last.

        With ``length`` at least ``len(self)`` every chip of the epoch is among them.
        """
        rounds = -(-length // len(self))
        return np.concatenate([self.epoch(epoch, r) for r in range(rounds)])[:length]


def split(count: int, share: float, seed: int, side: str = "a") -> np.ndarray:
    """(count,) bool, True for validation: ``share`` of the chips, at least one and never all.

    Raises:
        SettingError: One chip can't be split, or ``share`` is not between 0 and 1.
    """
    if not 0 < share < 1:
        raise SettingError(
            f"val_split_pct={share:g} leaves nothing to {'validate' if share <= 0 else 'train'} "
            "on; give a share between 0 and 1, such as 0.1"
        )
    if count < 2:
        raise SettingError(
            f"{count} chip on side {side} can't be split in training and validation; "
            "2 are the least"
        )
    held = min(max(1, round(count * share)), count - 1)
    validating = np.zeros(count, bool)
    validating[dice(seed, "split", side).permutation(count)[:held]] = True
    return validating
