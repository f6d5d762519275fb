"""Logarithms of sums of exponentials, on every array library."""

from ._accumulator import LogSumExpAccumulator
from ._elementwise import (
    log1mexp,
    log1pexp,
    log_expit,
    logaddexp,
    logexpm1,
    logit,
    logitexp,
    logsubexp,
)
from ._engines.choice import kernels
from ._engines.configuration import show_config
from ._means import logmeanexp
from ._products import logmatmulexp
from ._reductions import log_softmax, logsumexp, softmax
from ._scan import logcumsumexp
from ._segments import segment_log_softmax, segment_logsumexp, segment_softmax

__all__ = [
    "LogSumExpAccumulator",
    "kernels",
    "log1mexp",
    "log1pexp",
    "log_expit",
    "log_softmax",
    "logaddexp",
    "logcumsumexp",
    "logexpm1",
    "logit",
    "logitexp",
    "logmatmulexp",
    "logmeanexp",
    "logsubexp",
    "logsumexp",
    "segment_log_softmax",
    "segment_logsumexp",
    "segment_softmax",
    "show_config",
    "softmax",
]
__version__ = "0.1.0"
