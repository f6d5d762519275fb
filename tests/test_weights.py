"""Weights of all kinds, on every backend, against sums that are exact.

What is known to have been wrong is tried first; then cases at random, of the kinds that do harm.
``AGNOSTIC_LSE_LONG=1`` runs 40 times as many of these, drawn anew each time, and
``python -m tests.fuzz_weights`` as many as one likes.
"""

from __future__ import annotations

import json
import math
import os
import random
from collections.abc import Callable
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from array_api_extra.testing import lazy_xp_function
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from agnostic_lse import LogSumExpAccumulator, logmeanexp, logsumexp
from tests.backends import Backend, to_numpy
from tests.exact_sums import Exact, exact_mean, exact_sum, taken_apart, units
from tests.fuzz_weights import ALLOWED, Batch, Found, Tally, checked, draw_batch

lazy_xp_function(logsumexp)
lazy_xp_function(logmeanexp)

INF = math.inf
LONG = os.environ.get("AGNOSTIC_LSE_LONG") == "1"
E10 = 1 + 1e-8

# Sums as they once went wrong, and what is right to 15 digits.
SUMS: list[tuple[str, list[Any], list[Any], float, complex]] = [
    # Weights that were rounded away beside a large exponent, so that their signs alone counted
    ("float32", [1e6, 1e6], [1.01, -1], 999995.39482886, 1),
    ("float32", [-2e7, -2e7], [1.5, -1], -20000000.6931472, 1),
    ("float64", [1e9, 1e9], [E10, -1], 999999981.579319, 1),
    ("float64", [1e17] * 3, [-3, 1, 1], 1e17, -1),
    ("float64", [1e18] * 2, [1e308, -1e-308], 1e18, 1),
    ("float64", [55522684.0] * 2, [-1.34e-308, 1.40e-308], 55521971.9903806, 1),
    ("float64", [1e17 + 0j] * 3, [-3, 1, 1], 1e17, -1),
    ("float64", [1e9, 1e9], [1j * E10, -1j], 999999981.579319, 1j),
    # Signs that cancelled although the problem is well-conditioned
    ("float64", [0, -1e-10], [1, -1], -23.0258509299905, 1),
    ("float64", [-1e-10, 0], [1, -1], -23.0258509299905, -1),
    ("float32", [0, -1e-6], [1, -1], -13.815511060489, 1),
    ("float64", [0, -1e-17], [1, -1], -39.1439465808988, 1),
    ("float64", [0, 0, -1e-17], [2, -1, -1], -39.1439465808988, 1),
    ("float64", [1e-17j, 0], [1, -1], -39.1439465808988, 1j),
    ("float64", [1e-17, -1e-17j], [1j, -1j], -38.7973729906186, 0.7071067811865475 * (-1 + 1j)),
    # Both at once
    ("float64", [4, 4, 4, -46], [1, 1, -2, 1], -46.0, 1),
    ("float64", [0, 0, -10, -10 - 2**-30], [1, -1, 1, -1], -30.794415417264, 1),
]


# Means likewise. Those of weights that cancel are known to no more digits than these have.
MEANS: list[tuple[str, list[Any], list[Any] | None, complex]] = [
    ("float64", [1e-10 + 0j, 3e-10], None, 2.00000000005e-10),
    ("float64", [1e-10 + 0j, 3e-10], [1, 1], 2.00000000005e-10),
    ("float64", [1e-10j, 3e-10j], None, -5e-21 + 2e-10j),
    ("float64", [1e-10, 3e-10], [1 + 1j, 1 + 1j], 2.00000000005e-10),
    ("float64", [1e-300 + 0j, 3e-300], [1, 3], 2.5e-300),
    ("float32", [1e-10 + 0j, 3e-10], None, 2e-10),
    ("float64", [0j, 0, 0], None, 0),
    ("float64", [0j, 0, 0], [0.1, 0.2, 0.3], 0),
    ("float64", [0j, 0, 0], [0.1, 0.2j, 0.3], 0),
    ("float32", [1e10, 1e10], [-2, 1], 1e10),
    ("float64", [1e18, 1e18], [1e308, -1e-308], 1e18),
    ("float64", [1e9, 1e9], [E10, -1], 1e9),
    ("float64", [3, 3], [-1.0000001, 1], 3),
]


