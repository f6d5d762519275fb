"""Classifiers and a transformer around others, with exact log-probabilities."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any, Self

import array_api_compat as compat
import numpy as np
from sklearn import get_config
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    ClassNamePrefixFeaturesOutMixin,
    MetaEstimatorMixin,
    TransformerMixin,
    clone,
)
from sklearn.model_selection import check_cv
from sklearn.utils import Bunch, _safe_indexing, get_tags, indexable
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.metaestimators import _BaseComposition, available_if
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import _num_samples, check_is_fitted

from ._classifiers import (
    checked_smoothing,
    gives_log_proba,
    has_labels,
    log_proba,
    mean,
    places_of,
    smoothed,
    spread,
)
from ._elementary import exp
from ._namespace import Array, quiet, to_host
from ._reductions import log_softmax
from ._validation import by_blocks, labels, refuse_other_place


def _fitted_or_not(estimator: Any) -> Any:
    return getattr(estimator, "estimator_", estimator.estimator)


def _inner_has(name: str) -> Callable[[Any], bool]:
    """Return the condition that the classifier inside has a method."""

    def check(estimator: Any) -> bool:
        getattr(_fitted_or_not(estimator), name)  # its AttributeError says why there is none
        return True

    return check


def _inner_gives_log_proba(estimator: Any) -> bool:
    return gives_log_proba(_fitted_or_not(estimator)) or _inner_has("predict_proba")(estimator)


class _AroundOne(MetaEstimatorMixin, BaseEstimator):  # type: ignore[misc]
    """An estimator that fits one classifier."""

    estimator: Any
    smoothing: float

    def _fitted_inner(self, X: Any, y: Any, params: dict[str, Any]) -> Any:
        checked_smoothing(self.smoothing)
        return _fitted(self.estimator, X, y, self._routed("fit", params))

    def _routed(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        if not get_config()["enable_metadata_routing"]:
            return params
        routed: dict[str, Any] = process_routing(self, method, **params).estimator[method]
        return routed

    def get_metadata_routing(self) -> Any:
        """Return which metadata goes where: to the classifier's `fit` and `score`.

        Returns
        -------
        sklearn.utils.metadata_routing.MetadataRouter
            scikit-learn's description of it.
        """
        mapping = MethodMapping().add(caller="fit", callee="fit")
        for caller, callee in (("fit_transform", "fit"), ("score", "score")):
            if hasattr(self, caller):
                mapping.add(caller=caller, callee=callee)
        return MetadataRouter(owner=self).add(estimator=self.estimator, method_mapping=mapping)

    def __sklearn_tags__(self) -> Any:
        """Return scikit-learn's tags: what the classifier takes."""
        tags, inner = super().__sklearn_tags__(), get_tags(self.estimator)
        tags.input_tags = deepcopy(inner.input_tags)
        tags.target_tags = deepcopy(inner.target_tags)
        tags.array_api_support = inner.array_api_support
        tags.non_deterministic = inner.non_deterministic
        tags.no_validation = inner.no_validation
        return tags


def _fitted(estimator: Any, X: Any, y: Any, params: dict[str, Any]) -> Any:
    return clone(estimator).fit(X, y, **params)


def _take_over(estimator: Any, inner: Any, X: Any) -> None:
    """Take over what a classifier found out of the samples, and keep where these lie."""
    estimator._place = _nothing_beside(X)
    for name in ("classes_", "n_features_in_", "feature_names_in_"):
        vars(estimator).pop(name, None)  # of an earlier fit
        if hasattr(inner, name):
            setattr(estimator, name, getattr(inner, name))


def _nothing_beside(X: Any) -> Array:
    """Return an empty array where samples lie, which keeps none of them in memory."""
    if not compat.is_array_api_obj(X):
        return np.empty(0)
    return compat.array_namespace(X).zeros(0, dtype=X.dtype, device=compat.device(X))


def _check(estimator: Any, X: Any, method: str) -> None:
    """Refuse to go on without a fit, or with samples that lie elsewhere."""
    check_is_fitted(estimator)
    if get_config()["array_api_dispatch"] and get_tags(estimator).array_api_support:
        refuse_other_place(estimator, X, method, {"the X of fit": estimator._place})


@quiet
def _exponentials(log_p: Any) -> Any:
    if isinstance(log_p, list):
        return [_exponentials(each) for each in log_p]
    return exp(compat.array_namespace(log_p), log_p)


