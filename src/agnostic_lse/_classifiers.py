"""Exact log-probabilities of fitted classifiers: one rule for each family.

A rule starts from what a classifier has before it turns it into probabilities: scores, margins, or
the log-probabilities of the classifiers in it. What it must not meet is a probability that has been
rounded, to 0 or to 1.
"""

from __future__ import annotations

import functools
import inspect
import json
import math
from collections.abc import Callable, Iterable, Sequence
from numbers import Real
from typing import Any, NamedTuple, TypeVar

import array_api_compat as compat
import numpy as np
import scipy.sparse
from scipy.special import expit
from sklearn.base import BaseEstimator
from sklearn.utils.extmath import safe_sparse_dot
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted, validate_data

from ._elementary import log1p
from ._elementwise import log_expit, logaddexp
from ._namespace import Array, quiet, to_host
from ._products import logmatmulexp
from ._reductions import log_softmax, logmeanexp
from ._validation import by_blocks, floating

Function = Callable[[Any, Any], Any]


class Rule(NamedTuple):
    """How the log-probabilities of a classifier, its first argument, are found for samples."""

    function: Function
    what: str
    # What is called or read beside predict_proba: a subclass that overrides it has no rule.
    reads: tuple[str, ...] = ()
    # Whether the rule knows how it was configured, and the classifiers whose own rules it asks
    serves: Callable[[Any], bool] = lambda _: True
    inner: Callable[[Any], Iterable[Any]] = lambda _: ()


@quiet
@by_blocks
def log_proba(estimator: Any, X: Any, *, smoothing: float = 0.0) -> Any:
    r"""Return the exact log-probabilities of a fitted classifier.

    Parameters
    ----------
    estimator : classifier
        A fitted classifier of scikit-learn, XGBoost, LightGBM or CatBoost, one registered by
        `register_log_proba`, or any other that has ``predict_proba``.
    X : array_like of shape (n_samples, n_features)
        Samples, as the classifier takes them.
    smoothing : float, default=0.0
        Probability, at least 0 and below 1, that is taken from the classifier's and spread evenly
        over the classes, so that none has probability 0.

    Returns
    -------
    array of shape (n_samples, n_classes)
        The logarithms of what ``estimator.predict_proba(X)`` would be if nothing were rounded, in
        the same order and of the same shape: a list of arrays for several outputs.

    Raises
    ------
    TypeError
        If the estimator has no ``predict_proba``, or a rule of one's own gives no real numbers.
    ValueError
        If the smoothing is not a number from 0 to less than 1.
    sklearn.exceptions.NotFittedError
        If the estimator is not fitted.

    See Also
    --------
    log_proba_source : Say how the log-probabilities of a classifier are found.
    register_log_proba : Add a rule for a class of one's own.
    LogProbabilityClassifier : The same as a classifier, for pipelines and searches.

    Notes
    -----
    The scores s of a classifier go through its link in logarithms: with two classes
    :math:`\log p = -\log(1 + e^{\mp s})`, with more :math:`\log p_j = s_j - \log \sum_k e^{s_k}`.
    The probabilities of several classifiers are averaged by

    .. math:: \log p = \log \sum_m w_m e^{\log p_m} - \log \sum_m w_m.

    Where a probability is 0 and not merely small, as that of a class which no neighbour belongs to,
    its logarithm is -inf. With a smoothing of s, and K classes, :math:`(1 - s) p + s / K` takes the
    place of p. Of a label, which is there or not, K is 2.

    A subclass follows its parent's rule, unless it overrides ``predict_proba``,
    ``predict_log_proba`` or what the rule reads. Classifiers without a rule answer by their own
    ``predict_log_proba`` if scikit-learn did not write it, or by the logarithm of their
    ``predict_proba``.

    Of a Dask array the result is one too, lazily, block of rows by block. It is that of the
    classifier as it was at the call, and what it looks like a row of zeros tells.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from agnostic_lse.sklearn import log_proba
    >>> X, y = np.array([[-2.0], [-1.0], [1.0], [2.0]]), ["no", "no", "yes", "yes"]
    >>> model = LogisticRegression().fit(X, y)
    >>> print(log_proba(model, [[50.0], [1000.0]]).round(1))
    [[  -50.3    -0. ]
     [-1006.6    -0. ]]
    >>> with np.errstate(divide="ignore"):
    ...     print(model.predict_log_proba([[50.0], [1000.0]]).round(1))
    [[-inf   0.]
     [-inf   0.]]
    """
    checked_smoothing(smoothing)
    rule = _rule_or_refusal(estimator)
    out = (_own_or_logarithm if rule is None else rule.function)(estimator, X)
    if isinstance(out, list):
        return [smoothed(each, smoothing) for each in out]
    return smoothed(out, smoothing, bool(smoothing) and has_labels(estimator))


