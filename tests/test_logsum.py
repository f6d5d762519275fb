"""The state: lift, merge and value."""

from __future__ import annotations

import functools
import itertools
import math
from typing import Any

import array_api_compat as compat
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agnostic_lse import _logsum, _signed, _sums
from agnostic_lse._state import State
from tests.backends import to_numpy
from tests.reference import conditioned_size, log_sum, roundoffs

NUMPY = compat.array_namespace(np.empty(0))
INF = math.inf

exponents = st.one_of(st.floats(-800, 800), st.floats(-3, 3), st.sampled_from([-INF, 0.0]))
signs = st.sampled_from([-1.0, 0.0, 1.0])


def lift(values: Any, sign: Any = None) -> State:
    x = np.asarray(values, dtype=float)
    with np.errstate(all="ignore"):
        if sign is None:
            return _logsum.lift(NUMPY, x, (0,))
        return _signed.lift(NUMPY, _signed.Terms(x, None, np.asarray(sign), None), (0,))


def whole(state: State) -> complex:
    """Return the sum itself, on the scale of its peak being 0."""
    return complex((state.rest + (1 if state.lead is None else state.lead)).item())


def assert_same(one: State, other: State, scale: float = 1.0) -> None:
    assert one.peak == other.peak
    if one.peak == -INF:
        assert one.rest == other.rest == 0
        return
    assert abs(whole(one) - whole(other)) <= 1e-14 * scale


class TestLift:
    def test_peak_stays_out_of_rest(self) -> None:
        state = lift([0.0, -40.0])
        assert state.peak == 0
        assert state.rest == math.exp(-40)
        assert state.lead is None

    def test_ties(self) -> None:
        assert lift([3.0, 3.0, 3.0]).rest == 2

    def test_nothing(self) -> None:
        for state in (lift([]), lift([-INF, -INF])):
            assert state.peak == -INF
            assert state.rest == 0
        for terms in (([-INF], [1.0]), ([5.0], [0.0])):
            assert whole(lift(*terms)) == 0
            assert lift(*terms).peak == -INF

    def test_infinite_terms_are_counted(self) -> None:
        assert lift([INF, 5.0, INF]).rest == 1

    def test_sign_of_the_majority(self) -> None:
        state = lift([1.0, 1.0, 1.0, -40.0], [1.0, -1.0, -1.0, -1.0])
        assert state.lead == -1
        assert state.rest == -math.exp(-41)

    @pytest.mark.parametrize("phase", [1.0, 1j, np.exp(0.7j)], ids=str)
    def test_what_is_left_of_a_cancelled_peak(self, phase: complex) -> None:
        state = lift([0.0, 0.0, -40.0], np.asarray([phase, -phase, 1.0]))
        assert state.peak == state.lead == 0
        assert state.rest == math.exp(-40)
        assert _logsum.value(NUMPY, state)[:2] == (-40.0, 1.0)


class TestMerge:
    @given(st.lists(exponents, max_size=8), st.lists(exponents, max_size=8))
    def test_is_lift_of_the_whole(self, one: list[float], other: list[float]) -> None:
        with np.errstate(all="ignore"):
            merged = _logsum.merge(NUMPY, lift(one), lift(other))
        n = len(one) + len(other) + 1
        assert_same(merged, lift(one + other), scale=n)

    @given(st.lists(st.tuples(exponents, signs), max_size=8), st.integers(0, 8))
    def test_signed(self, terms: list[tuple[float, float]], cut: int) -> None:
        x, sign = [x for x, _ in terms], [s for _, s in terms]
        with np.errstate(all="ignore"):
            parts = lift(x[:cut], sign[:cut]), lift(x[cut:], sign[cut:])
            merged = _logsum.merge(NUMPY, *parts)
            size, merged_sign, _ = _logsum.value(NUMPY, merged)
            expected, expected_sign, _ = _logsum.value(NUMPY, lift(x, sign))
        peak = merged.peak.item()
        left = merged_sign * np.exp(size - (peak if peak > -INF else 0))
        right = expected_sign * np.exp(expected - (peak if peak > -INF else 0))
        assert abs(left - right).item() <= 1e-14 * (1 + len(terms))

    @given(st.lists(st.tuples(exponents, st.floats(-6, 6)), max_size=8), st.integers(0, 8))
    def test_complex(self, terms: list[tuple[float, float]], cut: int) -> None:
        x, sign = [x for x, _ in terms], np.exp(1j * np.asarray([a for _, a in terms]))
        with np.errstate(all="ignore"):
            merged = _logsum.merge(NUMPY, lift(x[:cut], sign[:cut]), lift(x[cut:], sign[cut:]))
        assert_same(merged, lift(x, sign), scale=len(terms) + 1)

    @given(st.lists(exponents, max_size=5), st.lists(exponents, max_size=5))
    def test_commutes(self, one: list[float], other: list[float]) -> None:
        with np.errstate(all="ignore"):
            left = _logsum.merge(NUMPY, lift(one), lift(other))
            right = _logsum.merge(NUMPY, lift(other), lift(one))
        assert left[:2] == right[:2]

    @given(*[st.lists(exponents, max_size=4)] * 3)
    def test_associates(self, one: list[float], two: list[float], three: list[float]) -> None:
        a, b, c = lift(one), lift(two), lift(three)
        with np.errstate(all="ignore"):
            left = _logsum.merge(NUMPY, _logsum.merge(NUMPY, a, b), c)
            right = _logsum.merge(NUMPY, a, _logsum.merge(NUMPY, b, c))
        assert_same(left, right, scale=len(one + two + three) + 1)

    @given(st.lists(exponents, min_size=1, max_size=5))
    def test_identity(self, values: list[float]) -> None:
        state, nothing = lift(values), lift([])
        with np.errstate(all="ignore"):
            assert _logsum.merge(NUMPY, state, nothing)[:2] == state[:2]
            assert _logsum.merge(NUMPY, nothing, state)[:2] == state[:2]

    def test_cancelling(self) -> None:
        small = lift([-40.0], [1.0])
        with np.errstate(all="ignore"):
            nothing = _logsum.merge(NUMPY, lift([0.0], [1.0]), lift([0.0], [-1.0]))
            assert whole(nothing) == 0
            for one, other in ((nothing, small), (small, nothing)):
                assert _logsum.value(NUMPY, _logsum.merge(NUMPY, one, other))[:2] == (-40.0, 1.0)
            refilled = _logsum.merge(NUMPY, nothing, lift([0.0, -40.0], [-1.0, -1.0]))
        assert _logsum.value(NUMPY, refilled)[:2] == (math.log1p(math.exp(-40)), -1.0)

    def test_plain_with_signed(self) -> None:
        for pair in ((lift([1.0]), lift([1.0], [-1.0])), (lift([1.0], [-1.0]), lift([1.0]))):
            size, sign, _ = _logsum.value(NUMPY, _logsum.merge(NUMPY, *pair))
            assert size == -INF
            assert sign == 0
        size, sign, _ = _logsum.value(NUMPY, _logsum.merge(NUMPY, lift([]), lift([2.0], [-1.0])))
        assert (size, sign) == (2.0, -1.0)

    @pytest.mark.parametrize("count", [1, 2])
    def test_infinities_of_opposite_sign(self, count: int) -> None:
        with np.errstate(all="ignore"):
            merged = _logsum.merge(NUMPY, lift([INF] * count, [1.0] * count), lift([INF], [-1.0]))
            size, sign, _ = _logsum.value(NUMPY, merged)
        np.testing.assert_array_equal(size, [math.nan])
        np.testing.assert_array_equal(sign, [math.nan])

    @pytest.mark.parametrize(
        ("one", "other", "expected"),
        [
            ([INF], [INF], INF),
            ([INF], [-INF], INF),
            ([math.nan], [1.0], math.nan),
            ([1.0], [math.nan], math.nan),
            ([math.nan], [INF], math.nan),
            ([1e308], [-1e308], 1e308),
        ],
    )
    def test_special(self, one: list[float], other: list[float], expected: float) -> None:
        with np.errstate(all="ignore"):
            merged = _logsum.merge(NUMPY, lift(one), lift(other))
            size = _logsum.value(NUMPY, merged).log_abs
        np.testing.assert_array_equal(size, [expected])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@given(data=st.data())
