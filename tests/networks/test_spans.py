import math
from fractions import Fraction

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from rs_gen.networks.spans import Span


def test_the_input_sees_itself():
    span = Span()
    assert (span.left, span.right, span.phase, span.width) == (0, 0, 1, 1)
    assert span.seen(-7) == (-7, -7)


def test_hand_computed_layers():
    assert Span().conv(3, 1, 1) == Span(Fraction(1), (-1,), (1,))
    assert Span().conv(3, 2, 1) == Span(Fraction(2), (-1,), (1,))
    assert Span().conv(3, 1, 2, dilation=2) == Span(Fraction(1), (-2,), (2,))
    # Position 0 of a transposed 3 by stride 2, padding 1, reads 0; position 1 reads 0 and 1.
    assert Span().conv(1, 2).transposed(3, 2, 1) == Span(Fraction(1), (0, 0), (0, 2))
    assert Span().moved(2).seen(5) == (3, 3)
    assert Span().resampled(Fraction(2), "nearest").low == (0, 0)
    assert Span().resampled(Fraction(2), "bilinear") == Span(Fraction(1, 2), (-1, 0), (0, 1))


def test_a_position_that_reads_nothing_is_left_out():
    span = Span().conv(1, 2).transposed(1, 2)  # every other output is the bias alone
    assert span.low == (0, math.inf)
    assert (span.left, span.right, span.phase) == (0, 0, 2)
    assert span.conv(3, 1, 1).seen(0) == (0, 0)
    assert span.conv(3, 1, 1).seen(1) == (0, 2)


def test_joining_takes_the_wider_and_the_common_period():
    fine, coarse = Span().conv(5, 1, 2), Span().conv(2, 2).resampled(Fraction(2), "nearest")
    joined = fine.joined(coarse)
    assert (joined.low, joined.high) == ((-2, -1), (2, 3))
    assert coarse.joined(fine) == joined


def test_layers_of_different_strides_are_refused():
    with pytest.raises(ValueError, match="layers of stride 1 and 2 px can't be joined"):
        Span().joined(Span().conv(3, 2, 1))


LAYER = st.one_of(
    st.tuples(st.just("conv"), st.integers(1, 5), st.integers(1, 3), st.integers(0, 2),
              st.integers(1, 2)),
    st.tuples(st.just("transposed"), st.integers(1, 5), st.integers(1, 3), st.just(0),
              st.integers(1, 2)),
    st.tuples(st.just("resampled"), st.integers(2, 3),
              st.sampled_from(["nearest", "nearest-exact", "area", "bilinear"])),
)  # fmt: skip


def apply(x, span, layer):
    """The layer on a (1, 1, W) tensor by torch, with only positive weights, and on its span."""
    kind, *arguments = layer
    if kind == "conv":
        kernel, stride, padding, dilation = arguments
        ones = torch.ones(1, 1, kernel, dtype=x.dtype)
        return F.conv1d(x, ones, None, stride, padding, dilation), span.conv(*arguments)
    if kind == "transposed":
        kernel, stride, padding, dilation = arguments
        ones = torch.ones(1, 1, kernel, dtype=x.dtype)
        out = F.conv_transpose1d(x, ones, None, stride, padding, dilation=dilation)
        return out, span.transposed(*arguments)
    factor, mode = arguments
    mode = {"bilinear": "linear"}.get(mode, mode)
    return F.interpolate(x, scale_factor=factor, mode=mode), span.resampled(
        Fraction(factor), arguments[1]
    )


@settings(max_examples=30, deadline=None)
@given(st.lists(LAYER, min_size=1, max_size=4))
def test_spans_are_what_impulses_find(layers):
    width = 150
    x = torch.zeros(1, 1, width, dtype=torch.float64, requires_grad=True)
    out, span = x, Span()
    for layer in layers:
        out, span = apply(out, span, layer)
    if out.shape[-1] < 12:
        return
    middle = out.shape[-1] // 2
    for position in range(middle - 5, middle + 6):
        low, high = span.seen(position)
        (gradient,) = torch.autograd.grad(out[0, 0, position], x, retain_graph=True)
        seen = gradient[0, 0].nonzero().flatten().tolist()
        if not seen:
            assert low == math.inf
        elif min(seen) > 0 and max(seen) < width - 1:  # away from the ends
            assert (min(seen), max(seen)) == (low, high)


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("factor", [2, 3, 4, 0.5, 0.25])
def test_resampling_reads_what_torch_reads(factor, mode, antialias):
    x = torch.zeros(1, 1, 60, 60, dtype=torch.float64, requires_grad=True)
    out = F.interpolate(x, scale_factor=factor, mode=mode, align_corners=False, antialias=antialias)
    span = Span().resampled(Fraction(factor), mode, antialias)
    middle = out.shape[-1] // 2
    for position in range(middle, middle + 4):
        (gradient,) = torch.autograd.grad(out[0, 0, middle, position], x, retain_graph=True)
        columns = gradient[0, 0].abs().amax(0).nonzero().flatten().tolist()
        low, high = span.seen(position)
        # A filter may give exactly 0 at its very end; it never reads more than it is said to.
        assert low <= min(columns) <= low + 1
        assert high - 1 <= max(columns) <= high


def test_an_unknown_way_to_resample_is_refused():
    with pytest.raises(KeyError):
        Span().resampled(Fraction(2), "lanczos")