class LogProbabilityClassifier(ClassifierMixin, _AroundOne):  # type: ignore[misc]
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
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns seen in `fit`, if `X` has names that are all strings.

    See Also
    --------
    log_proba : The function behind it, for classifiers that are fitted already.
    log_proba_source : Say how the log-probabilities of a classifier are found.
    LogProbabilityTransformer : Log-probabilities as features.
    LogPoolClassifier : Several classifiers, mixed in log space.

    Notes
    -----
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
        _take_over(self, self.estimator_, X)
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
        _check(self, X, "predict")
        return quiet(self.estimator_.predict)(X)

    @available_if(_inner_has("decision_function"))  # type: ignore[untyped-decorator]
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
        _check(self, X, "decision_function")
        return quiet(self.estimator_.decision_function)(X)

    @available_if(_inner_gives_log_proba)  # type: ignore[untyped-decorator]
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
        _check(self, X, "predict_log_proba")
        return log_proba(self.estimator_, X, smoothing=self.smoothing)

    @available_if(_inner_gives_log_proba)  # type: ignore[untyped-decorator]
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
        _check(self, X, "predict_proba")
        return _exponentials(self.predict_log_proba(X))

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
        _check(self, X, "score")
        return quiet(self.estimator_.score)(X, y, **self._routed("score", params))

    def __sklearn_tags__(self) -> Any:
        """Return scikit-learn's tags: those of the classifier inside."""
        tags = super().__sklearn_tags__()
        tags.classifier_tags = deepcopy(get_tags(self.estimator).classifier_tags)
        return tags


class LogProbabilityTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, _AroundOne):  # type: ignore[misc]
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
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns seen in `fit`, if `X` has names that are all strings.

    See Also
    --------
    LogProbabilityClassifier : The same as a classifier.
    LogSumExpTransformer : Pool log-probabilities of fine classes to those of coarse ones.

    Notes
    -----
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
        _take_over(self, inner, X)
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
                f"cv holds out {len(np.unique(held_out))} of {count} samples, in {len(held_out)} "
                "places, but each exactly once was expected: pass a partition, such as "
                "sklearn.model_selection.StratifiedKFold."
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
        fold = _fitted(self.estimator, _safe_indexing(X, train), _safe_indexing(y, train), own)
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
        _check(self, X, "transform")
        log_p = log_proba(self.estimator_, X, smoothing=self.smoothing)
        count = self.classes_.shape[0]
        return spread(log_p, range(count), count)

    def get_feature_names_out(self, input_features: Any = None) -> Any:
        """Return the names of the features: log_proba_ and the class.

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
            f"{type(estimator).__name__} has {len(estimator.classes_)} outputs, but classes of one "
            "were expected: make a LogProbabilityTransformer for each output."
        )


def _is_for_each(value: Any, y: Any) -> bool:
    """Tell whether a parameter holds one entry for each sample."""
    is_array = hasattr(value, "shape") or isinstance(value, list | tuple)
    return is_array and bool(np.ndim(value)) and _num_samples(value) == _num_samples(y)


class LogPoolClassifier(ClassifierMixin, _BaseComposition):  # type: ignore[misc]
    r"""Mix classifiers in log space.

    Parameters
    ----------
    estimators : list of (str, classifier)
        The classifiers and their names. Each is cloned and fitted, but one that is replaced by
        "drop". Those that are fitted already go in a `sklearn.frozen.FrozenEstimator`.
    weights : array_like of shape (n_estimators,) or None, default=None
        Weights of 0 and more; None weighs all alike.
    pool : {"linear", "log"}, default="linear"
        "linear" takes the weighted mean of the probabilities, "log" that of their logarithms,
        normalised.
    n_jobs : int or None, default=None
        How many classifiers to fit at once; -1 is as many as there are processors.

    Attributes
    ----------
    estimators_ : list of classifiers
        The fitted classifiers, without those dropped.
    named_estimators_ : Bunch
        The same by name.
    classes_ : array of shape (n_classes,)
        The classes of all of them.
    n_features_in_ : int
        Number of columns seen in `fit`, if the first classifier knows it.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns seen in `fit`, if `X` has names that are all strings.

    See Also
    --------
    LogProbabilityClassifier : One classifier with exact log-probabilities.
    sklearn.ensemble.VotingClassifier : The linear pool of probabilities, not of logarithms.

    Notes
    -----
    With weights w that sum to 1, the linear pool is :math:`\log \sum_m w_m p_m`: an event is as
    unlikely as the classifiers say on average. The logarithmic pool is

    .. math:: \log p_j = \sum_m w_m \log p_{mj} - \log \sum_k \prod_m p_{mk}^{w_m},

    in which every classifier has a veto: where one says 0, so does the pool [1]_. A sample for
    which every class has one has no class probabilities: its row is -inf, and the first class is
    predicted. Of a Dask array, predictions are lazy, block of rows by block.

    References
    ----------
    .. [1] C. Genest and J. V. Zidek, "Combining Probability Distributions: A Critique and an
       Annotated Bibliography", Statistical Science 1(1), 1986.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from agnostic_lse.sklearn import LogPoolClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> members = [("bayes", GaussianNB()), ("linear", LogisticRegression(max_iter=1000))]
    >>> for pool in "linear", "log":
    ...     model = LogPoolClassifier(members, pool=pool).fit(X, y)
    ...     print(model.predict_log_proba(X[:1]).round(1))
    [[ -0.   -4.7 -18.7]]
    [[ -0.  -22.6 -38. ]]
    """

    def __init__(
        self,
        estimators: Any,
        *,
        weights: Any = None,
        pool: str = "linear",
        n_jobs: int | None = None,
    ) -> None:
        self.estimators = estimators
        self.weights = weights
        self.pool = pool
        self.n_jobs = n_jobs

    @property
    def named_estimators(self) -> Any:
        """The classifiers by name, as they were given."""
        return Bunch(**dict(self.estimators))

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters, with those of the classifiers as ``name__parameter``.

        Parameters
        ----------
        deep : bool, default=True
            Whether to return those of the classifiers too.

        Returns
        -------
        dict of str to object
            The parameters by name.
        """
        params: dict[str, Any] = self._get_params("estimators", deep=deep)
        return params

    def set_params(self, **params: Any) -> Self:
        """Set parameters, a classifier by its name, or ``name__parameter`` of one.

        Parameters
        ----------
        **params : object
            The parameters by name.

        Returns
        -------
        LogPoolClassifier
            The classifier itself.
        """
        self._set_params("estimators", **params)
        return self

    def fit(self, X: Any, y: Any, **params: Any) -> Self:
        """Fit the classifiers.

        Parameters
        ----------
        X : array_like of shape (n_samples, n_features)
            Samples.
        y : array_like of shape (n_samples,)
            Their classes.
        **params : object
            Parameters of `fit`, such as ``sample_weight``: of all classifiers, or under
            scikit-learn's metadata routing of those that ask for them.

        Returns
        -------
        LogPoolClassifier
            The classifier itself.

        Raises
        ------
        ValueError
            If there is no classifier, a name is unsuitable, the weights do not suit, the pool is
            not one of those that there are, or a sample has several labels.
        TypeError
            If a classifier has no ``predict_proba``.
        """
        self._check_pool()
        kept, weights = self._kept()
        shape = tuple((y if compat.is_array_api_obj(y) else np.asarray(y)).shape)
        if len(shape) > 1 and shape[1] > 1:
            raise ValueError(
                f"y has shape {shape}, but one class for each sample was expected: "
                "wrap a LogPoolClassifier in sklearn.multioutput.MultiOutputClassifier."
            )
        if get_config()["enable_metadata_routing"]:
            routed = process_routing(self, "fit", **params)
            own = [routed[name].fit for name, _ in kept]
        else:
            own = [params] * len(kept)
        run = Parallel(n_jobs=self.n_jobs)
        members = run(
            delayed(_fitted)(member, X, y, given)
            for (_, member), given in zip(kept, own, strict=True)
        )
        names = [name for name, _ in kept]
        for name, member in zip(names, members, strict=True):
            if not (gives_log_proba(member) or hasattr(member, "predict_proba")):
                raise TypeError(
                    f"{name!r} is {member!r}, which has no predict_proba, but a classifier that "
                    "gives probabilities was expected: choose one, or calibrate it by "
                    "sklearn.calibration.CalibratedClassifierCV."
                )
        every = [to_host(member.classes_) for member in members]
        if len({each.dtype.kind in "OSUT" for each in every}) > 1:
            raise ValueError(
                f"the classifiers have classes of dtypes {[str(each.dtype) for each in every]}, "
                "but all of one kind were expected: fit them to the same labels."
            )
        # As numbers, which are of no namespace
        self.estimators_, self._shares = members, [float(weight) for weight in weights]
        self.named_estimators_ = Bunch(**dict(zip(names, members, strict=True)))
        _take_over(self, members[0], X)
        if any(not np.array_equal(every[0], each) for each in every):
            self.classes_ = np.unique(np.concatenate(every))
        # Now, since classes on a GPU would have to be waited for
        self._places = [places_of(own, self.classes_) for own in every]
        return self

    def _check_pool(self) -> None:
        if self.pool not in ("linear", "log"):
            raise ValueError(
                f"pool is {self.pool!r}, but 'linear' or 'log' was expected: pass one of them."
            )

    def _kept(self) -> tuple[list[tuple[str, Any]], Any]:
        """Return the classifiers that are not dropped, and their weights, which sum to 1."""
        pairs = _pairs(self.estimators)
        kept = [each for each in pairs if each[1] != "drop"]
        if not kept:
            raise ValueError(
                f"estimators is {self.estimators!r}, in which no classifier is left, but a list of "
                "names and classifiers was expected: pass such pairs."
            )
        self._validate_names([name for name, _ in pairs])
        try:
            given = np.ones(len(pairs)) if self.weights is None else np.asarray(self.weights, float)
        except (TypeError, ValueError):
            given = np.full(1, np.nan)
        weights = given if given.shape == (len(pairs),) else np.full(len(pairs), np.nan)
        weights = weights[[member != "drop" for _, member in pairs]]
        if not (np.all((weights >= 0) & (weights < np.inf)) and np.any(weights > 0)):
            raise ValueError(
                f"weights is {self.weights!r}, but {len(pairs)} finite numbers of 0 and more were "
                "expected, not all of them 0: pass one for each classifier."
            )
        weights = weights / np.max(weights)  # lest their sum overflows
        return kept, weights / np.sum(weights)

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
        _check(self, X, "predict_log_proba")
        self._check_pool()
        # Who weighs nothing has no veto.
        everyone = zip(self.estimators_, self._places, self._shares, strict=True)
        asked = [each for each in everyone if each[2]]
        count, shares = self.classes_.shape[0], [share for _, _, share in asked]
        members = [spread(log_proba(member, X), places, count) for member, places, _ in asked]
        if self.pool == "linear":
            return mean(members, shares)
        pooled = sum(share * log_p for share, log_p in zip(shares, members, strict=True))
        return log_softmax(pooled, axis=1)

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
        _check(self, X, "predict_proba")
        return _exponentials(self.predict_log_proba(X))

    @by_blocks
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
        """
        _check(self, X, "predict")
        log_p = self.predict_log_proba(X)
        xp = compat.array_namespace(log_p)
        return labels(xp, self.classes_, xp.argmax(log_p, axis=1))

    def get_metadata_routing(self) -> Any:
        """Return which metadata goes where: those of `fit` to the classifiers' `fit`.

        Returns
        -------
        sklearn.utils.metadata_routing.MetadataRouter
            scikit-learn's description of it.
        """
        router = MetadataRouter(owner=self)
        mapping = MethodMapping().add(caller="fit", callee="fit")
        for name, member in self.estimators:
            router.add(**{name: member}, method_mapping=mapping)
        return router

    def __sklearn_tags__(self) -> Any:
        """Return scikit-learn's tags: what all classifiers take."""
        tags = super().__sklearn_tags__()
        inner = [get_tags(member) for _, member in _pairs(self.estimators) if member != "drop"]
        if inner:
            tags.input_tags.sparse = all(each.input_tags.sparse for each in inner)
            tags.input_tags.allow_nan = all(each.input_tags.allow_nan for each in inner)
            tags.array_api_support = all(each.array_api_support for each in inner)
        return tags


def _pairs(estimators: Any) -> Sequence[tuple[str, Any]]:
    """Return names and classifiers, or nothing if there are no such pairs, which fit refuses."""
    try:
        return [(name, member) for name, member in estimators]
    except (TypeError, ValueError):
        return []
