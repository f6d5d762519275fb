"""The rule of a calibrated classifier: calibrators' functions of its members' scores."""

from __future__ import annotations

from typing import Any

import array_api_compat as compat
import numpy as np

from .._elementary import log1p
from .._elementwise import log_expit
from .._namespace import Array
from .._reductions import log_softmax
from .._wording import counted
from .columns import mean, places_of, spread
from .links import log_of, log_shares, logistic, stacked
from .rule import Rule


def _calibrated(estimator: Any, X: Any) -> Array:
    members = estimator.calibrated_classifiers_
    return mean([_calibrated_by_one(member, X, estimator.classes_) for member in members])


def _calibrated_by_one(member: Any, X: Any, classes: Any) -> Array:
    """Return the calibrated log-probabilities of one of the members."""
    count, scored = classes.shape[0], hasattr(member.estimator, "decision_function")
    scores = (member.estimator.decision_function if scored else member.estimator.predict_proba)(X)
    if member.method == "temperature":
        own = _tempered(member.calibrators[0], scores, scored)
        if own.shape[1] != count:
            raise ValueError(
                f"a member of the CalibratedClassifierCV has seen {own.shape[1]} of "
                f"{counted(count, 'class', 'classes')}, but a temperature is that of all: use "
                "splits that leave some samples of each."
            )
        return own
    binary = count == 2
    if scores.shape[1:] == (2,):
        scores = scores[:, 1]
    columns = [scores] if scores.ndim == 1 else list(scores.T)
    pairs = list(zip(member.calibrators, columns, strict=True))
    places = places_of(member.estimator.classes_, classes)[: len(columns)]
    if member.method == "sigmoid":
        log_odds = [-(by.a_ * column + by.b_) for by, column in pairs]
        if binary:
            return logistic(log_odds[0])
        own = stacked(*map(log_expit, log_odds))
        return log_softmax(spread(own, places, count), axis=1)
    p = [by.predict(column) for by, column in pairs]
    if binary:
        return stacked(log1p(np, -p[0]), log_of(p[0]))
    shares = np.zeros((len(p[0]), count))
    shares[:, places] = stacked(*p)
    return log_shares(shares)


def _tempered(calibrator: Any, scores: Array, scored: bool) -> Array:
    """Return softmax of scores, or of the logarithms of probabilities, over a temperature."""
    xp = compat.array_namespace(scores)
    if scores.ndim == 1:
        logits = stacked(-scores, scores)
    elif scored and not _look_like_probabilities(scores):
        logits = scores
    else:
        # The temperature was found with just that added.
        logits = xp.log(scores + 1e-12)
    return log_softmax(calibrator.beta_ * logits, axis=1)


def _look_like_probabilities(scores: Array) -> bool:
    """Tell whether scikit-learn takes scores for probabilities, which it does by their looks."""
    xp = compat.array_namespace(scores)
    sums_to_one = xp.all(xp.abs(xp.sum(scores, axis=1) - 1) <= 1e-5)
    return bool(xp.all((scores >= 0) & (scores <= 1)) and sums_to_one)


RULES: dict[str, Rule] = {
    "sklearn.CalibratedClassifierCV": Rule(
        _calibrated,
        "calibrators' functions of its members' scores, averaged in log space",
        serves=lambda estimator: estimator.method in ("sigmoid", "isotonic", "temperature"),
    ),
}
