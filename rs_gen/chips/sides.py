"""What one side of a dataset holds, from a seeded sample of its chips."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ChipError, LayoutError
from ..raster.values import Stretch
from .reading import Head, halves, open_chip

if TYPE_CHECKING:
    from ..raster.pixels import Array, Pixels

_PIXELS = 1 << 19  # samples a band kept for the stretch, whatever the number and size of chips


@dataclass(frozen=True)
class Facts:
    """What the chips of one side have in common.

    Attributes:
        count: Bands.
        dtype: Stored dtype.
        nodata: Stored value that means "not measured"; None without one.
        names: Name of each band.
        crs: As text, such as "EPSG:32633"; of most chips. None without one.
        resolution: Median side of a pixel on the ground, in metres; None without a CRS.
        sizes: The (width, height) found, in pixels, most frequent first.
        stretch: Fitted to valid pixels of the sample.
        mean: Of the valid samples, one per band, stored values.
        std: Standard deviation, likewise.
        n: Chips looked at.
    """

    count: int
    dtype: str
    nodata: float | None
    names: tuple[str, ...]
    crs: str | None
    resolution: float | None
    sizes: tuple[tuple[int, int], ...]
    stretch: Stretch
    mean: tuple[float, ...]
    std: tuple[float, ...]
    n: int

    def to_side(self) -> dict[str, Any]:
        """Plain values for JSON: the SIDE of chips.json, with ``sizes`` and ``n``."""
        nodata = self.nodata
        if nodata is not None and not math.isfinite(nodata):
            nodata = str(nodata)  # type: ignore[assignment]  # JSON has no NaN
        return {
            "count": self.count,
            "dtype": self.dtype,
            "nodata": nodata,
            "names": list(self.names),
            "stretch": self.stretch.to_dict(),
            "resolution": self.resolution,
            "crs": self.crs,
            "mean": list(self.mean),
            "std": list(self.std),
            "sizes": [list(size) for size in self.sizes],
            "n": self.n,
        }

    @classmethod
    def from_side(cls, side: Mapping[str, Any]) -> Facts:
        """From what :meth:`to_side` gave.

        Raises:
            LayoutError: An entry is missing.
        """
        try:
            return cls(
                count=int(side["count"]),
                dtype=str(side["dtype"]),
                nodata=None if side["nodata"] is None else float(side["nodata"]),
                names=tuple(side["names"]),
                crs=side["crs"],
                resolution=side["resolution"],
                sizes=tuple((int(w), int(h)) for w, h in side.get("sizes", ())),
                stretch=Stretch.from_dict(side["stretch"]),
                mean=tuple(side["mean"]),
                std=tuple(side["std"]),
                n=int(side.get("n", 0)),
            )
        except (KeyError, TypeError) as error:
            raise LayoutError(
                f"a side of chips.json lacks {error}; export the chips again"
            ) from error


def describe(
    paths: Sequence[str | Path],
    *,
    sample: int = 256,
    seed: int = 42,
    stretch: str = "auto",
    bands: Sequence[int | str] | None = None,
    half: str | None = None,
    **options: Any,
) -> Facts:
    """What these chips hold, and a stretch for them, from at most ``sample`` of them.

    Time and memory do not grow with the number of chips. The same seed looks at the same pixels.
    With ``stretch="minmax"`` the extremes of each chip looked at are among the samples.

    Args:
        paths: Chips of one side.
        sample: How many to open.
        seed: Of the draw.
        stretch: A preset of :meth:`rs_gen.raster.values.Stretch.fit`.
        bands: As :func:`rs_gen.chips.reading.read_chip` takes them.
        half: ``a`` or ``b`` of aligned images; None for whole ones.
        **options: What the preset takes.

    Raises:
        ChipError: A chip is broken, or differs from the others in band count or dtype; or there
            are no chips, or none has a valid pixel.
    """
    if not paths:
        raise ChipError("there are no chips to describe")
    rng = np.random.default_rng(seed)
    drawn = np.sort(rng.choice(len(paths), min(sample, len(paths)), replace=False))
    each = max(1, _PIXELS // len(drawn))
    heads: list[_Seen] = []
    kept: list[Pixels] = []
    extremes: list[Pixels] = []
    for path in (paths[i] for i in drawn):
        head, pixels = _open(path, bands, half)
        heads.append(head)
        _refuse_other(path, paths[drawn[0]], head, heads[0])
        flat: Pixels = pixels.reshape(len(pixels), -1)
        kept.append(flat[:, _places(flat.shape[1], each, rng)])
        if stretch == "minmax":
            ends = np.concatenate([flat.argmin(axis=1), flat.argmax(axis=1)])
            extremes.append(flat[:, ends])
    samples = np.ma.concatenate(kept, axis=1)  # type: ignore[no-untyped-call]
    if np.ma.getmaskarray(samples).all(axis=1).any():
        raise ChipError(f"the {len(drawn)} chips looked at have a band without a valid pixel")
    fitted = np.ma.concatenate([samples, *extremes], axis=1)  # type: ignore[no-untyped-call]
    return _facts(heads, samples, Stretch.fit(fitted, stretch, **options))


@dataclass(frozen=True)
class _Seen:
    """What one chip told, without its pixels."""

    count: int
    dtype: str
    size: tuple[int, int]
    head: Head


def _open(
    path: str | Path, bands: Sequence[int | str] | None, half: str | None
) -> tuple[_Seen, Pixels]:
    pixels, head = open_chip(path, bands)
    if half is not None:
        pixels = halves(pixels)["ab".index(half)]
    height, width = pixels.shape[1:]
    return _Seen(len(pixels), str(pixels.dtype), (width, height), head), pixels


def _places(count: int, most: int, rng: np.random.Generator) -> Array:
    """Places of at most ``most`` pixels among ``count``."""
    places: Array = np.arange(count)
    return places if count <= most else rng.choice(count, most, replace=False)


def _refuse_other(path: str | Path, first: str | Path, head: _Seen, like: _Seen) -> None:
    if (head.count, head.dtype) != (like.count, like.dtype):
        raise ChipError(
            f"chip {path} has {head.count} x {head.dtype} but {first} has {like.count} x"
            f" {like.dtype}; the chips of one side must agree"
        )


def _facts(heads: list[_Seen], samples: Pixels, stretch: Stretch) -> Facts:
    grids = [h.head.grid for h in heads]
    crs = Counter(g.crs.to_string() if g is not None and g.crs else None for g in grids)
    ground = [g.ground_resolution for g in grids if g is not None and g.crs]
    ground = [r for r in ground if math.isfinite(r)]
    return Facts(
        count=heads[0].count,
        dtype=heads[0].dtype,
        nodata=heads[0].head.nodata,
        names=heads[0].head.names,
        crs=crs.most_common(1)[0][0],
        resolution=float(np.median(ground)) if ground else None,
        sizes=tuple(size for size, _ in Counter(h.size for h in heads).most_common()),
        stretch=stretch,
        mean=tuple(float(band.mean(dtype=np.float64)) for band in samples),
        std=tuple(float(band.std(dtype=np.float64)) for band in samples),
        n=len(heads),
    )
