"""Log-probabilities of scikit-learn's classifiers, by mpmath from their scores and attributes.

A score is what scikit-learn computes in float64 before the link that makes probabilities of it:
the value of a decision function, a joint log-likelihood, a distance, the fraction in a leaf. Scores
are taken as they are, exactly; the link is computed to 60 digits. The reference is the logarithm of
what ``predict_proba`` would be if the link, and every sum of probabilities, were exact.

As a program, compares the references with what the installed scikit-learn computes::

    python -m tests.classifier_references
"""

from __future__ import annotations

import math
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import mpmath as mp
import numpy as np
import sklearn
from scipy.linalg import solve
from scipy.special import expit
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.discriminant_analysis import (
    LinearDiscriminantAnalysis,
    QuadraticDiscriminantAnalysis,
)
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_selection import RFE
from sklearn.frozen import FrozenEstimator
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.gaussian_process.kernels import RBF, DotProduct
from sklearn.linear_model import (
    LogisticRegression,
    LogisticRegressionCV,
    RidgeClassifier,
    SGDClassifier,
)
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    TunedThresholdClassifierCV,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.naive_bayes import (
    BernoulliNB,
    CategoricalNB,
    ComplementNB,
    GaussianNB,
    MultinomialNB,
)
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid, RadiusNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, KBinsDiscretizer, StandardScaler
from sklearn.semi_supervised import LabelPropagation, LabelSpreading, SelfTrainingClassifier
from sklearn.svm import SVC, LinearSVC, NuSVC
from sklearn.tree import DecisionTreeClassifier, ExtraTreeClassifier

DIGITS = 60
VERSION = tuple(int(part) for part in sklearn.__version__.split(".")[:2])

# A probability and its complement, both with all digits, however small either is.
Pair = tuple[Any, Any]
# One row of pairs for each sample, one column for each class.
Table = list[list[Pair]]


def reference_log_proba(estimator: Any, X: Any) -> Any:
    """Return the logarithm of what estimator.predict_proba(X) would be in exact arithmetic.

    An array of float64, or a list of them where there are several outputs. -inf where the
    probability is exactly 0, and NaN where scikit-learn's formula itself has no value.
    """
    # Scores may be the logarithm of a prior of 0
    with mp.workdps(DIGITS), np.errstate(divide="ignore"):
        found = _tables(estimator, np.asarray(X))
        if isinstance(found, list) and found and isinstance(found[0], _Output):
            return [_logarithms(output.table) for output in found]
        return _logarithms(found)


class _Output:
    """The table of one of several outputs."""

    def __init__(self, table: Table) -> None:
        self.table = table


def _logarithms(table: Table) -> Any:
    return np.array([[_logarithm(pair) for pair in row] for row in table], dtype=np.float64)


def _logarithm(pair: Pair) -> float:
    probability, complement = pair
    if mp.isnan(probability) or probability < 0:
        return math.nan
    if probability == 0:
        return -math.inf
    # Close to 1 the digits are in the complement
    return float(mp.log1p(-complement) if 2 * probability > 1 else mp.log(probability))


# Links, and sums of probabilities


def _exactly(value: Any) -> Any:
    return mp.mpf(float(value))


def _given(value: Any) -> Pair:
    """A probability that scikit-learn has as a float64, before any link."""
    probability = _exactly(value)
    return probability, 1 - probability


def _given_table(probabilities: Any) -> Table:
    return [[_given(value) for value in row] for row in np.asarray(probabilities)]


def _logistic(score: Any) -> Pair:
    """The probability 1 / (1 + exp(-score)), of a score that has all its digits."""
    if mp.isnan(score):
        return mp.nan, mp.nan
    return 1 / (1 + mp.exp(-score)), 1 / (1 + mp.exp(score))


def _swapped(pair: Pair) -> Pair:
    return pair[1], pair[0]


def _two_classes(pairs: Sequence[Pair]) -> Table:
    """The table of two classes, of which the probabilities of the second are known."""
    return [[_swapped(pair), pair] for pair in pairs]


def _shares(weights: Sequence[Any]) -> list[Pair] | None:
    """Each weight over the sum of all, or None where all are exactly 0."""
    whole = _total(weights)
    if whole == 0:
        return None
    rests = [_total([*weights[:k], *weights[k + 1 :]]) for k in range(len(weights))]
    return [(w / whole, rest / whole) for w, rest in zip(weights, rests, strict=True)]


def _total(terms: Sequence[Any]) -> Any:
    return sum(terms, mp.mpf(0))


def _uniform(n_classes: int) -> list[Pair]:
    return [(mp.mpf(1) / n_classes, mp.mpf(n_classes - 1) / n_classes)] * n_classes


def _undefined(n_classes: int) -> list[Pair]:
    return [(mp.nan, mp.nan)] * n_classes


def _softmax(scores: Sequence[Any]) -> list[Pair]:
    """Of scores that have all their digits."""
    if any(mp.isnan(score) or score == mp.inf for score in scores):
        return _undefined(len(scores))
    peak = max(scores)
    if peak == -mp.inf:
        return _undefined(len(scores))  # what scikit-learn's log-likelihoods of -inf come to
    shares = _shares([mp.exp(score - peak) for score in scores])
    assert shares is not None
    return shares


def _softmax_table(scores: Any, scale: Any = 1) -> Table:
    return [[*_softmax([_exactly(score) * scale for score in row])] for row in np.asarray(scores)]


def _logistic_or_softmax(scores: Any, factor: int = 1) -> Table:
    """The usual two links: of a score of the second class, and of one score of each class."""
    if np.ndim(scores) == 1:
        return _two_classes([_logistic(factor * _exactly(score)) for score in scores])
    return _softmax_table(scores)


def _normalized_logistic(scores: Any) -> Table:
    """Of one class against the rest: the logistic function of each score, over their sum."""
    if np.ndim(scores) == 1:
        return _logistic_or_softmax(scores)
    table: Table = []
    for row in np.asarray(scores):
        # Where all of them underflow scikit-learn has NaN or the uniform row: here the quotient
        shares = _shares([_logistic(_exactly(score))[0] for score in row])
        assert shares is not None
        table.append(shares)
    return table


