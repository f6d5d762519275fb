"""Calls that type checkers refuse, and that fail when they are made."""

from __future__ import annotations

import numpy as np

from agnostic_lse import (
    LogSumExpAccumulator,
    kernels,
    log1mexp,
    log_softmax,
    logaddexp,
    logsubexp,
    logsumexp,
    segment_logsumexp,
    segment_softmax,
    softmax,
)

x = np.zeros((2, 3))

# A call that is no longer refused makes its comment one too many, which is an error as well.
CALLS = (
    lambda: logsumexp("1.0"),  # type: ignore[arg-type]
    lambda: logsumexp(None),  # type: ignore[call-overload]
    lambda: logsumexp({1.0, 2.0}),  # type: ignore[call-overload]
    lambda: logsumexp(x, b="weights"),  # type: ignore[arg-type]
    lambda: logsumexp(x, axis=1.5),  # type: ignore[call-overload]
    lambda: logsumexp(x, axes=1),  # type: ignore[call-overload]
    lambda: logsumexp(x, return_signs=True),  # type: ignore[call-overload]
    lambda: logsumexp(x, None, None, False, False, x > 0),  # type: ignore[call-overload]
    lambda: softmax(["1.0", "2.0"]),  # type: ignore[arg-type]
    lambda: log_softmax(x, dim=1),  # type: ignore[call-overload]
    lambda: log1mexp(1j),  # type: ignore[call-overload]
    lambda: logaddexp(x),  # type: ignore[call-overload]
    lambda: logsubexp(x, x, True),  # type: ignore[call-overload]
    lambda: segment_logsumexp(x, [0, 1]),  # type: ignore[call-overload]
    lambda: segment_softmax(x, [0, 1], 2, where=x > 0),  # type: ignore[call-overload]
    lambda: LogSumExpAccumulator().merge(x),  # type: ignore[arg-type]
    lambda: LogSumExpAccumulator().update(x, axes=1),  # type: ignore[call-arg]
    lambda: kernels("none").__enter__(),  # type: ignore[arg-type]
)
