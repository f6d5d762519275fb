"""Problems for each function: random arguments at many scales, and exact answers to them."""

from __future__ import annotations

import functools
import math
import random
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import mpmath as mp
import numpy as np

import agnostic_lse
from tests.backends import to_numpy
from tests.exact_sums import Exact, exact_mean, exact_sum, taken_apart, units
from tests.fuzz_weights import draw_batch, mixed
from tests.reference import DIGITS, roundoffs

Arguments = tuple[Any, ...]
# What is true, and its size: the condition number times the result
Answer = tuple[Any, Any] | Exact


class Problem(NamedTuple):
    """How to call a function, arguments for it, and the exact answers in the order of its result.

    `draw` makes random arguments, and `arrange` makes them from two rows of six numbers of any
    size, for a search. Where terms have weights, `terms` makes them from random numbers that a
    search steers: exponents that nearly tie and weights that nearly cancel are not found by chance.
    """

    function: Callable[..., Any]
    names: tuple[str, ...]
    options: dict[str, Any]
    draw: Callable[[np.random.Generator, str], Arguments]
    arrange: Callable[[Any, Any], Arguments]
    exact: Callable[..., Sequence[Answer]]
    terms: Callable[..., Arguments] | None = None

    def __call__(self, *arguments: Any, function: Callable[..., Any] | None = None) -> Any:
        """Call the function, or another in its place, with the arguments."""
        given = dict(zip(self.names, arguments, strict=True))
        return (function or self.function)(**given, **self.options)

    def errors(
        self,
        arguments: Arguments,
        result: Any,
        exact: Sequence[Answer] | None = None,
        in_blocks: bool = False,
    ) -> list[float]:
        """Return the errors of a result, in units of roundoff times the condition number.

        A sum with weights, and a complex one, is measured relative to its peak, too. Of blocks
        whose weights may add up to 0, a mean is the difference of two logarithms.
        """
        answers = self.exact(*arguments) if exact is None else exact
        flat, *signs = (np.asarray(part).reshape(-1).tolist() for part in as_tuple(result))
        dtype = str(arguments[0].real.dtype)
        out = []
        for i, (value, answer) in enumerate(zip(flat, answers, strict=True)):
            if not isinstance(answer, Exact):
                out.append(error_of(value, *answer, dtype))
                continue
            weights = arguments[1][i].tolist() if len(arguments) > 1 else None
            apart = in_blocks and answer.is_mean and mixed(weights)
            sign = signs[0][i] if signs else None
            size, turn, is_sound = taken_apart(value, sign, answer.is_complex, dtype)
            if apart:  # each of two logarithms counts half
                errors = [units(answer, size, turn, dtype, "loose") / 2]
            else:
                errors = [units(answer, size, turn, dtype, e) for e in ("promised", "shifted")]
            out.append(max(errors) if is_sound else math.inf)
        return out


def as_tuple(result: Any) -> tuple[Any, ...]:
    """Return a result, or both of a sum and its sign, as NumPy's arrays."""
    return tuple(map(to_numpy, result if isinstance(result, tuple) else (result,)))


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


def exactly(function: Callable[..., Sequence[Answer]]) -> Callable[..., Sequence[Answer]]:
    """Let a function calculate with many digits."""

    @functools.wraps(function)
    def with_digits(*arguments: Any) -> Sequence[Answer]:
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


def sum_of(exponents: Sequence[Any]) -> Sum:
    """Return ``sum(exp(exponents))``, of exact numbers."""
    peak = max(exponents, default=-mp.inf)
    if mp.isinf(peak):
        return Sum(peak, mp.mpf(0), mp.mpf(0))
    first = list(exponents).index(peak)
    sizes = [mp.exp(x - peak) for x in exponents]
    # The largest term stays out of log1p, so that the smallest answer keeps all digits.
    rest = mp.fsum(x for i, x in enumerate(sizes) if i != first)
    counted = (x * abs(z) for x, z in zip(sizes, exponents, strict=True) if x > 0)
    return Sum(peak, mp.log1p(rest), mp.fsum(counted) / (1 + rest))


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


TERMS = 4


def terms(kind: str, rng: random.Random, dtype: str, rows: int, subnormal: bool) -> Arguments:
    """Return exponents, and weights of a kind unless it has none."""
    weights: Any = {"weighted": "real", "signed": "real", "complex": "none"}.get(kind, "complex")
    turned = kind == "complex" or (kind == "complex weights" and rng.random() < 0.5)
    a, b, *_ = draw_batch(rng, dtype, rows, TERMS, (weights,), turned, subnormal, finite=True)
    if b is None:
        return (a,)
    return a, np.where(b == 0, b.dtype.type(1), abs(b) if kind == "weighted" else b)