def gives_log_proba(estimator: Any) -> bool:
    """Tell whether there is a rule for a classifier."""
    return _rule_of(estimator) is not None


def log_proba_source(estimator: Any) -> str:
    """Say how `log_proba` finds the log-probabilities of a fitted classifier.

    Parameters
    ----------
    estimator : classifier
        A fitted classifier.

    Returns
    -------
    str
        Its class and the rule, and for a classifier made of others theirs, each once.

    See Also
    --------
    log_proba : The function which that is about.

    Raises
    ------
    TypeError
        If the estimator has no ``predict_proba``.
    sklearn.exceptions.NotFittedError
        If the estimator is not fitted.

    Notes
    -----
    "logarithm of predict_proba" means that nothing better is known. Where it is followed by "whose
    zeros are true", nothing better exists.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.ensemble import VotingClassifier
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from agnostic_lse.sklearn import log_proba_source
    >>> members = [("bayes", GaussianNB()), ("neighbours", KNeighborsClassifier())]
    >>> model = VotingClassifier(members, voting="soft").fit(*load_iris(return_X_y=True))
    >>> for line in log_proba_source(model).split("; "):
    ...     print(line)
    VotingClassifier: mean of those of its members, in log space
    GaussianNB: softmax of predict_joint_log_proba
    KNeighborsClassifier: logarithm of predict_proba, whose zeros are true
    """
    rule = _rule_or_refusal(estimator)
    name = type(estimator).__name__
    if rule is None:
        own = "its own predict_log_proba" if _has_own(estimator) else "logarithm of predict_proba"
        return f"{name}: {own}"
    parts = [f"{name}: {rule.what}", *map(log_proba_source, rule.inner(estimator))]
    return "; ".join(dict.fromkeys(part for each in parts for part in each.split("; ")))


Decorated = TypeVar("Decorated", bound=Function)


def register_log_proba(cls: type, *, reads: Sequence[str] = ()) -> Callable[[Decorated], Decorated]:
    """Add a rule for the log-probabilities of a class of classifiers: a decorator.

    Parameters
    ----------
    cls : type
        The class, whose subclasses follow it unless they override what is read.
    reads : sequence of str, optional
        Names of the methods of the class that the rule calls, beside ``predict_proba``.

    Returns
    -------
    callable
        A decorator of a function that takes a fitted classifier of the class and samples, and
        returns their log-probabilities: an array of shape (n_samples, n_classes), or a list of them
        for several outputs. The function itself stays as it is.

    Raises
    ------
    TypeError
        If `cls` is not a class, `reads` is a single name, or what is decorated is no function.
    ValueError
        If the class has no method of a name.

    See Also
    --------
    log_proba : The function that asks the rule.

    Notes
    -----
    A rule that is added later takes the place of an earlier one, the library's own included.

    Examples
    --------
    >>> import numpy as np
    >>> from agnostic_lse import log_expit
    >>> from agnostic_lse.sklearn import log_proba, register_log_proba
    >>> class Threshold:
    ...     def decision_function(self, X):
    ...         return np.asarray(X)[:, 0]
    >>> @register_log_proba(Threshold, reads=["decision_function"])
    ... def log_proba_of_threshold(estimator, X):
    ...     scores = estimator.decision_function(X)
    ...     return np.stack([log_expit(-scores), log_expit(scores)], axis=1)
    >>> print(log_proba(Threshold(), [[1000.0]]))
    [[-1000.    -0.]]
    """
    if not isinstance(cls, type):
        raise TypeError(
            f"cls is a {type(cls).__name__}, but a class of classifiers was expected: pass the "
            "class itself, as in @register_log_proba(MyClassifier)."
        )
    if isinstance(reads, str):
        raise TypeError(
            f"reads is {reads!r}, but a sequence of names was expected: pass [{reads!r}]."
        )
    for name in reads:
        if not callable(getattr(cls, name, None)):
            raise ValueError(
                f"reads has {name!r}, which is no method of {cls.__name__}: name methods that the "
                "rule calls."
            )

    def add(function: Decorated) -> Decorated:
        if not callable(function):
            raise TypeError(
                f"{function!r} was decorated, but a function of a classifier and of samples was "
                "expected: decorate one."
            )
        name = getattr(function, "__name__", type(function).__name__)
        checked = functools.partial(_checked, function)
        _REGISTERED[cls] = Rule(checked, f"{name}, a registered rule", tuple(reads))
        return function

    return add


