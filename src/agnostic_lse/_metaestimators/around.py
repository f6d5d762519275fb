"""What the meta-estimators share: how they fit, check and ask the classifiers inside."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import array_api_compat as compat
import numpy as np
from sklearn import get_config
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone
from sklearn.utils import get_tags
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.validation import check_is_fitted

from .._classifiers import gives_log_proba
from .._classifiers.columns import refuse_other_smoothing
from .._elementary import exp
from .._namespace import Array, quiet
from .._validation import is_dispatched, refuse_other_place


def _fitted_or_not(estimator: Any) -> Any:
    return getattr(estimator, "estimator_", estimator.estimator)


def inner_has(name: str) -> Callable[[Any], bool]:
    """Return the condition that the classifier inside has a method."""

    def condition(estimator: Any) -> bool:
        getattr(_fitted_or_not(estimator), name)  # its AttributeError says why there is none
        return True

    return condition


def inner_gives_log_proba(estimator: Any) -> bool:
    """Tell whether the classifier inside has a rule, or refuse one without probabilities."""
    return gives_log_proba(_fitted_or_not(estimator)) or inner_has("predict_proba")(estimator)


class AroundOne(MetaEstimatorMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """An estimator that fits one classifier."""

    estimator: Any
    smoothing: float

    def _fitted_inner(self, X: Any, y: Any, params: dict[str, Any]) -> Any:
        refuse_other_smoothing(self.smoothing)
        return fitted(self.estimator, X, y, self._routed("fit", params))

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
            What scikit-learn asks for it.
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


def fitted(estimator: Any, X: Any, y: Any, params: dict[str, Any]) -> Any:
    """Return a clone of a classifier, fitted."""
    return clone(estimator).fit(X, y, **params)


def take_over(estimator: Any, inner: Any, X: Any) -> None:
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


def check(estimator: Any, X: Any, method: str) -> None:
    """Refuse to go on without a fit, or with samples that lie elsewhere."""
    check_is_fitted(estimator)
    if is_dispatched(estimator):
        refuse_other_place(estimator, X, method, {"the X of fit": estimator._place})


@quiet
def exponentials(log_p: Any) -> Any:
    """Return probabilities from their logarithms, or a list of them for several outputs."""
    if isinstance(log_p, list):
        return [exponentials(each) for each in log_p]
    return exp(compat.array_namespace(log_p), log_p)
