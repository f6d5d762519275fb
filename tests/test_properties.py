"""What holds for all arguments, on every backend.

Each tolerance is counted in units of roundoff u, from the promise that a logarithm is off by at
most ``4 * u * size`` with ``size = max(|f|, sum(p * |x|))``: an equation between two of them holds
to 8. The sizes are found with NumPy, in double precision.

``AGNOSTIC_LSE_LONG=1`` runs 40 times as many examples, drawn anew each time.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from typing import Any

import array_api_compat as compat
import numpy as np
import numpy.typing as npt
import pytest
from array_api_extra.testing import lazy_xp_function
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from agnostic_lse import (
    _logsum,
    _products,
    log1mexp,
    log1pexp,
    log_expit,
    log_softmax,
    logaddexp,
    logcumsumexp,
    logexpm1,
    logit,
    logitexp,
    logmatmulexp,
    logmeanexp,
    logsubexp,
    logsumexp,
    segment_log_softmax,
    segment_logsumexp,
    segment_softmax,
    softmax,
)
from agnostic_lse._state import State
from tests.backends import Backend, to_numpy

for function in (
    *(log1mexp, log1pexp, log_expit, log_softmax, logaddexp, logcumsumexp, logexpm1, logit),
    *(logitexp, logmatmulexp, logmeanexp, logsubexp, logsumexp, softmax),
    *(segment_log_softmax, segment_logsumexp, segment_softmax),
):
    lazy_xp_function(function)

pytestmark = pytest.mark.parametrize("dtype", ["float32", "float64"])

Floats = npt.NDArray[np.float64]
Strategy = st.SearchStrategy[Any]

INF, NAN = math.inf, math.nan
HUGE = 2.0**100  # far beyond any sum of exponentials, and exact in each dtype
LONG = os.environ.get("AGNOSTIC_LSE_LONG") == "1"


def for_all(library: Backend, *strategies: Strategy) -> Callable[[Callable[..., None]], None]:
    """Run a check at once on many examples: fewer where each compiles, or builds a graph."""
    fast = library.is_numpy or library.is_torch or library is Backend.CUPY
    examples = (50 if fast else 5 if library is Backend.DASK else 10) * (40 if LONG else 1)

    def run(check: Callable[..., None]) -> None:
        # Given inside the test, since the fixtures stay the same from one example to the next.
        limits = settings(max_examples=examples, derandomize=not LONG, database=None, deadline=None)
        limits(given(*strategies)(check))()

    return run


def any_length(library: Backend, drawn: Callable[[int], Strategy]) -> Strategy:
    """Return what is drawn for a few lengths: two of them on JAX, which compiles for each anew."""
    return st.sampled_from((2, 33) if library is Backend.JAX else (1, 2, 7, 33)).flatmap(drawn)


def numbers(dtype: str, low: float, high: float) -> Strategy:
    """Return normal numbers and 0: JAX takes those below for 0."""
    return st.floats(low, high, width=32 if dtype == "float32" else 64, allow_subnormal=False)


def exponents(dtype: str, scale: float = 800) -> Strategy:
    anywhere = numbers(dtype, -scale, scale)
    return st.one_of(anywhere, anywhere, anywhere, st.sampled_from([0.0, -INF]))


def matrix(dtype: str, *shape: int) -> Strategy:
    """Return arrays of exponents, of one scale or another, since the largest hide all others."""
    return st.sampled_from([2.0**-10, 1.0, 30.0, 800.0]).flatmap(
        lambda scale: arrays(dtype, shape, elements=exponents(dtype, scale), fill=st.nothing())
    )


def row(dtype: str, length: int, extremes: Sequence[float] = (INF, NAN, HUGE, -HUGE)) -> Strategy:
    """Return rows of exponents: any, those of a sum near 1, and some with extremes among them."""
    extreme = st.one_of(exponents(dtype), st.sampled_from(extremes))
    finite = matrix(dtype, length)
    return st.one_of(finite, finite.map(normalised), arrays(dtype, length, elements=extreme))


def normalised(x: Any) -> Any:
    whole, _ = log_sum(x)
    return x - x.dtype.type(whole) if math.isfinite(whole) else x


def rows(library: Backend, dtype: str, **options: Any) -> Strategy:
    return any_length(library, lambda length: row(dtype, length, **options))


def log_sum(x: Any) -> tuple[float, Floats]:
    """Return the logarithm of a sum of exponentials, and each term's share of it."""
    x = np.asarray(x, dtype=float)
    largest = int(np.argmax(x))
    with np.errstate(all="ignore"):
        others = np.exp(np.delete(x, largest) - x[largest])
        whole = float(x[largest] + np.log1p(np.sum(others)))
        return (-INF, np.zeros_like(x)) if np.all(x == -INF) else (whole, np.exp(x - whole))


