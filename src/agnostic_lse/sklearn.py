"""Log-probabilities in scikit-learn: of its classifiers, as features, and their loss."""

from __future__ import annotations

try:
    import sklearn as _  # noqa: F401 (to say what is missing)
except ModuleNotFoundError as error:
    if error.name != "sklearn":  # something that scikit-learn itself needs
        raise
    raise ModuleNotFoundError(
        "agnostic_lse.sklearn was imported, but scikit-learn is not installed: "
        "pip install scikit-learn.",
        name="sklearn",
    ) from None

from ._classifiers import log_proba, log_proba_source, register_log_proba
from ._losses import log_loss, neg_log_loss_scorer
from ._metaestimators import (
    LogPoolClassifier,
    LogProbabilityClassifier,
    LogProbabilityTransformer,
)
from ._mixin import LogProbabilityMixin
from ._mixtures import log_responsibilities
from ._transformers import LogSoftmaxTransformer, LogSumExpTransformer

__all__ = [
    "LogPoolClassifier",
    "LogProbabilityClassifier",
    "LogProbabilityMixin",
    "LogProbabilityTransformer",
    "LogSoftmaxTransformer",
    "LogSumExpTransformer",
    "log_loss",
    "log_proba",
    "log_proba_source",
    "log_responsibilities",
    "neg_log_loss_scorer",
    "register_log_proba",
]
