"""F2GAN for an analyst: fuse a few chips of a class, and see what was borrowed from where."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from .few_shot import FewShotModel

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class F2GAN(FewShotModel):
    """Interpolate between support chips, and let every place borrow detail from all of them.

    Hong et al. 2020, arXiv:2008.01999. Arguments are those of ``FewShotModel``; settings those of
    ``games.f2gan.F2GANGame``.
    """

    name = "f2gan"

    def borrowing(
        self, images: Any, at: tuple[int, int] | None = None, *,
        a: Sequence[float] | None = None, level: int = -1, rgb_bands: Any = None,
        views: str | None = "auto",
    ) -> Figure:  # fmt: skip
        """A picture of where in each support chip a place of the drawn one came from.

        Args:
            images: As for ``generate``.
            at: (row, col) of the place in pixels; None is the one that borrows from the fewest
                places.
            a: Coefficients of the support chips; None for equal ones.
            level: Which attention, 0 the coarsest; -1 the finest.
            rgb_bands: As in ``data.show.grid_figure``.
            views: As for ``generate``.
        """
        from .borrowing import borrowing_figure
        from .drawing import ready_supports

        supports = ready_supports(self, images).images
        state = self._learnt(supports, views, torch.Generator().manual_seed(0))
        if len(supports) == 1:  # what was shown to the game is what it borrowed from
            supports = self._shown(supports, views)
        k = state.features[0].shape[1]
        code = torch.full((1, k), 1 / k) if a is None else torch.tensor([a], dtype=torch.float32)
        return borrowing_figure(self, supports, state, code, at, level, rgb_bands)

    def _ends(self, state: Any, dice: torch.Generator) -> Iterable[Tensor]:
        k = state.features[0].shape[1]
        return torch.eye(k)[[0, -1]]
