"""Rules of scikit-learn's classifiers that stand alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import expit
from sklearn.utils.extmath import safe_sparse_dot
from sklearn.utils.validation import validate_data

from .._elementwise import log_expit
from .._namespace import Array
from .._products import logmatmulexp
from .._reductions import log_softmax
from .links import against_rest, linked, log_of, log_shares, logistic, stacked
from .rule import Rule


def logarithm(estimator: Any, X: Any) -> Any:
    """Return the logarithm of what `predict_proba` gives."""
    p = estimator.predict_proba(X)
    return [log_of(each) for each in p] if isinstance(p, list) else log_of(p)


def _decision(estimator: Any, X: Any) -> Array:
    return linked(estimator.decision_function(X))


def _joint(estimator: Any, X: Any) -> Array:
    return log_softmax(estimator.predict_joint_log_proba(X), axis=1)


def _logistic_regression(estimator: Any, X: Any) -> Array:
    scores = estimator.decision_function(X)
    kind = getattr(estimator, "multi_class", None)  # until scikit-learn 1.7
    if scores.ndim == 1:
        return logistic(2 * scores if kind == "multinomial" else scores)
    separately = kind == "ovr" or (kind is not None and estimator.solver == "liblinear")
    return against_rest(scores) if separately else linked(scores)


def _gradient_boosting(estimator: Any, X: Any) -> Array:
    scores = estimator.decision_function(X)
    # The exponential loss is that of half the logarithm of the odds.
    return linked(2 * scores if _was_exponential(estimator) else scores)


def _was_exponential(estimator: Any) -> bool:
    """Tell which loss was fitted, since the parameter may have been set anew."""
    return type(estimator._loss).__name__ == "ExponentialLoss"


def _ada_boost(estimator: Any, X: Any) -> Array:
    scores = estimator.decision_function(X)
    return linked(scores if scores.ndim == 1 else scores / max(1, estimator.n_classes_ - 1))


def _stochastic_gradient(estimator: Any, X: Any) -> Array:
    scores = estimator.decision_function(X)
    if estimator.loss == "log_loss":
        return against_rest(scores)
    scores = np.clip(scores, -1, 1)  # modified_huber
    if scores.ndim == 1:
        return log_of(stacked((1 - scores) / 2, (1 + scores) / 2))
    return log_shares((1 + scores) / 2)


_ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "identity": lambda x: x,
    "logistic": expit,
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0),
}


def _multilayer_perceptron(estimator: Any, X: Any) -> Array:
    hidden = _ACTIVATIONS[estimator.activation]
    layers = list(zip(estimator.coefs_, estimator.intercepts_, strict=True))
    out = validate_data(estimator, X, accept_sparse=["csr", "csc"], reset=False)
    for number, (weights, intercepts) in enumerate(layers, 1):
        out = safe_sparse_dot(out, weights) + intercepts
        out = out if number == len(layers) else hidden(out)
    if estimator.out_activation_ == "softmax":
        return log_softmax(out, axis=1)
    return logistic(out[:, 0]) if estimator.n_outputs_ == 1 else log_expit(out)


def _label_propagation(estimator: Any, X: Any) -> Array:
    if estimator.kernel != "rbf":
        return logarithm(estimator, X)
    X = validate_data(estimator, X, accept_sparse=True, reset=False)
    # Of |x - y|**2, which may be millions, |x|**2 is common to all and left out. What is left is
    # taken from near the samples that are known, and counts by its distance from the largest.
    centre = np.asarray(estimator.X_.mean(axis=0)).reshape(1, -1)
    known = np.asarray(estimator.X_ - centre)
    nearness = 2 * np.asarray(X - centre) @ known.T - np.sum(known**2, axis=1)
    log_weights = estimator.gamma * (nearness - np.max(nearness, axis=1, keepdims=True))
    return log_softmax(logmatmulexp(log_weights, log_of(estimator.label_distributions_)), axis=1)


_LINKED = Rule(
    _decision, "logistic function or softmax of decision_function", ("decision_function",)
)
_ZEROS = Rule(logarithm, "logarithm of predict_proba, whose zeros are true")
# There is nothing that a better logarithm could be taken of.
_OPAQUE = Rule(logarithm, "logarithm of predict_proba")

RULES: dict[str, Rule] = {
    # Scores through a link
    "sklearn.LogisticRegression": _LINKED._replace(function=_logistic_regression),
    "sklearn.LinearDiscriminantAnalysis": _LINKED,
    "sklearn.QuadraticDiscriminantAnalysis": _LINKED,
    "sklearn.NearestCentroid": _LINKED,
    "sklearn.HistGradientBoostingClassifier": _LINKED._replace(
        serves=lambda estimator: estimator.loss in ("log_loss", "auto")
    ),
    "sklearn.GradientBoostingClassifier": _LINKED._replace(
        function=_gradient_boosting,
        serves=lambda estimator: estimator.loss in ("log_loss", "exponential"),
    ),
    "sklearn.AdaBoostClassifier": _LINKED._replace(function=_ada_boost),
    "sklearn.SGDClassifier": Rule(
        _stochastic_gradient,
        "logistic or linear function of decision_function, each class against the rest",
        ("decision_function",),
        serves=lambda estimator: estimator.loss in ("log_loss", "modified_huber"),
    ),
    "sklearn.MLPClassifier": Rule(
        _multilayer_perceptron,
        "logistic function or softmax of the last layer",
        ("_forward_pass_fast",),
        serves=lambda estimator: estimator.activation in _ACTIVATIONS,
        labels=lambda e: e.out_activation_ == "logistic" and e.n_outputs_ > 1,
    ),
    "sklearn._BaseNB": Rule(
        _joint, "softmax of predict_joint_log_proba", ("predict_joint_log_proba",)
    ),
    "sklearn.BaseLabelPropagation": Rule(
        _label_propagation, "sum of its kernel's weights in log space, or of its neighbours'"
    ),
    # Probabilities that are shares of something counted
    "sklearn.DecisionTreeClassifier": _ZEROS,
    "sklearn.ForestClassifier": _ZEROS,
    "sklearn.KNeighborsClassifier": _ZEROS,
    "sklearn.RadiusNeighborsClassifier": _ZEROS,
    "sklearn.DummyClassifier": _ZEROS,
    "sklearn._ConstantPredictor": _ZEROS,
    # Pairwise coupling, and an approximate integral of a Gaussian process
    "sklearn.BaseSVC": _OPAQUE,
    "sklearn.GaussianProcessClassifier": _OPAQUE,
}
