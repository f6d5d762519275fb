"""Arrays of any library come out of the type that they went in as, and so do generic functions."""

from __future__ import annotations

from typing import Any, Protocol, TypeVar, assert_type

import array_api_strict as strict
from array_api_strict._array_object import Array as StrictArray

from agnostic_lse import (
    log_expit,
    log_softmax,
    logaddexp,
    logcumsumexp,
    logmatmulexp,
    logmeanexp,
    logsubexp,
    logsumexp,
    segment_logsumexp,
    segment_softmax,
)


class Array(Protocol):
    """What a library's author may bind a type variable to."""

    @property
    def shape(self) -> Any: ...
    @property
    def dtype(self) -> Any: ...
    @property
    def device(self) -> Any: ...


A = TypeVar("A", bound=Array)


def normalised(scores: A, *, floor: float = -50.0) -> A:
    """Take an array of any library, and return one of the same."""
    smoothed = logaddexp(scores, floor)
    return log_softmax(smoothed, axis=-1)


x = strict.asarray([[0.0, -40.0], [1.0, 2.0]])
assert_type(x, StrictArray)
assert_type(logsumexp(x), StrictArray)
assert_type(logsumexp(x, axis=1, keepdims=True, xp=strict), StrictArray)
assert_type(logsumexp(x, return_sign=True), tuple[StrictArray, StrictArray])
assert_type(logmeanexp(x, (0, 1)), StrictArray)
assert_type(normalised(x), StrictArray)
assert_type(log_expit(x), StrictArray)
assert_type(logaddexp(x, x), StrictArray)
assert_type(logaddexp(1.0, x), StrictArray)
assert_type(logaddexp(x, [0.0, 1.0]), StrictArray)
assert_type(logmatmulexp(x, x), StrictArray)
assert_type(logcumsumexp(x, axis=0), StrictArray)
assert_type(logsubexp(x, 0.0), StrictArray)
assert_type(logsubexp(x, x, return_sign=True), tuple[StrictArray, StrictArray])
assert_type(logsubexp(0.0, x, return_sign=True), tuple[StrictArray, StrictArray])
assert_type(segment_logsumexp(x, strict.asarray([0, 1]), num_segments=2), StrictArray)
assert_type(segment_softmax(x, strict.asarray([0, 1]), num_segments=2), StrictArray)
