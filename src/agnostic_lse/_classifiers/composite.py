"""Rules of classifiers made of others, which are asked for theirs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np
import scipy.sparse
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import validate_data

from .._namespace import Array, quiet
from .._reductions import log_softmax
from .._wording import counted
from .columns import mean, spread
from .links import log_of
from .rule import Rule

# `log_proba`, which is made of these rules
Ask = Callable[..., Any]


def _one_vs_rest(ask: Ask, estimator: Any, X: Any) -> Array:
    members = [ask(member, X) for member in estimator.estimators_]
    if len(members) == 1:
        return members[0]
    out = np.stack([member[:, 1] for member in members], axis=1)
    return out if estimator.multilabel_ else log_softmax(out, axis=1)


def _voting(ask: Ask, estimator: Any, X: Any) -> Array:
    weights = estimator.weights
    if weights is not None:
        named = zip(estimator.estimators, weights, strict=True)
        weights = [weight for (_, member), weight in named if member != "drop"]
        if sum(weights) == 0:
            raise ValueError(
                f"weights of the VotingClassifier are {estimator.weights!r}, which sum to 0, but a "
                "mean needs some: set others."
            )
    return mean([ask(member, X) for member in estimator.estimators_], weights)


def _bagging(ask: Ask, estimator: Any, X: Any) -> Array:
    X = validate_data(
        estimator,
        X,
        accept_sparse=["csr", "csc"],
        dtype=None,
        ensure_all_finite=False,
        reset=False,
    )

    @quiet  # a thread does not know what its caller silenced
    def of_member(member: Any, features: Any) -> Array:
        if not hasattr(member, "predict_proba"):
            votes = member.predict(X[:, features])[:, None] == np.arange(estimator.n_classes_)
            return log_of(votes.astype(float))
        # Members know the classes by their numbers.
        return spread(ask(member, X[:, features]), member.classes_, estimator.n_classes_)

    members = zip(estimator.estimators_, estimator.estimators_features_, strict=True)
    # The work is NumPy's, which lets other threads run.
    run = Parallel(n_jobs=estimator.n_jobs, verbose=estimator.verbose, prefer="threads")
    return mean(run(delayed(of_member)(*member) for member in members))


def _chain(ask: Ask, estimator: Any, X: Any) -> Array:
    X = validate_data(estimator, X, accept_sparse=True, reset=False)
    method = getattr(estimator, "chain_method_", "predict")
    count = len(estimator.estimators_)
    before, out = np.zeros((X.shape[0], count)), np.empty((X.shape[0], count))
    for number, member in enumerate(estimator.estimators_):
        both = (X, before[:, :number])
        given = scipy.sparse.hstack(both) if scipy.sparse.issparse(X) else np.hstack(both)
        answer = getattr(member, method)(given)
        if (answer.ndim > 1 and answer.shape[1] > 2) or len(member.classes_) > 2:
            raise ValueError(
                f"{type(member).__name__} in the ClassifierChain has "
                f"{counted(len(member.classes_), 'class', 'classes')}, but labels, which are there "
                "or not, were expected: chain them, or use "
                "sklearn.multioutput.MultiOutputClassifier."
            )
        before[:, number] = answer if answer.ndim == 1 else answer[:, 1]
        out[:, estimator.order_[number]] = ask(member, given)[:, 1]
    return out


def _stacking(ask: Ask, estimator: Any, X: Any) -> Array:
    return ask(estimator.final_estimator_, estimator.transform(X))


def _pipeline(ask: Ask, estimator: Any, X: Any) -> Any:
    *steps, (_, last) = estimator.steps
    for _, step in steps:
        if step not in (None, "passthrough"):
            X = step.transform(X)
    return ask(last, X)


def _eliminating(ask: Ask, estimator: Any, X: Any) -> Any:
    return ask(estimator.estimator_, estimator.transform(X))


def _self_training(ask: Ask, estimator: Any, X: Any) -> Any:
    X = validate_data(estimator, X, accept_sparse=True, ensure_all_finite=False, reset=False)
    return ask(estimator.estimator_, X)


def _multi_output(ask: Ask, estimator: Any, X: Any) -> Any:
    return [ask(member, X) for member in estimator.estimators_]


def _threshold_of(estimator: Any) -> Any:
    return getattr(estimator, "estimator_", estimator.estimator)


def _delegating(ask: Ask, to: Callable[[Any], Any]) -> Rule:
    """Return the rule that asks another classifier."""
    return Rule(
        lambda estimator, X: ask(to(estimator), X),
        "those of the classifier in it",
        inner=lambda estimator: [to(estimator)],
        delegates=True,
    )


def _members(estimator: Any) -> Iterable[Any]:
    return list(estimator.estimators_)


def rules(ask: Ask) -> dict[str, Rule]:
    """Return the rules, which ask others by a function."""
    return {
        # Classifiers made of others
        "sklearn.OneVsRestClassifier": Rule(
            partial(_one_vs_rest, ask),
            "those of its members, normalised in log space",
            inner=_members,
            labels=lambda e: getattr(e, "multilabel_", False),
        ),
        "sklearn.VotingClassifier": Rule(
            partial(_voting, ask),
            "mean of those of its members, in log space",
            ("_collect_probas",),
            serves=lambda estimator: estimator.voting == "soft",
            inner=_members,
        ),
        "sklearn.BaggingClassifier": Rule(
            partial(_bagging, ask),
            "mean of those of its members, or of their votes, in log space",
            inner=lambda e: [
                member for member in e.estimators_ if hasattr(member, "predict_proba")
            ],
        ),
        "sklearn.ClassifierChain": Rule(
            partial(_chain, ask), "those of its members", inner=_members, labels=lambda _: True
        ),
        "sklearn.MultiOutputClassifier": Rule(
            partial(_multi_output, ask), "those of its members", inner=_members
        ),
        "sklearn.StackingClassifier": Rule(
            partial(_stacking, ask),
            "those of its final estimator",
            ("transform",),
            serves=lambda estimator: not isinstance(getattr(estimator, "_label_encoder", []), list),
            inner=lambda estimator: [estimator.final_estimator_],
            labels=lambda e: isinstance(getattr(e, "_label_encoder", None), list),
        ),
        # Classifiers that ask another
        "sklearn.Pipeline": _delegating(ask, lambda e: e.steps[-1][1])._replace(
            function=partial(_pipeline, ask),
            serves=lambda e: e.steps[-1][1] not in (None, "passthrough"),
        ),
        "sklearn.RFE": _delegating(ask, lambda e: e.estimator_)._replace(
            function=partial(_eliminating, ask), reads=("transform",)
        ),
        "sklearn.SelfTrainingClassifier": _delegating(ask, lambda e: e.estimator_)._replace(
            function=partial(_self_training, ask)
        ),
        "sklearn.BaseSearchCV": _delegating(ask, lambda e: e.best_estimator_),
        "sklearn.FrozenEstimator": _delegating(ask, lambda e: e.estimator),
        "sklearn.BaseThresholdClassifier": _delegating(ask, _threshold_of),
        # Our own
        ".LogProbabilityClassifier": _delegating(ask, lambda e: e.estimator_)._replace(
            function=lambda e, X: ask(e.estimator_, X, smoothing=e.smoothing)
        ),
        ".LogPoolClassifier": Rule(
            lambda e, X: e.predict_log_proba(X), "pool of those of its members", inner=_members
        ),
    }
