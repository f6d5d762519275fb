"""Logarithms of sums of exponentials, on every array library."""

from ._reductions import log_softmax, logmeanexp, logsumexp, softmax

__all__ = ["log_softmax", "logmeanexp", "logsumexp", "softmax"]
__version__ = "0.1.0"
