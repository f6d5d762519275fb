"""Classifiers and a transformer around others, with exact log-probabilities."""

from .classifier import LogProbabilityClassifier
from .pool import LogPoolClassifier
from .transformer import LogProbabilityTransformer

__all__ = ["LogPoolClassifier", "LogProbabilityClassifier", "LogProbabilityTransformer"]
