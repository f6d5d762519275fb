"""The published bounds, in units of roundoff times the condition number, on every backend."""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import mpmath as mp
import numpy as np
import pytest
from array_api_extra.testing import lazy_xp_function

from agnostic_lse import log_softmax, logmeanexp, logsumexp, softmax
from tests.backends import to_numpy
from tests.reference import DIGITS, conditioned_size, log_sum, roundoffs

for function in (log_softmax, logmeanexp, logsumexp, softmax):
    lazy_xp_function(function)

LOGARITHMS = 4
# Not a logarithm: the error of the library's exponential comes through undivided. NumPy's of
# float32 errs by 3.4 units, and JAX adds 32 terms in order.
PROBABILITIES = 8


class Exact(NamedTuple):
    """Rows of exponents and weights, and what is exactly true of them."""

    rows: Any
    weights: Any
    sums: list[Any]
    means: list[Any]
    weighted: list[Any]
    by_terms: list[Any]


@functools.cache
def exact(length: int, dtype: str) -> Exact:
    """Draw rows at many scales, some of them shifted to an answer near 0, some tied."""
    rng = np.random.default_rng(length)
    rows, weights = [], []
    for _ in range(30):
        row = rng.normal(size=length) * 10.0 ** rng.uniform(-9, 2.5)
        row = row + rng.choice([0.0, 10.0 ** rng.uniform(-3, 3), -math.log(length)])
        row = np.full(length, row[0]) if rng.random() < 0.15 else row
        row = row.astype(dtype)
        if rng.random() < 0.3:
            row = row - np.asarray(float(log_sum(row.tolist())), dtype)
        rows.append(row)
        weights.append((10.0 ** rng.uniform(-6, 6, size=length)).astype(dtype))
    with mp.workdps(DIGITS):
        sums = [log_sum(row.tolist()) for row in rows]
        return Exact(
            np.stack(rows),
            np.stack(weights),
            sums,
            [log_sum(row.tolist()) - mp.log(length) for row in rows],
            [log_sum(r.tolist(), w.tolist()) for r, w in zip(rows, weights, strict=True)],
            [
                mp.fsum(mp.exp(mp.mpf(x) - whole) * abs(x) for x in row.tolist())
                for row, whole in zip(rows, sums, strict=True)
            ],
        )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("length", [2, 30, 300])
class TestBounds:
    def test_logsumexp(self, array: Any, length: int, axis: int, dtype: str) -> None:
        known = exact(length, dtype)
        x = array(known.rows if axis == 1 else known.rows.T, dtype)
        out = to_numpy(logsumexp(x, axis=axis))
        for value, true, by_terms in zip(out, known.sums, known.by_terms, strict=True):
            assert roundoffs(value, true, max(abs(true), by_terms), dtype) <= LOGARITHMS

    def test_logmeanexp(self, array: Any, length: int, axis: int, dtype: str) -> None:
        known = exact(length, dtype)
        x = array(known.rows if axis == 1 else known.rows.T, dtype)
        out = to_numpy(logmeanexp(x, axis=axis))
        for value, true, by_terms in zip(out, known.means, known.by_terms, strict=True):
            assert roundoffs(value, true, max(abs(true), by_terms), dtype) <= LOGARITHMS

    def test_weights(self, array: Any, length: int, axis: int, dtype: str) -> None:
        known = exact(length, dtype)
        turn: Any = (lambda x: x) if axis == 1 else np.transpose
        a, b = array(turn(known.rows), dtype), array(turn(known.weights), dtype)
        out = to_numpy(logsumexp(a, axis=axis, b=b))
        for value, true, row, weights in zip(
            out, known.weighted, known.rows, known.weights, strict=True
        ):
            size = conditioned_size(row.tolist(), weights.tolist())
            assert roundoffs(value, true, size, dtype) <= LOGARITHMS

    def test_normalised(self, array: Any, length: int, axis: int, dtype: str) -> None:
        known = exact(length, dtype)
        x = array(known.rows if axis == 1 else known.rows.T, dtype)
        logs, probabilities = to_numpy(log_softmax(x, axis=axis)), to_numpy(softmax(x, axis=axis))
        if axis == 0:
            logs, probabilities = logs.T, probabilities.T
        for row, whole, by_terms, log_row, p_row in zip(
            known.rows.tolist(), known.sums, known.by_terms, logs, probabilities, strict=True
        ):
            for x_i, log_p, p in zip(row[:10], log_row, p_row, strict=False):
                true = mp.mpf(x_i) - whole
                size = max(abs(true), abs(x_i) + by_terms)
                assert roundoffs(log_p, true, size, dtype) <= LOGARITHMS
                size = mp.exp(true) * max(1, abs(x_i) + by_terms)
                assert roundoffs(p, mp.exp(true), size, dtype) <= PROBABILITIES
            apart = abs(math.fsum(p_row.tolist()) - 1)
            assert apart <= PROBABILITIES * np.finfo(dtype).eps / 2