def _checked(function: Function, estimator: Any, X: Any) -> Any:
    """Return what a registered rule gives, as real numbers with a row for each sample."""
    out = function(estimator, X)
    several = isinstance(out, list) and all(getattr(each, "ndim", 0) == 2 for each in out)
    name = f"the rule of {type(estimator).__name__}"
    arrays = [floating(name, each) for each in (out if several else [out])]
    for each in arrays:
        if each.ndim != 2:
            raise ValueError(
                f"{name} gave shape {tuple(each.shape)}, but one row for each sample and one "
                "column for each class was expected: return such an array."
            )
    return arrays if several else arrays[0]


_REGISTERED: dict[type, Rule] = {}


def _rule_or_refusal(estimator: Any) -> Rule | None:
    """Return the rule of a fitted classifier, or None if there is none but it has probabilities."""
    found = _found(estimator)
    if found is not None and found[0] not in _REGISTERED and isinstance(estimator, BaseEstimator):
        check_is_fitted(estimator)
    rule = _rule_of(estimator)
    if rule is None and not hasattr(estimator, "predict_proba"):
        raise TypeError(
            f"{estimator!r} has no predict_proba, but a classifier that gives probabilities was "
            "expected: choose one, calibrate it by sklearn.calibration.CalibratedClassifierCV, or "
            "register a rule by register_log_proba."
        )
    return rule


def _found(estimator: Any) -> tuple[type, Rule] | None:
    """Return the nearest base class that has a rule, and that."""
    for base in type(estimator).__mro__:
        name = f"{base.__module__.partition('.')[0]}.{base.__name__}"
        rule = _REGISTERED.get(base) or _RULES.get(name)
        if rule is not None:
            return base, rule
    return None


def _rule_of(estimator: Any) -> Rule | None:
    """Return the rule of an estimator's class, or None if there is none, or it was overridden."""
    found = _found(estimator)
    if found is None:
        return None
    base, rule = found
    if base not in _REGISTERED and not hasattr(estimator, "predict_proba"):
        return None
    overridden = any(
        _attribute(type(estimator), name) is not _attribute(base, name)
        or name in getattr(estimator, "__dict__", ())
        for name in ("predict_proba", "predict_log_proba", *rule.reads)
    )
    return None if overridden or not rule.serves(estimator) else rule


def _attribute(cls: type, name: str) -> Any:
    return inspect.getattr_static(cls, name, None)


def _has_own(estimator: Any) -> bool:
    """Tell whether a classifier has a predict_log_proba that is not scikit-learn's."""
    if not hasattr(estimator, "predict_log_proba"):
        return False
    definer = next(
        (base for base in type(estimator).__mro__ if "predict_log_proba" in vars(base)), None
    )
    return definer is None or definer.__module__.partition(".")[0] != "sklearn"


def _own_or_logarithm(estimator: Any, X: Any) -> Any:
    return estimator.predict_log_proba(X) if _has_own(estimator) else _logarithm(estimator, X)


def has_labels(estimator: Any) -> bool:
    """Tell whether columns are labels, each with a probability of its own, and not classes."""
    rule = _rule_of(estimator)
    if rule is not None and rule.what == _ASKS:
        return any(map(has_labels, rule.inner(estimator)))
    names = {base.__name__ for base in type(estimator).__mro__}
    if "ClassifierChain" in names or getattr(estimator, "multilabel_", False):
        return True
    if "StackingClassifier" in names:
        return isinstance(getattr(estimator, "_label_encoder", None), list)
    if "XGBClassifier" in names:
        # Its classes_ are those of any of the labels.
        learner = json.loads(estimator.get_booster().save_config())["learner"]
        return int(learner["learner_model_param"]["num_target"]) > 1
    is_network = "MLPClassifier" in names and estimator.out_activation_ == "logistic"
    return bool(is_network and estimator.n_outputs_ > 1)


