"""Links: from the scores of classifiers to log-probabilities."""

from __future__ import annotations

import array_api_compat as compat

from .._elementwise import log_expit
from .._namespace import Array
from .._reductions import log_softmax


def stacked(*columns: Array) -> Array:
    """Return columns side by side."""
    return compat.array_namespace(columns[0]).stack(columns, axis=1)


def logistic(scores: Array) -> Array:
    """Return those of two classes from the scores of the second."""
    xp = compat.array_namespace(scores)
    size = xp.abs(scores)
    likely = log_expit(size)
    # log(1 - p) is log(p) less the score, and nothing cancels, since both are negative.
    unlikely, of_second = likely - size, scores >= 0
    return stacked(xp.where(of_second, unlikely, likely), xp.where(of_second, likely, unlikely))


def linked(scores: Array) -> Array:
    """Return those of two classes from the scores of the second, or of more from those of each."""
    return logistic(scores) if scores.ndim == 1 else log_softmax(scores, axis=1)


def against_rest(scores: Array) -> Array:
    """Return those of classes each of which was learnt against all others."""
    return logistic(scores) if scores.ndim == 1 else log_softmax(log_expit(scores), axis=1)


def log_of(p: Array) -> Array:
    """Return the logarithm of probabilities, of which rounding may have left some below 0."""
    xp = compat.array_namespace(p)
    return xp.log(xp.where(p < 0, xp.zeros_like(p), p))


def log_shares(p: Array) -> Array:
    """Return those of rows of numbers in proportion to probabilities, even if all of them are 0."""
    xp = compat.array_namespace(p)
    return log_softmax(log_of(xp.where(xp.all(p == 0, axis=1, keepdims=True), 1.0, p)), axis=1)