def _mean(tables: Sequence[Table], weights: Sequence[float] | None = None) -> Table:
    """The weighted mean of tables, entry by entry."""
    factors = [mp.mpf(1)] * len(tables) if weights is None else [_exactly(w) for w in weights]
    whole = _total(factors)

    def entry(pairs: Sequence[Pair]) -> Pair:
        probability, complement = (
            _total([w * pair[side] for w, pair in zip(factors, pairs, strict=True)]) / whole
            for side in (0, 1)
        )
        return probability, complement

    return [
        [entry(pairs) for pairs in zip(*rows, strict=True)] for rows in zip(*tables, strict=True)
    ]


def _as_scikit_learn_has_it(estimator: Any, X: Any, row: int) -> list[Pair]:
    """The row that scikit-learn returns where there is nothing to normalize: its convention."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        probabilities = estimator.predict_proba(X)[row]
    return [_given(value) for value in probabilities]


# The classifiers, each by its name


def _tables(estimator: Any, X: Any) -> Any:
    """The table of a classifier, or a list of outputs."""
    name = type(estimator).__name__
    if name not in _BRANCHES:
        msg = f"there is no reference of {name}"
        raise NotImplementedError(msg)
    return _BRANCHES[name](estimator, X)


def _table(estimator: Any, X: Any) -> Table:
    """The table of a classifier of one output."""
    table: Table = _tables(estimator, X)
    assert not any(isinstance(output, _Output) for output in table)
    return table


def _decided(estimator: Any, X: Any) -> Table:
    return _logistic_or_softmax(estimator.decision_function(X))


def _joint(estimator: Any, X: Any) -> Table:
    # Naive Bayes: predict_joint_log_proba is the score, also of ComplementNB, where it is no joint
    return _softmax_table(estimator.predict_joint_log_proba(X))


def _discriminant(estimator: Any, X: Any) -> Table:
    # QDA and NearestCentroid have one score of each class also where there are two classes
    return _softmax_table(estimator._decision_function(X))


def _ada_boost(estimator: Any, X: Any) -> Table:
    n_classes = estimator.n_classes_
    if n_classes == 1:
        return [[(mp.mpf(1), mp.mpf(0))] for _ in X]  # scikit-learn's constant
    decision = estimator.decision_function(X)
    if n_classes == 2:
        return _logistic_or_softmax(decision)  # softmax of -d / 2 and d / 2
    return _softmax_table(decision, mp.mpf(1) / (n_classes - 1))


def _bagging(estimator: Any, X: Any) -> Table:
    members: list[Table] = []
    for member, features in zip(estimator.estimators_, estimator.estimators_features_, strict=True):
        part = X[:, features]
        columns = [int(label) for label in member.classes_]
        if hasattr(member, "predict_proba"):
            # A member may have more columns than classes: only the first ones count
            rows = [row[: len(columns)] for row in _table(member, part)]
        else:
            # A member without probabilities votes, for one of the numbers of the classes
            chosen = member.predict(part)
            rows = [[_given(float(column == int(vote))) for column in columns] for vote in chosen]
        # A class that the member has not seen has probability 0
        whole: Table = [[(mp.mpf(0), mp.mpf(1))] * estimator.n_classes_ for _ in rows]
        for filled, row in zip(whole, rows, strict=True):
            for column, pair in zip(columns, row, strict=True):
                filled[column] = pair
        members.append(whole)
    return _mean(members)


def _tree(estimator: Any, X: Any) -> Any:
    # The fractions in a leaf are float64 numbers of the fitted tree
    return _given_outputs(estimator, X)


def _given_outputs(estimator: Any, X: Any) -> Any:
    probabilities = estimator.predict_proba(X)
    if isinstance(probabilities, list):
        return [_Output(_given_table(output)) for output in probabilities]
    return _given_table(probabilities)


def _forest(estimator: Any, X: Any) -> Any:
    trees = [_tables(tree, X) for tree in estimator.estimators_]
    if estimator.n_outputs_ == 1:
        return _mean(trees)
    return [_Output(_mean([o.table for o in outputs])) for outputs in zip(*trees, strict=True)]


def _dummy(estimator: Any, X: Any) -> Any:
    if estimator._strategy == "uniform" and estimator.n_outputs_ == 1:
        return [_uniform(estimator.n_classes_) for _ in X]  # 1/3 exactly
    return _given_outputs(estimator, X)  # the prior, or zeros and ones


def _threshold(estimator: Any, X: Any) -> Any:
    # The threshold changes what is predicted, not the probabilities
    return _tables(getattr(estimator, "estimator_", estimator.estimator), X)


# Williams and Barber's constants, the float64 numbers that scikit-learn computes with: their sum,
# about 1 - 1e-8, decides the smallest probability of the first class.
_GP_LAMBDAS = (0.41, 0.4, 0.37, 0.44, 0.39)
_GP_COEFFICIENTS = (-1854.8214151, 3516.89893646, 221.29346712, 128.12323805, -2010.49422654)


def _binary_gaussian_process(estimator: Any, X: Any) -> Table:
    # The latent mean and variance are scores, computed as scikit-learn 1.7 has it in a method
    across = estimator.kernel_(estimator.X_train_, X)
    mean = across.T.dot(estimator.y_train_ - estimator.pi_)
    v = solve(estimator.L_, estimator.W_sr_[:, np.newaxis] * across)
    variance = estimator.kernel_.diag(X) - np.einsum("ij,ij->j", v, v)

    def approximation(m: Any, var: Any) -> Pair:
        # Simplified: scikit-learn divides by the variance, and has NaN where that is 0 or less
        arguments = [x * m / mp.sqrt(1 + 2 * x * x * var) for x in map(_exactly, _GP_LAMBDAS)]
        coefficients = [_exactly(c) for c in _GP_COEFFICIENTS]
        lower, upper = (
            _total(
                [
                    c * mp.erfc(sign * argument) / 2
                    for c, argument in zip(coefficients, arguments, strict=True)
                ]
            )
            for sign in (-1, 1)
        )
        # The coefficients do not add up to 1, and what is missing falls to the first class
        return lower, (1 - _total(coefficients)) + upper

    return _two_classes(
        [approximation(_exactly(m), _exactly(s)) for m, s in zip(mean, variance, strict=True)]
    )


def _gaussian_process(estimator: Any, X: Any) -> Table:
    return _table(estimator.base_estimator_, X)  # binary, or one of them against the rest each


def _gradient_boosting(estimator: Any, X: Any) -> Table:
    # The exponential loss halves the score, so that its link is that of twice the score
    factor = 2 if estimator.loss == "exponential" else 1
    return _logistic_or_softmax(estimator.decision_function(X), factor)


def _inverse_distances(distances: Any) -> list[Any]:
    with np.errstate(divide="ignore"):
        infinite = np.isinf(1.0 / np.asarray(distances, dtype=np.float64))
    if infinite.any():
        return [mp.mpf(int(near)) for near in infinite]  # only what is at distance 0 counts
    return [1 / _exactly(distance) for distance in distances]


def _neighbour_weights(rule: Any, distances: Any) -> list[Any]:
    if rule in (None, "uniform"):
        return [mp.mpf(1)] * len(distances)
    if rule == "distance":
        return _inverse_distances(distances)
    return [_exactly(weight) for weight in rule(distances)]


def _votes(labels: Any, weights: Sequence[Any], n_classes: int) -> list[Any]:
    votes = [mp.mpf(0)] * n_classes
    for label, weight in zip(labels, weights, strict=True):
        votes[int(label)] += weight
    return votes


def _k_neighbours(estimator: Any, X: Any) -> Any:
    distances, indices = estimator.kneighbors(X)
    weights = [_neighbour_weights(estimator.weights, row) for row in distances]

    def table(codes: Any, classes: Any) -> Table:
        rows = []
        for neighbours, row_weights in zip(indices, weights, strict=True):
            shares = _shares(_votes(codes[neighbours], row_weights, len(classes)))
            assert shares is not None  # scikit-learn raises an error
            rows.append(shares)
        return rows

    if not estimator.outputs_2d_:
        return table(estimator._y, estimator.classes_)
    return [_Output(table(estimator._y[:, k], c)) for k, c in enumerate(estimator.classes_)]


def _radius_neighbours(estimator: Any, X: Any) -> Table:
    assert not estimator.outputs_2d_
    table: Table = []
    for row, (distances, indices) in enumerate(zip(*estimator.radius_neighbors(X), strict=True)):
        weights = _neighbour_weights(estimator.weights, distances)
        shares = _shares(_votes(estimator._y[indices], weights, len(estimator.classes_)))
        # Outliers are of the class of outlier_label, or of none, as scikit-learn has it: by brute
        # force it looks for the label among the numbers of the classes
        table.append(_as_scikit_learn_has_it(estimator, X, row) if shares is None else shares)
    return table


def _label_propagation(estimator: Any, X: Any) -> Table:
    if estimator.kernel == "knn":
        neighbours = estimator.nn_fit.kneighbors(X, return_distance=False)
        weights = [[(int(i), mp.mpf(1)) for i in row] for row in neighbours]
    elif estimator.kernel == "rbf":
        # Exponents from exact distances: the float64 numbers that scikit-learn takes exp of are off
        # by half a unit of millions for rows that are far away
        gamma = _exactly(estimator.gamma)
        rows = [[_exactly(value) for value in row] for row in np.asarray(X)]
        known = [[_exactly(value) for value in row] for row in np.asarray(estimator.X_)]
        weights = [
            [
                (
                    i,
                    mp.exp(
                        -gamma * _total([(a - b) ** 2 for a, b in zip(row, other, strict=True)])
                    ),
                )
                for i, other in enumerate(known)
            ]
            for row in rows
        ]
    else:
        weights = [
            [(i, _exactly(weight)) for i, weight in enumerate(column)]
            for column in np.asarray(estimator.kernel(estimator.X_, X)).T
        ]
    distributions = [[_exactly(value) for value in row] for row in estimator.label_distributions_]
    n_classes = len(estimator.classes_)
    table: Table = []
    for row_weights in weights:
        votes = [
            _total([weight * distributions[i][k] for i, weight in row_weights])
            for k in range(n_classes)
        ]
        shares = _shares(votes)
        # 0 / 0 by underflow is the quotient, that of exact zeros is NaN as in scikit-learn
        table.append(_undefined(n_classes) if shares is None else shares)
    return table


def _logistic_regression(estimator: Any, X: Any) -> Table:
    scores = estimator.decision_function(X)
    n_classes = len(estimator.classes_)
    mode = getattr(estimator, "multi_class", None)
    if mode is None:
        against_rest = n_classes <= 2  # as of scikit-learn 1.8
    else:
        against_rest = mode in ("ovr", "warn") or (
            mode in ("auto", "deprecated") and (n_classes <= 2 or estimator.solver == "liblinear")
        )
    if against_rest:
        return _normalized_logistic(scores)
    # "multinomial" with two classes is the softmax of -d and d, not of 0 and d
    return _logistic_or_softmax(scores, factor=2)


_HIDDEN_ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "identity": lambda z: z,
    "tanh": np.tanh,
    "logistic": expit,
    "relu": lambda z: np.maximum(z, 0),
}


def _mlp(estimator: Any, X: Any) -> Table:
    # The last pre-activations are the scores
    activation = X
    last = len(estimator.coefs_) - 1
    for i, (coefficients, intercepts) in enumerate(
        zip(estimator.coefs_, estimator.intercepts_, strict=True)
    ):
        activation = activation @ coefficients
        activation = activation + intercepts
        if i != last:
            activation = _HIDDEN_ACTIVATIONS[estimator.activation](activation)
    if estimator.out_activation_ == "softmax":
        return _softmax_table(activation)
    pairs = [[_logistic(_exactly(score)) for score in row] for row in activation]
    if estimator.n_outputs_ == 1:
        return _two_classes([row[0] for row in pairs])
    return pairs  # of several labels, each by itself


def _sgd(estimator: Any, X: Any) -> Table:
    scores = estimator.decision_function(X)
    if estimator.loss == "log_loss":
        return _normalized_logistic(scores)
    assert estimator.loss == "modified_huber"

    def clipped(score: Any) -> Pair:
        inside = min(max(_exactly(score), mp.mpf(-1)), mp.mpf(1))
        return (1 + inside) / 2, (1 - inside) / 2

    if np.ndim(scores) == 1:
        return _two_classes([clipped(score) for score in scores])
    table: Table = []
    for row in scores:
        shares = _shares([clipped(score)[0] for score in row])
        # All of them are exactly 0: uniform, as in scikit-learn
        table.append(_uniform(len(row)) if shares is None else shares)
    return table


def _constant_predictor(estimator: Any, X: Any) -> Table:
    positive = _given(estimator.y_[0])
    return _two_classes([positive] * len(X))


def _one_vs_rest(estimator: Any, X: Any) -> Table:
    columns = [[row[1] for row in _table(member, X)] for member in estimator.estimators_]
    if len(columns) == 1:
        return _two_classes(columns[0])
    rows = [[*row] for row in zip(*columns, strict=True)]
    if estimator.multilabel_:
        return rows  # not normalized
    table: Table = []
    for i, row in enumerate(rows):
        shares = _shares([pair[0] for pair in row])
        # All exactly 0: zeros as of scikit-learn 1.7, NaN before; by underflow it is the quotient
        table.append(_as_scikit_learn_has_it(estimator, X, i) if shares is None else shares)
    return table


def _multi_output(estimator: Any, X: Any) -> list[_Output]:
    return [_Output(_table(member, X)) for member in estimator.estimators_]


def _chain(estimator: Any, X: Any) -> Table:
    method = estimator.chain_method_
    members = estimator.estimators_
    # What earlier members pass on is a feature, in float64
    passed = np.zeros((len(X), len(members)))
    columns: dict[int, list[Pair]] = {}
    for k, (position, member) in enumerate(zip(estimator.order_, members, strict=True)):
        features = np.hstack((X, passed[:, :k]))
        columns[int(position)] = [row[-1] for row in _table(member, features)]
        found = np.asarray(getattr(member, method)(features))
        passed[:, k] = found if found.ndim == 1 else found[:, -1]
    return [[*row] for row in zip(*(columns[k] for k in range(len(members))), strict=True)]


def _stacking(estimator: Any, X: Any) -> Any:
    # What the first level passes on is a feature, in float64
    found = _tables(estimator.final_estimator_, estimator.transform(X))
    if isinstance(estimator._label_encoder, list):
        # Of several labels scikit-learn returns the probability that each is absent
        absent = [[row[0] for row in output.table] for output in found]
        return [[*row] for row in zip(*absent, strict=True)]
    return found


def _voting(estimator: Any, X: Any) -> Table:
    return _mean(
        [_table(member, X) for member in estimator.estimators_], estimator._weights_not_none
    )


def _interpolated(calibrator: Any, value: Any) -> Any:
    """The piecewise linear function of an isotonic regression, exactly."""
    knots, heights = calibrator.X_thresholds_, calibrator.y_thresholds_
    at = np.clip(knots.dtype.type(value), knots[0], knots[-1])  # outside it is constant
    right = int(np.searchsorted(knots, at))
    if knots[right] == at:
        return _exactly(heights[right])
    x0, x1, y0, y1 = map(
        _exactly, (knots[right - 1], knots[right], heights[right - 1], heights[right])
    )
    return y0 + (y1 - y0) * (_exactly(at) - x0) / (x1 - x0)


def _calibrated_member(member: Any, X: Any) -> Table:
    inner = member.estimator
    n_classes = len(member.classes)
    # What is calibrated is the score, in float64, also where it is a probability
    by_probability = not hasattr(inner, "decision_function")
    if by_probability:
        scores = np.asarray(inner.predict_proba(X))
        # Temperatures take both columns: scikit-learn makes the first anew, as 1 - p, which is that
        # but for rounding
        if len(inner.classes_) == 2 and member.method != "temperature":
            scores = scores[:, 1:]
    else:
        scores = np.asarray(inner.decision_function(X))
        if scores.ndim == 1:
            scores = scores[:, np.newaxis]
    if member.method == "temperature":
        return _tempered(member.calibrators[0].beta_, scores)

    def calibrated(calibrator: Any, score: Any) -> Pair:
        if member.method == "isotonic":
            probability = _interpolated(calibrator, score)
            return probability, 1 - probability
        a, b = _exactly(calibrator.a_), _exactly(calibrator.b_)
        return _logistic(-(a * _exactly(score) + b))

    if n_classes == 2:
        return _two_classes([calibrated(member.calibrators[0], row[0]) for row in scores])
    # A member that has seen two of more classes has one score, of its second class, and
    # scikit-learn calibrates it to be that of its first class: the others have probability 0
    codes = [int(code) for code in np.searchsorted(member.classes, inner.classes_)]
    table: Table = []
    for row in scores:
        weights = [mp.mpf(0)] * n_classes
        for code, score, calibrator in zip(codes, row, member.calibrators, strict=False):
            weights[code] = calibrated(calibrator, score)[0]
        shares = _shares(weights)
        # Zeros of the isotonic regression are exact: uniform, as in scikit-learn
        table.append(_uniform(n_classes) if shares is None else shares)
    return table


def _tempered(beta: Any, scores: Any) -> Table:
    factor = _exactly(beta)
    if scores.shape[1] == 1:
        # The softmax of -d and d
        return _two_classes([_logistic(2 * factor * _exactly(row[0])) for row in scores])
    # scikit-learn looks at the whole batch to tell probabilities from scores
    looks_like_probabilities = bool(
        np.all((scores >= 0) & (scores <= 1)) and np.all(np.isclose(np.sum(scores, axis=1), 1.0))
    )
    if not looks_like_probabilities:
        return _softmax_table(scores, factor)
    floor = _exactly(1e-12)  # so that no probability is 0
    return [
        _softmax([factor * mp.log(_exactly(probability) + floor) for probability in row])
        for row in scores
    ]


def _calibrated(estimator: Any, X: Any) -> Table:
    return _mean([_calibrated_member(member, X) for member in estimator.calibrated_classifiers_])


def _pipeline(estimator: Any, X: Any) -> Any:
    for _, step in estimator.steps[:-1]:
        if step not in (None, "passthrough"):
            X = step.transform(X)
    return _tables(estimator.steps[-1][1], X)


_BRANCHES: dict[str, Callable[[Any, Any], Any]] = {
    "AdaBoostClassifier": _ada_boost,
    "BaggingClassifier": _bagging,
    "BernoulliNB": _joint,
    "CalibratedClassifierCV": _calibrated,
    "CategoricalNB": _joint,
    "ClassifierChain": _chain,
    "ComplementNB": _joint,
    "DecisionTreeClassifier": _tree,
    "DummyClassifier": _dummy,
    "ExtraTreeClassifier": _tree,
    "ExtraTreesClassifier": _forest,
    "FixedThresholdClassifier": _threshold,
    "FrozenEstimator": lambda estimator, X: _tables(estimator.estimator, X),
    "GaussianNB": _joint,
    "GaussianProcessClassifier": _gaussian_process,
    "GradientBoostingClassifier": _gradient_boosting,
    "GridSearchCV": lambda estimator, X: _tables(estimator.best_estimator_, X),
    "HistGradientBoostingClassifier": _decided,
    "KNeighborsClassifier": _k_neighbours,
    "LabelPropagation": _label_propagation,
    "LabelSpreading": _label_propagation,
    "LinearDiscriminantAnalysis": _decided,
    "LogisticRegression": _logistic_regression,
    "LogisticRegressionCV": _logistic_regression,
    "MLPClassifier": _mlp,
    "MultiOutputClassifier": _multi_output,
    "MultinomialNB": _joint,
    "NearestCentroid": _discriminant,
    "NuSVC": _given_outputs,  # libsvm couples the pairs of classes by iteration
    "OneVsRestClassifier": _one_vs_rest,
    "Pipeline": _pipeline,
    "QuadraticDiscriminantAnalysis": _discriminant,
    "RFE": lambda estimator, X: _tables(estimator.estimator_, estimator.transform(X)),
    "RFECV": lambda estimator, X: _tables(estimator.estimator_, estimator.transform(X)),
    "RadiusNeighborsClassifier": _radius_neighbours,
    "RandomForestClassifier": _forest,
    "RandomizedSearchCV": lambda estimator, X: _tables(estimator.best_estimator_, X),
    "SGDClassifier": _sgd,
    "SVC": _given_outputs,
    "SelfTrainingClassifier": lambda estimator, X: _tables(estimator.estimator_, X),
    "StackingClassifier": _stacking,
    "TunedThresholdClassifierCV": _threshold,
    "VotingClassifier": _voting,
    "_BinaryGaussianProcessClassifierLaplace": _binary_gaussian_process,
    "_ConstantPredictor": _constant_predictor,
}


# What to try them on


def near_and_far(n_classes: int) -> tuple[Any, Any, Any, Any]:
    """Return training rows, their labels, rows between the classes and rows far off.

    All are multiples of 1/16, so that squared distances between them are exact in float64 and
    none of the references depends on the order in which scikit-learn adds up.
    """
    random = np.random.default_rng(n_classes)
    centres = np.array([[0, 0, 0, 0], [5, 3, 0, -2], [-2, 5, 4, 1], [3, -4, 3, 4]], dtype=float)
    blobs = np.repeat(np.arange(len(centres)), 20)
    X = centres[blobs] + random.normal(scale=1.25, size=(len(blobs), 4))
    names = np.array(["amber", "blue", "coral", "dune"])[:n_classes]
    y = names[blobs % n_classes]
    pairs = random.permuted(np.tile(np.arange(len(centres)), (20, 1)), axis=1)[:, :2]
    shares = random.uniform(0.2, 0.8, size=(20, 1))
    X_near = shares * centres[pairs[:, 0]] + (1 - shares) * centres[pairs[:, 1]]
    X_near += random.normal(scale=0.5, size=X_near.shape)
    directions = random.normal(size=(10, 4))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    spread = np.round(np.std(X))
    X_far = directions * spread * np.geomspace(1e2, 1e4, 10)[:, np.newaxis]
    X, X_near, X_far = (np.round(16 * rows) / 16 for rows in (X, X_near, X_far))
    return X, y, X_near, X_far


def fit_case(name: str, estimator: Any, X: Any, y: Any) -> Any:
    """Fit a case to near_and_far's rows, with the kind of target that its name asks for.

    "multilabel" stands for three labels each present or absent, "constant" for two more that
    always or never are, "MultiOutput" and "multioutput" for two targets, and "unlabelled" for
    missing labels.
    """
    target = y
    if "multilabel" in name:
        labels = [y == y[0], y == y[-1], X[:, 0] > np.median(X[:, 0])]
        if "constant" in name:
            labels += [np.zeros(len(y)), np.ones(len(y))]
        target = np.column_stack(labels).astype(int)
    elif "multioutput" in name.lower():
        target = np.column_stack([y, np.where(X[:, 1] > np.median(X[:, 1]), "high", "low")])
    elif "unlabelled" in name:
        hidden = np.arange(len(y)) % 3 == 0
        if name.startswith("SelfTraining"):
            target = y.astype(object)
        else:
            target = np.unique(y, return_inverse=True)[1]
        target[hidden] = -1
    with warnings.catch_warnings():
        # SVC's probability, parameters whose defaults are going to change, and an old
        # scikit-learn's use of a new SciPy
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.filterwarnings("ignore", "Label .* is present in all training examples")
        return estimator.fit(X, target)


def cases(n_classes: int) -> list[tuple[str, Any]]:
    """Return names and unfitted classifiers, to be fitted by fit_case."""
    X, y, _, _ = near_and_far(n_classes)
    logistic = LogisticRegression(max_iter=1000)
    tree = DecisionTreeClassifier(max_depth=2, random_state=0)
    stump = DecisionTreeClassifier(max_depth=1, random_state=0)
    forest = RandomForestClassifier(n_estimators=3, max_depth=2, random_state=0)
    positive = FunctionTransformer(np.abs)
    found: list[tuple[str, Any]] = [
        ("AdaBoostClassifier", AdaBoostClassifier(n_estimators=5, random_state=0)),
        ("AdaBoostClassifier(tree)", AdaBoostClassifier(tree, n_estimators=3, random_state=0)),
        ("BaggingClassifier", BaggingClassifier(tree, n_estimators=4, random_state=0)),
        (
            "BaggingClassifier(features)",
            BaggingClassifier(
                logistic, n_estimators=3, max_samples=0.5, max_features=2, random_state=0
            ),
        ),
        (
            "BaggingClassifier(lacking classes)",
            BaggingClassifier(
                KNeighborsClassifier(2, weights="distance"),
                n_estimators=4,
                max_samples=3,
                random_state=0,
            ),
        ),
        (
            # Its members take weights, have all classes, some of them with a prior of 0, and warn
            "BaggingClassifier(zero priors)",
            BaggingClassifier(GaussianNB(), n_estimators=4, max_samples=3, random_state=0),
        ),
        (
            "BaggingClassifier(discriminant)",
            BaggingClassifier(
                LinearDiscriminantAnalysis(), n_estimators=3, max_samples=0.5, random_state=0
            ),
        ),
        (
            "BaggingClassifier(votes)",
            BaggingClassifier(RidgeClassifier(), n_estimators=4, max_samples=0.3, random_state=0),
        ),
        (
            "BaggingClassifier(MLP lacking classes)",
            BaggingClassifier(
                MLPClassifier((3,), solver="lbfgs", alpha=0.1, max_iter=1000, random_state=0),
                n_estimators=3,
                max_samples=3,
                random_state=1,
            ),
        ),
        ("BernoulliNB", BernoulliNB(binarize=1.0)),
        ("CategoricalNB", make_pipeline(_bins(), CategoricalNB())),
        ("ComplementNB", make_pipeline(positive, ComplementNB())),
        ("ComplementNB(norm)", make_pipeline(positive, ComplementNB(norm=True))),
        ("GaussianNB", GaussianNB()),
        ("MultinomialNB", make_pipeline(positive, MultinomialNB())),
        ("DecisionTreeClassifier", tree),
        (
            "DecisionTreeClassifier(class_weight)",
            DecisionTreeClassifier(max_depth=1, class_weight={"amber": 7.0}, random_state=0),
        ),
        ("DecisionTreeClassifier(multioutput)", clone(tree)),
        ("ExtraTreeClassifier", ExtraTreeClassifier(max_depth=3, random_state=0)),
        ("RandomForestClassifier", forest),
        ("RandomForestClassifier(multioutput)", clone(forest)),
        (
            "ExtraTreesClassifier",
            ExtraTreesClassifier(n_estimators=4, max_depth=3, bootstrap=True, random_state=0),
        ),
        *(
            (f"DummyClassifier({strategy})", DummyClassifier(strategy=strategy, random_state=0))
            for strategy in ("most_frequent", "prior", "stratified", "uniform")
        ),
        ("DummyClassifier(constant)", DummyClassifier(strategy="constant", constant="blue")),
        ("DummyClassifier(multioutput)", DummyClassifier(strategy="prior")),
        ("GaussianProcessClassifier", GaussianProcessClassifier(random_state=0)),
        (
            "GaussianProcessClassifier(steep)",
            GaussianProcessClassifier(1e3 * RBF(30.0), optimizer=None, random_state=0),
        ),
        (
            "GaussianProcessClassifier(linear)",
            GaussianProcessClassifier(100.0 * DotProduct(), optimizer=None, random_state=0),
        ),
        ("GradientBoostingClassifier", _boosting()),
        ("GradientBoostingClassifier(zero)", _boosting(init="zero")),
        ("GradientBoostingClassifier(steep)", _boosting(learning_rate=50.0)),
        (
            "HistGradientBoostingClassifier",
            HistGradientBoostingClassifier(max_iter=4, min_samples_leaf=5, random_state=0),
        ),
        (
            "HistGradientBoostingClassifier(steep)",
            HistGradientBoostingClassifier(
                max_iter=4, min_samples_leaf=5, learning_rate=100.0, random_state=0
            ),
        ),
        ("KNeighborsClassifier", KNeighborsClassifier(3)),
        ("KNeighborsClassifier(distance)", KNeighborsClassifier(4, weights="distance")),
        ("KNeighborsClassifier(brute)", KNeighborsClassifier(4, algorithm="brute")),
        ("KNeighborsClassifier(multioutput)", KNeighborsClassifier(4, weights="distance")),
        ("RadiusNeighborsClassifier", _radius(outlier_label="amber")),
        ("RadiusNeighborsClassifier(distance)", _radius(weights="distance")),
        ("RadiusNeighborsClassifier(unknown outliers)", _radius(outlier_label="zebra")),
        ("LabelPropagation", LabelPropagation(gamma=0.25, tol=1e-2)),
        ("LabelPropagation(default)", LabelPropagation()),
        ("LabelPropagation(knn)", LabelPropagation("knn", n_neighbors=4)),
        ("LabelPropagation(unlabelled)", LabelPropagation(gamma=0.25, tol=1e-2)),
        ("LabelSpreading", LabelSpreading(gamma=0.25)),
        ("LabelSpreading(default)", LabelSpreading()),
        ("LabelSpreading(knn)", LabelSpreading("knn", n_neighbors=4)),
        ("LabelSpreading(unlabelled)", LabelSpreading(gamma=0.25)),
        ("LinearDiscriminantAnalysis", LinearDiscriminantAnalysis()),
        (
            "LinearDiscriminantAnalysis(shrinkage)",
            LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.5),
        ),
        ("QuadraticDiscriminantAnalysis", QuadraticDiscriminantAnalysis()),
        ("LogisticRegression", logistic),
        ("LogisticRegression(steep)", LogisticRegression(C=1e4, max_iter=10000)),
        ("LogisticRegressionCV", LogisticRegressionCV(Cs=2, cv=2, max_iter=1000)),
        *(
            (
                f"MLPClassifier({activation})",
                MLPClassifier(
                    (4,),
                    activation,
                    solver="lbfgs",
                    alpha=0.1,
                    max_iter=2000,
                    random_state=0,
                ),
            )
            for activation in ("relu", "tanh", "logistic", "identity")
        ),
        (
            "MLPClassifier(multilabel)",
            MLPClassifier((4,), solver="lbfgs", alpha=0.1, max_iter=2000, random_state=0),
        ),
        ("MultiOutputClassifier", MultiOutputClassifier(logistic)),
        ("MultiOutputClassifier(GaussianNB)", MultiOutputClassifier(GaussianNB())),
        ("ClassifierChain(multilabel)", ClassifierChain(logistic, order=[2, 0, 1])),
        (
            "ClassifierChain(multilabel, predict_proba)",
            ClassifierChain(tree, chain_method="predict_proba", order="random", random_state=0),
        ),
        (
            "ClassifierChain(multilabel, predict_log_proba)",
            # With a member that has log-probabilities of -inf scikit-learn's chain raises an error
            ClassifierChain(GaussianNB(var_smoothing=0.01), chain_method="predict_log_proba"),
        ),
        (
            "ClassifierChain(multilabel, decision_function)",
            ClassifierChain(logistic, chain_method="decision_function", cv=2),
        ),
        ("NearestCentroid", NearestCentroid()),
        ("NearestCentroid(shrink)", NearestCentroid(shrink_threshold=0.5, priors="empirical")),
        ("OneVsRestClassifier", OneVsRestClassifier(logistic)),
        ("OneVsRestClassifier(GaussianNB)", OneVsRestClassifier(GaussianNB())),
        ("OneVsRestClassifier(tree)", OneVsRestClassifier(stump)),
        ("OneVsRestClassifier(huber)", OneVsRestClassifier(_sgd_case("modified_huber"))),
        ("OneVsRestClassifier(multilabel)", OneVsRestClassifier(logistic)),
        ("OneVsRestClassifier(multilabel, constant)", OneVsRestClassifier(GaussianNB())),
        ("SelfTrainingClassifier(unlabelled)", SelfTrainingClassifier(GaussianNB())),
        ("SGDClassifier(log_loss)", _sgd_case("log_loss")),
        ("SGDClassifier(modified_huber)", _sgd_case("modified_huber")),
        (
            "StackingClassifier",
            StackingClassifier(
                [("bayes", GaussianNB()), ("vectors", LinearSVC(random_state=0))], logistic, cv=2
            ),
        ),
        (
            "StackingClassifier(passthrough)",
            StackingClassifier(
                [("tree", tree), ("bayes", GaussianNB())],
                _boosting(learning_rate=1.0),
                cv=2,
                passthrough=True,
            ),
        ),
        (
            "StackingClassifier(multilabel)",
            StackingClassifier([("tree", tree)], MultiOutputClassifier(logistic), cv=2),
        ),
        (
            "VotingClassifier",
            VotingClassifier(
                [("logistic", logistic), ("bayes", GaussianNB()), ("tree", tree)], voting="soft"
            ),
        ),
        (
            "VotingClassifier(weights)",
            VotingClassifier(
                [("logistic", logistic), ("bayes", GaussianNB()), ("left out", "drop")],
                voting="soft",
                weights=[3, 1, 2],
            ),
        ),
        ("SVC", SVC(probability=True, random_state=0)),
        ("NuSVC", NuSVC(nu=0.2, probability=True, random_state=0)),
        ("Pipeline", make_pipeline(StandardScaler(), logistic)),
        ("Pipeline(passthrough)", make_pipeline("passthrough", StandardScaler(), GaussianNB())),
        ("GridSearchCV", GridSearchCV(logistic, {"C": [0.1, 10.0]}, cv=2)),
        ("RFE", RFE(logistic, n_features_to_select=2)),
        ("FrozenEstimator", FrozenEstimator(clone(logistic).fit(X, y))),
        *_calibrated_cases(n_classes),
    ]
    if n_classes == 2:
        found += [
            ("GradientBoostingClassifier(exponential)", _boosting(loss="exponential")),
            ("FixedThresholdClassifier", _fixed(logistic)),
            ("FixedThresholdClassifier(GaussianNB)", _fixed(GaussianNB())),
            (
                "TunedThresholdClassifierCV",
                TunedThresholdClassifierCV(logistic, scoring="accuracy", cv=2, random_state=0),
            ),
            ("LogisticRegression(liblinear)", LogisticRegression(solver="liblinear")),
        ]
    if VERSION >= (1, 9):
        # Before, by brute force and without the Euclidean metric, labels had to be integers
        found += [
            (
                "KNeighborsClassifier(brute, manhattan)",
                KNeighborsClassifier(4, algorithm="brute", metric="manhattan"),
            ),
            (
                "RadiusNeighborsClassifier(brute, manhattan)",
                _radius(algorithm="brute", metric="manhattan", radius=6.0),
            ),
        ]
    if VERSION < (1, 8):
        found += [
            (
                f"LogisticRegression({mode})",
                LogisticRegression(multi_class=mode, max_iter=1000),
            )
            for mode in ("ovr", "multinomial")
        ]
        if n_classes > 2:
            found.append(("LogisticRegression(liblinear)", LogisticRegression(solver="liblinear")))
    return found


def _bins() -> Any:
    # Clips what is far to the outermost bins, both seen in training
    return KBinsDiscretizer(3, encode="ordinal", strategy="uniform")


def _boosting(**options: Any) -> Any:
    return GradientBoostingClassifier(n_estimators=3, max_depth=2, random_state=0, **options)


def _radius(**options: Any) -> Any:
    return RadiusNeighborsClassifier(**{"radius": 3.0, "outlier_label": "most_frequent", **options})


def _sgd_case(loss: str) -> Any:
    return SGDClassifier(loss=loss, random_state=0)


def _fixed(estimator: Any) -> Any:
    return FixedThresholdClassifier(
        estimator, threshold=0.3, pos_label="blue", response_method="predict_proba"
    )


def _calibrated_cases(n_classes: int) -> list[tuple[str, Any]]:
    X, y, _, _ = near_and_far(n_classes)
    bases = {
        "LogisticRegression": LogisticRegression(max_iter=1000),
        "LinearSVC": LinearSVC(random_state=0),
        "GaussianNB": GaussianNB(),
        "tree": DecisionTreeClassifier(max_depth=2, random_state=0),
    }
    methods = ["sigmoid", "isotonic"] + (["temperature"] if VERSION >= (1, 8) else [])
    found: list[tuple[str, Any]] = [
        (
            f"CalibratedClassifierCV({method}, {label}{'' if ensemble else ', one'})",
            CalibratedClassifierCV(base, method=method, cv=2, ensemble=ensemble),
        )
        for method in methods
        for label, base in bases.items()
        for ensemble in (True, False)
    ]
    found += [
        (
            f"CalibratedClassifierCV({method}, frozen)",
            CalibratedClassifierCV(
                FrozenEstimator(QuadraticDiscriminantAnalysis().fit(X, y)), method=method
            ),
        )
        for method in methods
    ]
    if n_classes > 2:
        half = np.arange(len(y)) % 2 == 0
        splits = [
            (np.flatnonzero(half & (y != "amber")), np.flatnonzero(~half)),
            (np.flatnonzero(~half), np.flatnonzero(half)),
        ]
        found += [
            (
                f"CalibratedClassifierCV({method}, {label}, lacking a class)",
                CalibratedClassifierCV(bases[label], method=method, cv=splits),
            )
            for method in ("sigmoid", "isotonic")
            for label in ("LogisticRegression", "GaussianNB")
        ]
    return found


# The comparison with scikit-learn


def _flat(outputs: Any) -> Any:
    return np.concatenate(
        [np.ravel(o) for o in (outputs if isinstance(outputs, list) else [outputs])]
    )


def _scikit_learn_log_proba(estimator: Any, X: Any) -> tuple[Any, int]:
    """What scikit-learn has, and how many warnings it gave."""
    with warnings.catch_warnings(record=True) as given:
        warnings.simplefilter("always")
        if hasattr(estimator, "predict_log_proba"):
            found = estimator.predict_log_proba(X)
        else:
            found = estimator.predict_proba(X)
            found = [np.log(o) for o in found] if isinstance(found, list) else np.log(found)
    return _flat(found), len(given)


def _underflows(estimator: Any, X: Any) -> Any:
    """Where scikit-learn has the uniform row only because all of the numerators underflow."""
    name = type(estimator).__name__
    if name == "CalibratedClassifierCV" and estimator.method == "sigmoid":
        members = estimator.calibrated_classifiers_
    elif name in ("LogisticRegression", "SGDClassifier") and len(estimator.classes_) > 2:
        members = [estimator]
    else:
        members = []
    uniform = np.zeros(len(X), dtype=bool)
    for member in members:
        probabilities = member.predict_proba(X)
        uniform |= np.all(probabilities == 1 / probabilities.shape[1], axis=1)
    return uniform


def disagreement(estimator: Any, X: Any, reference: Any) -> float:
    """Return how far scikit-learn's probabilities are off the reference's, relative to them.

    Where they are between 1e-10 and 1 - 1e-10, are not uniform by underflow, and beyond what
    scikit-learn's own rounding of 1 - p can make of them, or that of the sum of the large
    coefficients in Gaussian processes, or of the logarithm of 1 - p + 1e-12 for a temperature.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        probabilities = estimator.predict_proba(X)
        if (left_out := _underflows(estimator, X)).any():
            probabilities = np.where(left_out[:, np.newaxis], np.nan, probabilities)
        probabilities = _flat(probabilities)
    rounding = 2e-12 if "GaussianProcess" in type(estimator).__name__ else 8 * 2.0**-53
    rounding = 1e-8 if getattr(estimator, "method", None) == "temperature" else rounding
    inside = (probabilities > 1e-10) & (probabilities < 1 - 1e-10)
    actual, expected = probabilities[inside], np.exp(_flat(reference)[inside])
    if not actual.size:
        return 0.0
    off = np.maximum(np.abs(actual - expected) - rounding, 0) / actual
    return float(np.max(np.where(np.isnan(off), np.inf, off)))


