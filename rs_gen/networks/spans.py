"""Which input pixels each position of a layer sees, along one axis. Pure arithmetic on intervals.

The axis has no ends: padding at a raster's true edge does not count, only what a position would
read inside. Positions repeat after a period, so one period says it all, exactly.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction

Reads = Callable[[int], Iterable[int]]


@dataclass(frozen=True)
class Span:
    """The first and the last input pixel that a position sees, for one period of positions.

    Attributes:
        stride: Input pixels from a position to the next; below 1 where a layer is finer.
        low: First pixel seen by positions 0, 1, ...; position p + len(low) sees as much further
            on as it lies further on. Infinite where a position sees nothing.
        high: Last pixel seen.
    """

    stride: Fraction = Fraction(1)
    low: tuple[float, ...] = (0,)
    high: tuple[float, ...] = (0,)

    @property
    def period(self) -> int:
        """Positions until everything repeats."""
        return len(self.low)

    @property
    def phase(self) -> int:
        """Input pixels until everything repeats."""
        return int(self.period * self.stride)

    @property
    def left(self) -> int:
        """Most input pixels that any position sees before its own place, at least 0."""
        return _whole(p * self.stride - low for p, low in enumerate(self.low))

    @property
    def right(self) -> int:
        """Most input pixels that any position sees behind its own place, at least 0."""
        return _whole(high - p * self.stride for p, high in enumerate(self.high))

    @property
    def width(self) -> int:
        """Input pixels from the first to the last that one position sees, at most."""
        return _whole(b - a + 1 for a, b in zip(self.low, self.high, strict=True))

    def seen(self, position: int) -> tuple[float, float]:
        """First and last input pixel that any position, also a negative one, sees."""
        periods, p = divmod(position, self.period)
        return self.low[p] + periods * self.phase, self.high[p] + periods * self.phase

    def through(self, reads: Reads, finer: Fraction | int) -> Span:
        """The span of a layer whose position q reads positions ``reads(q)`` of this one.

        Args:
            reads: Must move with q: one stride of the layer further on, the same positions that
                much further on.
            finer: Positions of the layer for each of this one, such as 1/2 for stride 2.
        """
        finer = Fraction(finer)
        # The fewest positions that fit both this period and whole steps of the layer.
        period = self.period * finer.numerator // math.gcd(self.period, finer.denominator)
        seen = [[self.seen(p) for p in reads(q)] for q in range(period)]
        return Span(
            self.stride / finer,
            tuple(min((low for low, _ in s), default=math.inf) for s in seen),
            tuple(max((high for _, high in s), default=-math.inf) for s in seen),
        )

    def joined(self, other: Span) -> Span:
        """What a position sees through either of two layers of one stride.

        Raises:
            ValueError: The strides differ.
        """
        if self.stride != other.stride:
            raise ValueError(
                f"layers of stride {self.stride} and {other.stride} px can't be joined"
            )
        pairs = [(self.seen(p), other.seen(p)) for p in range(math.lcm(self.period, other.period))]
        return Span(
            self.stride,
            tuple(min(a[0], b[0]) for a, b in pairs),
            tuple(max(a[1], b[1]) for a, b in pairs),
        )

    def conv(self, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> Span:
        """After a convolution or pooling; ``padding`` is what lies before the first position."""

        def reads(q: int) -> Iterable[int]:
            return (q * stride - padding + dilation * tap for tap in range(kernel))

        return self.through(reads, Fraction(1, stride))

    def transposed(self, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> Span:
        """After a transposed convolution."""

        def reads(q: int) -> Iterable[int]:
            ends = (q + padding - dilation * tap for tap in range(kernel))
            return (end // stride for end in ends if end % stride == 0)

        return self.through(reads, stride)

    def moved(self, before: int) -> Span:
        """After ``before`` positions were put in front; negative where they were cut off."""
        return self.through(lambda q: (q - before,), 1)

    def resampled(self, finer: Fraction, mode: str, antialias: bool = False) -> Span:
        """After interpolation by pixel centres, as ``torch.nn.functional.interpolate`` does it.

        Args:
            finer: Positions after for each before.
            mode: nearest, nearest-exact, area, bilinear or bicubic.
            antialias: Filters widen when downsampling.

        Raises:
            KeyError: The mode is another.
        """
        taps = {
            "nearest": _nearest,
            "nearest-exact": _nearest_exact,
            "area": _area,
            "bilinear": _bilinear,
            "bicubic": _bicubic,
        }[mode]
        if antialias and finer < 1:
            support = (1 if mode == "bilinear" else 2) / finer
            return self.through(lambda q: _around((q + Fraction(1, 2)) / finer, support), finer)
        return self.through(lambda q: taps(q, finer), finer)


def _nearest(q: int, finer: Fraction) -> Iterable[int]:
    return (math.floor(q / finer),)


def _nearest_exact(q: int, finer: Fraction) -> Iterable[int]:
    return (math.floor((q + Fraction(1, 2)) / finer),)


def _area(q: int, finer: Fraction) -> Iterable[int]:
    return range(math.floor(q / finer), math.ceil((q + 1) / finer))


def _bilinear(q: int, finer: Fraction) -> Iterable[int]:
    at = (q + Fraction(1, 2)) / finer - Fraction(1, 2)
    return {math.floor(at), math.ceil(at)}


def _bicubic(q: int, finer: Fraction) -> Iterable[int]:
    at = (q + Fraction(1, 2)) / finer - Fraction(1, 2)
    first = math.floor(at)
    return (first,) if at == first else range(first - 1, first + 3)


def _around(centre: Fraction, support: Fraction) -> Iterable[int]:
    half = Fraction(1, 2)
    return range(math.floor(centre - support + half), math.floor(centre + support + half))


def _whole(numbers: Iterable[float]) -> int:
    finite = [n for n in numbers if not math.isinf(n)]
    return max(0, math.ceil(max(finite, default=0)))
