"""A mixin that makes a classifier of joint log-probabilities."""

from __future__ import annotations

from typing import Any

import array_api_compat as compat
import numpy as np
from sklearn.exceptions import NotFittedError

from ._namespace import Array
from ._reductions import log_softmax, logsumexp, softmax
from ._validation import (
    floating,
    is_dispatched,
    is_not_numeric,
    labels,
    number_of_classes,
    refuse_other_place,
)


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
        return labels(xp, self.classes_, xp.argmax(joint, axis=1))

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
    if is_dispatched(estimator):
        refuse_other_place(estimator, X, method, _arrays_of_fit(estimator))
    if not hasattr(estimator, "classes_"):
        raise NotFittedError(
            f"{type(estimator).__name__} has no classes_, since it is not fitted yet: call fit "
            f"before {method}."
        )
    name = f"{type(estimator).__name__}.predict_joint_log_proba"
    joint = floating(f"{name}(X)", estimator.predict_joint_log_proba(X))
    n_classes = number_of_classes(estimator)
    if joint.ndim != 2 or joint.shape[1] != n_classes:
        raise ValueError(
            f"{name} gave shape {tuple(joint.shape)}, but one row for each sample and one column "
            f"for each of the {n_classes} classes_ were expected: return such an array."
        )
    return joint


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
        and not is_not_numeric(value)
    }
    # NumPy's arrays beside others are what fit has to report, such as its progress.
    others = {name: array for name, array in kept.items() if not isinstance(array, np.ndarray)}
    return others or kept
