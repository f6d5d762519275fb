"""Log-probabilities in scikit-learn: transformers, and a mixin for classifiers."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any, Self

import array_api_compat as compat
import numpy as np

from ._groups import columns_of_groups
from ._logsum import highest, relative
from ._namespace import (
    Array,
    Namespace,
    arguments,
    finished,
    is_complex,
    largest_number,
    quiet,
    refuse_containers,
    to_host,
    working_dtype,
)
from ._reductions import log_softmax, logsumexp, softmax

try:
    from sklearn import get_config
    from sklearn.base import (
        BaseEstimator,
        ClassNamePrefixFeaturesOutMixin,
        OneToOneFeatureMixin,
        TransformerMixin,
    )
    from sklearn.exceptions import NotFittedError
    from sklearn.utils import get_tags
    from sklearn.utils.validation import check_is_fitted, validate_data
except ModuleNotFoundError as error:
    if error.name != "sklearn":  # something that scikit-learn itself needs
        raise
    raise ModuleNotFoundError(
        "agnostic_lse.sklearn was imported, but scikit-learn is not installed: "
        "pip install scikit-learn.",
        name="sklearn",
    ) from None

__all__ = ["LogProbabilityMixin", "LogSoftmaxTransformer", "LogSumExpTransformer"]


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
    feature_names_in_ : ndarray of shape (n_features_in_,)
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
    Scores that are nan or +inf are refused, except where they are not known yet, in Dask arrays
    and under ``jax.jit``, and under scikit-learn's ``assume_finite``.

    Results have the dtype of `X`, and for integers the widest real one. Under scikit-learn's
    ``array_api_dispatch`` they lie in the namespace and on the device of `X`.

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
        _validated(self, X, reset=True)
        return self

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
        X = _validated(self, X, reset=False)
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
    feature_names_in_ : ndarray of shape (n_features_in_,)
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
    are nan or +inf are refused, also in columns that are left out, except where they are not known
    yet, in Dask arrays and under ``jax.jit``, and under scikit-learn's ``assume_finite``.

    Results have the dtype of `X`, and for integers the widest real one. Under scikit-learn's
    ``array_api_dispatch`` they lie in the namespace and on the device of `X`, which need not be
    those of the array given to `fit`: only the indices of columns are kept from it.

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
        _validated(self, X, reset=True)
        names = getattr(self, "feature_names_in_", None)
        self.groups_: dict[str, list[int]] | None = (
            None
            if self.groups is None
            else columns_of_groups(self.groups, self.n_features_in_, names)
        )
        return self

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
        X = _validated(self, X, reset=False)
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


class LogProbabilityMixin:
    r"""Predictions of a classifier that gives the logarithms of joint probabilities.

    The host class fits `classes_` and defines ``predict_joint_log_proba(X)``, which returns
    :math:`\log p(x, y)` with one row for each sample and one column for each class, or any scores
    that differ from it by a constant for each row. The mixin turns them into `predict`,
    `predict_proba`, `predict_log_proba` and `score_samples`, without underflow.

    The mixin stands to the left of `BaseEstimator` and of any class that has these methods
    already; to the left or right of `ClassifierMixin` makes no difference.

    See Also
    --------
    LogSoftmaxTransformer : The same normalisation of rows as a step of a pipeline.
    agnostic_lse.log_softmax : The function behind `predict_log_proba`.

    Notes
    -----
    With the joint log-probabilities :math:`s_{ij}` of sample i and class j,

    .. math::
       \log p(y_j \mid x_i) = s_{ij} - \log \sum_k e^{s_{ik}}
       \quad\text{and}\quad
       \log p(x_i) = \log \sum_k e^{s_{ik}},

    the latter up to the constant that the scores of the row are off by.

    Results lie in the namespace and on the device of the joint log-probabilities. So do predicted
    labels that are numbers which that namespace holds exactly. All others come as a NumPy array,
    for which the positions of the largest scores, and nothing else, are copied to the host: no
    other array library holds strings, and JAX by default no numbers that take more than 32 bits.
    Dask arrays stay lazy, whatever the labels are.

    A host that declares ``array_api_support`` in its tags keeps the arrays of its fit where the
    samples lay. Under ``array_api_dispatch`` it is given samples from there only, as scikit-learn's
    own estimators are; any others are refused. What it keeps is told from its attributes that end
    in an underscore and are arrays. NumPy arrays beside those of another namespace count for
    nothing here, but alone they count.

    A sample to which every class gives probability 0, a row of -inf, has no class probabilities:
    its probabilities are 0, their logarithms and its `score_samples` are -inf, and the first class
    is predicted, as for any tie.

    Examples
    --------
    Gaussian naive Bayes with exact log-probabilities:

    >>> import numpy as np
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from agnostic_lse.sklearn import LogProbabilityMixin
    >>> class ExactGaussianNB(LogProbabilityMixin, GaussianNB):
    ...     pass
    >>> X, y = np.array([[-1.0], [1.0], [3.0], [5.0]]), ["low", "low", "high", "high"]
    >>> print(ExactGaussianNB(var_smoothing=0).fit(X, y).predict_log_proba([[-8.0]]))
    [[-4.00000000e+01 -4.24835426e-18]]
    >>> print(GaussianNB(var_smoothing=0).fit(X, y).predict_log_proba([[-8.0]]))
    [[-40.   0.]]
    """

    classes_: Any

    def predict(self, X: Any) -> Any:
        """Return the most probable class of each sample.

        Parameters
        ----------
        X : array_like of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        array of shape (n_samples,)
            Entries of `classes_`; of several that are equally probable, the first.

        Raises
        ------
        ValueError
            If `X` does not lie where the arrays kept from the fit do, or if the joint
            log-probabilities or `classes_` have the wrong shape.
        TypeError
            If the joint log-probabilities are not real numbers, or are sparse or masked.
        """
        joint = _joint_log_proba(self, X, "predict")
        xp = compat.array_namespace(joint)
        return _labels(xp, self.classes_, xp.argmax(joint, axis=1))

    def predict_proba(self, X: Any) -> Any:
        """Return the probability of each class for each sample.

        Parameters
        ----------
        X : array_like of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        array of shape (n_samples, n_classes)
            Probabilities, the columns in the order of `classes_`.

        Raises
        ------
        ValueError
            If `X` does not lie where the arrays kept from the fit do, or if the joint
            log-probabilities or `classes_` have the wrong shape.
        TypeError
            If the joint log-probabilities are not real numbers, or are sparse or masked.
        """
        return softmax(_joint_log_proba(self, X, "predict_proba"), axis=1)

    def predict_log_proba(self, X: Any) -> Any:
        """Return the logarithm of the probability of each class for each sample.

        Parameters
        ----------
        X : array_like of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        array of shape (n_samples, n_classes)
            Log-probabilities, the columns in the order of `classes_`.

        Raises
        ------
        ValueError
            If `X` does not lie where the arrays kept from the fit do, or if the joint
            log-probabilities or `classes_` have the wrong shape.
        TypeError
            If the joint log-probabilities are not real numbers, or are sparse or masked.
        """
        return log_softmax(_joint_log_proba(self, X, "predict_log_proba"), axis=1)

    def score_samples(self, X: Any) -> Any:
        """Return the logarithm of the probability density of each sample.

        Parameters
        ----------
        X : array_like of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        array of shape (n_samples,)
            Logarithms of the joint probabilities summed over the classes.

        Raises
        ------
        ValueError
            If `X` does not lie where the arrays kept from the fit do, or if the joint
            log-probabilities or `classes_` have the wrong shape.
        TypeError
            If the joint log-probabilities are not real numbers, or are sparse or masked.
        """
        return logsumexp(_joint_log_proba(self, X, "score_samples"), axis=1)


def _joint_log_proba(estimator: Any, X: Any, method: str) -> Array:
    """Return the host's joint log-probabilities, one column for each class."""
    if get_config()["array_api_dispatch"] and get_tags(estimator).array_api_support:
        _refuse_other_namespace(estimator, X, method)
    if not hasattr(estimator, "classes_"):
        raise NotFittedError(
            f"{type(estimator).__name__} has no classes_, since it is not fitted yet: call fit "
            f"before {method}."
        )
    name = f"{type(estimator).__name__}.predict_joint_log_proba"
    joint = _floating(f"{name}(X)", estimator.predict_joint_log_proba(X))
    n_classes = _number_of_classes(estimator)
    if joint.ndim != 2 or joint.shape[1] != n_classes:
        raise ValueError(
            f"{name} gave shape {tuple(joint.shape)}, but one row for each sample and one column "
            f"for each of the {n_classes} classes_ were expected: return such an array."
        )
    return joint