def by_terms(x: Any, magnitude: Any = None) -> float:
    """Return sum(p * |x|), or sum(p * magnitude) of exponents that are sums themselves."""
    _, share = log_sum(x)
    with np.errstate(all="ignore"):
        each = share * np.abs(np.asarray(x, float) if magnitude is None else magnitude)
    return float(np.sum(each, where=share > 0))


def size_of(x: Any, magnitude: Any = None) -> float:
    """Return the size of the logarithm of a sum: its condition number times its magnitude."""
    whole, _ = log_sum(x)
    return max(abs(whole), by_terms(x, magnitude)) if math.isfinite(whole) else 0.0


def mean_size(mean: Any, x: Any) -> float:
    """Return the size of the logarithm of a mean, given the mean."""
    return max(abs(float(mean)), by_terms(x)) if math.isfinite(mean) else 0.0


def assert_within(units: Any, dtype: str, actual: Any, expected: Any) -> None:
    """Assert that finite numbers are so many roundoffs apart at most, and that others are equal.

    What lies below the smallest normal number is no error: libraries may take it for 0.
    """
    actual, expected = to_float(actual), to_float(expected)
    info = np.finfo(dtype)
    finite = np.isfinite(expected)
    np.testing.assert_array_equal(actual[~finite], expected[~finite])
    allowed = np.broadcast_to(units, expected.shape) * (float(info.eps) / 2) + float(info.tiny)
    assert np.all(np.abs(actual[finite] - expected[finite]) <= allowed[finite]), (actual, expected)


def to_float(array: Any) -> Floats:
    return np.asarray(to_numpy(array), dtype=float)


