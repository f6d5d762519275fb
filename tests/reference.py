"""Exact answers, by mpmath, the size of an error in units of roundoff, and JSON by the book."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import mpmath as mp
import numpy as np
import pytest

DIGITS = 50
# On Windows, and on macOS with Arm's processors, it is no wider: then it is no reference either.
needs_long_double = pytest.mark.skipif(
    bool(np.finfo(np.longdouble).eps >= np.finfo(np.float64).eps),
    reason="long double has no more digits than double here",
)


def log_sum(exponents: Sequence[Any], weights: Sequence[Any] | None = None) -> Any:
    """Return log(sum(weights * exp(exponents))) to 50 digits, however small."""
    weights = [1] * len(exponents) if weights is None else weights
    with mp.workdps(2 * DIGITS):
        terms = [
            (mp.mpf(float(x)), mp.mpf(float(w)))
            for x, w in zip(exponents, weights, strict=True)
            if w != 0 and not mp.isinf(x)
        ]
        # Relative to the largest, which stays out, so that no digits of small others are lost
        terms.sort(key=lambda term: term[0] + mp.log(abs(term[1])))
        peak, weight = terms.pop()
        rest = mp.fsum(w / weight * mp.exp(x - peak) for x, w in terms)
        return peak + mp.log(weight) + mp.log1p(rest)


def conditioned_size(exponents: Sequence[Any], weights: Sequence[Any] | None = None) -> Any:
    """Return max(|log_sum|, sum of p_i |z_i|): the condition number times the result.

    The z_i are the exponents with the logarithms of the weights added, as the state has them.
    """
    weights = [1] * len(exponents) if weights is None else weights
    whole = log_sum(exponents, weights)
    with mp.workdps(DIGITS):
        shift = mp.re(whole)
        terms = [
            (abs(mp.mpf(float(w))) * mp.exp(mp.mpf(float(x)) - shift), x, w)
            for x, w in zip(exponents, weights, strict=True)
            if w != 0
        ]
        by_terms = mp.fsum(
            p * (abs(mp.mpf(float(x))) + abs(mp.log(abs(mp.mpf(float(w)))))) for p, x, w in terms
        )
        return max(abs(shift), by_terms)


def exactly(x: Any) -> Any:
    """Return a number of any floating dtype as mpmath's, without losing digits of long doubles."""
    part, power = np.frexp(np.longdouble(x))
    high = float(part)
    low = float(part - np.longdouble(high)) if math.isfinite(high) else 0.0
    with mp.workprec(120):
        return mp.ldexp(mp.mpf(high) + mp.mpf(low), int(power))


def roundoffs(
    actual: float, expected: Any, size: Any, dtype: str, vanished: float | None = None
) -> float:
    """Return how many units of roundoff, relative to a size, an answer is off.

    What vanished by flushing to 0, at most the smallest normal number if not given, is no error.
    """
    info = np.finfo(dtype)
    off = abs(exactly(actual) - expected) - (float(info.tiny) if vanished is None else vanished)
    if off <= 0:
        return 0.0
    if size == 0:
        return math.inf
    return float(off / (mp.mpf(float(info.eps)) / 2 * size))


def strictly_parsed(text: str) -> Any:
    """Return what JSON says, and refuse the NaN and Infinity that Python's parser lets pass."""

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)
