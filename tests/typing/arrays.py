"""What comes out has the type of what went in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray

from agnostic_lse import (
    log1mexp,
    log_softmax,
    logaddexp,
    logcumsumexp,
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

doubles = np.zeros((2, 3))
singles = np.zeros(3, dtype=np.float32)
whole = np.zeros(3, dtype=np.int64)
complex_ones = np.ones(3, dtype=np.complex128)

# Sums of all entries are scalars, and sums along an axis may be.
assert_type(logsumexp(doubles), np.float64)
assert_type(logsumexp(complex_ones), np.complex128)
assert_type(logmeanexp(singles), np.float32)
assert_type(logsumexp(doubles, axis=1), Any)
assert_type(logsumexp([0.0, -40.0]), Any)
assert_type(logsumexp(doubles, b=singles), Any)
assert_type(logsumexp(doubles, axis=0, return_sign=True), tuple[Any, Any])

# What goes entry by entry, or normalises, keeps the shape, and the dtype if it is a floating one.
assert_type(softmax(doubles, axis=1), NDArray[np.float64])
assert_type(log_softmax(singles), NDArray[np.float32])
assert_type(log_softmax(whole), NDArray[Any])
assert_type(log_softmax([[0.0, 1.0], [2.0, 3.0]], axis=1), NDArray[Any])
assert_type(logcumsumexp(singles, reverse=True), NDArray[np.float32])
assert_type(segment_logsumexp(doubles, [0, 1], 2), NDArray[np.float64])
assert_type(segment_softmax(doubles, [0, 1], 2), NDArray[np.float64])
assert_type(segment_log_softmax([0.0, 1.0], [0, 1], 2), NDArray[Any])
assert_type(log1mexp(-1.0), np.float64)
assert_type(log1mexp(-1), np.float64)
assert_type(log1mexp(np.float32(-1.0)), np.float32)
assert_type(logitexp(singles), NDArray[np.float32])
assert_type(logaddexp(0.0, 1), np.float64)
assert_type(logaddexp(doubles, 1.0), NDArray[Any])
assert_type(logaddexp(1.0, singles), NDArray[Any])
assert_type(logsubexp(1, 0.0), np.float64)
assert_type(logsubexp(doubles, 1.0, return_sign=False), NDArray[Any])
assert_type(logsubexp(0.0, 1.0, return_sign=True), tuple[np.float64, np.float64])
assert_type(logsubexp(doubles, 1.0, return_sign=True), tuple[NDArray[Any], NDArray[Any]])
assert_type(logsubexp(1.0, [0.0, 2.0], return_sign=True), tuple[NDArray[Any], NDArray[Any]])
assert_type(logmatmulexp(doubles, singles), Any)


def mixture(weights: Sequence[float], rows: Sequence[Sequence[float]], given: Any) -> float:
    """Take what a program's own functions are annotated with."""
    assert_type(softmax(rows, axis=1), NDArray[Any])
    assert_type(log1mexp(given), Any)
    total: float = logsumexp(doubles, b=weights) + logsumexp(weights)
    return total


assert mixture([0.5, 0.5, 1.0], [[0.0, 1.0, 2.0]], -1.0) > 0