class TestSum:
    def test_shift(self, library: Backend, array: Any, dtype: str) -> None:
        @for_all(library, rows(library, dtype), numbers(dtype, -1000, 1000))
        def check(x: Any, by: float) -> None:
            shifted = x + x.dtype.type(by)
            # Besides 4 for each side, 1 for the rounded exponents, and 1 to add here
            units = 4 * size_of(x) + 6 * size_of(shifted)
            expected = to_float(logsumexp(array(x, dtype))) + by
            assert_within(units, dtype, logsumexp(array(shifted, dtype)), expected)

    def test_permutation(self, library: Backend, array: Any, dtype: str) -> None:
        @for_all(library, rows(library, dtype), st.integers(0, 2**32 - 1))
        def check(x: Any, seed: int) -> None:
            mixed = np.random.default_rng(seed).permutation(x)
            out = logsumexp(array(mixed, dtype))
            assert_within(8 * size_of(x), dtype, out, logsumexp(array(x, dtype)))

    def test_monotony(self, library: Backend, array: Any, dtype: str) -> None:
        """Raising one entry never lowers the sum, but for rounding."""

        @for_all(
            library,
            rows(library, dtype, extremes=(INF, HUGE, -HUGE)),
            st.integers(0, 2**32 - 1),
            exponents(dtype),
        )
        def check(x: Any, place: int, to: float) -> None:
            raised = x.copy()
            raised[place % len(x)] = max(raised[place % len(x)], to)
            low, high = (to_float(logsumexp(array(each, dtype))) for each in (x, raised))
            allowed = 4 * (size_of(x) + size_of(raised)) * np.finfo(dtype).eps / 2
            assert high >= low - allowed - np.finfo(dtype).tiny

    def test_of_two(self, library: Backend, array: Any, dtype: str) -> None:
        @for_all(library, row(dtype, 2))
        def check(x: Any) -> None:
            out = logaddexp(array(x[:1], dtype), array(x[1:], dtype))
            assert_within(8 * size_of(x), dtype, out, [to_float(logsumexp(array(x, dtype)))])

    def test_last_of_cumulative(self, library: Backend, array: Any, dtype: str) -> None:
        @for_all(library, rows(library, dtype))
        def check(drawn: Any) -> None:
            x = array(drawn, dtype)
            assert_within(8 * size_of(drawn), dtype, logcumsumexp(x)[-1], logsumexp(x))

    def test_one_segment(self, library: Backend, array: Any, dtype: str) -> None:
        @for_all(library, rows(library, dtype))
        def check(drawn: Any) -> None:
            x, ids = array(drawn, dtype), array(np.zeros(len(drawn), dtype=np.int64))
            out = segment_logsumexp(x, ids, 1)[0]
            assert_within(8 * size_of(drawn), dtype, out, logsumexp(x))

    def test_signed_difference(self, library: Backend, array: Any, dtype: str) -> None:
        """In the other order it has the other sign, and the same size."""

        @for_all(library, row(dtype, 2))
        def check(x: Any) -> None:
            one, other = array(x[:1], dtype), array(x[1:], dtype)
            size, sign = map(to_float, logsubexp(one, other, return_sign=True))
            turned, back = map(to_float, logsubexp(other, one, return_sign=True))
            np.testing.assert_array_equal(turned, size)
            np.testing.assert_array_equal(back, -sign)
            plain = np.where(sign < 0, NAN, size)
            np.testing.assert_array_equal(to_float(logsubexp(one, other)), plain)

    def test_mean(self, library: Backend, array: Any, dtype: str) -> None:
        """The mean is the sum over the number of terms."""

        @for_all(library, rows(library, dtype))
        def check(x: Any) -> None:
            expected = to_float(logsumexp(array(x, dtype))) - math.log(len(x))
            # Besides 4 for each side, 1 for the logarithm of the number, and 1 to subtract it here
            units = 4 * size_of(x) + math.log(len(x)) + 5 * mean_size(expected, x)
            assert_within(units, dtype, logmeanexp(array(x, dtype)), expected)


class TestWeights:
    def test_of_one(self, library: Backend, array: Any, dtype: str) -> None:
        @for_all(library, rows(library, dtype))
        def check(drawn: Any) -> None:
            x, ones = array(drawn, dtype), array(np.ones_like(drawn), dtype)
            assert_within(8 * size_of(drawn), dtype, logsumexp(x, b=ones), logsumexp(x))
            mean = to_float(logmeanexp(x))
            assert_within(8 * mean_size(mean, drawn), dtype, logmeanexp(x, b=ones), mean)

    def test_of_zero(self, library: Backend, array: Any, dtype: str) -> None:
        """A term of weight 0 is as good as masked, nan and infinities too."""
        hidden = st.sampled_from([INF, NAN, HUGE, -HUGE, -INF, 0.0])

        def parts(length: int) -> Strategy:
            absent = arrays(dtype, length, elements=hidden)
            return st.tuples(row(dtype, length), absent, arrays(bool, length))

        @for_all(library, any_length(library, parts))
        def check(drawn: Any) -> None:
            present, absent, kept = drawn
            x, where = array(np.where(kept, present, absent), dtype), array(kept)
            b, there = array(kept.astype(dtype), dtype), np.where(kept, present, -INF)
            whole, mean = logsumexp(x, where=where), to_float(logmeanexp(x, where=where))
            assert_within(8 * size_of(there), dtype, logsumexp(x, b=b), whole)
            assert_within(8 * mean_size(mean, there), dtype, logmeanexp(x, b=b), mean)


