"""The logarithmic loss of log-probabilities, without clipping, and a scorer made of it."""

from __future__ import annotations

from typing import Any

import array_api_compat as compat
import numpy as np
from sklearn.metrics._scorer import _BaseScorer

from ._elementwise import log1mexp
from ._namespace import (
    Array,
    DType,
    Namespace,
    arguments,
    constant,
    finished,
    quiet,
    real_working,
    refuse_containers,
    to_host,
    without_empty_blocks,
)
from ._reductions import logsumexp
from ._sums import total
from ._validation import (
    is_not_numeric,
    is_unread,
    lies_on,
    moved,
    number_of_classes,
    widest_dtype,
)
from ._wording import counted, kind_of

# How far from 0 the logarithm of a row's sum may be. What normalising and storing in a dtype of
# unit roundoff u leaves is u times the sum of p |log p| <= log(n_classes): below 16 u, which is
# 8 eps, for up to 8 million classes. Scores and probabilities are off by far more than 1e-3.
_LEAST_TOLERANCE = 1e-3
_ROUNDINGS = 8


def log_loss(y_true: Any, log_proba: Any, *, sample_weight: Any = None, labels: Any = None) -> Any:
    r"""Mean negative log-probability of the true classes, without clipping.

    Parameters
    ----------
    y_true : array_like of shape (n_samples,)
        True labels: numbers or strings.
    log_proba : array_like of shape (n_samples, n_classes) or (n_samples,)
        Log-probabilities, one column for each label in sorted order, as `predict_log_proba` of a
        classifier returns them; or, for two labels, those of the second alone.
    sample_weight : array_like of shape (n_samples,), optional
        Weights of the samples, at least 0. A sample of weight 0 counts as if it were not there,
        whatever its log-probabilities, except that its label is one of the labels.
    labels : array_like of shape (n_classes,), optional
        All labels, in any order. Those found in `y_true` if not given.

    Returns
    -------
    float
        The loss, inf where a true class has the probability 0, and nan where an entry is nan.
        While JAX traces, and of Dask arrays, an array without axes and of the dtype of
        `log_proba`.

    Raises
    ------
    ValueError
        If the exponentials of a row do not sum to 1, as those of probabilities or scores do not;
        if shapes or labels do not fit each other, there are fewer than two labels, or a weight is
        negative, nan or infinite or all of them are 0. Entries that are not known yet, in Dask
        arrays and while JAX traces, are not looked at, and of a label that is none of `labels` the
        loss is nan.
    TypeError
        If an argument is of a kind that it cannot be, such as complex, sparse or masked.

    See Also
    --------
    neg_log_loss_scorer : The same, negative, as a scorer for model selection.
    agnostic_lse.log_softmax : Turns scores into log-probabilities.

    Notes
    -----
    With the weights :math:`w_i`, 1 if not given, and the log-probability
    :math:`\log p_i(y)` of a label y for sample i,

    .. math:: -\frac{\sum_i w_i \log p_i(y_i)}{\sum_i w_i}.

    ``sklearn.metrics.log_loss`` takes probabilities and clips them to [eps, 1 - eps]: it says 36
    where the truth is 2000 or infinite. Of two labels, `log_proba` of one dimension gives the
    first the log-probability ``log1mexp(log_proba)``. A row that is all -inf, to which no class
    has any probability, gives the loss inf.

    The sum is taken as a tree and in float64, if the device has it. Arrays of labels and weights
    may lie elsewhere than `log_proba`, as NumPy's labels of text do beside an array on a GPU, and
    are moved to it; `log_proba` stays where it is. Without `labels`, those of an array on a GPU
    are sought on the host.

    Examples
    --------
    >>> from agnostic_lse.sklearn import log_loss
    >>> print(log_loss(["ham", "spam"], [[-1e-9, -2048.0], [-2048.0, -1e-9]]))
    1e-09
    >>> print(log_loss(["spam", "ham"], [[-1e-9, -2048.0], [-2048.0, -1e-9]]))
    2048.0

    The first sample weighs three times as much as the second, and `labels` says which class the
    samples lack:

    >>> log_proba = [[-800.0, 0.0, -900.0], [0.0, -800.0, -900.0]]
    >>> print(log_loss([1, 1], log_proba, sample_weight=[3, 1], labels=[1, 2, 3]))
    600.0
    """
    classes = None if labels is None else _unique("labels", _on_host("labels", labels))
    return _loss(y_true, log_proba, sample_weight, classes)