def typed(values: list[Any], dtype: str) -> Any:
    wide = {"float32": "complex64", "float64": "complex128"}[dtype]
    return np.asarray(values, dtype=wide if any(isinstance(x, complex) for x in values) else dtype)


def wrong(exact: Exact, dtype: str, size: Any, sign: Any = None) -> list[str]:
    """Return what is wrong with an answer: with one without a sign, if none is asked for."""
    found = to_numpy(size).item(), None if sign is None else to_numpy(sign).item()
    value, direction, is_sound = taken_apart(*found, exact.is_complex, dtype)
    if not is_sound:
        return [f"{found}: no logarithm, or no sign"]
    errors = {each: units(exact, value, direction, dtype, each) for each in ("promised", "shifted")}
    return [f"{found}: {e:.3g} {each} units" for each, e in errors.items() if e > ALLOWED[each]]


def of_dtype(dtype: str, library: Backend, cases: list[Any]) -> list[Any]:
    """Return those of a dtype, without subnormal weights on JAX, which takes these for 0."""
    least = np.finfo(dtype).tiny if library is Backend.JAX else 0
    return [
        case[1:] for case in cases if case[0] == dtype and least <= min(map(abs, case[2] or [1]))
    ]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
class TestKnown:
    """All of them in one test, since JAX compiles anew for each."""

    def exact(self, a: Any, b: Any, size: float, sign: complex) -> Exact:
        exact = exact_sum(a.tolist(), b.tolist())
        direction = mp.expj(exact.sign) if exact.is_complex else exact.sign
        assert abs(exact.log - size) <= 1e-13 * abs(size)
        assert abs(direction - sign) <= 1e-12
        return exact

    def test_sums(self, library: Backend, array: Any, dtype: str) -> None:
        found = []
        for a, b, size, sign in of_dtype(dtype, library, SUMS):
            x, weights = typed(a, dtype), typed(b, dtype)
            exact = self.exact(x, weights, size, sign)
            pair = logsumexp(array(x), b=array(weights), return_sign=True)
            found += [(a, b, each) for each in wrong(exact, dtype, *pair)]
        assert not found

    def test_in_batches(self, library: Backend, array: Any, dtype: str) -> None:
        """Each term is a batch of its own, in either order, and merged by way of JSON."""
        found = []
        for a, b, size, sign in of_dtype(dtype, library, SUMS):
            x, weights = typed(a, dtype), typed(b, dtype)
            exact = self.exact(x, weights, size, sign)
            forth, back, parts = (LogSumExpAccumulator() for _ in range(3))
            terms = [(array(x[k : k + 1]), array(weights[k : k + 1])) for k in range(len(x))]
            for z, w in terms:
                forth.update(z, b=w)
                part = LogSumExpAccumulator().update(z, b=w)
                text = json.dumps(part.to_dict(), allow_nan=False)
                parts.merge(LogSumExpAccumulator.from_dict(json.loads(text)))
            for z, w in terms[::-1]:
                back.update(z, b=w)
            for seen in (forth, back, parts):
                pair = seen.value(return_sign=True)
                found += [(a, b, each) for each in wrong(exact, dtype, *pair)]
        assert not found

    def test_means(self, library: Backend, array: Any, dtype: str) -> None:
        found = []
        for a, b, mean in of_dtype(dtype, library, MEANS):
            x, weights = typed(a, dtype), None if b is None else typed(b, dtype)
            exact = exact_mean(x.tolist(), None if weights is None else weights.tolist())
            true = exact.log + 1j * exact.sign if exact.is_complex else exact.log
            assert abs(true - mean) <= (1e-7 if dtype == "float32" else 1e-13) * abs(mean)
            out = logmeanexp(array(x), b=None if weights is None else array(weights))
            found += [(a, b, each) for each in wrong(exact, dtype, out)]
        assert not found