def _floating(name: str, value: Any) -> Array:
    """Return what a host gave as an array of a real floating dtype."""
    _refuse_containers(name, value)
    xp, dtype, (value,), _ = arguments(None, **{name: value})
    if is_complex(xp, dtype):
        raise TypeError(
            f"{name} has dtype {dtype}, but real numbers were expected: return xp.real of it."
        )
    return xp.astype(value, dtype, copy=False)


def _number_of_classes(estimator: Any) -> int:
    classes = estimator.classes_
    try:
        shape = np.shape(classes)
    except ValueError:  # arrays of several lengths, one for each output
        shape = ()
    if len(shape) != 1:
        raise ValueError(
            f"{type(estimator).__name__}.classes_ is a {type(classes).__name__}, but a "
            "one-dimensional array with one label for each class was expected: set such an array, "
            "or wrap a classifier for each output in sklearn.multioutput.MultiOutputClassifier."
        )
    return int(shape[0])


def _refuse_other_namespace(estimator: Any, X: Any, method: str) -> None:
    """Refuse samples that do not lie where the arrays kept from fit do, as scikit-learn does."""
    samples = X if compat.is_array_api_obj(X) else np.empty(0)
    xp, device = compat.array_namespace(samples), compat.device(samples)
    kept = _arrays_of_fit(estimator)
    if kept and not any(_lies_on(xp, device, array) for array in kept.values()):
        name, array = next(iter(kept.items()))
        raise ValueError(
            f"Inputs passed to {type(estimator).__name__}.{method}() must use the same namespace "
            f"and the same device as those passed to fit(), but X is a {type(X).__name__} on "
            f"{device} and {name} a {type(array).__name__} on {compat.device(array)}: move one of "
            "them."
        )


