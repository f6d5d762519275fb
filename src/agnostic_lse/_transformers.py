"""Transformers of scikit-learn: rows of scores to log-probabilities, and columns pooled."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any, Self

import array_api_compat as compat
import numpy as np
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    OneToOneFeatureMixin,
    TransformerMixin,
)
from sklearn.utils.validation import check_is_fitted

from ._groups import columns_of_groups
from ._namespace import Array, Namespace, finished, largest_number, quiet, working_dtype
from ._reductions import log_softmax, logsumexp
from ._rows import by_blocks
from ._sums import highest, relative
from ._validation import validated


class LogSoftmaxTransformer(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    r"""Turn each row of scores into log-probabilities.

    Parameters
    ----------
    temperature : float, default=1.0
        Positive number that the scores are divided by first. Above 1 it evens the probabilities
        out, below 1 it sharpens them.

    Attributes
    ----------
    n_features_in_ : int
        Number of columns seen in `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns seen in `fit`, if `X` has names that are all strings.

    See Also
    --------
    LogSumExpTransformer : Pool columns of log-probabilities.
    agnostic_lse.log_softmax : The function behind it.

    Notes
    -----
    With the scores :math:`x_{ij}` and the temperature T,

    .. math:: \log p_{ij} = \frac{x_{ij}}{T} - \log \sum_k e^{x_{ik} / T}.

    A score of -inf is a probability of 0. A row of them has no probabilities: it stays all -inf.
    Scores that are nan or +inf are refused, in Dask arrays when they are computed, but not under
    ``jax.jit``, where they are not known yet, nor under scikit-learn's ``assume_finite``.

    Results have the dtype of `X`, and for integers the widest real one. Dask arrays stay lazy, as
    blocks of rows. Under scikit-learn's ``array_api_dispatch`` results lie in the namespace and on
    the device of `X`.

    The transformer is stateless: `transform` works without `fit`, but knows no names of columns
    then.

    Examples
    --------
    >>> from agnostic_lse.sklearn import LogSoftmaxTransformer
    >>> scores = [[40.0, 0.0], [0.0, 0.0]]
    >>> print(LogSoftmaxTransformer().fit_transform(scores))
    [[-4.24835426e-18 -4.00000000e+01]
     [-6.93147181e-01 -6.93147181e-01]]
    >>> print(LogSoftmaxTransformer(temperature=20).fit_transform(scores))
    [[-0.12692801 -2.12692801]
     [-0.69314718 -0.69314718]]
    """

    def __init__(self, temperature: float = 1.0) -> None:
        self.temperature = temperature

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: ARG002 (scikit-learn passes it)
        """Check the temperature and the scores; nothing is learnt from them.

        Parameters
        ----------
        X : array_like of shape (n_samples, n_features)
            Scores.
        y : object, optional
            Ignored.

        Returns
        -------
        LogSoftmaxTransformer
            The transformer itself.

        Raises
        ------
        ValueError
            If the temperature is not a positive finite number, or a score is nan or +inf.
        TypeError
            If `X` is sparse or masked, or holds dates or times.
        """
        _checked_temperature(self.temperature)
        validated(self, X, reset=True)
        return self

    @by_blocks
    def transform(self, X: Any) -> Any:
        """Return the log-probabilities of each row of scores.

        Parameters
        ----------
        X : array_like of shape (n_samples, n_features)
            Scores.

        Returns
        -------
        array of shape (n_samples, n_features)
            Log-probabilities.

        Raises
        ------
        ValueError
            If the temperature is not a positive finite number, or a score is nan or +inf.
        TypeError
            If `X` is sparse or masked, or holds dates or times.
        """
        temperature = _checked_temperature(self.temperature)
        X = validated(self, X, reset=False)
        return log_softmax(X, axis=1) if temperature == 1 else _tempered(X, temperature)

    def __sklearn_tags__(self) -> Any:
        """Return scikit-learn's tags: this transformer need not be fitted."""
        tags = _tagged(super().__sklearn_tags__())
        tags.requires_fit = False
        return tags


class LogSumExpTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    r"""Pool columns of log-probabilities: all of them, or each group of them.

    Each output is the logarithm of the sum of exponentials of some columns, so that the
    log-probabilities of fine classes become those of coarse ones.

    Parameters
    ----------
    groups : mapping, array_like of shape (n_features,) or None, default=None
        Which columns to pool.

        - None pools all columns into one.
        - A mapping gives for each output name the columns to pool: a list of column names or of
          integer indices, or one of them alone. Groups may share columns.
        - A list of labels gives for each column the name of the output that it belongs to, or None
          or another missing value, such as nan, if it belongs to none. The outputs are in the order
          of their first columns. Labels go by position, but those of a pandas Series that is
          indexed by the names of the columns go by name.

        Columns in no group are left out.

    Attributes
    ----------
    groups_ : dict of str to list of int, or None
        For each output name the indices of its columns; None where all columns are pooled.
    n_features_in_ : int
        Number of columns seen in `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns seen in `fit`, if `X` has names that are all strings.

    See Also
    --------
    LogSoftmaxTransformer : Turn scores into log-probabilities.
    agnostic_lse.logsumexp : The function behind it.

    Notes
    -----
    With the columns :math:`x_{ij}` of a row i and a group G of them, the output is

    .. math:: \log \sum_{j \in G} e^{x_{ij}}.

    Entries of -inf are probabilities of 0: a group that has nothing else gives -inf. Entries that
    are nan or +inf are refused, also in columns that are left out, in Dask arrays when they are
    computed, but not under ``jax.jit``, where they are not known yet, nor under scikit-learn's
    ``assume_finite``.

    Results have the dtype of `X`, and for integers the widest real one. Dask arrays stay lazy, as
    blocks of rows. Under scikit-learn's ``array_api_dispatch`` results lie in the namespace and on
    the device of `X`, which need not be those of the array given to `fit`: only the indices of
    columns are kept from it.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from agnostic_lse.sklearn import LogSumExpTransformer
    >>> breeds = pd.DataFrame(
    ...     np.log([[0.5, 0.25, 0.25], [0.1, 0.2, 0.7]]), columns=["beagle", "poodle", "siamese"]
    ... )
    >>> pool = LogSumExpTransformer({"dog": ["beagle", "poodle"], "cat": "siamese"})
    >>> print(pool.set_output(transform="pandas").fit_transform(breeds).round(4))
          dog     cat
    0 -0.2877 -1.3863
    1 -1.2040 -0.3567

    The same groups by labels:

    >>> pool = LogSumExpTransformer(["dog", "dog", "cat"]).fit(breeds)
    >>> print(pool.get_feature_names_out(), pool.groups_)
    ['dog' 'cat'] {'dog': [0, 1], 'cat': [2]}
    """

    def __init__(self, groups: Any = None) -> None:
        self.groups = groups

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: ARG002 (scikit-learn passes it)
        """Find the columns of each group.

        Parameters
        ----------
        X : array_like of shape (n_samples, n_features)
            Log-probabilities.
        y : object, optional
            Ignored.

        Returns
        -------
        LogSumExpTransformer
            The transformer itself.

        Raises
        ------
        ValueError
            If the groups do not fit the columns of `X`, or an entry of `X` is nan or +inf.
        TypeError
            If `X` is sparse or masked, or holds dates or times.
        """
        validated(self, X, reset=True)
        names = getattr(self, "feature_names_in_", None)
        self.groups_: dict[str, list[int]] | None = (
            None
            if self.groups is None
            else columns_of_groups(self.groups, self.n_features_in_, names)
        )
        return self

    @by_blocks
    def transform(self, X: Any) -> Any:
        """Return the pooled columns.

        Parameters
        ----------
        X : array_like of shape (n_samples, n_features)
            Log-probabilities.

        Returns
        -------
        array of shape (n_samples, n_groups)
            One column for each group, or one in all.

        Raises
        ------
        ValueError
            If an entry of `X` is nan or +inf, or its columns are not those given to `fit`.
        TypeError
            If `X` is sparse or masked, or holds dates or times.
        """
        check_is_fitted(self, "groups_")
        X = validated(self, X, reset=False)
        if self.groups_ is None:
            return logsumexp(X, axis=1, keepdims=True)
        xp, device = compat.array_namespace(X), compat.device(X)
        groups = (xp.asarray(columns, device=device) for columns in self.groups_.values())
        return xp.stack([logsumexp(xp.take(X, g, axis=1), axis=1) for g in groups], axis=1)

    def get_feature_names_out(self, input_features: Any = None) -> Any:
        """Return the names of the outputs.

        Parameters
        ----------
        input_features : array_like of str, optional
            Names of the columns, only compared with those seen in `fit`.

        Returns
        -------
        ndarray of str
            The names of the groups; where all columns are pooled, "logsumexptransformer0".
        """
        prefixed = super().get_feature_names_out(input_features)
        return prefixed if self.groups_ is None else np.asarray(list(self.groups_), dtype=object)

    @property
    def _n_features_out(self) -> int:
        """The number of outputs, which scikit-learn's mixin asks for."""
        return 1 if self.groups_ is None else len(self.groups_)

    def __sklearn_tags__(self) -> Any:
        """Return scikit-learn's tags."""
        return _tagged(super().__sklearn_tags__())