def test_value_is_exact(dtype: str, data: st.DataObject) -> None:
    scale = data.draw(st.sampled_from([1e-6, 1e-2, 1.0, 30.0]))
    element = st.floats(-1, 1, width=32, allow_subnormal=False)
    values = np.asarray(data.draw(st.lists(element, min_size=1, max_size=30)), dtype)
    values *= np.asarray(scale, dtype)
    if data.draw(st.booleans()):  # near an answer of 0, where digits are easily lost
        values -= np.asarray(float(log_sum(values.tolist())), dtype)
    with np.errstate(all="ignore"):
        state = _logsum.lift(NUMPY, values, (0,))
        actual = _logsum.value(NUMPY, state)[0].item()
    terms = values.tolist()
    assert roundoffs(actual, log_sum(terms), conditioned_size(terms), dtype) <= 4


@pytest.mark.parametrize("places", list(itertools.product(range(6), repeat=3)))
def test_merging_all_is_merging_pairs(places: tuple[int, ...]) -> None:
    values = [-INF, INF, math.nan, 1.7e308, 0.0, -40.0]
    parts = [lift([values[place], 0.5 * values[place]]) for place in places]
    stacked = State(*(np.stack(of) for of in list(zip(*parts, strict=True))[:2]))
    with np.errstate(all="ignore"):
        one = _logsum.merge_all(NUMPY, stacked)
        other = functools.reduce(functools.partial(_logsum.merge, NUMPY), parts)
    for ours, theirs in zip(one[:2], other[:2], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-15, atol=1e-300)


class TestTotal:
    @pytest.mark.parametrize("axis", [0, 1])
    @pytest.mark.parametrize("length", [1, 7, 16, 17, 100, 1023, 20_000])
    def test_long_sums(self, array: Any, axis: int, length: int) -> None:
        # Terms that round the same way each time, the worst case of adding in order
        for term in (0.1, 0.7, 1 / 3):
            shape = (length, 3) if axis == 0 else (3, length)
            x = np.full(shape, term, dtype=np.float32)
            given = array(x)
            out = to_numpy(_sums.total(compat.array_namespace(given), given, (axis,)))
            expected = float(np.float32(term)) * length
            # 1.6 units a level by the derivation beside _FAN_IN; JAX adds 32 at a time.
            assert out.shape == ((1, 3) if axis == 0 else (3, 1))
            assert np.max(np.abs(out / expected - 1)) <= (8 if length > 16 else 5) * 2.0**-24

    def test_twenty_million_rows(self) -> None:
        """Along a slow axis, where adding ones in order stops at 2**24."""
        x = np.zeros((20_000_000, 3), dtype=np.float32)
        with np.errstate(all="ignore"):
            state = _logsum.lift(NUMPY, x, (0,))
        np.testing.assert_array_equal(state.rest, np.full((1, 3), 19_999_999, np.float32))

    def test_several_axes(self) -> None:
        x = np.arange(24.0).reshape(2, 3, 4)
        for axes in ((0,), (0, 2), (0, 1, 2), ()):
            np.testing.assert_array_equal(
                _sums.total(NUMPY, x, axes), x.sum(axis=axes, keepdims=True)
            )