def _arrays_of_fit(estimator: Any) -> dict[str, Array]:
    """Return the arrays that lie where the samples of the fit did."""
    kept = {
        name: value
        for name, value in vars(estimator).items()
        # NumPy alone holds names, and its scalars are numbers that go with any array.
        if name.endswith("_")
        and name != "classes_"
        and compat.is_array_api_obj(value)
        and not isinstance(value, np.generic)
        and not _is_not_numeric(value)
    }
    # NumPy's arrays beside others are what fit has to report, such as its progress.
    others = {name: array for name, array in kept.items() if not isinstance(array, np.ndarray)}
    return others or kept


def _is_not_numeric(array: Any) -> bool:
    """Return whether an array holds what is neither a number nor a boolean."""
    return isinstance(array, np.ndarray) and array.dtype.kind not in "biufc"


def _labels(xp: Namespace, classes: Any, index: Array) -> Array:
    """Return the classes at an index, in its namespace if that holds them exactly, or NumPy's."""
    device = compat.device(index)
    if _lies_on(xp, device, classes):
        return classes[index]
    on_host = to_host(classes)
    if compat.is_dask_namespace(xp):  # its blocks hold whatever NumPy's arrays do
        return index.map_blocks(on_host.__getitem__, dtype=on_host.dtype)
    moved = None if _is_not_numeric(on_host) else _as_labels(xp, device, on_host)
    return on_host[to_host(index)] if moved is None else moved[index]