class TestNormalised:
    def test_sum_of_softmax(self, library: Backend, array: Any, dtype: str) -> None:
        @for_all(library, rows(library, dtype, extremes=(INF, HUGE)))
        def check(x: Any) -> None:
            out = math.fsum(to_float(softmax(array(x, dtype))))
            assert_within(4, dtype, out, float(np.max(x) > -INF))

    def test_sum_of_log_softmax(self, library: Backend, array: Any, dtype: str) -> None:
        @for_all(library, rows(library, dtype, extremes=(INF, HUGE)))
        def check(x: Any) -> None:
            logs = to_float(log_softmax(array(x, dtype)))
            p = np.exp(logs)
            by_both = np.where(np.isfinite(x), np.abs(x), 0) + by_terms(x)
            size = np.maximum(np.where(p > 0, np.abs(logs), 0), by_both)
            units = 4 * math.fsum(p * size) + 3  # 2 to exponentiate and 1 to add here
            assert_within(units, dtype, math.fsum(p), float(np.max(x) > -INF))

    def test_log_softmax(self, library: Backend, array: Any, dtype: str) -> None:
        """It is x - logsumexp(x), which infinite terms leave unknown."""

        @for_all(library, rows(library, dtype, extremes=(NAN, HUGE)))
        def check(x: Any) -> None:
            whole = to_float(logsumexp(array(x, dtype)))
            nothing = (x == -INF) & ~np.isnan(whole)
            expected = np.where(nothing, -INF, np.where(nothing, 0, x) - whole)
            by_both = np.where(nothing, 0, np.abs(x)) + by_terms(x)
            # 4 for each side, and 1 to subtract here
            size = np.maximum(np.where(nothing, 0, np.abs(expected)), by_both)
            units = 4 * size_of(x) + 5 * size
            assert_within(units, dtype, log_softmax(array(x, dtype)), expected)

    def test_of_segments(self, library: Backend, array: Any, dtype: str) -> None:
        """Each segment has what it has alone, whatever stands in others."""

        def parts(length: int) -> Strategy:
            ids = arrays(np.int64, length, elements=st.integers(0, 2))
            return st.tuples(row(dtype, length), ids)

        @for_all(library, any_length(library, parts))
        def check(drawn: Any) -> None:
            x, numbers = drawn
            given = array(x, dtype), array(numbers), 3
            shares, logs = to_float(segment_softmax(*given)), to_float(segment_log_softmax(*given))
            for segment in set(numbers.tolist()):
                inside = numbers == segment
                size = np.where(np.isfinite(x[inside]), np.abs(x[inside]), 0) + by_terms(x[inside])
                log, share = log_softmax(x[inside]), softmax(x[inside])
                # 4 and 5 for each side
                finite = np.where(np.isfinite(log), np.abs(log), 0)
                assert_within(8 * np.maximum(finite, size), dtype, logs[inside], log)
                assert_within(10 * share * np.maximum(1, size), dtype, shares[inside], share)