def checked_smoothing(smoothing: Any) -> None:
    """Refuse what is no probability to spread."""
    is_number = isinstance(smoothing, Real) and not isinstance(smoothing, bool)
    if not is_number or not 0 <= smoothing < 1:
        raise ValueError(
            f"smoothing is {smoothing!r}, but a number from 0 to less than 1 was expected: pass "
            "the probability to spread over the classes, such as 1e-6."
        )


def smoothed(log_p: Array, share: float, of_labels: bool = False) -> Array:
    """Return log-probabilities after spreading a share over all columns, or there and not there."""
    if not share:
        return log_p
    even = math.log(share) - math.log(2 if of_labels else log_p.shape[1])
    spread_out = compat.array_namespace(log_p).full_like(log_p, even)
    return logaddexp(log_p + math.log1p(-share), spread_out)


# Links: from scores to log-probabilities


def _columns(*columns: Array) -> Array:
    return compat.array_namespace(columns[0]).stack(columns, axis=1)


def _logistic(scores: Array) -> Array:
    """Return those of two classes from the scores of the second."""
    xp = compat.array_namespace(scores)
    size = xp.abs(scores)
    likely = log_expit(size)
    # log(1 - p) is log(p) less the score, and nothing cancels, since both are negative.
    unlikely, of_second = likely - size, scores >= 0
    return _columns(xp.where(of_second, unlikely, likely), xp.where(of_second, likely, unlikely))


def _softmax(scores: Array) -> Array:
    return _logistic(scores) if scores.ndim == 1 else log_softmax(scores, axis=1)


def _against_rest(scores: Array) -> Array:
    """Return those of classes each of which was learnt against all others."""
    return _logistic(scores) if scores.ndim == 1 else log_softmax(log_expit(scores), axis=1)


def _log(p: Array) -> Array:
    """Return the logarithm of probabilities, of which rounding may have left some below 0."""
    xp = compat.array_namespace(p)
    return xp.log(xp.where(p < 0, xp.zeros_like(p), p))


def _shares(p: Array) -> Array:
    """Return those of rows of numbers in proportion to probabilities, even if all of them are 0."""
    xp = compat.array_namespace(p)
    return log_softmax(_log(xp.where(xp.all(p == 0, axis=1, keepdims=True), 1.0, p)), axis=1)


# Rules


def _logarithm(estimator: Any, X: Any) -> Any:
    p = estimator.predict_proba(X)
    return [_log(each) for each in p] if isinstance(p, list) else _log(p)


def _decision(estimator: Any, X: Any) -> Array:
    return _softmax(estimator.decision_function(X))


def _joint(estimator: Any, X: Any) -> Array:
    return log_softmax(estimator.predict_joint_log_proba(X), axis=1)


def _logistic_regression(estimator: Any, X: Any) -> Array:
    scores = estimator.decision_function(X)
    kind = getattr(estimator, "multi_class", None)  # until scikit-learn 1.7
    if scores.ndim == 1:
        return _logistic(2 * scores if kind == "multinomial" else scores)
    against_rest = kind == "ovr" or (kind is not None and estimator.solver == "liblinear")
    return _against_rest(scores) if against_rest else _softmax(scores)


def _gradient_boosting(estimator: Any, X: Any) -> Array:
    scores = estimator.decision_function(X)
    # The exponential loss is that of half the logarithm of the odds.
    return _softmax(2 * scores if _was_exponential(estimator) else scores)


def _was_exponential(estimator: Any) -> bool:
    """Tell which loss was fitted, since the parameter may have been set anew."""
    return type(estimator._loss).__name__ == "ExponentialLoss"


def _ada_boost(estimator: Any, X: Any) -> Array:
    scores = estimator.decision_function(X)
    return _softmax(scores if scores.ndim == 1 else scores / max(1, estimator.n_classes_ - 1))


