"""What a side of a recognised dataset holds, from the best source that there is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..raster.values import Stretch
from . import esri
from .index import read_card
from .layouts import Layout
from .sides import Facts, describe


def facts_of(
    layout: Layout,
    side: str = "a",
    *,
    stretch: str | None = None,
    bands: Sequence[int | str] | None = None,
    sample: int = 256,
    seed: int = 42,
    **options: Any,
) -> Facts:
    """Facts of one side of a dataset.

    From chips.json where the export left one (and neither another stretch nor other bands are
    asked for); else from a sample of the training chips. Mean and deviation of ArcGIS Pro's
    exports are those of *all* tiles that their .emd tells (``AllTilesStats``), and so are the ends
    with ``stretch="minmax"``. Other presets come from the chips, since minimum and maximum of all
    tiles make a poor stretch for 16-bit and float data: one glint darkens everything else.

    Args:
        layout: From :func:`rs_gen.chips.layouts.find_layout`.
        side: ``a`` or ``b``; of an aligned dataset the left or the right half.
        stretch: A preset; None takes the stored stretch, or else "auto".
        bands: Indices from 0, or names; None gives all.
        sample: Chips to look at.
        seed: Of the draw.
        **options: What the preset takes.

    Raises:
        ChipError: A chip is broken or unlike the others, or the side is empty.
        LayoutError: chips.json or Esri's .emd is broken.
    """
    card = read_card(layout.root)
    if card is not None and card.get(side) and stretch is None and bands is None:
        return Facts.from_side(card[side])
    aligned = layout.kind == "aligned"
    paths = layout.a if aligned or side == "a" else layout.b
    facts = describe(
        paths,
        sample=sample,
        seed=seed,
        stretch=stretch or "auto",
        bands=bands,
        half=side if aligned else None,
        **options,
    )
    tiles = esri.tile_statistics(layout.root, layout.name, side)
    if tiles is None or len(tiles) != facts.count or bands is not None:
        return facts
    facts = replace(facts, mean=tuple(t.mean for t in tiles), std=tuple(t.std for t in tiles))
    if stretch == "minmax" and all(t.min < t.max for t in tiles):
        ends = Stretch(tuple(t.min for t in tiles), tuple(t.max for t in tiles))
        facts = replace(facts, stretch=ends)
    return facts
