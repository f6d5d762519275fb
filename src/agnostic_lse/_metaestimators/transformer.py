"""A transformer that makes features of a classifier's exact log-probabilities."""

from __future__ import annotations

from typing import Any, Self

import array_api_compat as compat
import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.model_selection import check_cv
from sklearn.utils import _safe_indexing, indexable
from sklearn.utils.validation import _num_samples

from .._classifiers import has_labels, log_proba
from .._classifiers.columns import places_of, smoothed, spread
from .._namespace import Array, to_host
from .._rows import by_blocks
from .._wording import counted
from .around import AroundOne, check, fitted, take_over


class LogProbabilityTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, AroundOne):  # type: ignore[misc]  # scikit-learn has no types
    r"""Make features of a classifier's exact log-probabilities.

    Parameters
    ----------
    estimator : classifier
        The classifier: it is cloned and fitted. One that is fitted already goes in a
        `sklearn.frozen.FrozenEstimator`.
    cv : int, cross-validation generator, iterable or None, default=None
        How `fit_transform` splits the samples, so that those of each part are given the
        log-probabilities of a classifier which has not seen them, as stacking needs it. With None
        the one classifier is asked for all.
    smoothing : float, default=0.0
        Probability, at least 0 and below 1, that is taken from the classifier's and spread evenly
        over the classes. With any at all, all features are finite.

    Attributes
    ----------
    estimator_ : classifier
        The classifier, fitted to all samples.
    classes_ : array of shape (n_classes,)
        Its classes.
    n_features_in_ : int
        Number of columns seen in `fit`, if the classifier knows it.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns seen in `fit`, if `X` has names that are all strings.

    See Also
    --------
    LogProbabilityClassifier : The same as a classifier.
    LogSumExpTransformer : Pool log-probabilities of fine classes to those of coarse ones.

    Notes
    -----
    Feature k of a sample is, with a smoothing of s and K classes,

    .. math:: \log\bigl((1 - s) p_k + s / K\bigr),

    where :math:`\log p_k` is what `log_proba` says of the class.
    A class that is missing among the samples which a classifier has seen has probability 0 for it,
    and features of -inf, unless there is some smoothing. Where samples belong together in groups,
    `cv` may be a list of splits, as ``list(GroupKFold(5).split(X, y, groups))`` is. A frozen
    classifier is the same for all folds, and nothing is out of fold then. Of a Dask array,
    `transform` is lazy, block of rows by block.

    Examples
    --------
    Stacking in log space, which is a pipeline:

    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from sklearn.pipeline import make_pipeline, make_union
    >>> from sklearn.preprocessing import StandardScaler
    >>> from agnostic_lse.sklearn import LogProbabilityTransformer
    >>> first = make_union(
    ...     LogProbabilityTransformer(GaussianNB(), cv=5),
    ...     LogProbabilityTransformer(make_pipeline(StandardScaler(), LogisticRegression()), cv=5),
    ... )
    >>> model = make_pipeline(first, LogisticRegression(C=0.1, max_iter=1000))
    >>> X, y = load_iris(return_X_y=True)
    >>> print(model.fit(X, y).score(X, y) > 0.95)
    True
    >>> names = LogProbabilityTransformer(GaussianNB()).fit(X, y).get_feature_names_out()
    >>> print(*names)
    log_proba_0 log_proba_1 log_proba_2
    """

    def __init__(self, estimator: Any, cv: Any = None, *, smoothing: float = 0.0) -> None:
        self.estimator = estimator
        self.cv = cv
        self.smoothing = smoothing

    def fit(self, X: Any, y: Any, **params: Any) -> Self:
        """Fit the classifier to all samples.

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
        LogProbabilityTransformer
            The transformer itself.

        Raises
        ------
        ValueError
            If the smoothing is not a number from 0 to less than 1, or the classifier has several
            outputs.
        """
        inner = self._fitted_inner(X, y, params)
        _refuse_outputs(inner)
        self.estimator_ = inner
        take_over(self, inner, X)
        return self

    def fit_transform(self, X: Any, y: Any, **params: Any) -> Any:
        """Fit the classifier, and return the log-probabilities of the samples, out of fold with cv.

        Parameters
        ----------
        X : array_like of shape (n_samples, n_features)
            Samples.
        y : array_like of shape (n_samples,)
            Their classes.
        **params : object
            Parameters of the classifier's `fit`, those of one entry for each sample split along.

        Returns
        -------
        array of shape (n_samples, n_classes)
            Log-probabilities.

        Raises
        ------
        ValueError
            If the smoothing is not a number from 0 to less than 1, or if `cv` does not hold every
            sample out exactly once.
        """
        X, y = indexable(X, y)
        self.fit(X, y, **params)
        if self.cv is None:
            return self.transform(X)
        on_host, count = to_host(y), _num_samples(y)
        splits = list(check_cv(self.cv, on_host, classifier=True).split(X, on_host))
        held_out = np.concatenate([test for _, test in splits])
        if not np.array_equal(np.sort(held_out), np.arange(count)):
            raise ValueError(
                f"cv holds out {len(np.unique(held_out))} of {counted(count, 'sample')}, in "
                f"{counted(len(held_out), 'place')}, but each exactly once was expected: pass a "
                "partition, such as sklearn.model_selection.StratifiedKFold."
            )
        own = self._routed("fit", params)
        parts = [self._out_of_fold(X, y, train, test, own) for train, test in splits]
        xp = compat.array_namespace(*parts)
        together = xp.concat(parts, axis=0)
        order = xp.asarray(np.argsort(held_out), device=compat.device(together))
        return xp.take(together, order, axis=0)

    def _out_of_fold(self, X: Any, y: Any, train: Any, test: Any, params: dict[str, Any]) -> Array:
        own = {
            name: _safe_indexing(value, train) if _is_for_each(value, y) else value
            for name, value in params.items()
        }
        fold = fitted(self.estimator, _safe_indexing(X, train), _safe_indexing(y, train), own)
        log_p = spread(
            log_proba(fold, _safe_indexing(X, test)),
            places_of(fold.classes_, self.classes_),
            self.classes_.shape[0],
        )
        return smoothed(log_p, self.smoothing, has_labels(fold))

    @by_blocks
    def transform(self, X: Any) -> Any:
        """Return the log-probabilities of samples by the classifier fitted to all.

        Parameters
        ----------
        X : array_like of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        array of shape (n_samples, n_classes)
            Log-probabilities, the columns in the order of `classes_`.
        """
        check(self, X, "transform")
        log_p = log_proba(self.estimator_, X, smoothing=self.smoothing)
        count = self.classes_.shape[0]
        return spread(log_p, range(count), count)

    def get_feature_names_out(self, input_features: Any = None) -> Any:
        """Return the names of the features: ``log_proba_`` and the class.

        Parameters
        ----------
        input_features : object, optional
            Ignored.

        Returns
        -------
        ndarray of str
            One for each class.
        """
        super().get_feature_names_out(input_features)
        return np.asarray([f"log_proba_{name}" for name in to_host(self.classes_)], dtype=object)

    @property
    def _n_features_out(self) -> int:
        """The number of outputs, which scikit-learn's mixin asks for."""
        return int(self.classes_.shape[0])

    def __sklearn_tags__(self) -> Any:
        """Return scikit-learn's tags: what the classifier takes."""
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.transformer_tags.preserves_dtype = []
        return tags


def _refuse_outputs(estimator: Any) -> None:
    """Refuse a classifier that has classes for each of several outputs."""
    if isinstance(estimator.classes_, list):
        raise ValueError(
            f"{type(estimator).__name__} has classes for each of "
            f"{counted(len(estimator.classes_), 'output')}, but those of one output were expected: "
            "make a LogProbabilityTransformer for each output."
        )


def _is_for_each(value: Any, y: Any) -> bool:
    """Tell whether a parameter holds one entry for each sample."""
    is_array = hasattr(value, "shape") or isinstance(value, list | tuple)
    return is_array and bool(np.ndim(value)) and _num_samples(value) == _num_samples(y)
