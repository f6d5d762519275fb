"""A classifier that mixes others in log space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import array_api_compat as compat
import numpy as np
from sklearn import get_config
from sklearn.base import ClassifierMixin
from sklearn.utils import Bunch, get_tags
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.metaestimators import _BaseComposition
from sklearn.utils.parallel import Parallel, delayed

from .._classifiers import gives_log_proba, log_proba
from .._classifiers.columns import mean, places_of, spread
from .._namespace import to_host
from .._reductions import log_softmax
from .._rows import by_blocks
from .._validation import labels
from .._wording import counted
from .around import check, exponentials, fitted, take_over


class LogPoolClassifier(ClassifierMixin, _BaseComposition):  # type: ignore[misc]  # scikit-learn has no types
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
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
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
            delayed(fitted)(member, X, y, given)
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
        take_over(self, members[0], X)
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
                f"weights is {self.weights!r}, but a list of "
                f"{counted(len(pairs), 'finite number')} of 0 and more, not all of them 0, was "
                "expected: pass one for each classifier."
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
        check(self, X, "predict_log_proba")
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
        check(self, X, "predict_proba")
        return exponentials(self.predict_log_proba(X))

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
        check(self, X, "predict")
        log_p = self.predict_log_proba(X)
        xp = compat.array_namespace(log_p)
        return labels(xp, self.classes_, xp.argmax(log_p, axis=1))

    def get_metadata_routing(self) -> Any:
        """Return which metadata goes where: those of `fit` to the classifiers' `fit`.

        Returns
        -------
        sklearn.utils.metadata_routing.MetadataRouter
            What scikit-learn asks for it.
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