class TestMerge:
    """The private merge of states, by the values of what it returns."""

    def lift(self, x: Any) -> tuple[Any, State]:
        xp = compat.array_namespace(x)
        with np.errstate(all="ignore"):
            return xp, _logsum.lift(xp, x, (0,))

    def merged(self, xp: Any, one: State, other: State) -> State:
        with np.errstate(all="ignore"):
            return _logsum.merge(xp, one, other)

    def value(self, xp: Any, state: State) -> Floats:
        with np.errstate(all="ignore"):
            return to_float(_logsum.value(xp, state)[0])

    def test_of_any_split(self, library: Backend, array: Any, dtype: str) -> None:
        def parts(length: int) -> Strategy:
            return st.tuples(row(dtype, length), arrays(bool, length))

        @for_all(library, any_length(library, parts))
        def check(drawn: Any) -> None:
            x, left = drawn
            xp, one = self.lift(array(np.where(left, x, x.dtype.type(-INF)), dtype))
            _, other = self.lift(array(np.where(left, x.dtype.type(-INF), x), dtype))
            _, whole = self.lift(array(x, dtype))
            out = self.value(xp, self.merged(xp, one, other))
            assert_within(8 * size_of(x), dtype, out, self.value(xp, whole))

    def test_commutes(self, library: Backend, array: Any, dtype: str) -> None:
        @for_all(library, any_length(library, lambda n: st.tuples(*[row(dtype, n)] * 2)))
        def check(drawn: Any) -> None:
            (xp, one), (_, other) = (self.lift(array(each, dtype)) for each in drawn)
            out, turned = self.merged(xp, one, other), self.merged(xp, other, one)
            units = 8 * size_of(np.concatenate(drawn))
            assert_within(units, dtype, self.value(xp, out), self.value(xp, turned))

    def test_associates(self, library: Backend, array: Any, dtype: str) -> None:
        @for_all(library, any_length(library, lambda n: st.tuples(*[row(dtype, n)] * 3)))
        def check(drawn: Any) -> None:
            (xp, one), (_, two), (_, three) = (self.lift(array(each, dtype)) for each in drawn)
            left = self.merged(xp, self.merged(xp, one, two), three)
            right = self.merged(xp, one, self.merged(xp, two, three))
            units = 8 * size_of(np.concatenate(drawn))
            assert_within(units, dtype, self.value(xp, left), self.value(xp, right))