@quiet
def _as_labels(xp: Namespace, device: Any, numbers: Array) -> Array | None:
    """Return NumPy's numbers as an array of a namespace, or None if it cannot hold them exactly."""
    # PyTorch takes no other byte order, no negative strides, and nothing read-only.
    numbers = np.array(numbers, dtype=numbers.dtype.newbyteorder("="), order="C")
    try:
        moved = xp.asarray(numbers, device=device)
    except (TypeError, ValueError, RuntimeError):  # which one depends on the library
        return None
    # JAX turns 64 bits into 32, unless it is told not to.
    held = numbers.astype(str(moved.dtype).rpartition(".")[2])
    return moved if np.array_equal(held, numbers, equal_nan=True) else None


def _lies_on(xp: Namespace, device: Any, array: Any) -> bool:
    """Return whether something is an array of a namespace on a device; None is any device."""
    return bool(
        compat.is_array_api_obj(array)
        and compat.array_namespace(array) is xp
        and (device is None or compat.device(array) == device)
    )


def _tagged(tags: Any) -> Any:
    tags.array_api_support = True
    tags.transformer_tags.preserves_dtype = ["float64", "float32", "float16"]
    return tags


def _validated(estimator: Any, X: Any, *, reset: bool) -> Array:
    """Return X as a real array of two dimensions without nan or +inf."""
    _refuse_containers("X", X)
    X = _real(validate_data(estimator, X, reset=reset, ensure_all_finite=False))
    xp = compat.array_namespace(X)
    if get_config()["assume_finite"] or _is_unread(X):
        return X
    # One pass for both: nan is not below +inf either.
    if not xp.all(X < xp.inf):
        came = "NaN" if xp.any(xp.isnan(X)) else "+inf"
        raise ValueError(
            f"X contains {came}, but {type(estimator).__name__} expects finite numbers or -inf: "
            "replace these entries or drop their rows."
        )
    return X


def _refuse_containers(name: str, value: Any) -> None:
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(
            f"{name} is a masked array, whose mask would be dropped: pass {name}.filled(-np.inf), "
            "which gives masked entries the probability 0."
        )
    refuse_containers(name, value)


def _is_unread(X: Array) -> bool:
    """Return whether the entries of an array are not known yet."""
    if compat.is_jax_array(X):
        import jax  # loaded already, since the array is its own

        return isinstance(X, jax.core.Tracer)
    return bool(compat.is_dask_array(X))


def _real(X: Array) -> Array:
    """Return X if its dtype is a real floating one, or its numbers in the widest of them."""
    xp = compat.array_namespace(X)
    if xp.isdtype(X.dtype, "real floating"):
        foreign = not getattr(X.dtype, "isnative", True)  # NumPy's alone may be of another machine
        return X.astype(X.dtype.newbyteorder("=")) if foreign else X
    if xp.isdtype(X.dtype, "complex floating"):
        raise ValueError(
            f"Complex data not supported: X has dtype {X.dtype}, but real numbers were expected: "
            "take xp.real(X)."
        )
    if getattr(X.dtype, "kind", "") in ("m", "M"):  # as NumPy calls times and dates
        raise TypeError(
            f"X has dtype {X.dtype}, but numbers were expected: convert it to numbers, such as "
            "numbers of days."
        )
    known = xp.__array_namespace_info__().dtypes(kind="real floating", device=compat.device(X))
    return xp.astype(X, known.get("float64", xp.float32))


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
        # A Dask worker would warn of an overflow. And without anything between two steps JAX's
        # compiler would make them one, by a factor that is 0 or infinite.
        lowest = -largest_number(xp, x.dtype) * 2.0 ** -max(step, 0)
        x = xp.where(x < lowest, -xp.inf, x) * 2.0**step
        power -= step
    return x