def draw_terms(kind: str, rng: np.random.Generator, dtype: str) -> Arguments:
    steered = random.Random(int(rng.integers(2**32)))  # noqa: S311
    return terms(kind, steered, dtype, rows=12, subnormal=False)  # which JAX takes for 0


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
def sums(x: Any) -> Sequence[Answer]:
    found = [sum_of(numbers(row)) for row in x]
    return [(whole.log, max(abs(whole.log), whole.by_terms)) for whole in found]


def of_rows(function: Callable[..., Exact]) -> Callable[..., Sequence[Answer]]:
    """Return exact answers to rows of exponents and weights."""

    def answers(x: Any, weights: Any = None) -> Sequence[Answer]:
        rows = [None] * len(x) if weights is None else weights.tolist()
        return [function(row, w) for row, w in zip(x.tolist(), rows, strict=True)]

    return answers


@exactly
def means(x: Any) -> Sequence[Answer]:
    out = []
    for row in x:
        with mp.workdps(10 * DIGITS):  # a mean close to 0 is a small difference
            whole = sum_of(numbers(row))
            mean = whole.log - mp.log(len(row))
        out.append((mean, max(abs(mean), whole.by_terms)))
    return out


@exactly
def normalised(x: Any) -> Sequence[Answer]:
    out = []
    for row in x:
        whole = sum_of(numbers(row))
        for z in numbers(row):
            log = (z - whole.peak) - whole.above
            out.append((log, max(abs(log), abs(z) + whole.by_terms)))
    return out


@exactly
def probabilities(x: Any) -> Sequence[Answer]:
    out = []
    for row in x:
        whole = sum_of(numbers(row))
        for z in numbers(row):
            p = mp.exp((z - whole.peak) - whole.above)
            out.append((p, p * max(1, abs(z) + whole.by_terms)))
    return out


@exactly
def cumulative_sums(x: Any) -> Sequence[Answer]:
    return sums([row[: k + 1] for row in x for k in range(len(row))])


SEGMENTS = 8


@exactly
def segment_sums(x: Any, ids: Any) -> Sequence[Answer]:
    return sums([x[ids == segment] for segment in range(SEGMENTS)])


def each_segment(
    answers: Callable[..., Sequence[Answer]],
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
def products(a: Any, b: Any) -> Sequence[Answer]:
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
def pair_sums(x1: Any, x2: Any) -> Sequence[Answer]:
    return sums(np.stack([x1, x2], axis=1))


def log1mexp(x: Any) -> Any:
    """Return log(1 - exp(x)) without loss near 0 and far below."""
    return mp.log1p(-mp.exp(x)) if x < -1 else mp.log(-mp.expm1(x)) if x < 0 else -mp.inf


@exactly
def pair_differences(x1: Any, x2: Any) -> Sequence[Answer]:
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
) -> Callable[..., Sequence[Answer]]:
    """Return exact answers of a function of one number."""

    @exactly
    def answers(x: Any) -> Sequence[Answer]:
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


def one_row_turned(x: Any, y: Any) -> Arguments:
    return ((x + 1j * np.remainder(y, 4))[None].astype(np.result_type(x, np.complex64)),)


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
KINDS = ("weighted", "signed", "complex", "complex weights")


def with_terms(
    function: Callable[..., Any], kind: str, exact: Callable[..., Exact], **options: Any
) -> Problem:
    """Return the problem of terms with a kind of weights."""
    has_weights = kind != "complex"
    return Problem(
        function,
        ("a", "b") if has_weights else ("a",),
        ALONG | options,
        functools.partial(draw_terms, kind),
        (lambda x, y: (x[None], np.where(y == 0, 1, y)[None])) if has_weights else one_row_turned,
        of_rows(exact),
        functools.partial(terms, kind),
    )


PROBLEMS = {
    "logsumexp": Problem(agnostic_lse.logsumexp, ("a",), ALONG, draw_rows, one_row, sums),
    **{
        f"logsumexp, {kind}": with_terms(agnostic_lse.logsumexp, kind, exact_sum, return_sign=True)
        for kind in KINDS
    },
    "logmeanexp": Problem(agnostic_lse.logmeanexp, ("a",), ALONG, draw_rows, one_row, means),
    **{
        f"logmeanexp, {kind}": with_terms(agnostic_lse.logmeanexp, kind, exact_mean)
        for kind in KINDS
    },
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