def _tagged(tags: Any) -> Any:
    tags.array_api_support = True
    tags.transformer_tags.preserves_dtype = ["float64", "float32", "float16"]
    return tags


def _checked_temperature(temperature: Any) -> float:
    came = ""
    try:
        is_number = isinstance(temperature, Real) and not isinstance(temperature, bool)
        number = float(temperature) if is_number else math.nan
    except OverflowError:  # of an integer, which may have too many digits to be written out
        number, came = math.inf, "a number too large for a float"
    if not 0 < number < math.inf:
        raise ValueError(
            f"temperature is {came or repr(temperature)}, but a positive finite number was "
            "expected: pass one, such as 1.0."
        )
    return number


@quiet
def _tempered(X: Array, temperature: float) -> Array:
    """Return the log-softmax of each row of ``X / temperature``."""
    xp = compat.array_namespace(X)
    scores = xp.astype(X, working_dtype(xp, X.dtype), copy=False)
    # Only differences matter, and taken before dividing they keep their digits. A temperature is a
    # power of two, by which division is exact, times a mantissa between 1/2 and 1.
    mantissa, exponent = math.frexp(temperature)
    # A power that makes numbers smaller goes first, lest the differences overflow; one that makes
    # them larger goes last, where they overflow only if the quotients do.
    scores = _scaled(xp, scores, -max(exponent, 0))
    scores = _scaled(xp, relative(xp, scores, highest(xp, scores, (1,))), -min(exponent, 0))
    # Division by the mantissa could overflow; by its double, which is at least 1, it cannot.
    scores = _scaled(xp, scores / (2 * mantissa), 1)
    return finished(xp, log_softmax(scores, axis=1), X.dtype)


# 2 to the power of this, and of its negative, is a normal number of every dtype to calculate in.
_LARGEST_STEP = 126


def _scaled(xp: Namespace, x: Array, power: int) -> Array:
    """Return ``x * 2**power``, -inf where that is too low for the dtype."""
    while power:
        step = max(-_LARGEST_STEP, min(power, _LARGEST_STEP))
        # Without anything between two steps JAX's compiler would make them one, by a factor that is
        # 0 or infinite.
        lowest = -largest_number(xp, x.dtype) * 2.0 ** -max(step, 0)
        x = xp.where(x < lowest, -xp.inf, x) * 2.0**step
        power -= step
    return x