def _stochastic_gradient(estimator: Any, X: Any) -> Array:
    scores = estimator.decision_function(X)
    if estimator.loss == "log_loss":
        return _against_rest(scores)
    scores = np.clip(scores, -1, 1)  # modified_huber
    if scores.ndim == 1:
        return _log(_columns((1 - scores) / 2, (1 + scores) / 2))
    return _shares((1 + scores) / 2)


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
    return _logistic(out[:, 0]) if estimator.n_outputs_ == 1 else log_expit(out)


def _label_propagation(estimator: Any, X: Any) -> Array:
    if estimator.kernel != "rbf":
        return _logarithm(estimator, X)
    X = validate_data(estimator, X, accept_sparse=True, reset=False)
    # Of |x - y|**2, which may be millions, |x|**2 is common to all and left out. What is left is
    # taken from near the samples that are known, and counts by its distance from the largest.
    centre = np.asarray(estimator.X_.mean(axis=0)).reshape(1, -1)
    known = np.asarray(estimator.X_ - centre)
    nearness = 2 * np.asarray(X - centre) @ known.T - np.sum(known**2, axis=1)
    log_weights = estimator.gamma * (nearness - np.max(nearness, axis=1, keepdims=True))
    return log_softmax(logmatmulexp(log_weights, _log(estimator.label_distributions_)), axis=1)


def _one_vs_rest(estimator: Any, X: Any) -> Array:
    members = [log_proba(member, X) for member in estimator.estimators_]
    if len(members) == 1:
        return members[0]
    out = np.stack([member[:, 1] for member in members], axis=1)
    return out if estimator.multilabel_ else log_softmax(out, axis=1)


def mean(members: Sequence[Array], weights: Any = None) -> Array:
    """Return the logarithm of the mean of probabilities."""
    xp = compat.array_namespace(*members)
    stacked = xp.stack(members)
    if weights is not None:
        weights = xp.asarray(weights, dtype=stacked.dtype, device=compat.device(stacked))
        weights = xp.reshape(weights, (-1, 1, 1))
    return logmeanexp(stacked, axis=0, b=weights)


def _voting(estimator: Any, X: Any) -> Array:
    weights = estimator.weights
    if weights is not None:
        named = zip(estimator.estimators, weights, strict=True)
        weights = [weight for (_, member), weight in named if member != "drop"]
        if sum(weights) == 0:
            raise ValueError(
                f"weights of the VotingClassifier are {estimator.weights!r}, which sum to 0, but a "
                "mean needs some: set others."
            )
    return mean([log_proba(member, X) for member in estimator.estimators_], weights)


def _bagging(estimator: Any, X: Any) -> Array:
    X = validate_data(
        estimator,
        X,
        accept_sparse=["csr", "csc"],
        dtype=None,
        ensure_all_finite=False,
        reset=False,
    )

    @quiet  # a thread does not know what its caller silenced
    def ask(member: Any, features: Any) -> Array:
        if not hasattr(member, "predict_proba"):
            votes = member.predict(X[:, features])[:, None] == np.arange(estimator.n_classes_)
            return _log(votes.astype(float))
        # Members know the classes by their numbers.
        return spread(log_proba(member, X[:, features]), member.classes_, estimator.n_classes_)

    members = zip(estimator.estimators_, estimator.estimators_features_, strict=True)
    # The work is NumPy's, which lets other threads run.
    run = Parallel(n_jobs=estimator.n_jobs, verbose=estimator.verbose, prefer="threads")
    return mean(run(delayed(ask)(*member) for member in members))


def places_of(classes: Any, among: Any) -> Any:
    """Return where classes stand among others, which may be in any order."""
    classes, among = to_host(classes), to_host(among)
    order = np.argsort(among)
    return order[np.searchsorted(among, classes, sorter=order)]


