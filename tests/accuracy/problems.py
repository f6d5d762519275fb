"""Problems for each function: random arguments at many scales, and exact answers to them."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import mpmath as mp
import numpy as np

import agnostic_lse
from tests.reference import DIGITS, roundoffs

Arguments = tuple[Any, ...]
Answer = tuple[Any, Any]  # what is true, and its size: the condition number times the result


class Problem(NamedTuple):
    """How to call a function, arguments for it, and the exact answers in the order of its result.

    `draw` makes random arguments, and `arrange` makes them from two rows of six numbers of any
    size, for a search.
    """

    function: Callable[..., Any]
    names: tuple[str, ...]
    options: dict[str, Any]
    draw: Callable[[np.random.Generator, str], Arguments]
    arrange: Callable[[Any, Any], Arguments]
    exact: Callable[..., list[Answer]]

    def __call__(self, *arguments: Any, function: Callable[..., Any] | None = None) -> Any:
        """Call the function, or another in its place, with the arguments."""
        given = dict(zip(self.names, arguments, strict=True))
        return (function or self.function)(**given, **self.options)

    def errors(
        self, arguments: Arguments, result: Any, exact: list[Answer] | None = None
    ) -> list[float]:
        """Return the errors of a result, in units of roundoff times the condition number."""
        answers = self.exact(*arguments) if exact is None else exact
        flat = np.asarray(result).reshape(-1).tolist()
        dtype = str(arguments[0].dtype)
        return [
            error_of(value, true, size, dtype)
            for value, (true, size) in zip(flat, answers, strict=True)
        ]


def error_of(value: float, true: Any, size: Any, dtype: str) -> float:
    """Return the error in units of roundoff of the size, infinite for a wrong nan or infinity."""
    if mp.isinf(size):
        return 0.0
    if not mp.isfinite(true):
        return 0.0 if value == true or (math.isnan(value) and mp.isnan(true)) else math.inf
    if abs(true) > float(np.finfo(dtype).max):
        return 0.0 if math.isinf(value) else math.inf
    # Of a hundred terms below the smallest normal number each may be flushed to 0.
    vanished = 100 * float(np.finfo(dtype).tiny)
    return roundoffs(value, true, size, dtype, vanished) if math.isfinite(value) else math.inf


def exactly(function: Callable[..., list[Answer]]) -> Callable[..., list[Answer]]:
    """Let a function calculate with many digits."""

    @functools.wraps(function)
    def with_digits(*arguments: Any) -> list[Answer]:
        with mp.workdps(DIGITS):
            return function(*arguments)

    return with_digits


class Sum(NamedTuple):
    """A sum of exponentials."""

    peak: Any
    above: Any  # the logarithm of the sum, relative to its peak
    by_terms: Any  # what the terms' sizes add to the condition number, times the logarithm

    @property
    def log(self) -> Any:
        return self.peak + self.above


def sum_of(exponents: Sequence[Any], signs: Sequence[int] | None = None) -> Sum:
    """Return ``sum(signs * exp(exponents))``, of exact numbers.

    Terms of several signs cancel, so that the rounding of their exponentials counts: each for 1 at
    least. Where they cancel to a millionth no error is too large, nor a sum of the wrong sign.
    """
    signs = [1] * len(exponents) if signs is None else signs
    peak = max(exponents, default=-mp.inf)
    if mp.isinf(peak):
        return Sum(peak, mp.mpf(0), mp.mpf(0))
    first = list(exponents).index(peak)
    sizes = [mp.exp(x - peak) for x in exponents]
    rest = mp.fsum(s * x for i, (x, s) in enumerate(zip(sizes, signs, strict=True)) if i != first)
    whole = signs[first] + rest
    if abs(whole) < 1e-6 * mp.fsum(sizes):
        return Sum(mp.nan, mp.nan, mp.inf)
    if whole < 0:
        return Sum(mp.nan, mp.nan, mp.mpf(0))
    mixed = any(sign != signs[0] for sign in signs)
    counted = (x * max(abs(z), int(mixed)) for x, z in zip(sizes, exponents, strict=True) if x > 0)
    # The largest term stays out of log1p, so that the smallest answer keeps all digits.
    above = mp.log1p(rest) if signs[first] == 1 else mp.log(whole)
    return Sum(peak, above, mp.fsum(counted) / whole)


def numbers(values: Any) -> list[Any]:
    return [mp.mpf(float(value)) for value in np.asarray(values).reshape(-1)]


# Arguments


def scales(rng: np.random.Generator) -> float:
    return float(10.0 ** rng.uniform(-9, 2.5))


def exponents(rng: np.random.Generator, length: int, dtype: str) -> Any:
    """Draw exponents: at any scale, some shifted, some tied, some with an answer near 0."""
    row = rng.normal(size=length) * scales(rng)
    row = row + rng.choice([0.0, 10.0 ** rng.uniform(-3, 3), -math.log(length)])
    if rng.random() < 0.15:
        row[:] = row[0]
    if rng.random() < 0.3:
        row = row - agnostic_lse.logsumexp(row)
    return row.astype(dtype)


def rows(rng: np.random.Generator, dtype: str, count: int = 12, length: int = 0) -> Any:
    length = length or int(rng.choice([2, 3, 10, 100]))
    return np.stack([exponents(rng, length, dtype) for _ in range(count)])


def draw_rows(rng: np.random.Generator, dtype: str) -> Arguments:
    return (rows(rng, dtype),)


def draw_weighted(rng: np.random.Generator, dtype: str) -> Arguments:
    x = rows(rng, dtype)
    return x, (10.0 ** rng.uniform(-6, 6, size=x.shape)).astype(dtype)


def draw_signed(rng: np.random.Generator, dtype: str) -> Arguments:
    x, weights = draw_weighted(rng, dtype)
    # More positive ones than negative, lest most sums have no logarithm
    return x, weights * rng.choice([1, 1, 1, -1], size=x.shape).astype(dtype)


def draw_segments(rng: np.random.Generator, dtype: str) -> Arguments:
    x = rows(rng, dtype, count=1, length=60)[0]
    return x, rng.integers(0, SEGMENTS, size=x.size)


def draw_matrices(rng: np.random.Generator, dtype: str) -> Arguments:
    length = int(rng.choice([3, 30]))
    a, b = rows(rng, dtype, 5, length), rows(rng, dtype, 4, length).T
    if rng.random() < 0.3:  # the largest of each row meet the smallest of each column
        a, b = np.sort(a, axis=1), -np.sort(-b, axis=0)
    return a, b


def draw_pairs(rng: np.random.Generator, dtype: str) -> Arguments:
    x = np.concatenate([rows(rng, dtype, count=20, length=2) for _ in range(3)])
    return x[:, 0], x[:, 1]


def draw_ordered_pairs(rng: np.random.Generator, dtype: str) -> Arguments:
    one, other = draw_pairs(rng, dtype)
    return np.maximum(one, other), np.minimum(one, other)


def draw_real(rng: np.random.Generator, dtype: str) -> Arguments:
    size = 10.0 ** rng.uniform(-30, 2.9, size=60)
    near_one = 1 + rng.normal(size=20) * 10.0 ** rng.uniform(-6, 0, size=20)
    values = np.concatenate([size, near_one, near_one * math.log(2)])
    return ((values * rng.choice([-1, 1], size=values.size)).astype(dtype),)


def draw_negative(rng: np.random.Generator, dtype: str) -> Arguments:
    return (-np.abs(draw_real(rng, dtype)[0]),)


def draw_positive(rng: np.random.Generator, dtype: str) -> Arguments:
    return (np.abs(draw_real(rng, dtype)[0]),)


def draw_probabilities(rng: np.random.Generator, dtype: str) -> Arguments:
    away = 10.0 ** rng.uniform(-16, -0.31, size=30)
    values = np.concatenate([away, 1 - away, 0.5 + away, 0.5 - away, rng.random(20)])
    return (np.clip(values.astype(dtype), 0, 1),)


# Exact answers


@exactly
def sums(x: Any) -> list[Answer]:
    found = [sum_of(numbers(row)) for row in x]
    return [(whole.log, max(abs(whole.log), whole.by_terms)) for whole in found]


@exactly
def weighted_sums(x: Any, weights: Any) -> list[Answer]:
    out = []
    for row, row_weights in zip(x, weights, strict=True):
        pairs = list(zip(numbers(row), numbers(row_weights), strict=True))
        logs = [mp.log(abs(w)) for _, w in pairs]
        terms = [z + log for (z, _), log in zip(pairs, logs, strict=True)]
        whole = sum_of(terms, [1 if w > 0 else -1 for _, w in pairs])
        # Both the exponents and the logarithms of the weights count, even where they cancel.
        by_terms = mp.fsum(
            mp.exp(term - whole.log) * (abs(z) + abs(log))
            for term, (z, _), log in zip(terms, pairs, logs, strict=True)
        )
        size = (
            whole.by_terms if mp.isnan(whole.log) else max(abs(whole.log), whole.by_terms, by_terms)
        )
        out.append((whole.log, size))
    return out


@exactly
def means(x: Any) -> list[Answer]:
    out = []
    for row in x:
        with mp.workdps(10 * DIGITS):  # a mean close to 0 is a small difference
            whole = sum_of(numbers(row))
            mean = whole.log - mp.log(len(row))
        out.append((mean, max(abs(mean), whole.by_terms)))
    return out


@exactly
def normalised(x: Any) -> list[Answer]:
    out = []
    for row in x:
        whole = sum_of(numbers(row))
        for z in numbers(row):
            log = (z - whole.peak) - whole.above
            out.append((log, max(abs(log), abs(z) + whole.by_terms)))
    return out


@exactly
def probabilities(x: Any) -> list[Answer]:
    out = []
    for row in x:
        whole = sum_of(numbers(row))
        for z in numbers(row):
            p = mp.exp((z - whole.peak) - whole.above)
            out.append((p, p * max(1, abs(z) + whole.by_terms)))
    return out


@exactly
def cumulative_sums(x: Any) -> list[Answer]:
    return sums([row[: k + 1] for row in x for k in range(len(row))])


SEGMENTS = 8


@exactly
def segment_sums(x: Any, ids: Any) -> list[Answer]:
    return sums([x[ids == segment] for segment in range(SEGMENTS)])


def each_segment(
    answers: Callable[[Any], list[Answer]],
) -> Callable[[Any, Any], list[Answer]]:
    """Return exact answers of a function of rows for each segment, in the order of its entries."""

    def in_order(x: Any, ids: Any) -> list[Answer]:
        out: list[Answer] = [(mp.nan, mp.nan)] * len(x)
        for segment in set(ids.tolist()):
            (places,) = np.nonzero(ids == segment)
            for place, answer in zip(places, answers(x[places][None]), strict=True):
                out[place] = answer
        return out

    return in_order


@exactly
def products(a: Any, b: Any) -> list[Answer]:
    out = []
    for row in a:
        for column in b.T:
            pairs = list(zip(numbers(row), numbers(column), strict=True))
            whole = sum_of([x + y for x, y in pairs])
            by_terms = mp.fsum(mp.exp(x + y - whole.log) * (abs(x) + abs(y)) for x, y in pairs)
            out.append((whole.log, max(abs(whole.log), by_terms)))
    return out


def logitexp(x: Any) -> Any:
    """Return x - log(1 - exp(x)), which cancels at -log 2."""
    with mp.workdps(2 * DIGITS):
        return x - log1mexp(x)


@exactly
def pair_sums(x1: Any, x2: Any) -> list[Answer]:
    return sums(np.stack([x1, x2], axis=1))


def log1mexp(x: Any) -> Any:
    """Return log(1 - exp(x)) without loss near 0 and far below."""
    return mp.log1p(-mp.exp(x)) if x < -1 else mp.log(-mp.expm1(x)) if x < 0 else -mp.inf


@exactly
def pair_differences(x1: Any, x2: Any) -> list[Answer]:
    out: list[Answer] = []
    for one, other in zip(numbers(x1), numbers(x2), strict=True):
        if one == other:
            out.append((-mp.inf, mp.inf))
            continue
        log = one + log1mexp(other - one)
        by_terms = mp.exp(one - log) * abs(one) + mp.exp(other - log) * abs(other)
        out.append((log, max(abs(log), by_terms)))
    return out


def pointwise(
    function: Callable[[Any], Any], derivative: Callable[[Any], Any]
) -> Callable[..., list[Answer]]:
    """Return exact answers of a function of one number."""

    @exactly
    def answers(x: Any) -> list[Answer]:
        out = []
        for z in numbers(x):
            value = function(z)
            size = max(abs(value), abs(z * derivative(z))) if mp.isfinite(value) else mp.mpf(1)
            out.append((value, size))
        return out

    return answers


def to_unit(x: Any) -> Any:
    """Return a number of [0, 1] for each number."""
    size = np.abs(x)
    return np.minimum(size, 1 / np.maximum(size, np.asarray(1e-30, dtype=size.dtype)))


def one_row(x: Any, _: Any) -> Arguments:
    return (x[None],)


def segmented(x: Any, y: Any) -> Arguments:
    return np.concatenate([x, y]), np.arange(12) % 5


def two_numbers(x: Any, y: Any) -> Arguments:
    return x, y


def in_order(x: Any, y: Any) -> Arguments:
    return np.maximum(x, y), np.minimum(x, y)


def one_number(x: Any, _: Any) -> Arguments:
    return (x,)


def below_0(x: Any, _: Any) -> Arguments:
    return (-np.abs(x),)


def above_0(x: Any, _: Any) -> Arguments:
    return (np.abs(x),)


def in_unit(x: Any, _: Any) -> Arguments:
    return (to_unit(x),)


ENTRYWISE = (two_numbers, in_order, one_number, below_0, above_0, in_unit)
ALONG = {"axis": 1}
PROBLEMS = {
    "logsumexp": Problem(agnostic_lse.logsumexp, ("a",), ALONG, draw_rows, one_row, sums),
    "logsumexp, weighted": Problem(
        agnostic_lse.logsumexp,
        ("a", "b"),
        ALONG,
        draw_weighted,
        lambda x, y: (x[None], np.maximum(np.abs(y), 1e-30)[None].astype(x.dtype)),
        weighted_sums,
    ),
    "logsumexp, signed": Problem(
        agnostic_lse.logsumexp,
        ("a", "b"),
        ALONG,
        draw_signed,
        lambda x, y: (x[None], np.where(np.abs(y) < 1e-30, 1, y)[None].astype(x.dtype)),
        weighted_sums,
    ),
    "logmeanexp": Problem(agnostic_lse.logmeanexp, ("a",), ALONG, draw_rows, one_row, means),
    "softmax": Problem(agnostic_lse.softmax, ("x",), ALONG, draw_rows, one_row, probabilities),
    "log_softmax": Problem(agnostic_lse.log_softmax, ("x",), ALONG, draw_rows, one_row, normalised),
    "logcumsumexp": Problem(
        agnostic_lse.logcumsumexp, ("x",), ALONG, draw_rows, one_row, cumulative_sums
    ),
    "segment_logsumexp": Problem(
        agnostic_lse.segment_logsumexp,
        ("x", "segment_ids"),
        {"num_segments": SEGMENTS},
        draw_segments,
        segmented,
        segment_sums,
    ),
    "segment_softmax": Problem(
        agnostic_lse.segment_softmax,
        ("x", "segment_ids"),
        {"num_segments": SEGMENTS},
        draw_segments,
        segmented,
        each_segment(probabilities),
    ),
    "segment_log_softmax": Problem(
        agnostic_lse.segment_log_softmax,
        ("x", "segment_ids"),
        {"num_segments": SEGMENTS},
        draw_segments,
        segmented,
        each_segment(normalised),
    ),
    "logmatmulexp": Problem(
        agnostic_lse.logmatmulexp,
        ("a", "b"),
        {},
        draw_matrices,
        lambda x, y: (x.reshape(2, 3), y.reshape(3, 2)),
        products,
    ),
    "logaddexp": Problem(
        agnostic_lse.logaddexp, ("x1", "x2"), {}, draw_pairs, two_numbers, pair_sums
    ),
    "logsubexp": Problem(
        agnostic_lse.logsubexp,
        ("x1", "x2"),
        {},
        draw_ordered_pairs,
        in_order,
        pair_differences,
    ),
    "log1mexp": Problem(
        agnostic_lse.log1mexp,
        ("x",),
        {},
        draw_negative,
        below_0,
        pointwise(log1mexp, lambda x: mp.exp(x) / mp.expm1(x)),
    ),
    "log1pexp": Problem(
        agnostic_lse.log1pexp,
        ("x",),
        {},
        draw_real,
        one_number,
        pointwise(lambda x: mp.log1p(mp.exp(x)), lambda x: 1 / (1 + mp.exp(-x))),
    ),
    "logexpm1": Problem(
        agnostic_lse.logexpm1,
        ("x",),
        {},
        draw_positive,
        above_0,
        pointwise(lambda x: x + log1mexp(-x), lambda x: -1 / mp.expm1(-x)),
    ),
    "log_expit": Problem(
        agnostic_lse.log_expit,
        ("x",),
        {},
        draw_real,
        one_number,
        pointwise(lambda x: -mp.log1p(mp.exp(-x)), lambda x: 1 / (1 + mp.exp(x))),
    ),
    "logit": Problem(
        agnostic_lse.logit,
        ("p",),
        {},
        draw_probabilities,
        in_unit,
        pointwise(
            lambda p: mp.log(p / (1 - p)) if 0 < p < 1 else mp.sign(p - 0.5) * mp.inf,
            lambda p: 1 / (p * (1 - p)),
        ),
    ),
    "logitexp": Problem(
        agnostic_lse.logitexp,
        ("x",),
        {},
        draw_negative,
        below_0,
        pointwise(logitexp, lambda x: -1 / mp.expm1(x)),
    ),
}
