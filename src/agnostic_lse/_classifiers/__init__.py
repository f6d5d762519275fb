"""Exact log-probabilities of fitted classifiers: one rule for each family.

A rule starts from what a classifier has before it turns it into probabilities: scores, margins, or
the log-probabilities of the classifiers in it. What it must not meet is a probability that has been
rounded, to 0 or to 1.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from .._namespace import quiet
from .._rows import by_blocks
from .._validation import floating
from .._wording import kind_of
from . import boosters, calibrated, composite, single
from .columns import refuse_other_smoothing, smoothed
from .rule import Function, Rule


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
    ``predict_log_proba`` if scikit-learn did not write it and no subclass of its class overrides
    ``predict_proba`` alone, or else by the logarithm of their ``predict_proba``.

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
    refuse_other_smoothing(smoothing)
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

    Raises
    ------
    TypeError
        If the estimator has no ``predict_proba``.
    sklearn.exceptions.NotFittedError
        If the estimator is not fitted.

    See Also
    --------
    log_proba : The function which that is about.

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
            f"cls is {kind_of(cls)}, but a class of classifiers was expected: pass the "
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


# By the package and the name of the class, so that none is imported for it
_RULES = {**single.RULES, **calibrated.RULES, **composite.rules(log_proba), **boosters.RULES}
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
        rule = _REGISTERED.get(base) or _built_in(base)
        if rule is not None:
            return base, rule
    return None


def _built_in(cls: type) -> Rule | None:
    # This package's own have no package before the dot, since a copy may be called anything.
    ours = cls.__module__.startswith(__package__.rpartition(".")[0] + ".")
    package = "" if ours else cls.__module__.partition(".")[0]
    return _RULES.get(f"{package}.{cls.__name__}")


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
    """Tell whether a classifier has a predict_log_proba that is not scikit-learn's.

    Where a subclass has overridden predict_proba alone, it no longer says the same.
    """
    if not hasattr(estimator, "predict_log_proba"):
        return False
    bases = type(estimator).__mro__
    definer = next((base for base in bases if "predict_log_proba" in vars(base)), None)
    if definer is None:
        return True
    later = [base for base in bases if issubclass(base, definer) and base is not definer]
    overridden = any("predict_proba" in vars(base) for base in later)
    return not overridden and definer.__module__.partition(".")[0] != "sklearn"


def _own_or_logarithm(estimator: Any, X: Any) -> Any:
    return estimator.predict_log_proba(X) if _has_own(estimator) else single.logarithm(estimator, X)


def has_labels(estimator: Any) -> bool:
    """Tell whether columns are labels, each with a probability of its own, and not classes."""
    rule = _rule_of(estimator)
    if rule is not None and rule.delegates:
        return any(map(has_labels, rule.inner(estimator)))
    # Whether they are does not depend on who finds their probabilities.
    rules = map(_built_in, type(estimator).__mro__)
    return any(rule is not None and rule.labels(estimator) for rule in rules)