def spread(log_p: Array, places: Any, count: int) -> Array:
    """Return columns at their places among so many, of which the others have probability 0."""
    xp = compat.array_namespace(log_p)
    at = {int(place): column for column, place in enumerate(places)}
    if list(at) == list(range(count)):
        return log_p[:, :count]  # one more has a network that has seen one class alone
    nothing = xp.full_like(log_p[:, 0], -xp.inf)
    return _columns(*(log_p[:, at[i]] if i in at else nothing for i in range(count)))


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
                f"a member of the CalibratedClassifierCV has seen {own.shape[1]} of {count} "
                "classes, but a temperature is that of all: use splits that leave some samples of "
                "each."
            )
        return own
    binary = count == 2
    if scores.shape[1:] == (2,):
        scores = scores[:, 1]
    columns = [scores] if scores.ndim == 1 else list(scores.T)
    pairs = list(zip(member.calibrators, columns, strict=True))
    places = np.searchsorted(classes, member.estimator.classes_)[: len(columns)]
    if member.method == "sigmoid":
        log_odds = [-(by.a_ * column + by.b_) for by, column in pairs]
        if binary:
            return _logistic(log_odds[0])
        own = _columns(*map(log_expit, log_odds))
        return log_softmax(spread(own, places, count), axis=1)
    p = [by.predict(column) for by, column in pairs]
    if binary:
        return _columns(log1p(np, -p[0]), _log(p[0]))
    shares = np.zeros((len(p[0]), count))
    shares[:, places] = _columns(*p)
    return _shares(shares)


def _tempered(calibrator: Any, scores: Array, scored: bool) -> Array:
    """Return softmax of scores, or of the logarithms of probabilities, over a temperature."""
    xp = compat.array_namespace(scores)
    if scores.ndim == 1:
        logits = _columns(-scores, scores)
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


def _chain(estimator: Any, X: Any) -> Array:
    X = validate_data(estimator, X, accept_sparse=True, reset=False)
    method = getattr(estimator, "chain_method_", "predict")
    count = len(estimator.estimators_)
    before, out = np.zeros((X.shape[0], count)), np.empty((X.shape[0], count))
    for number, member in enumerate(estimator.estimators_):
        both = (X, before[:, :number])
        given = scipy.sparse.hstack(both) if scipy.sparse.issparse(X) else np.hstack(both)
        answer = getattr(member, method)(given)
        if (answer.ndim > 1 and answer.shape[1] > 2) or len(member.classes_) > 2:
            raise ValueError(
                f"{type(member).__name__} in the ClassifierChain has {len(member.classes_)} "
                "classes, but labels, which are there or not, were expected: chain them, or use "
                "sklearn.multioutput.MultiOutputClassifier."
            )
        before[:, number] = answer if answer.ndim == 1 else answer[:, 1]
        out[:, estimator.order_[number]] = log_proba(member, given)[:, 1]
    return out


def _stacking(estimator: Any, X: Any) -> Array:
    return log_proba(estimator.final_estimator_, estimator.transform(X))


def _pipeline(estimator: Any, X: Any) -> Any:
    if len(estimator.steps) > 1:
        X = estimator[:-1].transform(X)
    return log_proba(estimator.steps[-1][1], X)


def _eliminating(estimator: Any, X: Any) -> Any:
    return log_proba(estimator.estimator_, estimator.transform(X))


def _self_training(estimator: Any, X: Any) -> Any:
    X = validate_data(estimator, X, accept_sparse=True, ensure_all_finite=False, reset=False)
    return log_proba(estimator.estimator_, X)


def _multi_output(estimator: Any, X: Any) -> Any:
    return [log_proba(member, X) for member in estimator.estimators_]


def _threshold_of(estimator: Any) -> Any:
    return getattr(estimator, "estimator_", estimator.estimator)


def _delegating(to: Callable[[Any], Any]) -> Rule:
    """Return the rule that asks another classifier."""
    return Rule(
        lambda estimator, X: log_proba(to(estimator), X),
        _ASKS,
        inner=lambda estimator: [to(estimator)],
    )


def _members(estimator: Any) -> Iterable[Any]:
    return list(estimator.estimators_)


def _xgboost(estimator: Any, X: Any) -> Array:
    margins = estimator.predict(X, output_margin=True)
    return log_expit(margins) if has_labels(estimator) else _softmax(margins)


def _lightgbm(estimator: Any, X: Any) -> Array:
    scores = estimator.predict_proba(X, raw_score=True)
    steepness = estimator.booster_.params.get("sigmoid", 1.0)
    return _softmax(scores * steepness if scores.ndim == 1 else scores)


def _is_boosted(estimator: Any) -> bool:
    """Tell whether raw scores of LightGBM are sums, and not means as of a random forest."""
    params = estimator.booster_.params
    return bool(params.get("boosting", params.get("boosting_type")) != "rf")


