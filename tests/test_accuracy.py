"""The published bound, in units of roundoff times the condition number, on every backend."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from array_api_extra.testing import lazy_xp_function

import agnostic_lse
from agnostic_lse import logsumexp
from tests.accuracy.problems import PROBLEMS, Answer, Arguments, as_tuple, error_of
from tests.backends import Backend, to_numpy
from tests.capabilities import SETTINGS
from tests.reference import DIGITS, needs_long_double

for name in set(agnostic_lse.__all__) - SETTINGS:
    # In this module they are patched: jitted on JAX, and lazy on Dask.
    globals()[name] = getattr(agnostic_lse, name)
    lazy_xp_function(globals()[name])

BOUND = 4
# Not logarithms, which divide relative errors by their own size: those of the library's exponential
# (1, or 2 by JAX's), of a sum (1), and of a quotient (1) come through undivided.
BOUND_OF_PROBABILITIES = 5
PROBABILITIES = ("softmax", "segment_softmax")


@functools.cache
def drawn(problem: str, dtype: str) -> list[tuple[Arguments, Sequence[Answer]]]:
    """Draw arguments, of few shapes lest JAX compile anew for each, and their exact answers."""
    rng = np.random.default_rng(5)
    arguments = [PROBLEMS[problem].draw(rng, dtype) for _ in range(3)]
    return [(each, PROBLEMS[problem].exact(*each)) for each in arguments]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("problem", PROBLEMS)
def test_bound(
    request: pytest.FixtureRequest, library: Backend, array: Any, problem: str, dtype: str
) -> None:
    given = PROBLEMS[problem]
    # As this module has it: jitted on JAX, and lazy on Dask
    function = getattr(request.module, given.function.__name__)
    for arguments, exact in drawn(problem, dtype):
        out, *sign = as_tuple(given(*map(array, arguments), function=function))
        assert out.real.dtype == dtype
        bound = BOUND_OF_PROBABILITIES if problem in PROBABILITIES else BOUND
        errors = given.errors(arguments, (out, *sign), exact, library is Backend.DASK)
        worst = errors.index(max(errors))
        row = [x[worst].tolist() for x in arguments] if given.terms else None
        assert max(errors) <= bound, (row, out.reshape(-1)[worst], exact[worst])
        if problem == "softmax":
            off = max(abs(math.fsum((*row, -1))) for row in out.tolist())
            assert off <= BOUND * np.finfo(dtype).eps / 2


# Means near 0 below a peak that is not: the result was once rounded as the peak is.
LONE_PEAKS = [
    (2.0, 10**6),
    (2.0, 10**4),
    (1.7515984183038429, 100),
    (1.7844056035789430, 20),
    (1.65, 100),
    (1e-20, 100),
]


def errors_of_means(
    peaks: Any, others: Any, out: Any, dtype: str, times: int = 1
) -> Iterator[float]:
    """Yield the errors of means of a peak and other terms, all of them that many times."""
    for peak, row, found in zip(peaks, others, np.asarray(out).reshape(-1), strict=True):
        with mp.workdps(DIGITS):
            terms = [(mp.mpf(float(peak)), 1), *((mp.mpf(float(x)), times) for x in row)]
            excess = mp.fsum(n * mp.expm1(x) for x, n in terms) / (1 + times * len(row))
            by_terms = mp.fsum(n * mp.exp(x) * abs(x) for x, n in terms)
            by_terms /= mp.fsum(n * mp.exp(x) for x, n in terms)
            true = mp.log1p(excess)
            yield error_of(float(found), true, max(abs(true), by_terms), dtype)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("peak", "zeros"), LONE_PEAKS)
def test_mean_near_0_below_a_peak(
    array: Any, library: Backend, peak: float, zeros: int, dtype: str, weighted: bool
) -> None:
    if library in (Backend.DASK, Backend.NUMPY_TILES):  # whose blocks and tiles are tiny here
        zeros = min(zeros, 10**4)
    x = np.zeros(zeros + 1, dtype)
    x[0] = peak
    b = array(np.full_like(x, 0.3)) if weighted else None
    out = to_numpy(agnostic_lse.logmeanexp(array(x), b=b))
    assert max(errors_of_means(x[:1], [[0.0]], out, dtype, zeros)) <= BOUND


@pytest.mark.parametrize("spread", [0.0, 1e-4, 0.1])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_means_below_peaks(dtype: str, spread: float) -> None:
    rng = np.random.default_rng(11)
    for _ in range(300 if spread == 0 else 30):
        others = int(10 ** rng.uniform(0.3, 4 if spread == 0 else 3))
        x = (rng.normal(size=others + 1) * spread).astype(dtype)
        x[0] = rng.uniform(0.5, 6)
        out = agnostic_lse.logmeanexp(x)
        rows, times = ([[0.0]], others) if spread == 0 else ([x[1:]], 1)
        assert max(errors_of_means(x[:1], rows, out, dtype, times)) <= BOUND


# One term that is not there, beside others that are close to each other: added in order, its -1
# would round them.
BESIDE_NOTHING = [
    *(-0.012825628458424644, -0.03764677120324187, -0.023405374358681664, 0.01468499776346114),
    *(0.042189428988989974, 0.025508757500210023, 0.04851596924246907, 0.0, 0.012593334287562874),
    *(0.03944229142416527, -0.029034303209589354, 0.011391890740010858, 0.04289246038955821),
    *(
        0.0010580824460626249,
        -0.02486778909827636,
        0.04315144013321934,
        0.03284585399109546,
        -math.inf,
    ),
    *(0.04778525859376496, 0.03507389213807305, -0.03321212727265425, 0.0, -0.02797755467715256),
    *(0.035569376256731504, 0.03787172426983683, -0.0007124475299189137, -0.007732777123289869),
    *(-0.031134492884034384, -0.03169750130155703, 0.0, 0.04885701540587814),
    *(-0.018099736526897482, 0.0),
]

# Where an error was once large: terms below the largest by more than float32 has digits, a cluster
# of terms each of which vanishes, tiny results.
FOUND = {
    "logsumexp": [[0.0, -17.0, -17.0, -17.0, -800.0, -40.0], [-0.5, -0.6875, -800.0, -800.0, 0, 0]],
    "logmeanexp": [
        [5e-38, 0.0, 0.0, 0.0, 0.0, 0.0],
        [1.0, -1.0, 0.5, -0.5, 1e-20, -1e-20],
        BESIDE_NOTHING,
    ],
    "log_softmax": [[-88.0, -87.4, 0.0, -87.7, -87.5, -88.0], [40.0, 0.0, -800.0, 0.0, 0.0, 0.0]],
    "logcumsumexp": [[-88.0, -88.0, -88.0, -88.0, -88.0, 0.0], [-40.0, -80.0, -1.0, 0.0, 1.0, 1.0]],
    "log1pexp": [[-0.5, -0.45, -0.41, -17.0, -104.0, 88.0]],
    "log1mexp": [[-0.69, -0.7, -1e-30, -17.0, -104.0, -1.0]],
    "logexpm1": [[0.69, 0.7, 1e-30, 17.0, 104.0, 1.0]],
    "log_expit": [[-0.5, 0.45, 0.41, 17.0, -104.0, 88.0]],
    "logit": [[0.5, 0.49999, 1e-30, 1.0, 0.9999999, 0.0]],
    "logitexp": [[-0.6931471805599453, -0.4375, -0.3, -1e-30, -17.0, 0.0]],
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("problem", FOUND)
def test_found_by_search(array: Any, problem: str, dtype: str) -> None:
    given = PROBLEMS[problem]
    for values in FOUND[problem]:
        numbers = np.asarray(values, dtype=dtype)
        arguments = given.arrange(numbers, numbers)
        out = to_numpy(given(*map(array, arguments)))
        assert max(given.errors(arguments, out)) <= BOUND


def test_probabilities_far_below_a_peak(array: Any) -> None:
    """Differences of 8 and more, rounded, once made errors of 10 units, and sums on JAX 12."""
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(20, 20_000)) * 0.3
    rows[:, 0] = math.log(20_000) - rng.uniform(1.5, 4, 20)
    rows = rows.astype("float32")
    terms = np.exp(rows.astype(np.longdouble))
    true = terms / terms.sum(axis=1, keepdims=True)
    size = np.abs(rows) + (true * np.abs(rows)).sum(axis=1, keepdims=True)
    off = np.abs(to_numpy(agnostic_lse.softmax(array(rows), axis=1)) - true)
    assert np.max(off / (true * np.maximum(1, size))) <= BOUND_OF_PROBABILITIES * 2.0**-24


@needs_long_double
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("length", [90, 500, 3000, 70_000])
def test_many_terms_far_below(array: Any, length: int, axis: int, dtype: str) -> None:
    """Equal terms are rounded alike each time, so that adding them in order loses digits."""
    far = np.linspace(-9, -30, 40)
    rows = np.repeat(far[:, None], length, axis=1).astype(dtype)
    rows[:, 0] = 0
    terms = length - 1
    rest = terms * np.exp(rows[:, 1].astype(np.longdouble))
    true = np.log1p(rest)
    size = np.maximum(true, rest / (1 + rest) * -rows[:, 1])
    given = array(rows if axis == 1 else rows.T.copy())
    off = np.abs(to_numpy(agnostic_lse.logsumexp(given, axis=axis)) - true)
    assert np.max(off / size) <= BOUND * np.finfo(dtype).eps / 2


# Along the slow axis of 20 million terms, adding in order stops in single precision at 2**24.
LENGTHS = {Backend.NUMPY: 20_000_000, Backend.TORCH: 20_000_000, Backend.JAX: 20_000_000}


@pytest.mark.parametrize("layout", ["contiguous", "reversed", "every other", "slow", "fast"])
def test_long_sums(library: Backend, xp: Any, array: Any, layout: str) -> None:
    """The error does not grow with the length, along any axis, whatever the layout of memory."""
    length = LENGTHS.get(library, 20_000)
    x = np.full(length, np.float32(0.1))
    x[::2] = -1.5
    true = math.log(length / 2) + math.log(math.exp(x[1]) + math.exp(-1.5))
    axis = 0
    if layout == "contiguous":
        given = array(x)
    elif layout == "reversed":
        given = xp.flip(array(x))
    elif layout == "every other":
        given = array(np.repeat(x, 2))[::2]
    elif layout == "slow":
        given = array(np.stack([x, x], axis=1))
    else:
        given, axis = array(np.stack([x, x])), 1
    out = to_numpy(logsumexp(given, axis=axis)).astype(float)
    assert np.all(np.abs(out - true) <= BOUND * 2.0**-24 * true)