class _NegLogLossScorer(_BaseScorer):  # type: ignore[misc]
    r"""Scorer that returns the negative `log_loss` of a classifier, without clipping.

    It is called as ``neg_log_loss_scorer(estimator, X, y, sample_weight=None)`` with a fitted
    classifier that has `predict_log_proba`, and stands for `scoring` in `cross_val_score`,
    `GridSearchCV` and their like. It scores what that method says, which scikit-learn's classifiers
    round; `LogProbabilityClassifier` around one gives exact log-probabilities.

    Raises
    ------
    AttributeError
        If the estimator has no `predict_log_proba`.
    ValueError
        As of `log_loss`.

    See Also
    --------
    log_loss : The loss itself.

    Notes
    -----
    The score of a classifier with the log-probabilities :math:`\log p(y \mid x)` is

    .. math:: \frac{\sum_i w_i \log p(y_i \mid x_i)}{\sum_i w_i},

    at most 0, and the larger the better. The classifier's `classes_` are the labels, so that the
    samples need not have all of them. Of two classes too it takes both columns of
    `predict_log_proba`: ``make_scorer`` would take one, from which, where it is 0, the other's
    log-probability cannot be told.

    Under scikit-learn's metadata routing, ``set_score_request(sample_weight=True)`` asks for
    weights, and changes the scorer in place as it does those of ``make_scorer``: to leave this
    one as it is, set that of a ``copy.deepcopy``.

    Examples
    --------
    >>> from sklearn.model_selection import cross_val_score
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from agnostic_lse.sklearn import neg_log_loss_scorer
    >>> X = [[0.0], [1.0], [0.5], [40.0], [41.0], [40.5], [1.0], [41.0]]
    >>> y = ["low", "low", "low", "high", "high", "low", "high", "high"]  # two are mislabelled
    >>> for scoring in (neg_log_loss_scorer, "neg_log_loss"):
    ...     print(cross_val_score(GaussianNB(), X, y, cv=2, scoring=scoring).round(2).tolist())
    [-0.68, -1580.0]
    [-0.68, -18.02]
    """

    def __init__(self) -> None:
        super().__init__(log_loss, -1, {}, response_method="predict_log_proba")

    def __repr__(self) -> str:
        return "neg_log_loss_scorer"

    def _score(
        self, method_caller: Any, estimator: Any, X: Any, y_true: Any, sample_weight: Any = None
    ) -> Any:
        """Return the score; what calls the method would give one column of two."""
        del method_caller
        if not hasattr(estimator, "predict_log_proba"):
            raise AttributeError(
                f"{type(estimator).__name__} has no predict_log_proba, which neg_log_loss_scorer "
                "calls: wrap it in agnostic_lse.sklearn.LogProbabilityClassifier(estimator)."
            )
        log_proba = estimator.predict_log_proba(X)
        number_of_classes(estimator)  # or a refusal of several outputs
        # In the order of the columns, which need not be sorted
        classes = _on_host("classes_", estimator.classes_)
        return -_loss(y_true, log_proba, sample_weight, classes)


neg_log_loss_scorer = _NegLogLossScorer()


@quiet
def _loss(y_true: Any, log_proba: Any, sample_weight: Any, classes: Any) -> Any:
    """Return the loss; the columns of log_proba are in the order of the classes."""
    xp, dtype, (log_proba,), _ = arguments(None, log_proba=log_proba)
    log_proba = real_working(xp, "log_proba", log_proba, dtype)
    if log_proba.ndim not in (1, 2) or log_proba.shape[0] == 0:
        raise ValueError(
            f"log_proba has shape {tuple(log_proba.shape)}, but one row of log-probabilities for "
            "each of one or more samples was expected: pass predict_log_proba(X)."
        )
    device = compat.device(log_proba)
    true = _membership(xp, device, y_true, log_proba, classes)
    weights = _weights(xp, device, sample_weight, log_proba)
    if not is_unread(log_proba) and not is_unread(weights):
        _refuse_unnormalised(xp, log_proba, dtype, weights)
    if log_proba.ndim == 1:
        # Rounding may leave a bit more than 0.
        others = log1mexp(xp.where(log_proba > 0, 0.0, log_proba))
        log_true = xp.where(true[:, 1], log_proba, others)
    else:
        # Of a row with nan, nan is left.
        log_true = xp.sum(xp.where(true | xp.isnan(log_proba), log_proba, 0.0), axis=1)
    if is_unread(true):  # so that no label could be refused
        log_true = xp.where(xp.any(true, axis=1), log_true, xp.nan)
    loss = _mean(xp, -xp.astype(log_true, weights.dtype), weights)
    lazy = any(map(is_unread, (log_proba, true, weights)))
    return finished(xp, loss, dtype) if lazy else float(constant(loss))