def _catboost(estimator: Any, X: Any) -> Array:
    return _softmax(estimator.predict(X, prediction_type="RawFormulaVal"))


def _loss_of_catboost(estimator: Any) -> str:
    return str(estimator.get_all_params().get("loss_function"))


_LINK = "logistic function or softmax of decision_function"
_LINKED = Rule(_decision, _LINK, ("decision_function",))
_ASKS = "those of the classifier in it"
_MEAN = "mean of those of its members, in log space"
_ZEROS = Rule(_logarithm, "logarithm of predict_proba, whose zeros are true")
# There is nothing that a better logarithm could be taken of.
_OPAQUE = Rule(_logarithm, "logarithm of predict_proba")

# By the package and the name of the class, so that none is imported for it
_RULES: dict[str, Rule] = {
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
    ),
    "sklearn._BaseNB": Rule(
        _joint, "softmax of predict_joint_log_proba", ("predict_joint_log_proba",)
    ),
    "sklearn.BaseLabelPropagation": Rule(
        _label_propagation, "sum of its kernel's weights in log space, or of its neighbours'"
    ),
    # Classifiers made of others
    "sklearn.OneVsRestClassifier": Rule(
        _one_vs_rest, "those of its members, normalised in log space", inner=_members
    ),
    "sklearn.CalibratedClassifierCV": Rule(
        _calibrated,
        "calibrators' functions of its members' scores, averaged in log space",
        serves=lambda estimator: estimator.method in ("sigmoid", "isotonic", "temperature"),
    ),
    "sklearn.VotingClassifier": Rule(
        _voting,
        _MEAN,
        ("_collect_probas",),
        serves=lambda estimator: estimator.voting == "soft",
        inner=_members,
    ),
    "sklearn.BaggingClassifier": Rule(
        _bagging,
        "mean of those of its members, or of their votes, in log space",
        inner=lambda e: [member for member in e.estimators_ if hasattr(member, "predict_proba")],
    ),
    "sklearn.ClassifierChain": Rule(_chain, "those of its members", inner=_members),
    "sklearn.MultiOutputClassifier": Rule(_multi_output, "those of its members", inner=_members),
    "sklearn.StackingClassifier": Rule(
        _stacking,
        "those of its final estimator",
        ("transform",),
        serves=lambda estimator: not isinstance(getattr(estimator, "_label_encoder", []), list),
        inner=lambda estimator: [estimator.final_estimator_],
    ),
    # Classifiers that ask another
    "sklearn.Pipeline": _delegating(lambda e: e.steps[-1][1])._replace(
        function=_pipeline, serves=lambda e: e.steps[-1][1] not in (None, "passthrough")
    ),
    "sklearn.RFE": _delegating(lambda e: e.estimator_)._replace(
        function=_eliminating, reads=("transform",)
    ),
    "sklearn.SelfTrainingClassifier": _delegating(lambda e: e.estimator_)._replace(
        function=_self_training
    ),
    "sklearn.BaseSearchCV": _delegating(lambda e: e.best_estimator_),
    "sklearn.FrozenEstimator": _delegating(lambda e: e.estimator),
    "sklearn.BaseThresholdClassifier": _delegating(_threshold_of),
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
    # Our own
    "agnostic_lse.LogProbabilityClassifier": _delegating(lambda e: e.estimator_)._replace(
        function=lambda e, X: log_proba(e.estimator_, X, smoothing=e.smoothing)
    ),
    "agnostic_lse.LogPoolClassifier": Rule(
        lambda e, X: e.predict_log_proba(X), "pool of those of its members", inner=_members
    ),
    # Other packages
    "xgboost.XGBClassifier": Rule(
        _xgboost,
        "logistic function or softmax of its margins",
        ("predict",),
        serves=lambda e: e.objective in ("binary:logistic", "multi:softprob", "multi:softmax"),
    ),
    "lightgbm.LGBMClassifier": Rule(
        _lightgbm,
        "logistic function or softmax of its raw scores",
        serves=lambda e: e.objective_ in ("binary", "multiclass") and _is_boosted(e),
    ),
    "catboost.CatBoostClassifier": Rule(
        _catboost,
        "logistic function or softmax of its raw values",
        ("predict",),
        serves=lambda e: _loss_of_catboost(e) in ("Logloss", "CrossEntropy", "MultiClass"),
    ),
}
