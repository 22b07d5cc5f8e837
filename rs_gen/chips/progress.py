"""How progress is told: a wrapper round what is being done, so that any door can show its own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar

T = TypeVar("T")


class Progress(Protocol):
    """Gives the items on, one by one, and shows how far it has come.

    A bar, ArcGIS's progressor and QGIS's feedback are a few lines each. To stop the work, raise
    :class:`rs_gen.errors.Cancelled` between two items.
    """

    def __call__(
        self, items: Iterable[T], total: int | None = None, label: str = ""
    ) -> Iterable[T]:
        """``items``, of which there are ``total`` (None: unknown)."""
        ...


def quiet(items: Iterable[T], total: int | None = None, label: str = "") -> Iterable[T]:
    """A progress that shows nothing."""
    return items