def _membership(xp: Namespace, device: Any, y_true: Any, log_proba: Array, classes: Any) -> Array:
    """Return for each sample and each class whether that is the true one."""
    refuse_containers("y_true", y_true)
    beside = not compat.is_numpy_namespace(xp) and lies_on(xp, device, y_true)
    y = without_empty_blocks(y_true) if beside else _on_host("y_true", y_true)
    _refuse_length("y_true", y, log_proba)
    name = "labels"
    if classes is None:
        if is_unread(y):
            raise ValueError(
                f"labels is None, but y_true is {kind_of(y)} whose entries are not known yet: "
                "pass all labels."
            )
        classes, name = _unique("y_true", to_host(y)), "y_true"
    _refuse_columns(name, classes, log_proba)
    if not beside:
        codes = moved(xp, device, _codes(y, classes))
        return codes[:, None] == moved(xp, device, np.arange(len(classes)))[None, :]
    held = None
    if not is_not_numeric(classes):
        held = classes.astype(str(y.dtype).rpartition(".")[2])
    elif compat.is_dask_namespace(xp) and y.dtype.kind == classes.dtype.kind:
        held = classes  # its blocks hold whatever NumPy's arrays do
    if held is None or not np.array_equal(held, classes):
        raise ValueError(
            f"y_true has dtype {y.dtype}, which does not hold all of the labels {_few(classes)}: "
            "pass both of one kind."
        )
    true = y[:, None] == moved(xp, device, held)[None, :]
    if not is_unread(true):
        known = xp.any(true, axis=1)
        if not xp.all(known):
            raise _unseen(to_host(y[int(xp.argmin(xp.astype(known, xp.int32)))]), classes)
    return true


def _codes(y: Array, classes: Array) -> Array:
    """Return for each label on the host its place among the classes, which may be in any order."""
    order = np.argsort(classes)
    try:
        place = np.searchsorted(classes, y, sorter=order)
    except TypeError as error:  # objects without an order, such as texts and numbers
        raise TypeError(
            f"y_true has dtype {y.dtype} and the labels {_few(classes)} have dtype "
            f"{classes.dtype}, which cannot be compared: pass both of one kind."
        ) from error
    codes = order[np.minimum(place, len(classes) - 1)]
    wrong = np.asarray(classes[codes] != y)
    if wrong.any():
        raise _unseen(y[np.argmax(wrong)], classes)
    return codes


def _unseen(label: Any, classes: Array) -> ValueError:
    label = label.item() if isinstance(label, np.generic) else label
    return ValueError(
        f"y_true has the label {label!r}, which is none of {_few(classes)}: pass labels with one "
        "label for each column of log_proba."
    )


def _unique(name: str, labels: Array) -> Array:
    """Return the labels on the host in order, each once."""
    try:
        return np.unique(labels)
    except TypeError as error:
        raise TypeError(
            f"{name} has labels that cannot be sorted ({error}), but labels of one kind were "
            "expected: pass all as strings or all as numbers."
        ) from error


def _refuse_columns(name: str, classes: Array, log_proba: Array) -> None:
    n_columns = 2 if log_proba.ndim == 1 else log_proba.shape[1]
    if len(classes) < 2 or len(classes) != n_columns:
        columns = (
            "is one-dimensional" if log_proba.ndim == 1 else f"has {counted(n_columns, 'column')}"
        )
        raise ValueError(
            f"{name} has {counted(len(classes), 'distinct label')}, {_few(classes)}, but log_proba "
            f"{columns}: pass labels with one label for each column, and at least two."
        )


def _few(classes: Array) -> str:
    """Return the labels as a text that is not too long."""
    listed = [repr(label) for label in classes[:5].tolist()]
    return "[" + ", ".join([*listed, "..."] if len(classes) > 5 else listed) + "]"


def _on_host(name: str, value: Any) -> Array:
    """Return what one dimension of NumPy holds of labels or weights from anywhere."""
    refuse_containers(name, value)
    if is_unread(value):
        raise TypeError(
            f"{name} is {kind_of(value)} whose entries are not known yet, but what can be moved "
            "beside log_proba was expected: pass both from one namespace."
        )
    array = to_host(value)
    if array.ndim != 1:
        raise ValueError(
            f"{name} has shape {array.shape}, but one dimension was expected: pass one entry for "
            f"each {'class' if name == 'labels' else 'sample'}."
        )
    return array


