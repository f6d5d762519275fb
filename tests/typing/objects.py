"""Accumulators return themselves, and contexts and estimators what they are."""

from __future__ import annotations

from typing import Any, assert_type

import numpy as np

from agnostic_lse import LogSumExpAccumulator, kernels, show_config
from agnostic_lse.sklearn import (
    LogPoolClassifier,
    LogProbabilityClassifier,
    LogProbabilityTransformer,
    LogSoftmaxTransformer,
    LogSumExpTransformer,
    log_loss,
    log_proba_source,
    register_log_proba,
)


class Evidence(LogSumExpAccumulator):
    """An accumulator of one's own."""


evidence = Evidence().update([0.0, -40.0]).merge(LogSumExpAccumulator())
assert_type(evidence, Evidence)
assert_type(evidence.value(), Any)
assert_type(evidence.value(return_sign=True), tuple[Any, Any])
assert_type(evidence.count, int)
assert_type(evidence.shape, tuple[int, ...])
assert_type(evidence.to_dict(), dict[str, Any])
assert_type(Evidence.from_dict(evidence.to_dict()), Evidence)
assert_type(evidence.reset(), Evidence)

with kernels("off") as nothing:
    assert_type(nothing, None)
assert_type(show_config(), None)

X = np.asarray([[-2.0, 0.0], [-1.0, 0.0], [1.0, 0.0], [2.0, 0.0]])
assert_type(LogSoftmaxTransformer(temperature=2.0).fit(X), LogSoftmaxTransformer)
assert_type(LogSumExpTransformer(groups={"both": [0, 1]}).fit(X), LogSumExpTransformer)


def fitted(model: Any, y: list[int]) -> float:
    """Fit what wraps a classifier."""
    assert_type(LogProbabilityClassifier(model).fit(X, y), LogProbabilityClassifier)
    assert_type(LogProbabilityTransformer(model).fit(X, y), LogProbabilityTransformer)
    pool = LogPoolClassifier([("one", model)]).fit(X, y)
    assert_type(pool, LogPoolClassifier)
    assert_type(log_proba_source(pool), str)
    loss: float = log_loss(y, pool.predict_log_proba(X))  # of Dask's arrays it is an array
    return loss


class Threshold:
    """A classifier of one's own."""

    def scores(self, X: Any) -> Any:
        """Return log-probabilities."""
        return X


@register_log_proba(Threshold)
def log_proba_of_threshold(estimator: Threshold, X: Any) -> Any:
    """Take a classifier of its own."""
    return estimator.scores(X)


assert_type(log_proba_of_threshold(Threshold(), 1.0), Any)