def cases(library: Backend) -> tuple[int, int, tuple[int, ...]]:
    """Return how many batches to try, of how many rows, and their lengths.

    Fewer where each compiles, or builds a graph; and NumPy's in full in one of its ways.
    """
    times = 40 if LONG else 1
    if library is Backend.JAX:  # which compiles for each shape anew
        return 2 * times, 100, (4,)
    if library is Backend.DASK:
        return 4 * times, 6, (2, 5)
    return (100 if library is Backend.NUMPY else 12) * times, 10, (1, 2, 3, 5, 8)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_any(
    request: pytest.FixtureRequest,
    library: Backend,
    array: Callable[..., Any],
    dtype: str,
) -> None:
    """Sums and means at once, in accumulators and by checkpoints are exact to a few roundoffs."""
    examples, rows, lengths = cases(library)
    kinds: Any = ("none", "real", "real", "real", "integers", "complex")
    if library.is_strict:  # which refuses to mix integers with floats
        kinds = tuple(kind for kind in kinds if kind != "integers")

    @settings(
        max_examples=examples,
        derandomize=not LONG,
        database=None,
        deadline=None,
        phases=[Phase.generate],  # a failure names its own row, so that none need be made smaller
        suppress_health_check=list(HealthCheck),
    )
    @given(st.integers(0, 2**32 - 1), st.sampled_from(lengths))
    def check(seed: int, length: int) -> None:
        rng = random.Random(seed)  # noqa: S311
        subnormal = library is not Backend.JAX  # which takes such numbers for 0
        batch = draw_batch(rng, dtype, rows, length, kinds, subnormal=subnormal)
        tally = Tally()
        checked(batch, array, rng, tally, request.module, library is Backend.DASK)
        assert not tally.failures, "\n".join(
            f"{f.way}: {f.error:.4g} {f.measure} units: {f.text}" for f in tally.failures[:10]
        )

    check()


class TestReference:
    """The exact sums, by other means, and that a wrong answer does not pass."""

    @pytest.mark.parametrize("mean", [False, True])
    def test_by_definition(self, mean: bool) -> None:
        rng = np.random.default_rng(0)
        for _ in range(100):
            a, b = rng.normal(size=4) * 3, rng.normal(size=4)
            x = a + 1j * rng.normal(size=4) * rng.integers(0, 2)
            with mp.workdps(80):
                terms = [
                    mp.mpc(w) * mp.exp(mp.mpc(z))
                    for z, w in zip(x.tolist(), b.tolist(), strict=True)
                ]
                whole = mp.fsum(terms) / (mp.fsum(b.tolist()) if mean else 1)
                exact = (exact_mean if mean else exact_sum)(x.tolist(), b.tolist())
                assert abs(mp.mpc(exact.log, exact.sign) - mp.log(whole)) < mp.mpf(10) ** -40

    def test_sizes(self) -> None:
        """They bound what small changes of the exponents and weights do."""
        rng = np.random.default_rng(1)
        for _ in range(100):
            a, b = (rng.normal(size=3) * 4).tolist(), rng.normal(size=3).tolist()
            for function in (exact_sum, exact_mean):
                exact = function(a, b)
                if mp.isnan(exact.log):
                    continue
                changes = rng.choice([-1, 1], size=(2, 3)) * 2.0**-40
                x, w = (np.asarray([a, b]) * (1 + changes)).tolist()
                moved = abs(function(x, w).log - exact.log) * 2**40
                assert moved <= 1.001 * exact.promised.spread

    @pytest.mark.parametrize(
        ("a", "b", "size", "sign"),
        [
            ([1e17] * 3, [-3, 1, 1], 1e17, 1),  # a sign
            ([1e17] * 3, [-3, 1, 1], -INF, 0),
            ([1e9, 1e9], [E10, -1], -INF, 0),
            ([0, -1e-10], [1, -1], -23.025850847, 1),
            ([0, 0], [1, -1], -40, 1),  # something where there is nothing
            ([0, INF], [1, -1], INF, 1),
            ([INF, INF], [1, -1], INF, 1),
            ([0, math.nan], [1, 0], math.nan, math.nan),
            ([0, 1], [1, 0], INF, 1),
            ([], [], 0, 1),
        ],
    )
    def test_wrong(self, a: list[float], b: list[float], size: float, sign: float) -> None:
        out = np.asarray([size]), np.asarray([sign])
        batch = Batch(np.asarray([a], float), np.asarray([b], float), None, "float64")
        tally = Tally()
        tally.add(batch, [Found("", *out)])
        assert tally.failures