def _refuse_length(name: str, array: Array, log_proba: Array) -> None:
    n_samples = log_proba.shape[0]
    if np.isnan(n_samples) and isinstance(array, np.ndarray):
        raise ValueError(
            f"{name} lies in host memory, but log_proba is a Dask array of unknown chunks: call "
            "log_proba.compute_chunk_sizes() first, or pass a Dask array of the same chunks."
        )
    if array.ndim != 1 or not (array.shape[0] == n_samples or np.isnan(array.shape[0] + n_samples)):
        raise ValueError(
            f"{name} has shape {tuple(array.shape)}, but log_proba has "
            f"{counted(n_samples, 'row')}: pass one entry for each row."
        )


def _weights(xp: Namespace, device: Any, sample_weight: Any, log_proba: Array) -> Array:
    """Return the weights in the widest dtype, 1 if not given."""
    wide = xp.result_type(log_proba.dtype, widest_dtype(xp, device))
    if sample_weight is None:
        return xp.ones_like(log_proba if log_proba.ndim == 1 else log_proba[:, 0], dtype=wide)
    refuse_containers("sample_weight", sample_weight)
    beside = lies_on(xp, device, sample_weight)
    weights = (
        without_empty_blocks(sample_weight) if beside else _on_host("sample_weight", sample_weight)
    )
    _refuse_length("sample_weight", weights, log_proba)
    if not beside:
        if weights.dtype.kind not in "biuf":
            raise TypeError(
                f"sample_weight has dtype {weights.dtype}, but numbers were expected: pass one "
                "number for each sample."
            )
        weights = moved(xp, device, weights.astype(np.float64))
    weights = xp.astype(weights, wide)
    if is_unread(weights):
        return weights
    if not xp.all((weights >= 0) & (weights < xp.inf)):
        raise ValueError(
            "sample_weight has an entry that is negative, nan or infinite, but finite weights of "
            "at least 0 were expected: drop such samples, or give them the weight 0."
        )
    if not xp.any(weights > 0):
        raise ValueError(
            "sample_weight is 0 for all samples, but a mean needs some: give one of them a "
            "positive weight."
        )
    return weights


def _refuse_unnormalised(xp: Namespace, log_proba: Array, dtype: DType, weights: Array) -> None:
    """Refuse what cannot be log-probabilities, in rows that count."""
    # NumPy does not know the bfloat16 that comes from elsewhere.
    eps = 2.0**-7 if "bfloat16" in str(dtype) else float(xp.finfo(dtype).eps)
    if log_proba.ndim == 1:
        # Probabilities of rare events are small, so that nothing but rounding may pass.
        wrong = (log_proba > _ROUNDINGS * eps) & (weights > 0)
        if xp.any(wrong):
            entry = xp.max(xp.where(wrong, constant(log_proba), -xp.inf))
            raise ValueError(
                f"log_proba has the entry {float(entry):.4g}, but "
                "log-probabilities, which are at most 0, were expected: pass those of the second "
                "label, such as predict_log_proba(X)[:, 1]."
            )
        return
    whole = logsumexp(constant(log_proba), axis=1)
    tolerance = max(_LEAST_TOLERANCE, _ROUNDINGS * eps)
    wrong = (xp.abs(whole) > tolerance) & (whole != -xp.inf) & (weights > 0)
    if xp.any(wrong):
        row = int(xp.argmax(xp.astype(wrong, xp.int32)))
        raise ValueError(
            f"Row {row} of log_proba has exponentials that sum to {np.exp(float(whole[row])):.4g}, "
            "but log-probabilities, whose exponentials sum to 1, were expected: pass "
            "predict_log_proba(X), or agnostic_lse.log_softmax(scores, axis=1) of scores."
        )


def _mean(xp: Namespace, x: Array, weights: Array) -> Array:
    """Return the weighted mean of finite numbers and inf, without axes."""
    x = xp.where(weights == 0, 0.0, x)
    # Relative to the largest, lest products and sums overflow or vanish.
    largest = xp.max(weights)
    weights = weights / xp.where(largest == 0, 1.0, largest)
    infinite = xp.isinf(x)  # also beside a weight that vanishes
    terms = xp.where(infinite, x, xp.where(infinite, 0.0, x) * weights)
    whole = _sum(xp, weights)
    mean = _sum(xp, terms) / xp.where(whole == 0, xp.nan, whole)
    return mean + 0.0  # which is 0, not -0, for a loss of 0


def _sum(xp: Namespace, x: Array) -> Array:
    # Dask adds as a tree by itself.
    return xp.sum(x) if compat.is_dask_namespace(xp) else total(xp, x, (0,))[0]