def main() -> int:
    """Print a table of all cases, and return 1 where a reference disagrees with scikit-learn."""
    started = time.perf_counter()
    worst = 0.0
    titles = f"{'-inf':>5} {'nan':>4} {'warns':>5} {'true -inf':>9} {'nan':>4} {'off':>8}"
    sys.stdout.write(f"scikit-learn {sklearn.__version__}\n{'':62}{'':>4} {'':>5}{titles}\n")
    for n_classes in (2, 3):
        X, y, X_near, X_far = near_and_far(n_classes)
        for name, estimator in cases(n_classes):
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                fitted = fit_case(name, clone(estimator), X, y)
            for place, rows in (("near", X_near), ("far", X_far)):
                reference = reference_log_proba(fitted, rows)
                off = disagreement(fitted, rows, reference)
                worst = max(worst, off)
                flat = _flat(reference)
                own, n_warnings = _scikit_learn_log_proba(fitted, rows)
                sys.stdout.write(
                    f"{name:62}{n_classes:>4} {place:>5}{np.sum(own == -np.inf):>5} "
                    f"{np.sum(np.isnan(own)):>4} {n_warnings:>5} {np.sum(flat == -np.inf):>9} "
                    f"{np.sum(np.isnan(flat)):>4} {off:>8.1e}\n"
                )
    seconds = time.perf_counter() - started
    sys.stdout.write(f"worst {worst:.1e}, in {seconds:.0f} s\n")
    return int(worst > 1e-9)


if __name__ == "__main__":
    sys.exit(main())
