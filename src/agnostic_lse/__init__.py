"""Logarithms of sums of exponentials, on every array library."""

from ._elementwise import log1mexp, log1pexp, log_expit, logaddexp, logexpm1, logit, logsubexp
from ._reductions import log_softmax, logmeanexp, logsumexp, softmax
from ._scan import logcumsumexp

__all__ = [
    "log1mexp",
    "log1pexp",
    "log_expit",
    "log_softmax",
    "logaddexp",
    "logcumsumexp",
    "logexpm1",
    "logit",
    "logmeanexp",
    "logsubexp",
    "logsumexp",
    "softmax",
]
__version__ = "0.1.0"
