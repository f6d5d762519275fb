"""Log-probabilities in scikit-learn: steps for a pipeline, and a mixin for classifiers.

Everything here follows ``sklearn.set_config(array_api_dispatch=True)``: arrays of CuPy, PyTorch and
others then stay in their namespace and on their device.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from typing import Any

import array_api_compat as compat
import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data

from ._namespace import Array, arguments, to_host, working_dtype
from ._reductions import log_softmax, logsumexp, softmax

__all__ = ["LogProbabilityMixin", "LogSoftmaxTransformer", "LogSumExpTransformer"]

_Strings = np.ndarray[tuple[int], np.dtype[np.object_]]


class LogSoftmaxTransformer(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    r"""Turn each row of scores into log-probabilities.

    Parameters
    ----------
    temperature : float, default 1.0
        Number above 0 that divides the scores first. Above 1 it brings the probabilities closer to
        each other, below 1 it drives them apart.

    Attributes
    ----------
    n_features_in_ : int
        Number of columns seen by `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns seen by `fit`, if all are strings.

    See Also
    --------
    LogSumExpTransformer : Pools columns of log-probabilities.
    agnostic_lse.log_softmax : The function behind it.

    Notes
    -----
    With temperature :math:`T` the row :math:`x` becomes

    .. math:: \frac{x_i}{T} - \log \sum_j e^{x_j / T}.

    A score of -inf gives a log-probability of -inf, and a row of nothing else stays as it is; nan
    and +inf are refused. float32 stays float32, and integers become the default real dtype. There
    is nothing to learn: without `fit`, `transform` does the same.

    Examples
    --------
    >>> from agnostic_lse.sklearn import LogSoftmaxTransformer
    >>> LogSoftmaxTransformer().fit_transform([[40.0, 0.0]])
    array([[-4.24835426e-18, -4.00000000e+01]])
    """

    def __init__(self, temperature: float = 1.0) -> None:
        self.temperature = temperature

    def fit(self, X: Any, y: Any = None) -> LogSoftmaxTransformer:  # noqa: ARG002
        """Check the parameter and the scores.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Scores.
        y : None
            Ignored.

        Returns
        -------
        LogSoftmaxTransformer
            Itself.

        Raises
        ------
        ValueError
            If the temperature is not above 0 and finite, or X holds nan or +inf.
        """
        self._checked_temperature()
        _checked_scores(self, X, reset=True)
        return self

    def transform(self, X: Any) -> Any:
        """Turn scores into log-probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Scores.

        Returns
        -------
        array of shape (n_samples, n_features)
            Log-probabilities, of which each row's exponentials add up to 1.

        Raises
        ------
        ValueError
            If the temperature is not above 0 and finite, or X holds nan or +inf.
        """
        temperature = self._checked_temperature()
        xp, dtype, (x,), _ = arguments(None, X=_checked_scores(self, X, reset=False))
        if temperature != 1:
            with np.errstate(over="ignore"):
                x = xp.astype(x, working_dtype(xp, dtype)) / temperature
        return xp.astype(log_softmax(x, axis=1), dtype, copy=False)

    def _checked_temperature(self) -> float:
        if not isinstance(self.temperature, Real) or not 0 < self.temperature < math.inf:
            raise ValueError(
                f"temperature is {self.temperature!r}, but a finite number above 0 was expected: "
                "pass 1.0 to leave the scores as they are."
            )
        return float(self.temperature)

    def __sklearn_tags__(self) -> Tags:
        """Declare what scikit-learn asks of every estimator."""
        tags = _declared(super().__sklearn_tags__())
        tags.requires_fit = False
        return tags


class LogSumExpTransformer(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    r"""Pool columns in log space: all of them, or each group of them.

    Parameters
    ----------
    groups : mapping, array-like or None, default None
        Either a mapping from the name of each output to its columns, as a list of names or indices
        or as one of them; or labels, one for each column, of which equal ones form a group. Groups
        may share columns, and columns of no group are left out. None pools all columns into one.

    Attributes
    ----------
    groups_ : dict of str to list of int
        Indices of the columns behind each output, in the order of the outputs.
    n_features_in_ : int
        Number of columns seen by `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns seen by `fit`, if all are strings.

    See Also
    --------
    LogSoftmaxTransformer : Turns scores into log-probabilities.
    agnostic_lse.logsumexp : The function behind it.

    Notes
    -----
    The output of a group :math:`G` of columns is

    .. math:: \log \sum_{j \in G} e^{x_j},

    the log-probability of any of its classes where :math:`x` are log-probabilities. An entry of
    -inf stands for a probability of 0; nan and +inf are refused.

    Examples
    --------
    >>> import numpy as np
    >>> from agnostic_lse.sklearn import LogSumExpTransformer
    >>> pool = LogSumExpTransformer({"vowel": [0, 2], "consonant": 1})
    >>> log_proba = np.log([[0.25, 0.5, 0.25]])
    >>> np.exp(pool.fit_transform(log_proba))
    array([[0.5, 0.5]])
    >>> pool.get_feature_names_out()
    array(['vowel', 'consonant'], dtype=object)
    """

    def __init__(self, groups: Mapping[str, Any] | npt.ArrayLike | None = None) -> None:
        self.groups = groups

    def fit(self, X: Any, y: Any = None) -> LogSumExpTransformer:  # noqa: ARG002
        """Find the columns of each group.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Logarithms, with column names if the groups name columns.
        y : None
            Ignored.

        Returns
        -------
        LogSumExpTransformer
            Itself.

        Raises
        ------
        ValueError
            If the groups do not fit the columns, or X holds nan or +inf.
        """
        _checked_scores(self, X, reset=True)
        columns = list(getattr(self, "feature_names_in_", ()))
        self.groups_ = _resolved(self.groups, self.n_features_in_, columns)
        return self

    def transform(self, X: Any) -> Any:
        """Pool the columns of each group.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Logarithms.

        Returns
        -------
        array of shape (n_samples, n_groups)
            Logarithms of the sums of exponentials.

        Raises
        ------
        ValueError
            If X holds nan or +inf, or other columns than at `fit`.
        """
        check_is_fitted(self)
        x = _checked_scores(self, X, reset=False)
        xp, _, (x,), _ = arguments(None, X=x)
        device = compat.device(x)
        pooled = [
            logsumexp(xp.take(x, xp.asarray(indices, device=device), axis=1), axis=1)
            for indices in self.groups_.values()
        ]
        return xp.stack(pooled, axis=1)

    def get_feature_names_out(self, input_features: Any = None) -> _Strings:
        """Return the names of the groups, or "logsumexp" where all columns are pooled.

        Parameters
        ----------
        input_features : array-like of str, optional
            Names of the columns seen by `fit`; only checked.

        Returns
        -------
        ndarray of str of shape (n_groups,)
            Names of the outputs.

        Raises
        ------
        ValueError
            If `input_features` are not the columns seen by `fit`.
        """
        check_is_fitted(self)
        if input_features is not None:
            names = list(input_features)
            known = list(getattr(self, "feature_names_in_", names))
            if len(names) != self.n_features_in_ or names != known:
                raise ValueError(
                    "input_features should have length equal to number of features "
                    f"({self.n_features_in_}) and match feature_names_in_, but {names} came: "
                    "leave it out."
                )
        return np.asarray(list(self.groups_), dtype=object)

    def __sklearn_tags__(self) -> Tags:
        """Declare what scikit-learn asks of every estimator."""
        return _declared(super().__sklearn_tags__())


class LogProbabilityMixin:
    r"""Give a classifier its predictions from the logarithm of its joint density.

    The host, which comes after it in the list of base classes, provides ``classes_`` and
    ``predict_joint_log_proba(X)``: an array of shape (n_samples, n_classes) with
    :math:`\log p(x, y)` for each class, or scores that differ from it by a constant for each row.

    See Also
    --------
    LogSoftmaxTransformer : The same normalisation as a step of a pipeline.

    Notes
    -----
    With the joint log-density :math:`\ell_y` of a row,

    .. math::
       \log p(y \mid x) = \ell_y - \log \sum_c e^{\ell_c}, \qquad
       \log p(x) = \log \sum_c e^{\ell_c}.

    A row of -inf alone belongs to no class: its probabilities are 0, their logarithms -inf, and
    `predict` names the first class. Under ``array_api_dispatch`` results lie where the host's
    joint log-density lies; only labels that are text, of which no device knows, are NumPy's.

    Examples
    --------
    A classifier of one Gaussian for each class, in its few lines:

    >>> import numpy as np
    >>> from sklearn.base import BaseEstimator, ClassifierMixin
    >>> from agnostic_lse.sklearn import LogProbabilityMixin
    >>> class UnitGaussians(LogProbabilityMixin, ClassifierMixin, BaseEstimator):
    ...     def fit(self, X, y):
    ...         self.classes_ = np.unique(y)
    ...         self.means_ = np.stack([X[y == label].mean(axis=0) for label in self.classes_])
    ...         return self
    ...
    ...     def predict_joint_log_proba(self, X):
    ...         return -0.5 * ((X[:, None, :] - self.means_) ** 2).sum(axis=2)
    >>> X, y = np.asarray([[0.0], [2.0], [98.0], [100.0]]), np.asarray(["a", "a", "b", "b"])
    >>> model = UnitGaussians().fit(X, y)
    >>> model.predict_log_proba(X[:1])
    array([[    0., -4900.]])
    >>> model.predict(X)
    array(['a', 'a', 'b', 'b'], dtype='<U1')
    """

    classes_: Any

    def predict_log_proba(self, X: Any) -> Any:
        """Return the log-probability of each class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        array of shape (n_samples, n_classes)
            Log-probabilities, in the order of `classes_`.
        """
        return log_softmax(_joint(self, X), axis=1)

    def predict_proba(self, X: Any) -> Any:
        """Return the probability of each class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        array of shape (n_samples, n_classes)
            Probabilities, in the order of `classes_`.
        """
        return softmax(_joint(self, X), axis=1)

    def score_samples(self, X: Any) -> Any:
        """Return the log-density of each sample, up to the host's constant.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        array of shape (n_samples,)
            Logarithm of the sum of the joint density over the classes.
        """
        return logsumexp(_joint(self, X), axis=1)

    def predict(self, X: Any) -> Any:
        """Return the most probable class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        array of shape (n_samples,)
            Labels from `classes_`.
        """
        xp, _, (joint,), _ = arguments(None, joint=_joint(self, X))
        best = xp.argmax(joint, axis=1)
        classes = self.classes_
        is_text = isinstance(classes, np.ndarray) and classes.dtype.kind not in "biufc"
        if is_text or not compat.is_array_api_obj(classes):
            return np.asarray(classes)[to_host(best)]
        if compat.array_namespace(classes) is not xp or compat.device(classes) != compat.device(
            joint
        ):
            classes = xp.asarray(to_host(classes), device=compat.device(joint))
        return xp.take(classes, best, axis=0)

    def __sklearn_tags__(self) -> Tags:
        """Declare what scikit-learn asks of every estimator."""
        tags: Tags = super().__sklearn_tags__()  # type: ignore[misc]
        tags.array_api_support = True
        return tags


def _joint(host: Any, X: Any) -> Array:
    return host.predict_joint_log_proba(X)


def _declared(tags: Tags) -> Tags:
    tags.array_api_support = True
    tags.transformer_tags.preserves_dtype = ["float64", "float32", "float16"]
    return tags


def _checked_scores(estimator: BaseEstimator, X: Any, *, reset: bool) -> Array:
    """Return X as an array of numbers below +inf, in its namespace; -inf is a number here."""
    X = validate_data(estimator, X, reset=reset, dtype="numeric", ensure_all_finite=False)
    xp = compat.array_namespace(X)
    if xp.isdtype(X.dtype, "real floating") and not bool(xp.all(X < math.inf)):
        raise ValueError(
            f"X of {type(estimator).__name__} holds NaN or +inf, but numbers below +inf were "
            "expected, -inf included: mend the step before, or impute."
        )
    return X


def _resolved(groups: Any, n_columns: int, columns: list[str]) -> dict[str, list[int]]:
    """Return the indices of the columns of each group."""
    if groups is None:
        return {"logsumexp": list(range(n_columns))}
    if isinstance(groups, Mapping):
        resolved = {
            _group_name(name): _indices(name, members, n_columns, columns)
            for name, members in groups.items()
        }
    else:
        resolved = _by_label(groups, n_columns)
    if not resolved:
        raise ValueError("groups is empty, but at least one group was expected: pass None for all.")
    return resolved


def _group_name(name: Any) -> str:
    if not isinstance(name, str):
        raise ValueError(
            f"groups has the key {name!r}, but names of outputs are strings: pass {str(name)!r}."
        )
    return name


def _by_label(groups: Any, n_columns: int) -> dict[str, list[int]]:
    if isinstance(groups, str) or not isinstance(groups, Iterable):
        raise ValueError(
            f"groups is {groups!r}, but a mapping from names to columns or one label for each "
            "column was expected: pass None to pool all columns."
        )
    labels = list(groups)
    if len(labels) != n_columns:
        raise ValueError(
            f"groups has {len(labels)} labels, but X has {n_columns} columns: "
            "pass one label for each column, or a mapping from names to columns."
        )
    by_label: dict[Any, list[int]] = {}
    for index, label in enumerate(labels):
        by_label.setdefault(label, []).append(index)
    named = {str(label): indices for label, indices in by_label.items()}
    if len(named) < len(by_label):
        raise ValueError(
            f"groups has labels that differ but read alike, {list(by_label)}: rename one of them."
        )
    return named


def _indices(name: str, members: Any, n_columns: int, columns: list[str]) -> list[int]:
    if isinstance(members, (str, Integral)) or not isinstance(members, Iterable):
        members = [members]
    indices = [_index(name, member, n_columns, columns) for member in members]
    if not indices:
        raise ValueError(
            f"group {name!r} is empty, but at least one column was expected: leave it out."
        )
    if len(set(indices)) < len(indices):
        raise ValueError(f"group {name!r} names a column more than once: name each one once.")
    return indices


def _index(name: str, member: Any, n_columns: int, columns: list[str]) -> int:
    if isinstance(member, Integral) and not isinstance(member, bool):
        if -n_columns <= int(member) < n_columns:
            return int(member) % n_columns
        known = f"X has {n_columns} columns"
    elif isinstance(member, str) and member in columns:
        return columns.index(member)
    else:
        known = f"the columns are {columns}" if columns else "X came without column names"
    raise ValueError(
        f"group {name!r} names the column {member!r}, but {known}: name columns of X, "
        "by their names or by their indices."
    )