class TestProducts:
    @pytest.fixture(autouse=True, params=["by matmul", "term by term"])
    def way(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
        """Multiply small matrices in the way of large ones, too."""
        if request.param == "by matmul":
            monkeypatch.setattr(_products, "_FEW_TERMS", 0)

    def sizes(self, a: Any, b: Any, inherited: Any = 0.0) -> Floats:
        """Return the size of each entry of a product, given what the entries of a inherit."""
        out = np.empty((a.shape[0], b.shape[1]))
        inherited = np.broadcast_to(inherited, a.shape)
        for i, j in np.ndindex(*out.shape):
            terms = a[i].astype(float) + b[:, j].astype(float)
            magnitude = np.abs(a[i]) + np.abs(b[:, j]) + inherited[i]
            out[i, j] = size_of(terms, magnitude)
        return out

    def test_by_definition(self, library: Backend, array: Any, dtype: str) -> None:
        def pair(k: int) -> Strategy:
            return st.tuples(matrix(dtype, 2, k), matrix(dtype, k, 3))

        @for_all(library, any_length(library, pair))
        def check(drawn: Any) -> None:
            a, b = drawn
            terms = array(a[:, :, None] + b[None], dtype)
            # 4 for each side, and 1 for the rounded sums of exponents
            units = 9 * self.sizes(a, b)
            out = logmatmulexp(array(a, dtype), array(b, dtype))
            assert_within(units, dtype, out, logsumexp(terms, axis=1))

    def test_associates(self, library: Backend, array: Any, dtype: str) -> None:
        def chain(k: int) -> Strategy:
            return st.tuples(matrix(dtype, 2, k), matrix(dtype, k, 3), matrix(dtype, 3, 2))

        @for_all(library, any_length(library, chain))
        def check(drawn: Any) -> None:
            a, b, c = drawn
            x, y, z = (array(each, dtype) for each in drawn)
            first, last = logmatmulexp(x, y), logmatmulexp(y, z)
            # What the first product errs by, its entries pass on to the second.
            left = self.sizes(to_float(first), c, self.sizes(a, b))
            right = self.sizes(to_float(last).T, a.T, self.sizes(c.T, b.T)).T
            out = logmatmulexp(first, z)
            assert_within(4 * (left + right), dtype, out, logmatmulexp(x, last))


class TestInverses:
    """An error is passed on with the derivative of the inverse: 4 sizes of the one, 4 of the other.

    Both sizes are those of the answer, or of the argument times the derivative.
    """

    def test_log1pexp(self, library: Backend, array: Any, dtype: str) -> None:
        lowest = -80 if dtype == "float32" else -700  # where exp is a normal number still
        values = st.one_of(
            *(numbers(dtype, lowest, 1000), numbers(dtype, -3, 3), st.sampled_from([-INF, INF]))
        )

        @for_all(library, arrays(dtype, 7, elements=values))
        def check(x: Any) -> None:
            there = log1pexp(array(x, dtype))
            finite = np.where(np.isfinite(x), x, 0).astype(float)
            size = np.maximum(np.abs(to_float(there)) * (1 + np.exp(-finite)), np.abs(finite))
            assert_within(8 * size, dtype, logexpm1(there), x)

    def test_log_expit(self, library: Backend, array: Any, dtype: str) -> None:
        # Beyond 10, a probability in float32 has lost most digits of its complement.
        values = st.one_of(
            *(numbers(dtype, -80, 10), numbers(dtype, -3, 3), st.sampled_from([-INF, INF]))
        )

        @for_all(library, arrays(dtype, 7, elements=values))
        def check(x: Any) -> None:
            log_p = to_float(log_expit(array(x, dtype)))
            p = np.exp(log_p).astype(dtype)
            finite = np.where(np.isfinite(x), x, 0).astype(float)
            odds = 1 + np.exp(finite)  # the inverse of the complement 1 - p
            log_p = np.where(np.isfinite(x), log_p, 0)
            # 1 for the exponential here, and 1 to round it
            units = 2 * odds + 4 * np.maximum(np.abs(log_p) * odds, np.abs(finite))
            units += 4 * np.maximum(np.abs(finite), odds)
            assert_within(units, dtype, logit(array(p, dtype)), x)

    def test_logitexp(self, library: Backend, array: Any, dtype: str) -> None:
        """Log-odds lead back to the log-probability that they are of."""
        values = st.one_of(
            *(numbers(dtype, -80, -(2.0**-100)), numbers(dtype, -1, -(2.0**-20))), st.just(-INF)
        )

        @for_all(library, arrays(dtype, 7, elements=values))
        def check(x: Any) -> None:
            odds = logitexp(array(x, dtype))
            finite = np.where(np.isfinite(x), x, -1).astype(float)
            of_odds = np.where(np.isfinite(x), to_float(odds), 0)
            # The complement is the derivative of the way back.
            size = np.maximum(np.abs(of_odds) * -np.expm1(finite), np.abs(finite))
            assert_within(8 * size, dtype, log_expit(odds), x)

    def test_log1mexp(self, library: Backend, array: Any, dtype: str) -> None:
        """The complement of the complement is the probability itself."""
        values = st.one_of(
            *(numbers(dtype, -80, -(2.0**-100)), numbers(dtype, -1, -(2.0**-100))), st.just(-INF)
        )

        @for_all(library, arrays(dtype, 7, elements=values))
        def check(x: Any) -> None:
            there = log1mexp(array(x, dtype))
            finite = np.where(np.isfinite(x), x, -1).astype(float)
            # The odds of the complement are the derivative of the way back.
            size = np.maximum(np.abs(to_float(there)) * np.expm1(-finite), np.abs(finite))
            assert_within(8 * size, dtype, log1mexp(there), x)

    def test_logaddexp(self, library: Backend, array: Any, dtype: str) -> None:
        # A term of less than a twentieth of the sum is more and more rounded away.
        gaps = st.one_of(*(numbers(dtype, -50, 3), st.just(-INF)))

        @for_all(
            library,
            arrays(dtype, 7, elements=numbers(dtype, -1000, 1000)),
            arrays(dtype, 7, elements=gaps),
        )
        def check(x: Any, gap: Any) -> None:
            y = x + gap
            out = logaddexp(array(x, dtype), array(y, dtype))
            back = logsubexp(out, array(y, dtype))
            ratio = np.exp(y.astype(float) - x)
            whole = np.abs(to_float(out))
            by_y = np.where(ratio > 0, ratio * np.where(ratio > 0, np.abs(y), 0), 0)
            # Of the sum, over the share of x in it; and of the difference, as the sum of both
            units = 4 * np.maximum(whole * (1 + ratio), np.abs(x) + by_y)
            units += 4 * np.maximum(np.abs(x), whole * (1 + ratio) + by_y)
            assert_within(units, dtype, back, x)
