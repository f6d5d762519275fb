"""A classifier with exact log-probabilities around another."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Self

from sklearn.base import ClassifierMixin
from sklearn.utils import get_tags
from sklearn.utils.metaestimators import available_if

from .._classifiers import log_proba
from .._namespace import quiet
from .._rows import by_blocks
from .around import AroundOne, check, exponentials, inner_gives_log_proba, inner_has, take_over


class LogProbabilityClassifier(ClassifierMixin, AroundOne):  # type: ignore[misc]  # scikit-learn has no types
    r"""Give a classifier exact log-probabilities.

    Parameters
    ----------
    estimator : classifier
        The classifier: it is cloned, fitted, and asked for its scores. One that is fitted already
        goes in a `sklearn.frozen.FrozenEstimator`.
    smoothing : float, default=0.0
        Probability, at least 0 and below 1, that is taken from the classifier's and spread evenly
        over the classes, so that none has probability 0.

    Attributes
    ----------
    estimator_ : classifier
        The fitted classifier.
    classes_ : array of shape (n_classes,)
        Its classes.
    n_features_in_ : int
        Number of columns seen in `fit`, if the classifier knows it.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns seen in `fit`, if `X` has names that are all strings.

    See Also
    --------
    log_proba : The function behind it, for classifiers that are fitted already.
    log_proba_source : Say how the log-probabilities of a classifier are found.
    LogProbabilityTransformer : Log-probabilities as features.
    LogPoolClassifier : Several classifiers, mixed in log space.

    Notes
    -----
    With a smoothing of s and K classes, log-probabilities are

    .. math:: \log\bigl((1 - s) p_k + s / K\bigr),

    where :math:`\log p_k` is what `log_proba` says of the class.
    `predict`, `decision_function` and `score` are those of the classifier inside;
    `predict_log_proba` is `log_proba` of it, and `predict_proba` its exponential. Parameters of
    `fit` go to the classifier, under scikit-learn's metadata routing those that it asks for. Of a
    Dask array, predictions are lazy, block of rows by block.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from agnostic_lse.sklearn import LogProbabilityClassifier
    >>> X, y = np.array([[-2.0], [-1.0], [1.0], [2.0]]), ["no", "no", "yes", "yes"]
    >>> model = LogProbabilityClassifier(LogisticRegression()).fit(X, y)
    >>> print(model.predict_log_proba([[1000.0]]).round(1), model.predict([[1000.0]]))
    [[-1006.6    -0. ]] ['yes']
    """

    def __init__(self, estimator: Any, *, smoothing: float = 0.0) -> None:
        self.estimator = estimator
        self.smoothing = smoothing

    def fit(self, X: Any, y: Any, **params: Any) -> Self:
        """Fit the classifier.

        Parameters
        ----------
        X : array_like of shape (n_samples, n_features)
            Samples.
        y : array_like of shape (n_samples,)
            Their classes.
        **params : object
            Parameters of the classifier's `fit`, such as ``sample_weight``.

        Returns
        -------
        LogProbabilityClassifier
            The classifier itself.

        Raises
        ------
        ValueError
            If the smoothing is not a number from 0 to less than 1.
        """
        self.estimator_ = self._fitted_inner(X, y, params)
        take_over(self, self.estimator_, X)
        return self

    @by_blocks
    def predict(self, X: Any) -> Any:
        """Return the class of each sample, as the classifier inside predicts it.

        Parameters
        ----------
        X : array_like of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        array of shape (n_samples,)
            Entries of `classes_`.
        """
        check(self, X, "predict")
        return quiet(self.estimator_.predict)(X)

    @available_if(inner_has("decision_function"))  # type: ignore[untyped-decorator]  # scikit-learn has no types
    @by_blocks
    def decision_function(self, X: Any) -> Any:
        """Return the scores of the classifier inside.

        Parameters
        ----------
        X : array_like of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        array of shape (n_samples,) or (n_samples, n_classes)
            Its scores.
        """
        check(self, X, "decision_function")
        return quiet(self.estimator_.decision_function)(X)

    @available_if(inner_gives_log_proba)  # type: ignore[untyped-decorator]  # scikit-learn has no types
    @by_blocks
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
        """
        check(self, X, "predict_log_proba")
        return log_proba(self.estimator_, X, smoothing=self.smoothing)

    @available_if(inner_gives_log_proba)  # type: ignore[untyped-decorator]  # scikit-learn has no types
    @by_blocks
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
        """
        check(self, X, "predict_proba")
        return exponentials(self.predict_log_proba(X))

    def score(self, X: Any, y: Any, **params: Any) -> Any:
        """Return the score of the classifier inside: the accuracy, for most.

        Parameters
        ----------
        X : array_like of shape (n_samples, n_features)
            Samples.
        y : array_like of shape (n_samples,)
            Their classes.
        **params : object
            Parameters of the classifier's `score`, such as ``sample_weight``.

        Returns
        -------
        float
            The score.
        """
        check(self, X, "score")
        return quiet(self.estimator_.score)(X, y, **self._routed("score", params))

    def __sklearn_tags__(self) -> Any:
        """Return scikit-learn's tags: those of the classifier inside."""
        tags = super().__sklearn_tags__()
        tags.classifier_tags = deepcopy(get_tags(self.estimator).classifier_tags)
        return tags
